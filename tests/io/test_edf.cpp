#include "riata/io/edf.hpp"

#include <cmath>
#include <numeric>
#include <utility>

#include "io/files.hpp"
#include "support/long.hpp"

namespace riata::testing {
namespace {

using Picks = std::vector<Index>;

/// A signal as the header has it, in the header's words.
struct EdfSignal {
  std::string label;
  std::string n_samples = "4", unit = "uV";
  std::string physical_min = "-100", physical_max = "155", digital_min = "-500", digital_max = "523";
};

/// A file as its parts, each of which a test may spoil.
struct EdfFile {
  std::vector<EdfSignal> signals;
  std::vector<std::string> records;  // their bytes
  std::string kind = "", seconds = "1", n_records = "", n_header = "", n_signals = "";
  std::string version = "0", date = "02.03.02", time = "13.36.05";

  std::string header() const {
    const auto padded = [](std::string text, std::size_t n) { return text.append(n - text.size(), ' '); };
    const auto or_true = [](const std::string& text, std::size_t value) { return text.empty() ? std::to_string(value) : text; };
    std::string bytes = padded(version, 8) + padded("X M 02-MAR-1951 Nobody", 80) + padded("Startdate 02-MAR-2002 X X X", 80) +
                        padded(date, 8) + padded(time, 8) + padded(or_true(n_header, 256 * (signals.size() + 1)), 8) +
                        padded(kind, 44) + padded(or_true(n_records, records.size()), 8) + padded(seconds, 8) +
                        padded(or_true(n_signals, signals.size()), 4);
    const auto add = [&](std::size_t n, const auto& field) {
      for (const EdfSignal& signal : signals) bytes += padded(field(signal), n);
    };
    add(16, [](const EdfSignal& s) { return s.label; });
    add(80, [](const EdfSignal&) { return "AgAgCl electrode"; });
    add(8, [](const EdfSignal& s) { return s.unit; });
    add(8, [](const EdfSignal& s) { return s.physical_min; });
    add(8, [](const EdfSignal& s) { return s.physical_max; });
    add(8, [](const EdfSignal& s) { return s.digital_min; });
    add(8, [](const EdfSignal& s) { return s.digital_max; });
    add(80, [](const EdfSignal&) { return "HP:0.1Hz LP:75Hz"; });
    add(8, [](const EdfSignal& s) { return s.n_samples; });
    add(32, [](const EdfSignal&) { return ""; });
    return bytes;
  }
  std::string bytes() const { return std::accumulate(records.begin(), records.end(), header()); }
};

std::string samples(const std::vector<int>& values, std::size_t n_bytes = 2) {
  std::string bytes;
  for (const int value : values) bytes += little_endian(static_cast<std::uint64_t>(value), n_bytes);
  return bytes;
}

/// Lists of annotations, filled with NULs: "+0||;+2~1.5|text|;" for \x14, NUL and \x15.
std::string lists(std::string text, std::size_t n_bytes) {
  for (char& c : text) c = c == '|' ? '\x14' : c == '~' ? '\x15' : c == ';' ? '\0' : c;
  text.resize(n_bytes);
  return text;
}

/// The scaling by its definition.
double physical(const EdfSignal& s, int digital) {
  const double gain =
      (std::stod(s.physical_max) - std::stod(s.physical_min)) / (std::stod(s.digital_max) - std::stod(s.digital_min));
  return (digital - std::stod(s.digital_min)) * gain + std::stod(s.physical_min);
}

template <class T = double>
Matrix<T> read_samples(const EdfRecording& recording, Index first, Index n, const Picks& channels) {
  Matrix<T> values = Matrix<T>::Constant(static_cast<Index>(channels.size()), n, T(-12345));
  recording.read(first, channels, values);
  return values;
}

/// Two channels in two records.
EdfFile two_channels() {
  return {{{"EEG Fp1"}, {.label = "EEG Fpz-Cz", .unit = "mV", .physical_min = "3", .physical_max = "-3"}},
          {samples({1, -1, 523, -500, 256, -256, 0, 7}), samples({-32768, 32767, 2, 3, 10, 20, 30, 40})}};
}

/// Three records of one channel, a second each, with annotations before it and after it in the record.
EdfFile with_annotations() {
  return {{{"EDF Annotations", "20"}, {"Cz"}, {"EDF Annotations", "10"}},
          {lists("+0.25||;+3.5~1.5|late|;", 40) + samples({1, 2, 3, 4}) + lists("", 20),
           lists("+1.25||started|", 40) + samples({5, 6, 7, 8}) + lists("+0.5|one|two|;-2|\xc3\xa9|", 20),
           lists("+2.25||", 40) + samples({9, 10, 11, 12}) + lists("+1.25|\xe9|", 20)},
          "EDF+C"};
}

std::string edf_message(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = folder.put("s.edf", bytes);
  const std::string message = message_of<std::invalid_argument>([&] { EdfRecording{path}; });
  EXPECT_EQ(message.substr(0, path.string().size()), path.string());
  return message.substr(std::min(message.size(), path.string().size()));
}
std::string edf_message(const EdfFile& file) { return edf_message(file.bytes()); }

EdfRecording recording_of(const TemporaryFolder& folder, const EdfFile& file) {
  return EdfRecording(folder.put("s.edf", file.bytes()));
}

TEST(EdfRecording, ReadsTheHeader) {
  const TemporaryFolder folder;
  const EdfRecording recording = recording_of(folder, two_channels());
  ASSERT_EQ(recording.channels().size(), 2u);
  EXPECT_EQ(recording.channels()[0].label, "EEG Fp1");
  EXPECT_EQ(recording.channels()[0].unit, "uV");
  EXPECT_EQ(recording.channels()[1].label, "EEG Fpz-Cz");
  EXPECT_EQ(recording.channels()[1].unit, "mV");
  EXPECT_EQ(recording.channels()[1].gain, -6. / 1023);
  EXPECT_EQ(recording.rate(Picks{0, 1}), 4);
  EXPECT_EQ(recording.n_times(Picks{0, 1}), 8);
  EXPECT_EQ(recording.start(), "2002-03-02T13:36:05");
  EXPECT_TRUE(recording.read_annotations().empty());
}

TEST(EdfRecording, ScalesToTheLastBit) {
  const TemporaryFolder folder;
  const EdfFile file = two_channels();
  const EdfRecording recording = recording_of(folder, file);
  const int digital[2][8] = {{1, -1, 523, -500, -32768, 32767, 2, 3}, {256, -256, 0, 7, 10, 20, 30, 40}};
  const Matrix<double> values = read_samples(recording, 0, 8, {0, 1});
  const Matrix<float> floats = read_samples<float>(recording, 0, 8, {0, 1});
  for (Index c = 0; c < 2; ++c)
    for (Index t = 0; t < 8; ++t) {
      EXPECT_EQ(values(c, t), physical(file.signals[static_cast<std::size_t>(c)], digital[c][t])) << c << " " << t;
      EXPECT_EQ(floats(c, t), static_cast<float>(values(c, t))) << c << " " << t;
    }
  EXPECT_EQ(values(0, 2), 155);
  EXPECT_EQ(values(0, 3), -100);
}

TEST(EdfRecording, ReadsTwentyFourBits) {
  const TemporaryFolder folder;
  const std::string min = "-8388608", max = "8388607";
  EdfFile file{{{"A1", "3", "uV", min, max, min, max}, {"Status", "3", "Boolean", "-1", "1", min, max}}, {}};
  file.version =
      "\xff"
      "BIOSEMI";
  file.kind = "24BIT";
  const std::vector<int> digital{0, 1, -1, 255, 256, -256, 65535, 65536, -65536, -8388608, 8388607, 0x123456};
  file.records = {samples(digital, 3).substr(0, 18), samples(digital, 3).substr(18)};
  const EdfRecording recording = recording_of(folder, file);
  const Matrix<double> values = read_samples(recording, 0, 6, {0, 1});
  for (Index c = 0; c < 2; ++c)
    for (Index t = 0; t < 6; ++t) {
      const int value = digital[static_cast<std::size_t>(t / 3 * 6 + c * 3 + t % 3)];
      EXPECT_EQ(values(c, t), physical(file.signals[static_cast<std::size_t>(c)], value)) << value;
    }
  EXPECT_EQ(values(0, 2), -1);
  EXPECT_EQ(values(0, 3), 65535);
}

TEST(EdfRecording, ReadsAnyPieceOfAnyChannels) {
  const TemporaryFolder folder;
  struct Shape {
    std::size_t n_channels, n_samples, n_records;
  };
  // Within a window; many records in one; records, and channels of a record, of more than a window.
  for (const Shape shape : {Shape{3, 5, 7}, Shape{5, 1, 9'000}, Shape{7, 3'000, 5}, Shape{2, 40'000, 3}}) {
    EdfFile file{std::vector<EdfSignal>(shape.n_channels, EdfSignal{"x"}), {}};
    const Index n_channels = static_cast<Index>(shape.n_channels),
                n_times = static_cast<Index>(shape.n_samples * shape.n_records);
    Matrix<double> expected(n_channels, n_times);
    Index next = 0;
    for (EdfSignal& signal : file.signals) signal.n_samples = std::to_string(shape.n_samples);
    for (std::size_t record = 0; record < shape.n_records; ++record) {
      file.records.emplace_back();
      for (Index c = 0; c < n_channels; ++c)
        for (std::size_t i = 0; i < shape.n_samples; ++i) {
          const int digital = static_cast<int>((next++ * 40'503) % 65'536) - 32'768;
          file.records.back() += little_endian(static_cast<std::uint64_t>(digital), 2);
          expected(c, static_cast<Index>(record * shape.n_samples + i)) = physical(file.signals[0], digital);
        }
    }
    const EdfRecording recording = recording_of(folder, file);
    Picks all(shape.n_channels);
    std::iota(all.begin(), all.end(), Index{0});
    EXPECT_EQ(recording.n_times(all), n_times);
    EXPECT_EQ(read_samples(recording, 0, n_times, all), expected) << n_times;
    for (Index first = 0; first < n_times; first += n_times / 7)
      for (const Index n : {Index{0}, Index{1}, Index{4}, Index{6}, n_times / 3, n_times - first}) {
        if (first + n > n_times) continue;
        EXPECT_EQ(read_samples(recording, first, n, {n_channels - 1}), expected.bottomRows(1).middleCols(first, n));
        const Matrix<double> some = read_samples(recording, first, n, {n_channels - 1, 0, n_channels - 1});
        EXPECT_EQ(some.row(0), expected.row(n_channels - 1).segment(first, n)) << first << " " << n;
        EXPECT_EQ(some.row(1), expected.row(0).segment(first, n)) << first << " " << n;
        EXPECT_EQ(some.row(2), some.row(0));
      }
  }
}

TEST(EdfRecording, WritesIntoPartsOfAMatrix) {
  const TemporaryFolder folder;
  const EdfRecording recording = recording_of(folder, two_channels());
  Matrix<double> values = Matrix<double>::Zero(4, 5);
  recording.read(3, Picks{1}, values.block(2, 1, 1, 2));
  EXPECT_EQ(values.block(2, 1, 1, 2), read_samples(recording, 3, 2, {1}));
  values.block(2, 1, 1, 2).setZero();
  EXPECT_EQ(values, (Matrix<double>::Zero(4, 5)));
}

TEST(EdfRecording, ReadsChannelsOfOneRate) {
  const TemporaryFolder folder;
  EdfFile file{{{"Fp1"}, {"Resp", "2"}, {"Fp2"}, {"Temp", "1"}}, {}, "", "0.5"};
  for (int r = 0; r < 2; ++r)
    file.records.push_back(samples({r, r + 1, r + 2, r + 3, 10 * r, 10 * r + 1, 20, 21, 22, 23 + r, 99 + r}));
  const EdfRecording recording = recording_of(folder, file);
  EXPECT_EQ(recording.rate(Picks{2, 0}), 8);
  EXPECT_EQ(recording.rate(Picks{1}), 4);
  EXPECT_EQ(recording.n_times(Picks{1}), 4);
  const Matrix<double> values = read_samples(recording, 0, 4, {1});
  for (Index t = 0; t < 4; ++t) EXPECT_EQ(values(0, t), physical(file.signals[1], static_cast<int>(t / 2 * 10 + t % 2)));
  EXPECT_EQ(read_samples(recording, 1, 1, {3})(0, 0), physical(file.signals[3], 100));
  EXPECT_EQ(read_samples(recording, 7, 1, {2})(0, 0), physical(file.signals[2], 24));
  const std::string sentence = (folder / "s.edf").string() +
                               ": the chosen channels have several rates: 8 Hz for 2 of them, 4 Hz for 'Resp', 2 Hz for 'Temp'; "
                               "choose those of one rate with channels=";
  const Picks all{0, 1, 2, 3};
  EXPECT_EQ(message_of<std::invalid_argument>([&] { recording.rate(all); }), sentence);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { recording.n_times(all); }), sentence);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { read_samples(recording, 0, 1, all); }), sentence);
}

TEST(EdfRecording, RefusesSamplesThatAreNotThere) {
  const TemporaryFolder folder;
  const EdfRecording recording = recording_of(folder, two_channels());
  const auto message = [&](Index first, Index n_rows, Index n, const Picks& channels) {
    Matrix<double> values(n_rows, n);
    return message_of<std::invalid_argument>([&] { recording.read(first, channels, values); })
        .substr((folder / "s.edf").string().size());
  };
  EXPECT_EQ(message(8, 1, 1, {0}), " holds 8 samples of each channel; 1 from sample 8 on were asked for");
  EXPECT_EQ(message(-1, 1, 1, {0}), " holds 8 samples of each channel; 1 from sample -1 on were asked for");
  EXPECT_EQ(message(0, 1, 9, {0}), " holds 8 samples of each channel; 9 from sample 0 on were asked for");
  EXPECT_EQ(message(0, 2, 1, {0}), ": 2 rows for 1 channels");
  EXPECT_EQ(message(0, 1, 1, {2}), ": there is no channel 2; expected 0 to 1");
  EXPECT_EQ(message(0, 1, 1, {-1}), ": there is no channel -1; expected 0 to 1");
  EXPECT_EQ(message(0, 0, 1, {}), ": no channel is chosen");
}

TEST(EdfRecording, ReadsAnnotations) {
  const TemporaryFolder folder;
  for (const int n_bytes : {2, 3}) {
    EdfFile file = with_annotations();
    if (n_bytes == 3) {  // the same bytes, as fewer samples
      file.version =
          "\xff"
          "BIOSEMI";
      file.kind = "BDF+C";
      file.signals[0] = {"BDF Annotations", "14"};
      file.signals[2] = {"BDF Annotations", "7"};
      for (std::string& record : file.records)
        record =
            record.substr(0, 40) + std::string(2, '\0') + samples({1, 2, 3, 4}, 3) + record.substr(48) + std::string(1, '\0');
    }
    const EdfRecording recording = recording_of(folder, file);
    ASSERT_EQ(recording.channels().size(), 1u);
    EXPECT_EQ(recording.channels()[0].label, "Cz");
    EXPECT_EQ(recording.start(), "2002-03-02T13:36:05.25");
    const std::vector<EdfAnnotation> expected{{-2.25, 0, "\u00e9"}, {0.25, 0, "one"}, {0.25, 0, "two"},
                                              {1, 0, "started"},    {1, 0, "\u00e9"}, {3.25, 1.5, "late"}};
    EXPECT_EQ(recording.read_annotations(), expected);
    EXPECT_EQ(recording.read_annotations(), expected);  // a second time, too
    EXPECT_EQ(read_samples(recording, 3, 1, {0})(0, 0), physical(file.signals[1], 4));
  }
}

TEST(EdfRecording, ReadsLongListsOfAnnotations) {
  const TemporaryFolder folder;
  const std::string text(9'999, 'x');
  EdfFile file{{{"Cz", "2"}, {"EDF Annotations", "10000"}}, {}, "EDF+C"};
  for (const char* onset : {"+0", "+1"})
    file.records.push_back(samples({1, 2}) + lists(std::string(onset) + "||" + text + "|", 20'000));
  EXPECT_EQ(recording_of(folder, file).read_annotations(), (std::vector<EdfAnnotation>{{0, 0, text}, {1, 0, text}}));
  file.records[1] = samples({1, 2}) + lists("+1||;+1|" + std::string(19'991, 'y') + "|", 20'000);
  EXPECT_EQ(recording_of(folder, file).read_annotations()[1].text.size(), 19'991u);  // without a NUL at its end
}

TEST(EdfRecording, RefusesDamagedAnnotations_ButReadsTheSamples) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    EdfFile file = with_annotations();
    file.records[2] = lists("+2.25||", 40) + samples({9, 10, 11, 12}) + lists(text, 20);
    const EdfRecording recording = recording_of(folder, file);
    EXPECT_EQ(read_samples(recording, 8, 1, {0})(0, 0), physical(file.signals[1], 9));
    return message_of<std::invalid_argument>([&] { recording.read_annotations(); }).substr((folder / "s.edf").string().size());
  };
  const std::string end = " among its annotations; expected +seconds\\x14text\\x14";
  EXPECT_EQ(message("1|a|"), ": record 2 holds '1\\x14a\\x14'" + end);
  EXPECT_EQ(message("+1|a"), ": record 2 holds '+1\\x14a'" + end);
  EXPECT_EQ(message("+1"), ": record 2 holds '+1'" + end);
  EXPECT_EQ(message("+|a|"), ": record 2 holds '+\\x14a\\x14'" + end);
  EXPECT_EQ(message("+1e5|a|"), ": record 2 holds '+1e5\\x14a\\x14'" + end);
  EXPECT_EQ(message("+1~|a|"), ": record 2 holds '+1\\x15\\x14a\\x14'" + end);
  EXPECT_EQ(message("+1~-1|a|"), ": record 2 holds '+1\\x15-1\\x14a\\x14'" + end);
  EXPECT_EQ(message("+9999999999|a|"), ": record 2 holds '+9999999999\\x14a\\x14'" + end);
  EXPECT_EQ(message("+1|a|;;b"), ": record 2 holds 'b'" + end);
}

TEST(EdfRecording, TakesContinuousRecordsWithoutTimes) {
  const TemporaryFolder folder;
  EdfFile file = with_annotations();
  for (std::string& record : file.records) record.replace(0, 40, std::string(40, '\0'));
  const EdfRecording recording = recording_of(folder, file);
  EXPECT_EQ(recording.start(), "2002-03-02T13:36:05");
  EXPECT_EQ(recording.read_annotations().front(), (EdfAnnotation{-2, 0, "\u00e9"}));
}

TEST(EdfRecording, ReadsDiscontinuousFilesWithoutGapsAlone) {
  const auto file_at = [](const std::vector<std::string>& onsets) {
    EdfFile file{{{"Cz", "100"}, {"EDF Annotations", "10"}}, {}, "EDF+D"};
    for (const std::string& onset : onsets)
      file.records.push_back(samples(std::vector<int>(100, 1)) + lists(onset.empty() ? "" : onset + "||", 20));
    return file;
  };
  const TemporaryFolder folder;
  EXPECT_EQ(recording_of(folder, file_at({"+10", "+11", "+12"})).start(), "2002-03-02T13:36:15");
  EXPECT_EQ(recording_of(folder, file_at({"+10", "+11.004", "+12"})).n_times(Picks{0}), 300);  // less than half a sample off
  const std::string end = "; only recordings without gaps are read (cut it there)";
  EXPECT_EQ(edf_message(file_at({"+10", "+11", "+14.5", "+20"})),
            " is discontinuous: a gap of 2.5 s at 2 s, where its record 2 begins" + end);
  EXPECT_EQ(edf_message(file_at({"+10", "+11.006", "+12"})),
            " is discontinuous: a gap of 0.006 s at 1 s, where its record 1 begins" + end);
  EXPECT_EQ(edf_message(file_at({"+10", "+10.5"})),
            " is discontinuous: an overlap of 0.5 s at 1 s, where its record 1 begins" + end);
  EXPECT_EQ(edf_message(file_at({"+10", ""})), " is discontinuous (+D), but its record 1 does not say when it begins");
  EdfFile bdf = file_at({"+10", "+12"});
  bdf.kind = "BDF+D";
  EXPECT_EQ(edf_message(bdf), " is discontinuous: a gap of 1 s at 1 s, where its record 1 begins" + end);
  EdfFile without = two_channels();
  without.kind = "EDF+D";
  EXPECT_EQ(edf_message(without), " is discontinuous (+D), but its record 0 does not say when it begins");
}

TEST(EdfRecording, SaysWhenItStarts) {
  const TemporaryFolder folder;
  const auto start = [&](const std::string& date, const std::string& time, const std::string& onset) {
    EdfFile file = with_annotations();
    file.date = date;
    file.time = time;
    file.records[0].replace(0, 40, lists(onset + "||", 40));
    return recording_of(folder, file).start();
  };
  EXPECT_EQ(start("25.04.97", "13.36.05", "+0"), "1997-04-25T13:36:05");
  EXPECT_EQ(start("01.01.85", "00.00.00", "+0"), "1985-01-01T00:00:00");
  EXPECT_EQ(start("31.12.84", "23:59:59", "+0.999999999"), "2084-12-31T23:59:59.999999999");
  EXPECT_EQ(start("28.02.00", "23.59.59", "+1.000"), "2000-02-29T00:00:00");
  EXPECT_EQ(start("01.01.00", "00.00.00", "-0.5"), "1999-12-31T23:59:59.5");
  for (const std::string date : {"00.00.00", "30.02.01", "xx.xx.xx", "", "1.1.2001"})
    EXPECT_EQ(start(date, "01.02.03", "+0"), "") << date;
  for (const std::string time : {"24.00.00", "00.60.00", "00.00.60", "12"}) EXPECT_EQ(start("01.01.01", time, "+0"), "") << time;
}

TEST(EdfRecording, ReadsOtherSpellingsOfTheHeader) {
  const TemporaryFolder folder;
  EdfFile file = two_channels();
  file.signals[0] = {"Fp1", "  4", std::string("\xb5V\0\0x", 5), "-1.00e2", "+155", "-500.0", " 523"};
  file.seconds = std::string(".5\0     ", 8);
  const EdfRecording recording = recording_of(folder, file);
  EXPECT_EQ(recording.rate(Picks{0}), 8);
  EXPECT_EQ(recording.channels()[0].unit, "\u00b5V");
  EXPECT_EQ(read_samples(recording, 2, 1, {0})(0, 0), 155);
}

TEST(EdfRecording, TakesWhatIsNoUtf8ForLatin1) {
  const TemporaryFolder folder;
  const auto label = [&](const std::string& text) {
    EdfFile file = two_channels();
    file.signals[0].label = text;
    return recording_of(folder, file).channels()[0].label;
  };
  for (const char* text : {"\u00e9", "\u0800\ud7ff\uffff", "\U00010000\U0010ffff", "a\u00b5b"}) EXPECT_EQ(label(text), text);
  EXPECT_EQ(label("F\xfcr"), "F\u00fcr");
  EXPECT_EQ(label("\u00e9\xc3"), "\u00c3\u00a9\u00c3");  // cut
  EXPECT_EQ(label("\xc1\xbf"), "\u00c1\u00bf");          // longer than need be
  EXPECT_EQ(label("\xe0\x9f\xbf"), "\u00e0\u009f\u00bf");
  EXPECT_EQ(label("\xf0\x8f\xbf\xbf"), "\u00f0\u008f\u00bf\u00bf");
  EXPECT_EQ(label("\xed\xa0\x80"), "\u00ed\u00a0\u0080");            // a surrogate
  EXPECT_EQ(label("\xf4\x90\x80\x80"), "\u00f4\u0090\u0080\u0080");  // beyond Unicode
  EXPECT_EQ(label("\xf5\x80\x80\x80"), "\u00f5\u0080\u0080\u0080");
}

TEST(EdfRecording, TakesTheWholeRecordsOfUnfinishedFiles) {
  const TemporaryFolder folder;
  EdfFile file = two_channels();
  file.n_records = "-1";
  for (const std::size_t n_more : {0, 1, 15}) {
    const EdfRecording recording(folder.put("s.edf", file.bytes() + std::string(n_more, 'x')));
    EXPECT_EQ(recording.n_times(Picks{0}), 8);
    EXPECT_EQ(read_samples(recording, 7, 1, {1})(0, 0), physical(file.signals[1], 40));
  }
  EXPECT_EQ(EdfRecording(folder.put("s.edf", file.bytes().substr(0, 768 + 16))).n_times(Picks{0}), 4);
  EXPECT_EQ(edf_message(file.bytes().substr(0, 768 + 15)), " holds no whole record of 16 bytes");
}

TEST(EdfRecording, RefusesFilesOfAnotherLength) {
  const std::string bytes = two_channels().bytes();
  EXPECT_EQ(edf_message(bytes.substr(0, bytes.size() - 1)),
            " is truncated: its header promises 2 records of 16 bytes, the file holds 1 whole ones");
  EXPECT_EQ(edf_message(bytes + std::string(16, 'x')),
            " is longer than its header says: 2 records of 16 bytes are promised, the file holds 3 whole ones");
  const TemporaryFolder folder;
  EXPECT_EQ(EdfRecording(folder.put("s.edf", bytes + std::string(15, 'x'))).n_times(Picks{0}), 8);
  EdfFile none = two_channels();
  none.records.clear();
  EXPECT_EQ(edf_message(none), " holds no whole record of 16 bytes");
  none.n_records = "99999999";
  EXPECT_EQ(edf_message(none), " is truncated: its header promises 99999999 records of 16 bytes, the file holds 0 whole ones");
}

TEST(EdfRecording, RefusesWhatIsNoEdf) {
  EXPECT_EQ(edf_message(std::string()), " is not an EDF or BDF file");
  EXPECT_EQ(edf_message(std::string("0")), " is not an EDF or BDF file");
  EXPECT_EQ(edf_message("GDF 2.20" + std::string(1000, ' ')), " is not an EDF or BDF file");
  EXPECT_EQ(edf_message("\xff"
                        "BIOSEMO" +
                        std::string(1000, ' ')),
            " is not an EDF or BDF file");
  EXPECT_EQ(message_of<Error>([] { EdfRecording("none.edf"); }), "cannot read none.edf: No such file or directory");
}

TEST(EdfRecording, RefusesTruncatedHeaders) {
  const std::string bytes = two_channels().bytes();
  EXPECT_EQ(edf_message(bytes.substr(0, 8)), " is truncated: its header takes at least 256 bytes, the file holds 8");
  EXPECT_EQ(edf_message(bytes.substr(0, 255)), " is truncated: its header takes at least 256 bytes, the file holds 255");
  EXPECT_EQ(edf_message(bytes.substr(0, 767)), " is truncated: its header takes 768 bytes, the file holds 767");
}

TEST(EdfRecording, RefusesFieldsThatAreNoNumbers) {
  const auto message = [](const auto& spoil) {
    EdfFile file = two_channels();
    spoil(file);
    return edf_message(file);
  };
  EXPECT_EQ(message([](EdfFile& f) { f.n_signals = "two"; }), ": the number of signals is 'two'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.n_signals = "-2"; }),
            ": the number of signals is -2; expected a whole number from 0 to 99999999");
  EXPECT_EQ(message([](EdfFile& f) { f.n_header = " "; }), ": the size of the header is ''; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.n_header = "1024"; }), ": the size of the header is 1024; expected 768 for 2 signals");
  EXPECT_EQ(message([](EdfFile& f) { f.n_records = "2.5"; }),
            ": the number of records is 2.5; expected a whole number from -1 to 99999999");
  EXPECT_EQ(message([](EdfFile& f) { f.n_records = "-2"; }),
            ": the number of records is -2; expected a whole number from -1 to 99999999");
  EXPECT_EQ(message([](EdfFile& f) { f.seconds = "1s"; }), ": the duration of a record is '1s'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.seconds = "nan"; }), ": the duration of a record is 'nan'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.seconds = "0"; }), ": the duration of a record is 0 s; expected at least 1e-9");
  EXPECT_EQ(message([](EdfFile& f) { f.seconds = "-1"; }), ": the duration of a record is -1 s; expected at least 1e-9");
  const std::string of_channel = " of channel 1 ('EEG Fpz-Cz') is ";
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].physical_min = "1,5"; }),
            ": the physical minimum" + of_channel + "'1,5'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].physical_max = "inf"; }),
            ": the physical maximum" + of_channel + "'inf'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].digital_min = "+-1"; }),
            ": the digital minimum" + of_channel + "'+-1'; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].digital_max = ""; }),
            ": the digital maximum" + of_channel + "''; expected a number");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].digital_max = "0.5"; }),
            ": the digital maximum" + of_channel + "0.5; expected a whole number from -99999999 to 99999999");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].n_samples = "0"; }),
            ": the number of samples in a record" + of_channel + "0; expected a whole number from 1 to 99999999");
  EXPECT_EQ(message([](EdfFile& f) { f.signals[1].n_samples = "1e8"; }),
            ": the number of samples in a record" + of_channel + "100000000; expected a whole number from 1 to 99999999");
  EdfFile file = with_annotations();
  file.signals[0].n_samples = "\x1b[2J";
  EXPECT_EQ(edf_message(file), ": the number of samples in a record of 'EDF Annotations' is '\\x1b[2J'; expected a number");
  file = with_annotations();
  file.signals[0].physical_min = "?";  // means nothing
  const TemporaryFolder folder;
  EXPECT_EQ(recording_of(folder, file).n_times(Picks{0}), 12);
}

TEST(EdfRecording, RefusesScalesThatScaleNothing) {
  EdfFile file = two_channels();
  file.signals[0].digital_min = "523";
  EXPECT_EQ(edf_message(file), ": the digital minimum of channel 0 ('EEG Fp1') is 523, not below the maximum 523");
  file.signals[0].digital_min = "524";
  EXPECT_EQ(edf_message(file), ": the digital minimum of channel 0 ('EEG Fp1') is 524, not below the maximum 523");
  file = two_channels();
  file.signals[1].physical_max = "3.0";
  EXPECT_EQ(edf_message(file),
            ": the physical minimum and maximum of channel 1 ('EEG Fpz-Cz') are 3 and 3; expected two that differ");
}

TEST(EdfRecording, RefusesFilesWithoutAChannel) {
  EdfFile file = with_annotations();
  file.signals = {{"EDF Annotations", "20"}};
  file.seconds = "0";
  EXPECT_EQ(edf_message(file), " has no channel of samples");
  file.signals.clear();
  EXPECT_EQ(edf_message(file), " has no channel of samples");
}

TEST(EdfRecording, SaysThatAFileBecameShorter) {
  const TemporaryFolder folder;
  const EdfRecording recording = recording_of(folder, two_channels());
  fs::resize_file(folder / "s.edf", 768 + 16 + 15);  // inside the last sample
  EXPECT_EQ(read_samples(recording, 4, 4, {0})(0, 3), physical(two_channels().signals[0], 3));
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              read_samples(recording, 4, 4, {0, 1});
            }),
            (folder / "s.edf").string() + " is truncated: it became shorter while it was read");
}

TEST(EdfRecording, SurvivesDamage) {
  const auto read = [](const fs::path& path) {
    const EdfRecording recording(path);
    for (Index c = 0; c < std::ssize(recording.channels()); ++c) {
      const Index n = std::min<Index>(recording.n_times(Picks{c}), 100);
      read_samples<float>(recording, recording.n_times(Picks{c}) - n, n, {c});
    }
    recording.read_annotations();
  };
  expect_every_prefix_refused(with_annotations().bytes(), "s.edf", read);
  expect_no_crash_on_damage(with_annotations().bytes(), "s.edf", read);
}

TEST(EdfRecording, ReadsWhatPyedflibWrites) {
  for (const auto& [name, digital_max] : {std::pair{"edf_plus.edf", 32'767}, std::pair{"bdf_plus.bdf", 8'388'607}}) {
    const EdfRecording recording(data(name));
    EXPECT_EQ(recording.start(), "2002-03-02T13:36:05") << name;
    EXPECT_EQ(recording.rate(Picks{0, 1}), 16) << name;
    ASSERT_EQ(recording.n_times(Picks{0, 1}), 32) << name;
    EXPECT_EQ(recording.channels()[1].label, "EEG C1") << name;
    EXPECT_EQ(recording.channels()[1].unit, "mV") << name;
    EXPECT_EQ(recording.read_annotations(), (std::vector<EdfAnnotation>{{0.25, 0, "blink"}, {1.5, 0.5, "\u00e9lan"}})) << name;
    const Matrix<double> values = read_samples(recording, 0, 32, {0, 1});
    for (int t = 0; t < 32; ++t) {
      const double gain = 1 / (2. * digital_max + 1);
      EXPECT_NEAR(values(0, t), (2. * digital_max + 1 - 1000 * t) * (300.5 * gain) - 200, 1e-12) << name << " " << t;
      EXPECT_NEAR(values(1, t), (300. * t - 9000 + digital_max + 1) * (301.5 * gain) - 201, 1e-12) << name << " " << t;
    }
  }
}

TEST(EdfRecording, ReadsARealRecording) {
  const char* const folder = std::getenv("RIATA_DATA");
  const fs::path path =
      (folder != nullptr ? fs::path(folder) : fs::path(RIATA_TEST_DIR) / "../../shared/data") / "loader_samples/eeglab_test.edf";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not here";
  const EdfRecording recording(path);
  ASSERT_EQ(recording.channels().size(), 16u);
  EXPECT_EQ(recording.channels()[2].label, "EEG T3");
  EXPECT_EQ(volts_per(recording.channels()[2].unit), 1e-6);
  EXPECT_EQ(recording.start(), "1997-04-25T13:36:05");
  EXPECT_EQ(recording.rate(Picks{0, 15}), 256);
  EXPECT_EQ(recording.n_times(Picks{0, 15}), 256 * 60);
  const std::string bytes = bytes_of_file(path);
  for (const Index t : {0, 255, 256, 15'359}) {  // by hand: 4352 bytes of header, records of 16 x 256 samples
    std::int16_t digital = 0;
    std::memcpy(&digital, bytes.data() + 4352 + 2 * (t / 256 * 4096 + 2 * 256 + t % 256), 2);
    EXPECT_NEAR(read_samples(recording, t, 1, {2})(0, 0), digital / 3., 1e-12) << t;
  }
}

TEST(VoltsPer, KnowsTheUnitsOfPotentials) {
  EXPECT_EQ(volts_per("V"), 1);
  EXPECT_EQ(volts_per("mV"), 1e-3);
  EXPECT_EQ(volts_per("uV"), 1e-6);
  EXPECT_EQ(volts_per("\u00b5V"), 1e-6);
  EXPECT_EQ(volts_per("\u03bcV"), 1e-6);
  EXPECT_EQ(volts_per("nV"), 1e-9);
  for (const char* unit : {"", "uv", "MV", "kV", "degC", "Boolean", "uV/Hz"}) EXPECT_EQ(volts_per(unit), std::nullopt) << unit;
}

}  // namespace
}  // namespace riata::testing
