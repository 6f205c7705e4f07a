#include "riata/operators/dictionary.hpp"

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
MatrixView<T> require_matrix(const Dictionary<T>& D, const char* what) {
  const auto matrix = D.matrix();
  require(matrix.has_value(),
          "{} needs a dictionary that is a matrix, which this one is not; the methods 'ista', 'fista' and 'backtracking' of "
          "encode and the unrolled layers serve any",
          what);
  return *matrix;
}

template <Scalar T>
Matrix<T> Dictionary<T>::analytic_weight() const {
  refuse("analytic_weight: needs a dictionary that is a matrix or a convolution, which this one is not");
}

template class Dictionary<float>;
template class Dictionary<double>;
template MatrixView<float> require_matrix(const Dictionary<float>&, const char*);
template MatrixView<double> require_matrix(const Dictionary<double>&, const char*);

}  // namespace riata
