#include "riata/learning/learn_dictionary.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/activation_direction.hpp"
#include "riata/learning/admm_direction.hpp"
#include "riata/learning/decided.hpp"
#include "riata/learning/kernel_atoms.hpp"
#include "riata/learning/pattern_atoms.hpp"
#include "riata/learning/pattern_pursuit_direction.hpp"
#include "riata/learning/pursuit_direction.hpp"
#include "riata/operators/units.hpp"
#include "riata/optim/adam.hpp"
#include "riata/optim/admm.hpp"
#include "riata/optim/block_coordinate.hpp"
#include "riata/optim/fixed_step.hpp"
#include "riata/optim/ksvd.hpp"
#include "riata/optim/least_squares.hpp"
#include "riata/optim/line_search.hpp"
#include "riata/optim/pattern_descent.hpp"
#include "riata/optim/pattern_ksvd.hpp"
#include "riata/optim/stochastic_line_search.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/terms/penalty.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {
namespace {

/// Those that are not held out.
Index n_trained_on(const LearnOptions& o, Index n_signals) {
  return n_signals - static_cast<Index>(std::lround(o.validation * static_cast<double>(n_signals)));
}

/// Signals of a mini-batch: statistics remember what one lacks, steps do not.
Index batch_size_of(const LearnOptions& o, Index n_signals) {
  return o.batch_size.value_or(std::min<Index>(parts_of(o.method).moves == MovesBy::statistics ? 500 : 2000, n_signals));
}

Layers algorithm_of(const LearnOptions& o) { return parts_of(o.method).moves == MovesBy::adam ? Layers::ista : o.algorithm; }

bool has_hard_threshold(const LearnOptions& o) {
  return parts_of(o.method).codes == CodesBy::hard_thresholding || o.threshold == Threshold::hard;
}

}  // namespace

Loss loss_of(const LearnOptions& o) {
  const bool is_lasso =
      parts_of(o.method).codes != CodesBy::pursuit && !has_hard_threshold(o) && o.method != LearningMethod::pudle_ls;
  return is_lasso ? o.loss : Loss::least_squares;
}

void LearnOptions::validate() const {
  check_options(*this);
  const auto [codes, moves, batches] = parts_of(method);
  const std::string_view name = to_string(method);
  const bool is_pudle = moves == MovesBy::adam, has_step = is_pudle || moves == MovesBy::fixed_step,
             is_exact = codes == CodesBy::exact, is_pursuit = codes == CodesBy::pursuit;
  require(method == LearningMethod::truncated || !backprop, "backprop is for method 'truncated' alone");
  require(batches != BatchesOf::all || (!batch_size && validation == 0),
          "batch_size and validation are for methods that take mini-batches, not for '{}'", name);
  require(is_pursuit || !n_nonzero, "n_nonzero is for 'mod', 'ksvd' and 'aksvd', not for '{}'", name);
  require(!is_pursuit || n_nonzero, "method '{}' needs n_nonzero, the atoms of a code", name);
  require(!is_pursuit || penalty == PenaltyOptions{.positive = penalty.positive},
          "method '{}' has no penalty, and its codes any sign", name);
  require(!is_pursuit || constraint != Constraint::non_negative, "method '{}' has atoms of any sign", name);
  require(shuffle || batches != BatchesOf::all, "shuffle is for methods that take mini-batches, not for '{}'", name);
  require(shuffle || validation == 0, "shuffle = false takes all signals in their order, and holds none out for validation");
  require(least_gain == 0 || validation > 0, "least_gain is for signals held out; give validation");
  require(is_pudle || threshold == Threshold::soft, "threshold is for the methods 'pudle_*', not for '{}'", name);
  require(has_step || (!step && !learning_rate), "step and learning_rate are for 'pudle_*', 'noodl' and 'arora*', not for '{}'",
          name);
  require(is_pudle || method == LearningMethod::noodl || !step, "step is that of the codes, which '{}' finds without one", name);
  require(is_pudle || !eps, "eps is for the methods 'pudle_*', not for '{}'", name);
  require(threshold == Threshold::decay || (!decay && !decay_every), "decay and decay_every are for threshold = 'decay'");
  require(lipschitz_bound == LipschitzBound::spectral || !step, "step and lipschitz_bound = 'frobenius' exclude each other");
  require(moves == MovesBy::fixed_step || !least_code, "least_code is for the methods 'noodl' and 'arora*', not for '{}'", name);
  require(loss == Loss::lasso || !(has_step || is_pursuit), "loss: method '{}' has its own", name);
  require(threshold != Threshold::hard || method != LearningMethod::pudle_lasso,
          "threshold = 'hard' has no lasso loss; choose 'pudle_ls' or 'pudle_dec'");
  require(!has_hard_threshold(*this) || penalty == PenaltyOptions{},
          "hard thresholds are for the penalty 'l1' without positive and weights");
  require(moves == MovesBy::statistics || !forgetting, "forgetting is for method 'online' alone");
  require(is_exact || !coder_tol, "coder_tol is for methods of exact codes, 'alternating_exact' and 'online', not for '{}'",
          name);
  require(method != LearningMethod::truncated || backprop, "method 'truncated' needs backprop, the layers to keep");
  kept_layers(backprop, n_layers);
  require(!learn_steps || method == LearningMethod::unrolled || method == LearningMethod::truncated ||
              method == LearningMethod::stochastic,
          "learn_steps needs a method that differentiates layers ('unrolled', 'truncated' or 'stochastic')");
  require(!learn_steps || batches == BatchesOf::all || max_iter >= 3,
          "max_iter = {}, must be >= 3 with learn_steps, which has its last third", max_iter);
  require(!learn_steps || penalty.kind == PenaltyKind::l1 || penalty.kind == PenaltyKind::group,
          "learn_steps is for the penalties 'l1' and 'group', not for '{}'", to_string(penalty.kind));
  require(loss == Loss::lasso || !(is_exact || codes == CodesBy::admm),
          "loss = 'least_squares' needs unrolled layers; '{}' minimises the lasso loss", name);
  checkpoint_of(*this).validate();
}

namespace {

/// What a run needs to know of its signals beside its batches of them.
template <Scalar T>
struct Signals {
  Index n;
  Batch<T> some;                                 ///< all of those in memory; of others those that resolve_run_reg would draw
  std::shared_ptr<SignalSource<T>> source = {};  ///< null of those in memory
};

/// Of the iterations on mini-batches with learn_steps, which no tol ends: 10 of 15 epochs of Malezieux et al.
int share_before_steps(int max_iter) { return max_iter - max_iter / 3; }

/// Everything that decides the iterates; limits (max_iter but where steps are learned on mini-batches, tol, max_time) and threads
/// may change between runs.
template <Scalar T>
std::string fingerprint(const Signals<T>& signals, const Dictionary<T>& init, std::optional<double> reg, const LearnOptions& o) {
  const Batch<T>& batch = signals.some;
  const ConstMatrixRef<T>& X = batch.X;
  nlohmann::json all = decided_by(o);
  all.update({{"dtype", sizeof(T) == 4 ? "float32" : "float64"},
              {"signals", signals.n},
              {"signals_hash", hash_of<T>(X)},
              {"init_hash", hash_of_all<T>(init.parameters())},
              {"n_atoms", init.n_atoms()},
              {"n_features", init.signal_size()}});
  if (reg) all["reg"] = *reg;
  if (o.learn_steps && parts_of(o.method).batches != BatchesOf::all)
    all["iterations_before_steps"] = share_before_steps(o.max_iter);
  if (!init.matrix()) {
    all["map_hash"] = hash_of_map(init);
    for (const auto& [name, values] : init.parameters()) all["parameters"][name] = {values.cols(), values.rows()};
  }
  if (batch.is_weighted()) all["mask_hash"] = hash_of<T>(*batch.weights);
  const PenaltyOptions& penalty = o.penalty;
  if (penalty.kind == PenaltyKind::elastic_net) all["l1_ratio"] = penalty.l1_ratio.value_or(0.5);
  if (penalty.kind == PenaltyKind::own) all["own_penalty"] = std::get<std::shared_ptr<const OwnPenalty<T>>>(penalty.own)->name();
  return all.dump();
}

/// Sums of squares over many signals must be numbers, for methods that make them.
template <Scalar T>
void require_summable(const NonDeduced<ConstMatrixRef<T>>& X, LearningMethod method) {
  const auto [codes, moves, batches] = parts_of(method);
  if (codes != CodesBy::pursuit && codes != CodesBy::admm && moves != MovesBy::statistics) return;
  constexpr double most = sizeof(T) == 4 ? 1e14 : 1e140;
  const double largest = static_cast<double>(largest_entry<T>(X));
  require(largest <= most || !std::isfinite(largest),  // which another sentence says
          "learn_dictionary: the largest entry of X is {:.2g}, must be at most {:.0e} for method '{}'; choose another unit",
          largest, most, to_string(method));
}

template <Scalar T>
void require_learnable(const ConstMatrixRef<T>& X, LearningMethod method) {
  require(X.cols() > 0 && X.rows() > 0, "learn_dictionary: X holds no signals");
  require_in_range<T>("learn_dictionary", "X", X);
  require_squares<T>("learn_dictionary", X);
  require_summable<T>(X, method);
}

/// `signal` gives one by its number.
template <Scalar T>
Matrix<T> initial_dictionary(Index n_features, Index n_signals, const std::function<Vector<T>(Index)>& signal, Index n_atoms,
                             const LearnOptions& options) {
  require(n_atoms >= 1, "n_atoms = {}, must be >= 1", n_atoms);
  require(n_atoms <= (Index{1} << 40) / n_features, "n_atoms = {} with {} features does not fit in memory", n_atoms, n_features);
  const bool any_sign = options.constraint != Constraint::non_negative;
  if (options.init == Init::dct) return datasets::dct_dictionary<T>(n_features, n_atoms);
  Matrix<T> D = datasets::gaussian_dictionary<T>(n_features, n_atoms, options.seed);
  if (!any_sign) D = D.cwiseAbs().eval();
  if (options.init == Init::random) return D;
  // Random signals, distinct while there are enough; zero signals leave the random atom in place.
  RandomStream random(options.seed, 100);
  const auto order = random.choose(n_signals, std::min(n_signals, n_atoms));
  for (Index j = 0; j < n_atoms; ++j) {
    const Vector<T> x = signal(j < std::ssize(order) ? order[static_cast<std::size_t>(j)]
                                                     : static_cast<Index>(random.below(static_cast<std::uint64_t>(n_signals))));
    if (any_sign ? !x.isZero(0) : (x.array() > 0).any()) D.col(j) = x.stableNormalized();
  }
  return D;
}

DecaySchedule decay_of(const LearnOptions& o) {
  return o.threshold == Threshold::decay ? DecaySchedule{.drop = o.decay.value_or(0.005), .every = o.decay_every.value_or(100)}
                                         : DecaySchedule{};
}

/// D where exact codes are those of patterns, of which lagged correlations are the statistics.
template <Scalar T>
const ConvolutionalDictionary<T>* as_patterns(const Dictionary<T>& D) {
  const auto* const patterns = dynamic_cast<const ConvolutionalDictionary<T>*>(&D);
  return patterns != nullptr && patterns->shape().boundary == Boundary::valid ? patterns : nullptr;
}

/// D where its atoms are kernels in pictures.
template <Scalar T>
const ConvolutionalDictionary2D<T>* as_kernels(const Dictionary<T>& D) {
  return dynamic_cast<const ConvolutionalDictionary2D<T>*>(&D);
}

ConvPursuitOptions pursuit_of(const LearnOptions& o) {
  return {.n_nonzero = *o.n_nonzero, .positive = o.penalty.positive, .execution = {.n_threads = o.execution.n_threads}};
}

template <Scalar T>
std::unique_ptr<Direction<T>> make_direction(const Dictionary<T>& D, std::optional<double> weight, const LearnOptions& o) {
  const auto [codes, moves, batches] = parts_of(o.method);
  if (const auto* const patterns = as_patterns(D); patterns != nullptr && codes == CodesBy::pursuit)
    return std::make_unique<PatternPursuitDirection<T>>(*patterns, pursuit_of(o), o.reduction);
  if (codes == CodesBy::pursuit) return std::make_unique<PursuitDirection<T>>(D, *o.n_nonzero, o.reduction);
  const double reg = *weight;
  if (codes == CodesBy::exact) {
    const bool change = batches == BatchesOf::some;
    if (const auto* const patterns = as_patterns(D))
      return std::make_unique<ActivationDirection<T>>(
          *patterns, reg, ConvEncodeOptions{.tol = o.coder_tol.value_or(change ? 1e-2 : 1e-4), .positive = o.penalty.positive},
          o.reduction);
    const double tol = change ? 1e-2 : as_kernels(D) != nullptr ? 1e-4 : 1e-8;
    return std::make_unique<ExactDirection<T>>(D, reg, EncodeOptions{.tol = o.coder_tol.value_or(tol), .penalty = o.penalty},
                                               o.reduction, change ? CodesOf::changing_batches : CodesOf::one_batch);
  }
  if (codes == CodesBy::admm) return std::make_unique<AdmmDirection<T>>(D, reg, o.penalty, o.reduction);
  if (codes == CodesBy::hard_thresholding)
    return std::make_unique<NoodlDirection<T>>(D, NoodlOptions{.threshold = reg,
                                                               .least_code = o.least_code,
                                                               .step = o.step,
                                                               .n_layers = o.method == LearningMethod::noodl ? o.n_layers : 0,
                                                               .unbiased = o.method == LearningMethod::arora_unbiased,
                                                               .reduction = o.reduction});
  std::optional<int> backprop = o.backprop;
  if (o.method == LearningMethod::alternating || o.method == LearningMethod::pudle_dec) backprop = 0;
  const bool hard = o.threshold == Threshold::hard;
  return std::make_unique<UnrolledDirection<T>>(
      D, reg,
      UnrolledDirectionOptions{.network = {.n_layers = o.n_layers,
                                           .algorithm = algorithm_of(o),
                                           .return_extrapolated = o.return_extrapolated,
                                           .penalty = o.penalty},
                               .loss = loss_of(o),
                               .reduction = o.reduction,
                               .backprop = backprop,
                               .scale_by_usage = as_kernels(D) != nullptr && moves == MovesBy::line_search,
                               .lipschitz_bound = o.lipschitz_bound,
                               .step = o.step,
                               .hard_threshold = hard ? std::optional(reg) : std::nullopt,
                               .decay = decay_of(o)});
}

template <Scalar T>
std::unique_ptr<Sampler<T>> make_sampler(const Signals<T>& signals, const LearnOptions& o) {
  const BatchesOf batches = parts_of(o.method).batches;
  if (batches == BatchesOf::all) return std::make_unique<FullBatch<T>>(signals.some);
  MiniBatchOptions options{.batch_size = o.batch_size, .validation = o.validation, .shuffle = o.shuffle, .seed = o.seed};
  if (batches == BatchesOf::some) options.batch_size = batch_size_of(o, n_trained_on(o, signals.n));
  if (signals.source) return std::make_unique<StreamBatches<T>>(signals.source, options);
  return std::make_unique<MiniBatches<T>>(signals.some, options);
}

template <Scalar T>
std::unique_ptr<Update<T>> make_update(const Dictionary<T>& D, Index n_all, const LearnOptions& o) {
  const Index n_signals = n_trained_on(o, n_all);
  const auto [codes, moves, batches] = parts_of(o.method);
  if (const auto* const patterns = as_patterns(D); patterns != nullptr && codes == CodesBy::exact)
    return std::make_unique<PatternDescent<T>>(
        *patterns, moves == MovesBy::statistics ? std::optional(o.forgetting.value_or(10)) : std::nullopt);
  if (const auto* const patterns = as_patterns(D); patterns != nullptr && moves == MovesBy::rank_one)
    return std::make_unique<PatternKSvd<T>>(*patterns, o.penalty.positive);
  switch (moves) {
    case MovesBy::line_search:
      return std::make_unique<LineSearch<T>>(LineSearchOptions{.first = 64});
    case MovesBy::stochastic_line_search: {
      const Index size = batch_size_of(o, n_signals);
      return std::make_unique<StochasticLineSearch<T>>(StochasticLineSearchOptions{
          .slope = std::min(10.0 / static_cast<double>(size), 0.5), .per_epoch = std::max<Index>(1, n_signals / size)});
    }
    case MovesBy::statistics:
      return std::make_unique<BlockCoordinate<T>>(
          BlockCoordinateOptions{.forgetting = o.forgetting.value_or(10), .constraint = o.constraint});
    case MovesBy::adam: {
      std::optional<double> eps = o.eps;  // of the gradient of means
      if (eps && o.reduction == Reduction::sum) *eps *= static_cast<double>(o.batch_size.value_or(n_signals));
      return std::make_unique<Adam<T>>(AdamOptions{.rate = o.learning_rate.value_or(1e-3), .eps = eps});
    }
    case MovesBy::fixed_step:
      return std::make_unique<FixedStep<T>>(o.learning_rate.value_or(o.method == LearningMethod::noodl ? 0.5 : 0.05));
    case MovesBy::least_squares:
      return std::make_unique<LeastSquares<T>>();
    case MovesBy::multipliers:
      return std::make_unique<Admm<T>>();
    case MovesBy::rank_one:
      return std::make_unique<KSvd<T>>(o.method == LearningMethod::ksvd ? RankOne::best : RankOne::alternation);
  }
  return {};
}

/// Refuses stored parameters off the dictionary's constraint, and atoms on the sphere that are zero.
template <Scalar T>
void check_parameters(const Dictionary<T>& D, const Parameters<T>& stored, Constraint constraint, const std::string& where) {
  Parameters<T> projected = stored;
  D.project(projected);
  const T rounding = std::sqrt(Eigen::NumTraits<T>::epsilon());
  for (const auto& [name, values] : D.parameters()) {
    const Matrix<T>&own = stored.at(name), &expected = projected.at(name);
    bool holds = true;
    for (Index j = 0; j < own.cols(); ++j)
      holds = holds && (own.col(j) - expected.col(j)).stableNorm() <= rounding * expected.col(j).stableNorm();
    if (D.matrix() && constraint == Constraint::unit_sphere) holds = holds && own.colwise().norm().minCoeff() > T(0);
    require(holds, "{}{}' holds an atom that violates the constraint", where, name);
  }
}

/// Of patterns, which D is.
template <Scalar T>
AtomReplacement<T> replacement_of(const std::shared_ptr<const Dictionary<T>>& D, const std::optional<double>& reg,
                                  const LearnOptions& o) {
  const auto code = [reg, o](const ConstMatrixRef<T>& X, const ConvolutionalDictionary<T>& patterns) -> Matrix<T> {
    if (!reg) return conv_pursuit<T>(X, patterns, pursuit_of(o));
    return conv_encode<T>(X, patterns, *reg,
                          {.tol = 1e-2, .positive = o.penalty.positive, .execution = {.n_threads = o.execution.n_threads}})
        .codes;
  };
  const auto put = [D, code](Parameters<T>& at, const std::vector<bool>& unused, const Batch<T>& batch, Index iteration) {
    constexpr Index between = AtomPolicy().check_every;
    return mend_patterns<T>(at, dynamic_cast<const ConvolutionalDictionary<T>&>(*D), unused, batch, iteration / between, code);
  };
  return {.parameter = dynamic_cast<const ConvolutionalDictionary<T>&>(*D).is_rank_one() ? "v" : "kernels", .put = put};
}

/// Of kernels, which D is.
template <Scalar T>
AtomReplacement<T> kernel_replacement_of(const std::shared_ptr<const Dictionary<T>>& D, double reg, const LearnOptions& o) {
  const auto put = [D, reg, o](Parameters<T>& at, const std::vector<bool>& unused, const Batch<T>& batch, Index iteration) {
    constexpr int n_layers = 30;
    const auto code = [&](const Batch<T>& X, const Dictionary<T>& kernels) {
      return unrolled_encode<T>(X, kernels, reg,
                                {.n_layers = n_layers, .penalty = o.penalty, .execution = {.n_threads = o.execution.n_threads}});
    };
    const Index call = iteration / AtomPolicy().check_every;
    return mend_kernels<T>(at, dynamic_cast<const ConvolutionalDictionary2D<T>&>(*D), unused, batch, call, code);
  };
  return {.parameter = "kernels", .put = put};
}

/// A run that may begin, and what its result needs to say.
template <Scalar T>
struct Prepared {
  std::shared_ptr<const Dictionary<T>> D;
  double reg;  // NaN: none
  bool has_atoms;
  std::unique_ptr<Run<T>> run;
};

template <Scalar T>
Prepared<T> prepare(const Signals<T>& signals, const Dictionary<T>& init, const std::optional<Reg>& weight, const LearnOptions& o,
                    std::unique_ptr<Sampler<T>> sampler, Checkpoint checkpoint) {
  const auto [codes, moves, batches] = parts_of(o.method);
  Parameters<T> parameters = init.parameters();
  init.project(parameters);
  const std::shared_ptr<const Dictionary<T>> D = init.at(parameters);
  with_penalty<T>(o.penalty, *D, [](const auto&) {});  // or it is refused here
  const bool has_atoms = D->matrix() && parameters.contains("dictionary");
  std::optional<double> reg;
  if (weight) reg = resolve_run_reg<T>(*weight, signals.some, *D, o.penalty, o.seed, o.execution);
  if (!o.checkpoint.empty()) checkpoint.fingerprint = fingerprint<T>(signals, *D, reg, o);
  Phase first;
  for (const auto& [name, values] : parameters) first.moves.insert(name);
  if (codes == CodesBy::layers) parameters["steps"] = Matrix<T>::Ones(o.n_layers, 1);
  std::vector<Phase> phases{first};
  if (o.learn_steps) {
    phases.push_back(first);
    phases.back().moves.insert("steps");
    if (batches != BatchesOf::all) phases.front().max_iter = share_before_steps(o.max_iter);
  }
  const ConvolutionalDictionary<T>* const patterns = as_patterns(*D);
  const bool has_kernels = as_kernels(*D) != nullptr && reg.has_value();
  AtomReplacement<T> replacement;
  if (patterns != nullptr)
    replacement = replacement_of<T>(D, reg, o);
  else if (has_kernels)
    replacement = kernel_replacement_of<T>(D, *reg, o);
  const bool by_activations = patterns != nullptr && (codes == CodesBy::exact || o.method == LearningMethod::ksvd);
  require(by_activations || codes != CodesBy::pursuit || !o.penalty.positive,
          "method '{}' has no penalty, and its codes any sign", to_string(o.method));
  require(!by_activations || o.penalty == PenaltyOptions{.positive = o.penalty.positive},
          "method '{}' of patterns has the penalty 'l1', of one weight and perhaps positive", to_string(o.method));
  const bool needs_atoms = !by_activations && (codes == CodesBy::pursuit || codes == CodesBy::admm ||
                                               moves == MovesBy::statistics || moves == MovesBy::fixed_step);
  require(!needs_atoms || has_atoms, "method '{}' needs a dictionary that is a matrix", to_string(o.method));
  require(!(needs_atoms || by_activations) || !signals.some.is_weighted(),
          "method '{}' takes no mask; choose one by gradients: 'unrolled', 'stochastic', 'pudle_lasso'", to_string(o.method));
  auto run = std::make_unique<Run<T>>(
      std::move(sampler), make_direction<T>(*D, reg, o), make_update<T>(*D, signals.n, o), std::move(phases),
      std::move(parameters),
      RunOptions<T>{
          .max_iter = o.max_iter,
          .tol = o.tol,
          .max_time = o.max_time,
          .project = [D](Parameters<T>& p) { D->project(p); },
          .make_tangent = [D](const Parameters<T>& at, Parameters<T>& g) { D->make_tangent(at, g); },
          .check = [D, constraint = o.constraint](const Parameters<T>& p,
                                                  const std::string& where) { check_parameters(*D, p, constraint, where); },
          .atoms = {.replace = o.replace_atoms && (has_atoms || patterns != nullptr || has_kernels),
                    .non_negative = o.constraint == Constraint::non_negative,
                    .seed = o.seed},
          .replacement = std::move(replacement),
          .validation = {.patience = 10 * o.max_no_improvement, .least_gain = o.least_gain},
          .checkpoint = std::move(checkpoint),
          .execution = o.execution});
  return {D, reg.value_or(std::numeric_limits<double>::quiet_NaN()), has_atoms, std::move(run)};
}

template <Scalar T>
LearnResult<T> result_of(const Prepared<T>& prepared, RunResult<T> learned, const LearnOptions& o) {
  LearnResult<T> result{.dictionary = {},
                        .parameters = std::move(learned.parameters),
                        .steps = {},
                        .history = std::move(learned.history),
                        .initial_value = learned.initial_value,
                        .reg = prepared.reg,
                        .n_nonzero = o.n_nonzero,
                        .algorithm = parts_of(o.method).codes == CodesBy::layers ? std::optional(algorithm_of(o)) : std::nullopt,
                        .has_hard_threshold = has_hard_threshold(o),
                        .n_replaced = learned.n_replaced,
                        .status = learned.status};
  if (const auto steps = result.parameters.extract("steps"))
    result.steps.assign(steps.mapped().data(), steps.mapped().data() + steps.mapped().size());
  if (prepared.has_atoms) result.dictionary = std::move(result.parameters.extract("dictionary").mapped());
  return result;
}

void require_reg_or_atoms(const std::optional<Reg>& weight, const LearnOptions& o) {
  const bool is_pursuit = parts_of(o.method).codes == CodesBy::pursuit;
  require(weight || is_pursuit, "reg is missing: method '{}' needs it, as a number or a fraction such as 0.1max",
          to_string(o.method));
  require(!weight || !is_pursuit, "method '{}' takes n_nonzero, the atoms of a code, and no reg", to_string(o.method));
}

template <Scalar T>
LearnResult<T> learn(const Signals<T>& signals, const Dictionary<T>& init, const std::optional<Reg>& weight,
                     const LearnOptions& o, const Observer& observer) {
  require_reg_or_atoms(weight, o);
  Checkpoint checkpoint = checkpoint_of(o);
  const ResumedKernels kernels(checkpoint);
  const Prepared<T> prepared = prepare<T>(signals, init, weight, o, make_sampler<T>(signals, o), std::move(checkpoint));
  Run<T>& run = *prepared.run;
  RunResult<T> learned = run.fit(observer);
  if (learned.best_value) {  // it was looked at last some iterations ago
    const Question<T> last{.at = learned.parameters, .look = Look::held_out, .iteration = std::ssize(learned.history.value)};
    if (!(run.answer(last, {.n_threads = o.execution.n_threads}).value < *learned.best_value))
      learned.parameters = std::move(learned.best);
  }
  return result_of<T>(prepared, std::move(learned), o);
}

/// Whatever batch it was given last.
template <Scalar T>
class GivenBatch final : public Sampler<T> {
 public:
  void give(const ConstMatrixRef<T>& X) { X_ = X; }
  Sample<T> batch(Index) override { return {Batch<T>(X_)}; }

 private:
  Matrix<T> X_;
};

template <Scalar T>
void require_atoms(const Matrix<T>& init) {
  for (Index j = 0; j < init.cols(); ++j)
    require(!init.col(j).isZero(0), "learn_dictionary: atom {} of init is zero; expected atoms with a direction", j);
}

/// Takes its mean from each signal, summed in an order that does not depend on where it lies, as Eigen's does.
template <Scalar T>
void centre_signals(MatrixRef<T> X) {
  for (Index i = 0; i < X.cols(); ++i) {
    double sum = 0;
    for (Index k = 0; k < X.rows(); ++k) sum += static_cast<double>(X(k, i));
    X.col(i).array() -= static_cast<T>(sum / static_cast<double>(X.rows()));
  }
}

/// Without the mean of each signal, of what was seen of it.
template <Scalar T>
Matrix<T> centred(const SeenBatch<T>& seen) {
  Matrix<T> X = seen.X();
  if (!seen.is_weighted()) {
    centre_signals<T>(X);
    return X;
  }
  const Matrix<T> W = seen.weights(0, X.cols());
  for (Index i = 0; i < X.cols(); ++i)
    if (const T sum = W.col(i).sum(); sum > T(0)) {
      const T mean = W.col(i).dot(X.col(i)) / sum;
      X.col(i) = (W.col(i).array() == T(0)).select(T(0), X.col(i).array() - mean).matrix();
    }
  return X;
}

template <Scalar T>
LearnResult<T> learn_from(const Batch<T>& batch, const std::optional<Reg>& reg, const LearnOptions& options,
                          const Observer& observer, const auto& make_init) {
  options.validate();
  const StopScope scope(options.execution);
  const SeenBatch<T> seen("learn_dictionary", batch);
  require_learnable<T>(seen.X(), options.method);
  const Matrix<T> without_means = options.centre ? centred(seen) : Matrix<T>();
  const ConstMatrixRef<T> X = options.centre ? ConstMatrixRef<T>(without_means) : ConstMatrixRef<T>(seen.X());
  const std::unique_ptr<const Dictionary<T>> init = make_init(X);
  const Batch<T> seen_signals = seen.is_weighted() ? Batch<T>(X, *batch.weights) : Batch<T>(X);
  return learn<T>({.n = X.cols(), .some = seen_signals}, *init, reg, options, observer);
}

/// Signals as the options want them.
template <Scalar T>
class ForLearning final : public SignalSource<T> {
 public:
  ForLearning(std::shared_ptr<SignalSource<T>> signals, const LearnOptions& o)
      : signals_(std::move(signals)), method_(o.method), centre_(o.centre) {}
  Index n_features() const override { return signals_->n_features(); }
  Index n_signals() const override { return signals_->n_signals(); }
  void read(Index first, MatrixRef<T> out) override {
    signals_->read(first, out);
    require_summable<T>(out, method_);
    if (centre_) centre_signals<T>(out);
  }
  void announce(Index first, Index n) override { signals_->announce(first, n); }

 private:
  std::shared_ptr<SignalSource<T>> signals_;
  LearningMethod method_;
  bool centre_;
};

template <Scalar T>
LearnResult<T> learn_from_source(std::shared_ptr<SignalSource<T>> source, const std::optional<Reg>& reg,
                                 const LearnOptions& options, const Observer& observer, const auto& make_init) {
  require(source != nullptr, "learn_dictionary: X holds no signals");
  options.validate();
  const StopScope scope(options.execution);
  const BatchesOf batches = parts_of(options.method).batches;
  require(batches != BatchesOf::all,
          "method '{}' holds all signals in memory; of a stream learn by 'online', 'stochastic' or another on mini-batches",
          to_string(options.method));
  require(batches == BatchesOf::some || options.batch_size,
          "method '{}' on a stream needs batch_size, the signals that it holds at once", to_string(options.method));
  source = std::make_shared<ForLearning<T>>(std::move(source), options);
  const Index n = source->n_signals();
  std::vector<SignalRange> drawn;
  for (const Index i : drawn_for_reg(n, options.seed)) drawn.push_back({i, 1});
  // To know the signals by, where reg needs none.
  const auto few =
      static_cast<std::size_t>(std::clamp<Index>((Index{1} << 22) / std::max<Index>(1, source->n_features()), 1, 100));
  if (!reg || !std::holds_alternative<Reg::FractionOfMax>(reg->value())) drawn.resize(std::min(drawn.size(), few));
  const Matrix<T> some = read_signals(*source, drawn);
  require_learnable<T>(some, options.method);
  const auto signal = [&](Index i) -> Vector<T> { return read_signals(*source, {{i, 1}}); };
  const std::unique_ptr<const Dictionary<T>> init = make_init(source->n_features(), n, signal);
  return learn<T>({.n = n, .some = Batch<T>(some), .source = source}, *init, reg, options, observer);
}

/// Atoms that the constraint leaves nothing of have no direction either.
template <Scalar T>
std::unique_ptr<const Dictionary<T>> given_atoms(const ConstMatrixRef<T>& init, Index n_features, Constraint constraint) {
  require(init.rows() == n_features, "learn_dictionary: init has {} features but the signals have {}; they must be equal",
          init.rows(), n_features);
  require(init.cols() >= 1, "learn_dictionary: init holds no atoms");
  require_finite("learn_dictionary", "init", init, of_atoms);
  require_atoms<T>(init);
  for (Index j = 0; j < init.cols(); ++j)
    require(constraint != Constraint::non_negative || (init.col(j).array() > T(0)).any(),
            "learn_dictionary: atom {} of init has no entry above zero, which constraint = 'non_negative' asks for", j);
  return std::make_unique<DenseDictionary<T>>(init, constraint);
}

}  // namespace

template <Scalar T>
LearnResult<T> learn_dictionary(const Batch<T>& X, Index n_atoms, const std::optional<Reg>& reg, const LearnOptions& options,
                                const Observer& observer) {
  return learn_from<T>(X, reg, options, observer, [&](const ConstMatrixRef<T>& signals) {
    const auto signal = [&](Index i) -> Vector<T> { return signals.col(i); };
    return std::make_unique<DenseDictionary<T>>(initial_dictionary<T>(signals.rows(), signals.cols(), signal, n_atoms, options),
                                                options.constraint);
  });
}

template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, Index n_atoms, const std::optional<Reg>& reg,
                                const LearnOptions& options, const Observer& observer) {
  return learn_from_source<T>(X, reg, options, observer, [&](Index n_features, Index n_signals, const auto& signal) {
    return std::make_unique<DenseDictionary<T>>(initial_dictionary<T>(n_features, n_signals, signal, n_atoms, options),
                                                options.constraint);
  });
}

template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, const NonDeduced<ConstMatrixRef<T>>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options, const Observer& observer) {
  return learn_from_source<T>(X, reg, options, observer, [&](Index n_features, Index, const auto&) {
    return given_atoms<T>(init, n_features, options.constraint);
  });
}

template <Scalar T>
LearnResult<T> learn_dictionary(const NonDeduced<Batch<T>>& X, const NonDeduced<ConstMatrixRef<T>>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options, const Observer& observer) {
  return learn_from<T>(X, reg, options, observer, [&](const ConstMatrixRef<T>& signals) {
    return given_atoms<T>(init, signals.rows(), options.constraint);
  });
}

namespace {

/// Whether it has atoms, as a matrix that learns.
template <Scalar T>
bool require_parameters(const Dictionary<T>& init, const LearnOptions& options) {
  require(!options.centre, "learn_dictionary: centre is for a matrix of atoms; centre the signals, or leave it out");
  const Parameters<T> parameters = init.parameters();
  const bool has_atoms = init.matrix().has_value() && parameters.contains("dictionary");
  require(options.lipschitz_bound == LipschitzBound::spectral || init.matrix().has_value(),
          "learn_dictionary: lipschitz_bound = 'frobenius' needs a dictionary that is a matrix");
  require(!parameters.empty(), "learn_dictionary: init has no parameters to learn");
  require(!parameters.contains("steps"), "learn_dictionary: 'steps' names the layers' steps, not a parameter of init");
  require(has_atoms || !parameters.contains("dictionary"),
          "learn_dictionary: the parameter 'dictionary' names the atoms of a matrix, which init is not; name it otherwise");
  return has_atoms;
}

}  // namespace

template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, const Dictionary<T>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options, const Observer& observer) {
  require_parameters(init, options);
  return learn_from_source<T>(X, reg, options, observer, [&](Index n_features, Index, const auto&) {
    require(init.signal_size() == n_features,
            "learn_dictionary: init has {} features but the signals have {}; they must be equal", init.signal_size(), n_features);
    return std::unique_ptr<const Dictionary<T>>(init.at({}));
  });
}

template <Scalar T>
LearnResult<T> learn_dictionary(const NonDeduced<Batch<T>>& X, const Dictionary<T>& init, const std::optional<Reg>& reg,
                                const LearnOptions& options, const Observer& observer) {
  const bool has_atoms = require_parameters(init, options);
  LearnOptions own = options;
  if (const auto* dense = dynamic_cast<const DenseDictionary<T>*>(&init)) own.constraint = dense->constraint();
  return learn_from<T>(X, reg, own, observer, [&](const ConstMatrixRef<T>& signals) {
    require(init.signal_size() == signals.rows(),
            "learn_dictionary: init has {} features but the signals have {}; they must be equal", init.signal_size(),
            signals.rows());
    if (has_atoms) require_atoms<T>(*init.matrix());
    return init.at({});
  });
}

template <Scalar T>
struct DictionaryLearner<T>::Begun {
  GivenBatch<T>* batch;  // the run's
  Prepared<T> prepared;
  Index batch_size;  // of the first
};

template <Scalar T>
DictionaryLearner<T>::DictionaryLearner(Index n_atoms, const std::optional<Reg>& reg, const LearnOptions& options)
    : n_atoms_(n_atoms), reg_(reg), options_(options) {
  options_.validate();
  require_reg_or_atoms(reg_, options_);
  require(parts_of(options_.method).batches != BatchesOf::all, "partial_fit: method '{}' takes all signals at once",
          to_string(options_.method));
  require(!options_.learn_steps, "partial_fit: learn_steps is the second phase of a run, whose length the caller decides here");
  require(options_.checkpoint.empty() && options_.validation == 0 && !options_.batch_size && !options_.max_time,
          "partial_fit: checkpoint, validation, batch_size and max_time are the caller's");
  options_.max_iter = std::numeric_limits<int>::max();
}

template <Scalar T>
DictionaryLearner<T>::DictionaryLearner(const NonDeduced<ConstMatrixRef<T>>& init, const std::optional<Reg>& reg,
                                        const LearnOptions& options)
    : DictionaryLearner(init.cols(), reg, options) {
  init_ = init;
}

template <Scalar T>
DictionaryLearner<T>::DictionaryLearner(const Dictionary<T>& init, const std::optional<Reg>& reg, const LearnOptions& options)
    : DictionaryLearner(init.n_atoms(), reg, options) {
  require_parameters(init, options);
  map_ = init.at({});
}

template <Scalar T>
DictionaryLearner<T>::~DictionaryLearner() = default;
template <Scalar T>
DictionaryLearner<T>::DictionaryLearner(DictionaryLearner&&) noexcept = default;
template <Scalar T>
DictionaryLearner<T>& DictionaryLearner<T>::operator=(DictionaryLearner&&) noexcept = default;

template <Scalar T>
std::unique_ptr<typename DictionaryLearner<T>::Begun> DictionaryLearner<T>::make_begun(const Dictionary<T>& D,
                                                                                       const std::optional<Reg>& reg,
                                                                                       Index batch_size,
                                                                                       const Batch<T>& some) const {
  auto sampler = std::make_unique<GivenBatch<T>>();
  LearnOptions own = options_;
  own.batch_size = batch_size;
  GivenBatch<T>* const batch = sampler.get();
  return std::make_unique<Begun>(
      Begun{batch, prepare<T>({.n = batch_size, .some = some}, D, reg, own, std::move(sampler), {}), batch_size});
}

template <Scalar T>
void DictionaryLearner<T>::partial_fit(const NonDeduced<ConstMatrixRef<T>>& given) {
  const StopScope scope(options_.execution);
  require_learnable<T>(given, options_.method);
  Matrix<T> X = given;
  if (options_.centre) centre_signals<T>(X);
  const bool is_first = !begun_;
  if (is_first) {
    const auto signal = [&](Index i) -> Vector<T> { return X.col(i); };
    const bool has_init = init_.size() > 0;
    if (has_init) given_atoms<T>(init_, X.rows(), options_.constraint);  // or they are refused here
    const auto atoms = [&] { return has_init ? init_ : initial_dictionary<T>(X.rows(), X.cols(), signal, n_atoms_, options_); };
    require(!map_ || map_->signal_size() == X.rows(), "partial_fit: X has {} features but the dictionary {}; they must be equal",
            X.rows(), map_ ? map_->signal_size() : 0);
    begun_ = map_ ? make_begun(*map_, reg_, X.cols(), Batch<T>(X))
                  : make_begun(DenseDictionary<T>(atoms(), options_.constraint), reg_, X.cols(), Batch<T>(X));
  }
  Run<T>& run = *begun_->prepared.run;
  const Index n_features = begun_->prepared.D->signal_size();
  require(X.rows() == n_features, "partial_fit: X has {} features but had {} before; they must be equal", X.rows(), n_features);
  begun_->batch->give(X);
  try {
    do run.tell(run.answer(*run.question(), options_.execution));
    while (run.n_told() > 0);
  } catch (...) {
    if (is_first)
      begun_.reset();
    else
      run.drop();
    throw;
  }
}

template <Scalar T>
const Matrix<T>& DictionaryLearner<T>::dictionary() const {
  require(begun_ != nullptr, "partial_fit: nothing is learned yet");
  return begun_->prepared.run->so_far().parameters.at("dictionary");
}

template <Scalar T>
const Parameters<T>& DictionaryLearner<T>::parameters() const {
  require(begun_ != nullptr, "partial_fit: nothing is learned yet");
  return begun_->prepared.run->so_far().parameters;
}

template <Scalar T>
double DictionaryLearner<T>::reg() const {
  require(begun_ != nullptr, "partial_fit: nothing is learned yet");
  return begun_->prepared.reg;
}

template <Scalar T>
const History& DictionaryLearner<T>::history() const {
  require(begun_ != nullptr, "partial_fit: nothing is learned yet");
  return begun_->prepared.run->so_far().history;
}

template <Scalar T>
LearnResult<T> DictionaryLearner<T>::result() const {
  require(begun_ != nullptr, "partial_fit: nothing is learned yet");
  RunResult<T> so_far = begun_->prepared.run->so_far();
  so_far.status = Status::max_iter_reached;
  return result_of<T>(begun_->prepared, std::move(so_far), options_);
}

template <Scalar T>
NamedTensors DictionaryLearner<T>::state() const {
  if (!begun_) return {};
  NamedTensors tensors = begun_->prepared.run->state();
  tensors["learner.reg"] = to_tensor(std::vector<double>{begun_->prepared.reg});
  tensors["learner.batch_size"] = to_tensor(std::int64_t{begun_->batch_size});
  tensors["learner.method"] = to_tensor(static_cast<std::int64_t>(options_.method));
  return tensors;
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> DictionaryLearner<T>::stored_dictionary(const NamedTensors& state,
                                                                       const std::string& where) const {
  if (map_) {
    Parameters<T> parameters = map_->parameters();
    for (auto& [name, values] : parameters)
      values = stored_matrix<T>(state, "parameter." + name, values.rows(), values.cols(), where);
    return map_->at(parameters);
  }
  const Matrix<T> D = get_matrix<T>(state, "parameter.dictionary", where);
  require(D.cols() == n_atoms_ && (init_.size() == 0 || init_.rows() == D.rows()), "{}: it holds {} atoms, the learner has {}",
          where, D.cols(), n_atoms_);
  return std::make_unique<DenseDictionary<T>>(D, options_.constraint);
}

template <Scalar T>
void DictionaryLearner<T>::restore(const NamedTensors& state, const std::string& where) {
  if (state.empty()) {
    begun_.reset();
    return;
  }
  const std::unique_ptr<Dictionary<T>> D = stored_dictionary(state, where);
  const std::int64_t method = get_integer(state, "learner.method", where);
  require(method == static_cast<std::int64_t>(options_.method), "{}: it is that of another method than '{}'", where,
          to_string(options_.method));
  const double reg = stored_numbers(state, "learner.reg", 1, where)[0];
  require(std::isnan(reg) == !reg_.has_value() && (std::isnan(reg) || (reg > 0 && std::isfinite(reg))),
          "{}: tensor 'learner.reg' is damaged", where);
  const double* const own_reg = reg_ ? std::get_if<double>(&reg_->value()) : nullptr;
  require(own_reg == nullptr || *own_reg == reg, "{}: it was learned with reg = {}, the learner has {}", where, reg,
          own_reg == nullptr ? 0 : *own_reg);
  const Index batch_size = static_cast<Index>(stored_integer(state, "learner.batch_size", 1, std::int64_t{1} << 53, where));
  const Matrix<T> any = Matrix<T>::Zero(D->signal_size(), 1);  // the next call gives its own
  auto restored = make_begun(*D, reg_ ? std::optional<Reg>(reg) : std::nullopt, batch_size, Batch<T>(any));
  restored->batch->give(any);
  restored->prepared.run->restore(state, where);
  begun_ = std::move(restored);
}

template class DictionaryLearner<float>;
template class DictionaryLearner<double>;

#define RIATA_INSTANTIATE(T)                                                                                             \
  template LearnResult<T> learn_dictionary<T>(const std::shared_ptr<SignalSource<T>>&, Index, const std::optional<Reg>&, \
                                              const LearnOptions&, const Observer&);                                     \
  template LearnResult<T> learn_dictionary<T>(const std::shared_ptr<SignalSource<T>>&, const ConstMatrixRef<T>&,         \
                                              const std::optional<Reg>&, const LearnOptions&, const Observer&);          \
  template LearnResult<T> learn_dictionary<T>(const Batch<T>&, Index, const std::optional<Reg>&, const LearnOptions&,    \
                                              const Observer&);                                                          \
  template LearnResult<T> learn_dictionary<T>(const Batch<T>&, const ConstMatrixRef<T>&, const std::optional<Reg>&,      \
                                              const LearnOptions&, const Observer&);                                     \
  template LearnResult<T> learn_dictionary<T>(const std::shared_ptr<SignalSource<T>>&, const Dictionary<T>&,             \
                                              const std::optional<Reg>&, const LearnOptions&, const Observer&);          \
  template LearnResult<T> learn_dictionary<T>(const Batch<T>&, const Dictionary<T>&, const std::optional<Reg>&,          \
                                              const LearnOptions&, const Observer&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
