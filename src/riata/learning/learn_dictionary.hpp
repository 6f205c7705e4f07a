// Dictionary learning in one call:   min_{D in C}  (1/N) sum_i  loss( z_N(x_i, D), D )
//
// Presets of the run (run.hpp). Line search, phases and stopping rule: Malezieux, Moreau and Kowalski (2022).
#pragma once

#include <optional>
#include <string>

#include "riata/learning/run.hpp"
#include "riata/learning/signal_source.hpp"

namespace riata {

enum class LearningMethod {
  unrolled,           ///< gradient through all N layers: deep dictionary learning
  alternating,        ///< K = 0: the codes are a constant of the gradient, recomputed from zero by N layers at each step
  truncated,          ///< gradient through the last K layers
  alternating_exact,  ///< warm-started exact codes, held while the dictionary moves
  stochastic,         ///< gradient through all N layers, on mini-batches, each with a line search of its own
  online,             ///< statistics of exact codes of mini-batches, and atom after atom by them; Mairal et al. (2010)
  pudle_dec,          ///< PUDLE, Tolooshams and Ba (2021): layers of ISTA, and Adam by the gradient through none of them,
  pudle_lasso,        ///< through all, of the lasso loss,
  pudle_ls,           ///< through all, of least squares alone
  noodl,              ///< iterative hard thresholding, and fixed steps by the codes' signs; Rambhatla, Li and Haupt (2019)
  mod,                ///< codes of n_nonzero atoms, and all atoms by least squares; Engan, Aase and Husoy (1999)
  ksvd,               ///< codes of n_nonzero atoms, and atom after atom with its codes; Aharon, Elad and Bruckstein (2006)
  aksvd,              ///< approximate K-SVD; Rubinstein, Zibulevsky and Elad (2008)
  arora,              ///< NOODL without its iterations: codes are the correlations beyond reg; Arora, Ge, Ma and Moitra (2015)
  arora_unbiased,     ///< the same, coded anew for each atom without the others' part of it
  admm                ///< one step of ADMM for the codes of all signals, one for the atoms; Wohlberg (2016), SPORCO
};

/// What the layers of `pudle_*` do to small entries.
enum class Threshold {
  soft,  ///< shrink by reg / L
  hard,  ///< keep what is beyond reg, as it is
  decay  ///< shrink by beta^k reg / L in layer k, where beta falls as the run goes on
};
template <>
inline constexpr Name<Threshold> names<Threshold>[] = {
    {Threshold::soft, "soft"}, {Threshold::hard, "hard"}, {Threshold::decay, "decay"}};

/// Where a method's codes are from.
enum class CodesBy {
  layers,             ///< of ISTA or FISTA, unrolled
  exact,              ///< the lasso's, to a certificate
  pursuit,            ///< orthogonal matching pursuit
  hard_thresholding,  ///< iterative
  admm,               ///< those of its last step
};
/// What it does with them.
enum class MovesBy { line_search, stochastic_line_search, statistics, adam, fixed_step, least_squares, rank_one, multipliers };
/// The signals of an iteration.
enum class BatchesOf {
  all,
  some,
  all_unless_asked  ///< those of a batch if batch_size is given
};
struct MethodParts {
  CodesBy codes;
  MovesBy moves;
  BatchesOf batches;
};

/// A method is a row.
constexpr MethodParts parts_of(LearningMethod method) {
  using enum LearningMethod;
  using enum MovesBy;
  using enum BatchesOf;
  switch (method) {
    case unrolled:
    case alternating:
    case truncated:
      return {CodesBy::layers, line_search, all};
    case alternating_exact:
      return {CodesBy::exact, line_search, all};
    case stochastic:
      return {CodesBy::layers, stochastic_line_search, some};
    case online:
      return {CodesBy::exact, statistics, some};
    case pudle_dec:
    case pudle_lasso:
    case pudle_ls:
      return {CodesBy::layers, adam, all_unless_asked};
    case noodl:
    case arora:
    case arora_unbiased:
      return {CodesBy::hard_thresholding, fixed_step, all_unless_asked};
    case mod:
      return {CodesBy::pursuit, least_squares, all_unless_asked};
    case ksvd:
    case aksvd:
      return {CodesBy::pursuit, rank_one, all_unless_asked};
    case admm:
      return {CodesBy::admm, multipliers, all};
  }
  return {CodesBy::layers, line_search, all};
}

enum class Init { data, random, dct };

template <>
inline constexpr Name<LearningMethod> names<LearningMethod>[] = {{LearningMethod::unrolled, "unrolled"},
                                                                 {LearningMethod::alternating, "alternating"},
                                                                 {LearningMethod::truncated, "truncated"},
                                                                 {LearningMethod::alternating_exact, "alternating_exact"},
                                                                 {LearningMethod::stochastic, "stochastic"},
                                                                 {LearningMethod::online, "online"},
                                                                 {LearningMethod::pudle_dec, "pudle_dec"},
                                                                 {LearningMethod::pudle_lasso, "pudle_lasso"},
                                                                 {LearningMethod::pudle_ls, "pudle_ls"},
                                                                 {LearningMethod::noodl, "noodl"},
                                                                 {LearningMethod::mod, "mod"},
                                                                 {LearningMethod::ksvd, "ksvd"},
                                                                 {LearningMethod::aksvd, "aksvd"},
                                                                 {LearningMethod::arora, "arora"},
                                                                 {LearningMethod::arora_unbiased, "arora_unbiased"},
                                                                 {LearningMethod::admm, "admm"}};
template <>
inline constexpr Name<Init> names<Init>[] = {{Init::data, "data"}, {Init::random, "random"}, {Init::dct, "dct"}};

struct LearnOptions {
  LearningMethod method = LearningMethod::unrolled;
  int n_layers = 20;                 ///< N
  Layers algorithm = Layers::fista;  ///< not of `pudle_*`, whose layers are ISTA's
  Loss loss = Loss::lasso;
  std::optional<int> backprop = {};  ///< K of `truncated`
  std::optional<Index> batch_size =
      {};  ///< signals of a mini-batch; absent: 500 of `online` and 2000 of `stochastic`, or all if there are fewer
  std::optional<int> n_nonzero = {};      ///< atoms of a code of `mod`, `ksvd` and `aksvd`, which take no reg
  std::optional<double> forgetting = {};  ///< rho of `online`, see BlockCoordinate; absent: 10
  Threshold threshold = Threshold::soft;  ///< of `pudle_*`; `noodl` keeps what is beyond reg
  /// Of threshold = decay: beta = 1 - decay floor(iteration / decay_every), at least 1/2; absent: 0.005 and 100.
  std::optional<double> decay = {};
  std::optional<Index> decay_every = {};
  std::optional<double> step = {};  ///< alpha, of the layers of `pudle_*` and the codes of `noodl`; absent: 1 / ||D||_2^2
  std::optional<double> learning_rate = {};  ///< of `pudle_*`, absent: 1e-3; over the mean of |z| `noodl`, 0.5, `arora*`, 0.05
  std::optional<double> eps = {};            ///< of Adam in `pudle_*`; absent: relative (adam.hpp)
  std::optional<double> least_code = {};     ///< C of `noodl` and `arora*`: no code is smaller; absent: not known
  double validation = 0;        ///< share of the signals that mini-batches never hold and that tell the best dictionary
  int max_no_improvement = 10;  ///< looks at those, every 10 iterations, without a better one that end the run
  double least_gain = 0;        ///< a look is better by more than that share of the best one
  bool shuffle = true;          ///< false: mini-batches are all signals in their order, again and again
  /// Second phase: dictionary and step factors together. Of `unrolled` and `truncated` where the first one ends by tol; of
  /// `stochastic` the last third of max_iter, as published.
  bool learn_steps = false;
  LipschitzBound lipschitz_bound = LipschitzBound::spectral;
  bool return_extrapolated = false;       ///< replay of the published code: codes are FISTA's extrapolated points
  Reduction reduction = Reduction::mean;  ///< of `history.value`; the iterates are the same
  Constraint constraint = Constraint::unit_sphere;
  Init init = Init::data;
  bool centre = false;  ///< subtract each signal's mean first; needs a copy of the signals
  int max_iter = 300;
  double tol = 1e-6;  ///< relative decrease between accepted steps that ends a phase of the line search on all signals
  std::optional<double> max_time = {};
  bool replace_atoms = true;             ///< see AtomPolicy
  std::optional<double> coder_tol = {};  ///< relative gap of exact codes; absent: 1e-8, 1e-2 for `online`
  std::string checkpoint = {};           ///< a safetensors file; empty: none
  int checkpoint_every = 10;
  bool resume = false;                ///< go on from the checkpoint, if it is there
  bool resume_inexact = false;        ///< go on from it also where neither processor nor process has the kernels that rounded so
  bool overwrite_checkpoint = false;  ///< put this run in the place of another's checkpoint
  std::uint64_t seed = 0;
  PenaltyOptions penalty = {};
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<LearnOptions> = std::tuple{
    Option{"method", &LearnOptions::method, rule::anything,
           "By gradients through all layers, none, or the last K; by exact codes; on mini-batches, through all layers or by "
           "statistics of exact codes; by PUDLE's three gradients; NOODL and what came before it; MOD, K-SVD and approximate "
           "K-SVD on "
           "--n-nonzero atoms; ADMM"},
    Option{"n_layers", &LearnOptions::n_layers, rule::some_layers, "Unrolled layers N"},
    Option{"algorithm", &LearnOptions::algorithm, rule::anything, "What the layers are; of 'pudle_*' always ista"},
    Option{"loss", &LearnOptions::loss, rule::anything, "What learning minimises"},
    Option{"backprop", &LearnOptions::backprop, rule::anything, "K: the layers that 'truncated' differentiates"},
    Option{"batch_size", &LearnOptions::batch_size, rule::at_least_one,
           "Signals of a mini-batch, of 'stochastic' (default: 2000), 'online' (500), and those of 'pudle_*', 'noodl', "
           "'arora*', 'mod', 'ksvd' and 'aksvd' (all)"},
    Option{"n_nonzero", &LearnOptions::n_nonzero, rule::at_least_one,
           "Atoms of a code of 'mod', 'ksvd' and 'aksvd', in place of --reg"},
    Option{"forgetting", &LearnOptions::forgetting, rule::not_negative,
           "How fast 'online' forgets: of t batches the k-th counts (k/t)^forgetting; default: 10"},
    Option{"threshold", &LearnOptions::threshold, rule::anything, "What the layers of 'pudle_*' do to small entries"},
    Option{"decay", &LearnOptions::decay, Rule{[](double v) { return v > 0 && v < 0.5; }, "must be > 0 and < 0.5"},
           "Of threshold 'decay': by how much the factor from layer to layer falls; default: 0.005"},
    Option{"decay_every", &LearnOptions::decay_every, rule::at_least_one, "After so many iterations; default: 100"},
    Option{"step", &LearnOptions::step, rule::positive, "Step of the codes of 'pudle_*' and 'noodl'; default: 1 / ||D||_2^2"},
    Option{"learning_rate", &LearnOptions::learning_rate, rule::positive,
           "Of the atoms, in 'pudle_*' (default: 1e-3), 'noodl' (0.5) and 'arora*' (0.05)"},
    Option{"eps", &LearnOptions::eps, rule::positive, "Of Adam in 'pudle_*', in the gradient's unit"},
    Option{"least_code", &LearnOptions::least_code, rule::positive,
           "C of 'noodl' and 'arora*': no code that is not zero is smaller"},
    Option{"validation", &LearnOptions::validation, Rule{[](double v) { return v >= 0 && v < 1; }, "must be >= 0 and < 1"},
           "Share of the signals held out of mini-batches, by which the best dictionary is told"},
    Option{"max_no_improvement", &LearnOptions::max_no_improvement, rule::at_least_one,
           "Looks at the signals held out, every 10 iterations, without a better one that end the run", Role::limits},
    Option{"least_gain", &LearnOptions::least_gain, rule::not_negative,
           "A look is better by more than that share of the best objective", Role::limits},
    Option{"shuffle", &LearnOptions::shuffle},
    Option{"learn_steps", &LearnOptions::learn_steps, rule::anything, "Then learn dictionary and step factors together: unrolled, truncated, stochastic"},
    Option{"lipschitz_bound", &LearnOptions::lipschitz_bound},
    Option{"return_extrapolated", &LearnOptions::return_extrapolated},
    Option{"reduction", &LearnOptions::reduction},
    Option{"constraint", &LearnOptions::constraint, rule::anything, "On each atom"},
    Option{"init", &LearnOptions::init, rule::anything, "", Role::limits},  // what it gives decides
    Option{"centre", &LearnOptions::centre, rule::anything, "", Role::limits},
    Option{"max_iter", &LearnOptions::max_iter, rule::at_least_one, "Accepted iterations, at most", Role::limits},
    Option{"tol", &LearnOptions::tol, rule::not_negative, "Relative decrease that ends a phase", Role::limits},
    Option{"max_time", &LearnOptions::max_time, rule::some_seconds, "Seconds, at most", Role::limits},
    Option{"replace_atoms", &LearnOptions::replace_atoms},
    Option{"coder_tol", &LearnOptions::coder_tol, rule::not_negative},
    Option{"checkpoint", &LearnOptions::checkpoint, rule::anything, "Where a killed run continues from", Role::limits},
    Option{"checkpoint_every", &LearnOptions::checkpoint_every, rule::at_least_one, "Iterations between checkpoints",
           Role::limits},
    Option{"resume", &LearnOptions::resume, rule::anything,
           "Continue from the checkpoint if it exists, bit for bit; an ended run at a smaller --tol, without --learn-steps",
           Role::limits},
    Option{"resume_inexact", &LearnOptions::resume_inexact, rule::anything,
           "The same, also where this machine lacks the kernels that rounded as the run did", Role::limits},
    Option{"overwrite_checkpoint", &LearnOptions::overwrite_checkpoint, rule::anything,
           "Begin anew in the place of another run's checkpoint", Role::limits},
    Option{"seed", &LearnOptions::seed, rule::anything, "Same seed, same bits"},
    Option{"penalty", &LearnOptions::penalty}};

template <Scalar T>
struct LearnResult {
  Matrix<T> dictionary;       ///< n_features x n_atoms; 0 x 0 where it is no matrix
  Parameters<T> parameters;   ///< of the dictionary, by name; of a matrix empty
  std::vector<double> steps;  ///< step factors, one per layer; empty if the coder has none
  History history;
  double initial_value = std::numeric_limits<double>::quiet_NaN();  ///< the objective before the first step, if known
  double reg = std::numeric_limits<double>::quiet_NaN();  ///< the weight or threshold used, as a number; NaN where there is none
  std::optional<int> n_nonzero = {};                      ///< atoms of a code, where the method has such a number
  std::optional<Layers> algorithm = {};                   ///< of the layers, where the method has some
  bool has_hard_threshold = false;                        ///< reg is a threshold beyond which codes stay as they are
  int n_replaced = 0;                                     ///< dead or duplicate atoms replaced
  /// converged: neither dictionary nor steps alone, against their gradient, lower the loss by 1e-4 of it; stalled: tol ended it
  /// where they do.
  Status status = Status::converged;
};

/// What is minimised.
Loss loss_of(const LearnOptions& options);

/// X is n_features x n_signals, or {X, mask}: the data fit of what was seen (terms/batch.hpp). reg as a fraction is of the
/// 0.99 quantile of reg_max at the initial dictionary (resolve_run_reg); methods on n_nonzero atoms take none.
/// Same seed, same bits, for any number of threads, also after a kill and a resume.
/// @throws std::invalid_argument for bad shapes, options, or a checkpoint of another run; riata::Error if a file fails
template <Scalar T>
LearnResult<T> learn_dictionary(const Batch<T>& X, Index n_atoms, const std::optional<Reg>& reg, const LearnOptions& options = {},
                                const Observer& observer = {});
template <MatrixExpression M>
LearnResult<typename M::Scalar> learn_dictionary(const M& X, Index n_atoms, const std::optional<Reg>& reg,
                                                 const LearnOptions& options = {}, const Observer& observer = {}) {
  return learn_dictionary<typename M::Scalar>(X, n_atoms, reg, options, observer);
}

/// The same of signals that are read when they are due, by a method on mini-batches. `data` draws atoms from them, and reg as a fraction
/// is of those that resolve_run_reg draws; the signals held out stay in memory. The same bits as of signals in memory. A checkpoint goes on
/// with a source of the same signals: it remembers those drawn for reg.
/// @throws std::invalid_argument as above, for other methods, and naming a signal that cannot be learned from
template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, Index n_atoms, const std::optional<Reg>& reg,
                                const LearnOptions& options = {}, const Observer& observer = {});
/// From given atoms.
template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, const NonDeduced<ConstMatrixRef<T>>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options = {}, const Observer& observer = {});

/// The same from any dictionary, projected onto its own constraint first; the options' init and constraint are not looked at,
/// centre is refused, and atoms are replaced in a matrix alone.
template <Scalar T>
LearnResult<T> learn_dictionary(const NonDeduced<Batch<T>>& X, const Dictionary<T>& init, const std::optional<Reg>& reg,
                                const LearnOptions& options = {}, const Observer& observer = {});

template <Scalar T>
LearnResult<T> learn_dictionary(const std::shared_ptr<SignalSource<T>>& X, const Dictionary<T>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options = {}, const Observer& observer = {});

/// The same from given atoms, projected onto the options' constraint first. @throws std::invalid_argument if an atom is zero
template <Scalar T>
LearnResult<T> learn_dictionary(const NonDeduced<Batch<T>>& X, const NonDeduced<ConstMatrixRef<T>>& init,
                                const std::optional<Reg>& reg, const LearnOptions& options = {}, const Observer& observer = {});
template <MatrixExpression M>
LearnResult<typename M::Scalar> learn_dictionary(const NonDeduced<Batch<typename M::Scalar>>& X, const M& init,
                                                 const std::optional<Reg>& reg, const LearnOptions& options = {},
                                                 const Observer& observer = {}) {
  return learn_dictionary<typename M::Scalar>(X, init, reg, options, observer);
}

/// Learning from batches as they come, an iteration of a method on mini-batches with each. For one thread at a time.
template <Scalar T>
class DictionaryLearner {
 public:
  /// The first batch decides the first atoms, and what reg is as a fraction. Checkpoints, validation, max_iter and max_time are the
  /// caller's. @throws std::invalid_argument for other methods, and options that need all signals
  DictionaryLearner(Index n_atoms, const std::optional<Reg>& reg, const LearnOptions& options = {});
  DictionaryLearner(const NonDeduced<ConstMatrixRef<T>>& init, const std::optional<Reg>& reg, const LearnOptions& options = {});
  DictionaryLearner(const Dictionary<T>& init, const std::optional<Reg>& reg, const LearnOptions& options = {});
  ~DictionaryLearner();
  DictionaryLearner(DictionaryLearner&&) noexcept;
  DictionaryLearner& operator=(DictionaryLearner&&) noexcept;

  /// X is n_features x n_signals; an iteration that is interrupted leaves no trace.
  /// @throws std::invalid_argument for bad signals, or others than before
  void partial_fit(const NonDeduced<ConstMatrixRef<T>>& X);
  /// After a first batch.
  const Matrix<T>& dictionary() const;
  const Parameters<T>& parameters() const;  ///< of the dictionary
  double reg() const;                       ///< as in LearnResult
  /// Likewise, of each batch that moved it the loss before the step.
  const History& history() const;
  LearnResult<T> result() const;

  /// All that it has learned; empty before the first batch. Goes on bit for bit in a learner of the same options.
  NamedTensors state() const;
  /// @throws std::invalid_argument, beginning with `where`, if that is not the state of such a learner
  void restore(const NamedTensors& state, const std::string& where = "state");

 private:
  struct Begun;
  std::unique_ptr<Begun> make_begun(const Dictionary<T>& init, const std::optional<Reg>& reg, Index batch_size,
                                    const Batch<T>& some) const;
  std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& state, const std::string& where) const;

  Index n_atoms_;
  Matrix<T> init_;                            // 0 x 0: of the first batch
  std::shared_ptr<const Dictionary<T>> map_;  // or a dictionary, which decides all but its parameters
  std::optional<Reg> reg_;
  LearnOptions options_;
  std::unique_ptr<Begun> begun_;
};

}  // namespace riata
