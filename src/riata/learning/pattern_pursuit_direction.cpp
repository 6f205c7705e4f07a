#include "riata/learning/pattern_pursuit_direction.hpp"

#include <limits>

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
Sums<T> PatternPursuitDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  const Batch<T>& batch = sample.batch;
  require(!batch.is_weighted(), "matching pursuit takes no mask; choose a method by gradients: 'unrolled', 'stochastic'");
  const auto at = D_->at(question.at);
  const auto& D = dynamic_cast<const ConvolutionalDictionary<T>&>(*at);
  const Index K = D.n_atoms(), n_positions = D.n_positions();
  require(batch.size() <= std::numeric_limits<int>::max() / n_positions,
          "learn_patterns: a batch of {} trials of {} positions, must be at most 2^31 - 1 together", batch.size(), n_positions);
  ConvPursuitOptions coder = coder_;
  coder.execution = execution;
  Matrix<T> Z = conv_pursuit<T>(batch.X, D, coder), R(batch.X.rows(), batch.size());
  D.apply(Z, R);
  R = batch.X - R;
  Sums<T> sums;
  sums.value = R.template cast<double>().squaredNorm() / 2;
  if (reduction_ == Reduction::mean) sums.value /= static_cast<double>(batch.size());
  if (question.usage) sums.usage = Vector<double>::Zero(K);
  sums.by_atom.starts.push_back(0);
  for (Index k = 0; k < K; ++k) {
    for (Index i = 0; i < batch.size(); ++i)
      for (Index t = 0; t < n_positions; ++t) {
        const T z = Z(k * n_positions + t, i);
        if (z == T(0)) continue;
        sums.by_atom.signals.push_back(static_cast<int>(i * n_positions + t));
        sums.by_atom.values.push_back(z);
        if (question.usage) sums.usage(k) += static_cast<double>(z) * static_cast<double>(z);
      }
    sums.by_atom.starts.push_back(std::ssize(sums.by_atom.signals));
  }
  if (question.codes_by_atom)
    sums.by_atom.residual = std::move(R);
  else
    sums.by_atom = {};
  if (question.codes) sums.codes = std::move(Z);
  return sums;
}

template class PatternPursuitDirection<float>;
template class PatternPursuitDirection<double>;

}  // namespace riata
