#include "riata/learning/signal_source.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/operators/units.hpp"

namespace riata {
namespace {

constexpr const char* precision_name(bool is_float) { return is_float ? "float32" : "float64"; }

}  // namespace

bool is_float32_npy(const std::filesystem::path& path) { return NpyRows(path).is_float(); }

template <Scalar T>
NpyShards<T>::NpyShards(const std::vector<std::filesystem::path>& paths) {
  require(!paths.empty(), "signals: no file is given");
  Index n_signals = 0;
  for (const auto& path : paths) {
    const NpyRows rows(path);
    if (shards_.empty()) n_features_ = rows.n_columns();
    require(rows.n_columns() == n_features_, "{} has {} features but {} has {}; they must be equal", rows.name(),
            rows.n_columns(), paths.front().string(), n_features_);
    constexpr bool is_float = sizeof(T) == 4;
    require(rows.is_float() == is_float, "{} is {} but {} is {}; they must be equal", rows.name(),
            precision_name(rows.is_float()), shards_.empty() ? "what is learned" : paths.front().string(),
            precision_name(is_float));
    if (rows.n_rows() == 0) continue;
    shards_.push_back({path, rows.n_bytes(), n_signals, rows.n_rows()});
    n_signals += rows.n_rows();
  }
  require(n_signals > 0 && n_features_ > 0, "{} holds no signals", paths.front().string());
}

template <Scalar T>
NpyRows& NpyShards<T>::open(const Shard& shard) {
  constexpr std::ptrdiff_t most = 16;
  auto found = std::ranges::find(open_, shard.first, [](const auto& entry) { return entry.first; });
  if (found == open_.end()) {
    NpyRows rows(shard.path);
    require(rows.n_bytes() == shard.n_bytes && rows.n_rows() == shard.n && rows.n_columns() == n_features_,
            "{} is not the file that it was when the run began", rows.name());
    if (std::ssize(open_) == most) open_.erase(open_.begin());
    open_.emplace_back(shard.first, std::move(rows));
    found = open_.end() - 1;
  }
  std::rotate(found, found + 1, open_.end());
  return open_.back().second;
}

template <Scalar T>
template <class Use>
void NpyShards<T>::for_each_part(Index first, Index n, const Use& use) {
  auto shard = std::ranges::upper_bound(shards_, first, {}, &Shard::first) - 1;
  for (const Index end = first + n; first < end; ++shard) {
    const Index in_shard = first - shard->first, some = std::min(end - first, shard->n - in_shard);
    use(open(*shard), in_shard, some);
    first += some;
  }
}

template <Scalar T>
void NpyShards<T>::read(Index first, MatrixRef<T> out) {
  Index done = 0;
  for_each_part(first, out.cols(), [&](NpyRows& rows, Index in_shard, Index n) {
    rows.seek(in_shard);
    const auto values = rows.next(n);
    auto some = out.middleCols(done, n);
    some = Eigen::Map<const Matrix<T>>(std::get<std::vector<T>>(values).data(), n_features_, n);
    require_in_range<T>(rows.name().c_str(), "it", some, of_signals, in_shard);
    done += n;
  });
}

template <Scalar T>
void NpyShards<T>::announce(Index first, Index n) {
  for_each_part(first, n, [](NpyRows& rows, Index in_shard, Index some) { rows.announce(in_shard, some); });
}

template class NpyShards<float>;
template class NpyShards<double>;

}  // namespace riata
