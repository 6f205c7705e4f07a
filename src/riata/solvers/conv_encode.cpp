#include "riata/solvers/conv_encode.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/linalg/convolution_kernels.hpp"
#include "riata/operators/convolution_pieces.hpp"
#include "riata/operators/unit_lagged_gram.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/conv_certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

/// The problem in unit atoms, d_k / ||d_k||, whose activations are ||d_k|| z_k and have weights reg / ||d_k||.
struct UnitTranslates : UnitLaggedGram {
  Index n_positions, n_atoms, length;
  bool wraps, positive;
  Index n_lags() const { return 2 * length - 1; }

  template <Scalar T>
  UnitTranslates(const ConvolutionalDictionary<T>& D, bool positive_)
      : UnitLaggedGram(D),
        n_positions(D.n_positions()),
        n_atoms(D.n_atoms()),
        length(D.atom_times()),
        wraps(D.shape().boundary == Boundary::circular),
        positive(positive_) {
    if (wraps && n_lags() > n_positions) fold_lags();
  }

 private:
  /// Of a circle shorter than the lags several lead to one place: G keeps their sum at the first of them.
  void fold_lags() {
    for (Index k = 0; k < n_atoms; ++k)
      for (Index j = 0; j < n_atoms; ++j) {
        auto lags = G.col(k).segment(j * n_lags(), n_lags());
        for (Index s = n_positions; s < n_lags(); ++s) {
          lags(s - n_positions) += lags(s);
          lags(s) = 0;
        }
      }
  }
};

/// One signal: c = d^T r + z, so that ST(c, threshold) is where an activation is best alone.
struct ActivationState {
  Matrix<double> c, z;  ///< n_positions x n_atoms
  Vector<double> thresholds;
  double x_sq = 0, least_move = 0;
  bool is_settled = true;
  double residual_sq = 0;  ///< as the moves changed it
  Index n_updates = 0;
  bool is_done = false;
  double rounding() const { return 4e-15 * std::sqrt(x_sq); }  ///< moves that say nothing
};

/// Of one signal: cuts it, runs a block. There are two cuts, whose bounds lie in the middle of each other's blocks.
class GreedyBlocks {
 public:
  GreedyBlocks(const UnitTranslates& atoms, bool shifted) : atoms_(atoms) {
    const Index n = atoms.n_positions, least = std::max<Index>(2 * atoms.length, 64);
    const Index n_whole = std::max<Index>(1, n / (4 * least)), half = n / (2 * n_whole);
    bounds_.push_back(0);
    for (Index block = shifted ? 0 : 1; block < n_whole; ++block) bounds_.push_back(block * n / n_whole + (shifted ? half : 0));
    bounds_.push_back(n);
    segment_ = std::max<Index>(16, atoms.length / 2);
  }
  Index n_blocks() const { return std::ssize(bounds_) - 1; }
  static constexpr int n_phases = 3;
  /// Blocks of one phase are not neighbours: even ones, odd ones, and the last if a circle makes it a neighbour of the first.
  std::vector<Index> blocks_of(int phase) const {
    std::vector<Index> blocks;
    for (Index block = 0; block < n_blocks(); ++block) {
      const bool closes = atoms_.wraps && block > 0 && block == n_blocks() - 1 && block % 2 == 0;
      if ((closes ? 2 : block % 2) == phase) blocks.push_back(block);
    }
    return blocks;
  }

  struct Found {
    double decrease_of_residual = 0;
    Index n_updates = 0;
    bool is_settled = false;  ///< no activation alone moves by more than the threshold
  };
  /// Until no activation of the block moves by more than the threshold, with those that are not zero where they are best together;
  /// or until that has been tried a few times.
  Found run(ActivationState& state, Index block) const {
    Found found;
    for (int pass = 0; pass < most_passes; ++pass) {
      const Index before = found.n_updates;
      found.is_settled = move_one_by_one(state, block, found);
      if (pass > 0 && found.n_updates == before) break;
      move_together(state, block, pass, found);
    }
    return found;
  }

  /// The largest move, over the whole signal.
  double largest(const ActivationState& state) const {
    Vector<double> of_row(atoms_.n_atoms);
    return kernels_
        .largest_move({atoms_.n_atoms, atoms_.n_positions, state.c.rows(), state.c.data(), state.z.data(),
                       state.thresholds.data(), atoms_.positive, of_row.data()})
        .size;
  }

 private:
  struct Place {
    Index t, k;
  };
  Index first(Index block) const { return bounds_[static_cast<std::size_t>(block)]; }

  /// False where that takes more moves than those together cost.
  bool move_one_by_one(ActivationState& state, Index block, Found& found) const {
    const Index begin = first(block), n_segments = (first(block + 1) - begin + segment_ - 1) / segment_;
    const Index most_moves = found.n_updates + 64 + 4 * n_segments * atoms_.n_atoms;
    std::vector<char> is_open(static_cast<std::size_t>(n_segments), 1);
    Vector<double> of_row(atoms_.n_atoms);
    for (bool moved = true; moved;) {
      moved = false;
      for (Index s = 0; s < n_segments; ++s) {
        if (is_open[static_cast<std::size_t>(s)] == 0) continue;
        is_open[static_cast<std::size_t>(s)] = 0;
        const Index from = begin + s * segment_, count = std::min(segment_, first(block + 1) - from);
        for (;;) {
          const Move<double> move =
              kernels_.largest_move({atoms_.n_atoms, count, state.c.rows(), &state.c(from, 0), &state.z(from, 0),
                                     state.thresholds.data(), atoms_.positive, of_row.data()});
          if (!(move.size > state.least_move)) break;
          if (found.n_updates == most_moves) return false;
          leave_if_stopped();
          const Index t = from + move.at;
          apply(state, {t, move.row}, best_alone(state, {t, move.row}), found);
          moved = true;
          const Index before = std::max<Index>(0, t - atoms_.length + 1 - begin) / segment_,
                      after = std::min(n_segments - 1, (t + atoms_.length - 1 - begin) / segment_);
          for (Index other = before; other <= after; ++other) is_open[static_cast<std::size_t>(other)] = other != s ? 1 : 0;
        }
      }
    }
    return true;
  }

  /// All that are not zero, so many at a time, cut elsewhere from pass to pass.
  void move_together(ActivationState& state, Index block, int pass, Found& found) const {
    std::vector<Place> active;
    for (Index k = 0; k < atoms_.n_atoms; ++k)
      for (Index t = first(block); t < first(block + 1); ++t)
        if (state.z(t, k) != 0) active.push_back({t, k});
    std::sort(active.begin(), active.end(), [](Place a, Place b) { return a.t != b.t ? a.t < b.t : a.k < b.k; });
    Index next = pass % 2 == 0 ? most_together : most_together / 2;
    for (Index begin = 0; begin < std::ssize(active); begin = next, next += most_together) {
      const Index end = std::min(next, std::ssize(active));
      move_some_together(state, std::span(active).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                         found);
    }
  }

  /// Newton's method, as far as none changes its sign; those that become zero leave.
  void move_some_together(ActivationState& state, std::span<const Place> active, Found& found) const {
    const Index n = std::ssize(active);
    if (n < 2) return;
    Vector<double> z(n), slope(n);  // slope: of the objective, downwards
    Matrix<double> gram(n, n);
    for (Index i = 0; i < n; ++i) {
      const Place& at = active[static_cast<std::size_t>(i)];
      z(i) = state.z(at.t, at.k);
      slope(i) = state.c(at.t, at.k) - z(i) - std::copysign(state.thresholds(at.k), z(i));
      for (Index j = 0; j <= i; ++j) gram(i, j) = gram(j, i) = product(at, active[static_cast<std::size_t>(j)]);
    }
    std::vector<Index> moving(static_cast<std::size_t>(n));
    std::iota(moving.begin(), moving.end(), Index{0});
    for (int step = 0; step < most_steps && !moving.empty(); ++step) {
      leave_if_stopped();
      const Vector<double> direction = newton_direction(gram(moving, moving), slope(moving));
      if (direction.size() == 0) break;
      double length = 1;
      for (Index i = 0; i < direction.size(); ++i) {
        const double from = z(moving[static_cast<std::size_t>(i)]);
        if (from * (from + direction(i)) < 0) length = std::min(length, -from / direction(i));
      }
      for (Index i = 0; i < direction.size(); ++i) {
        double& from = z(moving[static_cast<std::size_t>(i)]);
        const double to = from + length * direction(i);
        const bool leaves = from * (from + direction(i)) < 0 && -from / direction(i) <= length;
        from = leaves ? 0 : to;
      }
      slope(moving) *= 1 - length;
      if (length == 1) break;
      std::erase_if(moving, [&](Index i) { return z(i) == 0; });
    }
    for (Index i = 0; i < n; ++i) {
      const Place& at = active[static_cast<std::size_t>(i)];
      if (z(i) != state.z(at.t, at.k)) apply(state, at, z(i), found);
    }
  }

  /// G^-1 slope; of a G that is singular to rounding with as little on its diagonal as it takes, which makes steps shorter and no
  /// wrong ones. Empty where nothing helps.
  static Vector<double> newton_direction(const Matrix<double>& G, const Vector<double>& slope) {
    for (const double ridge : {1e-13, 1e-10, 1e-7}) {
      Matrix<double> lifted = G;
      lifted.diagonal() *= 1 + ridge;
      const Eigen::LLT<Matrix<double>> factor(lifted);
      if (factor.info() != Eigen::Success) continue;
      if (Vector<double> direction = factor.solve(slope); direction.allFinite()) return direction;
    }
    return {};
  }

  double best_alone(const ActivationState& state, Place at) const {
    const double c = state.c(at.t, at.k), threshold = state.thresholds(at.k);
    if (c > threshold) return c - threshold;
    return !atoms_.positive && -c > threshold ? c + threshold : 0;
  }

  /// Of two unit translates.
  double product(Place of, Place with) const {
    Index lag = of.t - with.t + atoms_.length - 1, n_lags = atoms_.n_lags();
    if (atoms_.wraps) {
      lag = (lag + atoms_.n_positions) % atoms_.n_positions;
      n_lags = std::min(n_lags, atoms_.n_positions);
    }
    return lag < 0 || lag >= n_lags ? 0 : atoms_.G(of.k * atoms_.n_lags() + lag, with.k);
  }

  void apply(ActivationState& state, Place at, double target, Found& found) const {
    const auto [t, k] = at;
    const double c = state.c(t, k), z = state.z(t, k), step = target - z;
    const Index n = atoms_.n_positions, begin = t - atoms_.length + 1, end = t + atoms_.length;
    state.z(t, k) = target;
    const auto subtract = [&](Index from, Index lag, Index count) {
      kernels_.step({atoms_.n_atoms, count, step, atoms_.n_lags(), &atoms_.G(lag, k), state.c.rows(), &state.c(from, 0)});
    };
    if (!atoms_.wraps) {
      const Index from = std::max<Index>(0, begin);
      subtract(from, from - begin, std::min(n, end) - from);
    } else {
      const Index n_lags = std::min(atoms_.n_lags(), n);  // beyond it they are folded
      for (Index done = 0, from = (begin + n) % n; done < n_lags; from = 0) {
        const Index count = std::min(n_lags - done, n - from);
        subtract(from, done, count);
        done += count;
      }
    }
    state.c(t, k) = c;  // what r lost, z gained
    found.decrease_of_residual += 2 * step * (c - z) - step * step;
    ++found.n_updates;
  }

  static constexpr int most_passes = 3, most_steps = 32;
  static constexpr Index most_together = 256;
  const UnitTranslates& atoms_;
  const ConvolutionKernels<double>& kernels_ = convolution_kernels<double>();
  std::vector<Index> bounds_;
  Index segment_;
};

/// The gap as c and z say it; that which is returned is found afresh.
double gap_of(const ActivationState& state, const UnitTranslates& atoms) {
  double largest = 0, z_c = 0, z_sum = 0;  // of |d^T r| over the thresholds; z^T d^T r; reg ||z||_1
  for (Index k = 0; k < atoms.n_atoms; ++k) {
    if (atoms.norms(k) == 0) continue;
    const double* const c = state.c.col(k).data();
    const double* const z = state.z.col(k).data();
    double most = 0, least = 0, sum = 0;
    for (Index t = 0; t < atoms.n_positions; ++t) {
      const double pull = c[t] - z[t];
      most = std::max(most, pull);
      least = std::min(least, pull);
      if (z[t] == 0) continue;
      z_c += z[t] * pull;
      sum += std::abs(z[t]);
    }
    z_sum += state.thresholds(k) * sum;
    largest = std::max(largest, (atoms.positive ? most : std::max(most, -least)) / state.thresholds(k));
  }
  const double s = largest > 1 ? 1 / largest : 1;
  return z_sum - s * z_c + (1 - s) * (1 - s) / 2 * state.residual_sq;
}

/// c = d^T x and ||x||^2 of signals first, ..., whose activations are zero.
template <Scalar T>
void correlate(const ConstMatrixRef<T>& X, Index first, std::vector<ActivationState>& states, const UnitTranslates& atoms,
               const ConvolutionalDictionary<double>& D, const Execution& execution) {
  for (ActivationState& state : states) state.c.resize(atoms.n_positions, atoms.n_atoms);
  if (atoms.wraps) {
    parallel_for(std::ssize(states), execution, [&](Index i, int) {
      ActivationState& state = states[static_cast<std::size_t>(i)];
      const Matrix<double> x = X.col(first + i).template cast<double>();
      D.adjoint(x, Eigen::Map<Matrix<double>>(state.c.data(), state.c.size(), 1));
      state.x_sq = x.squaredNorm();
    });
  } else {
    const Index pieces = n_pieces(atoms.n_positions, atoms.length);
    std::vector<double> squares(states.size() * static_cast<std::size_t>(pieces));
    parallel_for(std::ssize(squares), execution, [&](Index task, int) {
      ActivationState& state = states[static_cast<std::size_t>(task / pieces)];
      const PieceOfTime at = piece_of_time(task % pieces, atoms.n_positions, atoms.length);
      const PieceOfResidual<T, double> whole(D, X.col(first + task / pieces).data(), Matrix<double>(), at);
      state.c.middleRows(at.first, at.n_positions()) = whole.c;
      squares[static_cast<std::size_t>(task)] = whole.r_sq;
    });
    for (std::size_t task = 0; task < squares.size(); ++task)
      states[task / static_cast<std::size_t>(pieces)].x_sq += squares[task];
  }
  for (ActivationState& state : states) {
    state.residual_sq = state.x_sq;
    for (Index k = 0; k < atoms.n_atoms; ++k)
      if (atoms.norms(k) > 0)
        state.c.col(k) /= atoms.norms(k);
      else
        state.c.col(k).setZero();
  }
}

/// Signals first, ... of X in memory at once.
template <Scalar T>
void code_group(const ConstMatrixRef<T>& X, Index first, Index n, const Vector<T>& reg, const UnitTranslates& atoms,
                const ConvolutionalDictionary<double>& D, const ConvEncodeOptions& options, ConvEncodeResult<T>& result) {
  const GreedyBlocks cuts[] = {{atoms, false}, {atoms, true}};
  std::vector<ActivationState> states(static_cast<std::size_t>(n));
  correlate<T>(X, first, states, atoms, D, options.execution);
  for (Index i = 0; i < n; ++i)
    require(states[static_cast<std::size_t>(i)].x_sq > 1e-300 || X.col(first + i).isZero(0),
            "conv_encode: signal {} is so small that its square is no number; choose another unit", first + i);
  parallel_for(n, options.execution, [&](Index i, int) {
    ActivationState& state = states[static_cast<std::size_t>(i)];
    state.z.setZero(atoms.n_positions, atoms.n_atoms);
    state.thresholds = (atoms.norms.array() > 0)
                           .select(static_cast<double>(reg(first + i)) / atoms.norms.array(), std::numeric_limits<double>::max());
    state.least_move = cuts[0].largest(state);
    state.is_done = !(state.least_move > 0);
  });
  std::vector<Index> open(states.size());
  std::iota(open.begin(), open.end(), Index{0});
  const auto state_of = [&](Index i) -> ActivationState& { return states[static_cast<std::size_t>(i)]; };
  for (int round = 0; std::erase_if(open, [&](Index i) { return state_of(i).is_done; }), !open.empty(); ++round) {
    const GreedyBlocks& blocks = cuts[round % 2];
    for (const Index i : open)
      if (ActivationState& state = state_of(i); round % 2 == 0 && state.is_settled)
        state.least_move = std::max(0.3 * state.least_move, state.rounding());
    std::vector<std::vector<GreedyBlocks::Found>> found(
        states.size(), std::vector<GreedyBlocks::Found>(static_cast<std::size_t>(blocks.n_blocks())));
    for (int phase = 0; phase < GreedyBlocks::n_phases; ++phase) {
      const std::vector<Index> of_phase = blocks.blocks_of(phase);
      const Index n_blocks = std::ssize(of_phase);
      parallel_for(std::ssize(open) * n_blocks, options.execution, [&](Index task, int) {
        const Index i = open[static_cast<std::size_t>(task / n_blocks)],
                    block = of_phase[static_cast<std::size_t>(task % n_blocks)];
        found[static_cast<std::size_t>(i)][static_cast<std::size_t>(block)] = blocks.run(state_of(i), block);
      });
    }
    parallel_for(std::ssize(open), options.execution, [&](Index task, int) {
      const Index i = open[static_cast<std::size_t>(task)];
      ActivationState& state = state_of(i);
      state.is_settled = true;
      for (const GreedyBlocks::Found& of_block : found[static_cast<std::size_t>(i)]) {
        state.residual_sq -= of_block.decrease_of_residual;
        state.n_updates += of_block.n_updates;
        state.is_settled = state.is_settled && of_block.is_settled;
      }
      const bool stands = state.is_settled && round % 2 == 1 && state.least_move <= state.rounding();
      state.is_done = round + 1 >= options.max_iter || stands || gap_of(state, atoms) <= 0.9 * options.tol * state.x_sq / 2;
    });
  }
  for (Index i = 0; i < n; ++i) {
    const ActivationState& state = state_of(i);
    Eigen::Map<Matrix<T>> code(result.codes.col(first + i).data(), atoms.n_positions, atoms.n_atoms);
    for (Index k = 0; k < atoms.n_atoms; ++k)
      if (atoms.norms(k) > 0)
        code.col(k) = (state.z.col(k) / atoms.norms(k)).template cast<T>();
      else
        code.col(k).setZero();
    result.n_updates[static_cast<std::size_t>(first + i)] = state.n_updates;
  }
}

}  // namespace

void ConvEncodeOptions::validate() const { check_options(*this); }

template <Scalar T>
ConvEncodeResult<T> conv_encode(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& D, const Reg& reg,
                                const ConvEncodeOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("conv_encode", X, D);
  const bool is_full = D.shape().boundary == Boundary::full;
  require(options.method != ConvSolver::lgcd || !is_full,
          "conv_encode: method = 'lgcd' is for the boundaries 'valid' and 'circular'; choose 'fista' for 'full'");
  const PenaltyOptions penalty{.positive = options.positive};
  ConvEncodeResult<T> result;
  if (options.method == ConvSolver::fista || is_full) {
    EncodeResult<T> coded = encode<T>(X, D, reg,
                                      {.method = Solver::fista,
                                       .tol = options.tol,
                                       .max_iter = options.max_iter,
                                       .penalty = penalty,
                                       .execution = options.execution});
    result = {std::move(coded.codes),
              std::move(coded.objective),
              std::move(coded.gap),
              {coded.n_iter.begin(), coded.n_iter.end()},
              std::move(coded.status)};
    return result;
  }
  const Index n_signals = X.cols();
  const Vector<T> regs = resolve_reg<T>(reg, X, D, penalty, options.execution);
  const UnitTranslates atoms(D, options.positive);
  for (Index k = 0; k < atoms.n_atoms; ++k)
    require(atoms.norms(k) == 0 ? D.atoms().col(k).isZero(0) : atoms.norms(k) > 1e-100,
            "conv_encode: atom {} has norm {:.3g}, whose square is no number; choose another unit", k, atoms.norms(k));
  const std::unique_ptr<Dictionary<double>> exact = D.in_double();
  make_room("conv_encode", "codes", D.code_size(), n_signals, "pass fewer signals at a time", result.codes);
  result.n_updates.resize(static_cast<std::size_t>(n_signals));
  constexpr Index entries_at_once = Index{1} << 23;
  const Index at_once = std::clamp<Index>(entries_at_once / D.code_size(), 1, n_signals);
  for (Index first = 0; first < n_signals; first += at_once)
    code_group<T>(X, first, std::min(at_once, n_signals - first), regs, atoms,
                  dynamic_cast<const ConvolutionalDictionary<double>&>(*exact), options, result);
  std::vector<double> weights;
  for (const T weight : regs) weights.push_back(static_cast<double>(weight));
  LassoCertificate certificate = atoms.wraps ? lasso_certificate<T>(X, D, result.codes, Reg(weights), penalty, options.execution)
                                             : conv_certificate<T>(X, D, result.codes, regs, options.positive, options.execution);
  for (Index i = 0; i < n_signals; ++i)
    result.status.push_back(certificate.gap(i) <= 0.5 * options.tol * X.col(i).template cast<double>().squaredNorm()
                                ? Status::converged
                                : Status::max_iter_reached);
  result.objective = std::move(certificate.objective);
  result.gap = std::move(certificate.gap);
  return result;
}

template <Scalar T>
CsrRows<T> activations_to_csr(const NonDeduced<ConstMatrixRef<T>>& codes, const ConvolutionalDictionary<T>& D) {
  require(codes.rows() == D.code_size(), "activations_to_csr: codes have {} entries, must have {}", codes.rows(), D.code_size());
  if (codes.outerStride() != codes.rows()) return activations_to_csr<T>(Matrix<T>(codes), D);
  return to_csr<T>(Eigen::Map<const Matrix<T>>(codes.data(), D.n_positions(), D.n_atoms() * codes.cols()));
}

template CsrRows<float> activations_to_csr(const ConstMatrixRef<float>&, const ConvolutionalDictionary<float>&);
template CsrRows<double> activations_to_csr(const ConstMatrixRef<double>&, const ConvolutionalDictionary<double>&);
template ConvEncodeResult<float> conv_encode(const ConstMatrixRef<float>&, const ConvolutionalDictionary<float>&, const Reg&,
                                             const ConvEncodeOptions&);
template ConvEncodeResult<double> conv_encode(const ConstMatrixRef<double>&, const ConvolutionalDictionary<double>&, const Reg&,
                                              const ConvEncodeOptions&);

}  // namespace riata
