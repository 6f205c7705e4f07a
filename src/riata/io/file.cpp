#include "riata/io/file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_read(const fs::path& path, int code) {
  throw Error(formatted("cannot read {}: {}", path.string(), std::generic_category().message(code)));
}

}  // namespace

bool is_at(int descriptor, const fs::path& path) {
  struct stat opened {
  }, there{};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
         opened.st_ino == there.st_ino;
}

void require_path(const fs::path& path) {
  require(path.native().find('\0') == std::string::npos, "the file name {} holds a NUL, which ends a name", shown(path.native()));
}

File open_to_read(const fs::path& path) {
  require_path(path);
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) fail_to_read(path, errno);
  struct stat info {};
  if (::fstat(::fileno(file.get()), &info) == 0 && S_ISDIR(info.st_mode)) fail_to_read(path, EISDIR);
  return file;
}

std::size_t read_up_to(std::FILE* file, const fs::path& path, void* out, std::size_t n_bytes) {
  constexpr std::size_t at_once = std::size_t{1} << 26;
  std::size_t n_read = 0;
  for (std::size_t n_new = 1; n_read < n_bytes && n_new > 0; n_read += n_new) {
    leave_if_stopped();
    n_new = std::fread(static_cast<char*>(out) + n_read, 1, std::min(at_once, n_bytes - n_read), file);
  }
  if (n_read < n_bytes && std::ferror(file)) fail_to_read(path, errno);
  return n_read;
}

void seek(std::FILE* file, const fs::path& path, std::uint64_t offset) {
  if (::fseeko(file, static_cast<off_t>(offset), SEEK_SET) != 0) fail_to_read(path, errno);
}

std::uint64_t position_of(std::FILE* file, const fs::path& path) {
  const off_t position = ::ftello(file);
  if (position < 0) fail_to_read(path, errno);
  return static_cast<std::uint64_t>(position);
}

std::uint64_t size_of(std::FILE* file, const fs::path& path) {
  const std::uint64_t position = position_of(file, path);
  if (::fseeko(file, 0, SEEK_END) != 0) fail_to_read(path, errno);
  const std::uint64_t size = position_of(file, path);
  seek(file, path, position);
  return size;
}

}  // namespace riata
