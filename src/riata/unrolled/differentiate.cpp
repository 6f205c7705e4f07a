#include "riata/unrolled/differentiate.hpp"

namespace riata {

template <Scalar T>
double TileLoss<T>::operator()(Index first, const TileInput<T>& input, const ConstMatrixRef<T>& Z, MatrixRef<T> cotangent,
                               const LayerGradients<T>& gradients) const {
  Matrix<T> r(D.signal_size(), Z.cols());
  D.apply(Z, r);
  if (targets)
    r -= targets->middleCols(first, Z.cols());
  else
    r -= input.X;
  const Matrix<T> plain = input.is_weighted() ? r : Matrix<T>();
  input.weigh(r);
  double value = 0;
  for (Index i = 0; i < Z.cols(); ++i) {
    const auto weighed = r.col(i).template cast<double>();
    value += 0.5 * (input.is_weighted() ? weighed.dot(plain.col(i).template cast<double>()) : weighed.squaredNorm());
    if (penalty == nullptr) continue;
    const double g = penalty->value(Z.col(i));
    value += static_cast<double>(input.reg(i)) * g;
    if (!gradients.reg.empty()) gradients.reg[static_cast<std::size_t>(i)] += scale * g;
  }
  r *= static_cast<T>(scale);
  if (gradients.dictionary) D.accumulate_gradient(T(1), r, Z, gradients.parameters);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0 && !targets) signals -= r;
  if (cotangent.size() == 0) return value;
  D.adjoint(r, cotangent);
  if (penalty != nullptr) penalty->add_subgradient(Z, static_cast<T>(scale) * input.reg, cotangent);
  return value;
}

template struct TileLoss<float>;
template struct TileLoss<double>;

}  // namespace riata
