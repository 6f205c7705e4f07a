#include "riata/solvers/conv_pursuit.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/unit_lagged_gram.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

/// One signal, in unit patterns.
class GreedyPursuit {
 public:
  GreedyPursuit(const UnitLaggedGram& unit, Index L, bool positive) : unit_(unit), L_(L), positive_(positive) {}

  /// c, n_positions x K: correlations with what is left, which it ends with; z likewise, of unit patterns.
  void run(Matrix<double>& c, Matrix<double>& z, const ConvPursuitOptions& options) {
    const Index n_blocks = (c.rows() + L_ - 1) / L_;
    std::vector<Candidate> of_block(static_cast<std::size_t>(n_blocks));
    for (Index b = 0; b < n_blocks; ++b) of_block[static_cast<std::size_t>(b)] = largest_in(c, z, b);
    double first = 0;
    for (Index step = 0; step < options.n_nonzero; ++step) {
      leave_if_stopped();
      const Candidate best = *std::ranges::max_element(of_block, {}, &Candidate::size);
      if (step == 0) first = best.size;
      if (!(best.size > 0) || best.size < options.least * first) break;
      const auto [size, t, k, move] = best;
      z(t, k) += move;
      const Index begin = std::max<Index>(0, t - L_ + 1), end = std::min(c.rows(), t + L_);
      for (Index j = 0; j < c.cols(); ++j)
        c.col(j).segment(begin, end - begin) -= move * unit_.G.col(k).segment(j * (2 * L_ - 1) + begin - t + L_ - 1, end - begin);
      for (Index b = begin / L_; b <= (end - 1) / L_; ++b) of_block[static_cast<std::size_t>(b)] = largest_in(c, z, b);
    }
  }

 private:
  struct Candidate {
    double size = 0;
    Index t = 0, k = 0;
    double move = 0;
  };
  Candidate largest_in(const Matrix<double>& c, const Matrix<double>& z, Index block) const {
    Candidate best;
    const Index begin = block * L_, end = std::min(c.rows(), begin + L_);
    for (Index k = 0; k < c.cols(); ++k) {
      if (unit_.norms(k) == 0) continue;
      for (Index t = begin; t < end; ++t) {
        const double move = positive_ ? std::max(c(t, k), -z(t, k)) : c(t, k);
        if (std::abs(move) > best.size) best = {std::abs(move), t, k, move};
      }
    }
    return best;
  }

  const UnitLaggedGram& unit_;
  Index L_;
  bool positive_;
};

}  // namespace

void ConvPursuitOptions::validate() const {
  require(n_nonzero >= 1, "conv_pursuit: n_nonzero = {}, must be >= 1", n_nonzero);
  require(least >= 0 && least < 1, "conv_pursuit: least = {}, must be >= 0 and < 1", least);
}

template <Scalar T>
Matrix<T> conv_pursuit(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& given,
                       const ConvPursuitOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("conv_pursuit", X, given);
  require(given.shape().boundary == Boundary::valid, "conv_pursuit: the boundary is '{}', must be 'valid'",
          to_string(given.shape().boundary));
  const std::unique_ptr<Dictionary<double>> D = given.in_double();
  const Index K = given.n_atoms(), L = given.atom_times(), n_positions = given.n_positions();
  const UnitLaggedGram unit(given);
  const Vector<double> over = (unit.norms.array() > 0).select(1 / unit.norms.array(), 0);
  Matrix<T> Z(given.code_size(), X.cols());
  parallel_for(X.cols(), options.execution, [&](Index i, int) {
    const Matrix<double> x = X.col(i).template cast<double>();
    Matrix<double> c(n_positions, K), z = Matrix<double>::Zero(n_positions, K);
    D->adjoint(x, Eigen::Map<Matrix<double>>(c.data(), c.size(), 1));
    c *= over.asDiagonal();
    GreedyPursuit(unit, L, options.positive).run(c, z, options);
    z *= over.asDiagonal();
    Z.col(i) = Eigen::Map<const Vector<double>>(z.data(), z.size()).template cast<T>();
  });
  return Z;
}

template Matrix<float> conv_pursuit(const ConstMatrixRef<float>&, const ConvolutionalDictionary<float>&,
                                    const ConvPursuitOptions&);
template Matrix<double> conv_pursuit(const ConstMatrixRef<double>&, const ConvolutionalDictionary<double>&,
                                     const ConvPursuitOptions&);

}  // namespace riata
