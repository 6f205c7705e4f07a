// What learners record, as Python sees it.
#pragma once

#include "arrays.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata::python {

/// Its phases under the name `phase`.
inline nb::dict history_to_python(History&& history, const char* phase = "phase") {
  nb::dict fields;
  fields["value"] = to_numpy(std::move(history.value));
  fields["step"] = to_numpy(std::move(history.step));
  fields["seconds"] = to_numpy(std::move(history.seconds));
  fields[phase] = to_numpy(std::move(history.phase));
  return fields;
}

}  // namespace riata::python
