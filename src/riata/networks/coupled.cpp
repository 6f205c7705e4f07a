#include "riata/networks/coupled.hpp"

#include "riata/core/check.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/networks/analytic_weight.hpp"
#include "riata/unrolled/layers.hpp"

namespace riata {
namespace {

template <Scalar T>
Matrix<T> number(double value) {
  return Matrix<T>::Constant(1, 1, static_cast<T>(value));
}

/// 1 / L, for all atoms or for each.
template <Scalar T>
Matrix<T> first_threshold(const NetworkModel<T>& model) {
  const Index size = model.options.threshold == ThresholdShape::atom ? model.n_atoms() : 1;
  return Matrix<T>::Constant(size, 1, static_cast<T>(1 / model.lipschitz));
}

template <Scalar T>
Matrix<T> first_weight(const NetworkModel<T>& model) {
  return model.D() * static_cast<T>(1 / model.lipschitz);
}

template <Scalar T>
CoupledParts<T> coupled_parts(const LayerSite<T>& site) {
  return {.weight = site.own("weight"), .threshold = site.own("threshold")};
}

/// alpha is the threshold too.
template <Scalar T>
CoupledParts<T> step_parts(const LayerSite<T>& site) {
  return {.step = site.own("step"), .threshold = site.own("step")};
}

constexpr const char* derived_weight = "D A";

}  // namespace

template <Scalar T, class Shrink>
CoupledLayer<T, Shrink>::CoupledLayer(const LayerSite<T>& site, const CoupledParts<T>& parts)
    : model_(site.model),
      D_(site.model.dictionary().matrix()),
      parts_(parts),
      shrink_(site),
      transposed_(parts.weight ? Matrix<T>(parts.weight->values.transpose()) : Matrix<T>()),
      before_(site.model.n_atoms(), site.tile),
      h_(site.model.n_atoms(), site.keep ? site.tile : 0) {
  r_.resize(model_.n_features(), site.tile);
  pull_.resize(model_.n_atoms(), site.tile);
  Wh_.resize(model_.n_features(), site.tile);
  rho_gradient_.resize(static_cast<std::size_t>(site.tile));
}

template <Scalar T, class Shrink>
void CoupledLayer<T, Shrink>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  const Index n = input.X.cols(), m = model_.n_atoms();
  auto r = r_.leftCols(n);
  if (D_ != nullptr) before_.assign(before.z);
  if (D_ != nullptr && before_.sparse())
    before_.multiply(*D_, r);
  else
    model_.dictionary().apply(before.z, r);
  r -= input.X;
  input.weigh(r);
  if (parts_.weight)
    multiply<T>(transposed_, r, pull_.leftCols(n));
  else
    model_.dictionary().adjoint(r, pull_.leftCols(n));
  for (Index i = 0; i < n; ++i)
    gradient_step(m, before.z.col(i).data(), alpha(), pull_.col(i).data(), const_cast<T*>(after.z.col(i).data()));
  shrink_.forward(after.z, {input.reg, &parts_.threshold.values});
}

template <Scalar T, class Shrink>
void CoupledLayer<T, Shrink>::backward(const TileInput<T>& input, const LayerState<T>& /*before*/, const LayerState<T>& after,
                                       const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const Index n = input.X.cols(), m = model_.n_atoms();
  MatrixRef<T> h = cotangent.z;
  const auto rho = std::span<double>(rho_gradient_).first(gradients.reg.size());
  shrink_.backward(after.z, {input.reg, &parts_.threshold.values}, h,
                   {.rho = rho, .theta = gradients.find(parts_.threshold.name)});
  for (std::size_t i = 0; i < rho.size(); ++i) gradients.reg[i] += rho[i];
  auto r = r_.leftCols(n), Wh = Wh_.leftCols(n);
  const Matrix<T>* W = parts_.weight ? &parts_.weight->values : D_;
  if (W != nullptr) h_.assign(h);
  const bool sparse = W != nullptr && h_.sparse();
  if (sparse)
    h_.multiply(*W, Wh);
  else if (W != nullptr)
    multiply<T>(*W, h, Wh);
  else
    model_.dictionary().apply(h, Wh);
  if (Matrix<T>* weight = parts_.weight ? gradients.find(parts_.weight->name) : nullptr) {
    if (sparse)
      h_.add_outer(-alpha(), r, *weight);
    else
      add_outer<T>(-alpha(), r, h, *weight);
  }
  if (Matrix<T>* step = parts_.step ? gradients.find(parts_.step->name) : nullptr)
    (*step)(0) -= static_cast<T>(r.template cast<double>().cwiseProduct(Wh.template cast<double>()).sum());
  input.weigh(Wh);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0) signals += alpha() * Wh;
  if (Shrink::zeros_are_dead && D_ != nullptr && before_.sparse()) return before_.subtract_adjoint(alpha(), *D_, Wh, h);
  model_.dictionary().adjoint(Wh, pull_.leftCols(n));
  gradient_step(n * m, h.data(), alpha(), pull_.data(), h.data());
}

template <Scalar T>
CoupledRow<T>::CoupledRow(const LayerSite<T>& site) : CoupledLayer<T>(site, coupled_parts(site)) {}

template <Scalar T>
Parameters<T> CoupledRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return {{parameter_name(layer, "weight"), first_weight(model)}, {parameter_name(layer, "threshold"), first_threshold(model)}};
}

template <Scalar T>
TiedRow<T>::TiedRow(const LayerSite<T>& site)
    : CoupledLayer<T>(site, {.weight = site.shared("weight"), .step = site.own("step"), .threshold = site.own("threshold")}) {}

template <Scalar T>
Parameters<T> TiedRow<T>::initial(const NetworkModel<T>& model, int layer) {
  Parameters<T> parameters{{parameter_name(layer, "step"), number<T>(1 / model.lipschitz)},
                           {parameter_name(layer, "threshold"), first_threshold(model)}};
  if (layer == 0) parameters["weight"] = model.D();
  return parameters;
}

template <Scalar T>
Parameters<T> AlistaRow<T>::initial(const NetworkModel<T>& model, int layer) {
  Parameters<T> parameters = TiedRow<T>::initial(model, layer);
  if (layer == 0) parameters["weight"] = analytic_weight<T>(model.D());
  return parameters;
}

template <Scalar T, class Shrink>
StepRow<T, Shrink>::StepRow(const LayerSite<T>& site) : CoupledLayer<T, Shrink>(site, step_parts(site)) {}

template <Scalar T, class Shrink>
Parameters<T> StepRow<T, Shrink>::initial(const NetworkModel<T>& model, int layer) {
  return {{parameter_name(layer, "step"), number<T>(1 / model.lipschitz)}};
}

template <Scalar T>
NetworkKind<T> ista_kind(bool groups) {
  return groups ? kind_of<T, StepRow<T, GroupShrink<T>>>() : kind_of<T, StepRow<T>>();
}

template <Scalar T>
FistaRow<T>::FistaRow(const LayerSite<T>& site)
    : step_(site), momentum_(static_cast<T>(layer_momenta(site.layer + 1, true).back())) {}

template <Scalar T>
void FistaRow<T>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  step_.forward(input, {before.blocks[0]}, after);
  after.blocks[0] = after.z + momentum_ * (after.z - before.z);
}

template <Scalar T>
void FistaRow<T>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                           const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  MatrixRef<T> h = cotangent.z, c = cotangent.blocks[0];
  h += (1 + momentum_) * c;
  c *= -momentum_;
  step_.backward(input, {before.blocks[0]}, after, {h}, gradients);
  h.swap(c);
}

template <Scalar T>
FirstStepRow<T>::FirstStepRow(const LayerSite<T>& site)
    : CoupledLayer<T>(site, site.layer == 0 ? coupled_parts(site) : step_parts(site)) {}

template <Scalar T>
Parameters<T> FirstStepRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return layer == 0 ? CoupledRow<T>::initial(model, layer) : StepRow<T>::initial(model, layer);
}

template <Scalar T>
GroupRow<T>::GroupRow(const LayerSite<T>& site) : CoupledLayer<T, GroupShrink<T>>(site, coupled_parts(site)) {}

template <Scalar T>
Parameters<T> GroupRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return CoupledRow<T>::initial(model, layer);
}

template <Scalar T>
HessianRow<T>::HessianRow(const LayerSite<T>& site)
    : model_(site.model),
      name_(parameter_name(site.layer, "hessian")),
      threshold_(parameter_name(site.layer, "threshold")),
      W_(model_.D() * site.own("hessian").values),
      coupled_(site, {.weight = NamedArray<T>{derived_weight, W_}, .threshold = site.own("threshold")}) {}

template <Scalar T>
Parameters<T> HessianRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return {{parameter_name(layer, "hessian"),
           Matrix<T>::Identity(model.n_atoms(), model.n_atoms()) * static_cast<T>(1 / model.lipschitz)},
          {parameter_name(layer, "threshold"), first_threshold(model)}};
}

template <Scalar T>
void HessianRow<T>::project(const NetworkModel<T>& model, Parameters<T>& parameters) {
  for (int t = 0; t < model.n_layers; ++t) {
    Matrix<T>& A = parameters.at(parameter_name(t, "hessian"));
    A = (T(0.5) * (A + A.transpose())).eval();
  }
}

template <Scalar T>
void HessianRow<T>::check(const char* where, const NetworkModel<T>& model, const Parameters<T>& parameters) {
  for (int t = 0; t < model.n_layers; ++t) {
    const Matrix<T>& A = parameters.at(parameter_name(t, "hessian"));
    const double off = static_cast<double>((A - A.transpose()).cwiseAbs().maxCoeff());
    require(off <= 1e-3 * static_cast<double>(A.cwiseAbs().maxCoeff()),
            "{}: '{}' differs from its transpose by {:.2g}, must be symmetric", where, parameter_name(t, "hessian"), off);
  }
}

template <Scalar T>
void HessianRow<T>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                             const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  if (gradients.find(name_) != nullptr && aside_[derived_weight].size() == 0)
    aside_[derived_weight].setZero(model_.n_features(), model_.n_atoms());
  Matrix<T>* threshold = gradients.find(threshold_);
  if (threshold != nullptr) aside_[threshold_] = std::move(*threshold);
  coupled_.backward(input, before, after, cotangent, {.parameters = aside_, .signals = gradients.signals, .reg = gradients.reg});
  if (threshold != nullptr) *threshold = std::move(aside_[threshold_]);
}

template <Scalar T>
void HessianRow<T>::finish(const LayerGradients<T>& gradients) {
  Matrix<T>* A = gradients.find(name_);
  if (A == nullptr || aside_[derived_weight].size() == 0) return;
  const Matrix<T> product = model_.D().transpose() * aside_[derived_weight];
  *A += (product + product.transpose()) / T(2);
  aside_[derived_weight].setZero();
}

#define RIATA_INSTANTIATE(T)                      \
  template class CoupledLayer<T>;                 \
  template class CoupledLayer<T, GroupShrink<T>>; \
  template struct CoupledRow<T>;                  \
  template struct TiedRow<T>;                     \
  template struct AlistaRow<T>;                   \
  template struct StepRow<T>;                     \
  template struct StepRow<T, GroupShrink<T>>;     \
  template NetworkKind<T> ista_kind<T>(bool);     \
  template class FistaRow<T>;                     \
  template struct FirstStepRow<T>;                \
  template struct GroupRow<T>;                    \
  template class HessianRow<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)

}  // namespace riata
