// What learners from batches as they come share: one thread at a time, and their state for pickle.
#pragma once

#include <nanobind/stl/vector.h>

#include <cstring>
#include <mutex>
#include <string>

#include "arrays.hpp"
#include "execution.hpp"
#include "riata/core/tensors.hpp"

namespace riata::python {

/// name -> (shape, which type, bytes): for pickle alone.
inline nb::dict state_to_python(const NamedTensors& tensors) {
  nb::dict fields;
  for (const auto& [name, tensor] : tensors)
    std::visit(
        [&](const auto& values) {
          fields[name.c_str()] =
              nb::make_tuple(tensor.shape, tensor.data.index(), nb::bytes(values.data(), values.size() * sizeof(values[0])));
        },
        tensor.data);
  return fields;
}
inline NamedTensors state_from_python(const nb::dict& fields) {
  NamedTensors tensors;
  for (const auto& [name, field] : fields) {
    const auto of = nb::cast<nb::tuple>(field);
    const auto bytes = nb::cast<nb::bytes>(of[2]);
    Tensor tensor{.shape = nb::cast<std::vector<Index>>(of[0]), .data = {}};
    const auto kind = nb::cast<std::size_t>(of[1]);
    if (kind == 1) tensor.data = std::vector<double>();
    if (kind == 2) tensor.data = std::vector<std::int64_t>();
    std::visit(
        [&](auto& values) {
          values.resize(bytes.size() / sizeof(values[0]));
          std::memcpy(values.data(), bytes.c_str(), values.size() * sizeof(values[0]));
        },
        tensor.data);
    tensors[nb::cast<std::string>(name)] = std::move(tensor);
  }
  return tensors;
}

/// One thread at a time.
template <class Learner>
class GuardedLearner {
 public:
  explicit GuardedLearner(Learner learner) : learner_(std::move(learner)) {}
  /// use(learner), without the GIL.
  template <class Use>
  auto with(const Use& use) {
    return without_gil([&] {
      const std::lock_guard guard(mutex_);
      return use(learner_);
    });
  }

 private:
  std::mutex mutex_;
  Learner learner_;
};

}  // namespace riata::python
