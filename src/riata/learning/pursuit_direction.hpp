// The direction of the classics: codes by orthogonal matching pursuit.
#pragma once

#include "riata/learning/direction.hpp"
#include "riata/solvers/omp.hpp"

namespace riata {

/// Each signal's code has at most n_nonzero atoms. The value is 1/2 ||x - D z||^2.
template <Scalar T>
class PursuitDirection final : public Direction<T> {
 public:
  /// @throws std::invalid_argument unless D is a matrix and n_nonzero >= 1
  PursuitDirection(const Dictionary<T>& D, int n_nonzero, Reduction reduction = Reduction::mean);
  std::set<Piece> produces() const override { return {Piece::value, Piece::statistics, Piece::codes, Piece::codes_by_atom}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;

 private:
  std::unique_ptr<const Dictionary<T>> D_;
  int n_nonzero_;
  Reduction reduction_;
};

}  // namespace riata
