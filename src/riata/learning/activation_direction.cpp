#include "riata/learning/activation_direction.hpp"

#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

/// Those of an atom in a signal that are not zero, in time.
template <Scalar T>
struct ActivationsOf {
  std::vector<Index> times;
  std::vector<T> values;
};

template <Scalar T>
std::vector<ActivationsOf<T>> activations_of(const ConstMatrixRef<T>& Z, Index signal, Index n_atoms, Index n_positions) {
  std::vector<ActivationsOf<T>> all(static_cast<std::size_t>(n_atoms));
  for (Index k = 0; k < n_atoms; ++k)
    for (Index t = 0; t < n_positions; ++t)
      if (const T z = Z(k * n_positions + t, signal); z != T(0)) {
        all[static_cast<std::size_t>(k)].times.push_back(t);
        all[static_cast<std::size_t>(k)].values.push_back(z);
      }
  return all;
}

}  // namespace

template <Scalar T>
Parameters<T> lagged_statistics(const NonDeduced<ConstMatrixRef<T>>& X, const NonDeduced<ConstMatrixRef<T>>& Z,
                                const ConvolutionalDictionary<T>& D, const Execution& execution) {
  const Index K = D.n_atoms(), L = D.atom_times(), n_channels = D.shape().n_channels, n_times = D.shape().n_times,
              n_positions = D.n_positions();
  Matrix<double> A = Matrix<double>::Zero(K * (2 * L - 1), K), B = Matrix<double>::Zero(n_channels * L, K);
  for (Index i = 0; i < X.cols(); ++i) {
    const auto all = activations_of<T>(Z, i, K, n_positions);
    const Eigen::Map<const Matrix<T>> x(X.col(i).data(), n_times, n_channels);
    parallel_for(K, execution, [&](Index k, int) {  // each its own columns
      const ActivationsOf<T>& own = all[static_cast<std::size_t>(k)];
      Eigen::Map<Matrix<double>> pieces(B.col(k).data(), L, n_channels);
      for (std::size_t a = 0; a < own.times.size(); ++a) {
        leave_if_stopped();
        pieces += (own.values[a] * x.middleRows(own.times[a], L)).template cast<double>();
      }
      for (Index j = 0; j < K; ++j) {
        const ActivationsOf<T>& other = all[static_cast<std::size_t>(j)];
        double* const lags = A.col(k).data() + j * (2 * L - 1) + L - 1;
        std::size_t first = 0;
        for (std::size_t a = 0; a < own.times.size(); ++a) {
          const Index t = own.times[a];
          while (first < other.times.size() && other.times[first] <= t - L) ++first;
          for (std::size_t b = first; b < other.times.size() && other.times[b] < t + L; ++b)
            lags[other.times[b] - t] += static_cast<double>(own.values[a]) * static_cast<double>(other.values[b]);
        }
      }
    });
  }
  return {{"A", A.template cast<T>()}, {"B", B.template cast<T>()}};
}

template <Scalar T>
ActivationDirection<T>::ActivationDirection(const ConvolutionalDictionary<T>& D, double reg, const ConvEncodeOptions& coder,
                                            Reduction reduction)
    : D_(std::make_shared<const ConvolutionalDictionary<T>>(D)), reg_(reg), coder_(coder), reduction_(reduction) {
  require(D.shape().boundary == Boundary::valid, "activations: the dictionary's boundary is '{}', must be 'valid'",
          to_string(D.shape().boundary));
}

template <Scalar T>
Sums<T> ActivationDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  const Batch<T>& batch = sample.batch;
  require(!batch.is_weighted(), "exact activations take no mask; choose a method by gradients: 'unrolled', 'stochastic'");
  const auto at = D_->at(question.at);
  const auto& D = dynamic_cast<const ConvolutionalDictionary<T>&>(*at);
  ConvEncodeOptions coder = coder_;
  coder.execution = execution;
  ConvEncodeResult<T> coded = conv_encode<T>(batch.X, D, reg_, coder);
  Sums<T> sums;
  const double counted = reduction_ == Reduction::mean ? static_cast<double>(batch.size()) : 1;
  sums.value = coded.objective.sum() / counted;
  if (question.statistics) sums.statistics = lagged_statistics<T>(batch.X, coded.codes, D, execution);
  for (auto& [name, values] : sums.statistics) values /= static_cast<T>(counted);  // the update holds them against the value
  if (question.usage) {
    sums.usage = Vector<double>::Zero(D.n_atoms());
    for (Index k = 0; k < D.n_atoms(); ++k)
      sums.usage(k) = coded.codes.middleRows(k * D.n_positions(), D.n_positions()).template cast<double>().squaredNorm();
  }
  if (question.codes) sums.codes = std::move(coded.codes);
  return sums;
}

#define RIATA_INSTANTIATE(T)                                                                      \
  template class ActivationDirection<T>;                                                          \
  template Parameters<T> lagged_statistics<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, \
                                              const ConvolutionalDictionary<T>&, const Execution&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
