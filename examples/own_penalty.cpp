// A penalty that riata does not have, added from outside: docs/how_to_add_penalty.md explains it line by line.
#include <riata/riata.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iomanip>
#include <numeric>
#include <sstream>

using namespace riata;

// The sorted l1 norm (SLOPE) of Bogdan, van den Berg, Sabatti, Su and Candes (2015):
//
//   g(z) = sum_k lambda_k |z|_(k),   |z|_(1) >= |z|_(2) >= ...,   lambda_1 >= lambda_2 >= ... >= 0
template <Scalar T>
class SortedL1 final : public OwnPenalty<T> {
 public:
  /// One lambda for each atom.
  explicit SortedL1(std::vector<double> lambda) : lambda_(std::move(lambda)) {
    if (lambda_.empty() || lambda_[0] <= 0 || lambda_.back() < 0 || !std::ranges::is_sorted(lambda_, std::greater<>()))
      throw std::invalid_argument("SortedL1: lambda must fall, from above zero to zero at the least");
  }
  std::string name() const override {
    std::ostringstream name;
    name << "sorted l1" << std::setprecision(17);
    for (const double l : lambda_) name << ' ' << l;
    return name.str();
  }

  double value(const ConstVectorRef<T>& z) const override {
    double sum = 0;
    const std::vector<Index> order = sorted(z);
    for (std::size_t k = 0; k < order.size(); ++k) sum += lambda_[k] * std::abs(static_cast<double>(z(order[k])));
    return sum;
  }

  // max over k of (|c|_(1) + ... + |c|_(k)) / (lambda_1 + ... + lambda_k)
  double dual_norm(const ConstVectorRef<double>& c) const override {
    double largest = 0, sum = 0, lambdas = 0;
    const std::vector<Index> order = sorted(c);
    for (std::size_t k = 0; k < order.size(); ++k) {
      sum += std::abs(c(order[k]));
      lambdas += lambda_[k];
      largest = std::max(largest, sum / lambdas);
    }
    return largest;
  }

  // Of |v| - tau lambda, in the order of |v|, the nearest sequence that falls, by pooling neighbours; below zero it is zero.
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const override {
    struct Pool {
      double mean;
      std::size_t size;
    };
    std::vector<Pool> pools;
    for (Index i = 0; i < V.cols(); ++i) {
      const std::vector<Index> order = sorted(V.col(i));
      const double tau = static_cast<double>(thresholds.of(0, i));
      pools.clear();
      for (std::size_t k = 0; k < order.size(); ++k) {
        Pool pool{std::abs(static_cast<double>(V(order[k], i))) - tau * lambda_[k], 1};
        for (; !pools.empty() && pools.back().mean <= pool.mean; pools.pop_back()) {
          const std::size_t size = pools.back().size + pool.size;
          pool.mean += (pools.back().mean - pool.mean) * static_cast<double>(pools.back().size) / static_cast<double>(size);
          pool.size = size;
        }
        pools.push_back(pool);
      }
      auto next = order.begin();
      for (const Pool& pool : pools)
        for (std::size_t k = 0; k < pool.size; ++k, ++next)
          V(*next, i) = std::copysign(static_cast<T>(std::max(pool.mean, 0.0)), V(*next, i));
    }
  }

  // Entries of one size are one pool: each gets the mean of h over it, and the pool moves by -mean(lambda) with tau.
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>&, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const override {
    for (Index i = 0; i < Z.cols(); ++i) {
      const std::vector<Index> order = sorted(Z.col(i));
      const auto size_of = [&](std::size_t k) { return std::abs(Z(order[k], i)); };
      const auto sign_of = [&](std::size_t k) { return Z(order[k], i) > T(0) ? 1.0 : -1.0; };
      double by_tau = 0;
      for (std::size_t first = 0, end = 0; first < order.size(); first = end) {
        double h = 0, lambda = 0;
        for (; end < order.size() && size_of(end) == size_of(first); ++end) {
          h += sign_of(end) * static_cast<double>(H(order[end], i));
          lambda += lambda_[end];
        }
        const double size = static_cast<double>(end - first), mean = size_of(first) > T(0) ? h / size : 0;
        for (std::size_t k = first; k < end; ++k) H(order[k], i) = static_cast<T>(sign_of(k) * mean);
        by_tau -= lambda * mean;
      }
      if (!cotangents.rho.empty()) cotangents.rho[static_cast<std::size_t>(i)] = by_tau;
    }
  }
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> H) const override {
    for (Index i = 0; i < Z.cols(); ++i) {
      const std::vector<Index> order = sorted(Z.col(i));
      for (std::size_t k = 0; k < order.size(); ++k)
        if (const T z = Z(order[k], i); z != T(0)) H(order[k], i) += std::copysign(scales(i) * static_cast<T>(lambda_[k]), z);
    }
  }

 private:
  /// The places of v, of the largest |v_j| first.
  template <class V>
  std::vector<Index> sorted(const V& v) const {
    if (v.size() != static_cast<Index>(lambda_.size()))
      throw std::invalid_argument("SortedL1: one lambda for each atom is expected");
    std::vector<Index> order(static_cast<std::size_t>(v.size()));
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return std::abs(v(a)) > std::abs(v(b)); });
    return order;
  }
  std::vector<double> lambda_;
};

int n_wrong = 0;
void check(const char* what, bool holds) {
  std::printf("%-62s %s\n", what, holds ? "yes" : "NO");
  n_wrong += !holds;
}

int main() {
  const auto problem = datasets::planted<double>({.n_features = 20, .n_atoms = 30, .n_signals = 60, .density = 0.1});
  const DenseDictionary<double> D(problem.dictionary);
  const Matrix<double>& X = problem.signals;
  std::vector<double> lambda(30);
  for (std::size_t k = 0; k < lambda.size(); ++k) lambda[k] = 1 - 0.02 * static_cast<double>(k);
  const PenaltyOptions slope = own_penalty<double>(std::make_shared<SortedL1<double>>(lambda));

  // Sparse coding with certified gaps, by the methods that take any penalty; and the Lasso, where all lambda are 1.
  for (const Solver method : {Solver::ista, Solver::fista, Solver::backtracking}) {
    const auto found =
        encode<double>(X, D, Reg::fraction_of_max(0.3), {.method = method, .tol = 1e-9, .max_iter = 100000, .penalty = slope});
    check(to_string(method), std::ranges::count(found.status, Status::converged) == X.cols());
  }
  const PenaltyOptions ones = own_penalty<double>(std::make_shared<SortedL1<double>>(std::vector<double>(30, 1.0)));
  const Matrix<double> lasso = encode<double>(X, D, 0.1, {.tol = 1e-12}).codes;
  const Matrix<double> same = encode<double>(X, D, 0.1, {.tol = 1e-12, .max_iter = 100000, .penalty = ones}).codes;
  check("with equal weights it is the Lasso", (lasso - same).norm() < 1e-4 * lasso.norm());
  check("at reg_max all codes are zero",
        encode<double>(X, D, Reg::fraction_of_max(1), {.penalty = slope}).codes.isZero(0) &&
            !encode<double>(X, D, Reg::fraction_of_max(0.99), {.penalty = slope}).codes.isZero(0));

  // Layers, and their gradient against central differences.
  const UnrolledOptions network{.n_layers = 8, .lipschitz = D.squared_norm(), .penalty = slope};
  const auto gradient = unrolled_gradient<double>(X, D, 0.1, network);
  const auto loss_at = [&](Index entry, double h) {
    Matrix<double> moved = problem.dictionary;
    moved(entry) += h;
    return unrolled_loss<double>(X, DenseDictionary<double>(moved), 0.1, network);
  };
  double worst = 0;
  for (Index entry = 0; entry < 600; entry += 37) {
    const double expected = (loss_at(entry, 1e-6) - loss_at(entry, -1e-6)) / 2e-6;
    worst = std::max(worst, std::abs(gradient.parameters.at("dictionary")(entry) - expected));
  }
  check("the gradient through 8 layers is that of differences", worst < 1e-8);
  const double by_reg =
      (unrolled_loss<double>(X, D, 0.1 + 1e-6, network) - unrolled_loss<double>(X, D, 0.1 - 1e-6, network)) / 2e-6;
  check("and so is that by reg", std::abs(gradient.reg(0) - by_reg) < 1e-7);

  const auto learned = learn_dictionary<double>(X, 30, 0.1, {.n_layers = 20, .max_iter = 30, .penalty = slope});
  check("learning lowers its loss", learned.history.value.back() < learned.initial_value);
  return n_wrong == 0 ? 0 : 1;
}
