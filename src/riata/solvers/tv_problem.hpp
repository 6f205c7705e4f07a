// Signals, operator, mask and reg of a problem with total variation, checked, and its tiles in double and in their units
// (operators/units.hpp). Internal.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "riata/core/sweep.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/solvers/tv_certificate.hpp"

namespace riata {

/// a = A 1
Vector<double> response_to_constant(const Dictionary<double>& A);

/// Of tiles, one after another.
class TvTileCertificate {
 public:
  /// `response` is a, `norm` ||A||_2 or more. Borrows A and a.
  TvTileCertificate(const Dictionary<double>& A, const Vector<double>& response, double norm)
      : A_(A), a_(response), norm_(norm) {}

  /// `weights` of X's shape, or 0 x 0.
  void evaluate(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& U, const ConstVectorRef<double>& reg,
                const ConstMatrixRef<double>& weights);
  double objective(Index i) const { return objectives_(i); }
  double gap(Index i) const { return gaps_(i); }

  /// The best constants c and what they leave of X, X - c a, where it is more than rounding: else zeros.
  void fit_constants(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights);
  const Vector<double>& constants() const { return constants_; }
  const Matrix<double>& residuals() const { return residuals_; }
  /// max_t |w_t| of those residuals.
  Vector<double> reg_max(const ConstMatrixRef<double>& weights);

 private:
  double square_of_response(Index i, const ConstMatrixRef<double>& weights) const;
  double project(Index i, const ConstMatrixRef<double>& weights);
  void correlate(const ConstMatrixRef<double>& weights);

  const Dictionary<double>& A_;
  const Vector<double>& a_;
  double norm_;
  Matrix<double> residuals_, weighted_, correlations_;
  Vector<double> constants_, squares_, objectives_, gaps_;
};

/// In its unit: X' = A' u'.
template <Scalar T>
struct TvTile {
  Index first;                  ///< of its signals
  TileUnits<double> units;      ///< and X'
  Matrix<double> given;         ///< X in double, zero where nothing was seen, by the roots of shared weights
  Matrix<double> weights;       ///< where signals have some of their own; or 0 x 0
  Vector<double> reg, reg_max;  ///< reg_max: or none

  Index size() const { return given.cols(); }
  const ConstMatrixRef<double>& X() const { return units.X(); }
};

template <Scalar T>
class TvProblem {
 public:
  /// Borrows all. @throws std::invalid_argument, beginning with `where`
  TvProblem(const char* where, const ConstMatrixRef<T>& X, const Dictionary<T>& A, const OptionalMatrixRef<T>& mask);

  Index n_signals() const { return X_.cols(); }
  Index n_times() const { return A_->code_size(); }
  /// A', with the roots of weights that all signals share.
  const Dictionary<double>& A() const { return unit_->dictionary(); }
  const Vector<double>& response() const { return response_; }  ///< A' 1
  double squared_norm() const { return squared_norm_; }         ///< ||A'||_2^2 or more
  bool has_weights_per_signal() const { return mask_.has_value(); }
  /// @throws std::invalid_argument unless reg fits the signals
  void require_fits(const Reg& reg) const;

  /// Calls work(tile, certificate) for the tiles of the signals [first, first + n). Where `fitted`, the certificate holds their
  /// best constants and what those leave, and the tile reg_max, which a reg that is a fraction needs.
  template <class Work>
  void for_each_tile(const Reg& reg, Index first, Index n, const Execution& execution, const Work& work,
                     bool fitted = true) const {
    require_fits(reg);
    std::vector<std::unique_ptr<TvTileCertificate>> certificates(static_cast<std::size_t>(resolve_threads(execution.n_threads)));
    riata::for_each_tile(solver_tile, n, execution, [&](Index start, Index count, int thread) {
      auto& certificate = certificates[static_cast<std::size_t>(thread)];
      if (!certificate) certificate = std::make_unique<TvTileCertificate>(A(), response_, std::sqrt(squared_norm_));
      TvTile<T> tile = make_tile(reg, first + start, count, fitted ? certificate.get() : nullptr);
      work(tile, *certificate);
    });
  }
  template <class Work>
  void for_each_tile(const Reg& reg, const Execution& execution, const Work& work) const {
    for_each_tile(reg, 0, n_signals(), execution, work);
  }

 private:
  TvTile<T> make_tile(const Reg& reg, Index first, Index n, TvTileCertificate* certificate) const;

  const char* where_;
  ConstMatrixRef<T> X_;
  std::unique_ptr<const Dictionary<double>> A_;
  std::optional<UnitAtoms<double>> unit_;
  Vector<double> response_;
  double squared_norm_;
  Vector<double> shared_;                  // weights of all signals; or none
  std::optional<ConstMatrixRef<T>> mask_;  // per signal
};

/// A as a matrix in double.
Matrix<double> matrix_of(const Dictionary<double>& A);

}  // namespace riata
