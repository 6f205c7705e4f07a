#include "riata/linalg/growing_qr.hpp"

#include <Eigen/Jacobi>
#include <algorithm>

namespace riata {

GrowingQr::GrowingQr(Index n_rows, Index most_columns) : Q_(n_rows, std::min(n_rows, most_columns)), R_(Q_.cols(), Q_.cols()) {}

bool GrowingQr::append(const ConstVectorRef<double>& column, double tolerance) {
  if (size_ == Q_.cols()) return false;
  const auto Q = Q_.leftCols(size_);
  Vector<double> q = column, r = Vector<double>::Zero(size_);
  for (int pass = 0; pass < 2; ++pass) {  // "twice is enough" for orthogonality to rounding
    const Vector<double> c = Q.transpose() * q;
    q.noalias() -= Q * c;
    r += c;
  }
  const double distance = q.norm();
  if (!(distance > tolerance * column.norm())) return false;
  q /= distance;
  q.noalias() -= Q * (Q.transpose() * q).eval();  // a column nearly in the span leaves a direction made of rounding
  q.normalize();
  R_.col(size_).head(size_) = r;
  R_.row(size_).head(size_).setZero();
  R_(size_, size_) = distance;
  Q_.col(size_++) = q;
  return true;
}

void GrowingQr::remove(Index k) {
  for (Index j = k; j + 1 < size_; ++j) R_.col(j).head(j + 2) = R_.col(j + 1).head(j + 2);
  --size_;
  for (Index j = k; j < size_; ++j) {  // R is upper Hessenberg from column k on
    Eigen::JacobiRotation<double> rotation;
    rotation.makeGivens(R_(j, j), R_(j + 1, j));
    R_.middleCols(j, size_ - j).applyOnTheLeft(j, j + 1, rotation.adjoint());
    Q_.applyOnTheRight(j, j + 1, rotation);
    R_(j + 1, j) = 0;
    if (R_(j, j) < 0) {  // the diagonal stays positive
      R_.row(j).segment(j, size_ - j) *= -1;
      Q_.col(j) *= -1;
    }
  }
}

Vector<double> GrowingQr::solve_transposed(const ConstVectorRef<double>& b) const {
  return R_.topLeftCorner(size_, size_).triangularView<Eigen::Upper>().transpose().solve(b);
}

Vector<double> GrowingQr::solve(const ConstVectorRef<double>& b) const {
  return R_.topLeftCorner(size_, size_).triangularView<Eigen::Upper>().solve(b);
}

}  // namespace riata
