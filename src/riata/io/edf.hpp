// Recordings of signals in time: EDF, EDF+ and BioSemi's 24-bit BDF, with their annotations.
//
// Formats: Kemp et al., "A simple format for exchange of digitized polygraphic recordings", Electroencephalogr. Clin.
// Neurophysiol. 82, 1992; Kemp and Olivan, "European data format 'plus' (EDF+)", Clin. Neurophysiol. 114, 2003.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// physical = (digital - digital_min) * gain + physical_min, in double, also outside the digital range that the header gives.
struct EdfChannel {
  std::string label;  ///< "EEG Fpz-Cz"; UTF-8 as EdfAnnotation::text
  std::string unit;   ///< of the physical values: "uV", in the header's spelling
  double rate;        ///< Hz
  Index n_times;      ///< samples in the file
  double digital_min, physical_min, gain;
};

struct EdfAnnotation {
  double onset;      ///< seconds after the first sample
  double duration;   ///< seconds; 0 where the file says none
  std::string text;  ///< UTF-8; bytes that are none are taken for Latin-1
  bool operator==(const EdfAnnotation&) const = default;
};

/// Volts in one of that unit: V, mV, uV (also with a micro sign) and nV. None for all else.
std::optional<double> volts_per(std::string_view unit);

/// A recording without gaps, read in pieces: memory does not depend on the file's size. One thread at a time.
class EdfRecording {
 public:
  /// Reads the header, and where it says EDF+D or BDF+D the times of all records.
  /// @throws std::invalid_argument for a damaged or truncated file, and for gaps; riata::Error for an unreadable one
  explicit EdfRecording(const std::filesystem::path& path);
  EdfRecording(EdfRecording&&) noexcept;
  EdfRecording& operator=(EdfRecording&&) noexcept;
  ~EdfRecording();

  /// Those of annotations left out, in the file's order.
  const std::vector<EdfChannel>& channels() const { return channels_; }
  /// Of the first sample, ISO 8601 without a time zone: "2002-03-02T13:36:05.25". Empty where the header holds no such date.
  const std::string& start() const { return start_; }

  /// Of those channels, given by their places in channels(): Hz, and samples in the file.
  /// @throws std::invalid_argument if there is none, no such channel, or rates differ
  double rate(std::span<const Index> channels) const;
  Index n_times(std::span<const Index> channels) const;

  /// Row i of `out` is samples first, ..., first + out.cols() - 1 of channels[i] in its unit; float is rounded from double.
  /// @throws std::invalid_argument as rate(), and for samples that are not there; riata::Error
  void read(Index first, std::span<const Index> channels, MatrixRef<double> out) const;
  void read(Index first, std::span<const Index> channels, MatrixRef<float> out) const;

  /// By onset; of equal ones, in the file's order. What only keeps the time of a record has no text and is left out.
  /// @throws std::invalid_argument naming the record whose annotations are damaged; riata::Error
  std::vector<EdfAnnotation> read_annotations() const;

 private:
  struct Layout;
  /// The first of those channels, which are of one rate.
  const EdfChannel& sampled_alike(std::span<const Index> channels) const;
  template <Scalar T>
  void read_as(Index first, std::span<const Index> channels, MatrixRef<T>& out) const;

  std::unique_ptr<const Layout> layout_;
  std::vector<EdfChannel> channels_;
  std::string start_;
};

}  // namespace riata
