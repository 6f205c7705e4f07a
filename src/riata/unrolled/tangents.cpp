#include "riata/unrolled/tangents.hpp"

#include <algorithm>

#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"

namespace riata {
namespace {

std::vector<Index> support_of(const ConstVectorRef<double>& z) {
  std::vector<Index> S;
  for (Index j = 0; j < z.size(); ++j)
    if (z(j) != 0) S.push_back(j);
  return S;
}

}  // namespace

SignalTrace::SignalTrace(const Matrix<double>& D, const Vector<double>& x, double reg, const L1<double>& penalty,
                         const LayerSchedule& schedule)
    : D_(D), x_(x), schedule_(schedule), iterates_(D.cols(), schedule.n_layers() + 1) {
  iterates_.col(0).setZero();
  Vector<double> r(D.rows());
  for (int k = 0; k < n_layers(); ++k) {
    leave_if_stopped();
    const Vector<double> y_k = y(k);
    r = -x_;
    for (Index j = 0; j < y_k.size(); ++j)
      if (y_k(j) != 0) r += y_k(j) * D_.col(j);
    iterates_.col(k + 1).noalias() = y_k - step(k) * (D_.transpose() * r);
    penalty.prox(iterates_.middleCols(k + 1, 1), Vector<double>::Constant(1, step(k) * schedule.reg_share(k) * reg));
  }
}

std::vector<Index> SignalTrace::support(int k) const { return support_of(z(k)); }

int SignalTrace::settled() const {
  int k = n_layers();
  const auto is_final = [&](int i) { return ((z(i).array() != 0) == (z(n_layers()).array() != 0)).all(); };
  while (k > 0 && is_final(k - 1)) --k;
  return k;
}

Tangents::Tangents(const SignalTrace& trace, const Matrix<double>& gram, const RowDirections& directions,
                   const Matrix<double>& atoms_of_rows, int first)
    : trace_(trace),
      gram_(gram),
      directions_(directions),
      atoms_of_rows_(atoms_of_rows),
      k_(first),
      u_(directions.size(), 0),
      u_before_(directions.size(), 0) {}

void Tangents::advance() {
  const double alpha = trace_.step(k_), m = trace_.momentum(k_ - 1);
  const Vector<double> y = trace_.y(k_);
  const std::vector<Index> S_y = support_of(y);
  const Matrix<double> D_y = trace_.D()(Eigen::all, S_y);
  const Vector<double> r = D_y * y(S_y) - trace_.x();

  // The tangents of y_k = z_k + m (z_k - z_{k-1}), on the atoms where either is not zero.
  std::vector<Index> S = S_;
  Matrix<double> u_y = u_;
  if (m != 0) {
    S.clear();
    std::set_union(S_.begin(), S_.end(), S_before_.begin(), S_before_.end(), std::back_inserter(S));
    u_y.setZero(u_.rows(), static_cast<Index>(S.size()));
    const auto position = [&](Index j) { return std::lower_bound(S.begin(), S.end(), j) - S.begin(); };
    for (std::size_t i = 0; i < S_.size(); ++i) u_y.col(position(S_[i])) += (1 + m) * u_.col(static_cast<Index>(i));
    for (std::size_t i = 0; i < S_before_.size(); ++i)
      u_y.col(position(S_before_[i])) -= m * u_before_.col(static_cast<Index>(i));
  }

  const std::vector<Index> S_next = trace_.support(k_ + 1);
  Matrix<double> pull(u_.rows(), static_cast<Index>(S_next.size()));  // D^T D u
  if (S.empty() || S_next.empty())
    pull.setZero();
  else
    multiply<double>(u_y, Matrix<double>(gram_(S, S_next)), pull);
  const Vector<double> along = directions_.weights(Eigen::all, S_y) * y(S_y);  // <w, y_k>
  const Vector<double> r_rows = r(directions_.rows);
  for (Index i = 0; i < pull.cols(); ++i) {
    const Index j = S_next[static_cast<std::size_t>(i)];
    pull.col(i) =
        -alpha * (pull.col(i) + along.cwiseProduct(atoms_of_rows_.col(j)) + r_rows.cwiseProduct(directions_.weights.col(j)));
    const auto before = std::lower_bound(S.begin(), S.end(), j);
    if (before != S.end() && *before == j) pull.col(i) += u_y.col(before - S.begin());
  }
  u_before_.swap(u_);
  S_before_.swap(S_);
  u_.swap(pull);
  S_ = S_next;
  ++k_;
}

Matrix<double> Tangents::scatter(const Matrix<double>& u, const std::vector<Index>& S) const {
  Matrix<double> all = Matrix<double>::Zero(u.rows(), gram_.cols());
  for (std::size_t i = 0; i < S.size(); ++i) all.col(S[i]) = u.col(static_cast<Index>(i));
  return all;
}

Matrix<double> Tangents::dense() const { return scatter(u_, S_); }

Matrix<double> Tangents::dense_extrapolated() const {
  const double m = trace_.momentum(k_ - 1);
  return (1 + m) * dense() - m * scatter(u_before_, S_before_);
}

Matrix<double> atoms_of(const RowDirections& directions, const Matrix<double>& D) { return D(directions.rows, Eigen::all); }

}  // namespace riata
