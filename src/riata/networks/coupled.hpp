// The networks whose layers are coupled (unrolled/coupled_layer.hpp): r = w (D z - x), z+ = shrink(z - alpha W^T r, theta reg).
//
//              W                    alpha       theta          source
//   coupled    per layer            1           per layer      Chen, Liu, Wang and Yin (2018), LISTA-CP: W absorbs alpha
//   tied       one, learned         per layer   per layer      Liu, Chen, Wang and Yin (2019), TiLISTA
//   alista     one, analytic        per layer   per layer      the same, ALISTA
//   step       D                    per layer   alpha          Ablin, Moreau, Massias and Gramfort (2019), SLISTA
//   fista      D                    per layer   alpha          step from y = z + m (z - z before), Beck and Teboulle's momentum
//   first_step layer 0 as coupled with one threshold, then step              their code
//   hessian    D A, A symmetric     1           per layer      their code
//   group      as coupled, for groups                          group soft; Sprechmann et al. (2012)
//
// All start as ISTA, W = D / L or alpha = 1 / L and theta = 1 / L, except alista, whose W is not D.
#pragma once

#include "riata/networks/kinds.hpp"
#include "riata/unrolled/coupled_layer.hpp"

namespace riata {

// The rows of the table. initial() gives the parameters of layer t at the start.

template <Scalar T>
struct CoupledRow : CoupledLayer<T> {
  explicit CoupledRow(const LayerSite<T>& site);
  CoupledRow(const LayerSite<T>& site, const CoupledParts<T>& parts);  ///< of parts of another kind
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T>
struct TiedRow : CoupledRow<T> {
  explicit TiedRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

/// Its weight is a parameter that nothing trains.
template <Scalar T>
struct AlistaRow : TiedRow<T> {
  using TiedRow<T>::TiedRow;
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T>
struct StepRow : CoupledRow<T> {
  explicit StepRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

template <Scalar T>
struct FistaRow : FistaLayer<T> {
  explicit FistaRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer) { return StepRow<T>::initial(model, layer); }
  static std::vector<Index> blocks(const NetworkModel<T>& model) { return {model.n_atoms()}; }
};

template <Scalar T>
struct FirstStepRow : CoupledRow<T> {
  explicit FirstStepRow(const LayerSite<T>& site);
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
};

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
  CoupledRow<T> coupled_;
  Parameters<T> aside_;  // the gradient of W, and while backward() runs that of the threshold
};

}  // namespace riata
