#include "riata/learning/recording_files.hpp"

#include "io/files.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/edf.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// (n_trials, n_channels, n_times) or fewer dimensions, with values that tell their places.
fs::path put_array(const TemporaryFolder& folder, const std::vector<Index>& shape, double nudge = 0) {
  Index n = 1;
  for (const Index s : shape) n *= s;
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) + nudge;
  write_npy(folder / "x.npy", Tensor{shape, values});
  return folder / "x.npy";
}

TEST(RecordingFiles, ArraysAreReadInPieces) {
  const TemporaryFolder folder;
  for (const std::vector<Index>& shape : {std::vector<Index>{3, 4, 50}, {4, 50}, {50}}) {
    const auto file = open_recording<double>(put_array(folder, shape));
    Recording<double>& recording = *file.recording;
    ASSERT_EQ(recording.n_times(), 50);
    ASSERT_EQ(recording.n_channels(), shape.size() > 1 ? 4 : 1);
    ASSERT_EQ(recording.n_trials(), shape.size() > 2 ? 3 : 1);
    EXPECT_FALSE(file.rate || !file.channel_names.empty() || !file.unit.empty());
    for (Index trial = recording.n_trials() - 1; trial >= 0; --trial) {
      Matrix<double> piece(7, recording.n_channels());
      recording.read(trial, 43, piece);
      for (Index c = 0; c < piece.cols(); ++c)
        for (Index t = 0; t < 7; ++t)
          EXPECT_EQ(piece(t, c), static_cast<double>((trial * recording.n_channels() + c) * 50 + 43 + t));
    }
  }
}

TEST(RecordingFiles, ChannelsOfArraysAreChosenByNumber) {
  const TemporaryFolder folder;
  const fs::path path = put_array(folder, {2, 4, 5}, 0.1);
  const auto file = open_recording<float>(path, {.names = {"3", "1"}});
  Matrix<float> piece(2, 2);
  file.recording->read(1, 3, piece);
  EXPECT_EQ(piece(0, 0), static_cast<float>((4 + 3) * 5 + 3 + 0.1));
  EXPECT_EQ(piece(1, 1), static_cast<float>((4 + 1) * 5 + 4 + 0.1));
  const auto refused = [&](std::vector<std::string> names) {
    return refusal_of([&] { open_recording<double>(path, {.names = std::move(names)}); });
  };
  EXPECT_EQ(refused({"4"}), path.string() + " has no channel '4'; it has those of the numbers 0 to 3");
  EXPECT_EQ(refused({"Cz"}), path.string() + " has no channel 'Cz'; it has those of the numbers 0 to 3");
  EXPECT_EQ(refused({"1", "1"}), path.string() + ": channel 1 is chosen twice");
}

TEST(RecordingFiles, OtherArraysAndFilesAreRefused) {
  const TemporaryFolder folder;
  const fs::path path = folder / "x.npy";
  const auto refused = [&](const std::vector<Index>& shape) {
    put_array(folder, shape);
    return refusal_of([&] { open_recording<double>(path); });
  };
  EXPECT_EQ(refused({2, 2, 2, 2}), path.string() +
                                       " has 4 dimensions, expected (n_channels, n_times), (n_trials, n_channels, n_times) or "
                                       "(n_times,)");
  EXPECT_EQ(refused({2, 0}), path.string() + " has shape (2, 0); expected at least one sample");
  EXPECT_EQ(refusal_of([&] { open_recording<double>(data("float_fortran.npy")); }),
            data("float_fortran.npy").string() +
                " is in Fortran order, so it cannot be read in pieces; save numpy.ascontiguousarray of it");
  EXPECT_EQ(refusal_of([&] { open_recording<double>("x.txt"); }), "x.txt is no recording: expected .edf, .bdf or .npy");
}

TEST(RecordingFiles, ChannelsOfEdfAreReadInVolts) {
  const fs::path path = data("edf_plus.edf");
  const EdfRecording edf(path);
  ASSERT_FALSE(edf.channels().empty());
  for (Index c = 0; c < std::ssize(edf.channels()); ++c) {
    const EdfChannel& channel = edf.channels()[static_cast<std::size_t>(c)];
    const auto file = open_recording<double>(path, {.names = {channel.label}});
    EXPECT_EQ(file.rate, channel.rate);
    EXPECT_EQ(file.channel_names, std::vector<std::string>{channel.label});
    EXPECT_EQ(file.unit, volts_per(channel.unit) ? "V" : channel.unit);
    Matrix<double> in_its_unit(1, channel.n_times), in_volts(channel.n_times, 1);
    edf.read(0, {&c, 1}, in_its_unit);
    file.recording->read(0, 0, in_volts);
    EXPECT_EQ(in_volts, in_its_unit.transpose() * volts_per(channel.unit).value_or(1));
  }
}

TEST(RecordingFiles, OnePassFindsSamplesThatAreNoNumbersAndChannelsThatNeverChange) {
  const TemporaryFolder folder;
  std::vector<double> values(2 * 3 * 400000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 7);
  const auto check = [&](double bad, std::size_t at, auto precision) {
    using T = decltype(precision);
    auto spoilt = values;
    spoilt[at] = bad;
    write_npy(folder / "x.npy", Tensor{{2, 3, 400000}, spoilt});
    return refusal_of([&] { require_good_samples<T>(open_recording<T>(folder / "x.npy"), "x.npy"); });
  };
  EXPECT_EQ(check(std::nan(""), 4 * 400000 + 399999, 0.),
            "x.npy: channel 1 holds nan at sample 399999 of trial 1; expected finite numbers");
  EXPECT_EQ(check(-1e300, 5, 0.f), "x.npy: channel 0 holds -inf at sample 5 of trial 0; expected finite numbers");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 400000 % 3 != 1) values[i] = 3;
  write_npy(folder / "x.npy", Tensor{{2, 3, 400000}, values});
  const auto file = open_recording<double>(folder / "x.npy");
  EXPECT_EQ(require_finite_samples<double>(file, "x.npy"), (std::vector<Index>{0, 2}));
  EXPECT_EQ(refusal_of([&] { require_good_samples<double>(file, "x.npy", {.keyword = "--channels "}); }),
            "x.npy: channels 0, 2 are the same at all samples; choose the others with --channels NAME,NAME,...");
  values.back() += 1;  // the last sample of channel 2 alone
  write_npy(folder / "x.npy", Tensor{{2, 3, 400000}, values});
  EXPECT_EQ(require_finite_samples<double>(open_recording<double>(folder / "x.npy"), "x.npy"), std::vector<Index>{0});
}

}  // namespace
}  // namespace riata::testing
