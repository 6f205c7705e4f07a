#include "recordings.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"

namespace riata::cli {

ChannelChoice RecordingFlags::choice() const {
  ChannelChoice choice{.keyword = "--channels "};
  if (channels.empty()) return choice;
  for (std::size_t at = 0; at <= channels.size();) {
    const std::size_t end = std::min(channels.find(',', at), channels.size());
    std::string name = channels.substr(at, end - at);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    require(!name.empty(), "--channels '{}' holds an empty name", shown(channels));
    choice.names.push_back(std::move(name));
    at = end + 1;
  }
  return choice;
}

std::vector<const CLI::Option*> add_recording_flags(CLI::App& app, RecordingFlags& flags, const std::string& group) {
  return {app.add_option("--channels", flags.channels,
                         "Names with commas between them, of arrays numbers from 0; default: all but annotations")
              ->type_name("NAME,...")
              ->group(group),
          app.add_option("--rate", flags.rate, "Samples per second (Hz) of an array; other files tell it")->group(group)};
}

template <Scalar T>
RecordingFile<T> open_recording(const std::string& name, const RecordingFlags& flags, const ChannelChoice& choice) {
  require(!flags.rate || (*flags.rate > 0 && std::isfinite(*flags.rate)), "rate = {}, must be > 0 Hz and finite",
          flags.rate.value_or(0));
  auto file = riata::open_recording<T>(name, choice);
  require(!flags.rate || !file.rate || *flags.rate == *file.rate, "--rate {} but {} has {} Hz; leave out --rate",
          flags.rate.value_or(0), name, file.rate.value_or(0));
  if (flags.rate) file.rate = flags.rate;
  return file;
}

std::string duration_text(Index n_times, const std::optional<double>& rate) {
  const std::string samples = formatted("{} sample{}", n_times, n_times == 1 ? "" : "s");
  return rate ? formatted("{} ({:.6g} s)", samples, static_cast<double>(n_times) / *rate) : samples;
}

template RecordingFile<float> open_recording<float>(const std::string&, const RecordingFlags&, const ChannelChoice&);
template RecordingFile<double> open_recording<double>(const std::string&, const RecordingFlags&, const ChannelChoice&);

}  // namespace riata::cli
