#include "riata/operators/convolutional_dictionary.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <unsupported/Eigen/FFT>

#include "riata/core/check.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/convolution_kernels.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {
namespace {

template <Scalar T>
using Rows = Eigen::Map<const Matrix<T>>;  // of one signal: n_times x n_channels, or n_positions x n_atoms

/// Of one thread, for one call.
template <Scalar T>
struct ConvolutionScratch {
  Matrix<T> padded, sources, projected;
  Vector<T> reversed, spread;
  static ConvolutionScratch& of_thread() {
    thread_local ConvolutionScratch scratch;
    return scratch;
  }
};

/// x_{t + l} += z_t d_l,   by the activations alone where they are few.
template <Scalar T>
void add_convolution(const T* z, Index n_positions, const T* d, Index length, T* x, ConvolutionScratch<T>& scratch) {
  const auto activations = Eigen::Map<const Vector<T>>(z, n_positions);
  const Index n_active = (activations.array() != T(0)).count();
  if (4 * n_active < n_positions) {
    const auto kernel = Eigen::Map<const Vector<T>>(d, length);
    for (Index t = 0; t < n_positions; ++t)
      if (z[t] != T(0)) Eigen::Map<Vector<T>>(x + t, length) += z[t] * kernel;
    return;
  }
  scratch.spread.setZero(n_positions + 2 * (length - 1));
  scratch.spread.segment(length - 1, n_positions) = activations;
  scratch.reversed = Eigen::Map<const Vector<T>>(d, length).reverse();
  convolution_kernels<T>().correlate({n_positions + length - 1, length, scratch.spread.data(), scratch.reversed.data(), x});
}

/// lambda_max of A^H A, A: n_rows x n_columns.
double largest_eigenvalue(const Eigen::MatrixXcd& A) {
  if (A.rows() == 1 || A.cols() == 1) return A.squaredNorm();
  const Eigen::MatrixXcd gram = A.rows() < A.cols() ? Eigen::MatrixXcd(A * A.adjoint()) : Eigen::MatrixXcd(A.adjoint() * A);
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXcd>(gram, Eigen::EigenvaluesOnly).eigenvalues().maxCoeff();
}

}  // namespace

template <Scalar T>
ConvolutionalDictionary<T>::ConvolutionalDictionary(Matrix<T> u, Matrix<T> v, Vector<T> window, const RecordingShape& shape)
    : shape_(shape),
      n_rows_(u.size() > 0 ? 1 : shape.n_channels),
      u_(std::move(u)),
      v_(std::move(v)),
      window_(std::move(window)),
      norm_(std::make_shared<KeptNorm>()) {
  require(shape_.n_channels >= 1 && shape_.n_times >= 1, "convolutional dictionary: signals of {} channels of {} samples",
          shape_.n_channels, shape_.n_times);
  require(v_.cols() >= 1 && v_.rows() >= n_rows_ && v_.rows() % n_rows_ == 0,
          "convolutional dictionary: kernels have {} entries, must be a multiple of the {} channels", v_.rows(), n_rows_);
  require(u_.size() == 0 || (u_.rows() == shape_.n_channels && u_.cols() == v_.cols()),
          "convolutional dictionary: u is {} atoms of {} channels, must be {} of {}", u_.cols(), u_.rows(), v_.cols(),
          shape_.n_channels);
  require(window_.size() == 0 || window_.size() == atom_times(),
          "convolutional dictionary: the window has {} entries, must have {}, as kernels have", window_.size(), atom_times());
  require(shape_.boundary == Boundary::full || atom_times() <= shape_.n_times,
          "convolutional dictionary: signals have {} samples, must have at least {}, as kernels have", shape_.n_times,
          atom_times());
  require(u_.allFinite() && v_.allFinite() && window_.allFinite(), "convolutional dictionary: an entry is not finite");
  windowed_ = v_;
  if (window_.size() > 0) windowed_.array().colwise() *= window_.array();
}

template <Scalar T>
ConvolutionalDictionary<T>::ConvolutionalDictionary(Matrix<T> kernels, const RecordingShape& shape)
    : ConvolutionalDictionary(Matrix<T>(), std::move(kernels), Vector<T>(), shape) {}

template <Scalar T>
ConvolutionalDictionary<T> ConvolutionalDictionary<T>::rank_one(Matrix<T> u, Matrix<T> v, const RecordingShape& shape,
                                                                Vector<T> window) {
  require(u.size() > 0, "convolutional dictionary: u is empty");
  return ConvolutionalDictionary(std::move(u), std::move(v), std::move(window), shape);
}

template <Scalar T>
Index ConvolutionalDictionary<T>::n_positions() const {
  switch (shape_.boundary) {
    case Boundary::valid:
      return shape_.n_times - atom_times() + 1;
    case Boundary::full:
      return shape_.n_times + atom_times() - 1;
    case Boundary::circular:
      return shape_.n_times;
  }
  return 0;
}

template <Scalar T>
Matrix<T> ConvolutionalDictionary<T>::atoms() const {
  if (!is_rank_one()) return windowed_;
  const Index L = atom_times();
  Matrix<T> atoms(shape_.n_channels * L, n_atoms());
  for (Index k = 0; k < n_atoms(); ++k)
    Eigen::Map<Matrix<T>>(atoms.col(k).data(), L, shape_.n_channels) = windowed_.col(k) * u_.col(k).transpose();
  return atoms;
}

template <Scalar T>
ConvolutionalDictionary<T> ConvolutionalDictionary<T>::of_length(Index n_times) const {
  ConvolutionalDictionary other(u_, v_, window_, {shape_.n_channels, n_times, shape_.boundary});
  other.norm_ = norm_;
  return other;
}

template <Scalar T>
void ConvolutionalDictionary<T>::pad(const T* row, T* padded) const {
  const Index n = shape_.n_times, more = atom_times() - 1;
  if (shape_.boundary == Boundary::full) {
    std::fill_n(padded, more, T(0));
    std::copy_n(row, n, padded + more);
    std::fill_n(padded + more + n, more, T(0));
    return;
  }
  std::copy_n(row, n, padded);
  if (shape_.boundary == Boundary::circular) std::copy_n(row, more, padded + n);
}

template <Scalar T>
void ConvolutionalDictionary<T>::fold(const T* padded, T* row) const {
  const Index n = shape_.n_times, more = atom_times() - 1;
  std::copy_n(padded + (shape_.boundary == Boundary::full ? more : 0), n, row);
  if (shape_.boundary == Boundary::circular)
    for (Index t = 0; t < more; ++t) row[t] += padded[n + t];
}

template <Scalar T>
void ConvolutionalDictionary<T>::apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const {
  auto& scratch = ConvolutionScratch<T>::of_thread();
  const Index L = atom_times(), n_times = shape_.n_times;
  for (Index i = 0; i < Z.cols(); ++i) {
    const Rows<T> z(Z.col(i).data(), n_positions(), n_atoms());
    Eigen::Map<Matrix<T>> x(X.col(i).data(), n_times, shape_.n_channels);
    scratch.padded.resize(padded_times(), 1);
    if (is_rank_one()) {
      scratch.sources.resize(n_times, n_atoms());
      for (Index k = 0; k < n_atoms(); ++k) {
        scratch.padded.setZero();
        add_convolution(z.col(k).data(), n_positions(), windowed_.col(k).data(), L, scratch.padded.data(), scratch);
        fold(scratch.padded.data(), scratch.sources.col(k).data());
      }
      x.setZero();
      add_outer<T>(T(1), scratch.sources, u_, x);
    } else {
      for (Index c = 0; c < shape_.n_channels; ++c) {
        scratch.padded.setZero();
        for (Index k = 0; k < n_atoms(); ++k)
          add_convolution(z.col(k).data(), n_positions(), windowed_.col(k).data() + c * L, L, scratch.padded.data(), scratch);
        fold(scratch.padded.data(), x.col(c).data());
      }
    }
  }
}

template <Scalar T>
void ConvolutionalDictionary<T>::adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const {
  auto& scratch = ConvolutionScratch<T>::of_thread();
  const ConvolutionKernels<T>& kernels = convolution_kernels<T>();
  const Index L = atom_times();
  Z.setZero();
  scratch.padded.resize(padded_times(), 1);
  for (Index i = 0; i < R.cols(); ++i) {
    const Rows<T> r(R.col(i).data(), shape_.n_times, shape_.n_channels);
    Eigen::Map<Matrix<T>> z(Z.col(i).data(), n_positions(), n_atoms());
    if (is_rank_one()) {
      scratch.projected.resize(shape_.n_times, n_atoms());
      multiply<T>(r, u_, scratch.projected);
      for (Index k = 0; k < n_atoms(); ++k) {
        pad(scratch.projected.col(k).data(), scratch.padded.data());
        kernels.correlate({n_positions(), L, scratch.padded.data(), windowed_.col(k).data(), z.col(k).data()});
      }
    } else {
      for (Index c = 0; c < shape_.n_channels; ++c) {
        pad(r.col(c).data(), scratch.padded.data());
        for (Index k = 0; k < n_atoms(); ++k)
          kernels.correlate({n_positions(), L, scratch.padded.data(), windowed_.col(k).data() + c * L, z.col(k).data()});
      }
    }
  }
}

template <Scalar T>
double ConvolutionalDictionary<T>::squared_norm() const {
  std::call_once(norm_->found, [&] {
    const Index L = atom_times(), K = n_atoms();
    Index N = 1;
    while (N < 16 * L) N *= 2;
    const Index n_frequencies = N / 2 + 1, n_series = n_rows_ * K;
    // Entry (c + k n_rows, f): the transform of row c of kernel k.
    Eigen::MatrixXcd transforms(n_series, n_frequencies);
    Eigen::FFT<double> fft;
    Eigen::VectorXd series = Eigen::VectorXd::Zero(N);
    Eigen::VectorXcd transform;
    for (Index k = 0; k < K; ++k)
      for (Index c = 0; c < n_rows_; ++c) {
        series.head(L) = windowed_.col(k).segment(c * L, L).template cast<double>();
        fft.fwd(transform, series);
        transforms.row(c + k * n_rows_) = transform.head(n_frequencies).transpose();
      }
    // Of rank one lambda_max of (v_k' ^* u_k'^T u_k v_k) is that with u replaced by a square factor R of u = Q R, if u is taller.
    Eigen::MatrixXd factor;
    if (is_rank_one()) {
      factor = u_.template cast<double>();
      if (factor.rows() > factor.cols()) {
        const Eigen::HouseholderQR<Eigen::MatrixXd> qr(factor);
        factor = qr.matrixQR().topRows(factor.cols()).template triangularView<Eigen::Upper>();
      }
    }
    const auto at_frequency = [&](Index f) -> Eigen::MatrixXcd {
      if (is_rank_one()) return factor.cast<std::complex<double>>() * transforms.col(f).asDiagonal();
      return Eigen::Map<const Eigen::MatrixXcd>(transforms.col(f).data(), n_rows_, K);
    };
    // The trace bounds the eigenvalue: frequencies are looked at from the largest on, until no trace can matter.
    Eigen::VectorXd traces(n_frequencies);
    for (Index f = 0; f < n_frequencies; ++f) {
      leave_if_stopped();
      traces(f) = at_frequency(f).squaredNorm();
    }
    std::vector<Index> order(static_cast<std::size_t>(n_frequencies));
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(), [&](Index f, Index g) { return traces(f) > traces(g); });
    double largest = 0;
    for (const Index f : order) {
      leave_if_stopped();
      if (traces(f) <= largest) break;
      const Eigen::MatrixXcd D = at_frequency(f);
      const Eigen::MatrixXcd gram = D.rows() < D.cols() ? Eigen::MatrixXcd(D * D.adjoint()) : Eigen::MatrixXcd(D.adjoint() * D);
      if (gram.norm() > largest) largest = std::max(largest, largest_eigenvalue(D));
    }
    norm_->value = largest / std::cos(std::numbers::pi * static_cast<double>(L - 1) / static_cast<double>(N)) * (1 + 1e-12);
  });
  return norm_->value;
}

template <Scalar T>
Parameters<T> ConvolutionalDictionary<T>::parameters() const {
  if (is_rank_one()) return {{"u", u_}, {"v", v_}};
  return {{"kernels", v_}};
}

template <Scalar T>
void ConvolutionalDictionary<T>::accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                                                     Parameters<T>& gradient) const {
  auto& scratch = ConvolutionScratch<T>::of_thread();
  const Index L = atom_times();
  const auto find = [&](const char* name) {
    const auto found = gradient.find(name);
    return found == gradient.end() ? nullptr : &found->second;
  };
  Matrix<T>*const of_u = is_rank_one() ? find("u") : nullptr, *const of_v = find(is_rank_one() ? "v" : "kernels");
  scratch.padded.resize(padded_times(), 1);
  Vector<T> sums(L);
  // sums_l = sum_t z_t r_{t + l}
  const auto correlate_with = [&](const T* z, const T* r) {
    sums.setZero();
    for (Index t = 0; t < n_positions(); ++t)
      if (z[t] != T(0)) sums += z[t] * Eigen::Map<const Vector<T>>(r + t, L);
  };
  for (Index i = 0; i < R.cols(); ++i) {
    const Rows<T> r(R.col(i).data(), shape_.n_times, shape_.n_channels), z(Z.col(i).data(), n_positions(), n_atoms());
    if (is_rank_one()) {
      if (of_v != nullptr) {
        scratch.projected.resize(shape_.n_times, n_atoms());
        multiply<T>(r, u_, scratch.projected);
        for (Index k = 0; k < n_atoms(); ++k) {
          pad(scratch.projected.col(k).data(), scratch.padded.data());
          correlate_with(z.col(k).data(), scratch.padded.data());
          if (window_.size() > 0) sums.array() *= window_.array();
          of_v->col(k) += scale * sums;
        }
      }
      if (of_u != nullptr) {
        scratch.sources.resize(shape_.n_times, n_atoms());
        for (Index k = 0; k < n_atoms(); ++k) {
          scratch.padded.setZero();
          add_convolution(z.col(k).data(), n_positions(), windowed_.col(k).data(), L, scratch.padded.data(), scratch);
          fold(scratch.padded.data(), scratch.sources.col(k).data());
        }
        scratch.projected.resize(shape_.n_channels, n_atoms());
        multiply_transposed<T>(r, scratch.sources, scratch.projected);
        *of_u += scale * scratch.projected;
      }
    } else if (of_v != nullptr) {
      for (Index c = 0; c < shape_.n_channels; ++c) {
        pad(r.col(c).data(), scratch.padded.data());
        for (Index k = 0; k < n_atoms(); ++k) {
          correlate_with(z.col(k).data(), scratch.padded.data());
          of_v->col(k).segment(c * L, L) += scale * sums;
        }
      }
    }
  }
}

template <Scalar T>
void ConvolutionalDictionary<T>::project(Parameters<T>& parameters) const {
  for (const char* const name : {"u", "v", "kernels"})
    if (const auto own = parameters.find(name); own != parameters.end() && is_rank_one() == (own->first != "kernels"))
      project_atoms<T>(own->second, Constraint::unit_sphere);
}

template <Scalar T>
void ConvolutionalDictionary<T>::make_tangent(const Parameters<T>& at, Parameters<T>& direction) const {
  for (const char* const name : {"u", "v", "kernels"})
    if (const auto own = direction.find(name); own != direction.end() && at.contains(name))
      for (Index k = 0; k < own->second.cols(); ++k) {
        const auto column = at.at(name).col(k);
        if (const T square = column.squaredNorm(); square > T(0))
          own->second.col(k) -= column.dot(own->second.col(k)) / square * column;
      }
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> ConvolutionalDictionary<T>::at(const Parameters<T>& parameters) const {
  const auto take = [&](const char* name, const Matrix<T>& own) -> const Matrix<T>& {
    const auto found = parameters.find(name);
    return found == parameters.end() ? own : found->second;
  };
  if (!is_rank_one()) return std::make_unique<ConvolutionalDictionary>(ConvolutionalDictionary(take("kernels", v_), shape_));
  return std::make_unique<ConvolutionalDictionary>(ConvolutionalDictionary(take("u", u_), take("v", v_), window_, shape_));
}

template <Scalar T>
std::unique_ptr<Dictionary<double>> ConvolutionalDictionary<T>::in_double() const {
  return std::make_unique<ConvolutionalDictionary<double>>(ConvolutionalDictionary<double>(
      u_.template cast<double>(), v_.template cast<double>(), window_.template cast<double>(), shape_));
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> ConvolutionalDictionary<T>::unstructured() const {
  auto free = std::make_unique<ConvolutionalDictionary>(atoms(), shape_);
  free->norm_ = norm_;
  return free;
}

template <Scalar T>
Vector<T> tukey_window(Index length, double alpha) {
  require(length >= 1, "tukey_window: length = {}, must be >= 1", length);
  require(alpha >= 0 && alpha <= 1, "tukey_window: alpha = {}, must be in [0, 1]", alpha);
  constexpr double least = 1e-9;
  Vector<T> window = Vector<T>::Ones(length);
  const double last = static_cast<double>(length - 1), taper = alpha * last / 2;
  for (Index l = 0; l < length; ++l) {
    const double from_end = std::min(static_cast<double>(l), last - static_cast<double>(l));
    if (from_end < taper) window(l) = static_cast<T>(std::max(least, (1 - std::cos(std::numbers::pi * from_end / taper)) / 2));
  }
  return window;
}

template <Scalar T>
Matrix<double> lagged_gram(const ConvolutionalDictionary<T>& D) {
  const Index L = D.atom_times(), K = D.n_atoms(), n_lags = 2 * L - 1;
  const ConvolutionKernels<double>& kernels = convolution_kernels<double>();
  const Index n_rows = D.is_rank_one() ? 1 : D.shape().n_channels;
  Matrix<double> rows, factors;  // kernels, and what multiplies their correlations
  if (D.is_rank_one()) {
    const Parameters<T> parameters = D.parameters();
    const Matrix<double> u = parameters.at("u").template cast<double>();
    rows = parameters.at("v").template cast<double>();
    if (D.window().size() > 0) rows.array().colwise() *= D.window().template cast<double>().array();
    factors = u.transpose() * u;
  } else {
    rows = D.atoms().template cast<double>();
  }
  Matrix<double> G = Matrix<double>::Zero(n_lags * K, K);
  Vector<double> padded = Vector<double>::Zero(3 * L - 2);
  for (Index k = 0; k < K; ++k) {
    leave_if_stopped();
    for (Index c = 0; c < n_rows; ++c) {
      padded.segment(L - 1, L) = rows.col(k).segment(c * L, L);
      for (Index j = 0; j < K; ++j)
        kernels.correlate({n_lags, L, padded.data(), rows.col(j).data() + c * L, G.col(k).data() + j * n_lags});
    }
    if (factors.size() > 0)
      for (Index j = 0; j < K; ++j) G.col(k).segment(j * n_lags, n_lags) *= factors(j, k);
  }
  return G;
}

template class ConvolutionalDictionary<float>;
template class ConvolutionalDictionary<double>;
template Vector<float> tukey_window<float>(Index, double);
template Vector<double> tukey_window<double>(Index, double);
template Matrix<double> lagged_gram(const ConvolutionalDictionary<float>&);
template Matrix<double> lagged_gram(const ConvolutionalDictionary<double>&);

}  // namespace riata
