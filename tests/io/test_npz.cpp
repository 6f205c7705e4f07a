#include <zlib.h>

#include "io/files.hpp"
#include "riata/io/arrays.hpp"

namespace riata::testing {
namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;

const Tensor counting{{2, 3}, Doubles{0, 1, 2, 3, 4, 5}};

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

TEST(ReadNpz, ReadsWhatNumPyWrites) {
  EXPECT_EQ(read_npz(data("stored.npz")),
            (NamedTensors{{"a", counting}, {"b", {{3}, Floats{0, 1, 2}}}, {"none", {{0}, Doubles{}}}}));
  EXPECT_EQ(read_npz(data("deflated.npz")), (NamedTensors{{"a", counting}, {"zeros", {{100, 50}, Floats(5000)}}}));
}

TEST(ReadNpz, ReadsZip64) {
  const TemporaryFolder folder;
  const std::string array = bytes_of_file(data("double_c.npy"));
  EXPECT_EQ(read_npz(folder.put("x.npz", zip64_archive(array))), (NamedTensors{{"a", counting}}));
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
      {"a", counting}, {"b/é", {{2}, Floats{1, 2}}}, {"empty", {{0, 4}, Floats{}}}, {"s", {{}, Doubles{3}}}};
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
  EXPECT_EQ(npz_message(zip64_archive(bytes_of_file(data("float16.npy")))),
            " (array 'a') holds float16; expected float32, float64 or integers (convert with numpy.astype)");
  EXPECT_EQ(npz_message(zip64_archive(bytes_of_file(data("double_c.npy")).substr(0, 160))),
            " (array 'a') is truncated: header promises 48 bytes, file holds 32");
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
