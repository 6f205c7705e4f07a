#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

#include "module.hpp"
#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/status.hpp"
#include "riata/version.hpp"

namespace riata::python {

namespace nb = nanobind;

void bind_core(nb::module_& m) {
  m.attr("version") = version;
  m.attr("status_names") = nb::list();
  for (const auto& name : names<Status>) nb::cast<nb::list>(m.attr("status_names")).append(name.text);

  m.attr("options") = nb::dict();  // by function and name: kind, may it be None?, default (options.hpp)

  nb::register_exception_translator([](const std::exception_ptr& failure, void*) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::invalid_argument& refusal) {
      PyErr_SetString(PyExc_ValueError, one_line(refusal.what()).c_str());
    } catch (const Error& error) {
      PyErr_SetString(PyExc_OSError, one_line(error.what()).c_str());
    } catch (const Interrupted&) {
      PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });

  nb::class_<IterationInfo>(m, "IterationInfo", "What a learner tells about one accepted iteration.")
      .def_ro("phase", &IterationInfo::phase, "0: dictionary alone, 1: dictionary and step factors")
      .def_ro("iteration", &IterationInfo::iteration, "accepted iterations so far")
      .def_ro("value", &IterationInfo::value, "objective after the iteration")
      .def_ro("step", &IterationInfo::step, "accepted step of the line search")
      .def_ro("seconds", &IterationInfo::seconds, "wall time since the start of learning")
      .def("__getstate__",
           [](const IterationInfo& info) { return std::tuple(info.phase, info.iteration, info.value, info.step, info.seconds); })
      .def("__setstate__",
           [](IterationInfo& info, const std::tuple<int, int, double, double, double>& state) {
             new (&info) IterationInfo(std::make_from_tuple<IterationInfo>(state));
           })
      .def("__repr__", [](const IterationInfo& info) {
        return formatted("IterationInfo(phase={}, iteration={}, value={:.6g}, step={:.3g}, seconds={:.3f})", info.phase,
                         info.iteration, info.value, info.step, info.seconds);
      });
}

}  // namespace riata::python
