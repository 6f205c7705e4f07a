#include "riata/solvers/tv_solve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/batch_encoder.hpp"
#include "riata/solvers/tv_iterations.hpp"
#include "riata/solvers/tv_problem.hpp"

namespace riata {
namespace {

constexpr Index block_of_signals = 32 * solver_tile;  // of which there are copies
constexpr Index longest_as_matrix = 8192;

/// The columns of A L but the first, a = A 1, without what lies along a, of which they have the shares. Columns of rounding are 0.
struct JumpAtoms {
  JumpAtoms(const Dictionary<double>& A, const Vector<double>& a) : atoms(matrix_of(A)) {
    for (Index j = atoms.cols() - 2; j >= 0; --j) atoms.col(j) += atoms.col(j + 1);
    const Index k = atoms.cols() - 1;
    atoms = Matrix<double>(atoms.rightCols(k));
    shares.setZero(k);
    const double square = fixed_order_dot(a.size(), a.data(), a.data());
    for (Index j = 0; j < k; ++j) {
      leave_if_stopped();
      const double norm = atoms.col(j).norm();
      for (int time = 0; time < 2 && square > 0; ++time) {  // the second for what rounding left of the first
        const double part = fixed_order_dot(a.size(), a.data(), atoms.col(j).data()) / square;
        add_scaled(a.size(), -part, a.data(), atoms.col(j).data());
        shares(j) += part;
      }
      if (atoms.col(j).norm() <= 4 * static_cast<double>(a.size()) * std::numeric_limits<double>::epsilon() * norm)
        atoms.col(j).setZero();
    }
  }
  Matrix<double> atoms;
  Vector<double> shares;
};

bool needs_inverse(TvSolver method) { return method == TvSolver::dual || method == TvSolver::admm; }

template <Scalar T>
class TvRun {
 public:
  TvRun(const TvProblem<T>& problem, const Reg& reg, const TvOptions& options, TvSolver method)
      : problem_(problem), reg_(reg), options_(options) {
    options_.method = method;
    const Index n = problem.n_signals();
    make_room("tv_solve", "signals", problem.n_times(), n, "give fewer signals at a time", result_.signals);
    for (Vector<double>* v : {&result_.reg, &result_.objective, &result_.gap}) v->resize(n);
    result_.n_iter.setZero(n);
    result_.status.resize(static_cast<std::size_t>(n));
    result_.method = method;
  }

  TvResult<T> solve() {
    if (options_.method == TvSolver::working_set || options_.method == TvSolver::synthesis)
      solve_as_lasso();
    else
      iterate();
    require_finite("tv_solve", "the solution", result_.signals, of_signals);
    return std::move(result_);
  }

 private:
  bool is_constant(const TvTile<T>& tile, Index i) const {
    return tile.reg_max(i) == 0 || zero_is_optimal(tile.reg(i), tile.reg_max(i));
  }

  double target(const TvTile<T>& tile, Index i) const {
    const auto x = tile.X().col(i);
    const Vector<double> seen = tile.weights.size() > 0 ? Vector<double>(x.cwiseProduct(tile.weights.col(i))) : Vector<double>(x);
    return options_.tol * 0.5 * fixed_order_dot(x.size(), x.data(), seen.data());
  }

  /// Writes the signals of a tile, U in its unit, and what they are worth as T holds them.
  void finish(const TvTile<T>& tile, const Vector<double>& reg, Matrix<double>& U, TvTileCertificate& certificate) {
    tile.units.leave(U);
    auto signals = result_.signals.middleCols(tile.first, tile.size());
    signals = U.template cast<T>();
    U = signals.template cast<double>();
    tile.units.enter(U);
    certificate.evaluate(tile.X(), U, reg, tile.weights);
    for (Index i = 0; i < tile.size(); ++i) {
      const Index at = tile.first + i;
      const double gap = certificate.gap(i);
      result_.reg(at) = std::ldexp(reg(i), tile.units.weight(i));
      result_.objective(at) = std::ldexp(certificate.objective(i), tile.units.objective(i));
      result_.gap(at) = std::ldexp(gap, tile.units.objective(i));
      result_.status[static_cast<std::size_t>(at)] = gap <= target(tile, i)                    ? Status::converged
                                                     : result_.n_iter(at) >= options_.max_iter ? Status::max_iter_reached
                                                                                               : Status::stalled;
    }
  }

  void iterate() {
    std::unique_ptr<const TvInverse> inverse;
    if (needs_inverse(options_.method) && problem_.n_times() > 1)
      inverse = std::make_unique<TvInverse>(problem_.A(), problem_.response(), problem_.squared_norm(), options_.method);
    const TvIterations iterations{problem_.A(), problem_.response(), problem_.squared_norm(), options_, inverse.get()};
    problem_.for_each_tile(reg_, options_.execution, [&](TvTile<T>& tile, TvTileCertificate& certificate) {
      const Index n = tile.size();
      Matrix<double> U = Vector<double>::Ones(problem_.n_times()) * certificate.constants().transpose();
      std::vector<Index> open;
      for (Index i = 0; i < n; ++i)
        if (!is_constant(tile, i)) open.push_back(i);
      if (!open.empty()) {
        const Matrix<double> X = tile.X()(Eigen::all, open);
        const Matrix<double> weights =
            tile.weights.size() > 0 ? Matrix<double>(tile.weights(Eigen::all, open)) : Matrix<double>();
        Matrix<double> solved = U(Eigen::all, open);
        Vector<double> targets(std::ssize(open));
        for (Index c = 0; c < targets.size(); ++c) targets(c) = 0.5 * target(tile, open[static_cast<std::size_t>(c)]);
        Vector<int> n_iter;
        iterations.solve(X, weights, tile.reg(open), targets, solved, n_iter);
        for (Index c = 0; c < targets.size(); ++c) {
          U.col(open[static_cast<std::size_t>(c)]) = solved.col(c);
          result_.n_iter(tile.first + open[static_cast<std::size_t>(c)]) = n_iter(c);
        }
      }
      finish(tile, tile.reg, U, certificate);
    });
  }

  void solve_as_lasso() {
    const Index n_signals = problem_.n_signals(), n_jumps = problem_.n_times() - 1, m = problem_.A().signal_size();
    const JumpAtoms jumps(problem_.A(), problem_.response());
    std::unique_ptr<DenseDictionary<T>> D;
    if (n_jumps > 0) D = std::make_unique<DenseDictionary<T>>(Matrix<T>(jumps.atoms.template cast<T>()));
    EncodeOptions lasso{.tol = 0.5 * options_.tol, .max_iter = options_.max_iter, .execution = options_.execution};
    lasso.method = options_.method == TvSolver::synthesis ? Solver::fista : Solver::automatic;
    std::unique_ptr<BatchEncoder<T>> encoder;
    EncodeResult<T> coded;
    for (Index first = 0; first < n_signals; first += block_of_signals) {
      const Index n = std::min(block_of_signals, n_signals - first);
      Matrix<T> rest(m, n);
      Vector<T> regs(n);
      Vector<double> constants(n), reg(n);
      problem_.for_each_tile(reg_, first, n, options_.execution, [&](TvTile<T>& tile, TvTileCertificate& certificate) {
        for (Index i = 0; i < tile.size(); ++i) {
          const Index at = tile.first - first + i;
          reg(at) = tile.reg(i);
          constants(at) = certificate.constants()(i);
          const bool open = !is_constant(tile, i);
          regs(at) = open ? static_cast<T>(tile.reg(i)) : T(1);
          if (open)
            rest.col(at) = certificate.residuals().col(i).template cast<T>();
          else
            rest.col(at).setZero();
        }
      });
      if (n_jumps > 0) {
        if (!encoder) {
          const Solver method = lasso.method == Solver::fista ? lasso.method
                                                              : pick_solver<T>(Batch<T>(rest.leftCols(std::min(n, solver_tile))),
                                                                               n_signals, *D, regs, false, lasso);
          encoder = make_batch_encoder<T>(*D, lasso, method, n_signals);
        }
        encoder->encode(SeenBatch<T>("tv_solve", Batch<T>(rest)), regs, std::nullopt, coded);
      }
      const auto finish_tile = [&](TvTile<T>& tile, TvTileCertificate& certificate) {
        const Index start = tile.first - first;
        Matrix<double> U(n_jumps + 1, tile.size());
        for (Index i = 0; i < tile.size(); ++i) {
          double u = constants(start + i);
          for (Index j = 0; j < n_jumps; ++j) u -= jumps.shares(j) * static_cast<double>(coded.codes(j, start + i));
          U(0, i) = u;
          for (Index j = 0; j < n_jumps; ++j) U(j + 1, i) = u += static_cast<double>(coded.codes(j, start + i));
          if (n_jumps > 0) result_.n_iter(tile.first + i) = coded.n_iter(start + i);
        }
        finish(tile, reg.segment(start, tile.size()), U, certificate);
      };
      problem_.for_each_tile(reg_, first, n, options_.execution, finish_tile, false);
    }
  }

  const TvProblem<T>& problem_;
  const Reg& reg_;
  TvOptions options_;
  TvResult<T> result_;
};

template <Scalar T>
TvSolver method_for(const TvProblem<T>& problem, TvSolver asked) {
  if (asked == TvSolver::automatic)
    return problem.has_weights_per_signal() || problem.n_times() > longest_as_matrix ? TvSolver::apgd : TvSolver::working_set;
  const bool is_lasso = asked == TvSolver::working_set || asked == TvSolver::synthesis;
  require(
      !is_lasso || !problem.has_weights_per_signal(),
      "tv_solve: method = '{}' takes a mask that all signals share; for masks of their own choose 'apgd', 'pgd' or 'condat-vu'",
      to_string(asked));
  return asked;
}

}  // namespace

void TvOptions::validate() const { check_options(*this); }

template <Scalar T>
TvResult<T> tv_solve(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A, const Reg& reg, const TvOptions& options,
                     const OptionalMatrixRef<T>& mask) {
  options.validate();
  const StopScope scope(options.execution);
  const TvProblem<T> problem("tv_solve", X, A, mask);
  problem.require_fits(reg);
  return TvRun<T>(problem, reg, options, method_for(problem, options.method)).solve();
}

#define RIATA_INSTANTIATE(T)                                                                                     \
  template TvResult<T> tv_solve<T>(const ConstMatrixRef<T>&, const Dictionary<T>&, const Reg&, const TvOptions&, \
                                   const OptionalMatrixRef<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
