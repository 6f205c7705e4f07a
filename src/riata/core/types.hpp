// The scalar and array types of riata, settled once.
//
// Signals are columns and storage is column-major, so X (n_features x n_signals) is, byte for byte, NumPy's C-ordered
// (n_signals, n_features); likewise the dictionary D (n_features x n_atoms) and the codes Z (n_atoms x n_signals).
#pragma once

#include <Eigen/Core>
#include <concepts>
#include <type_traits>

namespace riata {

using Index = Eigen::Index;

/// The two precisions in which every algorithm is compiled.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// Views at public boundaries: any column-major matrix, block of columns or map, without a copy.
template <class T>
using MatrixRef = Eigen::Ref<Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstMatrixRef = Eigen::Ref<const Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using VectorRef = Eigen::Ref<Vector<T>>;
template <class T>
using ConstVectorRef = Eigen::Ref<const Vector<T>>;

/// An argument that does not decide T: the dictionary does, so encode(X, D, 0.1) compiles for float too.
template <class T>
using NonDeduced = std::type_identity_t<T>;

}  // namespace riata
