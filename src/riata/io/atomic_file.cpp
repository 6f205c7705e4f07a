#include "riata/io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/io/file.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(int code) { throw std::system_error(code, std::generic_category()); }

/// The file that `path` names once links are followed, whether it exists or not.
fs::path follow_links(fs::path path) {
  constexpr int max_links = 40;  // as Linux
  std::error_code ignored;
  for (int i = 0; fs::is_symlink(path, ignored); ++i) {
    if (i == max_links) fail(ELOOP);
    const fs::path target = fs::read_symlink(path);
    path = target.is_absolute() ? target : path.parent_path() / target;
  }
  return path;
}

void flush_to_disk(std::FILE* file) {
  if (std::fflush(file) != 0) fail(errno);
  if (::fsync(::fileno(file)) != 0 && errno != EINVAL && errno != ENOTSUP) fail(errno);  // EINVAL: a pipe or terminal
}

void close_checked(File file) {
  if (std::fclose(file.release()) != 0) fail(errno);
}

/// A file of a name of its own in `folder`; removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& folder) {
    int descriptor = -1;
    for (int i = 0; descriptor < 0; ++i) {
      path_ = folder / fmt::format(".riata-{}-{}.tmp", ::getpid(), i);
      descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) fail(errno);
    }
    file_.reset(::fdopen(descriptor, "w+b"));
    if (!file_) {
      const int code = errno;
      ::close(descriptor);
      ::unlink(path_.c_str());
      fail(code);
    }
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  std::FILE* stream() const { return file_.get(); }

  void rename_to(const fs::path& target) {
    flush_to_disk(file_.get());
    close_checked(std::move(file_));
    if (std::rename(path_.c_str(), target.c_str()) != 0) fail(errno);
    path_.clear();
  }

 private:
  fs::path path_;
  File file_;
};

void replace(const fs::path& target, const std::function<void(std::FILE*)>& write) {
  struct stat old {};
  const bool exists = ::stat(target.c_str(), &old) == 0;
  // Renaming asks only the folder's permission; a file protected from writing stays protected.
  if (exists && ::access(target.c_str(), W_OK) != 0) fail(errno);
  if (exists && S_ISDIR(old.st_mode)) fail(EISDIR);
  if (exists && !S_ISREG(old.st_mode)) {
    File device(std::fopen(target.c_str(), "wb"));
    if (!device) fail(errno);
    write(device.get());
    flush_to_disk(device.get());
    return close_checked(std::move(device));
  }
  TemporaryFile temporary(target.has_parent_path() ? target.parent_path() : fs::path("."));
  write(temporary.stream());
  if (exists) ::fchmod(::fileno(temporary.stream()),
                       old.st_mode & 0777);  // best effort: not every file system has modes
  temporary.rename_to(target);
}

}  // namespace

void write_atomically(const fs::path& path, const std::function<void(std::FILE*)>& write) {
  try {
    replace(follow_links(path), write);
  } catch (const std::system_error& failure) {
    throw Error(fmt::format("cannot write {}: {}", path.string(), failure.code().message()));
  }
}

void write_atomically(const fs::path& path, std::string_view bytes) {
  write_atomically(path, [&](std::FILE* file) { write_bytes(file, bytes); });
}

void write_bytes(std::FILE* file, std::string_view bytes) {
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) fail(errno);
}

std::string read_file(const fs::path& path) {
  const File file = open_to_read(path);
  std::string bytes;
  for (std::size_t n_read = 1; n_read > 0;) {
    constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
    const std::size_t old_size = bytes.size();
    bytes.resize(old_size + chunk_bytes);
    n_read = read_up_to(file.get(), path, bytes.data() + old_size, chunk_bytes);
    bytes.resize(old_size + n_read);
  }
  return bytes;
}

void require_distinct_output(const fs::path& input, const fs::path& output) {
  std::error_code ignored;  // a file that does not exist is equivalent to none
  require(!fs::equivalent(input, output, ignored), "output {} is the input itself; choose another name", output.string());
}

}  // namespace riata
