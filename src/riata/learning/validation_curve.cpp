#include "riata/learning/validation_curve.hpp"

#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/sampler.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/omp.hpp"

namespace riata {

void ValidationCurveOptions::validate() const {
  require(validation > 0 && validation < 1, "validation_curve: validation = {}, must be > 0 and < 1", validation);
  require(n_runs >= 1, "validation_curve: n_runs = {}, must be >= 1", n_runs);
  require(learn.checkpoint.empty() && learn.validation == 0,
          "validation_curve: checkpoint is for one run, and signals are held out by validation_curve itself");
  require(parts_of(learn.method).codes != CodesBy::hard_thresholding && learn.threshold != Threshold::hard,
          "validation_curve: the threshold of '{}' is no weight that exact codes could have", to_string(learn.method));
  require(!learn.centre, "validation_curve: centre is for signals of one run; centre them before");
  learn.validate();
}

namespace {

/// Adds a run to the point: how its dictionary fares on signals that it has not seen.
template <Scalar T>
void judge(const Matrix<T>& X, const LearnResult<T>& learned, const LearnOptions& options, ValidationPoint& point) {
  const DenseDictionary<T> D(learned.dictionary);
  Matrix<T> codes;
  double objective = 0;
  if (learned.n_nonzero) {
    OmpResult<T> found = omp<T>(X, D, {.n_nonzero = learned.n_nonzero, .execution = options.execution});
    objective = 0.5 * found.error.mean();
    codes = std::move(found.codes);
  } else {
    EncodeResult<T> found = encode<T>(X, D, learned.reg, {.penalty = options.penalty, .execution = options.execution});
    objective = found.objective.mean();
    codes = std::move(found.codes);
  }
  const double left = (X - learned.dictionary * codes).template cast<double>().squaredNorm();
  point.reg.push_back(learned.reg);
  point.objective.push_back(objective);
  point.explained.push_back(1 - left / X.template cast<double>().squaredNorm());
  point.n_nonzero.push_back(static_cast<double>((codes.array() != T(0)).count()) / static_cast<double>(codes.cols()));
}

/// Mean over the pairs.
template <Scalar T>
double stability_of(const std::vector<Matrix<T>>& dictionaries) {
  double sum = 0;
  int n_pairs = 0;
  for (std::size_t b = 1; b < dictionaries.size(); ++b)
    for (std::size_t a = 0; a < b; ++a, ++n_pairs) sum += recovery_score<T>(dictionaries[b], dictionaries[a]);
  return n_pairs > 0 ? sum / n_pairs : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

template <Scalar T>
std::vector<ValidationPoint> validation_curve(const NonDeduced<ConstMatrixRef<T>>& X, const std::vector<Index>& n_atoms,
                                              const std::vector<Reg>& regs, const ValidationCurveOptions& options,
                                              const std::function<Action(const ValidationPoint&)>& observer) {
  options.validate();
  const StopScope scope(options.learn.execution);
  const bool takes_reg = parts_of(options.learn.method).codes != CodesBy::pursuit;
  require(!n_atoms.empty(), "validation_curve: n_atoms is empty; give one number at least");
  require(!takes_reg || !regs.empty(), "validation_curve: reg is empty; give one weight at least");
  require(takes_reg || regs.empty(), "validation_curve: method '{}' takes n_nonzero, the atoms of a code, and no reg",
          to_string(options.learn.method));
  require(X.cols() > 0 && X.rows() > 0, "validation_curve: X holds no signals");
  require_in_range<T>("validation_curve", "X", X);
  const BatchOrder order(X.cols(), {.validation = options.validation, .seed = options.learn.seed});
  const Matrix<T> seen = chosen_signals<T>(X, order.trained_on()), unseen = chosen_signals<T>(X, order.held_out());
  std::vector<std::optional<Reg>> weights(regs.begin(), regs.end());
  if (!takes_reg) weights.emplace_back();
  std::vector<ValidationPoint> points;
  for (const Index m : n_atoms)
    for (const std::optional<Reg>& weight : weights) {
      ValidationPoint point{.n_atoms = m};
      std::vector<Matrix<T>> dictionaries;
      for (int run = 0; run < options.n_runs; ++run) {
        LearnOptions learn = options.learn;
        learn.seed += static_cast<std::uint64_t>(run);
        LearnResult<T> learned = learn_dictionary<T>(Batch<T>(seen), m, weight, learn);
        leave_if_stopped();
        judge<T>(unseen, learned, learn, point);
        dictionaries.push_back(std::move(learned.dictionary));
      }
      point.stability = stability_of<T>(dictionaries);
      points.push_back(std::move(point));
      if (observer && observer(points.back()) == Action::stop) return points;
    }
  return points;
}

#define RIATA_INSTANTIATE(T)                                                                                        \
  template std::vector<ValidationPoint> validation_curve<T>(const ConstMatrixRef<T>&, const std::vector<Index>&,    \
                                                            const std::vector<Reg>&, const ValidationCurveOptions&, \
                                                            const std::function<Action(const ValidationPoint&)>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
