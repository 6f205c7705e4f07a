// Archives larger than 4 GiB: zip64.
#include <gtest/gtest.h>

#include "files.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/zip_archive.hpp"

namespace riata::testing {
namespace {

TEST(ZipWriter, WritesZip64BeyondItsLimit_WhichReadsBack) {
  const TemporaryFolder folder;
  const std::string array = bytes_of_file(data("double_c.npy"));
  for (const std::uint64_t limit : {0, 100, 300}) {  // the first member too, offsets alone, the directory alone
    const fs::path path = folder / ("zip64_" + std::to_string(limit) + ".npz");
    const File file(std::fopen(path.c_str(), "wb"));
    ZipWriter archive(file.get(), limit);
    archive.add("a.npy", array, "");
    archive.add("b.npy", "", array);
    archive.finish();
    std::fflush(file.get());
    const NamedTensors read = read_npz(path);
    EXPECT_EQ(read.size(), 2u);
    EXPECT_EQ(read.at("a"), read_npy(data("double_c.npy")));
    EXPECT_EQ(read.at("b"), read.at("a"));
    EXPECT_NE(bytes_of_file(path).find("PK\6\6"), std::string::npos);
  }
}

TEST(ZipWriter, ReachesBeyondFourGiB) {
  const TemporaryFolder folder;
  const std::string array = bytes_of_file(data("double_c.npy"));
  constexpr std::uint64_t n_large = std::uint64_t{5} << 30;  // a hole: it takes no disk
  {
    const File file(std::fopen((folder / "x.npz").c_str(), "wb"));
    ZipWriter archive(file.get());
    archive.add("hole.npy", n_large, 0, [&](std::FILE* out) { ::fseeko(out, static_cast<off_t>(n_large), SEEK_CUR); });
    archive.add("a.npy", array, "");
    archive.finish();
  }
  const ZipReader archive(folder / "x.npz");
  ASSERT_EQ(archive.members().size(), 2u);
  EXPECT_EQ(archive.members()[0].n_bytes, n_large);
  EXPECT_GT(archive.members()[1].offset, n_large);
  std::string read(array.size(), ' ');
  archive.read(archive.members()[1], [&](const ZipReader::Read& next) { next(read.data(), read.size()); });
  EXPECT_EQ(read, array);
}

}  // namespace
}  // namespace riata::testing
