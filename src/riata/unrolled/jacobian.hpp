// The Jacobian of unrolled codes by a row of the dictionary, in forward mode.
//
// With D_l the l-th row of D, J = dz_N / dD_l is n_atoms x n_atoms and follows the layers (coupled_layer.hpp):
//
//   J_{k+1} = 1{z_{k+1} != 0} . ( J_k - alpha_k ( D_l y_k^T + (D_l^T y_k - x_l) I + D^T D J_k ) ),     J_0 = 0
//
// row by row of J; for FISTA the bracket holds the Jacobian of y_k, which is combined by the momenta as y_k is. L is a
// constant. Truncated to the last K layers the recursion starts with J_{N-K} = 0.
// Malezieux, Moreau and Kowalski (2022), Theorem 2.4.
#pragma once

#include <optional>

#include "riata/unrolled/unrolled.hpp"

namespace riata {

/// n_atoms x n_atoms, entry (i, k) = dz_i / dD(row, k). x has n_features entries; `backprop` = K, all layers by default.
/// Computed in double. Memory: the iterates and two matrices of that size.
/// @throws std::invalid_argument as unrolled_encode, and if `row` or `backprop` is out of range
template <Scalar T>
Matrix<T> code_jacobian(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const Reg& reg, Index row,
                        const UnrolledOptions& options = {}, std::optional<int> backprop = {});

}  // namespace riata
