// Atoms from the statistics of codes, A = sum z z^T and B = sum x z^T; Mairal, Bach, Ponce and Sapiro (2010), Algorithm 2:
//
//   1/2 sum ||x - D z||^2 = 1/2 tr(D^T D A) - tr(D^T B) + constant
//
// is least over unit atoms d_j, the others fixed, at d_j + (b_j - D a_j) / A_jj, put onto the sphere.
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

/// Moves a dictionary that is a matrix of unit atoms, unverified: codes are other ones at the new atoms. Atoms without a code
/// stay. Remembers nothing.
template <Scalar T>
class BlockCoordinate final : public Update<T> {
 public:
  const char* name() const override { return "block coordinate descent"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;
};

}  // namespace riata
