#include "riata/networks/uncoupled.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/operators/units.hpp"

namespace riata {

namespace {

/// U V^T of A = U diag(s) V^T, A itself where it is one. In double for both precisions: as exact as T can say.
template <Scalar T>
Matrix<T> nearest_rotation(const Matrix<T>& A) {
  if (!A.allFinite() || (A.transpose() * A).isIdentity(8 * Eigen::NumTraits<T>::epsilon())) return A;
  const auto [U, s, V] = thin_svd(A.template cast<double>());
  return (U * V.transpose()).template cast<T>();
}

}  // namespace

template <Scalar T, class Shrink>
GeneralLayer<T, Shrink>::GeneralLayer(const LayerSite<T>& site)
    : model_(site.model),
      W_z_(site.own("weight_z")),
      W_x_(site.own("weight_x")),
      theta_(site.own("threshold")),
      shrink_(site),
      scratch_(model_.n_atoms(), site.tile),
      x_scratch_(model_.n_features(), site.tile),
      rho_(site.tile),
      rho_gradient_(static_cast<std::size_t>(site.tile)) {}

template <Scalar T, class Shrink>
void GeneralLayer<T, Shrink>::set_rho(const TileInput<T>& input) {
  const Index n = input.X.cols();
  if (is_hard)
    rho_.head(n) = (input.reg * static_cast<T>(2 / model_.lipschitz)).cwiseSqrt();
  else
    rho_.head(n) = input.reg;
}

template <Scalar T, class Shrink>
void GeneralLayer<T, Shrink>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  const Index n = input.X.cols();
  MatrixRef<T> a = after.z;
  multiply<T>(W_z_.values, before.z, a);
  multiply<T>(W_x_.values, input.X, scratch_.leftCols(n));
  a += scratch_.leftCols(n);
  set_rho(input);
  shrink_.forward(a, {rho_.head(n), &theta_.values});
}

template <Scalar T, class Shrink>
void GeneralLayer<T, Shrink>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                                       const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const Index n = input.X.cols();
  MatrixRef<T> h = cotangent.z;
  set_rho(input);
  const auto rho = std::span<double>(rho_gradient_).first(gradients.reg.size());
  shrink_.backward(after.z, {rho_.head(n), &theta_.values}, h, {.rho = rho, .theta = gradients.find(theta_.name)});
  if (!is_hard)
    for (std::size_t i = 0; i < rho.size(); ++i) gradients.reg[i] += rho[i];
  if (Matrix<T>* W_z = gradients.find(W_z_.name)) add_outer<T>(T(1), h, before.z, *W_z);
  if (Matrix<T>* W_x = gradients.find(W_x_.name)) add_outer<T>(T(1), h, input.X, *W_x);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0) {
    multiply_transposed<T>(W_x_.values, h, x_scratch_.leftCols(n));
    signals += x_scratch_.leftCols(n);
  }
  multiply_transposed<T>(W_z_.values, h, scratch_.leftCols(n));
  h = scratch_.leftCols(n);
}

template <Scalar T, class Shrink>
Parameters<T> GeneralLayer<T, Shrink>::initial(const NetworkModel<T>& model, int layer) {
  const MatrixView<T> D = model.D();
  const T step = static_cast<T>(1 / model.lipschitz);
  const bool per_atom = model.options.threshold == ThresholdShape::atom;
  return {{parameter_name(layer, "weight_z"), Matrix<T>::Identity(D.cols(), D.cols()) - step * (D.transpose() * D)},
          {parameter_name(layer, "weight_x"), step * D.transpose()},
          {parameter_name(layer, "threshold"), Matrix<T>::Constant(per_atom ? D.cols() : 1, 1, is_hard ? T(1) : step)}};
}

template <Scalar T>
FacnetRow<T>::FacnetRow(const LayerSite<T>& site)
    : model_(site.model),
      A_(site.own("rotation")),
      S_(site.own("scales")),
      shrink_(site),
      inv_S_(S_.values.cwiseInverse()),
      inv_S_gradient_(model_.n_atoms(), 1),
      r_(model_.n_features(), site.tile),
      rho_gradient_(static_cast<std::size_t>(site.tile)) {
  for (Matrix<T>* M : {&g_, &w_, &b_, &scratch_}) M->resize(model_.n_atoms(), site.tile);
}

template <Scalar T>
void FacnetRow<T>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  const Index n = input.X.cols();
  auto r = r_.leftCols(n), g = g_.leftCols(n), w = w_.leftCols(n), b = b_.leftCols(n);
  model_.dictionary().apply(before.z, r);
  r -= input.X;
  input.weigh(r);
  model_.dictionary().adjoint(r, g);
  multiply_transposed<T>(A_.values, g, w);
  multiply_transposed<T>(A_.values, before.z, b);
  b.array() -= w.array().colwise() * inv_S_.col(0).array();
  shrink_.forward(b, {input.reg, &inv_S_});
  multiply<T>(A_.values, b, after.z);
}

template <Scalar T>
void FacnetRow<T>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& /*after*/,
                            const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const Index n = input.X.cols();
  auto g = g_.leftCols(n), w = w_.leftCols(n), b = b_.leftCols(n), h = scratch_.leftCols(n);
  MatrixRef<T> y = cotangent.z;
  multiply_transposed<T>(A_.values, y, h);
  Matrix<T>* A = gradients.find(A_.name);
  if (A != nullptr) add_outer<T>(T(1), y, b, *A);
  inv_S_gradient_.setZero();
  const auto rho = std::span<double>(rho_gradient_).first(gradients.reg.size());
  shrink_.backward(b, {input.reg, &inv_S_}, h, {.rho = rho, .theta = &inv_S_gradient_});
  for (std::size_t i = 0; i < rho.size(); ++i) gradients.reg[i] += rho[i];
  if (Matrix<T>* S = gradients.find(S_.name)) {
    inv_S_gradient_.col(0) -= w.cwiseProduct(h).rowwise().sum();
    S->array() -= inv_S_gradient_.array() * inv_S_.array().square();
  }
  if (A != nullptr) add_outer<T>(T(1), before.z, h, *A);
  multiply<T>(A_.values, h, y);
  h.array().colwise() *= inv_S_.col(0).array();
  if (A != nullptr) add_outer<T>(T(-1), g, h, *A);
  multiply<T>(A_.values, h, g);  // minus the cotangent of g
  auto Dg = r_.leftCols(n);
  model_.dictionary().apply(g, Dg);
  input.weigh(Dg);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0) signals += Dg;
  model_.dictionary().adjoint(Dg, w);
  y -= w;
}

template <Scalar T>
Parameters<T> FacnetRow<T>::initial(const NetworkModel<T>& model, int layer) {
  const Index m = model.n_atoms();
  return {{parameter_name(layer, "rotation"), Matrix<T>::Identity(m, m)},
          {parameter_name(layer, "scales"), Matrix<T>::Constant(m, 1, static_cast<T>(model.lipschitz))}};
}

template <Scalar T>
void FacnetRow<T>::project(const NetworkModel<T>& model, Parameters<T>& parameters) {
  for (int t = 0; t < model.n_layers; ++t) {
    leave_if_stopped();
    Matrix<T>& A = parameters.at(parameter_name(t, "rotation"));
    A = run_stoppable(16 * std::pow(static_cast<double>(A.rows()), 3), [A] { return nearest_rotation<T>(A); });
    Matrix<T>& S = parameters.at(parameter_name(t, "scales"));
    S = S.cwiseMax(static_cast<T>(model.lipschitz * 1e-6));
  }
}

template <Scalar T>
void FacnetRow<T>::check(const char* where, const NetworkModel<T>& model, const Parameters<T>& parameters) {
  for (int t = 0; t < model.n_layers; ++t) {
    const double smallest = static_cast<double>(parameters.at(parameter_name(t, "scales")).minCoeff());
    require(smallest > 0, "{}: '{}' holds {}, must be > 0", where, parameter_name(t, "scales"), smallest);
  }
}

template <Scalar T>
LampRow<T>::LampRow(const LayerSite<T>& site)
    : model_(site.model),
      B_(site.own("weight_x")),
      theta_(site.own("threshold")),
      shrink_(site),
      scratch_(model_.n_atoms(), site.tile),
      rho_(site.tile),
      b_(site.tile),
      rho_gradient_(static_cast<std::size_t>(site.tile)) {}

template <Scalar T>
void LampRow<T>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  const Index n = input.X.cols();
  MatrixRef<T> v = after.blocks[0], a = after.z;
  model_.dictionary().apply(before.z, v);
  v = input.X - v;
  for (Index i = 0; i < n; ++i) {
    b_(i) = static_cast<T>((before.z.col(i).array() != T(0)).count()) / static_cast<T>(model_.n_features());
    v.col(i) += b_(i) * before.blocks[0].col(i);
    rho_(i) = norm_in_range<T>(v.col(i)) / std::sqrt(static_cast<T>(model_.n_features()));
    rho_(i) += rho_(i) - rho_(i);  // NaN where it overflows: no threshold that makes all zero
  }
  multiply<T>(B_.values, v, a);
  a += before.z;
  shrink_.forward(a, {rho_.head(n), &theta_.values});
}

template <Scalar T>
void LampRow<T>::backward(const TileInput<T>& input, const LayerState<T>& /*before*/, const LayerState<T>& after,
                          const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const Index n = input.X.cols();
  MatrixRef<T> h = cotangent.z, v = cotangent.blocks[0];
  const auto rho = std::span<double>(rho_gradient_).first(static_cast<std::size_t>(n));
  shrink_.backward(after.z, {rho_.head(n), &theta_.values}, h, {.rho = rho, .theta = gradients.find(theta_.name)});
  if (Matrix<T>* B = gradients.find(B_.name)) add_outer<T>(T(1), h, after.blocks[0], *B);
  Matrix<T> Bh(v.rows(), n);
  multiply_transposed<T>(B_.values, h, Bh);
  v += Bh;
  for (Index i = 0; i < n; ++i)
    if (rho_(i) > T(0))
      v.col(i) += static_cast<T>(rho[static_cast<std::size_t>(i)]) / (rho_(i) * static_cast<T>(model_.n_features())) *
                  after.blocks[0].col(i);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0) signals += v;
  model_.dictionary().adjoint(v, scratch_.leftCols(n));
  h -= scratch_.leftCols(n);
  for (Index i = 0; i < n; ++i) v.col(i) *= b_(i);
}

template <Scalar T>
Parameters<T> LampRow<T>::initial(const NetworkModel<T>& model, int layer) {
  const T step = static_cast<T>(1 / (1.001 * model.lipschitz));
  return {{parameter_name(layer, "weight_x"), step * model.D().transpose()},
          {parameter_name(layer, "threshold"), Matrix<T>::Constant(1, 1, step)}};
}

#define RIATA_INSTANTIATE(T)                     \
  template class GeneralLayer<T, SoftShrink<T>>; \
  template class GeneralLayer<T, HardShrink<T>>; \
  template class FacnetRow<T>;                   \
  template class LampRow<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
