// What the tests of io share: a folder that disappears, bytes of files, the sentence of an exception.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "riata/core/error.hpp"

namespace riata::testing {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "riata-io-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { fs::remove_all(path_); }

  fs::path operator/(const std::string& name) const { return path_ / name; }
  fs::path put(const std::string& name, std::string_view bytes) const {
    fs::remove(path_ / name);  // truncating a file instead makes ext4 flush it: slow in the loops below
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }
  std::ptrdiff_t n_files() const { return std::distance(fs::directory_iterator(path_), fs::directory_iterator()); }

 private:
  fs::path path_;
};

/// Files beyond `n_bytes` cannot be written while it lives: a full disk without filling one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t n_bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{n_bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

inline fs::path data(const std::string& name) { return fs::path(RIATA_TEST_DIR) / "io" / "data" / name; }

inline std::string bytes_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::string little_endian(std::uint64_t value, std::size_t n_bytes) {
  return std::string(reinterpret_cast<const char*>(&value), n_bytes);
}

/// The bytes with one number of theirs replaced.
inline std::string patched(std::string bytes, std::size_t offset, std::uint64_t value, std::size_t n_bytes) {
  return bytes.replace(offset, n_bytes, little_endian(value, n_bytes));
}

/// What an exception of exactly that kind says; anything else fails the test.
template <class Exception, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Exception& failure) {
    return failure.what();
  } catch (const std::exception& other) {
    ADD_FAILURE() << "another exception: " << other.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}

/// Every proper prefix of a file must be refused with a sentence, never crash, never be taken for the whole.
template <class Read>
void expect_every_prefix_refused(const std::string& bytes, const std::string& name, Read&& read) {
  const TemporaryFolder folder;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const fs::path path = folder.put(name, std::string_view(bytes).substr(0, n));
    EXPECT_THROW(read(path), std::invalid_argument) << "the first " << n << " bytes of " << bytes.size();
  }
}

/// Damaged bytes may give other values or a sentence, but no crash and no other exception.
template <class Read>
void expect_no_crash_on_damage(const std::string& bytes, const std::string& name, Read&& read) {
  const TemporaryFolder folder;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (const unsigned char flip : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        read(folder.put(name, damaged));
      } catch (const std::invalid_argument& refused) {
        EXPECT_NE(std::string_view(refused.what()), "") << i;
      } catch (const std::exception& other) {
        ADD_FAILURE() << "byte " << i << " ^ " << int{flip} << ": " << other.what();
      }
    }
}

}  // namespace riata::testing
