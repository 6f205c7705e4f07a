// The nonzeros of a tile of codes, and products that touch them alone. Their cost falls with the density, but they read a number
// per multiplication where dense products keep tiles in registers: worth it where sparse() says so.
#pragma once

#include <vector>

#include "riata/core/types.hpp"

namespace riata {

template <Scalar T>
class SparseColumns {
 public:
  /// Room for any matrix of this size or with fewer columns.
  SparseColumns(Index rows, Index cols);

  void assign(const NonDeduced<ConstMatrixRef<T>>& Z);
  Index count() const { return starts_[static_cast<std::size_t>(cols_)]; }
  /// Whether products with so few nonzeros are faster than dense ones.
  bool sparse() const;

  /// out = A Z
  void multiply(const NonDeduced<ConstMatrixRef<T>>& A, MatrixRef<T> out) const;
  /// out += scale R Z^T
  void add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& R, MatrixRef<T> out);
  /// H_ji -= scale <a_j, r_i> where Z_ji != 0; other entries of H stay as they are
  void subtract_adjoint(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& R,
                        MatrixRef<T> H);

 private:
  Index rows_, cols_ = 0;
  std::vector<Index> starts_;  // of each column in the lists, and the end
  std::vector<int> places_;    // rows
  std::vector<T> values_;
  // The same by rows, and work of one column.
  std::vector<Index> row_starts_;
  std::vector<int> row_places_;
  std::vector<T> row_values_;
  Vector<T> work_;
};

}  // namespace riata
