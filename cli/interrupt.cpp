#include "interrupt.hpp"

#include <csignal>
#include <initializer_list>

namespace riata::cli {
namespace {

volatile std::sig_atomic_t requested = 0;  // the signal's number

extern "C" void request_stop(int signal) { requested = signal; }

}  // namespace

void catch_interrupts() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current {};
    if (sigaction(signal, nullptr, &current) != 0 || current.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = request_stop;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the second one finds the default: death
    sigaction(signal, &action, nullptr);
  }
}

bool interrupt_requested() { return requested != 0; }

int interrupted_code() { return 128 + (requested != 0 ? requested : SIGINT); }

}  // namespace riata::cli
