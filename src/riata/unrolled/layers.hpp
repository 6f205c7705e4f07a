// N tied layers of ISTA or FISTA and their exact derivatives, for one tile of signals.
//
//   r_k = M (D y_k - x)                           the data fit's weights M, here mostly the identity
//   z_{k+1} = prox_{alpha_k reg g}( y_k - alpha_k D^T r_k ),     alpha_k = s_k / L
//   y_{k+1} = z_{k+1} + m_k (z_{k+1} - z_k)       m_k = 0 for ISTA, (t_k - 1) / t_{k+1} for FISTA
//
// Backward, with the cotangents of z_{k+1} and y_{k+1} at hand and h the prox's vector-Jacobian product:
//
//   D    += -alpha_k ( d<r_k, D h>/dD + d<M D h, D y_k>/dD )
//   y_k   =  h - alpha_k D^T M D h,      x += alpha_k M D h
//   s_k   = ( -<r_k, D h> + reg * threshold cotangent ) / L,     reg += alpha_k * threshold cotangent
//
// L is a constant of the derivative, as in every published code; sign(0) = 0. Any Dictionary, DataFit and penalty serve:
// only apply, adjoint, accumulate_gradient, weigh, prox and prox_vjp are called.
// Sources: Tolooshams and Ba (2021), Algorithm 2; Malezieux, Moreau and Kowalski (2022), Algorithm 2.
#pragma once

#include <span>
#include <vector>

#include "riata/core/stopping.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/operators/dictionary.hpp"
#include "riata/terms/concepts.hpp"
#include "riata/terms/least_squares.hpp"

namespace riata {

/// The scalars of the layers. `steps` holds alpha_k = s_k / L, `momenta` m_k; both have one entry per layer.
struct LayerSchedule {
  std::vector<double> steps;
  std::vector<double> momenta;
  double lipschitz = 1;
  int n_layers() const { return static_cast<int>(steps.size()); }
};

/// m_k = (t_k - 1) / t_{k+1} of Beck and Teboulle (2009), or zeros.
std::vector<double> layer_momenta(int n_layers, bool accelerate);

/// The layers of one tile, forward and straight back: what `sweep` drives, a virtual call per tile. Cotangents of the outputs are set
/// before backward().
template <Scalar T>
class Pass {
 public:
  virtual ~Pass() = default;

  /// Runs all layers from z = Z0 (zero if empty). `first` is the index of the tile's first signal. X must outlive backward().
  virtual void forward(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, const ConstMatrixRef<T>& Z0) = 0;
  virtual ConstMatrixRef<T> codes() const = 0;         ///< z_N
  virtual ConstMatrixRef<T> extrapolated() const = 0;  ///< y_N
  virtual MatrixRef<T> codes_cotangent() = 0;
  virtual MatrixRef<T> extrapolated_cotangent() = 0;

  /// Where backward() adds what it finds; an empty view or null pointer is skipped. `steps` and `reg` are in double.
  struct Gradients {
    Parameters<T>* parameters;  ///< of the dictionary, or null
    MatrixRef<T> signals;       ///< n_features x tile, or 0 x 0
    std::span<double> steps;    ///< one entry per layer, or empty
    std::span<double> reg;      ///< one entry per signal of the tile, or empty
  };
  /// Back-propagates the two cotangents through the stored layers. Parameters' gradients are complete only after finish().
  virtual void backward(const ConstVectorRef<T>& reg, Index first, const Gradients& gradients) = 0;
  /// Adds what backward() has put aside since the last call.
  virtual void finish(Parameters<T>& /*gradient*/) {}
};

/// The pass through any dictionary, product by product. Owns its workspace, borrows the model; columns are signals.
template <class Dict, class Fit, DifferentiablePenalty P>
requires DataFit<Fit, typename Dict::scalar>
class TilePass final : public Pass<typename Dict::scalar> {
 public:
  using T = typename Dict::scalar;
  using typename Pass<T>::Gradients;

  /// Layers whose input and residual are kept: the last `stored` of the schedule's.
  TilePass(const Dict& D, const Fit& fit, const P& penalty, const LayerSchedule& schedule, int stored, Index tile)
      : D_(D), fit_(fit), penalty_(penalty), schedule_(schedule), stored_(stored), tile_(tile) {
    const Index m = D.code_size(), n = D.signal_size();
    for (Matrix<T>* A : {&y_, &cotangent_y_, &cotangent_z_, &pull_}) A->resize(m, tile);
    z_.resize(static_cast<std::size_t>(stored + 2));  // not assign(): copies would touch all of the memory
    r_.resize(static_cast<std::size_t>(stored));
    for (Matrix<T>& z : z_) z.resize(m, tile);
    for (Matrix<T>& r : r_) r.resize(n, tile);
    Dh_.resize(n, tile);
    r_scratch_.resize(n, tile);
    thresholds_.resize(tile);
    threshold_cotangents_.resize(tile);
  }

  void forward(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, const ConstMatrixRef<T>& Z0) override {
    start(X.cols(), Z0);
    for (int k = 0; k < schedule_.n_layers(); ++k) step(X, reg, first, k);
  }

  /// The state before layer 0.
  void start(Index n_signals, const ConstMatrixRef<T>& Z0) {
    n_ = n_signals;
    from_zero_ = Z0.size() == 0;
    z_slot(0).leftCols(n_).setZero();
    if (!from_zero_) z_slot(0).leftCols(n_) = Z0;
    y_.leftCols(n_) = z_slot(0).leftCols(n_);
  }

  /// Layer k: from z_{k-1}, z_k, y_k to z_{k+1}, y_{k+1}.
  void step(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, int k) {
    leave_if_stopped();
    const Index m = D_.code_size();
    const T alpha = static_cast<T>(schedule_.steps[static_cast<std::size_t>(k)]);
    Matrix<T>& r = residual_slot(k);
    if (k == 0 && from_zero_)
      r.leftCols(n_) = -X;
    else {
      D_.apply(y_.leftCols(n_), r.leftCols(n_));
      r.leftCols(n_) -= X;
    }
    fit_.weigh(MatrixRef<T>(r.leftCols(n_)), first);
    D_.adjoint(r.leftCols(n_), pull_.leftCols(n_));
    Matrix<T>&z = z_slot(k + 1), &z_before = z_slot(k);
    thresholds_.head(n_) = alpha * reg;
    for (Index i = 0; i < n_; ++i) {  // signal by signal, while it is in the nearest cache
      gradient_step(m, y_.col(i).data(), alpha, pull_.col(i).data(), z.col(i).data());
      penalty_.prox(z.middleCols(i, 1), thresholds_.segment(i, 1));
      extrapolate(m, z.col(i).data(), z_before.col(i).data(), momentum(k), y_.col(i).data());
    }
  }

  /// z_k and y_k after layer k - 1; of the earlier codes, z_{k-1} and the stored ones are still there.
  auto z(int k) const { return z_slot(k).leftCols(n_); }
  auto y() const { return y_.leftCols(n_); }
  ConstMatrixRef<T> codes() const override { return z_slot(schedule_.n_layers()).leftCols(n_); }
  ConstMatrixRef<T> extrapolated() const override { return y_.leftCols(n_); }
  MatrixRef<T> codes_cotangent() override { return cotangent_z_.leftCols(n_); }
  MatrixRef<T> extrapolated_cotangent() override { return cotangent_y_.leftCols(n_); }

  void backward(const ConstVectorRef<T>& reg, Index first, const Gradients& gradients) override {
    backward(reg, first, gradients, schedule_.n_layers());
  }
  /// The same from z_last and y_last on, whose cotangents they then are.
  void backward(const ConstVectorRef<T>& reg, Index first, Gradients gradients, int last) {
    const Index m = D_.code_size();
    for (int k = last - 1; k >= schedule_.n_layers() - stored_; --k) {
      leave_if_stopped();
      const T alpha = static_cast<T>(schedule_.steps[static_cast<std::size_t>(k)]), m_k = momentum(k);
      thresholds_.head(n_) = alpha * reg;
      auto h = cotangent_z_.leftCols(n_);  // the cotangent of z_{k+1}, then h itself
      auto c = cotangent_y_.leftCols(n_);  // the cotangent of y_{k+1}, then of y_k
      // y_{k+1} = (1 + m_k) z_{k+1} - m_k z_k; pull_ takes the share of z_k
      const Matrix<T>& z_after = z_slot(k + 1);
      for (Index i = 0; i < n_; ++i) {
        h.col(i) += (T(1) + m_k) * c.col(i);
        pull_.col(i) = -m_k * c.col(i);
        penalty_.prox_vjp(z_after.middleCols(i, 1), Thresholds<T>(thresholds_.segment(i, 1)), h.middleCols(i, 1),
                          {.rho = std::span<double>(&threshold_cotangents_(i), 1)});
      }
      auto Dh = Dh_.leftCols(n_);
      D_.apply(h, Dh);
      const auto r = residual_slot(k).leftCols(n_);
      if (!gradients.steps.empty()) {
        const double along = -r.template cast<double>().cwiseProduct(Dh.template cast<double>()).sum() +
                             threshold_cotangents_.head(n_).dot(reg.template cast<double>());
        gradients.steps[static_cast<std::size_t>(k)] += along / schedule_.lipschitz;
      }
      for (std::size_t i = 0; i < gradients.reg.size(); ++i)
        gradients.reg[i] += schedule_.steps[static_cast<std::size_t>(k)] * threshold_cotangents_(static_cast<Index>(i));
      if (gradients.parameters != nullptr) D_.accumulate_gradient(-alpha, r, h, *gradients.parameters);
      fit_.weigh(MatrixRef<T>(Dh), first);  // M D h
      if (gradients.parameters != nullptr && !(k == 0 && from_zero_)) {
        rebuild_input(k);
        D_.accumulate_gradient(-alpha, Dh, y_.leftCols(n_), *gradients.parameters);
      }
      if (gradients.signals.size() > 0) gradients.signals += alpha * Dh;
      D_.adjoint(Dh, c);                                           // c = D^T M D h
      gradient_step(n_ * m, h.data(), alpha, c.data(), c.data());  // c = h - alpha D^T M D h
      cotangent_z_.swap(pull_);                                    // the cotangent of z_k so far
    }
  }

 private:
  T momentum(int k) const { return static_cast<T>(schedule_.momenta[static_cast<std::size_t>(k)]); }

  /// y_k from z_k and z_{k-1}, as the forward pass made it.
  void rebuild_input(int k) {
    if (k == 0) {
      y_.leftCols(n_) = z_slot(0).leftCols(n_);
      return;
    }
    extrapolate(n_ * D_.code_size(), z_slot(k).data(), z_slot(k - 1).data(), momentum(k - 1), y_.data());
  }

  // z_{N - stored - 1}, ..., z_N are kept; the layers before them reuse the first two slots in turn.
  Matrix<T>& z_slot(int k) { return z_[slot(k)]; }
  const Matrix<T>& z_slot(int k) const { return z_[slot(k)]; }
  std::size_t slot(int k) const {
    const int first_kept = schedule_.n_layers() - stored_ - 1;
    if (k >= first_kept) return static_cast<std::size_t>(k - first_kept);
    return static_cast<std::size_t>((((k - first_kept) % 2) + 2) % 2);
  }
  Matrix<T>& residual_slot(int k) {
    const int first_kept = schedule_.n_layers() - stored_;
    return k >= first_kept ? r_[static_cast<std::size_t>(k - first_kept)] : r_scratch_;
  }

  const Dict& D_;
  const Fit& fit_;
  const P& penalty_;
  const LayerSchedule& schedule_;
  const int stored_;
  const Index tile_;
  Index n_ = 0;
  bool from_zero_ = true;
  Matrix<T> y_, pull_, cotangent_y_, cotangent_z_, Dh_, r_scratch_;
  std::vector<Matrix<T>> z_, r_;
  Vector<T> thresholds_;
  Vector<double> threshold_cotangents_;
};

}  // namespace riata
