#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace riata::cli {
namespace {

constexpr const char* clear_line = "\r\033[K";

std::string bar(int done, int all) {
  constexpr int width = 24;
  const auto filled =
      static_cast<std::size_t>(static_cast<long long>(std::min(done, all)) * width / std::max(all, 1));
  return fmt::format("[{}{}] ", std::string(filled, '#'), std::string(width - filled, ' '));
}

}  // namespace

Progress::Progress(bool wanted, std::optional<int> max_iter)
    : is_on_(wanted && ::isatty(STDERR_FILENO) == 1), max_iter_(max_iter) {}

Progress::~Progress() {
  if (is_on_) std::fputs(clear_line, stderr);
}

void Progress::show(const IterationInfo& info) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_on_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  fmt::print(stderr, "{}{}iteration {}  objective {:.6g}  {:.1f} s", clear_line,
             max_iter_ ? bar(info.iteration, *max_iter_) : "", info.iteration, info.value, info.seconds);
  std::fflush(stderr);
}

}  // namespace riata::cli
