// What a process inherits and could trip over.
#pragma once

namespace riata::cli {

/// Call first. Standard streams that are closed are opened, so that no output file takes their number and with it what is said on
/// stderr; and a pipe without a reader or a file at its limit (ulimit -f) fails the write, not the process.
void prepare_surroundings();

}  // namespace riata::cli
