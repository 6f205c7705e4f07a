// The header of an .npy file: magic, version, length, and a Python dictionary in text. Internal: not
// installed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

struct NpyHeader {
  std::string descr;  ///< NumPy's type string, "<f8"; a list in text for structured types
  bool fortran_order = false;
  std::vector<Index> shape;
};

/// Parses the dictionary. `where` names the file in messages. @throws std::invalid_argument
NpyHeader parse_npy_header(std::string_view text, const std::string& where);

/// Everything before the values, magic included: a multiple of 64 bytes, as numpy.save writes it.
std::string format_npy_header(const NpyHeader& header);

}  // namespace riata
