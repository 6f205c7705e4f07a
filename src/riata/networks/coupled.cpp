#include "riata/networks/coupled.hpp"

#include "riata/core/check.hpp"
#include "riata/networks/shrinks.hpp"

namespace riata {
namespace {

template <Scalar T>
Matrix<T> number(double value) {
  return Matrix<T>::Constant(1, 1, static_cast<T>(value));
}

/// W of layers over D: where D is no matrix, as the map that D is.
template <Scalar T>
CoupledParts<T> with_weight(const LayerSite<T>& site, NamedArray<T> weight, CoupledParts<T> parts) {
  if (!site.model.dictionary().matrix()) {
    const auto like = site.model.dictionary().unstructured();
    parts.weight_map = like->at({{like->parameters().begin()->first, weight.values}});
  }
  parts.weight.emplace(std::move(weight));
  return parts;
}

/// 1 / L, for all atoms or for each.
template <Scalar T>
Matrix<T> first_threshold(const NetworkModel<T>& model) {
  const Index size = model.options.threshold == ThresholdShape::atom ? model.dictionary().n_atoms() : 1;
  return Matrix<T>::Constant(size, 1, static_cast<T>(1 / model.lipschitz));
}

template <Scalar T>
Matrix<T> first_weight(const NetworkModel<T>& model) {
  return model.atoms() * static_cast<T>(1 / model.lipschitz);
}

template <Scalar T>
CoupledParts<T> coupled_parts(const LayerSite<T>& site) {
  return with_weight(site, site.own("weight"), {.threshold = site.own("threshold")});
}

/// alpha is the threshold too.
template <Scalar T>
CoupledParts<T> step_parts(const LayerSite<T>& site) {
  return {.step = site.own("step")};
}

template <Scalar T>
PassRoom room_of(const LayerSite<T>& site) {
  return {.n_layers = site.layer + 1, .stored = site.keep ? 1 : 0, .tile = site.tile};
}

constexpr const char* derived_weight = "D A";

}  // namespace

template <Scalar T>
CoupledRow<T>::CoupledRow(const LayerSite<T>& site, const CoupledParts<T>& parts)
    : CoupledLayer<T>(site.model.dictionary(), SoftShrink<T>(site), parts, room_of(site)) {}

template <Scalar T>
CoupledRow<T>::CoupledRow(const LayerSite<T>& site) : CoupledRow(site, coupled_parts(site)) {}

template <Scalar T>
Parameters<T> CoupledRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return {{parameter_name(layer, "weight"), first_weight(model)}, {parameter_name(layer, "threshold"), first_threshold(model)}};
}

template <Scalar T>
TiedRow<T>::TiedRow(const LayerSite<T>& site)
    : CoupledRow<T>(site,
                    with_weight(site, site.shared("weight"), {.step = site.own("step"), .threshold = site.own("threshold")})) {}

template <Scalar T>
Parameters<T> TiedRow<T>::initial(const NetworkModel<T>& model, int layer) {
  Parameters<T> parameters{{parameter_name(layer, "step"), number<T>(1 / model.lipschitz)},
                           {parameter_name(layer, "threshold"), first_threshold(model)}};
  if (layer == 0) parameters["weight"] = model.atoms();
  return parameters;
}

template <Scalar T>
Parameters<T> AlistaRow<T>::initial(const NetworkModel<T>& model, int layer) {
  Parameters<T> parameters = TiedRow<T>::initial(model, layer);
  if (layer == 0 && !model.awaits_parameters) parameters["weight"] = model.dictionary().analytic_weight();
  return parameters;
}

template <Scalar T>
StepRow<T>::StepRow(const LayerSite<T>& site) : CoupledRow<T>(site, step_parts(site)) {}

template <Scalar T>
Parameters<T> StepRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return {{parameter_name(layer, "step"), number<T>(1 / model.lipschitz)}};
}

template <Scalar T>
FistaRow<T>::FistaRow(const LayerSite<T>& site)
    : FistaLayer<T>(site.model.dictionary(), SoftShrink<T>(site), step_parts(site), room_of(site),
                    layer_momenta(site.layer + 1, true).back()) {}

template <Scalar T>
FirstStepRow<T>::FirstStepRow(const LayerSite<T>& site)
    : CoupledRow<T>(site, site.layer == 0 ? coupled_parts(site) : step_parts(site)) {}

template <Scalar T>
Parameters<T> FirstStepRow<T>::initial(const NetworkModel<T>& model, int layer) {
  return layer == 0 ? CoupledRow<T>::initial(model, layer) : StepRow<T>::initial(model, layer);
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

#define RIATA_INSTANTIATE(T)       \
  template struct CoupledRow<T>;   \
  template struct TiedRow<T>;      \
  template struct AlistaRow<T>;    \
  template struct StepRow<T>;      \
  template struct FistaRow<T>;     \
  template struct FirstStepRow<T>; \
  template class HessianRow<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
