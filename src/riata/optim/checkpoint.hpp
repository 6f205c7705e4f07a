// What a killed run continues from, bit for bit: one safetensors file that says which run it belongs to, which kernels' bits the
// run has, and what it held when it was written. Nothing in it is believed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "riata/core/instruction_set.hpp"
#include "riata/core/parameters.hpp"
#include "riata/core/types.hpp"
#include "riata/io/safetensors.hpp"

namespace riata {

/// In a fingerprint: of parameters that the caller gave, as opposed to computed ones, which other kernels round otherwise.
inline constexpr const char* given_key = "given_parameters_hash";

/// Where to keep it.
struct Checkpoint {
  std::string path = {};         ///< empty: none
  int every = 10;                ///< accepted iterations
  bool resume = false;           ///< start from `path` if it exists
  bool overwrite = false;        ///< begin anew, also in the place of another run's checkpoint
  bool inexact = false;          ///< resume on other kernels too, whose rounding differs
  std::string fingerprint = {};  ///< JSON object of what must be equal for a resume to make sense; a path needs one
  void validate() const;         ///< @throws std::invalid_argument
};

/// What the options of learning and of training ask for.
template <class Options>
Checkpoint checkpoint_of(const Options& o) {
  return {.path = o.checkpoint,
          .every = o.checkpoint_every,
          .resume = o.resume || o.resume_inexact,
          .overwrite = o.overwrite_checkpoint,
          .inexact = o.resume_inexact};
}

/// The kernels whose bits a run has.
struct Kernels {
  std::string simd, blas;
  bool operator==(const Kernels&) const = default;
};

/// Those of the calling thread, and of the process.
Kernels present_kernels();
/// Those that the run of this checkpoint had. None if there is no such file, it is no checkpoint, or one of old that does not
/// say.
std::optional<Kernels> kernels_of_checkpoint(const std::string& path);

/// While it lives, the calling thread computes with the kernels of the run that it resumes. Make it before anything that rounds.
class ResumedKernels {
 public:
  /// @throws std::invalid_argument if the processor has not that instruction set, or the process other kernels of BLAS, which
  /// cannot be changed in it; not if `checkpoint.inexact`
  explicit ResumedKernels(const Checkpoint& checkpoint);

 private:
  std::unique_ptr<UseInstructionSet> set_;
};

/// The file of one run, which no other run can open while this lives. Without a path, none.
class CheckpointFile {
 public:
  /// Without `resume` the file is only looked at: what is no checkpoint, and unless told what is another run's, is not
  /// overwritten. One of the same run is: the run that begins anew has the same bits. An empty file is none.
  /// @throws std::invalid_argument if it is no checkpoint, or another run's; riata::Error if a run has it open, or it cannot be
  /// read
  explicit CheckpointFile(Checkpoint checkpoint);
  ~CheckpointFile();
  CheckpointFile(CheckpointFile&&) noexcept;
  CheckpointFile& operator=(CheckpointFile&&) noexcept;

  explicit operator bool() const { return !checkpoint_.path.empty(); }
  /// After how many accepted iterations it is written.
  bool is_due(std::size_t n_iterations) const;
  /// Gives what is stored to `load`, if there is something to resume from. @throws what `load` throws, and std::invalid_argument
  /// if the contents are not those that were written
  bool resume(const std::function<void(const NamedTensors& stored, const std::string& where)>& load);
  /// @throws riata::Error if the file cannot be written
  void write(NamedTensors tensors);
  /// Must a resumed run have the bits of one that was never stopped?
  bool is_exact() const { return !checkpoint_.inexact; }

 private:
  struct Locked;
  Checkpoint checkpoint_;
  std::unique_ptr<Locked> locked_;
};

// Readers of stored state, which check all that they give. @throws std::invalid_argument

/// rows x cols finite values.
template <Scalar T>
Matrix<T> stored_matrix(const NamedTensors& tensors, const std::string& name, Index rows, Index cols, const std::string& where);
/// As many numbers, not checked further.
std::vector<double> stored_numbers(const NamedTensors& tensors, const std::string& name, std::size_t count,
                                   const std::string& where);
/// low <= value <= high
std::int64_t stored_integer(const NamedTensors& tensors, const std::string& name, std::int64_t low, std::int64_t high,
                            const std::string& where);

/// One row per accepted iteration. The value is that after it where each step is verified, else that of its batch before it.
struct History {
  std::vector<double> value, step, seconds;
  std::vector<std::int64_t> phase;
};
void store_history(const History& history, NamedTensors& tensors);
/// Rows of finite values, steps > 0, times and phases that do not fall, the phases in [0, last_phase].
History stored_history(const NamedTensors& tensors, std::int64_t last_phase, const std::string& where);

/// 64-bit FNV-1a of the bytes: enough to notice that a checkpoint belongs to other data.
template <Scalar T>
std::uint64_t hash_of(const NonDeduced<ConstMatrixRef<T>>& X);
template <Scalar T>
std::uint64_t hash_of_all(const Parameters<T>& parameters) {
  std::uint64_t all = 0;
  for (const auto& [name, values] : parameters) all = all * 1099511628211ull ^ hash_of<T>(values);
  return all;
}

}  // namespace riata
