#include "riata/solvers/working_set.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

constexpr Index large = 128;  // below, all sweeps take as long as a few looks at the clock

constexpr Index padded(Index n) { return (n + 7) / 8 * 8; }

}  // namespace

template <Scalar T>
WorkingSet<T>::WorkingSet(const Matrix<T>& gram, const L1<T>& penalty)
    : G_(gram),
      penalty_(penalty),
      is_member_(static_cast<std::size_t>(gram.cols()), 0),
      nonzeros_(static_cast<std::size_t>(gram.cols())) {}

template <Scalar T>
void WorkingSet<T>::start(const T* z, const T* q, T reg) {
  for (const Index j : atoms_) is_member_[static_cast<std::size_t>(j)] = 0;
  atoms_.clear();
  reg_ = reg;
  ridge_ = static_cast<T>(penalty_.ridge(static_cast<double>(reg)));
  const Index count = find_nonzeros(G_.cols(), z, nonzeros_.data());
  for (const Index j : std::span(nonzeros_).first(static_cast<std::size_t>(count))) add(j, z[j], q[j]);
}

template <Scalar T>
void WorkingSet<T>::add(Index j, T z_j, T q_j) {
  reserve();
  const Index k = size(), block = padded(k + 1);
  atoms_.push_back(j);
  is_member_[static_cast<std::size_t>(j)] = 1;
  const T* g = G_.col(j).data();
  T* h = H_.col(k).data();
  if (k % 8 == 0) H_.block(k, 0, 8, k).setZero();  // a new block of padding below the columns before
  for (Index l = 0; l <= k; ++l) H_(k, l) = h[l] = g[atoms_[static_cast<std::size_t>(l)]];
  for (Index l = k + 1; l < block; ++l) h[l] = q_(l) = z_(l) = T(0);
  h[k] += ridge_;
  z_(k) = z_committed_(k) = z_j;
  q_(k) = q_j;
  bound_(k) = reg_ * penalty_.weight(j);
  inverse_(k) = h[k] > T(0) ? 1 / h[k] : T(0);
}

/// Room for one more atom.
template <Scalar T>
void WorkingSet<T>::reserve() {
  if (size() < H_.cols()) return;
  const Index room = std::max<Index>(64, 2 * H_.cols());
  Matrix<T> larger(room + 16, room);  // 16: so that columns start in different cache sets
  larger.topLeftCorner(H_.rows(), H_.cols()) = H_;
  H_.swap(larger);
  for (Vector<T>* v : {&z_, &z_committed_, &q_, &inverse_, &bound_, &coefficients_}) v->conservativeResize(room);
  columns_.resize(static_cast<std::size_t>(room));
}

template <Scalar T>
bool WorkingSet<T>::grow(const T* q, double least) {
  const Index before = size();
  penalty_.for_each_pulled(G_.cols(), q, static_cast<T>(least), [&](Index j) {
    if (!is_member_[static_cast<std::size_t>(j)] && G_(j, j) > T(0)) add(j, T(0), q[j]);
  });
  return size() > before;
}

template <Scalar T>
typename WorkingSet<T>::Work WorkingSet<T>::solve(int most_sweeps, bool newton) {
  Work work{.settled = true};
  while (work.sweeps < most_sweeps) {
    if (size() >= large) leave_if_stopped();
    const SweepResult result = sweep();
    ++work.sweeps;
    work.settled &= !result.support_changed;
    if (result.decrease == 0) return work;
    if (newton && !result.support_changed) {
      if (minimise_on_support()) return work;
      work.settled = false;
    }
  }
  work.settled = false;
  return work;
}

template <Scalar T>
SweepResult WorkingSet<T>::sweep() {
  return sweep_coordinates(CoordinateProblem<T>{.n = size(),
                                                .stride = H_.rows(),
                                                .H = H_.data(),
                                                .inverse = inverse_.data(),
                                                .bound = bound_.data(),
                                                .positive = penalty_.positive(),
                                                .q = q_.data(),
                                                .z = z_.data()});
}

/// Newton steps, each of which but the last ends with atoms at zero. True if the last was a whole one.
template <Scalar T>
bool WorkingSet<T>::minimise_on_support() {
  for (int k = 0; k < most_newton_steps; ++k) {
    if (size() >= large) leave_if_stopped();
    if (const Step step = newton_step(); step != Step::clipped) return step == Step::whole;
  }
  return false;
}

/// A Newton step on the support with the signs held, the objective being quadratic there (feature-sign search, Lee, Battle,
/// Raina and Ng, 2006). Coordinates that would change sign stop at zero, all at once if the objective falls by that, else the
/// step ends at the first of them: there it never rises.
template <Scalar T>
typename WorkingSet<T>::Step WorkingSet<T>::newton_step() {
  if (!newton_direction()) return Step::none;
  const bool whole = !clip_at_zero();
  try_change();
  if (!whole && rises()) {
    stop_at_zero();
    try_change();
  }
  z_.swap(z_tried_);
  q_.swap(q_tried_);
  return whole ? Step::whole : Step::clipped;
}

/// d = (H + delta diag H)^-1 (q - reg w sign z) on the support. The ridge delta, a share of each atom's squared norm above the
/// rounding of H, turns directions without curvature into long steps.
template <Scalar T>
bool WorkingSet<T>::newton_direction() {
  support_.clear();
  for (Index k = 0; k < size(); ++k)
    if (z_(k) != T(0)) support_.push_back(k);
  const Index n = std::ssize(support_);
  if (n == 0 || n > largest_newton) return false;
  newton_.resize(n);
  H_support_.resize(n, n);
  for (Index a = 0; a < n; ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    newton_(a) = static_cast<double>(q_(k)) - std::copysign(static_cast<double>(bound_(k)), static_cast<double>(z_(k)));
    const T* h = H_.col(k).data();
    for (Index b = a; b < n; ++b) H_support_(b, a) = static_cast<double>(h[support_[static_cast<std::size_t>(b)]]);
  }
  const double ridge = std::max(1e-10, 4.0 * std::numeric_limits<T>::epsilon() * static_cast<double>(n));
  H_support_.diagonal() *= 1 + ridge;
  return solve_positive_definite(n, H_support_.data(), newton_.data()) && newton_.allFinite();
}

/// change_ = the Newton step with crossings of zero ended there. Were there any?
template <Scalar T>
bool WorkingSet<T>::clip_at_zero() {
  bool clipped = false;
  change_.resize(newton_.size());
  for (Index a = 0; a < newton_.size(); ++a) {
    const auto z = static_cast<double>(z_(support_[static_cast<std::size_t>(a)]));
    const bool crosses = z * (z + newton_(a)) <= 0;
    change_(a) = crosses ? -z : newton_(a);
    clipped |= crosses;
  }
  return clipped;
}

/// Shortens the whole step so that it ends where the first coordinate reaches zero.
template <Scalar T>
void WorkingSet<T>::stop_at_zero() {
  double t = 1;
  Index first = 0;
  for (Index a = 0; a < newton_.size(); ++a) {
    const auto z = static_cast<double>(z_(support_[static_cast<std::size_t>(a)]));
    if (z * newton_(a) < 0 && -z / newton_(a) < t) t = -z / newton_(a), first = a;
  }
  change_ = t * newton_;
  change_(first) = -static_cast<double>(z_(support_[static_cast<std::size_t>(first)]));
}

/// z_tried_ and q_tried_ after change_.
template <Scalar T>
void WorkingSet<T>::try_change() {
  z_tried_ = z_;
  q_tried_ = q_;
  for (Index a = 0; a < change_.size(); ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    z_tried_(k) = static_cast<T>(static_cast<double>(z_(k)) + change_(a));
    coefficients_(a) = z_tried_(k) - z_(k);
    columns_[static_cast<std::size_t>(a)] = H_.col(k).data();
  }
  subtract_columns(padded(size()), change_.size(), columns_.data(), coefficients_.data(), q_tried_.data());
}

/// Does the objective rise from z_ to z_tried_? It changes by -1/2 (q + q_tried)^T change + reg sum w (|z_tried| - |z|).
template <Scalar T>
bool WorkingSet<T>::rises() const {
  double difference = 0;
  for (Index a = 0; a < change_.size(); ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    difference +=
        static_cast<double>(bound_(k)) * (std::abs(static_cast<double>(z_tried_(k))) - std::abs(static_cast<double>(z_(k)))) -
        0.5 * (static_cast<double>(q_(k)) + static_cast<double>(q_tried_(k))) * static_cast<double>(coefficients_(a));
  }
  return difference > 0;
}

template <Scalar T>
bool WorkingSet<T>::commit(T* z, T* q) {
  Index moved = 0;
  for (Index k = 0; k < size(); ++k) {
    const Index j = atoms_[static_cast<std::size_t>(k)];
    if (z_(k) == z_committed_(k)) continue;
    coefficients_(moved) = z_(k) - z_committed_(k);
    columns_[static_cast<std::size_t>(moved++)] = G_.col(j).data();
    if (penalty_.has_ridge()) q[j] -= ridge_ * (z_(k) - z_committed_(k));
    z[j] = z_committed_(k) = z_(k);
  }
  subtract_columns(G_.rows(), moved, columns_.data(), coefficients_.data(), q);
  for (Index k = 0; k < size(); ++k) q_(k) = q[atoms_[static_cast<std::size_t>(k)]];
  return moved > 0;
}

template class WorkingSet<float>;
template class WorkingSet<double>;

}  // namespace riata
