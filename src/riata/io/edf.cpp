#include "riata/io/edf.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <numeric>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/file.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t edf_start_bytes = 256, edf_signal_bytes = 256;  // of the header: before the signals, and of each
constexpr std::string_view bdf_magic =
    "\xff"
    "BIOSEMI";

struct EdfField {
  std::size_t offset, n_bytes;
};

// Before the signals.
constexpr EdfField edf_version{0, 8}, edf_date{168, 8}, edf_time{176, 8}, edf_header_bytes{184, 8}, edf_kind{192, 44},
    edf_n_records{236, 8}, edf_seconds{244, 8}, edf_n_signals{252, 4};
// Of a signal: each field stands for all signals in turn before the next one does, so `offset` counts once per signal.
constexpr EdfField edf_label{0, 16}, edf_unit{96, 8}, edf_physical_min{104, 8}, edf_physical_max{112, 8}, edf_digital_min{120, 8},
    edf_digital_max{128, 8}, edf_n_samples{216, 8};

/// Without the spaces, or NULs, that fill it.
std::string_view text_of_field(std::string_view header, EdfField field) {
  std::string_view text = header.substr(field.offset, field.n_bytes);
  text = text.substr(0, text.find('\0'));
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

/// RFC 3629
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0, n = 0; i < text.size(); i += n) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
    const unsigned lead = byte(0);
    n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (n == 0 || n > text.size() - i) return false;
    for (std::size_t k = 1; k < n; ++k)
      if ((byte(k) & 0xc0) != 0x80) return false;
    const bool is_overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool is_no_character = (lead == 0xed && byte(1) >= 0xa0) || (lead == 0xf4 && byte(1) >= 0x90);
    if (is_overlong || is_no_character) return false;
  }
  return true;
}

/// What is no UTF-8 is taken for Latin-1, whose characters are Unicode's first.
std::string utf8_of(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string utf8;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) utf8 += static_cast<char>(0xc0 | byte >> 6);
    utf8 += static_cast<char>(byte < 0x80 ? byte : 0x80 | (byte & 0x3f));
  }
  return utf8;
}

std::optional<double> edf_number_in(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

constexpr std::int64_t edf_most = 99'999'999;  // of a number in eight digits

/// Fields of a header as numbers; sentences name the file and whose they are: "" or " of channel 3 ('EEG Fp1')".
struct EdfNumbers {
  std::string_view header;
  const std::string& name;
  std::string owner = "";

  double number(EdfField field, const char* what) const {
    const std::string_view text = text_of_field(header, field);
    const std::optional<double> value = edf_number_in(text);
    require(value.has_value(), "{}: the {}{} is '{}'; expected a number", name, what, owner, shown(text));
    return *value;
  }
  /// In any spelling: some programs write -32768.0.
  std::int64_t integer(EdfField field, const char* what, std::int64_t least) const {
    const double value = number(field, what);
    require(value == std::floor(value) && value >= static_cast<double>(least) && value <= static_cast<double>(edf_most),
            "{}: the {}{} is {}; expected a whole number from {} to {}", name, what, owner, value, least, edf_most);
    return static_cast<std::int64_t>(value);
  }
};

/// The bytes of a file near those that were asked for last: what is asked for in order is read once, in blocks.
class EdfWindow {
 public:
  EdfWindow(std::FILE* file, const fs::path& path, std::size_t n_bytes) : file_(file), path_(path), bytes_(n_bytes) {}

  std::size_t size() const { return bytes_.size(); }
  /// n bytes, at most size(), until the next call. @throws std::invalid_argument where the file now ends before
  const unsigned char* at(std::uint64_t offset, std::size_t n) {
    if (offset < start_ || offset + n > start_ + n_held_) {
      seek(file_, path_, offset);
      n_held_ = read_up_to(file_, path_, bytes_.data(), bytes_.size());
      start_ = offset;
      require(n <= n_held_, "{} is truncated: it became shorter while it was read", path_.string());
    }
    return bytes_.data() + (offset - start_);
  }

 private:
  std::FILE* file_;
  const fs::path& path_;
  std::vector<unsigned char> bytes_;
  std::uint64_t start_ = 0;
  std::size_t n_held_ = 0;
};

constexpr std::size_t few_bytes = 1 << 12, many_bytes = 1 << 16;  // of windows: onto annotations, onto samples

// Little-endian, two's complement.
std::int32_t int16_at(const unsigned char* p) { return static_cast<std::int16_t>(p[0] | p[1] << 8); }
std::int32_t int24_at(const unsigned char* p) {
  return static_cast<std::int32_t>(std::uint32_t{p[0]} << 8 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 24) >> 8;
}

template <class T, class Out>
void scale_samples(const unsigned char* bytes, std::uint64_t sample_bytes, const EdfChannel& channel, Out&& out) {
  const auto scale_all = [&](const auto& value_at) {
    for (Index i = 0; i < out.size(); ++i, bytes += sample_bytes)
      out[i] = static_cast<T>((value_at(bytes) - channel.digital_min) * channel.gain + channel.physical_min);
  };
  sample_bytes == 2 ? scale_all(int16_at) : scale_all(int24_at);
}

/// When a list of annotations begins and how long it lasts: "+1.5", or "-0.2", \x15 and "3". None for other text, and for more than
/// thirty years.
struct TalTime {
  double onset, duration;
};
std::optional<TalTime> tal_time(std::string_view text) {
  const auto seconds = [](std::string_view digits) {
    const bool is_plain = !digits.empty() && digits.find_first_not_of("0123456789.") == std::string_view::npos;
    return is_plain ? edf_number_in(digits) : std::nullopt;
  };
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return {};
  const std::size_t end = std::min(text.find('\x15'), text.size());
  const auto onset = seconds(text.substr(1, end - 1)), duration = end < text.size() ? seconds(text.substr(end + 1)) : 0.0;
  if (!onset || !duration || *onset > 1e9) return {};
  return TalTime{text[0] == '-' ? -*onset : *onset, *duration};
}

/// One list of annotations, "TIME \x14 text \x14 ... text \x14", without spaces. False for other text.
bool append_annotations(std::string_view list, std::vector<EdfAnnotation>& annotations) {
  const std::size_t n_time = list.find('\x14');
  const std::optional<TalTime> time = tal_time(list.substr(0, n_time));
  if (!time || n_time == std::string_view::npos || list.back() != '\x14') return false;
  list.remove_prefix(n_time + 1);
  while (!list.empty()) {
    const std::size_t n = list.find('\x14');
    if (n > 0) annotations.push_back({time->onset, time->duration, utf8_of(list.substr(0, n))});
    list.remove_prefix(n + 1);
  }
  return true;
}

/// Two digits at 0, 3 and 6 of a date or time, whatever separates them.
std::optional<std::array<int, 3>> three_numbers(std::string_view text) {
  std::array<int, 3> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string_view digits = text.substr(std::min(3 * i, text.size()), 2);
    if (digits.size() != 2 || digits.find_first_not_of("0123456789") != std::string_view::npos) return {};
    numbers[i] = (digits[0] - '0') * 10 + digits[1] - '0';
  }
  return numbers;
}

std::string start_text(std::string_view date_text, std::string_view time_text, double seconds_later) {
  using namespace std::chrono;
  const auto date = three_numbers(date_text), time = three_numbers(time_text);
  if (!date || !time || (*time)[0] > 23 || (*time)[1] > 59 || (*time)[2] > 59) return "";
  const int year = (*date)[2] + ((*date)[2] < 85 ? 2000 : 1900);
  const year_month_day day{std::chrono::year(year), month(static_cast<unsigned>((*date)[1])),
                           std::chrono::day(static_cast<unsigned>((*date)[0]))};
  if (!day.ok()) return "";
  constexpr std::int64_t in_a_second = 1'000'000'000;
  const double whole = std::floor(seconds_later);
  const std::int64_t nanoseconds = std::llround((seconds_later - whole) * in_a_second);
  const sys_seconds at = sys_days(day) + hours((*time)[0]) + minutes((*time)[1]) + seconds((*time)[2]) +
                         seconds(static_cast<std::int64_t>(whole) + nanoseconds / in_a_second);
  const auto midnight = floor<days>(at);
  const year_month_day then(midnight);
  const hh_mm_ss clock(at - midnight);
  std::string text = formatted("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}", static_cast<int>(then.year()),
                               static_cast<unsigned>(then.month()), static_cast<unsigned>(then.day()), clock.hours().count(),
                               clock.minutes().count(), clock.seconds().count(), nanoseconds % in_a_second);
  text.resize(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

/// Where things are in the file.
struct EdfRecording::Layout {
  /// Bytes of a signal in each record.
  struct Place {
    std::uint64_t offset, n_bytes;
  };

  fs::path path;
  File file;
  std::uint64_t sample_bytes = 2, header_bytes = 0, record_bytes = 0;
  Index n_records = 0;
  double record_seconds = 0, first_onset = 0;  ///< seconds; the onset is that of the first sample, after the header's time
  std::vector<Place> channels = {}, annotations = {};

  std::uint64_t position(Index record, const Place& place) const {
    return header_bytes + static_cast<std::uint64_t>(record) * record_bytes + place.offset;
  }
  std::vector<EdfChannel> read_signals(std::int64_t n_signals);
  void count_records(std::int64_t n_promised);
  std::optional<double> onset_of(Index record, EdfWindow& window) const;
  void require_contiguous(double most_off) const;
};

/// Reads what the header says of each signal, and gives it its place in a record.
std::vector<EdfChannel> EdfRecording::Layout::read_signals(std::int64_t n_signals) {
  const std::string name = path.string();
  const auto n = static_cast<std::size_t>(n_signals);
  std::string header(n * edf_signal_bytes, '\0');
  header.resize(read_up_to(file.get(), path, header.data(), header.size()));
  require(edf_start_bytes + header.size() == header_bytes, "{} is truncated: its header takes {} bytes, the file holds {}", name,
          header_bytes, edf_start_bytes + header.size());
  std::vector<EdfChannel> signals;
  for (std::size_t i = 0; i < n; ++i) {
    const auto of_signal = [&](EdfField field) { return EdfField{n * field.offset + i * field.n_bytes, field.n_bytes}; };
    const std::string label = utf8_of(text_of_field(header, of_signal(edf_label)));
    const bool is_of_annotations = label == "EDF Annotations" || label == "BDF Annotations";
    const std::string owner =
        is_of_annotations ? formatted(" of '{}'", label) : formatted(" of channel {} ('{}')", signals.size(), shown(label));
    const EdfNumbers numbers{header, name, owner};
    const std::int64_t n_samples = numbers.integer(of_signal(edf_n_samples), "number of samples in a record", 1);
    (is_of_annotations ? annotations : channels).push_back({record_bytes, static_cast<std::uint64_t>(n_samples) * sample_bytes});
    record_bytes += static_cast<std::uint64_t>(n_samples) * sample_bytes;
    if (is_of_annotations) continue;  // the format gives it a scale, which means nothing
    constexpr std::int64_t any = -edf_most;
    const auto digital_min = static_cast<double>(numbers.integer(of_signal(edf_digital_min), "digital minimum", any)),
               digital_max = static_cast<double>(numbers.integer(of_signal(edf_digital_max), "digital maximum", any));
    require(digital_min < digital_max, "{}: the digital minimum{} is {}, not below the maximum {}", name, owner, digital_min,
            digital_max);
    const double physical_min = numbers.number(of_signal(edf_physical_min), "physical minimum"),
                 physical_max = numbers.number(of_signal(edf_physical_max), "physical maximum");
    const double gain = (physical_max - physical_min) / (digital_max - digital_min);
    require(gain != 0 && std::isfinite(gain), "{}: the physical minimum and maximum{} are {} and {}; expected two that differ",
            name, owner, physical_min, physical_max);
    signals.push_back({label, utf8_of(text_of_field(header, of_signal(edf_unit))), static_cast<double>(n_samples), n_samples,
                       digital_min, physical_min, gain});
  }
  return signals;
}

void EdfRecording::Layout::count_records(std::int64_t n_promised) {
  const std::uint64_t n_held = (size_of(file.get(), path) - header_bytes) / record_bytes;
  n_records = static_cast<Index>(n_held);
  require(n_promised <= n_records, "{} is truncated: its header promises {} records of {} bytes, the file holds {} whole ones",
          path.string(), n_promised, record_bytes, n_held);
  require(n_promised < 0 || n_promised == n_records,
          "{} is longer than its header says: {} records of {} bytes are promised, the file holds {} whole ones", path.string(),
          n_promised, record_bytes, n_held);
  require(n_records > 0, "{} holds no whole record of {} bytes", path.string(), record_bytes);
}

/// The time that a record begins with. None if it has none: continuous recordings can do without.
std::optional<double> EdfRecording::Layout::onset_of(Index record, EdfWindow& window) const {
  if (annotations.empty()) return {};
  constexpr std::uint64_t most_bytes = 64;
  const std::size_t n_bytes = std::min(annotations.front().n_bytes, most_bytes);
  const std::string_view text(reinterpret_cast<const char*>(window.at(position(record, annotations.front()), n_bytes)), n_bytes);
  const std::size_t n_time = text.find("\x14\x14");  // no text: the time is the record's
  const std::optional<TalTime> time = n_time < n_bytes ? tal_time(text.substr(0, n_time)) : std::nullopt;
  return time ? std::optional(time->onset) : std::nullopt;
}

void EdfRecording::Layout::require_contiguous(double most_off) const {
  EdfWindow window(file.get(), path, few_bytes);
  double end = 0;
  for (Index record = 0; record < n_records; ++record) {
    const std::optional<double> onset = onset_of(record, window);
    require(onset.has_value(), "{} is discontinuous (+D), but its record {} does not say when it begins", path.string(), record);
    const double off = record > 0 ? *onset - end : 0;
    require(
        std::abs(off) <= most_off,
        "{} is discontinuous: {} of {:.9g} s at {:.9g} s, where its record {} begins; only recordings without gaps are read (cut "
        "it there)",
        path.string(), off > 0 ? "a gap" : "an overlap", std::abs(off), end - first_onset, record);
    end = *onset + record_seconds;
  }
}

EdfRecording::EdfRecording(const fs::path& path) {
  Layout layout{path, open_to_read(path)};
  std::setvbuf(layout.file.get(), nullptr, _IONBF, 0);  // windows are the buffers
  const std::string name = path.string();
  std::string header(edf_start_bytes, '\0');
  header.resize(read_up_to(layout.file.get(), path, header.data(), header.size()));
  const bool is_bdf = header.starts_with(bdf_magic),
             is_edf = header.size() >= edf_version.n_bytes && text_of_field(header, edf_version) == "0";
  require(is_bdf || is_edf, "{} is not an EDF or BDF file", name);
  require(header.size() == edf_start_bytes, "{} is truncated: its header takes at least {} bytes, the file holds {}", name,
          edf_start_bytes, header.size());
  const EdfNumbers numbers{header, name};
  const std::int64_t n_signals = numbers.integer(edf_n_signals, "number of signals", 0),
                     n_header = numbers.integer(edf_header_bytes, "size of the header", 0);
  layout.sample_bytes = is_bdf ? 3 : 2;
  layout.header_bytes = edf_start_bytes + static_cast<std::uint64_t>(n_signals) * edf_signal_bytes;
  require(static_cast<std::uint64_t>(n_header) == layout.header_bytes,
          "{}: the size of the header is {}; expected {} for {} signals", name, n_header, layout.header_bytes, n_signals);
  channels_ = layout.read_signals(n_signals);
  require(!channels_.empty(), "{} has no channel of samples", name);
  layout.record_seconds = numbers.number(edf_seconds, "duration of a record");
  require(layout.record_seconds >= 1e-9, "{}: the duration of a record is {} s; expected at least 1e-9", name,
          layout.record_seconds);
  layout.count_records(numbers.integer(edf_n_records, "number of records", -1));
  double most_rate = 0;
  for (EdfChannel& channel : channels_) {
    channel.rate = static_cast<double>(channel.n_times) / layout.record_seconds;
    channel.n_times *= layout.n_records;
    most_rate = std::max(most_rate, channel.rate);
  }
  EdfWindow window(layout.file.get(), path, few_bytes);
  layout.first_onset = layout.onset_of(0, window).value_or(0);
  const std::string_view kind = text_of_field(header, edf_kind);
  constexpr double tolerance = 0.5;  // of a sample: times are rounded
  if (kind.starts_with("EDF+D") || kind.starts_with("BDF+D")) layout.require_contiguous(tolerance / most_rate);
  start_ = start_text(text_of_field(header, edf_date), text_of_field(header, edf_time), layout.first_onset);
  layout_ = std::make_unique<const Layout>(std::move(layout));
}

EdfRecording::EdfRecording(EdfRecording&&) noexcept = default;
EdfRecording& EdfRecording::operator=(EdfRecording&&) noexcept = default;
EdfRecording::~EdfRecording() = default;

const EdfChannel& EdfRecording::sampled_alike(std::span<const Index> channels) const {
  const std::string name = layout_->path.string();
  require(!channels.empty(), "{}: no channel is chosen", name);
  std::map<double, Index> n_of_rate;
  for (const Index c : channels) {
    require(0 <= c && c < std::ssize(channels_), "{}: there is no channel {}; expected 0 to {}", name, c, channels_.size() - 1);
    ++n_of_rate[channels_[static_cast<std::size_t>(c)].rate];
  }
  const auto by_number = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [common, n] = *std::max_element(n_of_rate.begin(), n_of_rate.end(), by_number);
  std::string others;
  for (const Index c : channels)
    if (const EdfChannel& channel = channels_[static_cast<std::size_t>(c)]; channel.rate != common)
      others += formatted(", {} Hz for '{}'", channel.rate, shown(channel.label));
  require(others.empty(),
          "{}: the chosen channels have several rates: {} Hz for {} of them{}; choose those of one rate with channels=", name,
          common, n, others);
  return channels_[static_cast<std::size_t>(channels.front())];
}

double EdfRecording::rate(std::span<const Index> channels) const { return sampled_alike(channels).rate; }
Index EdfRecording::n_times(std::span<const Index> channels) const { return sampled_alike(channels).n_times; }

template <Scalar T>
void EdfRecording::read_as(Index first, std::span<const Index> channels, MatrixRef<T>& out) const {
  const Index n_held = n_times(channels);
  require(out.rows() == std::ssize(channels), "{}: {} rows for {} channels", layout_->path.string(), out.rows(), channels.size());
  require(0 <= first && first <= n_held - out.cols(), "{} holds {} samples of each channel; {} from sample {} on were asked for",
          layout_->path.string(), n_held, out.cols(), first);
  std::vector<Index> rows(channels.size());
  std::iota(rows.begin(), rows.end(), Index{0});
  const auto channel_of = [&](Index row) { return static_cast<std::size_t>(channels[static_cast<std::size_t>(row)]); };
  std::sort(rows.begin(), rows.end(),
            [&](Index a, Index b) { return channel_of(a) < channel_of(b); });  // as they are in a record
  EdfWindow window(layout_->file.get(), layout_->path, many_bytes);
  const Index n_in_record = n_held / layout_->n_records, n_in_window = static_cast<Index>(many_bytes / layout_->sample_bytes);
  for (Index done = 0, n = 0; done < out.cols(); done += n) {
    const Index record = (first + done) / n_in_record, begin = (first + done) % n_in_record;
    n = std::min({n_in_record - begin, n_in_window, out.cols() - done});
    for (const Index row : rows) {
      const std::uint64_t at = layout_->position(record, layout_->channels[channel_of(row)]);
      const auto start = at + static_cast<std::uint64_t>(begin) * layout_->sample_bytes;
      const unsigned char* bytes = window.at(start, static_cast<std::size_t>(n) * layout_->sample_bytes);
      scale_samples<T>(bytes, layout_->sample_bytes, channels_[channel_of(row)], out.row(row).segment(done, n));
    }
  }
}

void EdfRecording::read(Index first, std::span<const Index> channels, MatrixRef<double> out) const {
  read_as(first, channels, out);
}
void EdfRecording::read(Index first, std::span<const Index> channels, MatrixRef<float> out) const {
  read_as(first, channels, out);
}

std::vector<EdfAnnotation> EdfRecording::read_annotations() const {
  std::vector<EdfAnnotation> annotations;
  EdfWindow window(layout_->file.get(), layout_->path, few_bytes);
  std::string list;
  const auto take_list = [&](Index record) {
    require(list.empty() || append_annotations(list, annotations),
            "{}: record {} holds '{}' among its annotations; expected +seconds\\x14text\\x14", layout_->path.string(), record,
            shown(list));
    list.clear();
  };
  for (Index record = 0; record < layout_->n_records; ++record)
    for (const Layout::Place& place : layout_->annotations) {
      for (std::uint64_t done = 0, n = 0; done < place.n_bytes; done += n) {
        n = std::min<std::uint64_t>(place.n_bytes - done, window.size());
        const unsigned char* bytes = window.at(layout_->position(record, place) + done, n);
        for (std::uint64_t i = 0; i < n; ++i)
          if (bytes[i] != 0)
            list += static_cast<char>(bytes[i]);
          else
            take_list(record);  // lists end with a NUL, and NULs fill what is left
      }
      take_list(record);
    }
  for (EdfAnnotation& annotation : annotations) annotation.onset -= layout_->first_onset;
  std::stable_sort(annotations.begin(), annotations.end(),
                   [](const EdfAnnotation& a, const EdfAnnotation& b) { return a.onset < b.onset; });
  return annotations;
}

std::optional<double> volts_per(std::string_view unit) {
  constexpr std::pair<std::string_view, double> known[] = {{"V", 1},          {"mV", 1e-3}, {"uV", 1e-6}, {"\u00b5V", 1e-6},
                                                           {"\u03bcV", 1e-6}, {"nV", 1e-9}};  // both micro signs
  for (const auto& [name, factor] : known)
    if (unit == name) return factor;
  return {};
}

}  // namespace riata
