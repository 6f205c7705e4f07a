// A penalty that a caller brings: docs/how_to_add_penalty.md adds one.
#pragma once

#include <memory>
#include <string>

#include "riata/terms/penalty_options.hpp"
#include "riata/terms/thresholds.hpp"

namespace riata {

/// A gauge: convex, g >= 0, g(t z) = t g(z) for t >= 0, and the same for entries of other signs; so its dual norm grows with each
/// |c_j|. It is asked once per signal and iteration, by several threads at once. NaN stays NaN in the prox. Columns are signals.
template <Scalar T>
class OwnPenalty {
 public:
  virtual ~OwnPenalty() = default;
  /// What a checkpoint knows it by, its numbers included.
  virtual std::string name() const = 0;
  /// g(z), in double.
  virtual double value(const ConstVectorRef<T>& z) const = 0;
  /// Each column v_i of V becomes argmin_u 1/2 ||u - v_i||^2 + tau_i g(u), in place; tau_i = thresholds.of(j, i), the same for
  /// all j.
  virtual void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const = 0;
  /// max c^T z over g(z) <= 1: the smallest reg at which z = 0 is optimal, if c = D^T x. Gaps rest on it.
  virtual double dual_norm(const ConstVectorRef<double>& c) const = 0;

  // What layers and learning ask; solvers do without.

  /// At the prox's output Z: H, the cotangent of Z, becomes that of what prox was given. `cotangents.rho`, where there is room
  /// for it, receives each signal's derivative by tau_i.
  virtual void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                        const ThresholdCotangents<T>& cotangents) const;
  /// H += scale_i g'(z_i), some subgradient where there are several.
  virtual void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> H) const;
};

/// The options that name it, for the precision T.
template <Scalar T>
PenaltyOptions own_penalty(std::shared_ptr<const OwnPenalty<T>> penalty);

/// It as the concept Penalty asks.
template <Scalar T>
class Given {
 public:
  using scalar = T;
  static constexpr bool convex = true, zeros_are_dead = false;

  /// @throws std::invalid_argument where the options' own penalty is of the other precision
  explicit Given(const PenaltyOptions& options);
  explicit Given(std::shared_ptr<const OwnPenalty<T>> penalty) : own_(std::move(penalty)) {}

  bool positive() const { return false; }
  double ridge(double /*reg*/) const { return 0; }
  double reg_of_pull(double pull) const { return pull; }
  double value(const ConstVectorRef<T>& z) const { return own_->value(z); }
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const { own_->prox(V, thresholds); }
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const {
    own_->prox_vjp(Z, thresholds, H, cotangents);
  }
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> H) const {
    own_->add_subgradient(Z, scales, H);
  }
  /// max_j |z - prox(z + c)|_j at tau = reg: 0 exactly at an optimum, and no distance in the unit of c elsewhere.
  double subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const;

  template <class S>
  double largest_pull(Index n_atoms, const S* correlations) const {
    return own_->dual_norm(Eigen::Map<const Vector<S>>(correlations, n_atoms).template cast<double>().eval());
  }
  /// All atoms: which of them the dual norm rests on is its own affair.
  template <class S, class Visit>
  void for_each_pulled(Index n_atoms, const S* correlations, S least, Visit visit) const {
    if (largest_pull(n_atoms, correlations) > static_cast<double>(least))
      for (Index j = 0; j < n_atoms; ++j) visit(j);
  }
  template <class S, class Exact>
  double largest_pull_above(Index n_atoms, const S* /*correlations*/, S /*least*/, Exact exact) const {
    Vector<double> c(n_atoms);
    for (Index j = 0; j < n_atoms; ++j) c(j) = exact(j);
    return own_->dual_norm(c);
  }

 private:
  std::shared_ptr<const OwnPenalty<T>> own_;
};

}  // namespace riata
