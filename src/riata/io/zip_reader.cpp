#include <zlib.h>

#include <algorithm>
#include <array>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/zip_archive.hpp"
#include "riata/io/zip_format.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

/// Little-endian numbers from left to right; past the end the archive is damaged.
class Fields {
 public:
  Fields(std::string_view bytes, const fs::path& path) : rest_(bytes), path_(path) {}

  std::string_view take(std::size_t n) {
    require(n <= rest_.size(), "{} is damaged: its zip directory is cut", path_.string());
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  std::uint64_t number(std::size_t n_bytes) {
    const std::string_view bytes = take(n_bytes);
    std::uint64_t value = 0;
    for (std::size_t i = n_bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  bool is_empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  const fs::path& path_;
};

/// Fewer bytes, or none, where the file ends before.
std::string read_at(std::FILE* file, const fs::path& path, std::uint64_t offset, std::size_t n_bytes) {
  if (offset > size_of(file, path)) return {};
  seek(file, path, offset);
  std::string bytes(n_bytes, '\0');
  bytes.resize(read_up_to(file, path, bytes.data(), n_bytes));
  return bytes;
}

struct DirectoryPlace {
  std::uint64_t n_members, n_bytes, offset;
};

DirectoryPlace find_directory(std::FILE* file, const fs::path& path, std::uint64_t file_bytes) {
  const std::uint64_t n_tail = std::min<std::uint64_t>(file_bytes, zip::end_bytes + zip::max_comment_bytes);
  const std::string tail = read_at(file, path, file_bytes - n_tail, n_tail);
  const std::size_t at = tail.rfind(zip::end_signature);
  require(at != std::string::npos, "{} is not a zip archive, or is truncated", path.string());
  Fields end(std::string_view(tail).substr(at), path);
  end.take(10);  // signature, numbers of disks, members on this disk
  DirectoryPlace place{end.u16(), end.u32(), end.u32()};
  end.take(end.u16());  // the comment
  if (at < zip::locator64_bytes) return place;
  Fields locator(std::string_view(tail).substr(at - zip::locator64_bytes), path);
  if (locator.take(4) != zip::locator64_signature) return place;
  locator.take(4);
  const std::string record = read_at(file, path, locator.u64(), zip::end64_bytes);
  Fields end64(record, path);
  require(end64.take(4) == zip::end64_signature, "{} is damaged: its zip64 directory is not where it should be", path.string());
  end64.take(28);  // size, versions, disks, members on this disk
  place.n_members = end64.u64();
  place.n_bytes = end64.u64();
  place.offset = end64.u64();
  return place;
}

/// The zip64 field replaces exactly those numbers that did not fit into 32 bits, in this order.
void apply_zip64(std::string_view extra_bytes, const fs::path& path, ZipReader::Member& member) {
  Fields extra(extra_bytes, path);
  while (!extra.is_empty()) {
    const std::uint16_t id = extra.u16();
    Fields field(extra.take(extra.u16()), path);
    if (id != zip::zip64_field) continue;
    for (std::uint64_t* number : {&member.n_bytes, &member.n_packed, &member.offset})
      if (*number == zip::max_u32) *number = field.u64();
  }
}

ZipReader::Member read_entry(Fields& directory, const fs::path& path) {
  require(directory.take(4) == zip::entry_signature, "{} is damaged: its zip directory is cut", path.string());
  ZipReader::Member member;
  directory.take(4);  // versions
  const std::uint16_t flags = directory.u16();
  member.method = directory.u16();
  directory.take(4);  // time and date
  member.crc = directory.u32();
  member.n_packed = directory.u32();
  member.n_bytes = directory.u32();
  const std::size_t n_name = directory.u16(), n_extra = directory.u16(), n_comment = directory.u16();
  directory.take(8);  // disk, attributes
  member.offset = directory.u32();
  member.name = directory.take(n_name);
  apply_zip64(directory.take(n_extra), path, member);
  directory.take(n_comment);
  require((flags & 1) == 0, "{} is encrypted ('{}'); expected a plain zip archive", path.string(), shown(member.name));
  require(member.method == zip::stored || member.method == zip::deflated,
          "{}: '{}' is packed by method {}; expected stored or deflated", path.string(), shown(member.name), member.method);
  return member;
}

/// Unpacks one member, counting bytes and checksum.
class Unpacker {
 public:
  Unpacker(std::FILE* file, const fs::path& path, const ZipReader::Member& member)
      : file_(file), path_(path), member_(member), n_packed_left_(member.n_packed), n_left_(member.n_bytes) {
    require(inflateInit2(&stream_, -MAX_WBITS) == Z_OK, "{} cannot be unpacked: out of memory", path.string());
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ~Unpacker() { inflateEnd(&stream_); }

  std::size_t read(void* out, std::size_t n_bytes) {
    const std::size_t n_wanted = std::min<std::uint64_t>(n_bytes, n_left_);
    if (n_wanted == 0) return 0;
    const std::size_t n_read =
        member_.method == zip::stored ? read_up_to(file_, path_, out, n_wanted) : inflate_up_to(out, n_wanted);
    n_left_ -= n_read;
    crc_ = static_cast<std::uint32_t>(crc32_z(crc_, static_cast<const Bytef*>(out), n_read));
    return n_read;
  }

  void verify() {
    std::array<char, 4096> rest;
    while (n_left_ > 0)
      require(read(rest.data(), rest.size()) > 0, "{} is damaged: '{}' does not unpack", path_.string(), shown(member_.name));
    require(crc_ == member_.crc, "{} is damaged: the checksum of '{}' is wrong", path_.string(), shown(member_.name));
  }

 private:
  std::size_t inflate_up_to(void* out, std::size_t n_bytes) {
    std::size_t n_done = 0;
    while (n_done < n_bytes) {
      if (stream_.avail_in == 0) {
        const std::size_t n_next = std::min<std::uint64_t>(packed_.size(), n_packed_left_);
        stream_.avail_in = static_cast<uInt>(read_up_to(file_, path_, packed_.data(), n_next));
        stream_.next_in = packed_.data();
        n_packed_left_ -= stream_.avail_in;
      }
      constexpr std::size_t max_step = std::size_t{1} << 30;  // zlib counts in 32 bits
      const std::size_t n_step = std::min(n_bytes - n_done, max_step);
      stream_.next_out = static_cast<Bytef*>(out) + n_done;
      stream_.avail_out = static_cast<uInt>(n_step);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      n_done += n_step - stream_.avail_out;
      if (status == Z_STREAM_END) break;
      require(status == Z_OK, "{} is damaged: '{}' does not unpack", path_.string(), shown(member_.name));
    }
    return n_done;
  }

  std::FILE* file_;
  const fs::path& path_;
  const ZipReader::Member& member_;
  std::uint64_t n_packed_left_, n_left_;
  std::uint32_t crc_ = 0;
  z_stream stream_{};
  std::array<Bytef, 1 << 16> packed_;
};

}  // namespace

ZipReader::ZipReader(const fs::path& path) : path_(path), file_(open_to_read(path)) {
  const std::uint64_t file_bytes = size_of(file_.get(), path_);
  const DirectoryPlace place = find_directory(file_.get(), path_, file_bytes);
  require(place.offset <= file_bytes && place.n_bytes <= file_bytes - place.offset,
          "{} is damaged: its zip directory lies outside the file", path_.string());
  const std::string bytes = read_at(file_.get(), path_, place.offset, place.n_bytes);
  Fields directory(bytes, path_);
  std::uint64_t n_left = file_bytes;
  for (std::uint64_t i = 0; i < place.n_members; ++i) {
    members_.push_back(read_entry(directory, path_));
    require(members_.back().n_packed <= n_left, "{} is truncated inside '{}'", path_.string(), shown(members_.back().name));
    n_left -= members_.back().n_packed;  // members that share bytes would unpack them again and again
  }
}

void ZipReader::read(const Member& member, const std::function<void(const Read&)>& use) const {
  const std::uint64_t file_bytes = size_of(file_.get(), path_);
  const std::string header = read_at(file_.get(), path_, member.offset, zip::local_bytes);
  Fields local(header, path_);
  require(local.take(4) == zip::local_signature, "{} is damaged: '{}' is not where it should be", path_.string(),
          shown(member.name));
  local.take(22);  // what the directory says again
  const std::uint64_t n_name = local.u16(), n_extra = local.u16();
  const std::uint64_t begin = member.offset + zip::local_bytes + n_name + n_extra;
  require(begin <= file_bytes && member.n_packed <= file_bytes - begin, "{} is truncated inside '{}'", path_.string(),
          shown(member.name));
  const bool is_possible = member.method == zip::stored ? member.n_bytes == member.n_packed
                                                        : member.n_bytes / zip::max_deflate_ratio <= member.n_packed;
  require(is_possible, "{} is damaged: '{}' cannot unpack to {} bytes", path_.string(), shown(member.name), member.n_bytes);
  seek(file_.get(), path_, begin);
  Unpacker unpacker(file_.get(), path_, member);
  use([&](void* out, std::size_t n_bytes) { return unpacker.read(out, n_bytes); });
  unpacker.verify();
}

}  // namespace riata
