// Which of the instruction sets that riata's own kernels are compiled for a call uses. What decides the last bits of results, so
// a resumed run takes up that of its checkpoint. Plain declarations: gram_kernels.inc is compiled for several instruction sets.
#pragma once

namespace riata {

enum class InstructionSet { baseline, avx2, avx512 };
const char* to_string(InstructionSet set);

/// What this processor has.
InstructionSet best_instruction_set();

/// This thread's: that of the innermost UseInstructionSet, else what the processor has, or less where the environment variable
/// RIATA_SIMD says "baseline" or "avx2". @throws std::invalid_argument if it says what is no instruction set
InstructionSet instruction_set();

/// The calling thread, and the workers of its parallel_for(), compute with `set` while this lives. @pre the processor has it
class UseInstructionSet {
 public:
  explicit UseInstructionSet(InstructionSet set);
  UseInstructionSet(const UseInstructionSet&) = delete;
  UseInstructionSet& operator=(const UseInstructionSet&) = delete;
  ~UseInstructionSet();

 private:
  int before_;
};

}  // namespace riata
