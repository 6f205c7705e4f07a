// Whole files: read at once, or replaced at once. A reader never sees a half-written file, a failure keeps the old one.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace riata {

/// Writes what `write` puts into its stream to `path`, or nothing: the bytes go to a temporary file in the same folder, which is
/// synchronised and renamed; those of processes that were killed are removed. Links are followed, an existing file keeps its
/// mode. Only regular files can be replaced so: devices and pipes (/dev/stdout) are written directly. The stream can seek and
/// read back, and is closed here. What `write` throws passes through once the temporary file is removed, except
/// std::system_error, which write_bytes() throws and which becomes a riata::Error with the path.
/// @throws riata::Error "cannot write PATH: No space left on device"
void write_atomically(const std::filesystem::path& path, const std::function<void(std::FILE*)>& write);
void write_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Appends to a stream of write_atomically(). @throws std::system_error
void write_bytes(std::FILE* file, std::string_view bytes);

/// @throws riata::Error "cannot read PATH: No such file or directory"
std::string read_file(const std::filesystem::path& path);

/// The file that a name stands for, whether it exists or not: absolute, all links followed.
/// @throws riata::Error, for links in a ring
std::filesystem::path resolved(const std::filesystem::path& path);

/// Do both names stand for one file, through links, hard links or otherwise?
bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// Refuses an output that is the input, also under another name or through a link; it need not exist.
/// @throws std::invalid_argument
void require_distinct_output(const std::filesystem::path& input, const std::filesystem::path& output);

}  // namespace riata
