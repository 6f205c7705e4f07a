#include "riata/unrolled/stability.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/support_system.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/unrolled/tangents.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {
namespace {

constexpr int first_counted = 10;  // through the first layers the ratio is near 1 and says nothing

/// So many random signs per row of D, or all n_features x n_atoms unit directions. Row t belongs to row t / per_row of D.
Matrix<double> make_directions(std::optional<int> random_per_row, Index n_features, Index n_atoms) {
  if (!random_per_row) return Matrix<double>::Identity(n_atoms, n_atoms).replicate(n_features, 1);
  Matrix<double> signs(n_features * *random_per_row, n_atoms);
  RandomStream random(0);
  for (auto column : signs.colwise()) {
    leave_if_stopped();
    for (double& w : column) w = random.bits() & 1 ? 1 : -1;
  }
  return signs;
}

/// What all signals share.
struct Probe {
  Matrix<double> D, gram, directions;
  bool random = true;
  bool contracts = false;  ///< a layer whose support does not change lets no error grow
};

/// mean_l ||.||_F of the tangents of the rows; `squares` holds one sum per direction, rows in order.
double mean_of_rows(const Vector<double>& squares, Index n_rows) {
  return squares.reshaped(squares.size() / n_rows, n_rows).colwise().sum().cwiseSqrt().mean();
}

/// The directions for one signal, so scaled that squares over a row of D add up to an estimate of ||J_l||_F^2. Random ones go
/// into the part along the code z, which is one direction more, and the rest: D_l z^T is most of J_l, and would be most of
/// the chance.
RowDirections directions_for(const Probe& probe, const Vector<double>& z) {
  const Index n_rows = probe.D.rows(), given = probe.directions.rows() / n_rows, per_row = given + probe.random;
  RowDirections directions{.rows = std::vector<Index>(static_cast<std::size_t>(n_rows * per_row)),
                           .weights = Matrix<double>(n_rows * per_row, z.size())};
  const Vector<double> unit = z.norm() > 0 ? Vector<double>(z / z.norm()) : z;
  for (Index l = 0; l < n_rows; ++l)
    for (Index t = 0; t < per_row; ++t) {
      auto w = directions.weights.row(l * per_row + t);
      directions.rows[static_cast<std::size_t>(l * per_row + t)] = l;
      if (t == given) {
        w = unit.transpose();
        continue;
      }
      w = probe.directions.row(l * given + t);
      if (!probe.random) continue;
      w -= w.dot(unit) * unit.transpose();
      w /= std::sqrt(static_cast<double>(given));
    }
  return directions;
}

/// The tangents of the exact code, n_directions x |S|:  (D_S^T D_S)^+ ( r_l w - D_l <w, z> )_S.
Matrix<double> exact_tangents(const RowDirections& directions, const Matrix<double>& atoms_of_rows, const SupportSystem& at) {
  if (at.S.empty()) return Matrix<double>(directions.size(), 0);
  const Matrix<double> w_S = directions.weights(Eigen::all, at.S), D_rows = atoms_of_rows(Eigen::all, at.S);
  const Vector<double> along = w_S * at.z_S, r_rows = at.r(directions.rows);
  return at.solve(at.pull((r_rows.asDiagonal() * w_S - along.asDiagonal() * D_rows).transpose())).transpose();
}

/// The error of the tangents of one signal's network relative to the exact code's.
class TangentError {
 public:
  TangentError(const Probe& probe, const SignalTrace& trace, const Vector<double>& z, const SupportSystem& at)
      : probe_(probe),
        trace_(trace),
        directions_(directions_for(probe, z)),
        atoms_of_rows_(atoms_of(directions_, probe.D)),
        S_(at.S),
        exact_(exact_tangents(directions_, atoms_of_rows_, at)),
        settled_(trace.support(trace.n_layers()) == at.S ? trace.settled() : trace.n_layers()) {
    scale_ = mean_of_rows(exact_.rowwise().squaredNorm(), probe.D.rows());
  }

  double of(const Tangents& tangents) const {
    const std::vector<Index>& S = tangents.support();
    const Matrix<double>& u = tangents.codes();
    Vector<double> squares = Vector<double>::Zero(u.rows());
    std::size_t i = 0, k = 0;  // both supports are sorted
    while (i < S.size() || k < S_.size()) {
      const bool here = k == S_.size() || (i < S.size() && S[i] <= S_[k]);
      const bool there = i == S.size() || (k < S_.size() && S_[k] <= S[i]);
      const auto at = static_cast<Index>(i), exact_at = static_cast<Index>(k);
      if (here && there)
        squares += (u.col(at) - exact_.col(exact_at)).cwiseAbs2();
      else
        squares += here ? u.col(at).cwiseAbs2().eval() : exact_.col(exact_at).cwiseAbs2().eval();
      i += here;
      k += there;
    }
    const double error = mean_of_rows(squares, probe_.D.rows());
    return scale_ > 0 ? error / scale_ : error > 0 ? std::numeric_limits<double>::infinity() : 1;
  }

  /// The largest error from layer `first` on, with J = 0 there; stops once it is above `enough` or cannot rise any more.
  /// `errors`, if given, receives all.
  double growth(int first, double enough, double* errors) const {
    Tangents tangents(trace_, probe_.gram, directions_, atoms_of_rows_, first);
    const int counted = std::min(first_counted, trace_.n_layers());
    double largest = first >= counted ? 1 : 0;
    if (errors != nullptr) errors[first] = of(tangents);
    while (tangents.layer() < trace_.n_layers()) {
      leave_if_stopped();
      tangents.advance();
      const double error = of(tangents);
      if (errors != nullptr) errors[tangents.layer()] = error;
      if (tangents.layer() < counted) continue;
      if (!(error <= largest)) largest = std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
      if (errors != nullptr) continue;
      if (largest > enough) break;
      if (probe_.contracts && tangents.layer() >= settled_ && error <= 1) break;
    }
    return largest;
  }

 private:
  const Probe& probe_;
  const SignalTrace& trace_;
  RowDirections directions_;
  Matrix<double> atoms_of_rows_;
  std::vector<Index> S_;  // of the exact code
  Matrix<double> exact_;  // n_directions x |S|
  double scale_;
  int settled_;  // from this layer on the support is that of the exact code
};

}  // namespace

template <Scalar T>
UnrolledStability unrolled_stability(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                                     const StabilityOptions& options) {
  const UnrolledOptions& network = options.network;
  network.validate();
  require_l1("unrolled_stability", network.penalty);
  const StopScope scope(network.execution);
  if (options.directions) require(*options.directions >= 1, "directions = {}, must be >= 1", *options.directions);
  require_signals<T>("unrolled_stability", X, D);
  const L1<double> penalty(network.penalty, D.code_size());
  const Vector<T> regs = resolve_reg<T>(reg, X, D, network.penalty, network.execution);
  // Everything that comes out is relative, so all can stay in its unit (units.hpp).
  const int f = atom_exponent(static_cast<double>(largest_entry<T>(D.atoms())));
  TileUnits<double> units(f, RegUnit::linear);
  const Matrix<double> X_given = X.template cast<double>();
  const Vector<double> weights_given = regs.template cast<double>();
  units.open(X_given, weights_given);
  const Matrix<double> signals = units.X();
  const Vector<double> weights = units.reg();

  Probe probe{.D = shifted(D.atoms().template cast<double>(), -f),
              .gram = Matrix<double>(D.code_size(), D.code_size()),
              .directions = make_directions(options.directions, D.signal_size(), D.code_size()),
              .random = options.directions.has_value()};
  multiply_transposed<double>(probe.D, probe.D, probe.gram);
  const DenseDictionary<double> D_in_unit(probe.D);
  const LayerSchedule schedule = make_schedule(network, D_in_unit, f);
  probe.contracts = network.algorithm == Layers::ista &&
                    *std::max_element(schedule.steps.begin(), schedule.steps.end()) * spectral_norm_squared(probe.D) <= 2 &&
                    *std::min_element(schedule.steps.begin(), schedule.steps.end()) >= 0;
  const Reg resolved(std::vector<double>(weights.begin(), weights.end()));
  const Matrix<double> codes =
      encode(signals, D_in_unit, resolved, {.tol = options.tol, .penalty = network.penalty, .execution = network.execution})
          .codes;

  const Index n_signals = X.cols();
  const int N = network.n_layers;
  UnrolledStability result;
  result.growth.resize(n_signals);
  result.safe_backprop.resize(n_signals);
  if (options.return_errors) result.errors.resize(N + 1, n_signals);
  parallel_for(n_signals, network.execution, [&](Index i, int) {
    const Vector<double> x = signals.col(i);
    const SignalTrace trace(probe.D, x, weights(i), penalty, schedule);
    const TangentError error(probe, trace, codes.col(i), SupportSystem(x, probe.D, penalty, codes.col(i)));
    result.growth(i) =
        error.growth(0, std::numeric_limits<double>::infinity(), options.return_errors ? result.errors.col(i).data() : nullptr);
    // Bisection: depth `safe` is stable, depth `unsafe` is not.
    int safe = 0, unsafe = N;
    if (result.growth(i) <= largest_stable_growth) safe = N;
    while (safe + 1 < unsafe) {
      const int middle = safe + (unsafe - safe) / 2;
      (error.growth(N - middle, largest_stable_growth, nullptr) <= largest_stable_growth ? safe : unsafe) = middle;
    }
    result.safe_backprop(i) = safe;
  });
  result.unstable = result.growth.array() > largest_stable_growth;
  return result;
}

template UnrolledStability unrolled_stability<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const Reg&,
                                                     const StabilityOptions&);
template UnrolledStability unrolled_stability<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const Reg&,
                                                      const StabilityOptions&);

}  // namespace riata
