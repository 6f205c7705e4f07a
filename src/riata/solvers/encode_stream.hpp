// encode() for signals that do not fit into memory, or codes that do not: block by block, codes sparse.
//
// A block is a whole number of solver tiles, counted from the first signal, so codes and certificates have the very bits
// that one encode() of all signals gives, whatever the block size. Memory: two blocks' worth of signals and dense codes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "riata/core/csr.hpp"
#include "riata/solvers/encode.hpp"

namespace riata {

struct StreamOptions {
  EncodeOptions encode = {};             ///< without `record`
  std::optional<Index> block_size = {};  ///< signals, >= 1, rounded up to whole tiles; absent: 16 MiB of signals and codes
  std::function<void(Index n_done, Index n_signals)> progress = {};  ///< after each block, from the calling thread
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<StreamOptions> =
    std::tuple{Option{"encode", &StreamOptions::encode}, Option{"block_size", &StreamOptions::block_size, rule::at_least_one}};

/// The codes of the signals first, first + 1, ..., each with its certificate as in EncodeResult.
template <Scalar T>
struct CodeBlock {
  Index first = 0, n_signals = 0;  ///< the block's first signal; signals in the whole stream
  CsrRows<T> codes;                ///< signals are rows
  Vector<double> objective, gap;
  Vector<int> n_iter;
  std::vector<Status> status;
};

/// Takes the blocks in their order, from the calling thread. What it throws ends the stream.
template <Scalar T>
using CodeSink = std::function<void(CodeBlock<T>&&)>;

struct StreamReport {
  Index n_signals = 0, n_atoms = 0;
  Index n_nonzero = 0;                ///< in all codes
  Index n_not_converged = 0;          ///< signals whose gap is above the tolerance, or that found no fixed point
  double objective = 0;               ///< mean over the signals
  double gap = 0;                     ///< the largest; NaN with the l0 penalty
  Solver method = Solver::automatic;  ///< the one that ran
};

/// Signals in memory (or mapped into it): X is n_features x n_signals.
/// @throws std::invalid_argument as encode(), an entry that is not finite when its block's turn comes; Interrupted
template <Scalar T>
StreamReport encode_stream(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                           const NonDeduced<CodeSink<T>>& sink, const StreamOptions& options = {});

/// Signals in an .npy file (n_signals, n_features), C order, in the precision of D; integers count as float64.
/// @throws std::invalid_argument, Interrupted, riata::Error
template <Scalar T>
StreamReport encode_stream(const std::filesystem::path& signals, const DenseDictionary<T>& D, const Reg& reg,
                           const NonDeduced<CodeSink<T>>& sink, const StreamOptions& options = {});

/// Codes into `output`, an .npz file for scipy.sparse.load_npz(), with the arrays objective, gap and n_iter (float64, one
/// number per signal) beside the matrix. It is replaced at the end and as a whole: until then the codes lie in unnamed
/// files of its folder, which needs disk for twice the codes. It may be larger than 4 GiB (zip64).
/// @throws std::invalid_argument, also for an output that is the input; Interrupted; riata::Error
template <Scalar T>
StreamReport encode_stream(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                           const std::filesystem::path& output, const StreamOptions& options = {});
template <Scalar T>
StreamReport encode_stream(const std::filesystem::path& signals, const DenseDictionary<T>& D, const Reg& reg,
                           const std::filesystem::path& output, const StreamOptions& options = {});

}  // namespace riata
