// EncodeResult, and what results have in common, as Python's.
#pragma once

#include <utility>
#include <vector>

#include "arrays.hpp"
#include "riata/core/csr.hpp"
#include "riata/solvers/encode.hpp"

namespace riata::python {

/// Numbers that stand for riata.status_names.
inline nb::object to_python(const std::vector<Status>& statuses) {
  std::vector<signed char> status(statuses.size());
  for (std::size_t i = 0; i < status.size(); ++i) status[i] = static_cast<signed char>(statuses[i]);
  return to_numpy(std::move(status));
}

/// As (values, indices, indptr).
template <Scalar T>
nb::tuple to_python(CsrRows<T>&& rows) {
  return nb::make_tuple(to_numpy(std::move(rows.values)), to_numpy(std::move(rows.indices)), to_numpy(std::move(rows.indptr)));
}

/// (objective, step, accepted) per signal.
inline nb::list to_python(std::vector<StepTrace>&& traces) {
  nb::list list;
  for (StepTrace& trace : traces) {
    std::vector<unsigned char> accepted(trace.accepted.begin(), trace.accepted.end());
    list.append(
        nb::make_tuple(to_numpy(std::move(trace.objective)), to_numpy(std::move(trace.step)), to_numpy(std::move(accepted))));
  }
  return list;
}

template <Scalar T>
nb::dict to_python(EncodeResult<T>&& result) {
  nb::dict fields;
  fields["codes"] = to_numpy(std::move(result.codes));
  fields["objective"] = to_numpy(std::move(result.objective));
  fields["gap"] = to_numpy(std::move(result.gap));
  fields["n_iter"] = to_numpy(std::move(result.n_iter));
  fields["status"] = to_python(result.status);
  fields["method"] = to_string(result.method);
  fields["trace"] = to_python(std::move(result.trace));
  return fields;
}

}  // namespace riata::python
