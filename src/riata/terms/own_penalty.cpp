#include "riata/terms/own_penalty.hpp"

#include <concepts>

#include "riata/core/check.hpp"
#include "riata/terms/concepts.hpp"

namespace riata {

static_assert(DifferentiablePenalty<Given<float>> && DifferentiablePenalty<Given<double>>);

template <Scalar T>
void OwnPenalty<T>::prox_vjp(const ConstMatrixRef<T>&, const Thresholds<T>&, MatrixRef<T>, const ThresholdCotangents<T>&) const {
  refuse("the penalty '" + name() + "' has no derivative of its prox; expected prox_vjp(), for layers and learning");
}

template <Scalar T>
void OwnPenalty<T>::add_subgradient(const ConstMatrixRef<T>&, const ConstVectorRef<T>&, MatrixRef<T>) const {
  refuse("the penalty '" + name() + "' has no subgradient; expected add_subgradient(), for layers and learning");
}

template <Scalar T>
PenaltyOptions own_penalty(std::shared_ptr<const OwnPenalty<T>> penalty) {
  require(penalty != nullptr, "own_penalty: the pointer is null");
  PenaltyOptions options{.kind = PenaltyKind::own};
  std::get<std::shared_ptr<const OwnPenalty<T>>>(options.own) = std::move(penalty);
  return options;
}

template <Scalar T>
Given<T>::Given(const PenaltyOptions& options) : own_(std::get<std::shared_ptr<const OwnPenalty<T>>>(options.own)) {
  require(own_ != nullptr, "penalty: none of one's own is given for {} signals", std::same_as<T, float> ? "float" : "double");
}

template <Scalar T>
double Given<T>::subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const {
  Matrix<T> moved = (z.template cast<double>() + correlations).template cast<T>();
  own_->prox(moved, Vector<T>::Constant(1, static_cast<T>(reg)));
  return static_cast<double>((moved.col(0) - z).cwiseAbs().maxCoeff());
}

#define RIATA_INSTANTIATE(T)                                                 \
  template class OwnPenalty<T>;                                              \
  template PenaltyOptions own_penalty(std::shared_ptr<const OwnPenalty<T>>); \
  template class Given<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
