#include "riata/optim/pattern_descent.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata {
namespace {

/// Patterns as matrices, L x rows: all channels of a kernel, or v alone, of which d_k = (w v_k) u_k^T.
struct MovingPatterns {
  Index L, n_channels;
  bool rank_one;
  Vector<double> window;  // or 0
  Matrix<double> u, v;    // v: kernels, (n_channels L) x K, where u is 0 x 0

  Index size() const { return v.cols(); }
  Index rows() const { return rank_one ? 1 : n_channels; }
  Matrix<double> in_time(Index k) const { return Eigen::Map<const Matrix<double>>(v.col(k).data(), L, rows()); }
  Matrix<double> windowed(Matrix<double> time) const {
    if (window.size() > 0) time.array().colwise() *= window.array();
    return time;
  }
};

/// (A_kj *) as a matrix: entry (l, l') is A_kj(l - l').
auto lags_to_toeplitz(const Matrix<double>& A, Index k, Index j, Index L) {
  return Matrix<double>::NullaryExpr(
      L, L, [lags = A.col(k).data() + j * (2 * L - 1) + L - 1](Index l, Index other) { return lags[l - other]; });
}

/// One sweep; by how much the fit fell.
double sweep_patterns(MovingPatterns& D, const Matrix<double>& A, const Matrix<double>& B) {
  constexpr int n_steps = 10;  // of v; activations hold for the patterns before alone
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
    Matrix<double> d = D.in_time(k);
    if (D.rank_one) {
      const Vector<double> towards = E.transpose() * D.windowed(d);
      if (const double length = towards.norm(); length > 0) {
        decrease += length - towards.dot(D.u.col(k));
        D.u.col(k) = towards / length;
      }
      E = (E * D.u.col(k)).eval();
    }
    const Matrix<double> T = lags_to_toeplitz(A, k, k, L);
    const double bound = T.col(0).cwiseAbs().sum() + T.row(0).cwiseAbs().sum() - std::abs(T(0, 0));
    const auto fit = [&](const Matrix<double>& own, const Matrix<double>& pull) {
      return (own.array() * (0.5 * pull - E).array()).sum();
    };
    Matrix<double> own = D.windowed(d), pull = T * own;
    const double before = fit(own, pull);
    for (int step = 0; step < n_steps; ++step) {
      const Matrix<double> moved = d + D.windowed(E - pull) / bound;
      const double length = moved.norm();
      if (!(length > 0)) break;
      d = moved / length;
      own = D.windowed(d);
      pull.noalias() = T * own;
    }
    decrease += before - fit(own, pull);
    D.v.col(k) = Eigen::Map<const Vector<double>>(d.data(), d.size());
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
  const std::string time = D_->is_rank_one() ? "v" : "kernels";
  MovingPatterns D{.L = D_->atom_times(),
                   .n_channels = D_->shape().n_channels,
                   .rank_one = D_->is_rank_one(),
                   .window = D_->window().template cast<double>(),
                   .u = {},
                   .v = from.parameters.at(time).template cast<double>()};
  if (D.rank_one) D.u = from.parameters.at("u").template cast<double>();
  RunningStatistics known = (forgetting_ ? past_ : RunningStatistics()).with(sums.statistics, forgetting_.value_or(0));
  double decrease = 0;
  for (int sweep = 0; sweep < 2; ++sweep) decrease += sweep_patterns(D, known.A, known.B);
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  outcome.parameters.at(time) = D.v.template cast<T>();
  if (D.rank_one) outcome.parameters.at("u") = D.u.template cast<T>();
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

template class PatternDescent<float>;
template class PatternDescent<double>;

}  // namespace riata
