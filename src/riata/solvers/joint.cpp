// Working sets: the groups in use, and those whose correlations exceed reg the most, are solved for by themselves
// (joint_working_set.hpp) until no other group's correlations exceed reg by more than the gap allows.
// Cost of a round: one D Z and one D^T R, and the problem on the working set.
#include "riata/solvers/joint.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/solvers/joint_arrays.hpp"
#include "riata/solvers/joint_working_set.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

constexpr int sweeps_between_looks = 500;

/// ||A_g||_F per group of rows.
Vector<double> group_norms(const Matrix<double>& A, Index group_size) {
  Vector<double> norms(A.rows() / group_size);
  for (Index g = 0; g < norms.size(); ++g) norms(g) = A.middleRows(g * group_size, group_size).norm();
  return norms;
}

double largest_correlation(const Matrix<double>& X, const Matrix<double>& D, Index group_size) {
  Matrix<double> C(D.cols(), X.cols());
  multiply_transposed<double>(D, X, C);
  return group_norms(C, group_size).maxCoeff();
}

class JointSolver {
 public:
  JointSolver(const Matrix<double>& X, const Matrix<double>& D, double reg, const JointOptions& options)
      : X_(X), D_(D), reg_(reg), options_(options), Z_(Matrix<double>::Zero(D.cols(), X.cols())), R_(X), C_(D.cols(), X.cols()) {}

  /// Until gap <= tol * 1/2 ||X||^2, or as far as rounding allows.
  void run() {
    const double half_norm_sq = 0.5 * X_.squaredNorm(), target = options_.tol * half_norm_sq;
    double best = std::numeric_limits<double>::infinity();
    int idle_rounds = 0;
    while (true) {
      const double gap = look_at_all();
      if (gap <= target || n_iter_ >= options_.max_iter) return;
      idle_rounds = gap < 0.5 * best ? 0 : idle_rounds + 1;
      best = std::min(best, gap);
      const bool grew = grow();
      if (S_.empty() || (!grew && idle_rounds > most_idle_rounds)) return;
      // Early rounds need no more than a part of the gap; where S stays, what is left is the inner problem's own.
      const double inner_target = grew ? std::max(0.1 * gap, 0.3 * target) : std::min(0.1 * gap, 0.3 * target);
      if (!solve_on_S(inner_target, half_norm_sq)) idle_rounds = 0;
    }
  }

  const Matrix<double>& codes() const { return Z_; }
  int n_iter() const { return n_iter_; }

 private:
  static constexpr Index fewest_new_groups = 10;
  static constexpr int most_idle_rounds = 10;  // rounds that do not halve the gap: rounding

  /// R = X - D Z, C = D^T R and the gap of all.
  double look_at_all() {
    leave_if_stopped();
    R_ = X_;
    const Index size = options_.group_size;
    for (const Index g : S_) {
      leave_if_stopped();
      R_.noalias() -= D_.middleCols(g * size, size) * Z_.middleRows(g * size, size);
    }
    multiply_transposed<double>(D_, R_, C_);
    pulls_ = group_norms(C_, size);
    const double largest = pulls_.maxCoeff(), s = largest > reg_ ? reg_ / largest : 1.0;
    double value = 0.5 * (1 - s) * (1 - s) * R_.squaredNorm();
    for (const Index g : S_) {
      const auto Z_g = Z_.middleRows(g * size, size);
      value += reg_ * Z_g.norm() - s * Z_g.cwiseProduct(C_.middleRows(g * size, size)).sum();
    }
    return value;
  }

  /// S = the groups in use and those outside that are pulled the most. False if there was none of these.
  bool grow() {
    std::erase_if(
        S_, [&](Index g) { return Z_.middleRows(g * options_.group_size, options_.group_size).isZero(0) && pulls_(g) <= reg_; });
    std::vector<Index> outside;
    for (Index g = 0; g < pulls_.size(); ++g)
      if (pulls_(g) > reg_ && !std::binary_search(S_.begin(), S_.end(), g)) outside.push_back(g);
    const Index n_new = std::min(std::ssize(outside), std::max(fewest_new_groups, std::ssize(S_)));
    std::partial_sort(outside.begin(), outside.begin() + n_new, outside.end(),
                      [&](Index a, Index b) { return pulls_(a) != pulls_(b) ? pulls_(a) > pulls_(b) : a < b; });
    S_.insert(S_.end(), outside.begin(), outside.begin() + n_new);
    std::sort(S_.begin(), S_.end());
    return n_new > 0;
  }

  /// False if the sweeps ran out first.
  bool solve_on_S(double target, double half_norm_sq) {
    const Index size = options_.group_size, n = std::ssize(S_) * size;
    Matrix<double> D_S(D_.rows(), n), Z_S(X_.cols(), n), H(n, n), B(X_.cols(), n);
    for (Index k = 0; k < std::ssize(S_); ++k) {
      const Index first = S_[static_cast<std::size_t>(k)] * size;
      D_S.middleCols(k * size, size) = D_.middleCols(first, size);
      Z_S.middleCols(k * size, size) = Z_.middleRows(first, size).transpose();
    }
    multiply_transposed<double>(D_S, D_S, H);
    multiply_transposed<double>(X_, D_S, B);
    JointWorkingSet problem(std::move(H), std::move(B), std::move(Z_S), reg_, size);
    const int most = std::min(sweeps_between_looks, options_.max_iter - n_iter_);
    const int sweeps = problem.solve(target, half_norm_sq, most);
    n_iter_ += sweeps;
    for (Index k = 0; k < std::ssize(S_); ++k)
      Z_.middleRows(S_[static_cast<std::size_t>(k)] * size, size) = problem.Z().middleCols(k * size, size).transpose();
    return sweeps < most;
  }

  const Matrix<double>& X_;
  const Matrix<double>& D_;
  const double reg_;
  const JointOptions& options_;
  Matrix<double> Z_, R_, C_;
  Vector<double> pulls_;  // ||C_g||_F per group
  std::vector<Index> S_;  // groups, in order
  int n_iter_ = 0;
};

}  // namespace

void JointOptions::validate() const { check_options(*this); }

template <Scalar T>
double joint_reg_max(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, Index group_size) {
  require_signals<T>("joint_reg_max", X, D);
  require_groups(group_size, D.code_size());
  const JointArrays given(ConstMatrixRef<T>(X), D);
  const double largest = std::ldexp(largest_correlation(given.X, given.atoms, group_size), given.e + given.f);
  require(std::isfinite(largest), "joint_reg_max overflows; scale signals or atoms down");
  return largest;
}

template <Scalar T>
JointResult<T> joint_encode(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                            const JointOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("joint_encode", X, D);
  require_groups(options.group_size, D.code_size());
  require(!reg.is_per_signal(), "reg: joint codes take one weight for the batch, not one per signal");
  const JointArrays given(ConstMatrixRef<T>(X), D);
  const auto* fraction = std::get_if<Reg::FractionOfMax>(&reg.value());
  const double largest = fraction ? largest_correlation(given.X, given.atoms, options.group_size) : 0;
  require(!fraction || (largest > 0 && std::isfinite(std::ldexp(largest, given.e + given.f))),
          "reg: reg_max of the batch {}, so a fraction of it is no weight", largest > 0 ? "overflows" : "is 0");
  const double in_unit = fraction ? fraction->value * largest : shifted_reg(std::get<double>(reg.value()), given.e + given.f);
  const double lambda = fraction ? std::ldexp(in_unit, given.e + given.f) : std::get<double>(reg.value());

  JointSolver solver(given.X, given.atoms, in_unit, options);
  solver.run();
  JointResult<T> result{.codes = shifted(solver.codes(), given.e - given.f).template cast<T>(),
                        .support = {},
                        .reg = lambda,
                        .objective = 0,
                        .gap = 0,
                        .n_iter = solver.n_iter(),
                        .status = {}};
  for (Index g = 0; g < D.code_size() / options.group_size; ++g)
    if (!result.codes.middleRows(g * options.group_size, options.group_size).isZero(0)) result.support.push_back(g);
  require(result.codes.allFinite(), "joint_encode: the codes overflow; scale signals or atoms");
  const JointCertificate certificate = certify_joint(given, given.in_unit<T>(result.codes), in_unit, options.group_size);
  result.objective = in_given_units(given, certificate).objective;
  result.gap = in_given_units(given, certificate).gap;
  const bool done = std::isfinite(certificate.gap) && certificate.gap <= options.tol * 0.5 * given.X.squaredNorm();
  result.status = done ? Status::converged : Status::max_iter_reached;
  return result;
}

#define RIATA_INSTANTIATE(T)                                                                    \
  template double joint_reg_max<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, Index); \
  template JointResult<T> joint_encode<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&, const JointOptions&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
