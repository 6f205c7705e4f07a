#include "riata/solvers/tv_problem.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"

namespace riata {

Matrix<double> matrix_of(const Dictionary<double>& A) {
  if (A.matrix()) return *A.matrix();
  const Index m = A.signal_size(), k = A.code_size();
  Matrix<double> matrix;
  make_room("tv_solve", "the operator's matrix", m, k, "choose method = 'apgd'", matrix);
  for (Index first = 0; first < k; first += solver_tile) {
    leave_if_stopped();
    const Index n = std::min(solver_tile, k - first);
    Matrix<double> units = Matrix<double>::Zero(k, n);
    for (Index j = 0; j < n; ++j) units(first + j, j) = 1;
    A.apply(units, matrix.middleCols(first, n));
  }
  return matrix;
}

namespace {

/// Have all columns the same entries?
template <Scalar T>
bool is_shared(const ConstMatrixRef<T>& mask) {
  for (Index i = 1; i < mask.cols(); ++i)
    if (!std::equal(mask.col(0).data(), mask.col(0).data() + mask.rows(), mask.col(i).data())) return false;
  return true;
}

template <Scalar T>
void require_mask(const char* where, const ConstMatrixRef<T>& mask, const ConstMatrixRef<T>& X) {
  require(mask.rows() == X.rows() && (mask.cols() == 1 || mask.cols() == X.cols()),
          "{}: mask has shape ({}, {}), expected the signals' ({}, {}), or one row for all", where, mask.cols(), mask.rows(),
          X.cols(), X.rows());
  for (Index i = 0; i < mask.cols(); ++i)
    for (Index t = 0; t < mask.rows(); ++t)
      require(mask(t, i) >= T(0) && mask(t, i) <= T(1),
              "{}: mask holds {} at signal {}, sample {}; must be between 0 and 1 (divide by the largest, and reg too)", where,
              static_cast<double>(mask(t, i)), i, t);
}

}  // namespace

template <Scalar T>
TvProblem<T>::TvProblem(const char* where, const ConstMatrixRef<T>& X, const Dictionary<T>& A, const OptionalMatrixRef<T>& mask)
    : where_(where), X_(X), A_(A.in_double()) {
  require(X.rows() == A.signal_size(), "{}: X has {} samples per signal but the operator gives {}; they must be equal", where,
          X.rows(), A.signal_size());
  if (mask) {
    require_mask<T>(where, *mask, X);
    if (is_shared<T>(*mask))
      shared_ = mask->col(0).template cast<double>();
    else
      mask_.emplace(*mask);
  }
  if (shared_.size() > 0 && (shared_.array() == 1).all()) shared_.resize(0);
  for (Index i = 0; i < X.cols(); ++i) {
    leave_if_stopped();
    if (X.col(i).allFinite()) continue;
    for (Index t = 0; t < X.rows(); ++t) {
      const bool is_seen = mask_ ? (*mask_)(t, i) != T(0) : shared_.size() == 0 || shared_(t) != 0;
      require(!is_seen || std::isfinite(X(t, i)), "{}: X holds {} at signal {}, sample {}; expected finite numbers{}", where,
              static_cast<double>(X(t, i)), i, t, mask ? " where the mask is not 0" : "");
    }
  }
  if (shared_.size() > 0)
    A_ = std::make_unique<DenseDictionary<double>>(Matrix<double>(shared_.cwiseSqrt().asDiagonal() * matrix_of(*A_)));
  unit_.emplace(*A_);
  response_ = response_to_constant(this->A());
  squared_norm_ = this->A().squared_norm();
}

template <Scalar T>
void TvProblem<T>::require_fits(const Reg& reg) const {
  const auto* values = std::get_if<std::vector<double>>(&reg.value());
  require(values == nullptr || std::ssize(*values) == n_signals(), "reg: {} entries for {} signals; they must be equal",
          values == nullptr ? 0 : std::ssize(*values), n_signals());
}

template <Scalar T>
TvTile<T> TvProblem<T>::make_tile(const Reg& reg, Index first, Index n, TvTileCertificate* certificate) const {
  TvTile<T> tile{
      .first = first, .units = {unit_->exponent(), RegUnit::linear}, .given = X_.middleCols(first, n).template cast<double>()};
  if (mask_) {
    tile.weights = mask_->middleCols(first, n).template cast<double>();
    tile.given = (tile.weights.array() == 0).select(0.0, tile.given);
  } else if (shared_.size() > 0) {
    for (Index t = 0; t < shared_.size(); ++t)
      if (shared_(t) == 0)
        tile.given.row(t).setZero();
      else
        tile.given.row(t) *= std::sqrt(shared_(t));
  }
  tile.reg.setOnes(n);
  const auto* number = std::get_if<double>(&reg.value());
  const auto* fraction = std::get_if<Reg::FractionOfMax>(&reg.value());
  if (number != nullptr) tile.reg.setConstant(*number);
  if (const auto* values = std::get_if<std::vector<double>>(&reg.value()))
    tile.reg = Eigen::Map<const Vector<double>>(values->data() + first, n);
  const Vector<double> given = tile.reg;
  tile.units.open(tile.given, given);
  tile.reg = tile.units.reg();
  if (certificate == nullptr) return tile;
  certificate->fit_constants(tile.X(), tile.weights);
  tile.reg_max = certificate->reg_max(tile.weights);
  if (fraction != nullptr) tile.reg = fraction->value * tile.reg_max;
  for (Index i = 0; i < n; ++i) require(tile.reg(i) > 0 || tile.reg_max(i) == 0, "reg: entry {} is 0, must be > 0", first + i);
  return tile;
}

template class TvProblem<float>;
template class TvProblem<double>;

}  // namespace riata
