// File names at the Python boundary: bytes, as the system has them. Not every name is UTF-8, and a str holds such a one in a form
// that C++ does not know (PEP 383); `as_path` of python/riata/_arguments.py makes the bytes.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

namespace riata::python {

struct Path {
  std::string name;
  operator const std::string&() const { return name; }  // NOLINT: a path is its name
};

}  // namespace riata::python

NAMESPACE_BEGIN(NB_NAMESPACE)
NAMESPACE_BEGIN(detail)

template <>
struct type_caster<riata::python::Path> {
  NB_TYPE_CASTER(riata::python::Path, const_name("bytes"))

  bool from_python(handle source, uint8_t, cleanup_list*) noexcept {
    if (!PyBytes_Check(source.ptr())) return false;
    value.name.assign(PyBytes_AsString(source.ptr()), static_cast<size_t>(PyBytes_Size(source.ptr())));
    return true;
  }
};

NAMESPACE_END(detail)
NAMESPACE_END(NB_NAMESPACE)
