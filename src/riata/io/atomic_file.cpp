#include "riata/io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <set>
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

constexpr std::string_view temporary_prefix = ".riata-", temporary_suffix = ".tmp";

/// Temporary files are locked while they are in use. A lock says nothing where there are none (some network file systems).
bool try_lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0; }

/// Removes what killed processes have left in the folder, once per process.
void remove_leftovers(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> seen;
  std::error_code failure;
  if (const std::unique_lock lock(mutex, std::try_to_lock);  // a forked child may lack the thread that holds it
      !lock || !seen.insert(fs::absolute(folder, failure)).second)
    return;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    const bool is_temporary = name.ends_with(temporary_suffix) || name.ends_with(".lock");
    if (!name.starts_with(temporary_prefix) || !is_temporary) continue;
    const int descriptor = ::open(entry->path().c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) continue;
    if (try_lock(descriptor) && is_at(descriptor, entry->path())) ::unlink(entry->path().c_str());
    ::close(descriptor);
  }
}

void flush_to_disk(std::FILE* file) {
  if (std::fflush(file) != 0) fail(errno);
  if (::fsync(::fileno(file)) != 0 && errno != EINVAL && errno != ENOTSUP) fail(errno);  // EINVAL: a pipe or terminal
}

void close_checked(File file) {
  if (std::fclose(file.release()) != 0) fail(errno);
}

/// A file of a name of its own in `folder`, locked; removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& folder) {
    remove_leftovers(folder);
    int descriptor = -1;
    for (int i = 0; descriptor < 0; ++i) {
      path_ = folder / formatted("{}{}-{}{}", temporary_prefix, ::getpid(), i, temporary_suffix);
      descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) fail(errno);
      if (descriptor < 0) continue;
      const bool is_locked = try_lock(descriptor), is_taken = !is_locked && errno == EWOULDBLOCK;
      if (!is_taken && (!is_locked || is_at(descriptor, path_))) continue;
      ::close(descriptor);  // taken for a leftover before it was locked
      descriptor = -1;
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
    if (std::rename(path_.c_str(), target.c_str()) != 0) fail(errno);
    path_.clear();
    close_checked(std::move(file_));  // not earlier: with the lock ends what keeps others from removing it
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
  require_path(path);
  try {
    replace(follow_links(path), write);
  } catch (const std::system_error& failure) {
    throw Error(formatted("cannot write {}: {}", path.string(), failure.code().message()));
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

fs::path resolved(const fs::path& path) {
  require_path(path);
  try {
    const fs::path target = follow_links(path);
    return fs::weakly_canonical(fs::absolute(target));
  } catch (const std::system_error& failure) {
    throw Error(formatted("cannot write {}: {}", path.string(), failure.code().message()));
  }
}

bool is_same_file(const fs::path& a, const fs::path& b) {
  require_path(a);
  require_path(b);
  std::error_code ignored;  // a file that does not exist is equivalent to none
  return fs::equivalent(a, b, ignored) || resolved(a) == resolved(b);
}

void require_distinct_output(const fs::path& input, const fs::path& output) {
  require(!is_same_file(input, output), "output {} is the input itself; choose another name", output.string());
}

}  // namespace riata
