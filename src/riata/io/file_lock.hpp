// A file that one run has for itself.
#pragma once

#include <cstdio>
#include <filesystem>

namespace riata {

/// While it lives, no other FileLock of this file can be made, in this process or another; it dies with its process. As long as
/// there is no file it locks an empty one beside it, .riata-NAME.lock, which it removes, or the next one does. File systems that
/// know no locks give none.
class FileLock {
 public:
  /// @throws riata::Error if another has the file, or it cannot be opened or its folder not be written
  explicit FileLock(const std::filesystem::path& path);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

  /// Locks also what write_atomically() is writing in the file's place. Call it within.
  void lock_successor(std::FILE* successor);
  /// The successor has become the file.
  void succeed();

 private:
  void open();
  bool holds_place() const;
  void release();

  std::filesystem::path name_;  // as given
  std::filesystem::path path_, companion_;
  bool is_companion_ = false;
  int file_ = -1, successor_ = -1;
};

}  // namespace riata
