#include "riata/learning/kernel_atoms.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

struct KernelPair {
  double cosine;  // at the best shift, of unit kernels
  Index first, second;
};

/// Pairs whose |cosine| is above that, the most alike first.
template <Scalar T>
std::vector<KernelPair> copies_among_kernels(const ConvolutionalDictionary2D<T>& D, double least) {
  const Matrix<double> G = lagged_gram(D);
  const Index K = D.n_atoms(), n_lags = G.rows() / K;
  const Vector<double> norms = D.atoms().template cast<double>().colwise().norm();
  std::vector<KernelPair> copies;
  for (Index k = 0; k < K; ++k)
    for (Index j = 0; j < k; ++j) {
      const double product = norms(j) * norms(k), most = G.col(k).segment(j * n_lags, n_lags).cwiseAbs().maxCoeff();
      if (product > 0 && most > least * product) copies.push_back({most / product, j, k});
    }
  std::ranges::stable_sort(copies, std::greater{}, &KernelPair::cosine);
  return copies;
}

/// Sums over squares of l pixels, by their first: (height - l + 1) x (width - l + 1), column-major by columns of the picture.
Matrix<double> sums_over_squares(const Matrix<double>& energy, Index l) {
  Matrix<double> down(energy.rows() - l + 1, energy.cols()), sums(down.rows(), energy.cols() - l + 1);
  for (Index i = 0; i < down.rows(); ++i) down.row(i) = energy.middleRows(i, l).colwise().sum();
  for (Index j = 0; j < sums.cols(); ++j) sums.col(j) = down.middleCols(j, l).rowwise().sum();
  return sums;
}

/// Patches of the kernels' size with the largest energy, which do not overlap, as kernels.
template <Scalar T>
Matrix<T> largest_patches(const Matrix<T>& R, const ConvolutionalDictionary2D<T>& D, Index n) {
  const auto [n_channels, height, width, boundary, stride] = D.shape();
  const Index l = D.kernel_size();
  if (std::min(height, width) < l) return {};
  const auto plane = [&, h = height, w = width](Index picture, Index c) {  // width x height: rows of the picture are columns
    return Eigen::Map<const Matrix<T>>(R.col(picture).data() + c * h * w, w, h);
  };
  std::vector<Matrix<double>> energies;
  for (Index i = 0; i < R.cols(); ++i) {
    leave_if_stopped();
    Matrix<double> energy = Matrix<double>::Zero(width, height);
    for (Index c = 0; c < n_channels; ++c) energy += plane(i, c).template cast<double>().cwiseAbs2();
    energies.push_back(sums_over_squares(energy, l));
  }
  Matrix<T> patches(n_channels * l * l, n);
  for (Index found = 0; found < n; ++found) {
    leave_if_stopped();
    Index picture = 0, row = 0, column = 0;
    double most = 0;
    for (std::size_t i = 0; i < energies.size(); ++i) {
      Index x = 0, y = 0;
      if (const double energy = energies[i].maxCoeff(&x, &y); energy > most) {
        most = energy;
        picture = static_cast<Index>(i);
        column = x;
        row = y;
      }
    }
    if (!(most > 0)) return patches.leftCols(found);
    for (Index c = 0; c < n_channels; ++c)
      Eigen::Map<Matrix<T>>(patches.col(found).data() + c * l * l, l, l) = plane(picture, c).block(column, row, l, l);
    Matrix<double>& around = energies[static_cast<std::size_t>(picture)];
    const Index x = std::max<Index>(0, column - l + 1), y = std::max<Index>(0, row - l + 1);
    around.block(x, y, std::min(around.rows(), column + l) - x, std::min(around.cols(), row + l) - y).setZero();
  }
  return patches;
}

/// What recurs around the activations of kernel k, `margin` pixels more on each side: (l + 2 margin)^2 x n_channels, rows of the
/// picture as columns. Stride 1.
template <Scalar T>
Matrix<double> around_positions(const ConvolutionalDictionary2D<T>& D, const Matrix<T>& R, const Matrix<T>& Z, Index k,
                                Index margin) {
  const auto [n_channels, height, width, boundary, stride] = D.shape();
  const Index l = D.kernel_size(), side = l + 2 * margin, n = D.n_positions(), offset = boundary == Boundary::full ? l - 1 : 0;
  Matrix<double> sums = Matrix<double>::Zero(side * side, n_channels), weights = Matrix<double>::Zero(side, side);
  for (Index i = 0; i < R.cols(); ++i) {
    leave_if_stopped();
    for (Index place = 0; place < n; ++place) {
      const auto z = static_cast<double>(Z(k * n + place, i));
      if (z == 0) continue;
      // The square's first pixel, and what of it is in the picture.
      const Index row = place / D.n_columns() - offset - margin, column = place % D.n_columns() - offset - margin;
      const Index y = std::max<Index>(0, -row), x = std::max<Index>(0, -column), n_rows = std::min(side, height - row) - y,
                  n_columns = std::min(side, width - column) - x;
      if (n_rows <= 0 || n_columns <= 0) continue;
      for (Index c = 0; c < n_channels; ++c)
        Eigen::Map<Matrix<double>>(sums.col(c).data(), side, side).block(x, y, n_columns, n_rows) +=
            z * Eigen::Map<const Matrix<T>>(R.col(i).data() + c * height * width, width, height)
                    .block(column + x, row + y, n_columns, n_rows)
                    .template cast<double>();
      weights.block(x, y, n_columns, n_rows).array() += z * z;
    }
  }
  for (Index c = 0; c < n_channels; ++c) {
    Eigen::Map<Matrix<double>> sum(sums.col(c).data(), side, side);
    sum.array() /= (weights.array() > 0).select(weights.array(), 1);
    sum.block(margin, margin, l, l) +=
        Eigen::Map<const Matrix<T>>(D.atoms().col(k).data() + c * l * l, l, l).template cast<double>();
  }
  return sums;
}

struct MoveInPlane {
  Index x, y;       // of the square's first pixel, from the first of all
  double gain = 0;  // of energy, relative; 0: stay
};

/// To where most of the energy is within l x l pixels and lies in their middle.
MoveInPlane best_move(const Matrix<double>& around, Index l, Index margin, double least_gain) {
  const Index side = l + 2 * margin;
  const Vector<double> energies = around.rowwise().squaredNorm();
  const Eigen::Map<const Matrix<double>> energy(energies.data(), side, side);
  const Matrix<double> within = sums_over_squares(energy, l);
  const double most = within.maxCoeff(), middle = static_cast<double>(l - 1) / 2;
  const Vector<double> places = Vector<double>::LinSpaced(l, 0, static_cast<double>(l - 1));
  const auto off_centre = [&](Index x, Index y) {
    const Matrix<double> part = energy.block(x, y, l, l);
    const double total = part.sum();
    if (!(total > 0)) return std::numeric_limits<double>::infinity();
    return std::hypot(part.rowwise().sum().dot(places) / total - middle, part.colwise().sum().dot(places) / total - middle);
  };
  MoveInPlane best{margin, margin};
  double least = std::numeric_limits<double>::infinity();
  for (Index y = 0; y < within.cols(); ++y)
    for (Index x = 0; x < within.rows(); ++x)
      if (const double off = within(x, y) >= 0.99 * most ? off_centre(x, y) : least; off < least) {
        least = off;
        best = {x, y};
      }
  const double gain = within(best.x, best.y) / std::max(within(margin, margin), 1e-300 + 1e-12 * most) - 1;
  const bool is_off = off_centre(margin, margin) - least > static_cast<double>(l) / 8;
  if ((best.x == margin && best.y == margin) || !(gain > least_gain || is_off)) return {margin, margin};
  best.gain = std::max(gain, 1e-12);
  return best;
}

/// Moves kernels to where more of what recurs is within them; which.
template <Scalar T>
std::vector<Index> move_kernels(Matrix<T>& kernels, const ConvolutionalDictionary2D<T>& D, const Matrix<T>& R, const Matrix<T>& Z,
                                bool one_alone, double least_gain) {
  const Index l = D.kernel_size(), margin = l / 2, K = D.n_atoms();
  std::vector<MoveInPlane> moves;
  std::vector<Matrix<double>> around;
  for (Index k = 0; k < K; ++k) {
    around.push_back(around_positions(D, R, Z, k, margin));
    moves.push_back(best_move(around.back(), l, margin, least_gain));
  }
  const auto most = std::ranges::max_element(moves, {}, &MoveInPlane::gain) - moves.begin();
  std::vector<Index> moved;
  for (Index k = 0; k < K; ++k) {
    const MoveInPlane& move = moves[static_cast<std::size_t>(k)];
    if (move.gain == 0 || (one_alone && k != most)) continue;
    Vector<double> kernel(kernels.rows());
    for (Index c = 0; c < D.shape().n_channels; ++c)
      Eigen::Map<Matrix<double>>(kernel.data() + c * l * l, l, l) =
          Eigen::Map<const Matrix<double>>(around[static_cast<std::size_t>(k)].col(c).data(), l + 2 * margin, l + 2 * margin)
              .block(move.x, move.y, l, l);
    kernels.col(k) = kernel.normalized().template cast<T>();
    moved.push_back(k);
  }
  return moved;
}

}  // namespace

template <Scalar T>
std::vector<Index> mend_kernels(Parameters<T>& at, const ConvolutionalDictionary2D<T>& given, const std::vector<bool>& unused,
                                const Batch<T>& batch, Index call, const KernelCoder<T>& code, const KernelPolicy& policy) {
  const auto current = given.at(at);
  const auto& D = dynamic_cast<const ConvolutionalDictionary2D<T>&>(*current);
  const Index K = D.n_atoms();
  const bool replaces = call % 2 == 0, moves = D.shape().stride == 1 && D.kernel_size() > 1;
  std::vector<Index> lost;
  for (Index k = 0; k < K; ++k)
    if (replaces && unused[static_cast<std::size_t>(k)]) lost.push_back(k);
  const auto copies = replaces && lost.empty() ? copies_among_kernels(D, policy.duplicate) : std::vector<KernelPair>();
  if (lost.empty() && copies.empty() && !moves) return {};
  const Matrix<T> Z = code(batch, D);
  if (!copies.empty()) {
    const auto& [cosine, first, second] = copies[static_cast<std::size_t>(call / 2) % copies.size()];
    const auto energy = [&](Index k) { return Z.middleRows(k * D.n_positions(), D.n_positions()).squaredNorm(); };
    lost.push_back(energy(first) < energy(second) ? first : second);
  }
  const SeenBatch<T> seen("learn_kernels", batch);
  Matrix<T> R(D.signal_size(), batch.size());
  D.apply(Z, R);
  R = seen.X() - R;
  if (seen.is_weighted()) R.array() *= seen.weights(0, batch.size()).array();
  if (lost.empty()) return moves ? move_kernels<T>(at.at("kernels"), D, R, Z, call % 4 == 3, policy.least_gain) : lost;
  const Matrix<T> patches = largest_patches<T>(R, D, std::ssize(lost));
  lost.resize(static_cast<std::size_t>(patches.cols()));
  for (std::size_t i = 0; i < lost.size(); ++i)
    at.at("kernels").col(lost[i]) = patches.col(static_cast<Index>(i)).stableNormalized();
  return lost;
}

template std::vector<Index> mend_kernels(Parameters<float>&, const ConvolutionalDictionary2D<float>&, const std::vector<bool>&,
                                         const Batch<float>&, Index, const KernelCoder<float>&, const KernelPolicy&);
template std::vector<Index> mend_kernels(Parameters<double>&, const ConvolutionalDictionary2D<double>&, const std::vector<bool>&,
                                         const Batch<double>&, Index, const KernelCoder<double>&, const KernelPolicy&);

}  // namespace riata
