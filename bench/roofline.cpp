// How far the gradient through unrolled layers is from what this processor can do: docs/roofline.md is this program's output.
//
//   dense     one layer, there and back, is six products of a tile, 12 n m flops per signal: against the rate of single-threaded
//             products of the tile's own shapes, one per core at once
//   supports  forward 2 m |S| flops on m |S| numbers of the Gram matrix; back 4 |U| |S| on 2 |U| |S|, U being the atoms that
//             were ever active: against the time that flops take at the products' rate, or the numbers from the cache that holds
//             them. Once per call, shared by its signals and layers: D^T x and the way back to D, 4 n m + 4 n m^2 / signals flops
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <riata/linalg/blas.hpp>
#include <riata/linalg/kernels.hpp>
#include <riata/linalg/tiles.hpp>
#include <riata/riata.hpp>
#include <vector>

using namespace riata;

namespace {

using Clock = std::chrono::steady_clock;
constexpr int n_layers = 30;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Median seconds of five calls, after one that does not count.
template <class Call>
double median_seconds(const Call& call) {
  call();
  std::vector<double> seconds(5);
  for (double& s : seconds) {
    const auto start = Clock::now();
    call();
    s = seconds_since(start);
  }
  std::nth_element(seconds.begin(), seconds.begin() + 2, seconds.end());
  return seconds[2];
}

/// Work per second of all threads together, each of which does `work(thread)`, worth `amount`, over and over.
template <class Work>
double rate(int n_threads, double amount, const Work& work) {
  int repeats = 1;
  for (;; repeats *= 2) {
    const double seconds = median_seconds([&] {
      parallel_for(n_threads, {.n_threads = n_threads}, [&](Index, int thread) {
        for (int k = 0; k < repeats; ++k) work(thread);
      });
    });
    if (seconds > 0.05) return amount * repeats * n_threads / seconds;
  }
}

Matrix<float> random_matrix(Index rows, Index cols, std::uint64_t seed) {
  return datasets::gaussian_dictionary<float>(rows, cols, seed);
}

/// Flops per second of the six products of a layer.
double product_rate(int n_threads, Index n, Index m, Index tile) {
  struct Buffers {
    Matrix<float> D, y, r, h, gradient;
  };
  std::vector<Buffers> all;
  for (int t = 0; t < n_threads; ++t)
    all.push_back({random_matrix(n, m, 1), random_matrix(m, tile, 2), random_matrix(n, tile, 3), random_matrix(m, tile, 4),
                   random_matrix(n, m, 5)});
  return rate(n_threads, 12.0 * static_cast<double>(n * m * tile), [&](int thread) {
    Buffers& b = all[static_cast<std::size_t>(thread)];
    for (int there_and_back = 0; there_and_back < 2; ++there_and_back) {
      multiply<float>(b.D, b.y, b.r);
      multiply_transposed<float>(b.D, b.r, b.h);
      add_outer<float>(1e-6f, b.r, b.h, b.gradient);
    }
  });
}

/// Numbers per second that all threads together can read and add, each from its own part of `entries` numbers.
double read_rate(int n_threads, Index entries) {
  const Index column = 256, n_columns = std::max<Index>(8, entries / column);
  struct Part {
    Matrix<float> A;
    Vector<float> sum;
    std::vector<const float*> columns;
  };
  std::vector<Part> parts(static_cast<std::size_t>(n_threads),
                          {random_matrix(column, n_columns, 6), Vector<float>::Zero(column), {}});
  for (Part& part : parts)
    for (Index j = 0; j < n_columns; ++j) part.columns.push_back(part.A.col(j).data());
  const std::vector<float> factors(static_cast<std::size_t>(n_columns), 1e-9f);
  return rate(n_threads, static_cast<double>(column * n_columns), [&](int thread) {
    Part& part = parts[static_cast<std::size_t>(thread)];
    subtract_columns(column, n_columns, part.columns.data(), factors.data(), part.sum.data());
  });
}

struct Problem {
  Problem(Index n, Index m, Index n_signals) : D(random_matrix(n, m, 7)), X(random_matrix(n, n_signals, 8)) {
    const Vector<float> largest = reg_max<float>(X, D);
    for (Index i = 0; i < X.cols(); ++i) X.col(i) /= largest(i);
  }
  double gradient_seconds(double reg, const UnrolledOptions& options) const {
    return median_seconds([&] { unrolled_gradient<float>(X, D, reg, options, {.steps = false, .reg = false, .codes = false}); });
  }
  DenseDictionary<float> D;
  Matrix<float> X;
};

/// Mean number of active atoms per layer, and of those that were ever active.
struct Activity {
  double support = 0, ever = 0;
};

Activity activity(const Problem& problem, double reg) {
  const Matrix<float> X = problem.X.leftCols(std::min<Index>(200, problem.X.cols()));
  Eigen::ArrayXXf seen = Eigen::ArrayXXf::Zero(problem.D.code_size(), X.cols());
  Activity mean;
  for (int k = 1; k <= n_layers; ++k) {
    const Matrix<float> Z = unrolled_encode<float>(X, problem.D, reg, {.n_layers = k});
    mean.support += static_cast<double>((Z.array() != 0).count()) / n_layers / static_cast<double>(X.cols());
    seen = (Z.array() != 0).select(1.0f, seen);
  }
  mean.ever = static_cast<double>(seen.sum()) / static_cast<double>(X.cols());
  return mean;
}

}  // namespace

int main() {
  const int n_threads = resolve_threads(0);
  const std::pair<Index, Index> shapes[] = {{30, 50}, {64, 256}, {100, 200}, {128, 512}, {256, 1024}, {1000, 1500}};
  std::printf(
      "## Dense layers\n\n| features x atoms | tile | products, GFLOP/s | flops per layer and signal | least, us | measured, us "
      "| "
      "share of the products' rate |\n"
      "|---|---|---|---|---|---|---|\n");
  for (const auto& [n, m] : shapes) {
    const double flops = 12.0 * static_cast<double>(n * m);
    const Index n_signals = std::clamp<Index>(static_cast<Index>(3e10 / (flops * n_layers)), 256, 20000);
    const Problem problem(n, m, n_signals);
    const double entry = sizeof(float);
    const Index tile =
        partition(n_signals, {.bytes_per_signal = entry * static_cast<double>((n_layers + 6) * m + (n_layers + 2) * n),
                              .left_entries = n * m,
                              .lane_bytes = entry * static_cast<double>(n * m)})
            .tile;
    const double products = product_rate(n_threads, n, m, tile);
    std::vector<double> steps(n_layers, 1.0);
    steps[0] = -1e-30;  // a negative step keeps all layers on whole tiles
    const double measured =
        problem.gradient_seconds(0.01, {.n_layers = n_layers, .steps = steps}) / n_layers / static_cast<double>(n_signals);
    std::printf("| %ld x %ld | %ld | %.0f | %.0f | %.3f | %.3f | %.0f %% |\n", n, m, tile, products / 1e9, flops,
                1e6 * flops / products, 1e6 * measured, 100 * flops / products / measured);
    std::fflush(stdout);
  }
  std::printf(
      "\n## Layers on supports\n\n| features x atoms | reg / reg_max | active | ever active | flops per layer and signal | "
      "share of what is done once | Gram matrix read at, GB/s | least, us | measured, us | share |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n");
  for (const auto& [n, m] : shapes) {
    const Index n_signals = std::clamp<Index>(static_cast<Index>(3e8 / static_cast<double>(n * m)), 1000, 20000);
    const Problem problem(n, m, n_signals);
    const double products = product_rate(n_threads, n, m, 64), gram_reads = read_rate(n_threads, m * m);
    for (const double reg : {0.5, 0.8}) {
      const Activity active = activity(problem, reg);
      const double part_reads = read_rate(n_threads, static_cast<Index>(active.ever * active.ever));
      const double forward = static_cast<double>(m) * active.support, back = 2 * active.ever * active.support;
      const double once =
          4.0 * static_cast<double>(n * m) * (1 + static_cast<double>(m) / static_cast<double>(n_signals)) / n_layers;
      const double least = std::max(2 * forward / products, forward / gram_reads) +
                           std::max(2 * back / products, back / part_reads) + once / products;
      const double measured = problem.gradient_seconds(reg, {.n_layers = n_layers}) / n_layers / static_cast<double>(n_signals);
      std::printf("| %ld x %ld | %.1f | %.1f | %.1f | %.0f | %.0f %% | %.0f | %.3f | %.3f | %.0f %% |\n", n, m, reg,
                  active.support, active.ever, 2 * (forward + back) + once, 100 * once / (2 * (forward + back) + once),
                  4 * gram_reads / 1e9, 1e6 * least, 1e6 * measured, 100 * least / measured);
      std::fflush(stdout);
    }
  }
  return 0;
}
