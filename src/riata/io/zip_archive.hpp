// Zip archives: the part that NumPy uses. Stored and deflated members, zip64 beyond 4 GiB.
// Format: PKWARE APPNOTE 6.3.10.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "riata/io/file.hpp"

namespace riata {

class ZipReader {
 public:
  struct Member {
    std::string name;
    std::uint64_t offset = 0;                 ///< of the local header
    std::uint64_t n_packed = 0, n_bytes = 0;  ///< stored, and unpacked
    std::uint32_t crc = 0;
    std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  };

  /// Reads the directory. @throws std::invalid_argument "X is not a zip archive", riata::Error
  explicit ZipReader(const std::filesystem::path& path);

  const std::vector<Member>& members() const { return members_; }

  /// Calls `use` with a reader that gives the unpacked bytes in order, then verifies the checksum of the
  /// member. One member at a time. @throws std::invalid_argument if the archive is damaged
  using Read = std::function<std::size_t(void*, std::size_t)>;
  void read(const Member& member, const std::function<void(const Read&)>& use) const;

 private:
  std::filesystem::path path_;
  File file_;
  std::vector<Member> members_;
};

/// The checksum of the bytes given so far; start with 0.
std::uint32_t extend_crc(std::uint32_t crc, std::string_view bytes);

class ZipWriter {
 public:
  /// Sizes and offsets from `zip64_from` bytes on are written as zip64 (tests lower it).
  explicit ZipWriter(std::FILE* file, std::uint64_t zip64_from = 0xffffffff) : file_(file), zip64_from_(zip64_from) {}
  /// Stores head followed by body as one member. @throws std::invalid_argument, std::system_error
  void add(const std::string& name, std::string_view head, std::string_view body);
  /// Stores what `write` puts into the stream, n_bytes whose checksum is known before.
  void add(const std::string& name, std::uint64_t n_bytes, std::uint32_t crc, const std::function<void(std::FILE*)>& write);
  void finish();

 private:
  std::FILE* file_;
  std::uint64_t zip64_from_;
  std::uint64_t offset_ = 0;
  std::string directory_;
  std::size_t n_members_ = 0;
};

}  // namespace riata
