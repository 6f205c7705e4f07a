#include "riata/solvers/working_set.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

constexpr Index large = 128;  // below, all sweeps take as long as a few looks at the clock

/// A power of two near to the root.
double unit_of_square(double square) { return square > 0 ? std::ldexp(1.0, std::ilogb(square) / 2) : 1.0; }

constexpr Index padded(Index n) { return (n + 7) / 8 * 8; }

}  // namespace

template <Scalar T, Scalar S>
WorkingSet<T, S>::WorkingSet(GramOperator<T>& gram, const L1<T>& penalty)
    : gram_(gram),
      penalty_(penalty),
      is_member_(static_cast<std::size_t>(gram.size()), 0),
      joining_(static_cast<std::size_t>(gram.size())) {
  if constexpr (!std::same_as<S, T>) {
    T largest = 0;
    for (Index j = 0; j < gram.size(); ++j) largest = std::max(largest, gram.squared_norm(j));
    atom_unit_ = static_cast<T>(unit_of_square(static_cast<double>(largest)));
  }
}

template <Scalar T, Scalar S>
void WorkingSet<T, S>::start(const T* z, const T* q, const T* c, T reg, double half_norm_sq) {
  for (const Index j : atoms_) is_member_[static_cast<std::size_t>(j)] = 0;
  atoms_.clear();
  reg_ = reg;
  ridge_ = static_cast<T>(penalty_.ridge(static_cast<double>(reg)));
  if constexpr (!std::same_as<S, T>) {
    signal_unit_ = unit_of_square(half_norm_sq);
    code_unit_ = static_cast<T>(signal_unit_) / atom_unit_;
    per_correlation_ = 1 / static_cast<T>(signal_unit_) / atom_unit_;
  }
  half_norm_sq_ = half_norm_sq / signal_unit_ / signal_unit_;
  joining_.resize(is_member_.size());
  joining_.resize(static_cast<std::size_t>(find_nonzeros(gram_.size(), z, joining_.data())));
  append(z, q, c);
}

template <Scalar T, Scalar S>
bool WorkingSet<T, S>::grow(const T* q, const T* c, double least, Index most) {
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
template <Scalar T, Scalar S>
void WorkingSet<T, S>::append(const T* z, const T* q, const T* c) {
  const Index before = size(), n_new = std::ssize(joining_), n = before + n_new, n_padded = padded(n);
  if (n_new == 0) return;
  reserve(n_padded);
  atoms_.insert(atoms_.end(), joining_.begin(), joining_.end());
  if constexpr (std::same_as<S, T>) {
    gram_.block(atoms_, joining_, H_.block(0, before, n, n_new));
  } else {
    if (block_.rows() < n || block_.cols() < n_new) block_.resize(H_.rows(), std::max(n_new, block_.cols()));
    gram_.block(atoms_, joining_, block_.topLeftCorner(n, n_new));
    H_.block(0, before, n, n_new) = (block_.topLeftCorner(n, n_new) / (atom_unit_ * atom_unit_)).template cast<S>();
  }
  for (Index k = before; k < n; ++k)
    for (Index l = 0; l < before; ++l) H_(k, l) = H_(l, k);
  if (n < n_padded) {
    H_.block(n, 0, n_padded - n, n).setZero();
    for (Vector<S>* v : {&z_, &q_}) v->segment(n, n_padded - n).setZero();
  }
  for (Index k = before; k < n; ++k) {
    const Index j = atoms_[static_cast<std::size_t>(k)];
    is_member_[static_cast<std::size_t>(j)] = 1;
    H_(k, k) += static_cast<S>(ridge_ / (atom_unit_ * atom_unit_));
    z_committed_(k) = z != nullptr ? z[j] : T(0);
    z_(k) = static_cast<S>(z_committed_(k) / code_unit_);
    q_(k) = in_unit(q[j]);
    c_(k) = in_unit(c[j]);
    bound_(k) = in_unit(reg_ * penalty_.weight(j));
    inverse_(k) = H_(k, k) > S(0) ? 1 / H_(k, k) : S(0);
  }
}

/// Room for n atoms, a multiple of 8.
template <Scalar T, Scalar S>
void WorkingSet<T, S>::reserve(Index n) {
  if (n <= H_.cols()) return;
  const Index room = std::max<Index>({64, n, 2 * H_.cols()});
  Matrix<S> larger(room + 16, room);  // 16: so that columns start in different cache sets
  larger.topLeftCorner(padded(size()), size()) = H_.topLeftCorner(padded(size()), size());
  H_.swap(larger);
  for (Vector<S>* v : {&z_, &q_, &c_, &inverse_, &bound_, &coefficients_}) v->conservativeResize(room);
  for (Vector<T>* v : {&z_committed_, &moves_}) v->conservativeResize(room);
  columns_.resize(static_cast<std::size_t>(room));
}

template <Scalar T, Scalar S>
typename WorkingSet<T, S>::Work WorkingSet<T, S>::solve(int most_sweeps, double target, bool newton) {
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
template <Scalar T, Scalar S>
double WorkingSet<T, S>::gap(double largest_pull) const {
  double penalty = 0, zq = 0, zc = 0;
  for (Index k = 0; k < size(); ++k) {
    const auto z = static_cast<double>(z_(k));
    penalty += std::abs(z) * static_cast<double>(bound_(k));
    zq += z * static_cast<double>(q_(k));
    zc += z * static_cast<double>(c_(k));
  }
  const double reg = static_cast<double>(reg_), s = largest_pull <= reg ? 1.0 : reg / largest_pull;
  const double in_its_unit = penalty - s * zq + (1 - s) * (1 - s) * std::max(0.0, half_norm_sq_ - 0.5 * (zc + zq));
  return in_its_unit * signal_unit_ * signal_unit_;
}

template <Scalar T, Scalar S>
double WorkingSet<T, S>::largest_pull_inside() const {
  double largest = 0;
  if (penalty_.uniform()) {
    largest = penalty_.largest_pull(size(), q_.data());
  } else {
    for (Index k = 0; k < size(); ++k)
      largest = std::max(largest, penalty_.pull(static_cast<double>(q_(k)), atoms_[static_cast<std::size_t>(k)]));
  }
  return largest / static_cast<double>(per_correlation_);
}

template <Scalar T, Scalar S>
SweepResult WorkingSet<T, S>::sweep() {
  return sweep_coordinates(CoordinateProblem<S>{.n = size(),
                                                .stride = H_.rows(),
                                                .H = H_.data(),
                                                .inverse = inverse_.data(),
                                                .bound = bound_.data(),
                                                .positive = penalty_.positive(),
                                                .q = q_.data(),
                                                .z = z_.data()});
}

/// Fills support_ and returns its size.
template <Scalar T, Scalar S>
Index WorkingSet<T, S>::find_support() {
  support_.resize(static_cast<std::size_t>(size()));
  support_.resize(static_cast<std::size_t>(find_nonzeros(size(), z_.data(), support_.data())));
  return std::ssize(support_);
}

/// Newton steps, each of which but the last ends with atoms at zero. True if the last was a whole one.
template <Scalar T, Scalar S>
bool WorkingSet<T, S>::minimise_on_support() {
  for (int k = 0; k < most_newton_steps; ++k) {
    if (size() >= large) leave_if_stopped();
    if (const Step step = newton_step(); step != Step::clipped) return step == Step::whole;
  }
  return false;
}

/// A Newton step on the support with the signs held, the objective being quadratic there (feature-sign search, Lee, Battle,
/// Raina and Ng, 2006). Coordinates that would change sign stop at zero, all at once if the objective falls by that, else the
/// step ends at the first of them: there it never rises.
template <Scalar T, Scalar S>
typename WorkingSet<T, S>::Step WorkingSet<T, S>::newton_step() {
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
template <Scalar T, Scalar S>
bool WorkingSet<T, S>::newton_direction() {
  const Index n = find_support();
  if (n == 0 || n > largest_newton) return false;
  newton_.resize(n);
  H_support_.resize(n, n);
  for (Index a = 0; a < n; ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    newton_(a) = static_cast<double>(q_(k)) - std::copysign(static_cast<double>(bound_(k)), static_cast<double>(z_(k)));
    const S* h = H_.col(k).data();
    for (Index b = a; b < n; ++b) H_support_(b, a) = static_cast<double>(h[support_[static_cast<std::size_t>(b)]]);
  }
  const double ridge = std::max(1e-10, 4.0 * std::numeric_limits<S>::epsilon() * static_cast<double>(n));
  H_support_.diagonal() *= 1 + ridge;
  return solve_positive_definite(n, H_support_.data(), newton_.data()) && newton_.allFinite();
}

/// change_ = the Newton step with crossings of zero ended there. Were there any?
template <Scalar T, Scalar S>
bool WorkingSet<T, S>::clip_at_zero() {
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
template <Scalar T, Scalar S>
void WorkingSet<T, S>::stop_at_zero() {
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
template <Scalar T, Scalar S>
void WorkingSet<T, S>::try_change() {
  z_tried_ = z_;
  q_tried_ = q_;
  for (Index a = 0; a < change_.size(); ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    z_tried_(k) = static_cast<S>(static_cast<double>(z_(k)) + change_(a));
    coefficients_(a) = z_tried_(k) - z_(k);
    columns_[static_cast<std::size_t>(a)] = H_.col(k).data();
  }
  subtract_columns(padded(size()), change_.size(), columns_.data(), coefficients_.data(), q_tried_.data());
}

/// Does the objective rise from z_ to z_tried_? It changes by -1/2 (q + q_tried)^T change + reg sum w (|z_tried| - |z|).
template <Scalar T, Scalar S>
bool WorkingSet<T, S>::rises() const {
  double difference = 0;
  for (Index a = 0; a < change_.size(); ++a) {
    const Index k = support_[static_cast<std::size_t>(a)];
    difference +=
        static_cast<double>(bound_(k)) * (std::abs(static_cast<double>(z_tried_(k))) - std::abs(static_cast<double>(z_(k)))) -
        0.5 * (static_cast<double>(q_(k)) + static_cast<double>(q_tried_(k))) * static_cast<double>(coefficients_(a));
  }
  return difference > 0;
}

template <Scalar T, Scalar S>
bool WorkingSet<T, S>::commit(T* z, T* q) {
  moved_.clear();
  for (Index k = 0; k < size(); ++k) {
    const Index j = atoms_[static_cast<std::size_t>(k)];
    const T code = static_cast<T>(z_(k)) * code_unit_, move = code - z_committed_(k);
    if (move == T(0)) continue;
    moves_(std::ssize(moved_)) = move;
    moved_.push_back(j);
    if (penalty_.has_ridge()) q[j] -= ridge_ * move;
    z[j] = z_committed_(k) = code;
  }
  if (!moved_.empty()) gram_.subtract_columns(moved_, moves_.data(), q);
  for (Index k = 0; k < size(); ++k) q_(k) = in_unit(q[atoms_[static_cast<std::size_t>(k)]]);
  return !moved_.empty();
}

template class WorkingSet<float>;
template class WorkingSet<double>;
template class WorkingSet<double, float>;

}  // namespace riata
