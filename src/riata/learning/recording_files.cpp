#include "riata/learning/recording_files.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/edf.hpp"
#include "riata/io/npy_stream.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& name) { return formatted("'{}'", shown(name)); }

/// "'Fp1', 'Cz'", the middle left out where there are many.
std::string all_quoted(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  std::ranges::transform(names, std::back_inserter(all), quoted);
  return one_line(formatted("{}", fmt::join(all, ", ")), 250);
}

std::vector<std::string> labels_of(const EdfRecording& file) {
  std::vector<std::string> labels;
  for (const EdfChannel& channel : file.channels()) labels.push_back(channel.label);
  return labels;
}

std::vector<Index> places_of(const EdfRecording& file, const std::string& name, const ChannelChoice& choice) {
  const std::vector<std::string> labels = labels_of(file);
  std::vector<Index> places;
  if (choice.names.empty())
    for (Index i = 0; i < std::ssize(labels); ++i) places.push_back(i);
  for (const std::string& wanted : choice.names) {
    const auto n = std::ranges::count(labels, wanted);
    require(n > 0, "{} has no channel {}; it has {}", name, quoted(wanted), labels.empty() ? "none" : all_quoted(labels));
    require(n == 1, "{} has {} channels {}; which one is meant is not known", name, n, quoted(wanted));
    const Index place = std::ranges::find(labels, wanted) - labels.begin();
    require(std::ranges::find(places, place) == places.end(), "{}: channel {} is chosen twice", name, quoted(wanted));
    places.push_back(place);
  }
  require(!places.empty(), "{} holds no channels but annotations", name);
  return places;
}

/// Refuses channels that differ in what `what_of` says of them, naming those that are not as most are.
template <class WhatOf>
void require_alike(const EdfRecording& file, const std::vector<Index>& places, const std::string& name, const char* what,
                   const ChannelChoice& choice, const WhatOf& what_of) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const Index place : places) {
    const EdfChannel& channel = file.channels()[static_cast<std::size_t>(place)];
    groups[what_of(channel)].push_back(channel.label);
  }
  if (groups.size() == 1) return;
  const auto most =
      std::ranges::max_element(groups, {}, [](const auto& group) { return static_cast<Index>(group.second.size()); });
  std::string others;
  for (const auto& [value, labels] : groups)
    if (value != most->first) others += formatted(", {} for {}", value, all_quoted(labels));
  refuse(formatted("{}: the channels have several {}: {} for {} of them{}; choose those of one with {}NAME,NAME,...", name, what,
                   most->first, most->second.size(), others, choice.keyword));
}

template <Scalar T>
class EdfChannels final : public Recording<T> {
 public:
  EdfChannels(const fs::path& path, const ChannelChoice& choice) : file_(path), places_(places_of(file_, path.string(), choice)) {
    const std::string name = path.string();
    require_alike(file_, places_, name, "rates", choice, [](const EdfChannel& c) { return formatted("{} Hz", c.rate); });
    require_alike(file_, places_, name, "units", choice,
                  [](const EdfChannel& c) { return volts_per(c.unit) ? std::string("V") : quoted(c.unit); });
    for (const Index place : places_)
      to_unit_.push_back(volts_per(file_.channels()[static_cast<std::size_t>(place)].unit).value_or(1));
  }
  Index n_channels() const override { return std::ssize(places_); }
  Index n_times() const override { return file_.n_times(places_); }
  void read(Index, Index first, MatrixRef<T> out) override {
    Matrix<double> rows(n_channels(), out.rows());
    file_.read(first, places_, rows);
    for (Index c = 0; c < n_channels(); ++c)
      out.col(c) = (rows.row(c) * to_unit_[static_cast<std::size_t>(c)]).template cast<T>().transpose();
  }

  RecordingFile<T> described(std::shared_ptr<Recording<T>> self) const {
    RecordingFile<T> file{.recording = std::move(self), .rate = file_.rate(places_)};
    for (const Index place : places_) file.channel_names.push_back(file_.channels()[static_cast<std::size_t>(place)].label);
    const std::string& unit = file_.channels()[static_cast<std::size_t>(places_.front())].unit;
    file.unit = volts_per(unit) ? "V" : unit;
    return file;
  }

 private:
  EdfRecording file_;
  std::vector<Index> places_;
  std::vector<double> to_unit_;
};

template <Scalar T>
class NpyTrials final : public Recording<T> {
 public:
  NpyTrials(const fs::path& path, const ChannelChoice& choice) : file_(path) {
    const std::vector<Index>& shape = file_.shape();
    require(shape.size() >= 1 && shape.size() <= 3,
            "{} has {} dimensions, expected (n_channels, n_times), (n_trials, n_channels, n_times) or (n_times,)", file_.name(),
            shape.size());
    n_times_ = shape.back();
    n_in_file_ = shape.size() >= 2 ? shape[shape.size() - 2] : 1;
    n_trials_ = shape.size() == 3 ? shape.front() : 1;
    require(n_times_ > 0 && n_in_file_ > 0 && n_trials_ > 0, "{} has shape ({}); expected at least one sample", file_.name(),
            fmt::join(shape, ", "));
    if (choice.names.empty())
      for (Index c = 0; c < n_in_file_; ++c) places_.push_back(c);
    for (const std::string& wanted : choice.names) {
      Index place = -1;
      const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), place);
      const bool is_number = error == std::errc() && end == wanted.data() + wanted.size();
      require(is_number && place >= 0 && place < n_in_file_, "{} has no channel {}; it has those of the numbers 0 to {}",
              file_.name(), quoted(wanted), n_in_file_ - 1);
      require(std::ranges::find(places_, place) == places_.end(), "{}: channel {} is chosen twice", file_.name(), place);
      places_.push_back(place);
    }
  }
  Index n_trials() const override { return n_trials_; }
  Index n_channels() const override { return std::ssize(places_); }
  Index n_times() const override { return n_times_; }
  void read(Index trial, Index first, MatrixRef<T> out) override {
    for (Index c = 0; c < n_channels(); ++c) {
      const Index row = trial * n_in_file_ + places_[static_cast<std::size_t>(c)];
      const auto values = file_.read(row * n_times_ + first, out.rows());
      std::visit(
          [&](const auto& piece) { std::ranges::transform(piece, out.col(c).data(), [](auto x) { return static_cast<T>(x); }); },
          values);
    }
  }

 private:
  NpyValues file_;
  Index n_trials_, n_in_file_, n_times_;
  std::vector<Index> places_;
};

/// 'Fp1', or 3 where there are no names.
template <Scalar T>
std::string channel_name(const RecordingFile<T>& file, Index c) {
  return file.channel_names.empty() ? formatted("{}", c) : quoted(file.channel_names[static_cast<std::size_t>(c)]);
}

}  // namespace

bool is_edf_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".edf" || extension == ".bdf";
}

template <Scalar T>
RecordingFile<T> open_recording(const fs::path& path, const ChannelChoice& choice) {
  if (is_edf_name(path)) {
    const auto channels = std::make_shared<EdfChannels<T>>(path, choice);
    return channels->described(channels);
  }
  require(path.extension() == ".npy", "{} is no recording: expected .edf, .bdf or .npy", path.string());
  return {.recording = std::make_shared<NpyTrials<T>>(path, choice)};
}

template <Scalar T>
std::vector<Index> require_finite_samples(const RecordingFile<T>& file, const std::string& where) {
  Recording<T>& recording = *file.recording;
  constexpr Index values_at_once = 1 << 20;
  const Index n_channels = recording.n_channels(), n_times = recording.n_times(),
              most = std::clamp<Index>(values_at_once / n_channels, 1, n_times);
  Matrix<T> piece, start(1, n_channels);
  recording.read(0, 0, start);
  std::vector<bool> changes(static_cast<std::size_t>(n_channels), false);
  for (Index trial = 0; trial < recording.n_trials(); ++trial)
    for (Index first = 0; first < n_times; first += most) {
      leave_if_stopped();
      piece.resize(std::min(most, n_times - first), n_channels);
      recording.read(trial, first, piece);
      for (Index c = 0; c < n_channels; ++c) {
        const auto samples = piece.col(c);
        const auto bad = std::ranges::find_if(samples, [](T x) { return !std::isfinite(x); });
        require(bad == samples.end(), "{}: channel {} holds {} at sample {}{}; expected finite numbers", where,
                channel_name(file, c), static_cast<double>(bad == samples.end() ? T(0) : *bad), first + (bad - samples.begin()),
                recording.n_trials() > 1 ? formatted(" of trial {}", trial) : "");
        if ((samples.array() != start(c)).any()) changes[static_cast<std::size_t>(c)] = true;
      }
    }
  std::vector<Index> constant;
  for (Index c = 0; c < n_channels; ++c)
    if (!changes[static_cast<std::size_t>(c)]) constant.push_back(c);
  return constant;
}

template <Scalar T>
void require_good_samples(const RecordingFile<T>& file, const std::string& where, const ChannelChoice& choice) {
  std::vector<std::string> constant;
  for (const Index c : require_finite_samples<T>(file, where)) constant.push_back(channel_name(file, c));
  if (constant.empty()) return;
  refuse(formatted("{}: channel{} {} {} the same at all samples; choose the others with {}NAME,NAME,...", where,
                   constant.size() == 1 ? "" : "s", one_line(formatted("{}", fmt::join(constant, ", ")), 250),
                   constant.size() == 1 ? "is" : "are", choice.keyword));
}

#define RIATA_INSTANTIATE(T)                                                                          \
  template RecordingFile<T> open_recording<T>(const std::filesystem::path&, const ChannelChoice&);    \
  template std::vector<Index> require_finite_samples<T>(const RecordingFile<T>&, const std::string&); \
  template void require_good_samples<T>(const RecordingFile<T>&, const std::string&, const ChannelChoice&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
