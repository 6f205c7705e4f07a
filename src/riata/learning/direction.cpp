#include "riata/learning/direction.hpp"

#include <cmath>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/convolutional_dictionary_2d.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/optim/parameters.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/terms/l0.hpp"
#include "riata/unrolled/differentiate.hpp"

namespace riata {
namespace {

/// Leaves the gradients that were asked for.
template <Scalar T>
void keep_asked(Sums<T>& sums, const Question<T>& question) {
  std::erase_if(sums.gradient, [&](const auto& entry) { return !question.gradient.contains(entry.first); });
}

}  // namespace

template <Scalar T>
Parameters<T> statistics_of(const Batch<T>& batch, const Matrix<T>& Z) {
  require(!batch.is_weighted(), "statistics A, B of the codes do not hold with weights or a mask; use a method by gradients");
  Parameters<T> statistics{{"A", Matrix<T>::Zero(Z.rows(), Z.rows())}, {"B", Matrix<T>::Zero(batch.X.rows(), Z.rows())}};
  add_outer<T>(T(1), Z, Z, statistics.at("A"));
  add_outer<T>(T(1), batch.X, Z, statistics.at("B"));
  return statistics;
}

template <Scalar T>
UnrolledDirection<T>::UnrolledDirection(const Dictionary<T>& D, double reg, UnrolledDirectionOptions options)
    : D_(D.at({})), reg_(reg), options_(std::move(options)) {
  if (options_.lipschitz_bound == LipschitzBound::frobenius) require_matrix(*D_, "lipschitz_bound = 'frobenius'");
  const Parameters<T> parameters = D_->parameters();
  const bool has_kernels = dynamic_cast<const ConvolutionalDictionary2D<T>*>(D_.get()) != nullptr;
  require(!options_.scale_by_usage || (D_->matrix() && parameters.contains("dictionary")) || has_kernels,
          "scale_by_usage needs atoms, a matrix that is the parameter 'dictionary'; this dictionary has {}",
          names_in(parameters));
  require(!options_.hard_threshold || (options_.loss == Loss::least_squares && options_.network.penalty == PenaltyOptions{}),
          "threshold = 'hard' is for the loss 'least_squares' and the penalty 'l1' without positive and weights");
  if (options_.hard_threshold) options_.network.penalty.kind = PenaltyKind::l0;
}

template <Scalar T>
UnrolledOptions UnrolledDirection<T>::network_at(const Dictionary<T>& D, const Question<T>& question,
                                                 const Execution& execution) const {
  UnrolledOptions network = options_.network;
  network.execution = execution;
  network.decay = options_.decay.beta(question.iteration);
  if (options_.step) network.lipschitz = 1 / *options_.step;
  if (question.n_layers) network.n_layers = *question.n_layers;
  if (const auto steps = question.at.find("steps"); steps != question.at.end()) {
    const Vector<double> factors = steps->second.template cast<double>();
    network.steps.assign(factors.begin(), factors.end());
  }
  if (options_.lipschitz_bound == LipschitzBound::frobenius) {
    const double bound = frobenius_norm_of_gram(*D.matrix());
    if (bound > 0) network.lipschitz = bound;
  }
  if (options_.hard_threshold && !network.lipschitz) network.lipschitz = D.squared_norm();
  return network;
}

template <Scalar T>
Sums<T> UnrolledDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  const Batch<T>& batch = sample.batch;
  const auto D = D_->at(question.at);
  const UnrolledOptions network = network_at(*D, question, execution);
  // The prox of reg ||z||_0 / L keeps what is beyond sqrt(2 reg / L).
  const double b = options_.hard_threshold.value_or(0), reg = options_.hard_threshold ? b * b / 2 * *network.lipschitz : reg_;
  Sums<T> sums;
  const bool wants_codes = question.codes || question.statistics, steps = question.gradient.contains("steps");
  const OptionalMatrixRef<T> targets = sample.targets ? OptionalMatrixRef<T>(*sample.targets) : std::nullopt;
  if (question.gradient.empty() && !wants_codes && !targets) {
    sums.value = unrolled_loss<T>(batch, *D, reg, network, {.loss = options_.loss, .reduction = options_.reduction});
    return sums;
  }
  const bool dictionary = question.gradient.size() > (steps ? 1 : 0), scales = dictionary && options_.scale_by_usage;
  auto result = unrolled_gradient<T>(batch, *D, reg, network,
                                     {.loss = options_.loss,
                                      .backprop = options_.backprop,
                                      .reduction = options_.reduction,
                                      .dictionary = dictionary,
                                      .steps = steps,
                                      .reg = false,
                                      .signals = false,
                                      .codes = wants_codes,
                                      .usage = scales || question.usage},
                                     targets);
  sums.value = result.value;
  sums.gradient = std::move(result.parameters);
  const double counted = options_.reduction == Reduction::mean ? static_cast<double>(batch.size()) : 1;
  const Vector<double> usage =
      result.usage.reshaped(result.usage.size() / D->n_atoms(), D->n_atoms()).colwise().sum().transpose();
  if (question.usage) sums.usage = counted * usage;
  if (scales) {
    Matrix<T>& gradient = sums.gradient[D->matrix() ? "dictionary" : "kernels"];
    const double mean = usage.mean(), floor = 0.1 * mean, unit = D->matrix() ? 1 : mean;
    for (Index j = 0; j < usage.size(); ++j)
      if (usage(j) + floor > 0) gradient.col(j) /= static_cast<T>((usage(j) + floor) / unit);
  }
  if (steps) sums.gradient["steps"] = result.steps.template cast<T>();
  keep_asked(sums, question);
  if (question.statistics) sums.statistics = statistics_of(batch, result.codes);
  if (question.codes) sums.codes = std::move(result.codes);
  return sums;
}

template <Scalar T>
Sums<T> ExactDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  const Batch<T>& batch = sample.batch;
  const auto D = D_->at(question.at);
  EncodeOptions coder = coder_;
  coder.execution = execution;
  const bool opens = question.coding == Coding::opening;
  if (!holds_codes()) {
    codes_ = encode<T>(batch, *D, reg_, coder).codes;
  } else if (question.coding != Coding::held) {
    const Matrix<T>& start = opens ? kept_ : codes_;
    const bool warm = start.rows() == D->code_size() && start.cols() == batch.size();
    Matrix<T> codes = encode<T>(batch, *D, reg_, coder, warm ? OptionalMatrixRef<T>(start) : std::nullopt).codes;
    if (opens)
      before_looking_.reset();
    else if (!before_looking_)
      before_looking_ = std::move(codes_);
    codes_ = std::move(codes);
  }
  Sums<T> sums;
  const double weight = reduction_ == Reduction::mean ? static_cast<double>(batch.size()) : 1;
  sums.value = lasso_objective<T>(batch, *D, codes_, reg_, coder.penalty, execution).sum() / weight;
  if (!question.gradient.empty()) {
    const SeenBatch<T> seen("learn_dictionary", batch);
    sums.gradient = zeros_like(D->parameters());
    keep_asked(sums, question);
    constexpr Index block = 1024;  // bounds the residual's memory
    const TileLoss<T> fit{*D, nullptr};
    Matrix<T> nothing;
    for (Index first = 0; first < batch.size(); first += block) {
      const Index n = std::min(block, batch.size() - first);
      const Vector<T> reg = Vector<T>::Zero(n);
      parallel_for(1, execution, [&](Index, int) {
        fit(first, {seen.X().middleCols(first, n), reg, seen.weights(first, n)}, codes_.middleCols(first, n), nothing,
            {.parameters = sums.gradient, .signals = nothing, .reg = {}, .dictionary = true});
      });
    }
    for (auto& [name, g] : sums.gradient)
      if (reduction_ == Reduction::mean) g /= static_cast<T>(batch.size());
  }
  if (question.statistics) sums.statistics = statistics_of(batch, codes_);
  if (question.usage) {
    const Vector<double> usage = codes_.template cast<double>().rowwise().squaredNorm();
    sums.usage = usage.reshaped(usage.size() / D->n_atoms(), D->n_atoms()).colwise().sum().transpose();
  }
  if (question.codes) sums.codes = codes_;
  return sums;
}

template <Scalar T>
void ExactDirection<T>::forget_looks() {
  if (before_looking_) codes_ = std::move(*before_looking_);
  before_looking_.reset();
}

template <Scalar T>
void ExactDirection<T>::keep() {
  if (holds_codes()) kept_ = std::exchange(codes_, {});
  before_looking_.reset();
}

template <Scalar T>
NamedTensors ExactDirection<T>::state() const {
  if (!holds_codes()) return {};
  return {{"direction.codes", to_tensor<T>(kept_)}};
}

template <Scalar T>
void ExactDirection<T>::restore(const NamedTensors& state, const Sample<T>& sample, const Parameters<T>&,
                                const std::string& where) {
  if (!holds_codes()) return;
  const std::string name = "direction.codes";
  const bool is_unopened = get_matrix<T>(state, name, where).size() == 0;
  kept_ = is_unopened ? Matrix<T>() : stored_matrix<T>(state, name, D_->code_size(), sample.batch.size(), where);
  require(!coder_.penalty.positive || is_unopened || kept_.minCoeff() >= T(0), "{}: tensor '{}' holds codes below zero", where,
          name);
}

void NoodlOptions::validate() const {
  require(threshold > 0 && std::isfinite(threshold), "noodl: the threshold (reg) is {}, must be > 0 and finite", threshold);
  require(!least_code || *least_code > 0, "noodl: least_code = {}, must be > 0", least_code.value_or(0));
  require(!step || *step > 0, "noodl: step = {}, must be > 0", step.value_or(0));
  require(n_layers >= 0, "noodl: n_layers = {}, must be >= 0", n_layers);
  require(!unbiased || n_layers == 0, "noodl: unbiased is for n_layers = 0");
}

template <Scalar T>
Matrix<T> NoodlDirection<T>::code(const Dictionary<T>& D, double step, const ConstMatrixRef<T>& X) const {
  const auto thresholds = [&](double t) { return Vector<T>::Constant(X.cols(), static_cast<T>(t)).eval(); };
  const Vector<T> first = thresholds(options_.least_code ? *options_.least_code / 2 : options_.threshold),
                  later = thresholds(options_.threshold);
  const T eta = static_cast<T>(step);
  Matrix<T> Z(D.code_size(), X.cols()), R(X.rows(), X.cols()), pull(D.code_size(), X.cols());
  D.adjoint(X, Z);
  hard_threshold<T>(Z, first);
  for (int k = 0; k < options_.n_layers; ++k) {
    leave_if_stopped();
    D.apply(Z, R);
    R = X - R;
    D.adjoint(R, pull);
    pull = Z + eta * pull;
    require(pull.allFinite(), "noodl: the codes diverge with step = {}; use a smaller one", step);
    hard_threshold<T>(pull, later);
    const bool settled = (pull - Z).norm() <= static_cast<T>(options_.tol) * pull.norm();
    Z.swap(pull);
    if (settled) break;
  }
  return Z;
}

/// signs_i -= sum over signals of (x - B z^i) sign(z^i_i)
template <Scalar T>
void NoodlDirection<T>::add_unbiased(const MatrixView<T>& D, const ConstMatrixRef<T>& X, Matrix<T>& signs) const {
  const T least = static_cast<T>(options_.least_code ? *options_.least_code / 2 : options_.threshold);
  const Index m = D.cols();
  Matrix<T> C(m, X.cols());
  multiply_transposed<T>(D, X, C);
  const Matrix<T> G = D.transpose() * D;
  Vector<T> z(m), by_atom(m), pulled(X.rows());  // z^i; sum z^i sign(z^i_i), sum x sign(z^i_i)
  for (Index i = 0; i < m; ++i) {
    leave_if_stopped();
    by_atom.setZero();
    pulled.setZero();
    for (Index k = 0; k < X.cols(); ++k) {
      const T c = C(i, k);
      if (!(std::abs(c) > least)) continue;
      z = C.col(k) - c * G.col(i);
      z = (z.array().abs() > least).select(z, T(0));
      z(i) = c - (G.col(i).dot(z) - G(i, i) * z(i));  // of d_i itself, which all of B's columns but its own have lost
      if (c > 0) {
        by_atom += z;
        pulled += X.col(k);
      } else {
        by_atom -= z;
        pulled -= X.col(k);
      }
    }
    signs.col(i) -= pulled - D * by_atom;
  }
}

template <Scalar T>
Sums<T> NoodlDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  require(!sample.batch.is_weighted(), "method 'noodl' takes no mask");
  const StopScope scope(execution);
  const ConstMatrixRef<T>& X = sample.batch.X;
  const auto D = D_->at(question.at);
  Sums<T> sums;
  const Index n = X.cols(), m = D->code_size();
  Matrix<T> codes(question.codes ? m : 0, question.codes ? n : 0), signs = Matrix<T>::Zero(X.rows(), m);
  double squares = 0, sizes = 0;
  const double step = options_.step.value_or(1 / D->squared_norm());
  constexpr Index block = 1024;  // signals, whose codes are there at once
  for (Index first = 0; first < n; first += block) {
    const Index count = std::min(block, n - first);
    const Matrix<T> Z = code(*D, step, X.middleCols(first, count));
    Matrix<T> R(X.rows(), count);
    D->apply(Z, R);
    R = X.middleCols(first, count) - R;
    squares += R.template cast<double>().squaredNorm();
    sizes += Z.template cast<double>().cwiseAbs().sum();
    if (!question.gradient.empty() && options_.unbiased)
      add_unbiased(*D->matrix(), X.middleCols(first, count), signs);
    else if (!question.gradient.empty())
      add_outer<T>(T(-1), R, Matrix<T>(Z.cwiseSign()), signs);
    if (question.codes) codes.middleCols(first, count) = Z;
    if (question.usage && sums.usage.size() == 0) sums.usage = Vector<double>::Zero(m);
    if (question.usage) sums.usage += Z.template cast<double>().rowwise().squaredNorm();
  }
  sums.value = squares / 2 / (options_.reduction == Reduction::mean ? static_cast<double>(n) : 1);
  if (!question.gradient.empty()) {
    if (sizes > 0) signs *= static_cast<T>(static_cast<double>(m) / sizes);
    sums.gradient["dictionary"] = std::move(signs);
    keep_asked(sums, question);
  }
  if (question.codes) sums.codes = std::move(codes);
  return sums;
}

template Parameters<float> statistics_of<float>(const Batch<float>&, const Matrix<float>&);
template Parameters<double> statistics_of<double>(const Batch<double>&, const Matrix<double>&);
template class NoodlDirection<float>;
template class NoodlDirection<double>;
template class UnrolledDirection<float>;
template class UnrolledDirection<double>;
template class ExactDirection<float>;
template class ExactDirection<double>;

}  // namespace riata
