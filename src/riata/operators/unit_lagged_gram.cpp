#include "riata/operators/unit_lagged_gram.hpp"

#include <algorithm>
#include <cmath>

namespace riata {

template <Scalar T>
UnitLaggedGram::UnitLaggedGram(const ConvolutionalDictionary<T>& D) : norms(D.n_atoms()), G(lagged_gram(D)) {
  const Index K = D.n_atoms(), L = D.atom_times(), n_lags = 2 * L - 1;
  for (Index k = 0; k < K; ++k) norms(k) = std::sqrt(std::max(0.0, G(k * n_lags + L - 1, k)));
  for (Index k = 0; k < K; ++k)
    for (Index j = 0; j < K; ++j) {
      const double product = norms(j) * norms(k);
      if (product > 0)
        G.col(k).segment(j * n_lags, n_lags) /= product;
      else
        G.col(k).segment(j * n_lags, n_lags).setZero();
    }
}

template UnitLaggedGram::UnitLaggedGram(const ConvolutionalDictionary<float>&);
template UnitLaggedGram::UnitLaggedGram(const ConvolutionalDictionary<double>&);

}  // namespace riata
