#include <zlib.h>

#include "riata/core/check.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/zip_archive.hpp"
#include "riata/io/zip_format.hpp"

namespace riata {
namespace {

constexpr std::uint64_t version = 20;            // 2.0: the least that knows folders and deflate
constexpr std::uint64_t utf8_names = 1 << 11;    // general purpose flag
constexpr std::uint64_t date_1980_01_01 = 0x21;  // the first day a zip can name: equal inputs, equal bytes

void append(std::string& out, std::uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

/// Version to extra length: the part that local header and directory entry share.
std::string shared_fields(std::string_view name, std::uint64_t n_bytes, std::uint64_t crc) {
  std::string fields;
  append(fields, version, 2);
  append(fields, utf8_names, 2);
  append(fields, zip::stored, 2);
  append(fields, date_1980_01_01 << 16, 4);  // time 00:00:00 below the date
  append(fields, crc, 4);
  append(fields, n_bytes, 4);
  append(fields, n_bytes, 4);
  append(fields, name.size(), 2);
  append(fields, 0, 2);
  return fields;
}

}  // namespace

void ZipWriter::add(const std::string& name, std::string_view head, std::string_view body) {
  const std::uint64_t n_bytes = head.size() + body.size();
  require(name.size() <= zip::max_u16 && n_members_ < zip::max_u16,
          "a .npz file holds at most {} arrays with names of {} bytes", zip::max_u16, zip::max_u16);
  require(n_bytes < zip::max_u32 && offset_ + n_bytes + zip::max_u16 < zip::max_u32,
          "'{}' makes the .npz file larger than 4 GiB; write arrays of this size as .npy", name);
  auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(head.data()), head.size());
  if (!body.empty())
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(body.data()), body.size());  // null would restart it
  const std::string fields = shared_fields(name, n_bytes, crc);

  directory_ += zip::entry_signature;
  append(directory_, version, 2);
  directory_ += fields;
  directory_.append(10, '\0');  // comment length, disk, attributes
  append(directory_, offset_, 4);
  directory_ += name;
  ++n_members_;

  const std::string local = std::string(zip::local_signature) + fields + name;
  write_bytes(file_, local);
  write_bytes(file_, head);
  write_bytes(file_, body);
  offset_ += local.size() + n_bytes;
}

void ZipWriter::finish() {
  std::string end(zip::end_signature);
  append(end, 0, 4);  // disks
  append(end, n_members_, 2);
  append(end, n_members_, 2);
  append(end, directory_.size(), 4);
  append(end, offset_, 4);
  append(end, 0, 2);  // comment length
  write_bytes(file_, directory_);
  write_bytes(file_, end);
}

}  // namespace riata
