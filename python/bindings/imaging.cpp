#include "riata/imaging/denoise.hpp"

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"

namespace riata::python {

void bind_imaging(nb::module_&) {}

}  // namespace riata::python
