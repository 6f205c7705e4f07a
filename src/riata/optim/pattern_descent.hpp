// Patterns from the lagged correlations of their activations with each other and with the signals,
//
//   A_kj(s) = sum_t z_k(t) z_j(t + s),      B_k(c, l) = sum_t x_c(t + l) z_k(t),
//
// of which   1/2 ||x - sum_k d_k * z_k||^2 = 1/2 ||x||^2 - sum_k <d_k, B_k> + 1/2 sum_kj <d_k, A_kj * d_j>; Dupré la Tour, Moreau,
// Jas and Gramfort (2018), section 3.2. Pattern after pattern, the others fixed, with E_k = B_k - sum_{j != k} A_kj * d_j:
//
//   u_k <- E_k v_k / ||E_k v_k||            which is best, as ||v_k * z_k|| counts the same for all units u_k,
//   v_k <- P(v_k + (E_k^T u_k - A_kk * v_k) / L_k),   L_k >= ||A_kk *||,   a few times,
//
// P onto the unit sphere, and free kernels as v. Each step lowers the fit, as the majoriser's minimum on the sphere is where P puts
// it. Departures: theirs is projected gradient on all u, then on all v, in unit balls.
#pragma once

#include <memory>
#include <optional>

#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/optim/running_statistics.hpp"
#include "riata/optim/update.hpp"

namespace riata {

/// Patterns as matrices, L x rows: all channels of a kernel, or v alone, of which d_k = (w v_k) u_k^T. In double.
struct MovingPatterns {
  Index L, n_channels;
  bool rank_one;
  Vector<double> window;  ///< or 0
  Matrix<double> u, v;    ///< v: kernels, (n_channels L) x K, where u is 0 x 0

  template <Scalar T>
  static MovingPatterns of(const ConvolutionalDictionary<T>& D, const Parameters<T>& at);
  template <Scalar T>
  void put(Parameters<T>& at) const;
  Index size() const { return v.cols(); }
  Matrix<double> in_time(Index k) const {
    return Eigen::Map<const Matrix<double>>(v.col(k).data(), L, rank_one ? 1 : n_channels);
  }
  Matrix<double> windowed(Matrix<double> time) const {
    if (window.size() > 0) time.array().colwise() *= window.array();
    return time;
  }
  /// As it is applied, L x n_channels.
  Matrix<double> pattern(Index k) const {
    if (!rank_one) return in_time(k);
    return windowed(in_time(k)) * u.col(k).transpose();
  }
  /// The steps above, with E_k, L x n_channels, and (A_kk *) as an L x L matrix; by how much the fit fell.
  double move(Index k, Matrix<double> E, const Matrix<double>& T);
};

/// Moves the patterns of a convolutional dictionary, unverified: activations are other ones at the new patterns. Those without an
/// activation stay.
template <Scalar T>
class PatternDescent final : public Update<T> {
 public:
  /// `forgetting`: rho of RunningStatistics; absent: no earlier batch counts, and a phase ends where activations and patterns
  /// together lower the value by less than Position::tol of it.
  /// @throws std::invalid_argument if it is below zero
  explicit PatternDescent(const ConvolutionalDictionary<T>& D, std::optional<double> forgetting = {});

  const char* name() const override { return "the descent of patterns"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

  void forget_atoms(const std::vector<Index>& atoms) override;
  void reset() override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  std::shared_ptr<const ConvolutionalDictionary<T>> D_;
  std::optional<double> forgetting_;
  RunningStatistics past_;
  std::optional<double> last_value_;  // where no earlier batch counts
};

}  // namespace riata
