// A run's second part: from a batch and parameters to what the update asks for. It contains the coder.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "riata/core/tensors.hpp"
#include "riata/core/threads.hpp"
#include "riata/learning/sampler.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/optim/question.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {

template <Scalar T>
class Direction {
 public:
  virtual ~Direction() = default;
  virtual std::set<Piece> produces() const = 0;
  /// The value, and what else is asked.
  virtual Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) = 0;

  /// Does it hold codes while parameters move? Else an answer is a function of question and sample.
  virtual bool holds_codes() const { return false; }
  virtual void forget_looks() {}  ///< holds again what it held before the iteration's first look
  virtual void keep() {}          ///< the iteration counts: the next begins from the codes held now
  virtual NamedTensors state() const { return {}; }
  /// @throws std::invalid_argument, beginning with `where`, if the state is not that of such a batch and parameters
  virtual void restore(const NamedTensors& /*state*/, const Sample<T>& /*sample*/, const Parameters<T>& /*parameters*/,
                       const std::string& /*where*/) {}
};

/// The bound behind the layers' steps.
enum class LipschitzBound {
  spectral,  ///< ||D||_2^2
  frobenius  ///< ||D^T D||_F: replay of a published code
};
template <>
inline constexpr Name<LipschitzBound> names<LipschitzBound>[] = {{LipschitzBound::spectral, "spectral"},
                                                                 {LipschitzBound::frobenius, "frobenius"}};

/// The weight of layer k = 0, 1, ... is beta^k reg, where beta = max(1 - drop floor(iteration / every), 1/2); Tolooshams and Ba (2021).
struct DecaySchedule {
  double drop = 0;
  Index every = 100;
  double beta(Index iteration) const { return std::max(1 - drop * static_cast<double>(iteration / every), 0.5); }
};

/// The loss after N unrolled layers, differentiated through the last K of them: deep dictionary learning (K = N), truncated
/// back-propagation, and alternating minimisation with N iterations from zero (K = 0).
struct UnrolledDirectionOptions {
  UnrolledOptions network = {};  ///< its `steps` are replaced by the parameter "steps" (layers x 1) where there is one
  Loss loss = Loss::lasso;
  Reduction reduction = Reduction::mean;
  std::optional<int> backprop = {};  ///< K; by default N
  /// Divide the gradient of atom j by u_j + mean(u) / 10, u_j the mean of z_j^2 over the batch. The loss is nearly quadratic
  /// in an atom with that curvature, so steps near 1 suit atoms used often and seldom alike, whatever the signals' unit. Atoms
  /// are the columns of the parameter "dictionary", or kernels of pictures, whose gradients keep their unit: times mean(u).
  bool scale_by_usage = false;
  LipschitzBound lipschitz_bound = LipschitzBound::spectral;
  std::optional<double> step = {};            ///< alpha of the layers; absent: 1 / L
  std::optional<double> hard_threshold = {};  ///< b, for least squares: layers keep the entries beyond it, reg does not count
  DecaySchedule decay = {};                   ///< of the layers' weights
};

template <Scalar T>
class UnrolledDirection final : public Direction<T> {
 public:
  /// Codes in `D` at the parameters asked for.
  /// @throws std::invalid_argument if an option needs a matrix, and D is none
  UnrolledDirection(const Dictionary<T>& D, double reg, UnrolledDirectionOptions options);
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient, Piece::statistics, Piece::codes}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;

 private:
  UnrolledOptions network_at(const Dictionary<T>& D, const Question<T>& question, const Execution& execution) const;
  std::unique_ptr<const Dictionary<T>> D_;
  double reg_;
  UnrolledDirectionOptions options_;
};

/// A = sum z z^T and B = sum x z^T. @throws std::invalid_argument if the batch is weighted
template <Scalar T>
Parameters<T> statistics_of(const Batch<T>& batch, const Matrix<T>& Z);

struct NoodlOptions {
  double threshold = 0;                   ///< tau > 0
  std::optional<double> least_code = {};  ///< C: the first codes are those of correlations above C/2; absent: above tau
  std::optional<double> step = {};        ///< eta_x of the codes; absent: 1 / ||D||_2^2
  int n_layers = 50;                      ///< steps of the codes, at most; 0: the first codes, as Arora et al. (2015)
  bool unbiased = false;                  ///< their second direction, for n_layers = 0
  double tol = 1e-10;                     ///< relative change of the codes of 1 024 signals that ends them
  Reduction reduction = Reduction::mean;  ///< of the value; the direction is the same
  void validate() const;                  ///< @throws std::invalid_argument
};

/// NOODL; Rambhatla, Li and Haupt (2019), Algorithm 1: codes by iterative hard thresholding, and a direction by their signs,
///
///   z <- HT_tau( z - eta_x D^T (D z - x) ),      g = -mean (x - D z) sign(z)^T / mean |z|,
///
/// in units in which steps near 1 suit: the mean of |z| over all entries makes it a length. Departures: codes stop where they change
/// no more (the published code asks how far they are from the true ones).
///
/// With no step of the codes it is the neural algorithm of Arora, Ge, Ma and Moitra (2015). Their second direction codes anew for each
/// atom i, in atoms without its part, B = (d_j - (d_i^T d_j) d_i for j != i, d_i):
///
///   z^i = HT_{C/2}( B^T x ),      g_i = -mean (x - B z^i) sign(z^i_i) / mean |z|
template <Scalar T>
class NoodlDirection final : public Direction<T> {
 public:
  NoodlDirection(const Dictionary<T>& D, const NoodlOptions& options) : D_(D.at({})), options_(options) { options_.validate(); }
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient, Piece::codes}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;

 private:
  Matrix<T> code(const Dictionary<T>& D, double step, const ConstMatrixRef<T>& X) const;
  void add_unbiased(const MatrixView<T>& D, const ConstMatrixRef<T>& X, Matrix<T>& signs) const;
  std::unique_ptr<const Dictionary<T>> D_;
  NoodlOptions options_;
};

enum class CodesOf {
  one_batch,        ///< warm-started from the last codes, and held while the dictionary moves
  changing_batches  ///< found anew in every answer
};

/// Classical alternating minimisation: the batch is coded to a certificate.
template <Scalar T>
class ExactDirection final : public Direction<T> {
 public:
  ExactDirection(const Dictionary<T>& D, double reg, EncodeOptions coder, Reduction reduction,
                 CodesOf codes_of = CodesOf::one_batch)
      : D_(D.at({})), reg_(reg), coder_(std::move(coder)), reduction_(reduction), codes_of_(codes_of) {}
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient, Piece::statistics, Piece::codes}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;
  bool holds_codes() const override { return codes_of_ == CodesOf::one_batch; }
  void forget_looks() override;
  void keep() override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Sample<T>& sample, const Parameters<T>& parameters,
               const std::string& where) override;

 private:
  std::unique_ptr<const Dictionary<T>> D_;
  double reg_;
  EncodeOptions coder_;
  Reduction reduction_;
  CodesOf codes_of_;
  Matrix<T> kept_, codes_;                   // of the last iteration that counts, of this one
  std::optional<Matrix<T>> before_looking_;  // this one's, before its first look
};

}  // namespace riata
