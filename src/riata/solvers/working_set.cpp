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
WorkingSet<T>::WorkingSet(GramOperator<T>& gram, const L1<T>& penalty)
    : gram_(gram),
      penalty_(penalty),
      is_member_(static_cast<std::size_t>(gram.size()), 0),
      joining_(static_cast<std::size_t>(gram.size())) {}

template <Scalar T>
void WorkingSet<T>::start(const T* z, const T* q, const T* c, T reg, double half_norm_sq) {
  for (const Index j : atoms_) is_member_[static_cast<std::size_t>(j)] = 0;
  atoms_.clear();
  reg_ = reg;
  ridge_ = static_cast<T>(penalty_.ridge(static_cast<double>(reg)));
  half_norm_sq_ = half_norm_sq;
  joining_.resize(is_member_.size());
  joining_.resize(static_cast<std::size_t>(find_nonzeros(gram_.size(), z, joining_.data())));
  append(z, q, c);
}

template <Scalar T>
bool WorkingSet<T>::grow(const T* q, const T* c, double least, Index most) {
  pulled_.clear();
  penalty_.for_each_pulled(gram_.size(), q, static_cast<T>(least), [&](Index j) {
    if (!is_member_[static_cast<std::size_t>(j)] && gram_.squared_norm(j) > T(0))
      pulled_.emplace_back(-penalty_.pull(static_cast<double>(q[j]), j), j);  // the hardest first, of equals the first
  });
  if (std::ssize(pulled_) > most) {
    std::nth_element(pulled_.begin(), pulled_.begin() + most, pulled_.end());
    pulled_.resize(static_cast<std::size_t>(most));
    std::sort(pulled_.begin(), pulled_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  }
  joining_.clear();
  for (const auto& [pull, j] : pulled_) joining_.push_back(j);
  append(nullptr, q, c);
  return !joining_.empty();
}

/// Takes in joining_, whose codes are those of z, or zeros.
template <Scalar T>
void WorkingSet<T>::append(const T* z, const T* q, const T* c) {
  const Index before = size(), n_new = std::ssize(joining_), n = before + n_new, n_padded = padded(n);
  if (n_new == 0) return;
  reserve(n_padded);
  atoms_.insert(atoms_.end(), joining_.begin(), joining_.end());
  gram_.block(atoms_, joining_, H_.block(0, before, n, n_new));
  for (Index k = before; k < n; ++k)
    for (Index l = 0; l < before; ++l) H_(k, l) = H_(l, k);
  if (n < n_padded) {
    H_.block(n, 0, n_padded - n, n).setZero();
    for (Vector<T>* v : {&z_, &q_}) v->segment(n, n_padded - n).setZero();
  }
  for (Index k = before; k < n; ++k) {
    const Index j = atoms_[static_cast<std::size_t>(k)];
    is_member_[static_cast<std::size_t>(j)] = 1;
    H_(k, k) += ridge_;
    z_(k) = z_committed_(k) = z != nullptr ? z[j] : T(0);
    q_(k) = q[j];
    c_(k) = c[j];
    bound_(k) = reg_ * penalty_.weight(j);
    inverse_(k) = H_(k, k) > T(0) ? 1 / H_(k, k) : T(0);
  }
}

/// Room for n atoms, a multiple of 8.
template <Scalar T>
void WorkingSet<T>::reserve(Index n) {
  if (n <= H_.cols()) return;
  const Index room = std::max<Index>({64, n, 2 * H_.cols()});
  Matrix<T> larger(room + 16, room);  // 16: so that columns start in different cache sets
  larger.topLeftCorner(padded(size()), size()) = H_.topLeftCorner(padded(size()), size());
  H_.swap(larger);
  for (Vector<T>* v : {&z_, &z_committed_, &q_, &c_, &inverse_, &bound_, &coefficients_}) v->conservativeResize(room);
  columns_.resize(static_cast<std::size_t>(room));
}

template <Scalar T>
typename WorkingSet<T>::Work WorkingSet<T>::solve(int most_sweeps, double target, bool newton) {
  Work work{.settled = true};
  Index n_since = 0;  // sweeps since the last Newton step
  while (work.sweeps < most_sweeps) {
    if (size() >= large) leave_if_stopped();
    const SweepResult result = sweep();
    ++work.sweeps;
    ++n_since;
    work.settled &= !result.support_changed;
    if (result.decrease == 0) return work;
    if (gap(largest_pull_inside()) <= target) break;
    if (!newton || result.support_changed || n_since * atoms_per_sweep < find_support()) continue;
    if (minimise_on_support()) return work;
    n_since = 0;
    work.settled = false;
  }
  work.settled = false;
  return work;
}

/// As in certificate.hpp, with ||r||^2 = ||x||^2 - z^T c - z^T q, an elastic net's b ||z||^2 included.
template <Scalar T>
double WorkingSet<T>::gap(double largest_pull) const {
  double penalty = 0, zq = 0, zc = 0;
  for (Index k = 0; k < size(); ++k) {
    const auto z = static_cast<double>(z_(k));
    penalty += std::abs(z) * static_cast<double>(bound_(k));
    zq += z * static_cast<double>(q_(k));
    zc += z * static_cast<double>(c_(k));
  }
  const double reg = static_cast<double>(reg_), s = largest_pull <= reg ? 1.0 : reg / largest_pull;
  return penalty - s * zq + (1 - s) * (1 - s) * std::max(0.0, half_norm_sq_ - 0.5 * (zc + zq));
}

template <Scalar T>
double WorkingSet<T>::largest_pull_inside() const {
  if (penalty_.uniform()) return penalty_.largest_pull(size(), q_.data());
  double largest = 0;
  for (Index k = 0; k < size(); ++k)
    largest = std::max(largest, penalty_.pull(static_cast<double>(q_(k)), atoms_[static_cast<std::size_t>(k)]));
  return largest;
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

/// Fills support_ and returns its size.
template <Scalar T>
Index WorkingSet<T>::find_support() {
  support_.resize(static_cast<std::size_t>(size()));
  support_.resize(static_cast<std::size_t>(find_nonzeros(size(), z_.data(), support_.data())));
  return std::ssize(support_);
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
  const Index n = find_support();
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
  moved_.clear();
  for (Index k = 0; k < size(); ++k) {
    const Index j = atoms_[static_cast<std::size_t>(k)];
    if (z_(k) == z_committed_(k)) continue;
    coefficients_(std::ssize(moved_)) = z_(k) - z_committed_(k);
    moved_.push_back(j);
    if (penalty_.has_ridge()) q[j] -= ridge_ * (z_(k) - z_committed_(k));
    z[j] = z_committed_(k) = z_(k);
  }
  if (!moved_.empty()) gram_.subtract_columns(moved_, coefficients_.data(), q);
  for (Index k = 0; k < size(); ++k) q_(k) = q[atoms_[static_cast<std::size_t>(k)]];
  return !moved_.empty();
}

template class WorkingSet<float>;
template class WorkingSet<double>;

}  // namespace riata
