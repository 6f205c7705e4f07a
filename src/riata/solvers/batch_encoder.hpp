// One dictionary set up once, many batches coded: what encode() and encode_stream() share. Internal.
#pragma once

#include <memory>
#include <vector>

#include "riata/solvers/tile_solver.hpp"

namespace riata {

template <Scalar T>
class TileEncoder;

/// What Solver::automatic stands for. Coordinate descent while its Gram matrix is affordable; but one or two signals
/// alone do not repay a large one where few knots of the path, and so few atoms, lie between reg_max and reg.
template <Scalar T>
Solver pick_solver(const ConstMatrixRef<T>& X, const DenseDictionary<T>& D, const Vector<T>& regs,
                   const EncodeOptions& options);

template <Scalar T>
class BatchEncoder {
 public:
  /// `options` are valid and their method is not automatic. Borrows D.
  /// @throws std::invalid_argument for weights that do not fit, or `record` with a method that has no trace
  BatchEncoder(const DenseDictionary<T>& D, const EncodeOptions& options);
  BatchEncoder(const BatchEncoder&) = delete;
  BatchEncoder& operator=(const BatchEncoder&) = delete;
  ~BatchEncoder();

  /// One weight per signal; `init`, if given, holds the starts. Batches of whole tiles (multiples of solver_tile, the last
  /// one apart) give the same bits as all signals at once.
  EncodeResult<T> encode(const ConstMatrixRef<T>& X, const Vector<T>& regs, const Matrix<T>* init);

 private:
  std::unique_ptr<TileSolver<T>> make_solver() const;
  void start_codes(const Matrix<T>* init, Index first, MatrixRef<T> Z) const;

  EncodeOptions options_;
  Matrix<double> D_double_;
  L1<T> penalty_;
  SharedProblem<T> problem_;
  SignalRegMax<T> signal_reg_max_;
  Matrix<T> gram_;        // coordinate descent
  double lipschitz_ = 0;  // the methods with a fixed step
  std::vector<std::unique_ptr<TileEncoder<T>>> encoders_;  // one per thread
};

}  // namespace riata
