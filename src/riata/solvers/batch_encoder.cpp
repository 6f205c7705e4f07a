#include "riata/solvers/batch_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/free_atoms.hpp"
#include "riata/solvers/gram_homotopy.hpp"

namespace riata {
namespace {

constexpr Index max_gram_atoms = 8192;
constexpr Index max_path_atoms = 4096;  // whose Gram matrix the paths hold in both precisions, 200 MB

/// The methods that take steps along the gradient, and so have a trace.
bool is_proximal(Solver method) {
  return method == Solver::ista || method == Solver::fista || method == Solver::oista || method == Solver::backtracking;
}

bool takes_weights(Solver method) { return method == Solver::ista || method == Solver::fista || method == Solver::backtracking; }

bool needs_matrix(Solver method) {
  return method == Solver::oista || method == Solver::coordinate_descent || method == Solver::lars;
}

/// Does the Gram matrix cost less than it saves of products with D? A stream, whose blocks are whole tiles, decides as encode()
/// does.
bool gram_matrix_pays(Solver method, Index n_signals, Index n_atoms) {
  const Index most_atoms = method == Solver::lars ? max_path_atoms : max_gram_atoms;
  return n_atoms <= most_atoms && !are_few(n_signals, n_atoms);
}

EncodeOptions with_method(EncodeOptions options, Solver method) {
  options.method = method;
  return options;
}

/// Where the rounding of its codes keeps a path from the gap asked, coordinate descent goes on from them.
template <Scalar T>
class PathThenDescent final : public TileSolver<T> {
 public:
  using MakeSolver = std::function<std::unique_ptr<TileSolver<T>>()>;

  PathThenDescent(std::unique_ptr<TileSolver<T>> path, MakeSolver make_descent)
      : path_(std::move(path)), make_descent_(std::move(make_descent)) {}

  void solve(SolverTile<T>& tile) override {
    path_->solve(tile);
    std::vector<Index> open;
    for (Index i = 0; i < tile.X.cols(); ++i)
      if (!(tile.gap(i) <= tile.target(i))) open.push_back(i);
    if (open.empty()) return;
    if (!descent_) descent_ = make_descent_();
    rest_.open(tile.X.rows(), tile.Z.rows(), std::ssize(open), false);
    rest_.X = tile.X(Eigen::all, open);
    rest_.correlations = tile.correlations(Eigen::all, open);
    rest_.Z = tile.Z(Eigen::all, open);
    rest_.reg = tile.reg(open);
    rest_.half_norm_sq = tile.half_norm_sq(open);
    rest_.target = tile.target(open);
    descent_->solve(rest_);
    for (Index k = 0; k < std::ssize(open); ++k) {
      const Index i = open[static_cast<std::size_t>(k)];
      tile.n_iter(i) += rest_.n_iter(k);
      if (!(rest_.gap(k) < tile.gap(i))) continue;
      tile.Z.col(i) = rest_.Z.col(k);
      tile.objective(i) = rest_.objective(k);
      tile.gap(i) = rest_.gap(k);
    }
  }

 private:
  std::unique_ptr<TileSolver<T>> path_, descent_;  // descent: once a signal needs it
  MakeSolver make_descent_;
  SolverTile<T> rest_;
};

/// The work of one thread: screens out the signals whose code is zero, solves the rest, certifies all. Each signal in its unit
/// (units.hpp), which it gets when it comes in and loses when it leaves.
template <Penalty P>
class TileEncoder {
 public:
  using T = typename P::scalar;

  /// The penalty is its own, since weights may come with the signals. make_solver(problem) makes its algorithm.
  template <class MakeSolver>
  TileEncoder(const SharedProblem<P>& shared, const MakeSolver& make_solver, const TileUnits<T>& units)
      : penalty_(shared.penalty),
        problem_{shared.D, shared.exact, penalty_, shared.options},
        solver_(make_solver(problem_)),
        signal_reg_max_(problem_.D, problem_.exact, penalty_),
        units_(units),
        certificate_(problem_.D, problem_.exact, penalty_, problem_.options.tol) {}

  /// `Z` holds the start and receives the codes.
  void encode(const SeenBatch<T>& batch, const ConstVectorRef<T>& reg_given, Index first, Index n, EncodeResult<T>& result) {
    weigh_for(first);
    const ConstMatrixRef<T> X_given = batch.X().middleCols(first, n), W = batch.weights(first, n);
    units_.open(X_given, reg_given);
    const ConstMatrixRef<T>& X = units_.X();
    const ConstVectorRef<T>& reg = units_.reg();
    auto Z = result.codes.middleCols(first, n);
    units_.enter(Z);
    exclude_atoms(Z);
    correlations_.resize(Z.rows(), n);
    if (batch.is_weighted()) weighted_ = X.cwiseProduct(W);
    const ConstMatrixRef<T> WX = batch.is_weighted() ? ConstMatrixRef<T>(weighted_) : ConstMatrixRef<T>(X);
    problem_.D.adjoint(WX, correlations_);
    open_.clear();
    zero_.clear();
    half_norms_sq_.resize(n);
    for (Index i = 0; i < n; ++i) {
      half_norms_sq_(i) = 0.5 * fixed_order_dot(X.rows(), X.col(i).data(), WX.col(i).data());
      // Without convexity zero is but one of many ends: of the steps that start from it.
      const T largest = std::ldexp(signal_reg_max_(WX.col(i), correlations_.col(i)), units_.weight(i));
      const bool is_zero = (P::convex || Z.col(i).isZero(0)) && zero_is_optimal(reg_given(i), largest);
      (is_zero ? zero_ : open_).push_back(i);
      if (is_zero) Z.col(i).setZero();
    }
    is_fixed_.assign(static_cast<std::size_t>(n), true);
    if (!open_.empty()) solve_open(X, W, reg, first, result);
    if (!zero_.empty()) certify_zero(X, W, reg, first, result);
    for (Index i = first; i < first + n; ++i) {
      const bool done = P::convex ? std::isfinite(result.gap(i)) && result.gap(i) <= target(i - first)
                                  : is_fixed_[static_cast<std::size_t>(i - first)];
      result.status[static_cast<std::size_t>(i)] = done ? Status::converged : Status::max_iter_reached;
      leave_unit(i, i - first, result);
    }
    units_.leave(Z);
    if (!units_.none())
      for (Index i = 0; i < n; ++i)
        require(Z.col(i).allFinite(),
                "encode: the code of a signal whose largest entry is {:.3g} overflows; scale it or the atoms",
                static_cast<double>(largest_magnitude(X_given.rows(), X_given.col(i).data())));
  }

 private:
  /// Where each signal has weights of its own: the tile has one signal.
  void weigh_for(Index signal) {
    if constexpr (std::same_as<P, L1<T>>)
      if (problem_.options.penalty.has_weights_per_signal(problem_.D.code_size())) {
        penalty_.weigh_for(signal, problem_.options.penalty);
        signal_reg_max_.weights_changed();
      }
  }

  /// The atoms of infinite weight, of a start.
  void exclude_atoms(MatrixRef<T> Z) const {
    if constexpr (std::same_as<P, L1<T>>)
      for (Index j = 0; j < Z.rows() && !penalty_.uniform(); ++j)
        if (std::isinf(penalty_.weight(j))) Z.row(j).setZero();
  }

  void leave_unit(Index i, Index in_tile, EncodeResult<T>& result) const {
    double &objective = result.objective(i), &gap = result.gap(i);
    if (const int e = units_.objective(in_tile); e != 0) {
      objective = std::ldexp(objective, e);
      gap = std::ldexp(gap, e);
      if (problem_.options.record)
        for (double& F : result.trace[static_cast<std::size_t>(i)].objective) F = std::ldexp(F, e);
    }
    if (const int e = units_.atoms(); e != 0 && problem_.options.record)
      for (double& step : result.trace[static_cast<std::size_t>(i)].step) step = std::ldexp(step, -2 * e);
    require(std::isfinite(objective) && (!P::convex || std::isfinite(gap)),
            "encode: the objective of a signal overflows; scale signals and reg down, and the start if one is given");
  }

  double target(Index i) const { return problem_.options.tol * half_norms_sq_(i); }

  void solve_open(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& W, const ConstVectorRef<T>& reg, Index first,
                  EncodeResult<T>& result) {
    auto Z = result.codes.middleCols(first, X.cols());
    tile_.open(X.rows(), Z.rows(), std::ssize(open_), W.size() > 0);
    for (Index k = 0; k < std::ssize(open_); ++k) {
      const Index i = open_[static_cast<std::size_t>(k)];
      tile_.X.col(k) = X.col(i);
      if (W.size() > 0) tile_.weights.col(k) = W.col(i);
      tile_.correlations.col(k) = correlations_.col(i);
      tile_.Z.col(k) = Z.col(i);
      tile_.reg(k) = reg(i);
      tile_.half_norm_sq(k) = half_norms_sq_(i);
      tile_.target(k) = target(i);
    }
    solver_->solve(tile_);
    for (Index k = 0; k < std::ssize(open_); ++k) {
      const Index i = open_[static_cast<std::size_t>(k)];
      Z.col(i) = tile_.Z.col(k);
      result.n_iter(first + i) = tile_.n_iter(k);
      result.objective(first + i) = tile_.objective(k);
      result.gap(first + i) = tile_.gap(k);
      is_fixed_[static_cast<std::size_t>(i)] = tile_.is_fixed[static_cast<std::size_t>(k)];
      if (problem_.options.record)
        result.trace[static_cast<std::size_t>(first + i)] = std::move(tile_.trace[static_cast<std::size_t>(k)]);
    }
  }

  void certify_zero(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& W, const ConstVectorRef<T>& reg, Index first,
                    EncodeResult<T>& result) {
    const Matrix<T> weights = W.size() > 0 ? Matrix<T>(W(Eigen::all, zero_)) : Matrix<T>();
    certificate_.evaluate(X(Eigen::all, zero_), result.codes.middleCols(first, X.cols())(Eigen::all, zero_), reg(zero_), weights);
    for (Index k = 0; k < std::ssize(zero_); ++k) {
      const Index i = first + zero_[static_cast<std::size_t>(k)];
      result.n_iter(i) = 0;
      result.objective(i) = certificate_.objective(k);
      result.gap(i) = certificate_.gap(k);
    }
  }

  P penalty_;
  const SharedProblem<P> problem_;
  std::unique_ptr<TileSolver<T>> solver_;
  SignalRegMax<P> signal_reg_max_;
  TileUnits<T> units_;
  TileCertificate<P> certificate_;
  SolverTile<T> tile_;
  Matrix<T> correlations_, weighted_;
  Vector<double> half_norms_sq_;    // 1/2 ||x||^2 of the tile's signals
  std::vector<Index> open_, zero_;  // signals of the tile
  std::vector<bool> is_fixed_;      // of the tile's signals; tells of those without a gap
};

template <Penalty P>
class PenaltyEncoder final : public BatchEncoder<typename P::scalar> {
 public:
  using T = typename P::scalar;

  /// `penalty`: for the atoms in their unit.
  PenaltyEncoder(UnitAtoms<T>&& atoms, const P& penalty, const EncodeOptions& options, Solver method, Index n_signals)
      : options_(with_method(options, method)),
        was_chosen_(options.method == Solver::automatic),
        n_expected_(n_signals),
        atoms_(std::move(atoms)),
        penalty_(penalty),
        problem_{atoms_.dictionary(), nullptr, penalty_, options_},
        units_(atoms_.exponent(), reg_unit(options.penalty.kind)) {
    const Dictionary<T>& D = atoms_.dictionary();
    if (options_.first_step) options_.first_step = std::ldexp(*options_.first_step, 2 * atoms_.exponent());
    if (needs_matrix(method)) require_matrix(D, formatted("method = '{}'", to_string(method)).c_str());
    require(method != Solver::lars || !options.penalty.has_weights_per_signal(D.code_size()),
            "method = 'lars' takes no weights per signal; choose method = 'cd'");
    require(!options_.record || is_proximal(method),
            "encode: record is for the methods 'ista', 'fista', 'oista' and 'backtracking', not for '{}'", to_string(method));
    if (method == Solver::coordinate_descent || method == Solver::lars) {
      squared_norms_ = atom_norms(D).cwiseAbs2().template cast<T>();
    } else if (is_proximal(method) && method != Solver::backtracking) {
      lipschitz_ = D.squared_norm();
    }
    encoders_.resize(static_cast<std::size_t>(resolve_threads(options_.execution.n_threads)));
  }

  using BatchEncoder<T>::encode;
  void encode(const SeenBatch<T>& batch, const Vector<T>& regs, const OptionalMatrixRef<T>& init,
              EncodeResult<T>& result) override {
    require(!batch.is_weighted() || takes_weights(options_.method),
            "method = '{}' takes no mask; choose one of 'ista', 'fista', 'backtracking'", to_string(options_.method));
    const Index n_signals = batch.X().cols(), n_atoms = problem_.D.code_size();
    make_room("encode", "codes", n_atoms, n_signals, "encode_stream hands them out block by block, as sparse rows", result.codes);
    for (Vector<double>* v : {&result.objective, &result.gap}) v->resize(n_signals);
    result.n_iter.resize(n_signals);
    result.status.resize(static_cast<std::size_t>(n_signals));
    result.method = options_.method;
    result.trace.assign(options_.record ? static_cast<std::size_t>(n_signals) : 0, {});
    prepare(std::max(n_signals, n_expected_));
    for_each_tile(tile_size(), n_signals, options_.execution, [&](Index first, Index n, int thread) {
      auto& encoder = encoders_[static_cast<std::size_t>(thread)];
      if (!encoder)
        encoder = std::make_unique<TileEncoder<P>>(
            problem_, [this](const SharedProblem<P>& problem) { return make_solver(problem); }, units_);
      start_codes(init, first, result.codes.middleCols(first, n));
      encoder->encode(batch, regs.segment(first, n), first, n, result);
    });
  }

 private:
  Index tile_size() const {
    if (options_.method == Solver::lars) return path_gram_ ? 32 : 8;  // paths are long
    return signals_per_tile(options_.penalty, problem_.D.code_size());
  }

  /// The atoms in double and a Gram matrix, where they pay for so many signals and are not there yet.
  void prepare(Index n_signals) {
    if (exact_ == nullptr) {
      exact_ = options_.method == Solver::coordinate_descent ? exact_for(problem_.D, n_signals) : problem_.D.in_double();
      problem_.exact = exact_.get();
    }
    const bool is_path = options_.method == Solver::lars;
    const bool is_due = (is_path && !path_gram_) || (options_.method == Solver::coordinate_descent && gram_.size() == 0);
    const Index n_atoms = problem_.D.code_size();
    if (!is_due || !gram_matrix_pays(options_.method, n_signals, n_atoms)) return;
    if (is_path) {
      path_gram_.emplace(*exact_->matrix(), options_.execution);
    } else {
      make_room("encode", "the Gram matrix", n_atoms, n_atoms, "choose method = 'fista'", gram_);
      gram_matrix<T>(*problem_.D.matrix(), gram_, options_.execution);
    }
    std::ranges::fill(encoders_, nullptr);  // they go without
  }

  std::unique_ptr<TileSolver<T>> make_descent(const SharedProblem<P>& problem) const requires std::same_as<P, L1<T>> {
    return make_coordinate_descent<T>(
        problem, gram_.size() > 0 ? make_stored_gram<T>(gram_) : make_gram_of_atoms<T>(*problem.D.matrix(), squared_norms_));
  }

  /// EncodeOptions::validate() has seen to it that the method fits the penalty.
  std::unique_ptr<TileSolver<T>> make_solver(const SharedProblem<P>& problem) const {
    if constexpr (std::same_as<P, L1<T>>) {
      if (options_.method == Solver::coordinate_descent) return make_descent(problem);
      if (options_.method == Solver::oista) return make_oista<T>(problem, lipschitz_);
      if (options_.method == Solver::lars) {
        auto path = make_lars<T>(problem, path_gram_ ? &*path_gram_ : nullptr);
        if (!was_chosen_) return path;
        return std::make_unique<PathThenDescent<T>>(std::move(path), [this, &problem] { return make_descent(problem); });
      }
    }
    if constexpr (P::convex)
      if (options_.method == Solver::backtracking) return make_backtracking(problem);
    return make_proximal_gradient(problem, lipschitz_);
  }

  /// The thread that fills a tile is the first to touch its memory.
  void start_codes(const OptionalMatrixRef<T>& init, Index first, MatrixRef<T> Z) const {
    if (!init) {
      Z.setZero();
    } else if (penalty_.positive()) {
      Z = init->middleCols(first, Z.cols()).cwiseMax(T(0));
    } else {
      Z = init->middleCols(first, Z.cols());
    }
  }

  EncodeOptions options_;
  const bool was_chosen_;   // the method, by pick_solver()
  const Index n_expected_;  // signals
  const UnitAtoms<T> atoms_;
  std::unique_ptr<const Dictionary<double>> exact_;
  P penalty_;
  SharedProblem<P> problem_;
  TileUnits<T> units_;                                     // none open: what every thread starts from
  Matrix<T> gram_;                                         // coordinate descent of many signals
  Vector<T> squared_norms_;                                // coordinate descent
  std::optional<PathGram> path_gram_;                      // LARS of many signals
  double lipschitz_ = 0;                                   // the methods with a fixed step
  std::vector<std::unique_ptr<TileEncoder<P>>> encoders_;  // one per thread
};

/// Codes beside atoms without a price: what encodes the others, then those (free_atoms.hpp).
template <Scalar T>
class FreeAtomsEncoder final : public BatchEncoder<T> {
 public:
  /// `D` is borrowed; make_inner(D, options) encodes the others.
  template <class MakeInner>
  FreeAtomsEncoder(const Dictionary<T>& D, const EncodeOptions& options, const MakeInner& make_inner)
      : D_(D), options_(options), free_("encode", false, D, options.penalty) {
    EncodeOptions others = options;
    others.penalty = free_.penalty();
    inner_ = make_inner(free_.others(), others);
  }

  using BatchEncoder<T>::encode;
  void encode(const SeenBatch<T>& batch, const Vector<T>& regs, const OptionalMatrixRef<T>& init,
              EncodeResult<T>& result) override {
    require_free_atoms_fit<T>("encode", batch.is_weighted(), D_, options_.penalty);
    const ConstMatrixRef<T>& X = batch.X();
    const Execution& execution = options_.execution;
    Matrix<T> start = init ? Matrix<T>(*init) : Matrix<T>();
    if (init) free_.set_zero(start);
    const Matrix<T> rest = free_.without(X, execution);
    inner_->encode(SeenBatch<T>("encode", rest), regs, init ? OptionalMatrixRef<T>(start) : std::nullopt, result);
    free_.fit(X, result.codes, execution);
    require_finite("encode", "the codes", result.codes, of_codes);
    result.objective = certificate_at<T>("encode", X, D_, result.codes, regs, options_.penalty, execution).objective;
    result.gap = free_.gap("encode", X, result.codes, regs, execution);
    for (Index i = 0; i < X.cols(); ++i) {
      const double half_norm_sq = 0.5 * fixed_order_dot(X.rows(), X.col(i).data(), X.col(i).data());
      if (half_norm_sq < std::numeric_limits<double>::min())
        continue;  // a gap of so small signals says nothing: as they were left
      result.status[static_cast<std::size_t>(i)] =
          result.gap(i) <= options_.tol * half_norm_sq ? Status::converged : Status::max_iter_reached;
    }
  }

 private:
  const Dictionary<T>& D_;
  const EncodeOptions options_;
  const FreeAtoms<T> free_;
  std::unique_ptr<BatchEncoder<T>> inner_;
};

}  // namespace

namespace {

/// mu: the square root of the mean squared cosine between two atoms, an atom with itself among them. Those of different ones are
/// estimated from some, far apart and in no order.
template <Scalar T>
double mean_coherence(const MatrixView<T>& D) {
  const Index n = std::min(D.cols(), solver_tile);
  auto stride = static_cast<Index>(0.618 * static_cast<double>(D.cols())) + 1;
  while (std::gcd(stride, D.cols()) != 1) ++stride;
  Matrix<double> some(D.rows(), n);
  for (Index k = 0; k < n; ++k) some.col(k) = D.col(k * stride % D.cols()).template cast<double>();
  const Vector<double> norms = column_norms<double>(some);
  for (Index k = 0; k < n; ++k)
    if (norms(k) > 0) some.col(k) /= norms(k);
  Matrix<double> cosines(n, n);
  multiply_transposed<double>(some, some, cosines);
  const double few = cosines.trace(), all = static_cast<double>(D.cols());  // atoms of zeros do not count
  const double of_different = few > 1.5 ? std::max(0.0, cosines.squaredNorm() - few) / (few * (few - 1)) : 0.0;
  return std::sqrt((1 + (all - 1) * of_different) / all);
}

/// The median of reg / reg_max over the signals that are not zero; infinite without any.
template <Scalar T>
double median_fraction(const Batch<T>& X, const Dictionary<T>& D, const Vector<T>& regs, const EncodeOptions& options) {
  const Vector<T> largest = reg_max<T>(X, D, options.penalty, options.execution);
  std::vector<double> fractions;
  for (Index i = 0; i < regs.size(); ++i)
    if (largest(i) > T(0)) fractions.push_back(static_cast<double>(regs(i)) / static_cast<double>(largest(i)));
  if (fractions.empty()) return std::numeric_limits<double>::infinity();
  const auto middle = fractions.begin() + std::ssize(fractions) / 2;
  std::nth_element(fractions.begin(), middle, fractions.end());
  return *middle;
}

/// The cost model: log(time of coordinate descent / time of the path) = const - log(reg / reg_max) - 1/2 log m + log mu, about.
template <Scalar T>
bool path_is_faster(const Batch<T>& first_signals, const Dictionary<T>& D, const Vector<T>& regs, const EncodeOptions& options) {
  constexpr double where_equal = 26;  // docs/choosing_a_solver.md: measured
  const double fraction = median_fraction(first_signals, D, regs, options), n_atoms = static_cast<double>(D.code_size());
  return fraction < 1 && fraction * std::sqrt(n_atoms) < where_equal * mean_coherence(*D.matrix());
}

}  // namespace

template <Scalar T>
Solver pick_solver(const Batch<T>& first, Index n_signals, const Dictionary<T>& D, const Vector<T>& regs, bool has_start,
                   const EncodeOptions& options) {
  if (options.penalty.kind == PenaltyKind::l0) return Solver::ista;
  if (options.penalty.kind == PenaltyKind::group || options.penalty.kind == PenaltyKind::own || !D.matrix() ||
      first.is_weighted())
    return Solver::fista;
  const bool may_follow = options.penalty.kind == PenaltyKind::l1 && !has_start && options.max_iter >= 4 * D.signal_size();
  if (options.penalty.has_weights_per_signal(D.code_size()) || !may_follow ||
      !gram_matrix_pays(Solver::lars, n_signals, D.code_size()))
    return Solver::coordinate_descent;
  const Index n = std::min(n_signals, solver_tile);
  return path_is_faster<T>(first.X.leftCols(n), D, regs.head(n), options) ? Solver::lars : Solver::coordinate_descent;
}

template <Scalar T>
std::unique_ptr<BatchEncoder<T>> make_batch_encoder(const Dictionary<T>& D, const EncodeOptions& options, Solver method,
                                                    Index n_signals) {
  if (options.penalty.has_free_atoms())
    return std::make_unique<FreeAtomsEncoder<T>>(D, options, [&](const Dictionary<T>& others, const EncodeOptions& theirs) {
      return make_batch_encoder<T>(others, theirs, method, n_signals);
    });
  UnitAtoms<T> atoms(D, reg_unit(options.penalty.kind));
  const auto make = [&]<Penalty P>(const P& penalty) -> std::unique_ptr<BatchEncoder<T>> {
    return std::make_unique<PenaltyEncoder<P>>(std::move(atoms), penalty, options, method, n_signals);
  };
  return with_penalty<T>(options.penalty, atoms.dictionary(), make, Weights::or_infinite);
}

template Solver pick_solver<float>(const Batch<float>&, Index, const Dictionary<float>&, const Vector<float>&, bool,
                                   const EncodeOptions&);
template Solver pick_solver<double>(const Batch<double>&, Index, const Dictionary<double>&, const Vector<double>&, bool,
                                    const EncodeOptions&);
template std::unique_ptr<BatchEncoder<float>> make_batch_encoder(const Dictionary<float>&, const EncodeOptions&, Solver, Index);
template std::unique_ptr<BatchEncoder<double>> make_batch_encoder(const Dictionary<double>&, const EncodeOptions&, Solver, Index);

}  // namespace riata
