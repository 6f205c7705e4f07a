#include "riata/operators/dictionary.hpp"

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
const Matrix<T>& require_matrix(const Dictionary<T>& D, const char* what) {
  require(D.matrix() != nullptr,
          "{} needs a dictionary that is a matrix, which this one is not; the methods 'ista', 'fista' and 'backtracking' of "
          "encode and the unrolled layers serve any",
          what);
  return *D.matrix();
}

template const Matrix<float>& require_matrix(const Dictionary<float>&, const char*);
template const Matrix<double>& require_matrix(const Dictionary<double>&, const char*);

}  // namespace riata
