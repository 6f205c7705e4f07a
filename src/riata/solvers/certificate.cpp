#include "riata/solvers/certificate.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {

template <class Penalty>
double largest_atom(const Matrix<typename Penalty::scalar>& dictionary, const Penalty& penalty) {
  Vector<typename Penalty::scalar> norms(dictionary.cols());
  for (Index j = 0; j < norms.size(); ++j) norms(j) = dictionary.col(j).stableNorm();
  return penalty.largest_pull(norms.size(), norms.data());
}

template <class Penalty>
TileCertificate<Penalty>::TileCertificate(const Matrix<T>& dictionary, const Matrix<double>& dictionary_double,
                                          const Penalty& penalty)
    : D_(dictionary),
      D_double_(dictionary_double),
      penalty_(penalty),
      largest_atom_(largest_atom(dictionary, penalty)),
      residuals_(dictionary.rows(), solver_tile),
      correlations_(dictionary.cols(), solver_tile),
      ridges_(solver_tile),
      objectives_(solver_tile),
      gaps_(solver_tile),
      half_norms_sq_(solver_tile),
      support_(static_cast<std::size_t>(dictionary.cols())),
      codes_(dictionary.cols()),
      atoms_(static_cast<std::size_t>(dictionary.cols())) {
  if constexpr (!std::same_as<T, double>) {
    rounded_residuals_.resize(dictionary.rows(), solver_tile);
    rounded_correlations_.resize(dictionary.cols(), solver_tile);
  }
}

template <class Penalty>
void TileCertificate<Penalty>::evaluate(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg) {
  const Index n = X.cols();
  for (Index i = 0; i < n; ++i) {
    leave_if_stopped();
    ridges_(i) = penalty_.ridge(static_cast<double>(reg(i)));
    compute_residual(X.col(i), Z.col(i), i);
  }
  correlate(Z);
  for (Index i = 0; i < n; ++i) {
    leave_if_stopped();
    const auto r = residuals_.col(i);
    const double fit = 0.5 * fixed_order_dot(r.size(), r.data(), r.data());
    const Index n_support = find_support(Z.col(i));
    if constexpr (!std::same_as<T, double>) sharpen_correlations(Z.col(i), i, n_support, std::sqrt(2 * fit));
    double zc = 0;
    for (Index k = 0; k < n_support; ++k) zc += codes_(k) * correlations_(support_[static_cast<std::size_t>(k)], i);
    const double lambda = static_cast<double>(reg(i));
    const double regularisation = lambda * penalty_.value(Z.col(i));
    objectives_(i) = fit + regularisation;
    if constexpr (Penalty::convex) {
      const double s = penalty_.dual_scaling(correlations_.col(i), lambda);
      const double ridge = ridges_(i) > 0 ? 0.5 * ridges_(i) * codes_.head(n_support).squaredNorm() : 0.0;
      gaps_(i) = std::max((regularisation - ridge) - s * zc + (1 - s) * (1 - s) * (fit + ridge), 0.0);  // NaN stays
    } else {
      gaps_(i) = std::numeric_limits<double>::quiet_NaN();
    }
    half_norms_sq_(i) = 0.5 * fixed_order_dot(X.rows(), X.col(i).data(), X.col(i).data());
  }
}

/// support_ = the first `return` entries, codes_ likewise.
template <class Penalty>
Index TileCertificate<Penalty>::find_support(const ConstVectorRef<T>& z) {
  const Index n_support = find_nonzeros(z.size(), z.data(), support_.data());
  for (Index k = 0; k < n_support; ++k) codes_(k) = static_cast<double>(z(support_[static_cast<std::size_t>(k)]));
  return n_support;
}

template <class Penalty>
void TileCertificate<Penalty>::compute_residual(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i) {
  const Index n_support = find_support(z);
  for (Index k = 0; k < n_support; ++k)
    atoms_[static_cast<std::size_t>(k)] = D_double_.col(support_[static_cast<std::size_t>(k)]).data();
  residuals_.col(i) = x.template cast<double>();
  subtract_columns(x.size(), n_support, atoms_.data(), codes_.data(), residuals_.col(i).data());
}

template <class Penalty>
void TileCertificate<Penalty>::correlate(const ConstMatrixRef<T>& Z) {
  if constexpr (std::same_as<T, double>) {
    correlate_in_double(Z);
  } else {
    const Index n = Z.cols();
    rounded_residuals_.leftCols(n) = residuals_.leftCols(n).template cast<T>();
    multiply_transposed<T>(D_, rounded_residuals_.leftCols(n), rounded_correlations_.leftCols(n));
    correlations_.leftCols(n) = rounded_correlations_.leftCols(n).template cast<double>();
  }
}

template <class Penalty>
void TileCertificate<Penalty>::correlate_in_double(const ConstMatrixRef<T>& Z) {
  const Index n = Z.cols();
  multiply_transposed<double>(D_double_, residuals_.leftCols(n), correlations_.leftCols(n));
  for (Index i = 0; i < n; ++i)
    if (ridges_(i) > 0) correlations_.col(i) -= ridges_(i) * Z.col(i).template cast<double>();
}

/// Sums again, in double, the correlations on the support and those that may be the largest.
template <class Penalty>
void TileCertificate<Penalty>::sharpen_correlations(const ConstVectorRef<T>& z, Index i, Index n_support, double norm) {
  auto c = correlations_.col(i);
  const auto r = residuals_.col(i);
  const auto sharpen = [&](Index j) {
    c(j) = fixed_order_dot(r.size(), D_double_.col(j).data(), r.data());
    if (ridges_(i) > 0) c(j) -= ridges_(i) * static_cast<double>(z(j));
  };
  for (Index k = 0; k < n_support; ++k) sharpen(support_[static_cast<std::size_t>(k)]);
  const double rounding = pull_rounding<T>(r.size(), norm, largest_atom_);
  const double least = penalty_.largest_pull(c.size(), c.data()) - 2 * rounding;
  penalty_.for_each_pulled(c.size(), c.data(), least, [&](Index j) { sharpen(j); });
}

template <class Penalty>
SignalRegMax<Penalty>::SignalRegMax(const Matrix<T>& dictionary, const Penalty& penalty)
    : D_(dictionary), penalty_(penalty), largest_atom_(largest_atom(dictionary, penalty)) {}

template <class Penalty>
typename Penalty::scalar SignalRegMax<Penalty>::operator()(const ConstVectorRef<T>& x,
                                                           const ConstVectorRef<T>& correlations) const {
  // A product's rounding makes every atom that near to the maximum a candidate.
  const Index n = x.size();
  const double rounding = pull_rounding<T>(n, std::sqrt(fixed_order_dot(n, x.data(), x.data())), largest_atom_);
  const double least = penalty_.largest_pull(correlations.size(), correlations.data()) - 3 * rounding;
  const T bound = std::isfinite(static_cast<T>(least)) ? static_cast<T>(least) : T(-1);  // a product overflowed: look at all
  return static_cast<T>(penalty_.reg_of_pull(penalty_.largest_pull_above(
      correlations.size(), correlations.data(), bound, [&](Index j) { return fixed_order_dot(n, D_.col(j).data(), x.data()); })));
}

template <Scalar T>
void require_signals(const char* where, const ConstMatrixRef<T>& X, const DenseDictionary<T>& D) {
  require(X.cols() > 0, "{}: X holds no signals", where);
  require(X.rows() == D.signal_size(), "{}: signals have {} features but atoms have {}; they must be equal", where, X.rows(),
          D.signal_size());
  require_finite(where, "X", X);
}

namespace {

/// Calls visit(i, certificate, column) for every signal; tiles run in parallel, so visit writes to entry i alone.
template <Scalar T, class Visit>
void for_each_certificate(const char* where, const ConstMatrixRef<T>& X, const DenseDictionary<T>& D, const ConstMatrixRef<T>& Z,
                          const Reg& reg, const PenaltyOptions& options, const Execution& execution, Visit visit) {
  const StopScope scope(execution);
  require_signals<T>(where, X, D);
  require(Z.rows() == D.code_size() && Z.cols() == X.cols(), "{}: codes have shape ({}, {}), expected ({}, {})", where, Z.cols(),
          Z.rows(), X.cols(), D.code_size());
  require_finite(where, "Z", Z);
  with_penalty<T>(options, D, [&]<class Penalty>(const Penalty& penalty) {
    require(!penalty.positive() || Z.size() == 0 || Z.minCoeff() >= T(0), "{}: positive=True but Z holds the negative code {}",
            where, Z.size() == 0 ? 0.0 : double(Z.minCoeff()));
    const Vector<T> regs = resolve_reg<T>(reg, X, D, options, execution);
    const Matrix<double> dictionary = D.parameters().template cast<double>();
    const Index n_tiles = (X.cols() + solver_tile - 1) / solver_tile;
    parallel_for(n_tiles, execution, [&](Index tile, int) {
      const Index first = tile * solver_tile, n = std::min(solver_tile, X.cols() - first);
      TileCertificate<Penalty> certificate(D.parameters(), dictionary, penalty);
      certificate.evaluate(X.middleCols(first, n), Z.middleCols(first, n), regs.segment(first, n));
      certificate.correlate_in_double(Z.middleCols(first, n));
      for (Index i = 0; i < n; ++i) visit(first + i, certificate, i, penalty, static_cast<double>(regs(first + i)));
    });
  });
}

}  // namespace

template <Scalar T>
Vector<double> lasso_objective(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                               const NonDeduced<ConstMatrixRef<T>>& Z, const Reg& reg, const PenaltyOptions& penalty,
                               const Execution& execution) {
  Vector<double> objective(X.cols());
  for_each_certificate<T>(
      "lasso_objective", X, D, Z, reg, penalty, execution,
      [&](Index i, const auto& certificate, Index column, const auto&, double) { objective(i) = certificate.objective(column); });
  return objective;
}

template <Scalar T>
Vector<double> duality_gap(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                           const NonDeduced<ConstMatrixRef<T>>& Z, const Reg& reg, const PenaltyOptions& penalty,
                           const Execution& execution) {
  Vector<double> gap(X.cols());
  for_each_certificate<T>(
      "duality_gap", X, D, Z, reg, penalty, execution,
      [&](Index i, const auto& certificate, Index column, const auto&, double) { gap(i) = certificate.gap(column); });
  return gap;
}

template <Scalar T>
LassoCertificate lasso_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                                   const NonDeduced<ConstMatrixRef<T>>& Z, const Reg& reg, const PenaltyOptions& penalty,
                                   const Execution& execution) {
  LassoCertificate found{.objective = Vector<double>(X.cols()), .gap = Vector<double>(X.cols())};
  for_each_certificate<T>("lasso_certificate", X, D, Z, reg, penalty, execution,
                          [&](Index i, const auto& certificate, Index column, const auto&, double) {
                            found.objective(i) = certificate.objective(column);
                            found.gap(i) = certificate.gap(column);
                          });
  return found;
}

template <Scalar T>
Vector<double> kkt_violation(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                             const NonDeduced<ConstMatrixRef<T>>& Z, const Reg& reg, const PenaltyOptions& options,
                             const Execution& execution) {
  Vector<double> violation(X.cols());
  for_each_certificate<T>("kkt_violation", X, D, Z, reg, options, execution,
                          [&](Index i, const auto& certificate, Index column, const auto& penalty, double lambda) {
                            violation(i) = penalty.subgradient_distance(Z.col(i), certificate.correlations().col(column), lambda);
                          });
  return violation;
}

template <Scalar T>
Vector<T> reg_max(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const PenaltyOptions& options,
                  const Execution& execution) {
  require_signals<T>("reg_max", X, D);
  return with_penalty<T>(options, D, [&]<class Penalty>(const Penalty& penalty) {
    const SignalRegMax<Penalty> signal_reg_max(D.parameters(), penalty);
    Vector<T> largest(X.cols());
    const Index n_tiles = (X.cols() + solver_tile - 1) / solver_tile;
    parallel_for(n_tiles, execution, [&](Index tile, int) {
      const Index first = tile * solver_tile, n = std::min(solver_tile, X.cols() - first);
      Matrix<T> correlations(D.code_size(), n);
      D.adjoint(X.middleCols(first, n), correlations);
      for (Index i = 0; i < n; ++i) largest(first + i) = signal_reg_max(X.col(first + i), correlations.col(i));
    });
    return largest;
  });
}

namespace {

template <Scalar T>
Vector<T> fraction_of(const Vector<T>& largest, Reg::FractionOfMax fraction) {
  for (Index i = 0; i < largest.size(); ++i)
    require(std::isfinite(largest(i)), "reg: reg_max of signal {} overflows, so a fraction of it is no weight; scale the signals",
            i);
  return largest * static_cast<T>(fraction.value);
}

}  // namespace

template <Scalar T>
Vector<T> resolve_reg(const Reg& reg, const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                      const PenaltyOptions& penalty, const Execution& execution) {
  const auto is_weight = [](double value) { return std::isfinite(static_cast<T>(value)) && static_cast<T>(value) > T(0); };
  if (const auto* value = std::get_if<double>(&reg.value())) {
    require(is_weight(*value), "reg = {}, must be > 0 and finite in the signals' precision", *value);
    return Vector<T>::Constant(X.cols(), static_cast<T>(*value));
  }
  if (const auto* fraction = std::get_if<Reg::FractionOfMax>(&reg.value()))
    return fraction_of(reg_max<T>(X, D, penalty, execution), *fraction);
  const auto& values = std::get<std::vector<double>>(reg.value());
  require(static_cast<Index>(values.size()) == X.cols(), "reg: {} entries for {} signals; they must be equal", values.size(),
          X.cols());
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] == 0 || is_weight(values[i]), "reg: entry {} is {}, must be > 0 and finite in the signals' precision", i,
            values[i]);
  if (const auto zero = std::find(values.begin(), values.end(), 0.0); zero != values.end()) {
    const Vector<T> largest = reg_max<T>(X, D, penalty, execution);  // 0 is a weight only where the code is 0 anyway
    for (Index i = zero - values.begin(); i < X.cols(); ++i)
      require(values[static_cast<std::size_t>(i)] > 0 || largest(i) == T(0), "reg: entry {} is 0, must be > 0", i);
  }
  return Eigen::Map<const Vector<double>>(values.data(), X.cols()).template cast<T>();
}

template <Scalar T>
double resolve_batch_reg(const Reg& reg, const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                         const PenaltyOptions& penalty, const Execution& execution) {
  require(!reg.is_per_signal(), "reg: learning takes one weight for the batch, not one per signal");
  if (const auto* value = std::get_if<double>(&reg.value())) return *value;
  const double fraction = std::get<Reg::FractionOfMax>(reg.value()).value;
  const double largest = static_cast<double>(reg_max<T>(X, D, penalty, execution).maxCoeff());
  require(largest > 0, "reg: reg_max of the batch is 0 (all signals are zero), so a fraction of it is no weight");
  require(std::isfinite(largest), "reg: reg_max of the batch overflows, so a fraction of it is no weight; scale the signals");
  return fraction * largest;
}

#define RIATA_INSTANTIATE(T)                                                                                                    \
  template class TileCertificate<L1<T>>;                                                                                        \
  template class TileCertificate<GroupL1<T>>;                                                                                   \
  template class TileCertificate<L0<T>>;                                                                                        \
  template class SignalRegMax<L1<T>>;                                                                                           \
  template class SignalRegMax<GroupL1<T>>;                                                                                      \
  template class SignalRegMax<L0<T>>;                                                                                           \
  template void require_signals<T>(const char*, const ConstMatrixRef<T>&, const DenseDictionary<T>&);                           \
  template Vector<double> lasso_objective<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const ConstMatrixRef<T>&,     \
                                             const Reg&, const PenaltyOptions&, const Execution&);                              \
  template Vector<double> duality_gap<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const ConstMatrixRef<T>&,         \
                                         const Reg&, const PenaltyOptions&, const Execution&);                                  \
  template LassoCertificate lasso_certificate<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const ConstMatrixRef<T>&, \
                                                 const Reg&, const PenaltyOptions&, const Execution&);                          \
  template Vector<double> kkt_violation<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const ConstMatrixRef<T>&,       \
                                           const Reg&, const PenaltyOptions&, const Execution&);                                \
  template Vector<T> reg_max<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const PenaltyOptions&, const Execution&);  \
  template Vector<T> resolve_reg<T>(const Reg&, const ConstMatrixRef<T>&, const DenseDictionary<T>&, const PenaltyOptions&,     \
                                    const Execution&);                                                                          \
  template double resolve_batch_reg<T>(const Reg&, const ConstMatrixRef<T>&, const DenseDictionary<T>&, const PenaltyOptions&,  \
                                       const Execution&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)

}  // namespace riata
