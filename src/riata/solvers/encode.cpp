#include "riata/solvers/encode.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

constexpr Index max_gram_atoms = 8192;

constexpr std::initializer_list<const char*> solver_names = {"auto", "ista", "fista", "oista", "backtracking", "cd", "lars"};

/// The enumerator whose place among the names is that of `name`.
template <class Choice>
Choice parse(const char* option, std::string_view name, std::initializer_list<const char*> names) {
  const auto found = std::find(names.begin(), names.end(), name);
  require(found != names.end(), "{} = '{}', must be one of '{}'", option, name, fmt::join(names, "', '"));
  return static_cast<Choice>(found - names.begin());
}

/// The methods that take steps along the gradient, and so have a trace.
bool is_proximal(Solver method) {
  return method == Solver::ista || method == Solver::fista || method == Solver::oista || method == Solver::backtracking;
}

/// The work of one thread: screens out the signals whose code is zero, solves the rest, certifies all.
template <Scalar T>
class TileEncoder {
 public:
  TileEncoder(const SharedProblem<T>& problem, std::unique_ptr<TileSolver<T>> solver, const SignalRegMax<T>& reg_max)
      : problem_(problem),
        solver_(std::move(solver)),
        signal_reg_max_(reg_max),
        certificate_(problem.D_double, problem.penalty) {}

  /// `Z` holds the start and receives the codes.
  void encode(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, EncodeResult<T>& result) {
    const Index n = X.cols();
    auto Z = result.codes.middleCols(first, n);
    correlations_.resize(Z.rows(), n);
    problem_.D.adjoint(X, correlations_);
    open_.clear();
    for (Index i = 0; i < n; ++i) {
      if (zero_is_optimal(reg(i), signal_reg_max_(X.col(i), correlations_.col(i)))) {
        Z.col(i).setZero();
        result.n_iter(first + i) = 0;
      } else {
        open_.push_back(i);
      }
    }
    if (!open_.empty()) solve_open(X, reg, first, result);
    certificate_.evaluate(X, Z, reg);
    for (Index i = 0; i < n; ++i) {
      result.objective(first + i) = certificate_.objective(i);
      result.gap(first + i) = certificate_.gap(i);
      const bool done = certificate_.gap(i) <= problem_.options.tol * certificate_.half_norm_sq(i);
      result.status[static_cast<std::size_t>(first + i)] = done ? Status::converged : Status::max_iter_reached;
    }
  }

 private:
  void solve_open(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, EncodeResult<T>& result) {
    const auto n = static_cast<Index>(open_.size());
    auto Z = result.codes.middleCols(first, X.cols());
    SolverTile<T> tile{.X = Matrix<T>(X.rows(), n),
                       .correlations = Matrix<T>(Z.rows(), n),
                       .Z = Matrix<T>(Z.rows(), n),
                       .reg = Vector<T>(n),
                       .target = Vector<double>(n),
                       .n_iter = Eigen::VectorXi::Zero(n)};
    for (Index k = 0; k < n; ++k) {
      const Index i = open_[static_cast<std::size_t>(k)];
      tile.X.col(k) = X.col(i);
      tile.correlations.col(k) = correlations_.col(i);
      tile.Z.col(k) = Z.col(i);
      tile.reg(k) = reg(i);
      tile.target(k) = problem_.options.tol * 0.5 * X.col(i).template cast<double>().squaredNorm();
    }
    solver_->solve(tile);
    for (Index k = 0; k < n; ++k) {
      const Index i = open_[static_cast<std::size_t>(k)];
      Z.col(i) = tile.Z.col(k);
      result.n_iter(first + i) = tile.n_iter(k);
      if (problem_.options.record)
        result.trace[static_cast<std::size_t>(first + i)] = std::move(tile.trace[static_cast<std::size_t>(k)]);
    }
  }

  const SharedProblem<T>& problem_;
  std::unique_ptr<TileSolver<T>> solver_;
  const SignalRegMax<T>& signal_reg_max_;
  TileCertificate<T> certificate_;
  Matrix<T> correlations_;
  std::vector<Index> open_;
};

/// Coordinate descent while its Gram matrix is affordable; but one or two signals alone do not repay a large one where few
/// knots of the path, and so few atoms, lie between reg_max and reg.
template <Scalar T>
Solver pick_solver(const ConstMatrixRef<T>& X, const DenseDictionary<T>& D, const Vector<T>& regs,
                   const EncodeOptions& options) {
  if (D.code_size() > max_gram_atoms) return Solver::fista;
  if (X.cols() > 2 || D.code_size() < 1024) return Solver::coordinate_descent;
  const Vector<T> largest = reg_max<T>(X, D, options.penalty, options.execution);
  const bool sparse = (regs.array() >= T(0.25) * largest.array()).all();
  return sparse ? Solver::lars : Solver::coordinate_descent;
}

}  // namespace

Solver parse_solver(std::string_view name) { return parse<Solver>("method", name, solver_names); }

Momentum parse_momentum(std::string_view name) {
  return parse<Momentum>("momentum", name, {"beck-teboulle", "chambolle-dossal", "greedy"});
}

Restart parse_restart(std::string_view name) {
  return parse<Restart>("restart", name, {"never", "gradient", "objective"});
}

SupportNorm parse_support_norm(std::string_view name) {
  return parse<SupportNorm>("support_norm", name, {"exact", "estimated"});
}

const char* to_string(Solver method) { return solver_names.begin()[static_cast<std::size_t>(method)]; }

void EncodeOptions::validate() const {
  require(std::isfinite(tol) && tol >= 0, "tol = {}, must be >= 0 and finite", tol);
  require(max_iter >= 1, "max_iter = {}, must be >= 1", max_iter);
  require(check_every >= 1, "check_every = {}, must be >= 1", check_every);
  require(std::isfinite(momentum_delay) && momentum_delay >= 2, "momentum_delay = {}, must be >= 2 and finite",
          momentum_delay);
  require(momentum != Momentum::greedy || restart != Restart::never,
          "momentum 'greedy' never settles without restarts; choose restart = 'gradient' or 'objective'");
  require(shrink > 0 && shrink < 1, "shrink = {}, must be between 0 and 1", shrink);
  require(!first_step || (std::isfinite(*first_step) && *first_step > 0), "first_step = {}, must be > 0 and finite",
          first_step.value_or(1));
}

template <Scalar T>
EncodeResult<T> encode(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                       const EncodeOptions& options, const Matrix<T>* init) {
  options.validate();
  require_signals<T>("encode", X, D);
  const Index n_signals = X.cols(), n_atoms = D.code_size();
  if (init != nullptr) {
    require(init->rows() == n_atoms && init->cols() == n_signals, "encode: init has shape ({}, {}), expected ({}, {})",
            init->cols(), init->rows(), n_signals, n_atoms);
    require_finite("encode", "init", *init);
  }
  const L1<T> penalty(options.penalty, n_atoms);
  const Vector<T> regs = resolve_reg<T>(reg, X, D, options.penalty, options.execution);
  const Solver method =
      options.method == Solver::automatic ? pick_solver<T>(X, D, regs, options) : options.method;

  EncodeOptions chosen = options;
  chosen.method = method;
  const Matrix<double> D_double = D.parameters().template cast<double>();
  const SharedProblem<T> problem{D, D_double, penalty, chosen};
  require(!options.record || is_proximal(method),
          "encode: record is for the methods 'ista', 'fista', 'oista' and 'backtracking', not for '{}'", to_string(method));
  Matrix<T> gram;
  double lipschitz = 0;
  if (method == Solver::coordinate_descent) {
    gram.resize(n_atoms, n_atoms);
    multiply_transposed<T>(D.parameters(), D.parameters(), gram);
  } else if (is_proximal(method) && method != Solver::backtracking) {
    lipschitz = D.squared_norm();
  }
  const auto make_solver = [&] {
    switch (method) {
      case Solver::coordinate_descent:
        return make_coordinate_descent<T>(problem, gram);
      case Solver::oista:
        return make_oista<T>(problem, lipschitz);
      case Solver::backtracking:
        return make_backtracking<T>(problem);
      case Solver::lars:
        return make_lars<T>(problem);
      default:
        return make_proximal_gradient<T>(problem, lipschitz);
    }
  };

  EncodeResult<T> result{.codes = init != nullptr ? *init : Matrix<T>::Zero(n_atoms, n_signals),
                         .objective = Vector<double>(n_signals),
                         .gap = Vector<double>(n_signals),
                         .n_iter = Eigen::VectorXi(n_signals),
                         .status = std::vector<Status>(static_cast<std::size_t>(n_signals)),
                         .method = method};
  if (options.record) result.trace.resize(static_cast<std::size_t>(n_signals));
  if (penalty.positive()) result.codes = result.codes.cwiseMax(T(0));
  const SignalRegMax<T> signal_reg_max(D.parameters(), penalty);
  std::vector<std::unique_ptr<TileEncoder<T>>> encoders(
      static_cast<std::size_t>(resolve_threads(options.execution.n_threads)));
  const Index tile_size = method == Solver::lars ? 8 : solver_tile;  // paths are long, and gain nothing from company
  const Index n_tiles = (n_signals + tile_size - 1) / tile_size;
  parallel_for(n_tiles, options.execution, [&](Index tile, int thread) {
    auto& encoder = encoders[static_cast<std::size_t>(thread)];
    if (!encoder) encoder = std::make_unique<TileEncoder<T>>(problem, make_solver(), signal_reg_max);
    const Index first = tile * tile_size, n = std::min(tile_size, n_signals - first);
    encoder->encode(X.middleCols(first, n), regs.segment(first, n), first, result);
  });
  return result;
}

template EncodeResult<float> encode<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const Reg&,
                                           const EncodeOptions&, const Matrix<float>*);
template EncodeResult<double> encode<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const Reg&,
                                             const EncodeOptions&, const Matrix<double>*);

}  // namespace riata
