// One function per folder of src/riata; each adds that folder's functions to the module.
#pragma once

#include <nanobind/nanobind.h>

namespace riata::python {

void bind_core(nanobind::module_& m);
void bind_datasets(nanobind::module_& m);
void bind_imaging(nanobind::module_& m);
void bind_implicit(nanobind::module_& m);
void bind_convolution(nanobind::module_& m);
void bind_joint(nanobind::module_& m);
void bind_kernels(nanobind::module_& m);
void bind_learning(nanobind::module_& m);
void bind_pattern_files(nanobind::module_& m);
void bind_patterns(nanobind::module_& m);
void bind_networks(nanobind::module_& m);
void bind_neuro(nanobind::module_& m);
void bind_operators(nanobind::module_& m);
void bind_solvers(nanobind::module_& m);
void bind_total_variation(nanobind::module_& m);
void bind_unrolled(nanobind::module_& m);

}  // namespace riata::python
