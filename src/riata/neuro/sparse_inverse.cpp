#include "riata/neuro/sparse_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/neuro/whitening.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/joint.hpp"

namespace riata {
namespace {

constexpr double least_visible = 1e-10;  // of what the sensors see of a source, the part that whitening must leave

void require_arrays(const ConstMatrixRef<double>& M, const ConstMatrixRef<double>& G, const ConstMatrixRef<double>& noise_cov,
                    const SparseInverseOptions& options) {
  require(M.size() > 0, "sparse_inverse: M has shape ({}, {}), must have at least one channel and one instant", M.rows(),
          M.cols());
  require(G.rows() == M.rows() && G.cols() > 0,
          "sparse_inverse: G has shape ({}, {}) but M has {} channels; expected ({}, n_sources)", G.rows(), G.cols(), M.rows(),
          M.rows());
  require(noise_cov.rows() == M.rows() && noise_cov.cols() == M.rows(),
          "sparse_inverse: noise_cov has shape ({}, {}), expected ({}, {}), a row and a column per channel", noise_cov.rows(),
          noise_cov.cols(), M.rows(), M.rows());
  require(G.cols() % options.n_orient == 0, "sparse_inverse: G has {} columns, no multiple of n_orient = {}", G.cols(),
          options.n_orient);
  require_in_range<double>("sparse_inverse", "M", M, {"instant", "channel"});
  require_in_range<double>("sparse_inverse", "G", G, {"column", "channel"});
}

/// What W makes of a unit in each channel, at most of its type: so that types of any units can be compared. A channel of its own
/// may be projected away.
Vector<double> units_by_type(const Matrix<double>& W, const std::vector<std::string>& types) {
  std::map<std::string, double> largest;
  const auto type = [&](Index i) { return types.empty() ? std::string() : types[static_cast<std::size_t>(i)]; };
  for (Index i = 0; i < W.cols(); ++i) largest[type(i)] = std::max(largest[type(i)], W.col(i).norm());
  Vector<double> units(W.cols());
  for (Index i = 0; i < W.cols(); ++i) units(i) = largest[type(i)];
  return units;
}

/// w_s = ||(W G)_s||_F^depth, and 0 for a silent source: one that is zero at all channels, or that the noise's null space hides.
/// @throws std::invalid_argument if all are silent
Vector<double> depth_weights(const ConstMatrixRef<double>& G, const Matrix<double>& W, const Matrix<double>& WG,
                             const SparseInverseOptions& options) {
  const Index size = options.n_orient;
  const Vector<double> units = units_by_type(W, options.channel_types);
  Vector<double> weights(G.cols() / size);
  for (Index s = 0; s < weights.size(); ++s) {
    const double before = (units.asDiagonal() * G.middleCols(s * size, size)).norm();
    const double after = WG.middleCols(s * size, size).norm();
    weights(s) = after > least_visible * before ? std::pow(after, options.depth) : 0;
  }
  require((weights.array() > 0).any(),
          "sparse_inverse: no channel sees any of the {} sources of G: each is zero, or lies in the null space of noise_cov",
          weights.size());
  return weights;
}

/// 2^-e reg
Reg in_unit(const Reg& reg, int e) {
  const auto* value = std::get_if<double>(&reg.value());
  return value == nullptr ? reg : Reg(shifted_reg(*value, e));
}

/// Solves the whitened problem, X ~ D Z.
struct Solution {
  Matrix<double> Z;
  double reg;
  int n_iter;
};

Solution solve(const Matrix<double>& X, const DenseDictionary<double>& D, const Reg& reg, const SparseInverseOptions& options) {
  require(!reg.is_per_signal(), "reg: sparse_inverse takes one weight for all instants, not one per instant");
  if (options.penalty == SourcePenalty::group) {
    auto joint = joint_encode<double>(
        X, D, reg,
        {.tol = options.tol, .max_iter = options.max_iter, .group_size = options.n_orient, .execution = options.execution});
    return {.Z = std::move(joint.codes), .reg = joint.reg, .n_iter = joint.n_iter};
  }
  const double lambda = resolve_batch_reg<double>(reg, X, D, {}, options.execution);
  EncodeOptions encode_options{.method = Solver::coordinate_descent, .tol = options.tol, .max_iter = options.max_iter};
  encode_options.execution = options.execution;
  auto coded = encode<double>(X, D, lambda, encode_options);
  return {.Z = std::move(coded.codes), .reg = lambda, .n_iter = coded.n_iter.maxCoeff()};
}

/// Objective and gap of all instants together, at codes Z; `done` instant by instant with l1.
struct Worth {
  double objective, gap;
  bool done;
};

Worth certify(const Matrix<double>& X, const DenseDictionary<double>& D, const Matrix<double>& Z, double reg,
              const SparseInverseOptions& options) {
  if (options.penalty == SourcePenalty::group) {
    const JointCertificate joint = joint_certificate<double>(X, D, Z, reg, options.n_orient);
    return {joint.objective, joint.gap, joint.gap <= options.tol * 0.5 * X.squaredNorm()};
  }
  const Vector<double> gaps = duality_gap<double>(X, D, Z, reg, {}, options.execution);
  const Vector<double> targets = options.tol * 0.5 * X.colwise().squaredNorm().transpose();
  return {lasso_objective<double>(X, D, Z, reg, {}, options.execution).sum(), gaps.sum(),
          (gaps.array() <= targets.array()).all()};
}

}  // namespace

void SparseInverseOptions::validate() const {
  check_options(*this);
  require(n_orient == 1 || n_orient == 3, "n_orient = {}, must be 1 (fixed orientation) or 3 (free)", n_orient);
  require(n_orient == 1 || penalty == SourcePenalty::group,
          "n_orient = 3 is for penalty = 'group': l1 would prefer the axes of the coordinate system");
  require(std::isfinite(tol) && tol >= 0, "tol = {}, must be >= 0 and finite", tol);
  require(max_iter >= 1, "max_iter = {}, must be >= 1", max_iter);
}

SparseInverseResult sparse_inverse(const ConstMatrixRef<double>& M, const ConstMatrixRef<double>& G,
                                   const ConstMatrixRef<double>& noise_cov, const Reg& reg, const SparseInverseOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_arrays(M, G, noise_cov, options);
  const Matrix<double> W = whitener(noise_cov, options.channel_types, options.rank_tol);
  Matrix<double> X(W.rows(), M.cols()), D(W.rows(), G.cols());
  multiply<double>(W, M, X);
  multiply<double>(W, G, D);
  const Vector<double> weights = depth_weights(G, W, D, options);
  const Vector<double> column_weights = weights.transpose().replicate(options.n_orient, 1).reshaped();    // one per column of G
  const Vector<double> scales = (column_weights.array() > 0).select(column_weights.cwiseInverse(), 0.0);  // silent: no amplitude
  D *= scales.asDiagonal();

  const DenseDictionary<double> dictionary(std::move(D));
  const int e = signal_exponent(largest_entry<double>(X));  // the unit of all fields (units.hpp)
  X = shifted(X, -e).eval();
  const Solution solution = solve(X, dictionary, in_unit(reg, e), options);
  SparseInverseResult result{.sources = scales.asDiagonal() * solution.Z,
                             .active = {},
                             .reg = std::ldexp(solution.reg, e),
                             .objective = 0,
                             .gap = 0,
                             .gap_rel = 0,
                             .whitener = W,
                             .depth_weights = weights,
                             .n_iter = solution.n_iter,
                             .status = {}};
  for (Index s = 0; s < weights.size(); ++s)
    if (!result.sources.middleRows(s * options.n_orient, options.n_orient).isZero(0)) result.active.push_back(s);

  // What is certified are the sources as returned, not the codes they came from.
  const Matrix<double> Z = column_weights.asDiagonal() * result.sources;
  const Worth worth = certify(X, dictionary, Z, solution.reg, options);
  const double half_norm_sq = 0.5 * X.squaredNorm();
  result.sources = shifted(result.sources, e).eval();
  result.objective = std::ldexp(worth.objective, 2 * e);
  result.gap = std::ldexp(worth.gap, 2 * e);
  require(result.sources.allFinite() && std::isfinite(result.objective) && std::isfinite(result.gap),
          "sparse_inverse: the sources or their objective overflow; scale M or G");
  result.gap_rel = half_norm_sq > 0 ? worth.gap / half_norm_sq : 0;
  result.status = worth.done ? Status::converged : Status::max_iter_reached;
  return result;
}

}  // namespace riata
