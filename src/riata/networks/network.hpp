// Unfolded networks for sparse coding: the LISTA family.
//
//   z_0 = 0,     z_{t+1} = layer_t(z_t, x, reg),     t = 0, ..., n_layers - 1
//
// The layers are those of coupled.hpp and uncoupled.hpp. Losses, means over the signals:
//
//   unsupervised   1/2 ||D z - x||^2 + reg g(z)     g = ||.||_1, for group the sum of the groups' norms
//   supervised     1/2 ||z - z_true||^2
//
// reg is an argument of every call: a network trained at one weight runs at another. Signals may be {X, mask} (terms/batch.hpp)
// where layers heed the weights of the data fit (KindTraits).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "riata/core/replaceable.hpp"
#include "riata/core/threads.hpp"
#include "riata/networks/kinds.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {

/// How a pass runs.
template <Scalar T>
struct NetworkRun {
  std::optional<int> n_layers = {};  ///< the first layers alone, 1 <= n_layers <= those of the network; by default all
  OptionalMatrixRef<T> init = {};    ///< z_0, n_atoms x n_signals; by default zero
  Execution execution = {};
};

/// What encode_certified() does about codes that fall short.
struct NetworkGuards {
  /// tol >= 0: where gap > tol * 1/2 ||x||^2 the certified solver goes on from the network's code (from zero if that is better)
  std::optional<double> finish = {};
  bool safeguard = false;  ///< ISTA of as many layers runs alongside, and each signal gets the code of the lower objective
  void validate() const;   ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// The derivatives to take; what is not asked for costs nothing.
struct NetworkDerivatives {
  std::set<std::string> parameters = {};  ///< by name; those of layers that do not run are refused
  bool reg = false, signals = false, codes = false;
};

/// `reg` with the explicit g(z), `signals` with the explicit -(D z - x) of the unsupervised loss; `parameters` has the names
/// asked for.
template <Scalar T>
using NetworkGradient = UnrolledGradient<T>;

/// Memory beyond the results is constant in the number of signals; bits do not depend on the number of threads. All but
/// assignment may be called from any number of threads at once: a call runs with the parameters that it found.
template <Scalar T>
class Network {
 public:
  /// At the start of its kind: parameters() make it the classical algorithm, where there is one. Keeps a copy of the dictionary,
  /// which must be a matrix unless the kind says any_dictionary (step, fista, facnet) or, for a convolution, any_atoms (coupled,
  /// tied, alista, first_step, group).
  /// @throws std::invalid_argument naming the field, its value and the rule
  Network(std::string kind, const Dictionary<T>& dictionary, int n_layers, NetworkOptions options = {});
  Network(std::string kind, DenseDictionary<T> dictionary, int n_layers, NetworkOptions options = {});
  /// With these parameters from the start. @throws std::invalid_argument likewise, and as set_parameters()
  static Network with_parameters(std::string kind, const Dictionary<T>& dictionary, int n_layers, const NetworkOptions& options,
                                 Parameters<T> parameters);
  /// The names and shapes of its parameters, whose values mean nothing. @throws std::invalid_argument as the constructor
  static Parameters<T> shapes(std::string kind, const Dictionary<T>& dictionary, int n_layers, const NetworkOptions& options);
  /// The same layers over a convolution of the same atoms and another length of signals; L stays.
  /// @throws std::invalid_argument if the atoms differ in number or size, or the kind's parameters depend on the length (KindTraits)
  Network over(const Dictionary<T>& dictionary) const;

  const std::string& kind() const { return kind_; }
  const KindTraits& traits() const { return find_network_kind<T>(kind_).traits; }
  const NetworkModel<T>& model() const { return model_; }  ///< what its layers are made from
  const Dictionary<T>& dictionary() const { return model_.dictionary(); }
  int n_layers() const { return model_.n_layers; }
  const NetworkOptions& options() const { return model_.options; }
  double lipschitz() const { return model_.lipschitz; }
  double squared_norm() const;  ///< of the dictionary, which is lipschitz() unless that was given; found once
  PenaltyOptions penalty() const { return model_.penalty(); }  ///< g of the unsupervised loss

  /// Arrays named layer.<t>.<name>; what all layers share has no layer in its name.
  /// The reference holds until they are replaced; where another thread may do that, shared_parameters() holds on to them.
  const Parameters<T>& parameters() const { return *parameters_.get(); }
  std::shared_ptr<const Parameters<T>> shared_parameters() const { return parameters_.get(); }
  /// @throws std::invalid_argument if names or shapes differ, or an entry is not finite
  void set_parameters(Parameters<T> parameters);
  /// The names that training may move: those of the layers first, ..., last - 1 and what all share.
  std::set<std::string> trainable(int first, int last) const;
  /// @throws std::invalid_argument, beginning with `where`, if there are weights that the kind's layers do not heed
  void require_heeded(const char* where, const Batch<T>& batch) const;
  /// Puts parameters onto the set they must lie in: the rotations of facnet, the symmetric matrices of hessian.
  void project(Parameters<T>& parameters) const;

  /// @throws std::invalid_argument unless the targets are finite and n_atoms x n_signals
  void require_targets(const char* where, Index n_signals, const ConstMatrixRef<T>& targets) const;

  /// Codes, n_atoms x n_signals. @throws std::invalid_argument where the network diverges, also if an entry is not finite
  Matrix<T> encode(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run = {}) const;
  /// Codes with objective and duality gap as of riata::encode(), in double at the code. n_iter counts the solver's iterations, 0
  /// where it did not run; converged means gap <= finish * 1/2 ||x||^2, or gap = 0. The penalty is penalty(), for iht and lamp
  /// too.
  /// @throws std::invalid_argument where the network diverges and no guard has another code
  EncodeResult<T> encode_certified(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkGuards& guards = {},
                                   const NetworkRun<T>& run = {}) const;
  /// The output of every layer, first to last. @throws std::invalid_argument where the network diverges
  std::vector<Matrix<T>> outputs(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run = {}) const;

  /// The unsupervised loss or, with `targets` (n_atoms x n_signals), the supervised one.
  double loss(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run = {},
              const OptionalMatrixRef<T>& targets = {}) const;
  NetworkGradient<T> loss_gradient(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkDerivatives& wanted,
                                   const NetworkRun<T>& run = {}, const OptionalMatrixRef<T>& targets = {}) const;
  /// The derivatives of <cotangent, codes>, summed over the signals.
  NetworkGradient<T> vjp(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NonDeduced<ConstMatrixRef<T>>& cotangent,
                         const NetworkDerivatives& wanted, const NetworkRun<T>& run = {}) const;

 private:
  Network(std::string kind, std::shared_ptr<const Dictionary<T>> dictionary, int n_layers, NetworkOptions&& options,
          bool awaits_parameters = false);
  struct Call;
  NetworkGradient<T> loss_gradient_for(const char* where, const Batch<T>& batch, const Reg& reg, const NetworkDerivatives& wanted,
                                       const NetworkRun<T>& run, const OptionalMatrixRef<T>& targets) const;
  NetworkGradient<T> differentiate(const Call& call, const NetworkDerivatives& asked, double scale, const auto& loss) const;

  std::string kind_;
  NetworkModel<T> model_;
  Replaceable<Parameters<T>> parameters_;
  struct Norm {
    std::once_flag once;
    double squared = 0;
  };
  std::shared_ptr<Norm> norm_ = std::make_shared<Norm>();  // of D, for all copies
};

}  // namespace riata
