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
    }
  }

  const SharedProblem<T>& problem_;
  std::unique_ptr<TileSolver<T>> solver_;
  const SignalRegMax<T>& signal_reg_max_;
  TileCertificate<T> certificate_;
  Matrix<T> correlations_;
  std::vector<Index> open_;
};

}  // namespace

Solver parse_solver(std::string_view name) {
  if (name == "auto") return Solver::automatic;
  if (name == "ista") return Solver::ista;
  if (name == "fista") return Solver::fista;
  if (name == "cd") return Solver::coordinate_descent;
  throw std::invalid_argument(fmt::format("method = '{}', must be one of 'auto', 'ista', 'fista', 'cd'", name));
}

void EncodeOptions::validate() const {
  require(std::isfinite(tol) && tol >= 0, "tol = {}, must be >= 0 and finite", tol);
  require(max_iter >= 1, "max_iter = {}, must be >= 1", max_iter);
  require(check_every >= 1, "check_every = {}, must be >= 1", check_every);
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
  Solver method = options.method;
  if (method == Solver::automatic) method = n_atoms <= max_gram_atoms ? Solver::coordinate_descent : Solver::fista;

  EncodeOptions chosen = options;
  chosen.method = method;
  const Matrix<double> D_double = D.parameters().template cast<double>();
  const SharedProblem<T> problem{D, D_double, penalty, chosen};
  Matrix<T> gram;
  double lipschitz = 0;
  if (method == Solver::coordinate_descent) {
    gram.resize(n_atoms, n_atoms);
    multiply_transposed<T>(D.parameters(), D.parameters(), gram);
  } else {
    lipschitz = D.squared_norm();
  }
  const auto make_solver = [&] {
    return method == Solver::coordinate_descent ? make_coordinate_descent<T>(problem, gram)
                                                : make_proximal_gradient<T>(problem, lipschitz);
  };

  EncodeResult<T> result{.codes = init != nullptr ? *init : Matrix<T>::Zero(n_atoms, n_signals),
                         .objective = Vector<double>(n_signals),
                         .gap = Vector<double>(n_signals),
                         .n_iter = Eigen::VectorXi(n_signals),
                         .status = std::vector<Status>(static_cast<std::size_t>(n_signals)),
                         .method = method};
  if (penalty.positive()) result.codes = result.codes.cwiseMax(T(0));
  const SignalRegMax<T> signal_reg_max(D.parameters(), penalty);
  std::vector<std::unique_ptr<TileEncoder<T>>> encoders(
      static_cast<std::size_t>(resolve_threads(options.execution.n_threads)));
  const Index n_tiles = (n_signals + solver_tile - 1) / solver_tile;
  parallel_for(n_tiles, options.execution, [&](Index tile, int thread) {
    auto& encoder = encoders[static_cast<std::size_t>(thread)];
    if (!encoder) encoder = std::make_unique<TileEncoder<T>>(problem, make_solver(), signal_reg_max);
    const Index first = tile * solver_tile, n = std::min(solver_tile, n_signals - first);
    encoder->encode(X.middleCols(first, n), regs.segment(first, n), first, result);
  });
  return result;
}

template EncodeResult<float> encode<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const Reg&,
                                           const EncodeOptions&, const Matrix<float>*);
template EncodeResult<double> encode<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const Reg&,
                                             const EncodeOptions&, const Matrix<double>*);

}  // namespace riata
