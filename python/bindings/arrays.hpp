// Arrays at the Python boundary. NumPy's C-ordered (n_signals, n_features) is riata's n_features x n_signals
// byte for byte, so nothing is copied in either direction.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/batch.hpp"
#include "riata/terms/reg.hpp"

namespace riata::python {

namespace nb = nanobind;

/// C-ordered arrays in this precision and no other: the array picks the overload, nothing is converted.
template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

inline auto array_arg(const char* name) { return nb::arg(name).noconvert(); }

/// A view of (rows, columns) as a columns x rows matrix.
template <Scalar T>
Eigen::Map<const Matrix<T>> view(const Array2<T>& array) {
  return {array.data(), static_cast<Index>(array.shape(1)), static_cast<Index>(array.shape(0))};
}

/// A view where there is an array.
template <Scalar T>
OptionalMatrixRef<T> view_if(const std::optional<Array2<T>>& array) {
  return array ? OptionalMatrixRef<T>(view<T>(*array)) : std::nullopt;
}

/// Signals, and their mask where one is given.
template <Scalar T>
Batch<T> to_batch(const Array2<T>& X, const std::optional<Array2<T>>& mask) {
  return mask ? Batch<T>(view<T>(X), view<T>(*mask)) : Batch<T>(view<T>(X));
}

/// For what lives no longer than the call.
template <Scalar T>
DenseDictionary<T> borrow_dictionary(const Array2<T>& atoms) {
  return DenseDictionary<T>::borrow(view<T>(atoms));
}

/// For what outlives it: a copy.
template <Scalar T>
DenseDictionary<T> own_dictionary(const Array2<T>& atoms) {
  return DenseDictionary<T>(Matrix<T>(view<T>(atoms)));
}

template <class T>
std::vector<T> to_vector(const Array1<T>& array) {
  return {array.data(), array.data() + array.size()};
}

/// What riata's Python functions pass as reg: a number, "0.1max", or one number per signal.
using PythonReg = std::variant<double, std::string, Array1<double>>;

inline Reg to_reg(const PythonReg& reg) {
  if (const auto* value = std::get_if<double>(&reg)) return Reg(*value);
  if (const auto* text = std::get_if<std::string>(&reg)) return Reg::parse(*text);
  return Reg(to_vector<double>(std::get<Array1<double>>(reg)));
}
inline std::optional<Reg> to_optional_reg(const std::optional<PythonReg>& reg) {
  return reg ? std::optional(to_reg(*reg)) : std::nullopt;
}

namespace detail {

template <class Owned, class Data>
nb::object owned_array(Owned&& owned, Data data, std::initializer_list<size_t> shape) {
  auto* kept = new Owned(std::forward<Owned>(owned));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Owned*>(p); });
  using T = std::remove_pointer_t<decltype(data(*kept))>;
  return nb::cast(nb::ndarray<nb::numpy, T>(data(*kept), shape, owner));
}

}  // namespace detail

/// The matrix itself, seen as a NumPy array (columns, rows) that frees it at the end.
template <Scalar T>
nb::object to_numpy(Matrix<T>&& matrix) {
  const auto rows = static_cast<size_t>(matrix.rows()), columns = static_cast<size_t>(matrix.cols());
  return detail::owned_array(std::move(matrix), [](Matrix<T>& m) { return m.data(); }, {columns, rows});
}

template <class T>
nb::object to_numpy(riata::Vector<T>&& vector) {
  const auto n = static_cast<size_t>(vector.size());
  using Owned = riata::Vector<T>;
  return detail::owned_array(std::move(vector), [](Owned& v) { return v.data(); }, {n});
}

template <class T>
nb::object to_numpy(std::vector<T>&& vector) {
  const size_t n = vector.size();
  return detail::owned_array(std::move(vector), [](std::vector<T>& v) { return v.data(); }, {n});
}

/// None where nothing was asked for.
template <class A>
nb::object to_numpy_if(bool wanted, A&& array) {
  return wanted ? to_numpy(std::forward<A>(array)) : nb::none();
}

/// The derivative with respect to reg: a number where reg is one.
inline nb::object to_reg_gradient(const Reg& reg, Vector<double>&& gradient) {
  return reg.is_per_signal() ? to_numpy(std::move(gradient)) : nb::cast(gradient(0));
}

}  // namespace riata::python
