#include "riata/core/sentence.hpp"
#include "riata/io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
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

TEST(AtomicFile, RemovesWhatKilledProcessesHaveLeft_ButNotWhatIsInUse) {
  const TemporaryFolder folder;
  folder.put(".riata-1-0.tmp", "half");
  folder.put(".riata-spool-aaaaaa.tmp", "half");
  folder.put(".riata-notes", "not ours");
  fs::create_symlink(folder.put("precious", "mine"), folder / ".riata-2-0.tmp");
  const fs::path used = folder.put(".riata-3-0.tmp", "in use");
  const int descriptor = ::open(used.c_str(), O_RDWR);
  ASSERT_EQ(::flock(descriptor, LOCK_EX | LOCK_NB), 0);
  write_atomically(folder / "x", "x");
  ::close(descriptor);
  EXPECT_FALSE(fs::exists(folder / ".riata-1-0.tmp"));
  EXPECT_FALSE(fs::exists(folder / ".riata-spool-aaaaaa.tmp"));
  EXPECT_EQ(read_file(used), "in use");
  EXPECT_EQ(read_file(folder / "precious"), "mine");
  EXPECT_EQ(read_file(folder / ".riata-notes"), "not ours");
}

TEST(AtomicFile, ItsTemporaryFileIsLockedWhileItIsWritten) {
  const TemporaryFolder folder;
  write_atomically(folder / "x", [&](std::FILE* file) {
    const int other = ::open(formatted("/proc/self/fd/{}", ::fileno(file)).c_str(), O_RDWR);
    ASSERT_GE(other, 0);
    EXPECT_NE(::flock(other, LOCK_EX | LOCK_NB), 0);
    ::close(other);
  });
}

TEST(AtomicFile, ANameWithANulIsRefused_AndTheFileThatItWouldNameStays) {
  const TemporaryFolder folder;
  folder.put("keep", "mine");
  const fs::path name = (folder / "keep").string() + std::string("\0.new", 5);
  const std::string sentence = message_of<std::invalid_argument>([&] { write_atomically(name, "other"); });
  EXPECT_EQ(sentence.find('\0'), std::string::npos);
  EXPECT_NE(sentence.find("holds a NUL"), std::string::npos) << sentence;
  EXPECT_EQ(message_of<std::invalid_argument>([&] { read_file(name); }), sentence);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { require_distinct_output(folder / "keep", name); }), sentence);
  EXPECT_EQ(read_file(folder / "keep"), "mine");
}

TEST(SameFile, NamesAreComparedByWhatTheyStandFor_WhetherItExistsOrNot) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  fs::create_directory_symlink(folder / "sub", folder / "link");
  fs::create_symlink("sub/x", folder / "dangling");
  fs::create_symlink("dangling", folder / "far");
  const auto names = {folder / "sub" / "x",
                      folder / "." / "sub" / "x",
                      folder / "sub" / ".." / "sub" / "x",
                      folder / "link" / "x",
                      folder / "dangling",
                      folder / "far",
                      fs::relative(folder / "sub") / "x"};
  for (const bool exists : {false, true}) {
    if (exists) write_atomically(folder / "sub" / "x", "x");
    for (const fs::path& a : names) {
      for (const fs::path& b : names) EXPECT_TRUE(is_same_file(a, b)) << a << b;
      EXPECT_FALSE(is_same_file(a, folder / "x"));
      EXPECT_FALSE(is_same_file(folder / "sub" / "y", a));
    }
  }
  fs::create_hard_link(folder / "sub" / "x", folder / "hard");
  EXPECT_TRUE(is_same_file(folder / "hard", folder / "far"));
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
