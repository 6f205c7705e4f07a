#include "riata/solvers/free_atoms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/terms/penalty.hpp"

namespace riata {
namespace {

constexpr double roundoff = std::numeric_limits<double>::epsilon();

std::vector<Index> places_of_zeros(const std::vector<double>& weights) {
  std::vector<Index> places;
  for (Index j = 0; j < std::ssize(weights); ++j)
    if (weights[static_cast<std::size_t>(j)] == 0) places.push_back(j);
  return places;
}

/// Is what projection left of v its rounding?
bool is_rounding(const ConstVectorRef<double>& left, double norm) {
  return norm_in_range<double>(left) <= 4 * static_cast<double>(left.size()) * roundoff * norm;
}

}  // namespace

template <Scalar T>
void require_free_atoms_fit(const char* where, bool has_mask, const Dictionary<T>& D, const PenaltyOptions& penalty) {
  if (!penalty.has_free_atoms()) return;
  const std::string zero = formatted("{}: weights: entry {} is 0", where, places_of_zeros(penalty.weights).front());
  require(!penalty.has_weights_per_signal(D.code_size()), "{}; where each signal has weights of its own they must be > 0", zero);
  require(penalty.kind == PenaltyKind::l1 && !penalty.positive, "{}; that is for penalty = 'l1' without positive", zero);
  require(!has_mask, "{}; with a mask they must be > 0", zero);
  require_matrix(D, zero.c_str());
  L1<T>(penalty, D.code_size(), Weights::any);  // or it refuses them
}

template <Scalar T>
FreeAtoms<T>::FreeAtoms(const char* where, bool has_mask, const Dictionary<T>& D, const PenaltyOptions& penalty)
    : D_(D.in_double()), norms_(atom_norms(*D_)), free_(places_of_zeros(penalty.weights)), penalty_(rounded<T>(penalty)) {
  require_free_atoms_fit(where, has_mask, D, penalty);
  const MatrixView<double> atoms = *D_->matrix();
  const Index n = atoms.rows(), k = std::ssize(free_);
  U_ = atoms(Eigen::all, free_);
  Vector<double> units(k);  // powers of two, so that no square leaves the range
  for (Index a = 0; a < k; ++a) {
    const double largest = U_.col(a).cwiseAbs().maxCoeff();
    units(a) = largest > 0 ? std::exp2(std::min(-std::ilogb(largest), 1000)) : 1;  // of the least numbers there is no inverse
  }
  const ThinSvd svd = thin_svd(U_ * units.asDiagonal());
  const double least = roundoff * static_cast<double>(std::max(n, k)) * svd.s(0);
  const Index rank = std::ranges::count_if(svd.s, [&](double s) { return s > least; });
  basis_ = svd.U.leftCols(rank);
  pseudo_inverse_ =
      units.asDiagonal() * (svd.V.leftCols(rank) * svd.s.head(rank).cwiseInverse().asDiagonal() * basis_.transpose());

  Matrix<double> others = atoms;
  for (Index j = 0; j < others.cols(); ++j) {
    project(others.col(j));
    if (is_rounding(others.col(j), norms_(j))) others.col(j).setZero();
  }
  for (const Index j : free_) {
    others.col(j).setZero();
    penalty_.weights[static_cast<std::size_t>(j)] = 1;
  }
  exact_others_.emplace(std::move(others));
  if constexpr (std::same_as<T, double>)
    others_ = exact_others_;  // the same atoms
  else
    others_.emplace(Matrix<T>(exact_others_->atoms().template cast<T>()));
}

/// v <- P v, twice, for what rounding leaves of the first time.
template <Scalar T>
void FreeAtoms<T>::project(VectorRef<double> v) const {
  for (int time = 0; time < 2; ++time)
    for (Index k = 0; k < basis_.cols(); ++k) {
      const double* q = basis_.col(k).data();
      add_scaled(v.size(), -fixed_order_dot(v.size(), q, v.data()), q, v.data());
    }
}

template <Scalar T>
template <Scalar S>
Matrix<S> FreeAtoms<T>::projected(const ConstMatrixRef<T>& X, const Execution& execution) const {
  Matrix<S> rest(X.rows(), X.cols());
  for_each_tile(solver_tile, X.cols(), execution, [&](Index first, Index n, int) {
    Vector<double> x(X.rows());
    for (Index i = first; i < first + n; ++i) {
      x = X.col(i).template cast<double>();
      const double norm = norm_in_range<double>(x);
      project(x);
      if (is_rounding(x, norm)) x.setZero();
      rest.col(i) = x.template cast<S>();
    }
  });
  return rest;
}

template <Scalar T>
Matrix<T> FreeAtoms<T>::without(const ConstMatrixRef<T>& X, const Execution& execution) const {
  return projected<T>(X, execution);
}

template <Scalar T>
void FreeAtoms<T>::set_zero(MatrixRef<T> Z) const {
  for (const Index j : free_) Z.row(j).setZero();
}

template <Scalar T>
Vector<double> FreeAtoms<T>::residual(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z) const {
  const MatrixView<double> D = *D_->matrix();
  Vector<double> r = x.template cast<double>();
  for (Index j = 0; j < z.size(); ++j)
    if (z(j) != T(0)) r -= static_cast<double>(z(j)) * D.col(j);
  return r;
}

template <Scalar T>
void FreeAtoms<T>::fit(const ConstMatrixRef<T>& X, MatrixRef<T> Z, const Execution& execution) const {
  set_zero(Z);
  for_each_tile(solver_tile, X.cols(), execution, [&](Index first, Index n, int) {
    for (Index i = first; i < first + n; ++i) {
      const Vector<double> r = residual(X.col(i), Z.col(i));
      Vector<double> u = pseudo_inverse_ * r;
      u += pseudo_inverse_ * (r - U_ * u);
      for (Index a = 0; a < u.size(); ++a) Z(free_[static_cast<std::size_t>(a)], i) = static_cast<T>(u(a));
    }
  });
}

template <Scalar T>
double FreeAtoms<T>::gap_inside(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z) const {
  const Vector<double> r = residual(x, z);
  double fit = 0, length = 0;
  for (Index k = 0; k < basis_.cols(); ++k) {
    const double along = fixed_order_dot(r.size(), basis_.col(k).data(), r.data());
    fit += along * along;
  }
  for (Index j = 0; j < z.size(); ++j) length += std::abs(static_cast<double>(z(j))) * norms_(j);
  return 0.5 * fit + 8 * roundoff * norm_in_range<double>(x.template cast<double>()) * length;
}

template <Scalar T>
Vector<double> FreeAtoms<T>::gap(const char* where, const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const Vector<T>& regs,
                                 const Execution& execution) const {
  constexpr Index block = 32 * solver_tile;  // signals, of which there are copies in double
  Vector<double> gaps(X.cols());
  for (Index first = 0; first < X.cols(); first += block) {
    const Index n = std::min(block, X.cols() - first);
    Matrix<double> codes = Z.middleCols(first, n).template cast<double>();
    for (const Index j : free_) codes.row(j).setZero();
    gaps.segment(first, n) = certificate_at<double>(where, projected<double>(X.middleCols(first, n), execution), *exact_others_,
                                                    codes, regs.segment(first, n).template cast<double>(), penalty_, execution)
                                 .gap;
    for_each_tile(solver_tile, n, execution, [&](Index start, Index count, int) {
      for (Index i = first + start; i < first + start + count; ++i) gaps(i) += gap_inside(X.col(i), Z.col(i));
    });
  }
  require(!gaps.array().isInf().any(), "{}: the gap overflows; scale signals, codes and reg down", where);
  return gaps;
}

#define RIATA_INSTANTIATE(T)   \
  template class FreeAtoms<T>; \
  template void require_free_atoms_fit<T>(const char*, bool, const Dictionary<T>&, const PenaltyOptions&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
