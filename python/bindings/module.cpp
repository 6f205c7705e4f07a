// The module riata._riata: C++ functions on checked, C-ordered arrays. Documentation, checks of types and
// shapes, and result classes live in the Python files beside it.
#include "module.hpp"

NB_MODULE(_riata, m) {
  m.doc() = "The compiled core of riata. Use the functions of the package riata.";
  riata::python::bind_core(m);
  riata::python::bind_operators(m);
  riata::python::bind_datasets(m);
  riata::python::bind_solvers(m);
  riata::python::bind_implicit(m);
  riata::python::bind_convolution(m);
  riata::python::bind_joint(m);
  riata::python::bind_total_variation(m);
  riata::python::bind_unrolled(m);
  riata::python::bind_networks(m);
  riata::python::bind_learning(m);
  riata::python::bind_kernels(m);
  riata::python::bind_patterns(m);
  riata::python::bind_pattern_files(m);
  riata::python::bind_imaging(m);
  riata::python::bind_neuro(m);
}
