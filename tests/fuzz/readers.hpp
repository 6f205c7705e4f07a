// What is fuzzed: every reader of files, with files that it reads.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "mutate.hpp"

namespace riata::fuzz {

struct Reader {
  std::string name;
  Container container;
  std::vector<std::string> files;
  std::function<void(const std::filesystem::path&)> read;
};

/// `folder`: for files that are written to be read.
std::vector<Reader> file_readers(const std::filesystem::path& folder);  ///< of formats
std::vector<Reader> run_readers(const std::filesystem::path& folder);   ///< of networks, models and checkpoints

std::string bytes_of(const std::filesystem::path& path);

/// The bytes of the file that `write` makes.
template <class Write>
std::string written(const std::filesystem::path& path, const Write& write) {
  write(path);
  std::string bytes = bytes_of(path);
  std::filesystem::remove(path);
  return bytes;
}

}  // namespace riata::fuzz
