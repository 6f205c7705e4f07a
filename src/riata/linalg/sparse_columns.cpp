#include "riata/linalg/sparse_columns.hpp"

#include "riata/linalg/gram_kernels.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

constexpr double sparse_share =
    0.45;  // of nonzeros, up to which these products are the faster ones: measured, 64 x 256 to 256 x 1024

}  // namespace

template <Scalar T>
SparseColumns<T>::SparseColumns(Index rows, Index cols)
    : rows_(rows),
      starts_(static_cast<std::size_t>(cols) + 1),
      places_(static_cast<std::size_t>(rows * cols)),
      values_(places_.size()),
      row_starts_(static_cast<std::size_t>(rows) + 1) {}

template <Scalar T>
void SparseColumns<T>::assign(const NonDeduced<ConstMatrixRef<T>>& Z) {
  cols_ = Z.cols();
  const auto& list_nonzeros = gram_kernels<T>().list_nonzeros;
  for (Index i = 0; i < cols_; ++i) {
    const Index start = starts_[static_cast<std::size_t>(i)];
    starts_[static_cast<std::size_t>(i) + 1] =
        start + list_nonzeros({rows_, Z.col(i).data(), places_.data() + start, values_.data() + start});
  }
}

template <Scalar T>
bool SparseColumns<T>::sparse() const {
  return static_cast<double>(count()) <= sparse_share * static_cast<double>(rows_ * cols_);
}

template <Scalar T>
void SparseColumns<T>::multiply(const NonDeduced<ConstMatrixRef<T>>& A, MatrixRef<T> out) const {
  const auto& sum_columns = gram_kernels<T>().sum_columns;
  for (Index i = 0; i < cols_; ++i) {
    const Index start = starts_[static_cast<std::size_t>(i)], end = starts_[static_cast<std::size_t>(i) + 1];
    sum_columns(
        {A.rows(), A.outerStride(), A.data(), end - start, places_.data() + start, values_.data() + start, out.col(i).data()});
  }
}

template <Scalar T>
void SparseColumns<T>::add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& R, MatrixRef<T> out) {
  // Row by row of Z: out_j += scale sum_i Z_ji r_i.
  row_places_.resize(places_.size());
  row_values_.resize(values_.size());
  std::fill(row_starts_.begin(), row_starts_.end(), Index(0));
  for (Index k = 0; k < count(); ++k) ++row_starts_[static_cast<std::size_t>(places_[static_cast<std::size_t>(k)]) + 1];
  for (std::size_t j = 1; j < row_starts_.size(); ++j) row_starts_[j] += row_starts_[j - 1];
  for (Index i = 0, k = 0; i < cols_; ++i)
    for (; k < starts_[static_cast<std::size_t>(i) + 1]; ++k) {
      const auto from = static_cast<std::size_t>(k), j = static_cast<std::size_t>(places_[from]);
      const auto to = static_cast<std::size_t>(row_starts_[j]++);  // ends as the start of the next row
      row_places_[to] = static_cast<int>(i);
      row_values_[to] = scale * values_[from];
    }
  work_.resize(R.rows());
  const auto& sum_columns = gram_kernels<T>().sum_columns;
  for (Index j = 0, start = 0; j < rows_; ++j) {
    const Index end = row_starts_[static_cast<std::size_t>(j)];
    if (end > start) {
      sum_columns({R.rows(), R.outerStride(), R.data(), end - start, row_places_.data() + start, row_values_.data() + start,
                   work_.data()});
      add_scaled(R.rows(), T(1), work_.data(), out.col(j).data());
    }
    start = end;
  }
}

template <Scalar T>
void SparseColumns<T>::subtract_adjoint(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A,
                                        const NonDeduced<ConstMatrixRef<T>>& R, MatrixRef<T> H) {
  work_.resize(rows_);
  const auto& dot_columns = gram_kernels<T>().dot_columns;
  for (Index i = 0; i < cols_; ++i) {
    const Index start = starts_[static_cast<std::size_t>(i)], n = starts_[static_cast<std::size_t>(i) + 1] - start;
    const int* places = places_.data() + start;
    dot_columns({A.rows(), A.outerStride(), A.data(), n, places, R.col(i).data(), work_.data()});
    T* h = H.col(i).data();
    for (Index k = 0; k < n; ++k) h[places[k]] -= scale * work_(k);
  }
}

template class SparseColumns<float>;
template class SparseColumns<double>;

}  // namespace riata
