#include "riata/optim/pattern_descent.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata {
template <Scalar T>
MovingPatterns MovingPatterns::of(const ConvolutionalDictionary<T>& D, const Parameters<T>& at) {
  MovingPatterns moving{.L = D.atom_times(),
                        .n_channels = D.shape().n_channels,
                        .rank_one = D.is_rank_one(),
                        .window = D.window().template cast<double>(),
                        .u = {},
                        .v = at.at(D.is_rank_one() ? "v" : "kernels").template cast<double>()};
  if (moving.rank_one) moving.u = at.at("u").template cast<double>();
  return moving;
}

template <Scalar T>
void MovingPatterns::put(Parameters<T>& at) const {
  at.at(rank_one ? "v" : "kernels") = v.template cast<T>();
  if (rank_one) at.at("u") = u.template cast<T>();
}

double MovingPatterns::move(Index k, Matrix<double> E, const Matrix<double>& T) {
  constexpr int n_steps = 10;  // of v; activations hold for the patterns before alone
  Matrix<double> d = in_time(k);
  double decrease = 0;
  if (rank_one) {
    const Vector<double> towards = E.transpose() * windowed(d);
    if (const double length = towards.norm(); length > 0) {
      decrease += length - towards.dot(u.col(k));
      u.col(k) = towards / length;
    }
    E = (E * u.col(k)).eval();
  }
  const double bound = T.col(0).cwiseAbs().sum() + T.row(0).cwiseAbs().sum() - std::abs(T(0, 0));
  const auto fit = [&](const Matrix<double>& own, const Matrix<double>& pull) {
    return (own.array() * (0.5 * pull - E).array()).sum();
  };
  Matrix<double> own = windowed(d), pull = T * own;
  const double before = fit(own, pull);
  for (int step = 0; step < n_steps; ++step) {
    const Matrix<double> moved = d + windowed(E - pull) / bound;
    const double length = moved.norm();
    if (!(length > 0)) break;
    d = moved / length;
    own = windowed(d);
    pull.noalias() = T * own;
  }
  v.col(k) = Eigen::Map<const Vector<double>>(d.data(), d.size());
  return decrease + before - fit(own, pull);
}

namespace {

/// (A_kj *) as a matrix: entry (l, l') is A_kj(l - l').
auto lags_to_toeplitz(const Matrix<double>& A, Index k, Index j, Index L) {
  return Matrix<double>::NullaryExpr(
      L, L, [lags = A.col(k).data() + j * (2 * L - 1) + L - 1](Index l, Index other) { return lags[l - other]; });
}

/// One sweep; by how much the fit fell.
double sweep_patterns(MovingPatterns& D, const Matrix<double>& A, const Matrix<double>& B) {
  const Index L = D.L, K = D.size(), centre = L - 1;
  double decrease = 0, most = 0;
  for (Index k = 0; k < K; ++k) most = std::max(most, A(k * (2 * L - 1) + centre, k));
  for (Index k = 0; k < K; ++k) {
    leave_if_stopped();
    if (A(k * (2 * L - 1) + centre, k) <= most * 1e-25) continue;  // what is left of activations long ago has no digits
    Matrix<double> E = Eigen::Map<const Matrix<double>>(B.col(k).data(), L, D.n_channels);
    for (Index j = 0; j < K; ++j) {
      if (j == k || A.col(k).segment(j * (2 * L - 1), 2 * L - 1).isZero(0)) continue;
      const Matrix<double> T = lags_to_toeplitz(A, k, j, L), pull = T * D.windowed(D.in_time(j));
      if (D.rank_one)
        E -= pull * D.u.col(j).transpose();
      else
        E -= pull;
    }
    decrease += D.move(k, std::move(E), lags_to_toeplitz(A, k, k, L));
  }
  return decrease;
}

}  // namespace

template <Scalar T>
PatternDescent<T>::PatternDescent(const ConvolutionalDictionary<T>& D, std::optional<double> forgetting)
    : D_(std::make_shared<const ConvolutionalDictionary<T>>(D)), forgetting_(forgetting) {
  require(!forgetting || (*forgetting >= 0 && std::isfinite(*forgetting)),
          "descent of patterns: forgetting = {}, must be >= 0 and finite", forgetting.value_or(0));
}

template <Scalar T>
Asking<T, Outcome<T>> PatternDescent<T>::step(Position<T> from) {
  const Question<T> question{.at = from.parameters, .statistics = true};
  const Sums<T> sums = co_await question;
  for (const auto& [name, values] : sums.statistics)
    require(values.allFinite(), "the descent of patterns: the activations' statistics are too large; choose another unit");
  auto D = MovingPatterns::of(*D_, from.parameters);
  RunningStatistics known = (forgetting_ ? past_ : RunningStatistics()).with(sums.statistics, forgetting_.value_or(0));
  double decrease = 0;
  for (int sweep = 0; sweep < 2; ++sweep) decrease += sweep_patterns(D, known.A, known.B);
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  D.put(outcome.parameters);
  if (!forgetting_ && from.is_fixed && last_value_ && *last_value_ - sums.value < from.tol * std::abs(*last_value_)) {
    outcome.ends_phase = true;
    outcome.certified = decrease <= 1e-4 * std::abs(sums.value);
  }
  outcome.keep = [this, known = std::move(known), value = sums.value]() mutable {
    if (forgetting_) past_ = std::move(known);
    last_value_ = value;
  };
  co_return outcome;
}

template <Scalar T>
void PatternDescent<T>::forget_atoms(const std::vector<Index>& atoms) {
  past_.forget(atoms);
  if (!atoms.empty()) last_value_.reset();
}

template <Scalar T>
void PatternDescent<T>::reset() {
  past_ = {};
  last_value_.reset();
}

template <Scalar T>
NamedTensors PatternDescent<T>::state() const {
  if (forgetting_) return past_.state();
  return {{"last_value", to_tensor(std::vector<double>{last_value_.value_or(std::nan(""))})}};
}

template <Scalar T>
void PatternDescent<T>::restore(const NamedTensors& state, const Parameters<T>&) {
  reset();
  const std::string where = "checkpoint";
  if (forgetting_) {
    const Index K = D_->n_atoms(), L = D_->atom_times();
    past_ = RunningStatistics::stored(state, K * (2 * L - 1), D_->shape().n_channels * L, K, where);
  } else if (const double value = stored_numbers(state, "last_value", 1, where)[0]; !std::isnan(value)) {
    last_value_ = value;
  }
}

template MovingPatterns MovingPatterns::of(const ConvolutionalDictionary<float>&, const Parameters<float>&);
template MovingPatterns MovingPatterns::of(const ConvolutionalDictionary<double>&, const Parameters<double>&);
template void MovingPatterns::put(Parameters<float>&) const;
template void MovingPatterns::put(Parameters<double>&) const;
template class PatternDescent<float>;
template class PatternDescent<double>;

}  // namespace riata
