#include "riata/solvers/gram_homotopy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/memory.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

/// An atom whose correlation falls as fast as reg, but for this share, never ties: it lies in the span of A, or nearly.
template <Scalar P>
constexpr P parallel = std::same_as<P, float> ? P(0x1p-16) : P(0x1p-40);

constexpr double nearly_dependent = 1e-9;  // l^2 / G_kk
constexpr int most_idle = 100;             // steps of no length in a row: more, and tied atoms take turns without end
constexpr int knots_between_looks = 16;    // at the clock

/// A power of two near to a number, which may be 0.
double unit_of(double largest) { return largest > 0 ? std::ldexp(1.0, std::ilogb(largest)) : 1.0; }

}  // namespace

PathGram::PathGram(const MatrixView<double>& D, const Execution& execution) {
  const Index rows = round_up_to_block<float>(D.cols());
  make_room("encode", "the Gram matrix of the path", rows, D.cols(), "choose method = 'cd'", exact);
  make_room("encode", "the Gram matrix of the path", rows, D.cols(), "choose method = 'cd'", rounded);
  exact.bottomRows(exact.rows() - D.cols()).setZero();
  gram_matrix<double>(D, exact.topRows(D.cols()), execution);
  unit = unit_of(exact.diagonal().maxCoeff());
  exact /= unit;
  rounded = exact.cast<float>();
}

template <Scalar P>
GramHomotopy<P>::GramHomotopy(const PathGram& gram, const MatrixView<double>& D, const Vector<double>& weights, bool positive)
    : gram_(gram),
      G_(gram.template in<P>()),
      D_(D),
      unit_of_weights_(unit_of(weights.array().isInf().select(0, weights).maxCoeff())),
      weights_(weights / unit_of_weights_),
      positive_(positive),
      kernels_(path_kernels<P>()),
      inverse_(inverse_factor_kernels()),
      dots_(gram_kernels<double>()),
      a_(G_.rows()),
      c_(Vector<P>::Zero(G_.rows())),
      all_bounds_(Vector<P>::Constant(G_.rows(), static_cast<P>(far_bound))),
      residual_(D.rows()) {
  for (Index j = 0; j < weights_.size(); ++j)
    if (gram.exact(j, j) > 0 && std::isfinite(weights_(j))) all_bounds_(j) = static_cast<P>(weights_(j));
  inverse_bounds_ = all_bounds_.cwiseInverse();
}

template <Scalar P>
template <Scalar T>
bool GramHomotopy<P>::follow(const ConstVectorRef<double>& x, const ConstVectorRef<T>& c, double reg, int most_knots) {
  Event event = start(c);
  const double last_reg = reg * unit_of_weights_ / unit_;
  double moved = 0;
  for (int idle = 0; reg_ > last_reg; idle = moved > 0 ? 0 : idle + 1) {
    if (n_knots_ == most_knots || idle > most_idle) return false;
    if (n_knots_++ % knots_between_looks == 0) leave_if_stopped();
    if (event.leaves >= 0)
      leave(event.leaves);
    else if (!enter(event.enters, event.sign))
      return false;
    event = next(last_reg, moved);
    moved = event.delta;
    for (Index k = 0; k < size(); ++k) z_(k) += moved * w_(k);
    reg_ = event.enters < 0 && event.leaves < 0 ? last_reg : reg_ - moved;
  }
  refine(x, reg);
  for (Index k = 0; k < size(); ++k)
    if (!(target_(k) * z_(k) > 0)) return false;
  return true;
}

/// z = 0, at reg_max, which is the first event.
template <Scalar P>
template <Scalar T>
typename GramHomotopy<P>::Event GramHomotopy<P>::start(const ConstVectorRef<T>& c) {
  atoms_.clear();
  n_knots_ = 0;
  bound_ = all_bounds_;
  a_.setZero();
  unit_ = unit_of(static_cast<double>(c.cwiseAbs().maxCoeff()));
  c_.head(c.size()) = (c.template cast<double>() / unit_).template cast<P>();
  pulls_ = (positive_ ? c_ : Vector<P>(c_.cwiseAbs())).cwiseProduct(inverse_bounds_);
  const P largest = pulls_.maxCoeff();
  Index j = 0;
  if (largest > 0)
    while (pulls_(j) != largest) ++j;
  reg_ = std::abs(static_cast<double>(c(j)) / unit_) / weights_(j);
  return {.enters = j, .sign = c(j) < 0 ? -1.0 : 1.0};
}

/// Where c, whose last move is still to be made, or z meets its bound first on the way to `reg`.
template <Scalar P>
typename GramHomotopy<P>::Event GramHomotopy<P>::next(double reg, double moved) {
  Event event{.delta = reg_ - reg};
  for (Index k = 0; k < size(); ++k) {
    rounded_w_(k) = static_cast<P>(w_(k));
    if (target_(k) * w_(k) < 0 && std::abs(z_(k)) < event.delta * std::abs(w_(k)))
      event = {.delta = std::abs(z_(k) / w_(k)), .leaves = k};
  }
  const PathEvent<P> ties = kernels_.step({.rows = G_.rows(),
                                           .G = G_.data(),
                                           .count = size(),
                                           .places = atoms_.data(),
                                           .w = rounded_w_.data(),
                                           .moved = static_cast<P>(moved),
                                           .reg = static_cast<P>(reg_),
                                           .farthest = static_cast<P>(event.delta),
                                           .parallel = parallel<P>,
                                           .positive = positive_,
                                           .bound = bound_.data(),
                                           .a = a_.data(),
                                           .c = c_.data()});
  if (ties.atom < 0) return event;
  return {.delta = static_cast<double>(ties.delta), .enters = ties.atom, .sign = static_cast<double>(ties.sign)};
}

/// False where the atom lies in the span of the others, or its code would not take its sign.
template <Scalar P>
bool GramHomotopy<P>::enter(Index j, double sign) {
  reserve();
  const Index n = size();
  const double* G_j = gram_.exact.col(j).data();
  double gw = 0;
  for (Index k = 0; k < n; ++k) {
    g_(k) = G_j[atoms_[static_cast<std::size_t>(k)]];
    gw += g_(k) * w_(k);
  }
  for (Index k = n; k < round_up_to_factor_block(n); ++k) g_(k) = 0;
  const double l_sq = G_j[j] - inverse_.apply(factor(), g_.data(), v_.data());
  const double target = sign * weights_(j), gamma = (target - gw) / l_sq;
  if (!(l_sq > nearly_dependent * G_j[j]) || !(sign * gamma > 0)) return false;
  double* U_n = U_.col(n).data();
  const double inverse_l = 1 / std::sqrt(l_sq);
  for (Index k = 0; k < n; ++k) {
    w_(k) -= gamma * v_(k);
    U_n[k] = -inverse_l * v_(k);
  }
  w_(n) = gamma;
  U_n[n] = inverse_l;
  for (Index k = n + 1; k < round_up_to_factor_block(n + 1); ++k) U_n[k] = 0;
  z_(n) = 0;
  target_(n) = target;
  atoms_.push_back(static_cast<int>(j));
  bound_(j) = static_cast<P>(far_bound);
  return true;
}

template <Scalar P>
void GramHomotopy<P>::leave(Index k) {
  inverse_.remove(factor(), k, v_.data());
  const double share = w_(k) / v_(k);
  for (Index i = 0; i < size(); ++i) w_(i) -= share * v_(i);
  for (Vector<double>* of : {&z_, &w_, &target_}) std::copy(of->data() + k + 1, of->data() + size(), of->data() + k);
  const Index j = atoms_[static_cast<std::size_t>(k)];
  bound_(j) = all_bounds_(j);
  atoms_.erase(atoms_.begin() + k);
}

/// Room for one more atom.
template <Scalar P>
void GramHomotopy<P>::reserve() {
  if (size() < U_.cols()) return;
  const Index room = std::max<Index>(64, 2 * U_.cols());
  Matrix<double> larger(room + factor_block, room);  // factor_block more, so that columns start in different cache sets
  larger.topLeftCorner(U_.rows(), U_.cols()) = U_;
  U_.swap(larger);
  for (Vector<double>* of : {&z_, &w_, &target_, &g_, &v_}) of->conservativeResize(room);
  rounded_w_.conservativeResize(room);
  columns_.resize(static_cast<std::size_t>(room));
}

/// Back to the units of x, reg and D, and the Newton step.
template <Scalar P>
void GramHomotopy<P>::refine(const ConstVectorRef<double>& x, double reg) {
  const Index n = size();
  if (n == 0) return;
  z_.head(n) *= unit_ / gram_.unit;
  for (Index k = 0; k < n; ++k) columns_[static_cast<std::size_t>(k)] = D_.col(atoms_[static_cast<std::size_t>(k)]).data();
  residual_ = x;
  subtract_columns(residual_.size(), n, columns_.data(), z_.data(), residual_.data());
  dots_.dot_columns({.rows = D_.rows(),
                     .stride = D_.rows(),
                     .A = D_.data(),
                     .count = n,
                     .places = atoms_.data(),
                     .r = residual_.data(),
                     .out = g_.data()});
  for (Index k = 0; k < n; ++k) g_(k) -= reg * (unit_of_weights_ * target_(k));
  for (Index k = n; k < round_up_to_factor_block(n); ++k) g_(k) = 0;
  inverse_.apply(factor(), g_.data(), v_.data());
  for (Index k = 0; k < n; ++k) z_(k) += v_(k) / gram_.unit;
}

template <Scalar P>
template <Scalar T>
void GramHomotopy<P>::write_code(VectorRef<T> z) const {
  z.setZero();
  for (Index k = 0; k < size(); ++k) z(atoms_[static_cast<std::size_t>(k)]) = static_cast<T>(z_(k));
}

template class GramHomotopy<float>;
template class GramHomotopy<double>;
#define RIATA_INSTANTIATE(P, T)                                                                                \
  template bool GramHomotopy<P>::follow(const ConstVectorRef<double>&, const ConstVectorRef<T>&, double, int); \
  template void GramHomotopy<P>::write_code(VectorRef<T>) const;
RIATA_INSTANTIATE(float, float)
RIATA_INSTANTIATE(float, double)
RIATA_INSTANTIATE(double, float)
RIATA_INSTANTIATE(double, double)
#undef RIATA_INSTANTIATE

}  // namespace riata
