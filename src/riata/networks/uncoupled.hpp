// The layers whose linear step is not coupled.
//
//   lista    a = W_z z + W_x x,      z+ = soft(a, theta reg)                Gregor and LeCun (2010)
//   iht      a = W_z z + W_x x,      z+ = hard(a, theta sqrt(2 reg / L))    Wang, Ling and Huang (2015), Xin et al. (2016)
//   facnet   z+ = A soft(A^T z - S^-1 A^T D^T (D z - x), reg / S)           A orthogonal, S > 0 diagonal: D^T D <= A S A^T
//   lamp     v+ = x - D z + b v,     z+ = soft(z + B v+, theta ||v+|| / sqrt(n)),   b = ||z||_0 / n
//                                                                           Borgerding, Schniter and Rangan (2017)
//
// They start as ISTA, as iterative hard thresholding, as ISTA (A = I, S = L) and as AMP with B = D^T / (1.001 L) and theta =
// 1 / (1.001 L), which is one standard deviation of B v+ where v+ is noise and atoms have norm 1. Hard thresholds and b are
// piecewise constant: their derivatives are zero. lamp's thresholds are its own, so reg enters its loss
// alone. The published IHT network starts from W_z = I - D^T D, which diverges unless ||D||_2 < 1.
#pragma once

#include "riata/networks/shrinks.hpp"

namespace riata {

/// Backward:   z = W_z^T h,   x += W_x^T h,   W_z += h z^T,   W_x += h x^T
template <Scalar T, class Shrink>
class GeneralLayer : public Layer<T> {
 public:
  explicit GeneralLayer(const LayerSite<T>& site);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);

 private:
  static constexpr bool is_hard = std::same_as<Shrink, HardShrink<T>>;
  void set_rho(const TileInput<T>& input);

  const NetworkModel<T>& model_;
  NamedArray<T> W_z_, W_x_, theta_;
  Shrink shrink_;
  Matrix<T> scratch_, x_scratch_;
  Vector<T> rho_;
  std::vector<double> rho_gradient_;
};

template <Scalar T>
using ListaRow = GeneralLayer<T, SoftShrink<T>>;
template <Scalar T>
using IhtRow = GeneralLayer<T, HardShrink<T>>;

/// Backward, with b = soft(a, reg / S), g = D^T r, w = A^T g and y the cotangent of z+:
///
///   b = A^T y, then h;     A += y b^T + z h^T - g (h / S)^T
///   S += sum_i (w h + reg sign(b) h) / S^2,       reg += -sum_j sign(b_j) h_j / S_j
///   g = -A (h / S),     z = A h + D^T D g,     x += -D g
template <Scalar T>
class FacnetRow : public Layer<T> {
 public:
  explicit FacnetRow(const LayerSite<T>& site);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
  /// A becomes the orthogonal factor of its polar decomposition, the nearest orthogonal matrix; S at least L / 10^6.
  static void project(const NetworkModel<T>& model, Parameters<T>& parameters);
  /// @throws std::invalid_argument unless S > 0
  static void check(const char* where, const NetworkModel<T>& model, const Parameters<T>& parameters);

 private:
  const NetworkModel<T>& model_;
  NamedArray<T> A_, S_;
  SoftShrink<T> shrink_;
  Matrix<T> inv_S_, inv_S_gradient_, r_, g_, w_, b_, scratch_;
  std::vector<double> rho_gradient_;
};

/// Backward, with the cotangents of z+ and v+:
///
///   z = h,   v+ += B^T h + (cotangent of rho) v+ / (||v+|| sqrt(n)),   B += h v+^T;   then   x += v+,  z -= D^T v+,  v = b v+
template <Scalar T>
class LampRow : public Layer<T> {
 public:
  explicit LampRow(const LayerSite<T>& site);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;
  static Parameters<T> initial(const NetworkModel<T>& model, int layer);
  static std::vector<Index> blocks(const NetworkModel<T>& model) { return {model.n_features()}; }  // v

 private:
  const NetworkModel<T>& model_;
  NamedArray<T> B_, theta_;
  SoftShrink<T> shrink_;
  Matrix<T> scratch_;
  Vector<T> rho_, b_;
  std::vector<double> rho_gradient_;
};

}  // namespace riata
