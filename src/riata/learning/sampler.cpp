#include "riata/learning/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/patches.hpp"

namespace riata {
namespace {

constexpr std::uint32_t batch_stream = 200, validation_stream = 201;

/// The columns of A in the order of `which`.
template <Scalar T>
Matrix<T> columns(const ConstMatrixRef<T>& A, const std::vector<Index>& which) {
  Matrix<T> chosen(A.rows(), std::ssize(which));
  for (Index k = 0; k < chosen.cols(); ++k) {
    leave_if_stopped();
    chosen.col(k) = A.col(which[static_cast<std::size_t>(k)]);
  }
  return chosen;
}

}  // namespace

template <Scalar T>
MiniBatches<T>::Chosen::Chosen(const Sample<T>& all, const std::vector<Index>& which) : X(columns<T>(all.batch.X, which)) {
  if (all.batch.is_weighted()) weights = columns<T>(*all.batch.weights, which);
  if (all.targets) targets = columns<T>(*all.targets, which);
}

template <Scalar T>
Sample<T> MiniBatches<T>::Chosen::sample() const {
  return {weights.size() > 0 ? Batch<T>(X, weights) : Batch<T>(X),
          targets.size() > 0 ? OptionalKeptRef<T>(targets) : std::nullopt};
}

template <Scalar T>
MiniBatches<T>::MiniBatches(const NonDeduced<Batch<T>>& signals, const MiniBatchOptions& options,
                            const OptionalKeptRef<T>& targets)
    : all_{signals, targets}, options_(options) {
  const Index n = signals.size(), n_held = static_cast<Index>(std::lround(options.validation * static_cast<double>(n)));
  require(n_held < n, "validation = {} of {} signals leaves none to train on", options.validation, n);
  require(n_held > 0 || options.validation == 0, "validation = {} of {} signals holds none out", options.validation, n);
  std::vector<bool> is_held(static_cast<std::size_t>(n));
  const std::vector<Index> held = RandomStream(options.seed, validation_stream).choose(n, n_held);
  for (const Index i : held) is_held[static_cast<std::size_t>(i)] = true;
  for (Index i = 0; i < n; ++i)
    if (!is_held[static_cast<std::size_t>(i)]) trained_on_.push_back(i);
  if (n_held > 0) held_out_.emplace(all_, held);
  if (options.batch_size)
    require(*options.batch_size >= 1 && *options.batch_size <= std::ssize(trained_on_),
            "batch_size = {}, must be at most the {} signals to train on", *options.batch_size, trained_on_.size());
}

template <Scalar T>
Sample<T> MiniBatches<T>::batch(Index iteration) {
  if (!options_.batch_size && !held_out_) return all_;
  if (!options_.batch_size) iteration = 0;
  if (batch_ && iteration == iteration_) return batch_->sample();
  batch_.reset();
  if (options_.batch_size) {
    RandomStream random(options_.seed, batch_stream, static_cast<std::uint32_t>(iteration));
    std::vector<Index> which = random.choose(std::ssize(trained_on_), *options_.batch_size);
    for (Index& i : which) i = trained_on_[static_cast<std::size_t>(i)];
    batch_.emplace(all_, which);
  } else {
    batch_.emplace(all_, trained_on_);
  }
  iteration_ = iteration;
  return batch_->sample();
}

template <Scalar T>
std::optional<Sample<T>> MiniBatches<T>::held_out() {
  if (!held_out_) return {};
  return held_out_->sample();
}

template <Scalar T>
PatchSampler<T>::PatchSampler(const T* image, Index height, Index width, const PatchSamplerOptions& options) {
  require(options.n_patches >= 1, "n_patches = {}, must be >= 1", options.n_patches);
  const PatchGrid grid(height, width, options.patch);
  RandomStream random(options.seed);
  patches_.resize(options.patch * options.patch, std::min(options.n_patches, grid.count()));
  Index kept = 0;
  const Index candidates = std::min(grid.count(), 8 * patches_.cols());
  for (const Index i : random.choose(grid.count(), candidates)) {
    if (kept == patches_.cols()) break;
    leave_if_stopped();
    Matrix<T> patch = extract_patches(image, grid, i, 1);
    if (options.centred) patch.array() -= patch.mean();
    if (static_cast<double>(patch.norm()) < options.smallest_norm) continue;
    patches_.col(kept++) = patch;
  }
  patches_.conservativeResize(Eigen::NoChange, kept);
}

template class MiniBatches<float>;
template class MiniBatches<double>;
template class PatchSampler<float>;
template class PatchSampler<double>;

}  // namespace riata
