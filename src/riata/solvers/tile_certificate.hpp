// The certificate of one tile of codes, with what a solver needs to go on from there. Internal.
#pragma once

#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

/// Signals coded together: small enough for the cache, large enough for the products.
inline constexpr Index solver_tile = 128;

/// Evaluates tiles of at most solver_tile codes against one dictionary, in double whatever T is.
template <Scalar T>
class TileCertificate {
 public:
  TileCertificate(const Matrix<double>& dictionary, const L1<T>& penalty);

  /// Fills residuals r = x - D z, correlations D^T r, objectives and gaps of the columns of Z. `reg`: one per column.
  void evaluate(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg);

  const Matrix<double>& correlations() const { return correlations_; }
  double objective(Index i) const { return objectives_(i); }
  double gap(Index i) const { return gaps_(i); }
  double half_norm_sq(Index i) const { return half_norms_sq_(i); }  ///< 1/2 ||x||^2

 private:
  const Matrix<double>& D_;
  const L1<T>& penalty_;
  Matrix<double> codes_, residuals_, correlations_;
  Vector<double> objectives_, gaps_, half_norms_sq_;
};

/// reg_max of single signals, given their correlations D^T x from any product: the few atoms near the maximum are summed
/// again in a fixed order, so the bits do not depend on the batch.
template <Scalar T>
class SignalRegMax {
 public:
  SignalRegMax(const Matrix<T>& dictionary, const L1<T>& penalty);  // borrows both
  T operator()(const ConstVectorRef<T>& x, const ConstVectorRef<T>& correlations) const;

 private:
  const Matrix<T>& D_;
  const L1<T>& penalty_;
  double largest_atom_ = 0;  // max_j ||D_j|| / w_j
};

/// Is z = 0 the solution up to rounding? Decided by signal_reg_max, so reg_max itself gives zero.
template <Scalar T>
bool zero_is_optimal(T reg, T reg_max) {
  return reg >= reg_max * (T(1) - T(8) * std::numeric_limits<T>::epsilon());
}

/// Sizes and finiteness of (X, D); `where` names the caller in the message.
template <Scalar T>
void require_signals(const char* where, const ConstMatrixRef<T>& X, const DenseDictionary<T>& D);

}  // namespace riata
