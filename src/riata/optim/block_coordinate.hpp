// Atoms from the statistics of codes, A = sum z z^T and B = sum x z^T; Mairal, Bach, Ponce and Sapiro (2010), Algorithms 1 and 2:
//
//   1/2 sum ||x - D z||^2 = 1/2 tr(D^T D A) - tr(D^T B) + constant
//
// is least over unit atoms d_j, the others fixed, at d_j + (b_j - D a_j) / A_jj, put onto the sphere or
// into the ball, or the part of it that is non-negative.
//
// Online, the statistics of earlier batches, whose codes are of earlier atoms, count less and less:
//
//   A <- b A + sum z z^T,   B <- b B + sum x z^T,   b = (1 - 1/t)^rho at the t-th batch,
//
// so that the k-th of t batches counts (k/t)^rho. In the paper rho = 1, while there are fewer batches than signals in one.
#pragma once

#include <optional>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/optim/update.hpp"

namespace riata {

struct BlockCoordinateOptions {
  std::optional<double> forgetting = {};  ///< rho >= 0; absent: no earlier batch counts
  Constraint constraint = Constraint::unit_sphere;
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// Moves a dictionary that is a matrix of unit atoms, unverified: codes are other ones at the new atoms. Atoms without a code
/// stay.
template <Scalar T>
class BlockCoordinate final : public Update<T> {
 public:
  explicit BlockCoordinate(const BlockCoordinateOptions& options = {}) : options_(options) { options_.validate(); }

  const char* name() const override { return "block coordinate descent"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

  void forget_atoms(const std::vector<Index>& atoms) override;
  void reset() override { past_ = {}; }
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  struct Past {
    Index t = 0;          // batches
    Matrix<double> A, B;  // 0 x 0 before the first; double, since early batches come to count almost nothing
  };
  BlockCoordinateOptions options_;
  Past past_;
};

}  // namespace riata
