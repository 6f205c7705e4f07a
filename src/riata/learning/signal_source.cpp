#include "riata/learning/signal_source.hpp"

#include <algorithm>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/operators/units.hpp"

namespace riata {
namespace {

constexpr const char* precision_name(bool is_float) { return is_float ? "float32" : "float64"; }

}  // namespace

bool is_float32_npy(const std::filesystem::path& path) { return NpyRows(path).is_float(); }
bool has_rows_in_order(const std::filesystem::path& path) { return NpyRows::are_in_order(path); }

/// Few of them are open at a time.
template <Scalar T>
struct NpyShards<T>::Files {
  struct Shard {
    std::filesystem::path path;
    std::uint64_t n_bytes;
    Index first, n;  // signals
  };

  void append(const std::filesystem::path& path) {
    const NpyRows rows(path);
    if (first_name.empty()) {
      first_name = rows.name();
      n_features = rows.n_columns();
    }
    constexpr bool is_float = sizeof(T) == 4;
    require(rows.n_columns() == n_features, "{} has {} features but {} has {}; they must be equal", rows.name(), rows.n_columns(),
            first_name, n_features);
    require(rows.is_float() == is_float, "{} is {} but {} is {}; they must be equal", rows.name(),
            precision_name(rows.is_float()), rows.name() == first_name ? "what is learned" : first_name,
            precision_name(is_float));
    if (rows.n_rows() == 0) return;
    shards.push_back({path, rows.n_bytes(), n_signals, rows.n_rows()});
    n_signals += rows.n_rows();
  }

  NpyRows& open(const Shard& shard) {
    constexpr std::ptrdiff_t most = 16;
    auto found = std::ranges::find(are_open, shard.first, [](const auto& entry) { return entry.first; });
    if (found == are_open.end()) {
      NpyRows rows(shard.path);
      require(rows.n_bytes() == shard.n_bytes && rows.n_rows() == shard.n && rows.n_columns() == n_features,
              "{} is not the file that it was when the run began", rows.name());
      if (std::ssize(are_open) == most) are_open.erase(are_open.begin());
      are_open.emplace_back(shard.first, std::move(rows));
      found = are_open.end() - 1;
    }
    std::rotate(found, found + 1, are_open.end());
    return are_open.back().second;
  }

  /// Calls use(its rows, first of them, n) for each shard that holds some of these signals.
  template <class Use>
  void for_each_part(Index first, Index n, const Use& use) {
    require(first >= 0 && n >= 0 && first <= n_signals - n, "signals {} to {} of {}, which there are not", first, first + n - 1,
            n_signals);
    if (n == 0) return;
    auto shard = std::ranges::upper_bound(shards, first, {}, &Shard::first) - 1;
    for (const Index end = first + n; first < end; ++shard) {
      const Index in_shard = first - shard->first, some = std::min(end - first, shard->n - in_shard);
      use(open(*shard), in_shard, some);
      first += some;
    }
  }

  std::vector<Shard> shards;
  std::string first_name;
  Index n_features = 0, n_signals = 0;
  std::vector<std::pair<Index, NpyRows>> are_open;  // first signal of the shard, and the shard; the last is the one used last
};

template <Scalar T>
NpyShards<T>::NpyShards(const std::vector<std::filesystem::path>& paths) : files_(std::make_unique<Files>()) {
  require(!paths.empty(), "signals: no file is given");
  for (const auto& path : paths) files_->append(path);
  require(files_->n_signals > 0 && files_->n_features > 0, "{} holds no signals", files_->first_name);
}

template <Scalar T>
NpyShards<T>::~NpyShards() = default;

template <Scalar T>
Index NpyShards<T>::n_features() const {
  return files_->n_features;
}
template <Scalar T>
Index NpyShards<T>::n_signals() const {
  return files_->n_signals;
}

template <Scalar T>
void NpyShards<T>::read(Index first, MatrixRef<T> out) {
  Index done = 0;
  files_->for_each_part(first, out.cols(), [&](NpyRows& rows, Index in_shard, Index n) {
    rows.seek(in_shard);
    const auto values = rows.next(n);
    auto some = out.middleCols(done, n);
    some = Eigen::Map<const Matrix<T>>(std::get<std::vector<T>>(values).data(), out.rows(), n);
    require_in_range<T>(rows.name().c_str(), "it", some, of_signals, in_shard);
    done += n;
  });
}

template <Scalar T>
void NpyShards<T>::announce(Index first, Index n) {
  files_->for_each_part(first, n, [](NpyRows& rows, Index in_shard, Index some) { rows.announce(in_shard, some); });
}

template <Scalar T>
JoinedSignals<T>::JoinedSignals(std::vector<std::shared_ptr<SignalSource<T>>> sources) : sources_(std::move(sources)) {
  require(!sources_.empty(), "learn_dictionary: X holds no signals");
  Index end = 0;
  for (std::size_t k = 0; k < sources_.size(); ++k) {
    const Index n = sources_[k]->n_features();
    require(n == n_features(), "learn_dictionary: input {} has {} features but the first has {}; they must be equal", k, n,
            n_features());
    ends_.push_back(end += sources_[k]->n_signals());
  }
}

template <Scalar T>
void JoinedSignals<T>::read(Index first, MatrixRef<T> out) {
  for (Index done = 0; done < out.cols();) {
    const auto at = std::upper_bound(ends_.begin(), ends_.end(), first + done);
    const auto k = static_cast<std::size_t>(at - ends_.begin());
    const Index begin = k > 0 ? ends_[k - 1] : 0, n = std::min(out.cols() - done, *at - first - done);
    sources_[k]->read(first + done - begin, out.middleCols(done, n));
    done += n;
  }
}

template class JoinedSignals<float>;
template class JoinedSignals<double>;
template class NpyShards<float>;
template class NpyShards<double>;

}  // namespace riata
