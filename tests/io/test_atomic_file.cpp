#include "riata/io/atomic_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "io/files.hpp"

namespace riata::testing {
namespace {

TEST(AtomicFile, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\n\xff", 5);
  write_atomically(folder / "x", bytes);
  EXPECT_EQ(read_file(folder / "x"), bytes);
  write_atomically(folder / "x", "");
  EXPECT_EQ(read_file(folder / "x"), "");
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(AtomicFile, ReadsFilesLongerThanOneChunk) {
  const TemporaryFolder folder;
  const std::string bytes((std::size_t{5} << 19) + 3, 'x');
  write_atomically(folder / "x", bytes);
  EXPECT_TRUE(read_file(folder / "x") == bytes);
}

TEST(AtomicFile, KeepsTheOldFile_WhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_atomically(folder / "x", "old");
  std::string message;
  {
    const FileSizeLimit limit(4096);
    message = message_of<Error>([&] { write_atomically(folder / "x", std::string(100'000, 'n')); });
  }
  EXPECT_EQ(message, "cannot write " + (folder / "x").string() + ": File too large");
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(AtomicFile, KeepsTheOldFile_WhenTheLastBufferDoesNotFit) {
  const TemporaryFolder folder;
  write_atomically(folder / "x", "old");
  {
    const FileSizeLimit limit(10);
    const auto write = [&] { write_atomically(folder / "x", [](std::FILE* file) { std::fputs("longer than ten", file); }); };
    EXPECT_THROW(write(), Error);
  }
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(AtomicFile, KeepsTheOldFileAndTheException_WhenTheCallerFails) {
  const TemporaryFolder folder;
  write_atomically(folder / "x", "old");
  const auto write = [&] {
    write_atomically(folder / "x", [](std::FILE* file) {
      write_bytes(file, "new");
      throw std::invalid_argument("mine");
    });
  };
  EXPECT_EQ(message_of<std::invalid_argument>(write), "mine");
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(AtomicFile, SaysWhyTheFileCannotBeWritten) {
  const TemporaryFolder folder;
  const auto reason = [](const fs::path& path) {
    const std::string message = message_of<Error>([&] { write_atomically(path, "x"); }), start = "cannot write " + path.string();
    EXPECT_EQ(message.substr(0, start.size()), start);
    return message.substr(start.size());
  };
  EXPECT_EQ(reason(folder / "none" / "x"), ": No such file or directory");
  EXPECT_EQ(reason(folder / "."), ": Is a directory");
  EXPECT_EQ(reason("/dev/full"), ": No space left on device");
  fs::create_symlink(folder / "b", folder / "a");
  fs::create_symlink(folder / "a", folder / "b");
  EXPECT_EQ(reason(folder / "a"), ": Too many levels of symbolic links");
}

TEST(AtomicFile, RefusesAProtectedFile) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everything";
  const TemporaryFolder folder;
  fs::permissions(folder.put("x", "old"), fs::perms::owner_read);
  EXPECT_EQ(message_of<Error>([&] { write_atomically(folder / "x", "new"); }),
            "cannot write " + (folder / "x").string() + ": Permission denied");
}

TEST(AtomicFile, WritesDevicesInsteadOfReplacingThem) {
  write_atomically("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, FollowsLinksAndKeepsTheMode) {
  const TemporaryFolder folder;
  folder.put("x", "old");
  fs::permissions(folder / "x", static_cast<fs::perms>(0640));
  fs::create_symlink("x", folder / "link");
  write_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "x"), "new");
  EXPECT_EQ(fs::status(folder / "x").permissions(), static_cast<fs::perms>(0640));
  EXPECT_EQ(folder.n_files(), 2);
}

TEST(AtomicFile, GivesNewFilesTheModeOfTheProcess) {
  const TemporaryFolder folder;
  const mode_t mask = ::umask(022);
  write_atomically(folder / "x", "x");
  ::umask(mask);
  EXPECT_EQ(fs::status(folder / "x").permissions(), static_cast<fs::perms>(0644));
}

TEST(ReadFile, SaysWhyTheFileCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<Error>([&] { read_file(folder / "x"); }),
            "cannot read " + (folder / "x").string() + ": No such file or directory");
  EXPECT_EQ(message_of<Error>([&] { read_file(folder / "."); }), "cannot read " + (folder / ".").string() + ": Is a directory");
}

TEST(RequireDistinctOutput, RefusesTheInputUnderAnyName) {
  const TemporaryFolder folder;
  const fs::path input = folder.put("x", "");
  fs::create_symlink("x", folder / "soft");
  fs::create_hard_link(input, folder / "hard");
  for (const std::string name : {"x", "./x", "soft", "hard"})
    EXPECT_EQ(message_of<std::invalid_argument>([&] { require_distinct_output(input, folder / name); }),
              "output " + (folder / name).string() + " is the input itself; choose another name");
}

TEST(RequireDistinctOutput, AcceptsOtherFiles_AlsoWhenTheyDoNotExist) {
  const TemporaryFolder folder;
  folder.put("x", "");
  folder.put("y", "");
  EXPECT_NO_THROW(require_distinct_output(folder / "x", folder / "y"));
  EXPECT_NO_THROW(require_distinct_output(folder / "x", folder / "none"));
  EXPECT_NO_THROW(require_distinct_output(folder / "none", folder / "other"));
}

}  // namespace
}  // namespace riata::testing
