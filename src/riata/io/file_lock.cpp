#include "riata/io/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"

namespace riata {

FileLock::FileLock(const std::filesystem::path& path) : name_(path), path_(resolved(path)) {
  companion_ = path_.parent_path() / (".riata-" + path_.filename().string() + ".lock");
  // What was locked may no longer be what stands for the run: another has replaced or removed it since open() found it.
  for (open(); !holds_place(); open()) release();
}

FileLock::~FileLock() {
  release();
  if (successor_ >= 0) ::close(successor_);
}

void FileLock::open() {
  file_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0 && (errno == EACCES || errno == EROFS)) file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  is_companion_ = file_ < 0 && errno == ENOENT;
  if (is_companion_) file_ = ::open(companion_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) throw Error(formatted("cannot write {}: {}", name_.string(), std::generic_category().message(errno)));
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(file_);
  throw Error(formatted("{} is in use by another run", name_.string()));
}

bool FileLock::holds_place() const {
  std::error_code ignored;
  return is_companion_ ? is_at(file_, companion_) && !std::filesystem::exists(path_, ignored) : is_at(file_, path_);
}

void FileLock::release() {
  if (is_companion_ && is_at(file_, companion_)) ::unlink(companion_.c_str());
  ::flock(file_, LOCK_UN);  // forked children may hold the descriptor, too
  ::close(file_);
}

void FileLock::lock_successor(std::FILE* successor) {
  if (successor_ >= 0) ::close(successor_);  // of a write that failed
  successor_ = ::fcntl(::fileno(successor), F_DUPFD_CLOEXEC, 0);
  if (successor_ >= 0) ::flock(successor_, LOCK_EX | LOCK_NB);
}

void FileLock::succeed() {
  if (successor_ < 0) return;
  release();
  file_ = std::exchange(successor_, -1);
  is_companion_ = false;
}

}  // namespace riata
