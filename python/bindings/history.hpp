// What learners record, as Python sees it.
#pragma once

#include "arrays.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata::python {

inline nb::dict history_to_python(History&& history) {
  nb::dict fields;
  fields["value"] = to_numpy(std::move(history.value));
  fields["step"] = to_numpy(std::move(history.step));
  fields["seconds"] = to_numpy(std::move(history.seconds));
  fields["phase"] = to_numpy(std::move(history.phase));
  return fields;
}

}  // namespace riata::python
