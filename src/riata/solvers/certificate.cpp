#include "riata/solvers/certificate.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <variant>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/free_atoms.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

template <Scalar T>
Vector<double> atom_norms(const Dictionary<T>& D) {
  if (const auto* dense = dynamic_cast<const DenseDictionary<T>*>(&D)) return dense->norms();
  const auto atoms = D.matrix();
  if (!atoms) return Vector<double>::Constant(D.code_size(), std::sqrt(D.squared_norm()));
  return column_norms<T>(*atoms);
}

template Vector<double> atom_norms(const Dictionary<float>&);
template Vector<double> atom_norms(const Dictionary<double>&);

namespace {

constexpr double unit_roundoff = std::numeric_limits<double>::epsilon() / 2;
constexpr double long_roundoff = static_cast<double>(std::numeric_limits<long double>::epsilon() / 2);

}  // namespace

template <Penalty P>
TileCertificate<P>::TileCertificate(const Dictionary<T>& D, const Dictionary<double>* exact, const P& penalty, double tol,
                                    Index most)
    : exact_(exact),
      D_(D.matrix()),
      D_double_(exact ? exact->matrix() : std::nullopt),
      penalty_(penalty),
      tol_(tol),
      norms_(atom_norms(D)),
      largest_atom_(penalty.largest_pull(norms_.size(), norms_.data())),
      residuals_(D.signal_size(), most),
      correlations_(D.code_size(), most),
      ridges_(most),
      fits_(most),
      objectives_(most),
      gaps_(most),
      half_norms_sq_(most),
      penalties_(most),
      support_(static_cast<std::size_t>(D.code_size())),
      codes_(D.code_size()),
      atoms_(static_cast<std::size_t>(D.code_size())) {
  if constexpr (!std::same_as<T, double>) {
    rounded_residuals_.resize(D.signal_size(), most);
    rounded_correlations_.resize(D.code_size(), most);
  }
}

template <Penalty P>
void TileCertificate<P>::evaluate(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg,
                                  const ConstMatrixRef<T>& weights) {
  weights_ = weights.size() > 0 ? &weights : nullptr;
  for (Index i = 0; i < X.cols(); ++i) {
    leave_if_stopped();
    find_objective(X.col(i), Z.col(i), reg(i), i);
  }
  finish(X, Z, reg);
}

template <Penalty P>
void TileCertificate<P>::evaluate_lower(const ConstMatrixRef<T>& X, MatrixRef<T> Z, const ConstMatrixRef<T>& others,
                                        const ConstVectorRef<T>& reg, const ConstMatrixRef<T>& weights) {
  weights_ = weights.size() > 0 ? &weights : nullptr;
  for (Index i = 0; i < X.cols(); ++i) {
    leave_if_stopped();
    find_objective(X.col(i), others.col(i), reg(i), i);
    const double fit = fits_(i), penalty = penalties_(i), objective = objectives_(i);
    other_ = residuals_.col(i);
    find_objective(X.col(i), Z.col(i), reg(i), i);
    if (std::isfinite(objectives_(i)) && !(objective < objectives_(i))) continue;
    fits_(i) = fit;
    penalties_(i) = penalty;
    objectives_(i) = objective;
    residuals_.col(i) = other_;
    Z.col(i) = others.col(i);
  }
  finish(X, Z, reg);
}

/// Of one signal: w (x - D z), 1/2 (x - D z)^T w (x - D z), reg g(z), and their sum.
template <Penalty P>
void TileCertificate<P>::find_objective(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, T reg, Index i) {
  compute_residual(x, z, i);
  auto r = residuals_.col(i);
  if (weights_ == nullptr) {
    fits_(i) = 0.5 * fixed_order_dot(r.size(), r.data(), r.data());
  } else {
    plain_ = r;
    r.array() *= weights_->col(i).template cast<double>().array();
    fits_(i) = 0.5 * fixed_order_dot(r.size(), plain_.data(), r.data());
  }
  penalties_(i) = static_cast<double>(reg) * penalty_.value(z);
  objectives_(i) = fits_(i) + penalties_(i);
}

/// evaluate() from the objectives on.
template <Penalty P>
void TileCertificate<P>::finish(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& reg) {
  const Index n = X.cols();
  if constexpr (std::same_as<P, L1<T>>)
    if (!penalty_.uniform()) largest_atom_ = penalty_.largest_pull(norms_.size(), norms_.data());
  for (Index i = 0; i < n; ++i) {
    ridges_(i) = penalty_.ridge(static_cast<double>(reg(i)));
    if (weights_ == nullptr) {
      half_norms_sq_(i) = 0.5 * fixed_order_dot(X.rows(), X.col(i).data(), X.col(i).data());
    } else {
      const Vector<double> x = X.col(i).template cast<double>();
      plain_ = weights_->col(i).template cast<double>().cwiseProduct(x);
      half_norms_sq_(i) = 0.5 * fixed_order_dot(x.size(), x.data(), plain_.data());
    }
  }
  correlate(Z);
  for (Index i = 0; i < n; ++i) {
    leave_if_stopped();
    const double fit = fits_(i);
    const Index n_support = find_support(Z.col(i));
    if constexpr (!std::same_as<T, double>)
      if (is_matrix()) sharpen_correlations(Z.col(i), i, n_support, std::sqrt(2 * fit));
    double zc = 0, length = 0;
    for (Index k = 0; k < n_support; ++k) {
      const Index j = support_[static_cast<std::size_t>(k)];
      zc += codes_(k) * correlations_(j, i);
      length += std::abs(codes_(k)) * norms_(j);
    }
    if constexpr (P::convex) {
      const double ridge = ridges_(i) > 0 ? 0.5 * ridges_(i) * codes_.head(n_support).squaredNorm() : 0.0;
      const Terms terms{.reg = static_cast<double>(reg(i)),
                        .penalty = penalties_(i) - ridge,
                        .fit = fit + ridge,
                        .zc = zc,
                        .largest = penalty_.largest_pull(correlations_.rows(), correlations_.col(i).data()),
                        .length = length};
      gaps_(i) = gap_of(terms, X.col(i), Z.col(i), i, n_support);
    } else {
      gaps_(i) = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

/// What a gap is made of.
template <Penalty P>
struct TileCertificate<P>::Terms {
  double reg, penalty, fit;  ///< reg, reg g(z) and 1/2 ||r||^2: of the l1 problem that an elastic net is
  double zc, largest;        ///< z^T c and the largest pull
  double length;             ///< sum_j |z_j| ||D_j||

  /// reg g(z) - s z^T c + (1 - s)^2 / 2 ||r||^2, with the largest s <= 1 for which s r is feasible if pulls are `hidden` greater.
  double gap(double hidden) const {
    const double pull = largest + hidden, s = pull <= reg ? 1.0 : reg / pull;
    return penalty - s * zc + (1 - s) * (1 - s) * fit;
  }
};

/// The gap as computed, and what rounding may hide of it.
template <Penalty P>
double TileCertificate<P>::gap_of(const Terms& terms, const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i,
                                  Index n_support) {
  const double computed = std::max(terms.gap(0), 0.0);  // NaN stays
  if (n_support == 0) return computed;
  const double half_norm_sq = half_norms_sq_(i), error = correlation_error(unit_roundoff, terms, half_norm_sq, n_support);
  const double summing = static_cast<double>(n_support + 4) * unit_roundoff * terms.penalty;
  const double bound = std::max(terms.gap(error * largest_atom_), 0.0) + error * terms.length + summing;
  if (!is_matrix() || !(bound > tol_ * half_norm_sq && bound > 2 * computed)) return bound;
  return precise_gap(terms, x, z, i, n_support, error) + summing;
}

/// What D_j^T r may be wrong by, per ||D_j||, for sums with the given rounding, of x - D z as well: the errors of n terms add up
/// as sqrt(n), being of either sign.
template <Penalty P>
double TileCertificate<P>::correlation_error(double roundoff, const Terms& terms, double half_norm_sq, Index n_support) const {
  const double in_products = std::sqrt(static_cast<double>(residuals_.rows())) * std::sqrt(2 * terms.fit);
  const double in_residual = std::sqrt(static_cast<double>(n_support)) * (std::sqrt(2 * half_norm_sq) + terms.length);
  return roundoff * (in_products + in_residual);
}

/// The gap, and what rounding may hide of it, with the correlations on the support and of all atoms that may pull the hardest,
/// given that they are wrong by at most `error` ||D_j||, summed in long double from a residual in long double.
template <Penalty P>
double TileCertificate<P>::precise_gap(Terms terms, const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i,
                                       Index n_support, double error) {
  using Long = Vector<long double>;
  Long r = x.template cast<long double>();
  for (Index k = 0; k < n_support; ++k)
    r -= static_cast<long double>(codes_(k)) * D_->col(support_[static_cast<std::size_t>(k)]).template cast<long double>();
  if (weights_ != nullptr) r.array() *= weights_->col(i).template cast<long double>().array();
  auto c = correlations_.col(i);
  Vector<double> largest = penalty_.positive() ? Vector<double>(c) : Vector<double>(c.cwiseAbs());
  const Vector<double> least = (largest - error * norms_).cwiseMax(0.0);
  largest += error * norms_;
  const double finer = correlation_error(long_roundoff, terms, half_norms_sq_(i), n_support);
  const auto sum = [&](Index j) {
    long double exact = D_->col(j).template cast<long double>().dot(r);
    if (ridges_(i) > 0) exact -= static_cast<long double>(ridges_(i)) * static_cast<long double>(z(j));
    c(j) = static_cast<double>(exact);
    largest(j) = (penalty_.positive() ? c(j) : std::abs(c(j))) + finer * norms_(j);
    return exact;
  };
  std::vector<Index> hardest;
  penalty_.for_each_pulled(c.size(), largest.data(), penalty_.largest_pull(c.size(), least.data()),
                           [&](Index j) { hardest.push_back(j); });
  for (const Index j : hardest) sum(j);
  long double zc = 0;
  for (Index k = 0; k < n_support; ++k) zc += static_cast<long double>(codes_(k)) * sum(support_[static_cast<std::size_t>(k)]);
  terms.zc = static_cast<double>(zc);
  terms.largest = penalty_.largest_pull(c.size(), largest.data());
  return std::max(terms.gap(0), 0.0) + finer * terms.length;
}

/// support_ = the first `return` entries, codes_ likewise.
template <Penalty P>
Index TileCertificate<P>::find_support(const ConstVectorRef<T>& z) {
  const Index n_support = find_nonzeros(z.size(), z.data(), support_.data());
  for (Index k = 0; k < n_support; ++k) codes_(k) = static_cast<double>(z(support_[static_cast<std::size_t>(k)]));
  return n_support;
}

template <Penalty P>
void TileCertificate<P>::compute_residual(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z, Index i) {
  const Index n_support = find_support(z);
  if (!is_matrix()) {
    exact_->apply(z.template cast<double>(), residuals_.middleCols(i, 1));
    residuals_.col(i) = x.template cast<double>() - residuals_.col(i);
    return;
  }
  make_room_to_cast(n_support);
  for (Index k = 0; k < n_support; ++k) {
    const auto place = static_cast<std::size_t>(k);
    atoms_[place] = atom_in_double(support_[place], k);
  }
  residuals_.col(i) = x.template cast<double>();
  subtract_columns(x.size(), n_support, atoms_.data(), codes_.data(), residuals_.col(i).data());
}

template <Penalty P>
void TileCertificate<P>::correlate(const ConstMatrixRef<T>& Z) {
  if (std::same_as<T, double> || !is_matrix()) {
    correlate_in_double(Z);
  } else {
    const Index n = Z.cols();
    rounded_residuals_.leftCols(n) = residuals_.leftCols(n).template cast<T>();
    multiply_transposed<T>(*D_, rounded_residuals_.leftCols(n), rounded_correlations_.leftCols(n));
    correlations_.leftCols(n) = rounded_correlations_.leftCols(n).template cast<double>();
  }
}

template <Penalty P>
void TileCertificate<P>::correlate_in_double(const ConstMatrixRef<T>& Z) {
  const Index n = Z.cols();
  if (exact_ == nullptr) {
    constexpr Index block = 4 * solver_tile;  // atoms
    make_room_to_cast(std::min(block, D_->cols()));
    for (Index first = 0; first < D_->cols(); first += block) {
      const Index many = std::min(block, D_->cols() - first);
      cast_.leftCols(many) = D_->middleCols(first, many).template cast<double>();
      multiply_transposed<double>(cast_.leftCols(many), residuals_.leftCols(n), correlations_.block(first, 0, many, n));
    }
  } else if (is_matrix()) {
    multiply_transposed<double>(*D_double_, residuals_.leftCols(n), correlations_.leftCols(n));
  } else {
    exact_->adjoint(residuals_.leftCols(n), correlations_.leftCols(n));
  }
  for (Index i = 0; i < n; ++i)
    if (ridges_(i) > 0) correlations_.col(i) -= ridges_(i) * Z.col(i).template cast<double>();
}

/// Of so many atoms at a time, where they have to be cast.
template <Penalty P>
void TileCertificate<P>::make_room_to_cast(Index n_atoms) {
  if (is_matrix() && !D_double_ && cast_.cols() < n_atoms) cast_.resize(D_->rows(), n_atoms);
}

/// D_j; where it has to be cast, in that column of the room for it.
template <Penalty P>
const double* TileCertificate<P>::atom_in_double(Index j, Index column) {
  if (D_double_) return D_double_->col(j).data();
  cast_.col(column) = D_->col(j).template cast<double>();
  return cast_.col(column).data();
}

/// Sums again, in double, the correlations on the support and those that may be the largest.
template <Penalty P>
void TileCertificate<P>::sharpen_correlations(const ConstVectorRef<T>& z, Index i, Index n_support, double norm) {
  make_room_to_cast(1);
  auto c = correlations_.col(i);
  const auto r = residuals_.col(i);
  const auto sharpen = [&](Index j) {
    c(j) = fixed_order_dot(r.size(), atom_in_double(j, 0), r.data());
    if (ridges_(i) > 0) c(j) -= ridges_(i) * static_cast<double>(z(j));
  };
  for (Index k = 0; k < n_support; ++k) sharpen(support_[static_cast<std::size_t>(k)]);
  const double rounding = pull_rounding<T>(r.size(), norm, largest_atom_);
  const double least = penalty_.largest_pull(c.size(), c.data()) - 2 * rounding;
  penalty_.for_each_pulled(c.size(), c.data(), least, [&](Index j) { sharpen(j); });
}

template <Penalty P>
SignalRegMax<P>::SignalRegMax(const Dictionary<T>& D, const Dictionary<double>* exact, const P& penalty)
    : D_(D.matrix()), exact_(exact), penalty_(penalty), norms_(D_ ? atom_norms(D) : Vector<double>()) {
  weights_changed();
}

template <Penalty P>
void SignalRegMax<P>::weights_changed() {
  if (D_) largest_atom_ = penalty_.largest_pull(norms_.size(), norms_.data());
}

template <Penalty P>
typename P::scalar SignalRegMax<P>::operator()(const ConstVectorRef<T>& x, const ConstVectorRef<T>& correlations) const {
  if (!D_) {
    Vector<double> c(correlations.size());
    exact_->adjoint(x.template cast<double>(), c);
    return static_cast<T>(penalty_.reg_of_pull(penalty_.largest_pull(c.size(), c.data())));
  }
  // A product's rounding makes every atom that near to the maximum a candidate.
  const Index n = x.size();
  const double rounding = pull_rounding<T>(n, std::sqrt(fixed_order_dot(n, x.data(), x.data())), largest_atom_);
  const double least = penalty_.largest_pull(correlations.size(), correlations.data()) - 3 * rounding;
  const T bound = std::isfinite(static_cast<T>(least)) ? static_cast<T>(least) : T(-1);  // a product overflowed: look at all
  return static_cast<T>(
      penalty_.reg_of_pull(penalty_.largest_pull_above(correlations.size(), correlations.data(), bound, [&](Index j) {
        return fixed_order_dot(n, D_->col(j).data(), x.data());
      })));
}

void require_row(Index row, Index n_features) {
  require(row >= 0 && row < n_features, "row = {}, must be between 0 and n_features - 1 = {}", row, n_features - 1);
}

template <Scalar T>
void require_features(const char* where, Index n_features, const Dictionary<T>& D) {
  require(n_features == D.signal_size(), "{}: signals have {} features but atoms have {}; they must be equal", where, n_features,
          D.signal_size());
}

template <Scalar T>
void require_signals(const char* where, const ConstMatrixRef<T>& X, const Dictionary<T>& D) {
  require(X.cols() > 0, "{}: X holds no signals", where);
  require_features<T>(where, X.rows(), D);
  require_in_range(where, "X", X);
}

template <Scalar T>
void require_weights_fit(const char* where, const PenaltyOptions& options, Index n_signals, Index n_atoms, Weights allowed) {
  if (!options.has_weights_per_signal(n_atoms)) return;
  require(std::ssize(options.weights) == n_signals * n_atoms, "{}: weights of {} signals for {}; they must be equal", where,
          std::ssize(options.weights) / n_atoms, n_signals);
  L1<T> each(options, n_atoms, allowed);
  for (Index i = 1; i < n_signals; ++i) each.weigh_for(i, options);  // or it refuses them
}

template <Scalar T>
void require_codes(const char* where, const char* name, const ConstMatrixRef<T>& Z, Index n_signals, Index n_atoms) {
  require(Z.rows() == n_atoms && Z.cols() == n_signals, "{}: {} has shape ({}, {}), expected ({}, {})", where, name, Z.cols(),
          Z.rows(), n_signals, n_atoms);
  require_finite(where, name, Z, of_codes);
}

namespace {

template <Scalar T>
void require_excluded_unused(const char* where, const PenaltyOptions& penalty, const ConstMatrixRef<T>& Z) {
  if (penalty.kind == PenaltyKind::group || std::ranges::none_of(penalty.weights, [](double w) { return std::isinf(w); })) return;
  const bool per_signal = penalty.has_weights_per_signal(Z.rows());
  for (Index i = 0; i < Z.cols(); ++i) {
    leave_if_stopped();
    for (Index j = 0; j < Z.rows(); ++j) {
      const double w = penalty.weights[static_cast<std::size_t>(per_signal ? i * Z.rows() + j : j)];
      require(Z(j, i) == 0 || !std::isinf(w), "{}: Z[{}, {}] is {}, must be 0: the weight of atom {} is infinite", where, i, j,
              static_cast<double>(Z(j, i)), j);
    }
  }
}

/// As it is given, or each signal's.
template <Scalar T>
using Weight = std::variant<Reg, Vector<T>>;

/// What a certificate is asked for.
enum class Asked { objective_and_gap, all_correlations };

/// Calls visit(i, certificate, column, penalty, z', units) for every signal, all in its unit; tiles run in parallel, so visit
/// writes to entry i alone.
template <Scalar T, class Visit>
void for_each_certificate(const char* where, const Batch<T>& batch, const Dictionary<T>& D, const ConstMatrixRef<T>& Z,
                          const Weight<T>& reg, const PenaltyOptions& options, const Execution& execution, Asked asked,
                          Visit visit) {
  const StopScope scope(execution);
  const SeenBatch<T> seen(where, batch);
  const ConstMatrixRef<T>& X = seen.X();
  require_signals<T>(where, X, D);
  require(Z.rows() == D.code_size() && Z.cols() == X.cols(), "{}: codes have shape ({}, {}), expected ({}, {})", where, Z.cols(),
          Z.rows(), X.cols(), D.code_size());
  require_finite(where, "Z", Z, of_codes);
  require_weights_fit<T>(where, options, X.cols(), D.code_size(), Weights::any);
  const UnitAtoms<T> atoms(D, reg_unit(options.kind));
  const auto with_each = [&]<Penalty P>(const P& shared) {
    require(!shared.positive() || Z.size() == 0 || Z.minCoeff() >= T(0), "{}: positive=True but Z holds the negative code {}",
            where, Z.size() == 0 ? 0.0 : double(Z.minCoeff()));
    require_excluded_unused<T>(where, options, Z);
    const Vector<T> regs = std::holds_alternative<Vector<T>>(reg)
                               ? std::get<Vector<T>>(reg)
                               : resolve_reg<T>(std::get<Reg>(reg), batch, D, options, execution);
    const bool one_by_one = options.has_weights_per_signal(D.code_size());
    const std::unique_ptr<const Dictionary<double>> exact =
        one_by_one ? atoms.dictionary().in_double() : exact_for(atoms.dictionary(), X.cols());
    const T largest_atom = largest_entry<T>(atoms.dictionary());
    for_each_tile(signals_per_tile(options, D.code_size()), X.cols(), execution, [&](Index first, Index n, int) {
      TileUnits<T> units(atoms.exponent(), reg_unit(options.kind));
      units.open(X.middleCols(first, n), regs.segment(first, n), Z.middleCols(first, n), largest_atom);
      Matrix<T> shifted_codes;
      if (!units.none()) units.enter(shifted_codes = Z.middleCols(first, n));
      const ConstMatrixRef<T> codes = units.none() ? ConstMatrixRef<T>(Z.middleCols(first, n)) : ConstMatrixRef<T>(shifted_codes);
      with_weights_of(first, shared, options, D.code_size(), [&](const P& penalty) {
        TileCertificate<P> certificate(atoms.dictionary(), exact.get(), penalty, 1e-13, n);
        certificate.evaluate(units.X(), codes, units.reg(), seen.weights(first, n));
        if (asked == Asked::all_correlations) certificate.correlate_in_double(codes);
        for (Index i = 0; i < n; ++i) visit(first + i, certificate, i, penalty, codes.col(i), units);
      });
    });
  };
  with_penalty<T>(options, atoms.dictionary(), with_each, Weights::any);
}

/// 2^e value. @throws std::invalid_argument if that overflows
double in_given_units(const std::string& what, double value, int e) {
  const double given = std::ldexp(value, e);
  require(!std::isinf(given), "{} overflows; scale signals, codes and reg down", what);
  return given;
}

template <Scalar T>
LassoCertificate certificate_of(const std::string& where, const Batch<T>& X, const Dictionary<T>& D, const ConstMatrixRef<T>& Z,
                                const Weight<T>& reg, const PenaltyOptions& penalty, const Execution& execution) {
  LassoCertificate found{.objective = Vector<double>(X.size()), .gap = Vector<double>(X.size())};
  for_each_certificate<T>(
      where.c_str(), X, D, Z, reg, penalty, execution, Asked::objective_and_gap,
      [&](Index i, const auto& certificate, Index column, const auto&, const auto&, const TileUnits<T>& units) {
        found.objective(i) = in_given_units(where + ": the objective", certificate.objective(column), units.objective(column));
        found.gap(i) = in_given_units(where + ": the gap", certificate.gap(column), units.objective(column));
      });
  return found;
}

/// The same with the gap that it is beside free atoms (free_atoms.hpp), where there are some.
template <Scalar T>
LassoCertificate certificate_beside_free_atoms(const char* where, const Batch<T>& X, const Dictionary<T>& D,
                                               const ConstMatrixRef<T>& Z, const Reg& reg, const PenaltyOptions& penalty,
                                               const Execution& execution) {
  require_free_atoms_fit<T>(where, X.is_weighted(), D, penalty);
  LassoCertificate found = certificate_of<T>(where, X, D, Z, reg, penalty, execution);
  if (penalty.has_free_atoms())
    found.gap =
        FreeAtoms<T>(where, false, D, penalty).gap(where, X.X, Z, resolve_reg<T>(reg, X, D, penalty, execution), execution);
  return found;
}

}  // namespace

template <Scalar T>
LassoCertificate certificate_at(const char* where, const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& D,
                                const NonDeduced<ConstMatrixRef<T>>& Z, const Vector<T>& regs, const PenaltyOptions& penalty,
                                const Execution& execution) {
  return certificate_of<T>(where, X, D, Z, regs, penalty, execution);
}

template <Scalar T>
Vector<double> lasso_objective(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                               const Reg& reg, const PenaltyOptions& penalty, const Execution& execution) {
  return certificate_of<T>("lasso_objective", X, D, Z, reg, penalty, execution).objective;
}

template <Scalar T>
Vector<double> duality_gap(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                           const Reg& reg, const PenaltyOptions& penalty, const Execution& execution) {
  return certificate_beside_free_atoms<T>("duality_gap", X, D, Z, reg, penalty, execution).gap;
}

template <Scalar T>
LassoCertificate lasso_certificate(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                                   const Reg& reg, const PenaltyOptions& penalty, const Execution& execution) {
  return certificate_beside_free_atoms<T>("lasso_certificate", X, D, Z, reg, penalty, execution);
}

template <Scalar T>
Vector<double> kkt_violation(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                             const Reg& reg, const PenaltyOptions& options, const Execution& execution) {
  Vector<double> violation(X.size());
  for_each_certificate<T>("kkt_violation", X, D, Z, reg, options, execution, Asked::all_correlations,
                          [&](Index i, const auto& certificate, Index column, const auto& penalty, const ConstVectorRef<T>& z,
                              const TileUnits<T>& units) {
                            const auto c = certificate.correlations().col(column);
                            const double distance = penalty.subgradient_distance(z, c, static_cast<double>(units.reg()(column)));
                            violation(i) = in_given_units("kkt_violation: the violation", distance, units.correlation(column));
                          });
  return violation;
}

namespace {

/// reg_max(), infinite where it overflows.
template <Scalar T>
Vector<T> unchecked_reg_max(const Batch<T>& batch, const Dictionary<T>& D, const PenaltyOptions& options,
                            const Execution& execution) {
  const SeenBatch<T> seen("reg_max", batch);
  const ConstMatrixRef<T>& X = seen.X();
  require_signals<T>("reg_max", X, D);
  if (options.has_free_atoms()) {
    const FreeAtoms<T> free("reg_max", batch.is_weighted(), D, options);
    return unchecked_reg_max<T>(free.without(X, execution), free.others(), free.penalty(), execution);
  }
  require_weights_fit<T>("reg_max", options, X.cols(), D.code_size(), Weights::or_infinite);
  const UnitAtoms<T> atoms(D, reg_unit(options.kind));
  const std::unique_ptr<const Dictionary<double>> exact = D.matrix() ? nullptr : atoms.dictionary().in_double();
  Vector<T> largest(X.cols());
  const auto find = [&]<Penalty P>(const P& shared) {
    for_each_tile(signals_per_tile(options, D.code_size()), X.cols(), execution, [&](Index first, Index n, int) {
      TileUnits<T> units(atoms.exponent(), reg_unit(options.kind));
      units.open(X.middleCols(first, n), largest.segment(first, n));
      const Matrix<T> weighted = seen.is_weighted() ? Matrix<T>(units.X().cwiseProduct(seen.weights(first, n))) : Matrix<T>();
      const ConstMatrixRef<T> WX = seen.is_weighted() ? ConstMatrixRef<T>(weighted) : ConstMatrixRef<T>(units.X());
      Matrix<T> correlations(D.code_size(), n);
      atoms.dictionary().adjoint(WX, correlations);
      with_weights_of(first, shared, options, D.code_size(), [&](const P& penalty) {
        const SignalRegMax<P> signal_reg_max(atoms.dictionary(), exact.get(), penalty);
        for (Index i = 0; i < n; ++i)
          largest(first + i) = std::ldexp(signal_reg_max(WX.col(i), correlations.col(i)), units.weight(i));
      });
    });
  };
  with_penalty<T>(options, atoms.dictionary(), find, Weights::or_infinite);
  return largest;
}

}  // namespace

template <Scalar T>
Vector<T> reg_max(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& options,
                  const Execution& execution) {
  const Vector<T> largest = unchecked_reg_max<T>(X, D, options, execution);
  for (Index i = 0; i < largest.size(); ++i)
    require(std::isfinite(largest(i)), "reg_max: that of signal {} overflows; scale signals or atoms down", i);
  return largest;
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
Vector<T> resolve_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                      const Execution& execution) {
  const auto is_weight = [](double value) { return std::isfinite(static_cast<T>(value)) && static_cast<T>(value) > T(0); };
  if (const auto* value = std::get_if<double>(&reg.value())) {
    require(is_weight(*value), "reg = {}, must be > 0 and finite in the signals' precision", *value);
    return Vector<T>::Constant(X.size(), static_cast<T>(*value));
  }
  if (const auto* fraction = std::get_if<Reg::FractionOfMax>(&reg.value()))
    return fraction_of(unchecked_reg_max<T>(X, D, penalty, execution), *fraction);
  const auto& values = std::get<std::vector<double>>(reg.value());
  require(static_cast<Index>(values.size()) == X.size(), "reg: {} entries for {} signals; they must be equal", values.size(),
          X.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] == 0 || is_weight(values[i]), "reg: entry {} is {}, must be > 0 and finite in the signals' precision", i,
            values[i]);
  if (const auto zero = std::find(values.begin(), values.end(), 0.0); zero != values.end()) {
    const Vector<T> largest = unchecked_reg_max<T>(X, D, penalty, execution);  // 0 is a weight only where the code is 0 anyway
    for (Index i = zero - values.begin(); i < X.size(); ++i)
      require(values[static_cast<std::size_t>(i)] > 0 || largest(i) == T(0), "reg: entry {} is 0, must be > 0", i);
  }
  return Eigen::Map<const Vector<double>>(values.data(), X.size()).template cast<T>();
}

namespace {

/// The number, if it is one, or fraction of what find() comes to of reg_max.
template <Scalar T>
double one_weight(const Reg& reg, const auto& find) {
  require(!reg.is_per_signal(), "reg: learning takes one weight for the batch, not one per signal");
  if (const auto* value = std::get_if<double>(&reg.value())) return *value;
  const double fraction = std::get<Reg::FractionOfMax>(reg.value()).value, largest = find();
  require(largest > 0, "reg: reg_max of the batch is 0 (all signals are zero), so a fraction of it is no weight");
  require(std::isfinite(largest), "reg: reg_max of the batch overflows, so a fraction of it is no weight; scale the signals");
  return fraction * largest;
}

}  // namespace

namespace {
constexpr Index most_drawn = 10000;
}

std::vector<Index> drawn_for_reg(Index n_signals, std::uint64_t seed) {
  constexpr std::uint32_t reg_stream = 300;
  if (n_signals > most_drawn) return RandomStream(seed, reg_stream).choose(n_signals, most_drawn);
  std::vector<Index> all(static_cast<std::size_t>(n_signals));
  std::iota(all.begin(), all.end(), Index{0});
  return all;
}

template <Scalar T>
double resolve_run_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                       std::uint64_t seed, const Execution& execution) {
  return one_weight<T>(reg, [&] {
    Vector<T> all;
    if (X.size() <= most_drawn) {
      all = unchecked_reg_max<T>(X, D, penalty, execution);
    } else {
      const std::vector<Index> drawn = drawn_for_reg(X.size(), seed);
      const Matrix<T> some = X.X(Eigen::all, drawn);
      const Matrix<T> weights = X.is_weighted() ? Matrix<T>((*X.weights)(Eigen::all, drawn)) : Matrix<T>();
      all = unchecked_reg_max<T>(X.is_weighted() ? Batch<T>(some, weights) : Batch<T>(some), D, penalty, execution);
    }
    std::vector<T> positive;
    std::ranges::copy_if(all, std::back_inserter(positive), [](T v) { return v > T(0); });
    if (positive.empty()) return 0.0;
    const auto n = static_cast<double>(positive.size());
    const auto place = positive.begin() + static_cast<Index>(std::ceil(0.99 * n)) - 1;
    std::ranges::nth_element(positive, place);
    return static_cast<double>(*place);
  });
}

template <Scalar T>
double resolve_batch_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                         const Execution& execution) {
  return one_weight<T>(reg, [&] { return static_cast<double>(unchecked_reg_max<T>(X, D, penalty, execution).maxCoeff()); });
}

#define RIATA_INSTANTIATE(T)                                                                                                     \
  template class TileCertificate<L1<T>>;                                                                                         \
  template class TileCertificate<GroupL1<T>>;                                                                                    \
  template class TileCertificate<L0<T>>;                                                                                         \
  template class TileCertificate<Given<T>>;                                                                                      \
  template class SignalRegMax<L1<T>>;                                                                                            \
  template class SignalRegMax<GroupL1<T>>;                                                                                       \
  template class SignalRegMax<L0<T>>;                                                                                            \
  template class SignalRegMax<Given<T>>;                                                                                         \
  template void require_features<T>(const char*, Index, const Dictionary<T>&);                                                   \
  template void require_weights_fit<T>(const char*, const PenaltyOptions&, Index, Index, Weights);                               \
  template void require_signals<T>(const char*, const ConstMatrixRef<T>&, const Dictionary<T>&);                                 \
  template void require_codes<T>(const char*, const char*, const ConstMatrixRef<T>&, Index, Index);                              \
  template Vector<double> lasso_objective<T>(const Batch<T>&, const Dictionary<T>&, const ConstMatrixRef<T>&, const Reg&,        \
                                             const PenaltyOptions&, const Execution&);                                           \
  template Vector<double> duality_gap<T>(const Batch<T>&, const Dictionary<T>&, const ConstMatrixRef<T>&, const Reg&,            \
                                         const PenaltyOptions&, const Execution&);                                               \
  template LassoCertificate certificate_at<T>(const char*, const ConstMatrixRef<T>&, const Dictionary<T>&,                       \
                                              const ConstMatrixRef<T>&, const Vector<T>&, const PenaltyOptions&,                 \
                                              const Execution&);                                                                 \
  template LassoCertificate lasso_certificate<T>(const Batch<T>&, const Dictionary<T>&, const ConstMatrixRef<T>&, const Reg&,    \
                                                 const PenaltyOptions&, const Execution&);                                       \
  template Vector<double> kkt_violation<T>(const Batch<T>&, const Dictionary<T>&, const ConstMatrixRef<T>&, const Reg&,          \
                                           const PenaltyOptions&, const Execution&);                                             \
  template Vector<T> reg_max<T>(const Batch<T>&, const Dictionary<T>&, const PenaltyOptions&, const Execution&);                 \
  template Vector<T> resolve_reg<T>(const Reg&, const Batch<T>&, const Dictionary<T>&, const PenaltyOptions&, const Execution&); \
  template double resolve_run_reg<T>(const Reg&, const Batch<T>&, const Dictionary<T>&, const PenaltyOptions&, std::uint64_t,    \
                                     const Execution&);                                                                          \
  template double resolve_batch_reg<T>(const Reg&, const Batch<T>&, const Dictionary<T>&, const PenaltyOptions&,                 \
                                       const Execution&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
