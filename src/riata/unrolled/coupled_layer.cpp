#include "riata/unrolled/coupled_layer.hpp"

#include <algorithm>

#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

constexpr Index large_tile = Index{1} << 20;  // entries of codes

}  // namespace

template <Scalar T>
CoupledLayer<T>::CoupledLayer(const Dictionary<T>& D, Shrink<T> shrink, const CoupledParts<T>& parts, const PassRoom& room)
    : D_(D),
      matrix_(parts.schedule == nullptr || parts.on_supports ? D.matrix() : std::nullopt),
      parts_(parts),
      shrink_(std::move(shrink)),
      first_kept_(room.n_layers - room.stored),
      r_(static_cast<std::size_t>(std::max(room.stored, 1))),
      transposed_(parts.weight && !parts.weight_map ? Matrix<T>(parts.weight->values.transpose()) : Matrix<T>()),
      lends_room_(room.stored == 0 && parts.schedule == nullptr && D.code_size() * room.tile > large_tile),
      pull_(D.code_size(), lends_room_ ? 0 : room.tile),
      Wh_(D.signal_size(), room.stored > 0 ? room.tile : 0),
      before_(matrix_ ? D.code_size() : 0, matrix_ ? room.tile : 0),
      h_(goes_back_sparse(parts, room) ? D.code_size() : 0, goes_back_sparse(parts, room) ? room.tile : 0),
      rho_(room.tile),
      rho_gradient_(static_cast<std::size_t>(room.tile)) {
  for (Matrix<T>& r : r_) r.resize(D.signal_size(), lends_room_ ? 0 : room.tile);  // memory that nobody has touched yet
  if (parts.weight_map) map_parameter_ = parts.weight_map->parameters().begin()->first;
  if (const auto& theta = parts.threshold; theta && theta->values.size() > 1 && D.n_atoms() < D.code_size())
    spread_theta_ = theta->values.transpose().replicate(D.code_size() / D.n_atoms(), 1).reshaped(D.code_size(), 1);
}

/// May the cotangent be multiplied on its support? By a weight or D that is a matrix.
template <Scalar T>
bool CoupledLayer<T>::goes_back_sparse(const CoupledParts<T>& parts, const PassRoom& room) const {
  const bool by_matrix = !parts.weight_map && (parts.weight || matrix_);
  return by_matrix && room.stored > 0;
}

template <Scalar T>
double CoupledLayer<T>::alpha(int layer) const {
  if (parts_.schedule != nullptr) return parts_.schedule->steps[static_cast<std::size_t>(layer)];
  return parts_.step ? static_cast<double>(parts_.step->values(0)) : 1;
}

template <Scalar T>
double CoupledLayer<T>::reg_share(int layer) const {
  return parts_.schedule != nullptr ? parts_.schedule->reg_share(layer) : 1;
}

template <Scalar T>
Thresholds<T> CoupledLayer<T>::thresholds(const TileInput<T>& input, int layer) {
  if (parts_.threshold) return {input.reg, spread_theta_.size() > 0 ? &spread_theta_ : &parts_.threshold->values};
  auto rho = rho_.head(input.reg.size());
  rho = static_cast<T>(alpha(layer) * reg_share(layer)) * input.reg;
  return {rho};
}

template <Scalar T>
void CoupledLayer<T>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  const Index n = input.X.cols(), m = D_.code_size();
  const T alpha = static_cast<T>(this->alpha(before.number));
  if (lends_room_) {
    pull_.resize(m, n);
    r_.front().resize(D_.signal_size(), n);
  }
  auto r = residual(before.number, n), pull = pull_.leftCols(n);
  if (before.number == 0) starts_from_zero_ = before.z.isZero(0);
  if (before.number == 0) was_dense_ = false;
  const bool looks = matrix_.has_value() && !(parts_.schedule != nullptr && was_dense_);
  if (looks) before_.assign(before.z);
  was_dense_ = was_dense_ || (looks && !before_.sparse());
  if (is_from_zero(before.number)) {
    r = -input.X;
  } else {
    if (looks && before_.sparse())
      before_.multiply(*matrix_, r);
    else
      D_.apply(before.z, r);
    r -= input.X;
  }
  input.weigh(r);
  if (parts_.weight_map)
    parts_.weight_map->adjoint(r, pull);
  else if (parts_.weight)
    multiply<T>(transposed_, r, pull);
  else
    D_.adjoint(r, pull);
  MatrixRef<T> z = after.z;
  shrink_.forward(z, thresholds(input, before.number),
                  [&](Index i) { gradient_step(m, before.z.col(i).data(), alpha, pull.col(i).data(), z.col(i).data()); });
  if (lends_room_) {
    pull_.resize(m, 0);
    r_.front().resize(D_.signal_size(), 0);
  }
}

/// The shrinkage backward; theta of an atom is that of all entries of the code that are its own.
template <Scalar T>
void CoupledLayer<T>::shrink_back(const TileInput<T>& input, const LayerState<T>& after, MatrixRef<T> h, std::span<double> rho,
                                  Matrix<T>* theta, int layer) {
  if (theta == nullptr || spread_theta_.size() == 0)
    return shrink_.backward(after.z, thresholds(input, layer), h, {.rho = rho, .theta = theta});
  Matrix<T> spread = Matrix<T>::Zero(spread_theta_.rows(), 1);
  shrink_.backward(after.z, thresholds(input, layer), h, {.rho = rho, .theta = &spread});
  *theta += spread.reshaped(spread.rows() / theta->rows(), theta->rows()).colwise().sum().transpose();
}

/// gradient += scale d<r, W h>/dW
template <Scalar T>
void CoupledLayer<T>::add_weight_gradient(T scale, const ConstMatrixRef<T>& r, const ConstMatrixRef<T>& h, Matrix<T>& gradient) {
  if (!parts_.weight_map) return add_outer<T>(scale, r, h, gradient);
  Parameters<T> pack;
  pack[map_parameter_] = std::move(gradient);
  parts_.weight_map->accumulate_gradient(scale, r, h, pack);
  gradient = std::move(pack[map_parameter_]);
}

template <Scalar T>
void CoupledLayer<T>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                               const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const Index n = input.X.cols(), m = D_.code_size();
  const double step = alpha(before.number);
  const T alpha = static_cast<T>(step);
  MatrixRef<T> h = cotangent.z;
  auto r = residual(before.number, n), Wh = Wh_.leftCols(n), pull = pull_.leftCols(n);

  const auto find = [&](const auto& part) { return part ? gradients.find(part->name) : nullptr; };

  const auto rho = std::span<double>(rho_gradient_).first(static_cast<std::size_t>(n));
  shrink_back(input, after, h, rho, find(parts_.threshold), before.number);
  for (std::size_t i = 0; i < gradients.reg.size(); ++i)
    gradients.reg[i] += (parts_.threshold ? 1 : step * reg_share(before.number)) * rho[i];

  const std::optional<MatrixView<T>> W = parts_.weight_map ? std::nullopt
                                         : parts_.weight   ? std::optional(view_of(parts_.weight->values))
                                                           : matrix_;
  if (W) h_.assign(h);
  const bool sparse = W.has_value() && h_.sparse();
  if (sparse)
    h_.multiply(*W, Wh);
  else if (W)
    multiply<T>(*W, h, Wh);
  else
    (parts_.weight_map ? *parts_.weight_map : D_).apply(h, Wh);
  if (Matrix<T>* weight = find(parts_.weight)) {
    if (sparse)
      h_.add_outer(-alpha, r, *weight);
    else
      add_weight_gradient(-alpha, r, h, *weight);
  }
  Matrix<T>* by_step = find(parts_.step);
  if (by_step != nullptr || !gradients.steps.empty()) {
    double along = -r.template cast<double>().cwiseProduct(Wh.template cast<double>()).sum();
    if (!parts_.threshold)
      along += reg_share(before.number) * Eigen::Map<const Vector<double>>(rho.data(), n).dot(input.reg.template cast<double>());
    if (by_step != nullptr) (*by_step)(0) += static_cast<T>(along);
    if (!gradients.steps.empty()) gradients.steps[static_cast<std::size_t>(before.number)] += along / parts_.schedule->lipschitz;
  }
  if (gradients.dictionary && !parts_.weight) D_.accumulate_gradient(-alpha, r, h, gradients.parameters);
  input.weigh(Wh);
  if (gradients.dictionary && !is_from_zero(before.number)) D_.accumulate_gradient(-alpha, Wh, before.z, gradients.parameters);
  if (MatrixRef<T> signals = gradients.signals; signals.size() > 0) signals += alpha * Wh;
  if (matrix_ && before_.sparse() && shrink_.zeros_are_dead()) return before_.subtract_adjoint(alpha, *matrix_, Wh, h);
  D_.adjoint(Wh, pull);
  gradient_step(n * m, h.data(), alpha, pull.data(), h.data());
}

template <Scalar T>
void FistaLayer<T>::forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
  step_.forward(input, {before.blocks[0], {}, before.number}, after);
  rebuild(before, after);
}

template <Scalar T>
void FistaLayer<T>::rebuild(const LayerState<T>& before, const LayerState<T>& after) {
  MatrixRef<T> y = after.blocks[0];
  extrapolate(y.size(), after.z.data(), before.z.data(), momentum(before.number), y.data());
}

/// (z+, y+) becomes (-m y+, z+ + (1 + m) y+), whose second part then goes back through the step.
template <Scalar T>
void FistaLayer<T>::backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                             const LayerState<T>& cotangent, const LayerGradients<T>& gradients) {
  const T m = momentum(before.number);
  MatrixRef<T> of_z = cotangent.z, of_y = cotangent.blocks[0];
  T *z = of_z.data(), *y = of_y.data();
  for (Index k = 0; k < of_z.size(); ++k) {
    const T h = z[k] + (T(1) + m) * y[k];
    z[k] = -m * y[k];
    y[k] = h;
  }
  step_.backward(input, {before.blocks[0], {}, before.number}, after, {of_y}, gradients);
}

#define RIATA_INSTANTIATE(T)      \
  template class CoupledLayer<T>; \
  template class FistaLayer<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
