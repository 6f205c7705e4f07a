// A learner's second part: from a batch and the parameters to the value and gradient that the update follows. It contains
// the coder. Parameters are named "dictionary" (n_features x n_atoms) and "steps" (layers x 1).
#pragma once

#include <optional>
#include <set>
#include <string>

#include "riata/core/tensors.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/optim/parameters.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {

template <Scalar T>
class Direction {
 public:
  virtual ~Direction() = default;
  virtual std::set<Piece> produces() const = 0;

  /// Opens an iteration: codes the batch if the coder keeps codes. Returns the value at `parameters`, which is `known`
  /// where nothing changed since it was computed.
  virtual double open(const Batch<T>& batch, const Parameters<T>& parameters, std::optional<double> known) {
    return known ? *known : value(batch, parameters);
  }
  /// The value at other parameters, within the open iteration.
  virtual double value(const Batch<T>& batch, const Parameters<T>& parameters) = 0;
  /// The gradient with respect to the parameters named.
  virtual Parameters<T> gradient(const Batch<T>& batch, const Parameters<T>& parameters, const std::set<std::string>& names) = 0;

  virtual NamedTensors state() const { return {}; }
  /// @throws std::invalid_argument, beginning with `where`, if the state is not that of such a batch and parameters
  virtual void restore(const NamedTensors& /*state*/, const Batch<T>& /*batch*/, const Parameters<T>& /*parameters*/,
                       const std::string& /*where*/) {}
};

/// The loss after N unrolled layers, differentiated through the last K of them: deep dictionary learning (K = N), truncated
/// back-propagation, and alternating minimisation with N iterations from zero (K = 0).
struct UnrolledDirectionOptions {
  UnrolledOptions network = {};  ///< its `steps` are replaced by the parameter "steps" where there is one
  Loss loss = Loss::lasso;
  Reduction reduction = Reduction::mean;
  std::optional<int> backprop = {};  ///< K; by default N
  /// Divide the gradient of atom j by u_j + mean(u) / 10, u_j the mean of z_j^2 over the batch. The loss is nearly quadratic
  /// in an atom with that curvature, so steps near 1 suit atoms used often and seldom alike, whatever the signals' unit.
  bool scale_by_usage = false;
  bool frobenius_lipschitz = false;  ///< L = ||D^T D||_F instead of ||D||_2^2: the published code's bound, for replays
};

template <Scalar T>
class UnrolledDirection final : public Direction<T> {
 public:
  UnrolledDirection(double reg, UnrolledDirectionOptions options) : reg_(reg), options_(std::move(options)) {}
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient}; }
  double value(const Batch<T>& batch, const Parameters<T>& parameters) override;
  Parameters<T> gradient(const Batch<T>& batch, const Parameters<T>& parameters, const std::set<std::string>& names) override;

 private:
  UnrolledOptions network_at(const Parameters<T>& parameters) const;
  double reg_;
  UnrolledDirectionOptions options_;
};

/// Classical alternating minimisation: the batch is coded to a certificate, warm-started from the last codes, which then
/// stay fixed while the dictionary moves.
template <Scalar T>
class ExactDirection final : public Direction<T> {
 public:
  ExactDirection(double reg, EncodeOptions coder, Reduction reduction)
      : reg_(reg), coder_(std::move(coder)), reduction_(reduction) {}
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient, Piece::codes}; }
  double open(const Batch<T>& batch, const Parameters<T>& parameters, std::optional<double> known) override;
  double value(const Batch<T>& batch, const Parameters<T>& parameters) override;
  Parameters<T> gradient(const Batch<T>& batch, const Parameters<T>& parameters, const std::set<std::string>& names) override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Batch<T>& batch, const Parameters<T>& parameters,
               const std::string& where) override;

 private:
  double reg_;
  EncodeOptions coder_;
  Reduction reduction_;
  Matrix<T> codes_;
};

}  // namespace riata
