#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "riata/core/sentence.hpp"

namespace riata::cli {
namespace {

constexpr const char* clear_line = "\r\033[K";

std::string bar(int done, int all) {
  constexpr int width = 24;
  const auto filled = static_cast<std::size_t>(static_cast<long long>(std::min(done, all)) * width / std::max(all, 1));
  return formatted("[{}{}] ", std::string(filled, '#'), std::string(width - filled, ' '));
}

}  // namespace

Progress::Progress(bool wanted, std::optional<int> max_iter)
    : is_on_(wanted && ::isatty(STDERR_FILENO) == 1), max_iter_(max_iter) {}

Progress::~Progress() {
  if (is_on_) std::fputs(clear_line, stderr);
}

bool Progress::is_due() {
  const auto now = std::chrono::steady_clock::now();
  if (!is_on_ || now - last_ < std::chrono::milliseconds(100)) return false;
  last_ = now;
  return true;
}

void Progress::print(int iteration, const std::string& text) const {
  // stderr is not buffered, and what it does not take is no failure of the run.
  std::fputs(formatted("{}{}{}", clear_line, max_iter_ ? bar(iteration, *max_iter_) : "", text).c_str(), stderr);
}

void Progress::show(const IterationInfo& info) {
  if (is_due())
    print(info.iteration, formatted("iteration {}  objective {:.6g}  {:.1f} s", info.iteration, info.value, info.seconds));
}

void Progress::show(const TrainingInfo& info) {
  if (!is_due()) return;
  const std::string optimum = std::isnan(info.optimum) ? "" : formatted("  optimum {:.6g}", info.optimum);
  print(info.iteration, formatted("step {}  {} layers: loss {:.6g}  ISTA {:.6g}{}  {:.1f} s", info.iteration, info.n_layers,
                                  info.value, info.ista, optimum, info.seconds));
}

}  // namespace riata::cli
