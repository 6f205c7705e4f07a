// Ctrl-C, and SIGTERM and SIGHUP alike: the first one asks for a stop that keeps what there is, a second one kills.
#pragma once

namespace riata::cli {

/// Call before long work. A signal that the caller's shell ignores stays ignored.
void catch_interrupts();

/// Has the user asked to stop?
bool interrupt_requested();

/// 128 and the number of the signal that asked: 130 of Ctrl-C.
int interrupted_code();

}  // namespace riata::cli
