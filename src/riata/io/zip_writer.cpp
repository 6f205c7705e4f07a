#include <zlib.h>

#include "riata/core/check.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/zip_archive.hpp"
#include "riata/io/zip_format.hpp"

namespace riata {
namespace {

constexpr std::uint64_t version = 20;            // 2.0: the least that knows folders and deflate
constexpr std::uint64_t version64 = 45;          // 4.5: the least that knows zip64
constexpr std::uint64_t utf8_names = 1 << 11;    // general purpose flag
constexpr std::uint64_t date_1980_01_01 = 0x21;  // the first day a zip can name: equal inputs, equal bytes

void append(std::string& out, std::uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

/// The zip64 field with these numbers; each is 0xffffffff where it would have stood. Nothing for no numbers.
std::string zip64_extra(std::initializer_list<std::uint64_t> numbers) {
  std::string extra;
  if (numbers.size() == 0) return extra;
  append(extra, zip::zip64_field, 2);
  append(extra, 8 * numbers.size(), 2);
  for (const std::uint64_t number : numbers) append(extra, number, 8);
  return extra;
}

/// Version to extra length: the part that local header and directory entry share.
std::string shared_fields(std::string_view name, std::uint64_t n_bytes, std::uint64_t crc, bool is_zip64, std::size_t n_extra) {
  std::string fields;
  append(fields, is_zip64 || n_extra > 0 ? version64 : version, 2);
  append(fields, utf8_names, 2);
  append(fields, zip::stored, 2);
  append(fields, date_1980_01_01 << 16, 4);  // time 00:00:00 below the date
  append(fields, crc, 4);
  append(fields, is_zip64 ? zip::max_u32 : n_bytes, 4);
  append(fields, is_zip64 ? zip::max_u32 : n_bytes, 4);
  append(fields, name.size(), 2);
  append(fields, n_extra, 2);
  return fields;
}

}  // namespace

std::uint32_t extend_crc(std::uint32_t crc, std::string_view bytes) {
  if (bytes.empty()) return crc;  // null would restart it
  return static_cast<std::uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void ZipWriter::add(const std::string& name, std::string_view head, std::string_view body) {
  add(name, head.size() + body.size(), extend_crc(extend_crc(0, head), body), [&](std::FILE* file) {
    write_bytes(file, head);
    write_bytes(file, body);
  });
}

void ZipWriter::add(const std::string& name, std::uint64_t n_bytes, std::uint32_t crc,
                    const std::function<void(std::FILE*)>& write) {
  require(name.size() <= zip::max_u16 && n_members_ < zip::max_u16, "a .npz file holds at most {} arrays with names of {} bytes",
          zip::max_u16, zip::max_u16);
  const bool is_large = n_bytes >= zip64_from_, is_far = offset_ >= zip64_from_;
  const std::string local_extra = is_large ? zip64_extra({n_bytes, n_bytes}) : "";
  const std::string entry_extra = is_large && is_far ? zip64_extra({n_bytes, n_bytes, offset_})
                                  : is_large         ? zip64_extra({n_bytes, n_bytes})
                                  : is_far           ? zip64_extra({offset_})
                                                     : "";
  directory_ += zip::entry_signature;
  append(directory_, entry_extra.empty() ? version : version64, 2);
  directory_ += shared_fields(name, n_bytes, crc, is_large, entry_extra.size());
  directory_.append(10, '\0');  // comment length, disk, attributes
  append(directory_, is_far ? zip::max_u32 : offset_, 4);
  directory_ += name;
  directory_ += entry_extra;
  ++n_members_;

  const std::string local =
      std::string(zip::local_signature) + shared_fields(name, n_bytes, crc, is_large, local_extra.size()) + name + local_extra;
  write_bytes(file_, local);
  write(file_);
  offset_ += local.size() + n_bytes;
}

void ZipWriter::finish() {
  const bool is_far = offset_ >= zip64_from_ || directory_.size() >= zip64_from_;
  std::string end;
  if (is_far) {
    end += zip::end64_signature;
    append(end, zip::end64_bytes - 12, 8);  // what follows this number
    append(end, version64, 2);
    append(end, version64, 2);
    append(end, 0, 8);  // disks
    append(end, n_members_, 8);
    append(end, n_members_, 8);
    append(end, directory_.size(), 8);
    append(end, offset_, 8);
    end += zip::locator64_signature;
    append(end, 0, 4);  // disk
    append(end, offset_ + directory_.size(), 8);
    append(end, 1, 4);  // disks
  }
  end += zip::end_signature;
  append(end, 0, 4);  // disks
  append(end, n_members_, 2);
  append(end, n_members_, 2);
  append(end, is_far ? zip::max_u32 : directory_.size(), 4);
  append(end, is_far ? zip::max_u32 : offset_, 4);
  append(end, 0, 2);  // comment length
  write_bytes(file_, directory_);
  write_bytes(file_, end);
}

}  // namespace riata
