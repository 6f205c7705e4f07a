#include "riata/learning/pattern_atoms.hpp"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "riata/core/stopping.hpp"
#include "riata/operators/unit_lagged_gram.hpp"

namespace riata {
namespace {

struct Copies {
  double cosine;  // at the best shift, of unit patterns
  Index first, second;
};

/// Pairs whose |cosine| is above that, the most alike first.
template <Scalar T>
std::vector<Copies> copies_among(const ConvolutionalDictionary<T>& D, double least) {
  const Matrix<double> G = UnitLaggedGram(D).G;
  const Index n_lags = 2 * D.atom_times() - 1;
  std::vector<Copies> copies;
  for (Index k = 0; k < D.n_atoms(); ++k)
    for (Index j = 0; j < k; ++j) {
      const double cosine = G.col(k).segment(j * n_lags, n_lags).cwiseAbs().maxCoeff();
      if (cosine > least) copies.push_back({cosine, j, k});
    }
  std::ranges::stable_sort(copies, std::greater{}, &Copies::cosine);
  return copies;
}

/// sum of `length` energies from each place.
Vector<double> energy_from(const Vector<double>& energy, Index length) {
  Vector<double> sums(energy.size() - length + 1);
  for (Index t = 0; t < sums.size(); ++t) sums(t) = energy.segment(t, length).sum();
  return sums;
}

/// Pieces of L samples with the largest energy, which do not overlap.
template <Scalar T>
std::vector<Matrix<T>> largest_pieces(const Matrix<T>& R, Index n_channels, Index L, std::size_t n) {
  if (n == 0) return {};
  const Index n_times = R.rows() / n_channels;
  std::vector<Vector<double>> energies;
  for (Index i = 0; i < R.cols(); ++i)
    energies.push_back(energy_from(
        Eigen::Map<const Matrix<T>>(R.col(i).data(), n_times, n_channels).template cast<double>().rowwise().squaredNorm(), L));
  std::vector<Matrix<T>> pieces;
  while (pieces.size() < n) {
    Index signal = 0, first = 0;
    double most = 0;
    for (std::size_t i = 0; i < energies.size(); ++i) {
      Index t = 0;
      if (const double energy = energies[i].maxCoeff(&t); energy > most) {
        most = energy;
        signal = static_cast<Index>(i);
        first = t;
      }
    }
    if (!(most > 0)) break;
    pieces.push_back(Eigen::Map<const Matrix<T>>(R.col(signal).data(), n_times, n_channels).middleRows(first, L));
    Vector<double>& around = energies[static_cast<std::size_t>(signal)];
    const Index begin = std::max<Index>(0, first - L + 1), end = std::min(around.size(), first + L);
    around.segment(begin, end - begin).setZero();
  }
  return pieces;
}

template <Scalar T>
void put_pattern(Parameters<T>& at, bool rank_one, Index k, const Matrix<T>& piece) {
  if (!rank_one) {
    at.at("kernels").col(k) = Eigen::Map<const Vector<T>>(piece.data(), piece.size()).stableNormalized();
    return;
  }
  const Eigen::BDCSVD<Matrix<T>> svd(piece, Eigen::ComputeThinU | Eigen::ComputeThinV);
  at.at("v").col(k) = svd.matrixU().col(0);
  at.at("u").col(k) = svd.matrixV().col(0);
}

/// What recurs around the activations of pattern k, from `margin` samples before it to as many after it, over channels; of rank one
/// its part along u.
template <Scalar T>
Matrix<double> around_activations(const ConvolutionalDictionary<T>& D, const Parameters<T>& at, const Matrix<T>& atoms,
                                  const Matrix<T>& R, const Matrix<T>& Z, Index k, Index margin) {
  const Index L = D.atom_times(), n_channels = D.shape().n_channels, n_times = D.shape().n_times, n_positions = D.n_positions();
  Matrix<double> sum = Matrix<double>::Zero(L + 2 * margin, n_channels);
  Vector<double> weight = Vector<double>::Zero(L + 2 * margin);
  for (Index i = 0; i < R.cols(); ++i) {
    const Eigen::Map<const Matrix<T>> r(R.col(i).data(), n_times, n_channels);
    for (Index t = 0; t < n_positions; ++t) {
      const auto z = static_cast<double>(Z(k * n_positions + t, i));
      if (z == 0) continue;
      const Index begin = std::max<Index>(0, t - margin), end = std::min(n_times, t + L + margin);
      sum.middleRows(begin - t + margin, end - begin) += z * r.middleRows(begin, end - begin).template cast<double>();
      weight.segment(begin - t + margin, end - begin).array() += z * z;
    }
  }
  sum.array().colwise() /= (weight.array() > 0).select(weight.array(), 1);
  sum.middleRows(margin, L) += Eigen::Map<const Matrix<T>>(atoms.col(k).data(), L, n_channels).template cast<double>();
  if (D.is_rank_one()) return sum * at.at("u").col(k).template cast<double>();
  return sum;
}

struct ShiftInTime {
  Index by = 0;
  double gain = 0;  // of energy, relative
};

/// Of a piece with a margin on both sides, to where most of its energy is within L samples and lies in their middle.
ShiftInTime best_shift(const Matrix<double>& piece, Index L, double least_gain) {
  const Index margin = (piece.rows() - L) / 2;
  const Vector<double> energy = piece.rowwise().squaredNorm(), within = energy_from(energy, L);
  const double most = within.maxCoeff();
  const auto off_centre = [&](Index from) {
    const auto part = energy.segment(from, L);
    return std::abs(part.dot(Vector<double>::LinSpaced(L, 0, static_cast<double>(L - 1))) / part.sum() -
                    static_cast<double>(L - 1) / 2);
  };
  Index best = margin;
  double least = std::numeric_limits<double>::infinity();
  for (Index from = 0; from < within.size(); ++from)
    if (within(from) >= 0.99 * most && off_centre(from) < least) {
      least = off_centre(from);
      best = from;
    }
  const double gain = within(best) / std::max(within(margin), 1e-300 + 1e-12 * most) - 1;
  const bool is_off = off_centre(margin) - least > static_cast<double>(L) / 8;
  return gain > least_gain || is_off ? ShiftInTime{best - margin, gain} : ShiftInTime{};
}

}  // namespace

template <Scalar T>
std::vector<Index> mend_patterns(Parameters<T>& at, const ConvolutionalDictionary<T>& given, const std::vector<bool>& unused,
                                 const Batch<T>& batch, Index call, const PatternCoder<T>& code, const PatternPolicy& policy) {
  std::vector<Index> changed;
  if (batch.is_weighted()) return changed;
  const auto current = given.at(at);
  const auto& D = dynamic_cast<const ConvolutionalDictionary<T>&>(*current);
  const Index L = D.atom_times(), n_channels = D.shape().n_channels, K = D.n_atoms();
  const Matrix<T> Z = code(batch.X, D);
  Matrix<T> R(batch.X.rows(), batch.size());
  D.apply(Z, R);
  R = batch.X - R;
  const Index margin = std::min(L / 2, (D.shape().n_times - L) / 2);
  const Matrix<T> atoms = D.atoms();
  const auto move_in_time = [&](Index k, const Matrix<double>& around, ShiftInTime shift) {
    Matrix<double> moved = around.middleRows(margin + shift.by, L);
    if (D.window().size() > 0) moved.array().colwise() /= D.window().template cast<double>().array().max(0.1);
    const double norm = moved.norm();
    if (!(norm > 0)) return;
    at.at(D.is_rank_one() ? "v" : "kernels").col(k) =
        (Eigen::Map<const Vector<double>>(moved.data(), moved.size()) / norm).template cast<T>();
    changed.push_back(k);
  };
  if (call % 2 == 0) {
    std::vector<Index> lost;
    for (Index k = 0; k < K; ++k)
      if (unused[static_cast<std::size_t>(k)]) lost.push_back(k);
    const auto copies = lost.empty() ? copies_among(D, policy.duplicate) : std::vector<Copies>();
    const auto pieces = largest_pieces(R, n_channels, L, copies.empty() ? lost.size() : 1);
    if (!copies.empty() && !pieces.empty()) {
      const auto& [cosine, first, second] = copies[static_cast<std::size_t>(call / 2) % copies.size()];
      lost.push_back(second);
      const Index n = D.n_positions();
      Matrix<T> own = Matrix<T>::Zero(Z.rows(), Z.cols()), theirs(R.rows(), R.cols());
      own.middleRows(second * n, n) = Z.middleRows(second * n, n);
      D.apply(own, theirs);
      const auto around = around_activations<T>(D, at, atoms, R + theirs, Z, first, margin);
      if (!around.isZero(0)) move_in_time(first, around, best_shift(around, L, 0));
    }
    for (std::size_t i = 0; i < std::min(lost.size(), pieces.size()); ++i) {
      put_pattern(at, D.is_rank_one(), lost[i], pieces[i]);
      changed.push_back(lost[i]);
    }
    if (!changed.empty()) return changed;
  }
  std::vector<ShiftInTime> shifts;
  std::vector<Matrix<double>> around;
  for (Index k = 0; k < K; ++k) {
    leave_if_stopped();
    around.push_back(around_activations<T>(D, at, atoms, R, Z, k, margin));
    shifts.push_back(around.back().isZero(0) ? ShiftInTime{} : best_shift(around.back(), L, policy.least_gain));
  }
  const auto most = std::ranges::max_element(shifts, {}, &ShiftInTime::gain) - shifts.begin();
  for (Index k = 0; k < K; ++k) {
    const ShiftInTime& shift = shifts[static_cast<std::size_t>(k)];
    if (shift.by == 0 || (call % 4 == 3 && k != most)) continue;
    move_in_time(k, around[static_cast<std::size_t>(k)], shift);
  }
  return changed;
}

template std::vector<Index> mend_patterns(Parameters<float>&, const ConvolutionalDictionary<float>&, const std::vector<bool>&,
                                          const Batch<float>&, Index, const PatternCoder<float>&, const PatternPolicy&);
template std::vector<Index> mend_patterns(Parameters<double>&, const ConvolutionalDictionary<double>&, const std::vector<bool>&,
                                          const Batch<double>&, Index, const PatternCoder<double>&, const PatternPolicy&);

}  // namespace riata
