// Reading from the standard library's streams with riata's errors.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace riata {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

/// Whether `path`, its links followed, names the file that is open as `descriptor`.
bool is_at(int descriptor, const std::filesystem::path& path);

/// A NUL ends a name for the system, which would then take another file. @throws std::invalid_argument
void require_path(const std::filesystem::path& path);

/// @throws riata::Error "cannot read PATH: No such file or directory"
File open_to_read(const std::filesystem::path& path);

/// The number of bytes read, less than n_bytes only at the end of the file. @throws riata::Error, Interrupted
std::size_t read_up_to(std::FILE* file, const std::filesystem::path& path, void* out, std::size_t n_bytes);

/// Moves to `offset` bytes from the start. @throws riata::Error, for one where a pipe cannot seek
void seek(std::FILE* file, const std::filesystem::path& path, std::uint64_t offset);

/// @throws riata::Error
std::uint64_t position_of(std::FILE* file, const std::filesystem::path& path);

/// Leaves the position where it was. @throws riata::Error
std::uint64_t size_of(std::FILE* file, const std::filesystem::path& path);

}  // namespace riata
