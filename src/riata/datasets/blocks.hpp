// Simulated block activity seen through a known operator, such as a haemodynamic response.
#pragma once

#include <cstdint>

#include "riata/core/option.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata::datasets {

struct BlocksOptions {
  Index n_signals = 1000;
  double density = 0.05;  ///< jumps per sample
  double snr_db = 0;      ///< 20 log10(||A u|| / ||noise||), exactly so in each signal
  std::uint64_t seed = 0;
};

}  // namespace riata::datasets

namespace riata {

template <>
inline constexpr auto described<datasets::BlocksOptions> =
    std::tuple{Option{"n_signals", &datasets::BlocksOptions::n_signals}, Option{"density", &datasets::BlocksOptions::density},
               Option{"snr_db", &datasets::BlocksOptions::snr_db}, Option{"seed", &datasets::BlocksOptions::seed}};

}  // namespace riata

namespace riata::datasets {

/// X = A U + noise.
template <Scalar T>
struct Blocks {
  Matrix<T> activity, signals;
};

/// Activity is the running sum of jumps: max(1, floor(density n_times)) places per signal, drawn with replacement, each with a
/// standard normal jump. Noise is white. @throws std::invalid_argument
template <Scalar T>
Blocks<T> blocks(const Dictionary<T>& A, const BlocksOptions& options = {});

}  // namespace riata::datasets
