// Atom after atom with the codes that use it; Aharon, Elad and Bruckstein (2006). With the signals Omega whose code uses atom j,
//
//   E = R_Omega + d_j z_j^T,     R = X - D Z,
//
// its best approximation of rank one, sigma u v^T, gives d_j <- u and z_j <- sigma v, by Lanczos' method on E E^T. Approximately, by
// one step of the alternation; Rubinstein, Zibulevsky and Elad (2008):
//
//   d_j <- E z_j / ||E z_j||,   z_j <- E^T d_j.
//
// E is never there: its products are those with R and a term of rank one. ||R|| never rises, but for rounding.
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

enum class RankOne {
  best,        ///< K-SVD
  alternation  ///< approximate K-SVD
};

/// One sweep over the atoms, which have norm 1: D, the codes and their residual become others. Atoms without a code stay.
template <Scalar T>
void refit_atoms(Matrix<T>& D, CodesByAtom<T>& codes, RankOne rank_one);

/// Moves a dictionary that is a matrix, unverified: codes are found anew at the new atoms.
template <Scalar T>
class KSvd final : public Update<T> {
 public:
  explicit KSvd(RankOne rank_one) : rank_one_(rank_one) {}

  const char* name() const override { return "K-SVD"; }
  std::set<Piece> needs() const override { return {Piece::codes_by_atom}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

 private:
  RankOne rank_one_;
};

}  // namespace riata
