// The convolutional dictionary of recordings: patterns that occur at any time on several channels,
//
//   x_c(t) = sum_k sum_l d_k(c, l) z_k(t - l),
//
// of kernels that are free, or of rank one, d_k = u_k (w v_k)^T: a pattern u_k over channels times one v_k in time, which a
// window w may bring to zero at its ends; Dupré la Tour, Moreau, Jas and Gramfort (2018). A signal is a recording or a window of
// one, channel after channel; its code the activations of one kernel after another.
#pragma once

#include <memory>
#include <mutex>

#include "riata/core/names.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata {

/// Where activations may lie, of T samples of signal and kernels of L.
enum class Boundary {
  valid,    ///< kernels lie within the signal: T - L + 1 positions
  full,     ///< they may begin before and end after it: T + L - 1; position p is where sample L - 1 of the kernel meets sample p
  circular  ///< what leaves at the end comes in at the beginning: T
};
template <>
inline constexpr Name<Boundary> names<Boundary>[] = {
    {Boundary::valid, "valid"}, {Boundary::full, "full"}, {Boundary::circular, "circular"}};

struct RecordingShape {
  Index n_channels, n_times;
  Boundary boundary = Boundary::valid;
};

template <Scalar T>
class ConvolutionalDictionary final : public Dictionary<T> {
 public:
  /// Kernels as columns, channel after channel: (n_channels L) x K, a parameter "kernels" with columns on the unit sphere.
  /// @throws std::invalid_argument if sizes disagree, the signal is shorter than a kernel, or an entry is not finite
  ConvolutionalDictionary(Matrix<T> kernels, const RecordingShape& shape);
  /// u: n_channels x K, v: L x K, parameters "u" and "v" with columns on the unit sphere; `window`: L numbers, or none.
  /// @throws std::invalid_argument likewise
  static ConvolutionalDictionary rank_one(Matrix<T> u, Matrix<T> v, const RecordingShape& shape, Vector<T> window = {});

  const RecordingShape& shape() const { return shape_; }
  Index atom_times() const { return v_.rows() / n_rows_; }  ///< L
  Index n_positions() const;                                ///< of activations of a kernel
  bool is_rank_one() const { return u_.size() > 0; }
  const Vector<T>& window() const { return window_; }
  Matrix<T> atoms() const;  ///< (n_channels L) x K, as they are applied: multiplied out, with the window
  /// The same of signals of another length.
  ConvolutionalDictionary of_length(Index n_times) const;

  Index signal_size() const override { return shape_.n_channels * shape_.n_times; }
  Index code_size() const override { return n_positions() * n_atoms(); }
  Index n_atoms() const override { return v_.cols(); }
  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override;
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override;
  /// The largest eigenvalue over a grid of N >= 16 L frequencies, over cos(pi (L - 1) / N), which bounds it between them: at most
  /// 4 % above the supremum over all lengths of signals.
  double squared_norm() const override;
  Parameters<T> parameters() const override;
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                           Parameters<T>& gradient) const override;
  void project(Parameters<T>& parameters) const override;
  void make_tangent(const Parameters<T>& at, Parameters<T>& direction) const override;
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>& parameters) const override;
  std::unique_ptr<Dictionary<double>> in_double() const override;
  std::unique_ptr<Dictionary<T>> unstructured() const override;  ///< of free kernels
  Matrix<T> analytic_weight() const override;

 private:
  template <Scalar>
  friend class ConvolutionalDictionary;
  ConvolutionalDictionary(Matrix<T> u, Matrix<T> v, Vector<T> window, const RecordingShape& shape);
  Index padded_times() const { return n_positions() + atom_times() - 1; }
  /// The signal's rows as the kernels meet them from all positions, and back: adjoint to each other.
  void pad(const T* row, T* padded) const;
  void fold(const T* padded, T* row) const;

  struct KeptNorm {
    std::once_flag found;
    double value = 0;
  };
  RecordingShape shape_;
  Index n_rows_;        // of kernels: 1 of rank one, else n_channels
  Matrix<T> u_, v_;     // v_: kernels where u_ is 0 x 0
  Vector<T> window_;    // or 0
  Matrix<T> windowed_;  // v_ with the window
  std::shared_ptr<KeptNorm> norm_;
};

/// Tukey's window of L entries, alpha in [0, 1] of which are tapered, with ends of 1e-9 instead of 0, so that no sample is lost.
template <Scalar T>
Vector<T> tukey_window(Index length, double alpha = 0.5);

/// What an activation of k takes from the correlation of k' with the signal s samples later, |s| < L:
///   G_{k'k}(s) = sum_cl d_k'(c, l) d_k(c, l + s),   in row k' (2 L - 1) + s + L - 1 of column k. In double.
template <Scalar T>
Matrix<double> lagged_gram(const ConvolutionalDictionary<T>& D);

}  // namespace riata
