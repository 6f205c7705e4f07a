// The certificate of one tile of codes, with what a solver needs to go on from there. Internal.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/terms/penalty.hpp"

namespace riata {

/// Signals coded together: small enough for the cache, large enough for the products.
inline constexpr Index solver_tile = 128;
/// Those with weights of their own come one by one.
inline Index signals_per_tile(const PenaltyOptions& options, Index n_atoms) {
  constexpr Index large = 1 << 16;  // pictures and long recordings, one at a time
  return options.has_weights_per_signal(n_atoms) || n_atoms >= large ? 1 : solver_tile;
}

/// ||D_j||, or of what is no matrix a bound on it.
template <Scalar T>
Vector<double> atom_norms(const Dictionary<T>& D);

/// Are signals so few that what is made of all atoms once (their Gram matrix, a copy in double) costs more than it saves? As many
/// as a tile has never are.
inline bool are_few(Index n_signals, Index n_atoms) { return n_signals < std::clamp<Index>(n_atoms / 32, 2, solver_tile); }

/// D in double, for certificates of so many signals; null where TileCertificate does as well without.
template <Scalar T>
std::unique_ptr<const Dictionary<double>> exact_for(const Dictionary<T>& D, Index n_signals) {
  const bool is_copy = !std::same_as<T, double> && D.matrix();
  return is_copy && are_few(n_signals, D.code_size()) ? nullptr : D.in_double();
}

/// Evaluates tiles of at most `most` codes against one dictionary, in double whatever T is. Of single-precision codes the
/// correlations that decide, on the support and near the largest pull, are summed in double, and the others are products in
/// single precision, until correlate_in_double(). An elastic net's correlations and residual norm are those of the l1 problem
/// that it is (l1.hpp). The gap of a penalty that is not convex is NaN.
///
/// A correlation in double may hide d = sqrt(n) u ||r|| ||D_j||, u = 2^-53, and what rounding did to r: so the dual point is
/// scaled as if the largest pull were greater by d, and the gap holds what z^T D^T r may be wrong by. Where that is most of a gap
/// above `tol` 1/2 ||x||^2 (reg a tiny part of reg_max), what decides is summed again in long double.
template <Penalty P>
class TileCertificate {
 public:
  using T = typename P::scalar;

  /// Borrows all three, and weights of the penalty may change between two tiles. `exact` is D in double; of a matrix it may be null,
  /// and then columns are cast as they are needed. A dictionary that is no matrix is asked for products alone, in double, and its
  /// ||D_j|| are bounded by ||D||_2.
  TileCertificate(const Dictionary<T>& D, const Dictionary<double>* exact, const P& penalty, double tol = 1e-13,
                  Index most = solver_tile);

  /// Fills residuals r = w (x - D z), correlations D^T r, objectives and gaps of the columns of Z. `reg`: one per column;
  /// `weights` w: of X's shape, or 0 x 0.
  void evaluate(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg,
                const ConstMatrixRef<T>& weights);
  void evaluate(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg) {
    evaluate(X, Z, reg, nothing_);
  }

  /// Gives each column of Z the code of the lower objective, its own or that of `others`, and evaluates them.
  void evaluate_lower(const ConstMatrixRef<T>& X, MatrixRef<T> Z, const ConstMatrixRef<T>& others, const ConstVectorRef<T>& reg,
                      const ConstMatrixRef<T>& weights);

  /// All correlations of the columns of Z, as evaluated, in double, for those who look at each.
  void correlate_in_double(const ConstMatrixRef<T>& Z);

  const Matrix<double>& correlations() const { return correlations_; }
  double objective(Index i) const { return objectives_(i); }
  double gap(Index i) const { return gaps_(i); }
  double half_norm_sq(Index i) const { return half_norms_sq_(i); }  ///< 1/2 ||x||^2
  double largest_norm() const { return norms_.maxCoeff(); }         ///< max_j ||D_j||

 private:
  void finish(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg);
  void find_objective(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, T reg, Index i);
  void compute_residual(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i);
  void correlate(const ConstMatrixRef<T>& Z);
  bool is_matrix() const { return D_.has_value(); }
  void make_room_to_cast(Index n_atoms);
  const double* atom_in_double(Index j, Index column);
  void sharpen_correlations(const ConstVectorRef<T>& z, Index i, Index n_support, double norm);
  Index find_support(const ConstVectorRef<T>& z);
  struct Terms;
  double gap_of(const Terms& terms, const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i, Index n_support);
  double correlation_error(double roundoff, const Terms& terms, double half_norm_sq, Index n_support) const;
  double precise_gap(Terms terms, const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i, Index n_support, double error);

  const Dictionary<double>* exact_;
  const std::optional<MatrixView<T>> D_;              // not there where the dictionary is no matrix
  const std::optional<MatrixView<double>> D_double_;  // the same atoms, where they are all there in double
  const P& penalty_;
  const double tol_;
  const Matrix<T> nothing_;
  const Vector<double> norms_;  // ||D_j||
  double largest_atom_;         // their pull
  Matrix<double> residuals_, correlations_;
  Matrix<T> rounded_residuals_, rounded_correlations_;
  Vector<double> ridges_, fits_, objectives_, gaps_, half_norms_sq_, penalties_, plain_, other_;
  const ConstMatrixRef<T>* weights_ = nullptr;  // of the tile that is evaluated, or null
  std::vector<Index> support_;
  Vector<double> codes_;  // on the support
  std::vector<const double*> atoms_;
  Matrix<double> cast_;  // atoms in double, where not all are
};

/// What the pull of an atom on x may be wrong by when it comes from a product in T: about n eps |x| ||D_j|| / w_j.
template <Scalar T>
double pull_rounding(Index n_features, double norm, double largest_atom) {
  return 4.0 * static_cast<double>(n_features) * static_cast<double>(std::numeric_limits<T>::epsilon()) * norm * largest_atom;
}

/// reg_max of single signals, given their correlations D^T x from any product: the few atoms near the maximum are summed
/// again in a fixed order, so the bits do not depend on the batch. Of a dictionary that is no matrix all are found again, in
/// double, by `exact`, which may be null where D is a matrix.
template <Penalty P>
class SignalRegMax {
 public:
  using T = typename P::scalar;

  SignalRegMax(const Dictionary<T>& D, const Dictionary<double>* exact, const P& penalty);  // borrows all three
  T operator()(const ConstVectorRef<T>& x, const ConstVectorRef<T>& correlations) const;
  void weights_changed();  ///< those of the penalty

 private:
  const std::optional<MatrixView<T>> D_;
  const Dictionary<double>* exact_;
  const P& penalty_;
  const Vector<double> norms_;  // ||D_j||
  double largest_atom_ = 0;     // their pull
};

/// lasso_certificate() where the weight of each signal is known. The gap is not that beside free atoms.
template <Scalar T>
LassoCertificate certificate_at(const char* where, const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& D,
                                const NonDeduced<ConstMatrixRef<T>>& Z, const Vector<T>& regs, const PenaltyOptions& penalty,
                                const Execution& execution);

/// Is z = 0 the solution up to rounding? Decided by signal_reg_max, so reg_max itself gives zero.
template <Scalar T>
bool zero_is_optimal(T reg, T reg_max) {
  return reg >= reg_max * (T(1) - T(8) * std::numeric_limits<T>::epsilon());
}

/// Of a dictionary with so many features.
void require_row(Index row, Index n_features);
/// `where` names the caller in the message.
template <Scalar T>
void require_features(const char* where, Index n_features, const Dictionary<T>& D);
/// Where each signal has weights of its own: so many, each of them allowed.
template <Scalar T>
void require_weights_fit(const char* where, const PenaltyOptions& options, Index n_signals, Index n_atoms, Weights allowed);
/// Sizes and finiteness of (X, D).
template <Scalar T>
void require_signals(const char* where, const ConstMatrixRef<T>& X, const Dictionary<T>& D);
/// The same of `name`, something of the shape of codes.
template <Scalar T>
void require_codes(const char* where, const char* name, const ConstMatrixRef<T>& Z, Index n_signals, Index n_atoms);

}  // namespace riata
