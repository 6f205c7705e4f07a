// G = D^T D as coordinate descent asks for it: from the matrix itself where many signals repay it, and else from the atoms, so
// that one signal in very many atoms costs a few products with D. Internal.
#pragma once

#include <memory>
#include <span>

#include "riata/core/types.hpp"

namespace riata {

/// One per thread.
template <Scalar T>
class GramOperator {
 public:
  virtual ~GramOperator() = default;
  virtual Index size() const = 0;
  virtual bool is_stored() const = 0;
  virtual T squared_norm(Index atom) const = 0;  ///< G_jj
  /// out = G(rows, columns)
  virtual void block(std::span<const Index> rows, std::span<const Index> columns, MatrixRef<T> out) = 0;
  /// q -= sum_k a_k G_{:, atoms_k}, for atoms that block() has been asked for.
  virtual void subtract_columns(std::span<const Index> atoms, const T* a, T* q) = 0;
};

/// Borrows G.
template <Scalar T>
std::unique_ptr<GramOperator<T>> make_stored_gram(const Matrix<T>& G);

/// Borrows both; `squared_norms` are those of the columns of D.
template <Scalar T>
std::unique_ptr<GramOperator<T>> make_gram_of_atoms(const MatrixView<T>& D, const Vector<T>& squared_norms);

}  // namespace riata
