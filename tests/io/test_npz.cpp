#include <zlib.h>

#include "io/files.hpp"
#include "riata/io/arrays.hpp"

namespace riata::testing {
namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;
using namespace std::string_literals;

const Tensor six_numbers{{2, 3}, Doubles{0, 1, 2, 3, 4, 5}};

std::string npz_message(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = folder.put("x.npz", bytes);
  const std::string message = message_of<std::invalid_argument>([&] { read_npz(path); });
  EXPECT_EQ(message.substr(0, path.string().size()), path.string());
  return message.substr(std::min(message.size(), path.string().size()));
}

std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; at += to.size()) bytes.replace(at, from.size(), to);
  return bytes;
}

/// One stored member "a.npy" whose sizes and offset stand in zip64 fields only, and a zip64 end of directory.
std::string zip64_archive(const std::string& content) {
  const auto n = [](std::uint64_t value, std::size_t n_bytes) { return little_endian(value, n_bytes); };
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
  const std::string shared = n(45, 2) + n(0, 4) + n(0, 4) + n(crc, 4) + n(0xffffffff, 4) + n(0xffffffff, 4) + n(5, 2);
  const std::string sizes = n(content.size(), 8) + n(content.size(), 8);
  const std::string local = "PK\3\4" + shared + n(20, 2) + "a.npy" + n(1, 2) + n(16, 2) + sizes;
  const std::string other_field = n(0x5455, 2) + n(1, 2) + "x";
  const std::string extra = other_field + n(1, 2) + n(24, 2) + sizes + n(0, 8);
  const std::string entry =
      "PK\1\2" + n(45, 2) + shared + n(extra.size(), 2) + n(0, 8) + n(0, 2) + n(0xffffffff, 4) + "a.npy" + extra;
  const std::uint64_t directory = local.size() + content.size();
  const std::string end64 =
      "PK\6\6" + n(44, 8) + n(45, 2) + n(45, 2) + n(0, 8) + n(1, 8) + n(1, 8) + n(entry.size(), 8) + n(directory, 8);
  const std::string locator = "PK\6\7" + n(0, 4) + n(directory + entry.size(), 8) + n(1, 4);
  const std::string end = "PK\5\6" + n(0, 4) + n(0xffff, 2) + n(0xffff, 2) + n(0xffffffff, 4) + n(0xffffffff, 4) + n(0, 2);
  return local + content + entry + end64 + locator + end;
}

/// One deflated member "a.npy" of n int8 zeros, never as long in memory.
std::string zeros_archive(std::size_t n) {
  const std::string text = "{'descr': '|i1', 'fortran_order': False, 'shape': (" + std::to_string(n) + ",), }\n";
  std::string packed(n / 900 + 1000, '\0'), piece = std::string("\x93NUMPY\x01\x00", 8) + little_endian(text.size(), 2) + text;
  const std::size_t n_bytes = piece.size() + n;
  uLong crc = 0;
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  for (std::size_t left = n_bytes; left > 0; piece.assign(std::min<std::size_t>(left, 1 << 20), '\0')) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
    stream.next_in = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_in = static_cast<uInt>(piece.size());
    left -= piece.size();
    deflate(&stream, left > 0 ? Z_NO_FLUSH : Z_FINISH);
  }
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  const auto number = [](std::uint64_t value, std::size_t size) { return little_endian(value, size); };
  const std::string shared = number(20, 2) + number(0, 2) + number(8, 2) + number(0, 4) + number(crc, 4) +
                             number(packed.size(), 4) + number(n_bytes, 4) + number(5, 2) + number(0, 2);
  const std::string local = "PK\3\4" + shared + "a.npy" + packed;
  const std::string entry = "PK\1\2" + number(20, 2) + shared + std::string(10, '\0') + number(0, 4) + "a.npy";
  return local + entry + "PK\5\6" + number(0, 4) + number(1, 2) + number(1, 2) + number(entry.size(), 4) +
         number(local.size(), 4) + number(0, 2);
}

TEST(ReadNpz, ReadsWhatNumPyWrites) {
  EXPECT_EQ(read_npz(data("stored.npz")),
            (NamedTensors{{"a", six_numbers}, {"b", {{3}, Floats{0, 1, 2}}}, {"none", {{0}, Doubles{}}}}));
  EXPECT_EQ(read_npz(data("deflated.npz")), (NamedTensors{{"a", six_numbers}, {"zeros", {{100, 50}, Floats(5000)}}}));
}

TEST(ReadNpz, ReadsZip64) {
  const TemporaryFolder folder;
  const std::string array = bytes_of_file(data("double_c.npy"));
  EXPECT_EQ(read_npz(folder.put("x.npz", zip64_archive(array))), (NamedTensors{{"a", six_numbers}}));
}

TEST(ReadNpz, ReadsAnArchiveWithAComment) {
  const TemporaryFolder folder;
  std::string bytes = bytes_of_file(data("stored.npz"));
  bytes = patched(bytes, bytes.size() - 2, 5, 2) + "hello";
  EXPECT_EQ(read_npz(folder.put("x.npz", bytes)).size(), 3u);
}

TEST(WriteNpz, RoundTrips_AndEqualTensorsGiveEqualBytes) {
  const TemporaryFolder folder;
  const NamedTensors tensors{
      {"a", six_numbers}, {"b/é", {{2}, Floats{1, 2}}}, {"empty", {{0, 4}, Floats{}}}, {"s", {{}, Doubles{3}}}};
  write_npz(folder / "x.npz", tensors);
  write_npz(folder / "y.npz", tensors);
  EXPECT_EQ(read_npz(folder / "x.npz"), tensors);
  EXPECT_EQ(bytes_of_file(folder / "x.npz"), bytes_of_file(folder / "y.npz"));
  write_npz(folder / "x.npz", {});
  EXPECT_EQ(read_npz(folder / "x.npz"), NamedTensors());
}

TEST(ReadNpz, RefusesWhatIsNoArchiveOfArrays) {
  const std::string bytes = bytes_of_file(data("stored.npz"));
  EXPECT_EQ(npz_message(""), " is not a zip archive, or is truncated");
  EXPECT_EQ(npz_message(bytes.substr(0, 600)), " is not a zip archive, or is truncated");
  EXPECT_EQ(npz_message(replaced(bytes, "a.npy", "a.txt")), " holds 'a.txt', which is not an .npy array");
  EXPECT_EQ(npz_message(replaced(bytes, "b.npy", "a.npy")), " holds the array 'a' twice");
}

TEST(ReadNpz, NamesTheArrayThatCannotBeRead) {
  EXPECT_EQ(npz_message(zip64_archive(bytes_of_file(data("complex64.npy")))),
            " (array 'a') holds complex64; expected float32, float64 or integers (convert with numpy.astype)");
  EXPECT_EQ(npz_message(zip64_archive(bytes_of_file(data("double_c.npy")).substr(0, 160))),
            " (array 'a') is truncated: header promises 48 bytes, file holds 32");
}

TEST(ReadNpzArray, DoesNotMindWhatElseTheArchiveHolds) {
  const TemporaryFolder folder;
  const std::string stored = bytes_of_file(data("stored.npz"));
  for (const std::string& bytes : {replaced(stored, "b.npy", "b.txt"), replaced(stored, "<f4", "<U1"),
                                   replaced(stored, "<f4", "|O "), replaced(stored, "b.npy", "\033\n\r.\t")}) {
    const fs::path path = folder.put("x.npz", bytes);
    EXPECT_EQ(read_npz_array(path, "a"), six_numbers);
    EXPECT_THROW(read_npz(path), std::invalid_argument);
  }
  const fs::path path = folder.put("x.npz", replaced(stored, "b.npy", "b.txt"));
  EXPECT_EQ(npz_names(path), (std::vector<std::string>{"a", "none"}));
  EXPECT_EQ(message_of<std::invalid_argument>([&] { read_npz_array(path, "b"); }), path.string() + " has no array 'b'");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { read_npz_array(path, "\033[2J\0x"s); }),
            path.string() + " has no array '\\x1b[2J\\x00x'");
  const fs::path twice = folder.put("y.npz", replaced(stored, "b.npy", "a.npy"));
  EXPECT_EQ(message_of<std::invalid_argument>([&] { read_npz_array(twice, "a"); }),
            twice.string() + " holds the array 'a' twice");
}

TEST(ReadNpzHeader, NamesAnyType) {
  const TemporaryFolder folder;
  const auto header = [&](const std::string& name) {
    return read_npz_header(folder.put("x.npz", zip64_archive(bytes_of_file(data(name)))), "a");
  };
  EXPECT_EQ(header("object.npy").type, "Python objects");
  EXPECT_EQ(header("structured.npy").type, "a structured type");
  EXPECT_FALSE(header("complex64.npy").is_readable);
  EXPECT_EQ(header("float16.npy").type, "float16");
  EXPECT_TRUE(header("float16.npy").is_readable);
  EXPECT_EQ(header("double_c.npy").shape, (std::vector<Index>{2, 3}));
}

TEST(ReadNpz, RefusesMegabytesThatClaimGigabytes) {
  const TemporaryFolder folder;
  const std::string path = folder.put("x.npz", zeros_archive(40'000'000)).string();  // 39 kB of int8 zeros, 320 MB as doubles
  const std::string text = message_of<std::invalid_argument>([&] { read_npz(path); });
  EXPECT_TRUE(text.starts_with(path + " (array 'a') grows from 38")) << text;
  EXPECT_TRUE(
      text.ends_with(" bytes to 320000000 in memory; beyond 268435456 at most 100 for one are read (save it with numpy.save)"));
  EXPECT_EQ(std::get<Doubles>(read_npz(folder.put("x.npz", zeros_archive(4'000'000))).at("a").data).size(), 4'000'000u);
}

TEST(ReadNpz, RefusesMembersThatShareBytes) {
  const TemporaryFolder folder;
  std::string bytes = bytes_of_file(data("stored.npz"));
  const std::size_t first = bytes.find("PK\1\2"), end = bytes.find("PK\5\6");
  const std::size_t n_entry = bytes.find("PK\1\2", first + 4) - first;
  std::string entries;
  for (char c = 'a'; c <= 'z'; ++c) entries += replaced(bytes.substr(first, n_entry), "a.npy", std::string(1, c) + ".npy");
  std::string tail = patched(bytes.substr(end), 8, 26, 2);
  tail = patched(patched(tail, 10, 26, 2), 12, entries.size(), 4);
  EXPECT_TRUE(npz_message(bytes.substr(0, first) + entries + tail).starts_with(" is truncated inside '"));
}

TEST(ReadNpz, RefusesDamagedArchivesWithASentence) {
  const std::string bytes = bytes_of_file(data("stored.npz"));
  const std::size_t entry = bytes.find("PK\1\2"), end = bytes.find("PK\5\6");
  const auto damaged = [&](std::size_t offset, std::uint64_t value, std::size_t n) {
    return npz_message(patched(bytes, offset, value, n));
  };
  EXPECT_EQ(damaged(entry + 8, 1, 2), " is encrypted ('a.npy'); expected a plain zip archive");
  EXPECT_EQ(damaged(entry + 10, 12, 2), ": 'a.npy' is packed by method 12; expected stored or deflated");
  EXPECT_EQ(damaged(entry + 16, 0, 4), " is damaged: the checksum of 'a.npy' is wrong");
  EXPECT_EQ(damaged(entry + 20, 1 << 30, 4), " is truncated inside 'a.npy'");
  EXPECT_EQ(damaged(entry + 24, 1 << 30, 4), " is damaged: 'a.npy' cannot unpack to 1073741824 bytes");
  EXPECT_EQ(damaged(entry + 42, 3, 4), " is damaged: 'a.npy' is not where it should be");
  EXPECT_EQ(damaged(entry, 0, 4), " is damaged: its zip directory is cut");
  EXPECT_EQ(damaged(end + 10, 9, 2), " is damaged: its zip directory is cut");
  EXPECT_EQ(damaged(end + 16, 1 << 30, 4), " is damaged: its zip directory lies outside the file");
  std::string deflated = bytes_of_file(data("deflated.npz"));
  EXPECT_EQ(npz_message(patched(deflated, deflated.find("a.npy") + 5 + 20, 0xffffffff, 4)),
            " is damaged: 'a.npy' does not unpack");
}

TEST(ReadNpz, RefusesEveryPrefix_AndSurvivesDamage) {
  const auto read = [](const fs::path& path) { read_npz(path); };
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    expect_every_prefix_refused(bytes_of_file(data(name)), "x.npz", read);
    expect_no_crash_on_damage(bytes_of_file(data(name)), "x.npz", read);
  }
  const std::string zip64 = zip64_archive(bytes_of_file(data("double_c.npy")));
  expect_every_prefix_refused(zip64, "x.npz", read);
  expect_no_crash_on_damage(zip64, "x.npz", read);
}

}  // namespace
}  // namespace riata::testing
