#include "riata/linalg/taut_string_kernels.hpp"

namespace riata {

#if defined(__x86_64__)
namespace avx512 {
extern const AdvanceTautLanes taut_lanes;
}  // namespace avx512

AdvanceTautLanes advance_taut_lanes(InstructionSet set) { return set == InstructionSet::avx512 ? avx512::taut_lanes : nullptr; }
#else
AdvanceTautLanes advance_taut_lanes(InstructionSet) { return nullptr; }
#endif

}  // namespace riata
