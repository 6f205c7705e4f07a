// One dictionary set up once, many batches coded: what encode() and encode_stream() share. Internal.
#pragma once

#include <memory>
#include <vector>

#include "riata/solvers/tile_solver.hpp"

namespace riata {

/// What Solver::automatic stands for, for n_signals of which `first` holds the first tile, or all. FISTA where there is no matrix,
/// for groups and masks, ISTA for l0; else the path where its Gram matrix pays and it is the faster one, or coordinate descent.
template <Scalar T>
Solver pick_solver(const Batch<T>& first, Index n_signals, const Dictionary<T>& D, const Vector<T>& regs, bool has_start,
                   const EncodeOptions& options);

template <Scalar T>
class BatchEncoder {
 public:
  virtual ~BatchEncoder() = default;

  /// One weight per signal; `init`, if given, holds the starts. Batches of whole tiles (multiples of solver_tile, the last
  /// one apart) give the same bits as all signals at once.
  virtual void encode(const SeenBatch<T>& batch, const Vector<T>& regs, const OptionalMatrixRef<T>& init,
                      EncodeResult<T>& result) = 0;
  EncodeResult<T> encode(const SeenBatch<T>& batch, const Vector<T>& regs, const OptionalMatrixRef<T>& init) {
    EncodeResult<T> result;
    encode(batch, regs, init, result);
    return result;
  }
  EncodeResult<T> encode(const ConstMatrixRef<T>& X, const Vector<T>& regs, const OptionalMatrixRef<T>& init) {
    return encode(SeenBatch<T>("encode", X), regs, init);
  }
};

/// The encoder by `method` for the penalty that the options name. They are valid, and their own method is that one, or automatic:
/// then signals which the path leaves short of the gap asked go on by coordinate descent. So many signals will come, or as many as the
/// first batch has: do they repay a Gram matrix? Borrows D.
/// @throws std::invalid_argument for a penalty that does not fit D, or `record` with a method that has no trace
template <Scalar T>
std::unique_ptr<BatchEncoder<T>> make_batch_encoder(const Dictionary<T>& D, const EncodeOptions& options, Solver method,
                                                    Index n_signals = 0);

}  // namespace riata
