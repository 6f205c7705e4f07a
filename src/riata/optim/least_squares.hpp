// All atoms at once from the statistics of codes, A = sum z z^T and B = sum x z^T: the method of optimal directions; Engan, Aase
// and Husoy (1999).
//
//   D A = B,   the least squares of  sum ||x - D z||^2,   and each atom then onto its constraint
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

/// D A = B where A can be told from a singular matrix, else of all minimisers the one nearest to `D`: atoms without a code stay.
Matrix<double> least_squares_atoms(const NonDeduced<ConstMatrixRef<double>>& D, const NonDeduced<ConstMatrixRef<double>>& A,
                                   const NonDeduced<ConstMatrixRef<double>>& B);

/// Moves a dictionary that is a matrix, unverified: codes are other ones at the new atoms.
template <Scalar T>
class LeastSquares final : public Update<T> {
 public:
  const char* name() const override { return "least squares"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;
};

}  // namespace riata
