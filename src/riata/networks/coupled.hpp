// The coupled layers: one weight W for the code and for the signal.
//
//   r = w (D z - x),     a = z - alpha W^T r,     z+ = shrink(a, theta rho)        w: the data fit's weights, mostly ones
//
// Backward, with h the cotangent of a (terms/l1.hpp, group_l1.hpp):
//
//   z = h - alpha D^T (w W h),     x += alpha w W h,     W += -alpha r h^T,     alpha += -<r, W h>
//
// h is zero where z+ is, and the layer before does not read z's cotangent where z is zero (but for groups): of the five products
// all but W^T r run on supports where tiles are sparse.
//
//              W                    alpha       theta          source
//   coupled    per layer            1           per layer      Chen, Liu, Wang and Yin (2018), LISTA-CP: W absorbs alpha
//   tied       one, learned         per layer   per layer      Liu, Chen, Wang and Yin (2019), TiLISTA
//   alista     one, analytic        per layer   per layer      the same, ALISTA
//   step       D                    per layer   alpha          Ablin, Moreau, Massias and Gramfort (2019), SLISTA
//   fista      D                    per layer   alpha          step from y = z + m (z - z before), the momentum of Beck and Teboulle
//   first_step layer 0 as coupled with one threshold, then step              their code
//   hessian    D A, A symmetric     1           per layer      their code
//   group      per layer            1           per layer      group soft; Sprechmann et al. (2012)
//
// All start as ISTA, W = D / L or alpha = 1 / L and theta = 1 / L, except alista, whose W is not D. rho = reg.
#pragma once

#include <optional>

#include "riata/linalg/sparse_columns.hpp"
#include "riata/networks/kinds.hpp"
#include "riata/networks/shrinks.hpp"

namespace riata {

/// What a coupled layer is made of. A name that stands in no gradient pack is simply not learned.
template <Scalar T>
struct CoupledParts {
  std::optional<NamedArray<T>> weight = {};  ///< W, n_features x n_atoms; absent: D, which then may be any dictionary
  std::optional<NamedArray<T>> step = {};    ///< alpha, 1 x 1; absent: 1
  NamedArray<T> threshold;                   ///< theta, 1 x 1 or n_atoms x 1
};

template <Scalar T, class Shrink = SoftShrink<T>>
class CoupledLayer : public Layer<T> {
 public:
  CoupledLayer(const LayerSite<T>& site, const CoupledParts<T>& parts);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;

 private:
  T alpha() const { return parts_.step ? parts_.step->values(0) : T(1); }

  const NetworkModel<T>& model_;
  const Matrix<T>* D_;  // null where it is no matrix
  CoupledParts<T> parts_;
  Shrink shrink_;
  Matrix<T> transposed_;  // W^T: OpenBLAS multiplies small matrices as they lie, unless transposed
  Matrix<T> r_, pull_, Wh_;
  SparseColumns<T> before_, h_;  // the layer's input and the cotangent of a
  std::vector<double> rho_gradient_;
};

// The rows of the table. initial() gives the parameters of layer t at the start.

template <Scalar T>
struct CoupledRow : CoupledLayer<T> {
  explicit CoupledRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T>
struct TiedRow : CoupledLayer<T> {
  explicit TiedRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

/// Its weight is a parameter that nothing trains.
template <Scalar T>
struct AlistaRow : TiedRow<T> {
  using TiedRow<T>::TiedRow;
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T, class Shrink = SoftShrink<T>>
struct StepRow : CoupledLayer<T, Shrink> {
  explicit StepRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

/// The state is the pair (z, y): z+ of a step from y, then y+ = z+ + m (z+ - z). Backward, with c the cotangent of y+:
/// z+ += (1 + m) c, then y as z above, and z = -m c. An entry of y that cancels to zero, not being so in z, passes nothing on.
template <Scalar T>
class FistaRow : public Layer<T> {
 public:
  explicit FistaRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer) { return StepRow<T>::initial(model, layer); }
  static std::vector<Index> blocks(const NetworkModel<T>& model) { return {model.n_atoms()}; }
  void start(const LayerState<T>& first) override { first.blocks[0] = first.z; }
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;

 private:
  StepRow<T> step_;
  const T momentum_;
};

template <Scalar T>
struct FirstStepRow : CoupledLayer<T> {
  explicit FirstStepRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T>
struct GroupRow : CoupledLayer<T, GroupShrink<T>> {
  explicit GroupRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

/// ISTA as layers: step or, with groups, the same for them.
template <Scalar T>
NetworkKind<T> ista_kind(bool groups);

/// The gradient of A is D^T (gradient of W), made symmetric.
template <Scalar T>
class HessianRow : public Layer<T> {
 public:
  explicit HessianRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
  /// A becomes the mean of A and its transpose, the nearest symmetric matrix.
  static void project(const NetworkModel<T>& model, Parameters<T>& parameters);
  /// @throws std::invalid_argument unless A is symmetric, to 1e-3 of its largest entry
  static void check(const char* where, const NetworkModel<T>& model, const Parameters<T>& parameters);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override {
    coupled_.forward(input, before, after);
  }
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;
  void finish(const LayerGradients<T>& gradients) override;

 private:
  const NetworkModel<T>& model_;
  const std::string name_;  // of A
  const std::string threshold_;
  const Matrix<T> W_;
  CoupledLayer<T> coupled_;
  Parameters<T> aside_;  // the gradient of W, and while backward() runs that of the threshold
};

}  // namespace riata
