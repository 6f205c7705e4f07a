#include "riata/optim/checkpoint.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "io/files.hpp"
#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/threads.hpp"
#include "riata/linalg/blas_kernels.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

const NamedTensors some{{"x", to_tensor(std::vector<double>{1, 2, 3})}};

Checkpoint checkpoint_at(const fs::path& path) { return {.path = path.string(), .fingerprint = R"({"reg":0.1})"}; }

NamedTensors read_back(CheckpointFile& file) {
  NamedTensors found;
  file.resume([&](const NamedTensors& stored, const std::string&) { found = stored; });
  return found;
}

TEST(CheckpointFile, IsLocked_FromBeforeItExistsUntilItsRunEnds) {
  const TemporaryFolder folder;
  Checkpoint wanted = checkpoint_at(folder / "c");
  const std::string in_use = wanted.path + " is in use by another run";
  const auto open = [&] { CheckpointFile file(wanted); };
  {
    CheckpointFile file(wanted);
    EXPECT_EQ(message_of<Error>(open), in_use);
    for (int i = 0; i < 3; ++i) {  // each write replaces the file
      file.write(some);
      EXPECT_EQ(message_of<Error>(open), in_use);
    }
    std::string of_thread;
    std::thread([&] { of_thread = message_of<Error>(open); }).join();
    EXPECT_EQ(of_thread, in_use);
  }
  wanted.resume = true;
  CheckpointFile file(wanted);
  EXPECT_EQ(read_back(file), some);
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(CheckpointFile, IsFreeAgain_WhenItsProcessIsKilled) {
  const TemporaryFolder folder;
  const Checkpoint wanted = checkpoint_at(folder / "c");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    CheckpointFile file(wanted);
    file.write(some);
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char x = 0;
  ASSERT_EQ(::read(ready[0], &x, 1), 1);
  EXPECT_NE(message_of<Error>([&] { CheckpointFile file(wanted); }), "");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(CheckpointFile file(wanted));
}

TEST(CheckpointFile, ThatWasNeverWritten_LeavesNothing_NotEvenThroughALink) {
  const TemporaryFolder folder;
  fs::create_symlink("target", folder / "link");
  for (const char* name : {"c", "link"}) {
    CheckpointFile file(checkpoint_at(folder / name));
    EXPECT_FALSE(fs::exists(folder / name));  // whoever waits for the file waits for its first contents
    EXPECT_EQ(folder.n_files(), 2);
  }
  EXPECT_EQ(folder.n_files(), 1);
  folder.put("empty", "");
  { CheckpointFile file(checkpoint_at(folder / "empty")); }
  EXPECT_TRUE(fs::exists(folder / "empty"));  // someone else's
}

TEST(CheckpointFile, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  const fs::path fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(refusal_of([&] { CheckpointFile file(checkpoint_at(fifo)); }),
            "checkpoint " + fifo.string() + ": not a regular file");
  const std::string model = folder / "model";
  write_safetensors(model, {some, {{"format", "riata"}}});
  for (const bool overwrite : {false, true}) {
    Checkpoint wanted = checkpoint_at(model);
    wanted.overwrite = overwrite;
    EXPECT_EQ(refusal_of([&] { CheckpointFile file(wanted); }), "checkpoint " + model + ": not a riata checkpoint");
  }
}

TEST(CheckpointFile, WhoseContentsWereChanged_IsDamaged) {
  const TemporaryFolder folder;
  Checkpoint wanted = checkpoint_at(folder / "c");
  { CheckpointFile(wanted).write(some); }
  wanted.resume = true;
  const auto open = [&] {
    CheckpointFile file(wanted);
    read_back(file);
  };
  open();
  const TensorFile good = read_safetensors(wanted.path);
  const auto refused_after = [&](const std::function<void(TensorFile&)>& change) {
    TensorFile file = good;
    change(file);
    write_safetensors(wanted.path, file);
    return refusal_of(open);
  };
  const std::string damaged = "checkpoint " + wanted.path + " is damaged: it does not hold what was written";
  EXPECT_EQ(refused_after([](auto& f) { std::get<std::vector<double>>(f.tensors["x"].data)[1] = std::nextafter(2.0, 3.0); }),
            damaged);
  EXPECT_EQ(refused_after([](auto& f) { f.tensors["x"].shape = {1, 3}; }), damaged);
  EXPECT_EQ(refused_after([](auto& f) { f.tensors["y"] = to_tensor(std::int64_t{0}); }), damaged);
  EXPECT_EQ(refused_after([](auto& f) { f.tensors.erase("x"); }), damaged);
  EXPECT_EQ(refused_after([](auto& f) { f.metadata["digest"] = "0"; }), damaged);
}

TEST(CheckpointFile, NamesTheKernelsOfItsRun_AndAResumedRunTakesThemUp) {
  const TemporaryFolder folder;
  Checkpoint wanted = checkpoint_at(folder / "c");
  {
    const UseInstructionSet plain(InstructionSet::baseline);
    CheckpointFile(wanted).write(some);
  }
  EXPECT_EQ(kernels_of_checkpoint(wanted.path), (Kernels{"baseline", blas_kernels()}));
  wanted.resume = true;
  const ResumedKernels kernels(wanted);
  EXPECT_EQ(instruction_set(), InstructionSet::baseline);
  std::vector<InstructionSet> of_workers(64, InstructionSet::avx512);
  parallel_for(64, {.n_threads = 4}, [&](Index i, int) { of_workers[static_cast<std::size_t>(i)] = instruction_set(); });
  EXPECT_EQ(of_workers, std::vector<InstructionSet>(64, InstructionSet::baseline));
  InstructionSet elsewhere{};
  std::thread([&] { elsewhere = instruction_set(); }).join();
  EXPECT_EQ(elsewhere, best_instruction_set());
}

/// What a run says of another's checkpoint that other kernels wrote, where it may go on with other rounding.
std::string said_of(const std::string& stored, const std::string& wanted) {
  const TemporaryFolder folder;
  Checkpoint checkpoint{.path = folder / "c", .fingerprint = stored};
  { CheckpointFile(checkpoint).write(some); }
  TensorFile file = read_safetensors(checkpoint.path);
  std::string& fingerprint = file.metadata.at("fingerprint");
  fingerprint.replace(fingerprint.find(blas_kernels()), blas_kernels().size(), "Another");
  write_safetensors(checkpoint.path, file);
  checkpoint.resume = checkpoint.inexact = true;
  checkpoint.fingerprint = wanted;
  try {
    const CheckpointFile open(checkpoint);
  } catch (const std::invalid_argument& refused) {
    const std::string sentence = refused.what();
    return sentence.substr(sentence.find("it was made with"));
  }
  return "";
}

TEST(CheckpointFile, OfOtherKernels_BelongsToARunThatDiffersByTheirRoundingAlone) {
  EXPECT_EQ(said_of(R"({"reg":0.1})", R"({"reg":0.10000000000000002})"), "");
  EXPECT_EQ(said_of(R"({"reg":0.1})", R"({"reg":0.10001})"), "it was made with reg = 0.1, this run has 0.10001");
  EXPECT_EQ(said_of(R"({"dtype":"float32","reg":0.1})", R"({"dtype":"float32","reg":0.1000001})"), "");
  EXPECT_EQ(said_of(R"({"loss":"semi","targets_hash":1})", R"({"loss":"semi","targets_hash":2})"), "");  // riata's own
  EXPECT_EQ(said_of(R"({"loss":"supervised","targets_hash":1})", R"({"loss":"supervised","targets_hash":2})"),
            "it was made with targets_hash = 1, this run has 2");
  const std::string refusal = "it was made with parameters_hash = 1, this run has 2";
  const auto given = [](int hash, int all) {
    return formatted(R"({{"given_parameters_hash":{},"parameters_hash":{}}})", hash, all);
  };
  EXPECT_EQ(said_of(given(3, 1), given(3, 2)), "");
  EXPECT_EQ(said_of(given(0, 1), given(3, 2)), refusal);
  EXPECT_EQ(said_of(given(0, 1), given(3, 1)), "");                      // the same bits
  EXPECT_EQ(said_of(R"({"parameters_hash":1})", given(0, 2)), refusal);  // it does not say which were given
  EXPECT_EQ(said_of(R"({"parameters_hash":1})", given(0, 1)), "");
}

TEST(CheckpointFile, BadOptions_AreRefusedInASentence) {
  const std::vector<BadInput> rows{
      {"overwrite_checkpoint needs the path of a checkpoint", [] { Checkpoint{.overwrite = true}.validate(); }},
      {"overwrite_checkpoint begins anew where resume goes on; leave out one of them",
       [] { Checkpoint{.path = "c", .resume = true, .overwrite = true}.validate(); }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
