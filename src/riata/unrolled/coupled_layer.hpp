// The layers of ISTA and FISTA and their exact derivatives: with one weight W for the code and for the signal, D itself or
// learned.
//
//   r = w (D y - x)                                w: the data fit's weights, mostly ones
//   z+ = shrink( y - alpha W^T r, theta rho )      ISTA, W = D: theta = alpha, rho = reg, or beta^k reg in layer k
//   y+ = z+ + m (z+ - z)                           m = 0 and y = z but for FISTA, m_k = (t_k - 1) / t_{k+1}
//
// Backward, with the cotangents of z+ and y+ at hand, and h that of the shrinkage's argument (terms/):
//
//   D    += -alpha ( d<r, D h>/dD + d<w W h, D y>/dD )      the first for W = D alone
//   y     =  h - alpha D^T (w W h),     x += alpha w W h,     W += -alpha r h^T
//   alpha = -<r, W h>, and the cotangent of theta where that is alpha;     reg += theta (cotangent of theta rho)
//
// L, of which the steps alpha_k = s_k / L are made, is a constant of the derivative, as in every published code; sign(0) = 0. Any
// dictionary serves where W = D: it is asked for products alone. Where tiles are sparse and an object is one layer, products with
// a matrix run on the supports (linalg/sparse_columns.hpp): h is zero where z+ is, and the layer before does not read y's
// cotangent where y is zero, if zeros are dead (an entry of y that cancels to zero, not being so in z, passes nothing on).
// Sources: Tolooshams and Ba (2021), Algorithm 2; Malezieux, Moreau and Kowalski (2022), Algorithm 2.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "riata/linalg/sparse_columns.hpp"
#include "riata/unrolled/layer.hpp"
#include "riata/unrolled/shrink.hpp"

namespace riata {

/// What a coupled layer is made of. A name that stands in no gradient pack is simply not learned.
template <Scalar T>
struct CoupledParts {
  std::optional<NamedArray<T>> weight = {};              ///< W, n_features x n_atoms, or kernels; absent: D
  std::shared_ptr<const Dictionary<T>> weight_map = {};  ///< W as the map that it is, where D is no matrix
  std::optional<NamedArray<T>> step = {};                ///< alpha, 1 x 1; absent: 1
  std::optional<NamedArray<T>> threshold = {};           ///< theta, one or one per atom; absent: alpha
  const LayerSchedule* schedule = nullptr;               ///< alpha and m of all layers, which are one object then
  bool on_supports = false;                              ///< may such layers, where nothing goes back, multiply on them?
};

template <Scalar T>
class CoupledLayer : public Layer<T> {
 public:
  /// `room`: of the pass, or of one layer whose number is n_layers - 1.
  CoupledLayer(const Dictionary<T>& D, Shrink<T> shrink, const CoupledParts<T>& parts, const PassRoom& room);
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;

 private:
  bool goes_back_sparse(const CoupledParts<T>& parts, const PassRoom& room) const;
  double alpha(int layer) const;
  double reg_share(int layer) const;
  Thresholds<T> thresholds(const TileInput<T>& input, int layer);
  void shrink_back(const TileInput<T>& input, const LayerState<T>& after, MatrixRef<T> h, std::span<double> rho, Matrix<T>* theta,
                   int layer);
  void add_weight_gradient(T scale, const ConstMatrixRef<T>& r, const ConstMatrixRef<T>& h, Matrix<T>& gradient);
  bool is_from_zero(int layer) const { return layer == 0 && starts_from_zero_; }
  auto residual(int layer, Index n) { return r_[static_cast<std::size_t>(std::max(0, layer - first_kept_))].leftCols(n); }

  const Dictionary<T>& D_;
  const std::optional<MatrixView<T>> matrix_;  // D, where products may run on the supports
  CoupledParts<T> parts_;
  Shrink<T> shrink_;
  const int first_kept_;
  bool was_dense_ = false;         // a layer before, of those that are one object: they look no more
  bool starts_from_zero_ = false;  // the first layer's code, which costs no product
  std::vector<Matrix<T>> r_;       // of each layer that is kept
  std::string map_parameter_;      // of the map that W is
  Matrix<T> spread_theta_;         // theta of each entry of the code, where an atom has several
  Matrix<T> transposed_;           // W^T: OpenBLAS multiplies small matrices as they lie, unless transposed
  const bool lends_room_;          // large signals of which nothing is kept: the room of a layer is that of the next
  Matrix<T> pull_, Wh_;
  SparseColumns<T> before_, h_;  // the layer's input and the cotangent of a
  Vector<T> rho_;
  std::vector<double> rho_gradient_;
};

/// The state is the pair (z, y), of which y follows from the codes.
template <Scalar T>
class FistaLayer : public Layer<T> {
 public:
  /// `momentum` m, or that of the schedule.
  FistaLayer(const Dictionary<T>& D, Shrink<T> shrink, const CoupledParts<T>& parts, const PassRoom& room, double momentum = 0)
      : step_(D, std::move(shrink), parts, room), schedule_(parts.schedule), momentum_(momentum) {}
  void start(const LayerState<T>& first) override { first.blocks[0] = first.z; }
  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override;
  void rebuild(const LayerState<T>& before, const LayerState<T>& after) override;
  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override;

 private:
  T momentum(int layer) const {
    return static_cast<T>(schedule_ != nullptr ? schedule_->momenta[static_cast<std::size_t>(layer)] : momentum_);
  }

  CoupledLayer<T> step_;
  const LayerSchedule* schedule_;
  const double momentum_;
};

}  // namespace riata
