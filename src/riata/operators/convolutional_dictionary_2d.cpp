#include "riata/operators/convolutional_dictionary_2d.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/idle_threads.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {
namespace {

constexpr Index positions_of_a_block = 512;  // patches of 8 x 8 pixels in double take 256 kB
constexpr Index most_bands = 16;

/// Of one thread, for one call: `whole` and `strips` of the one that calls, the others of each that works.
template <Scalar T>
struct PictureScratch {
  Matrix<T> whole, patches, product;
  std::vector<Matrix<T>> strips;
  std::vector<Index> places;
  static PictureScratch& of_thread() {
    thread_local PictureScratch scratch;
    return scratch;
  }
};

/// The activations of a block: of atom k those at places [starts_k, starts_{k+1}).
struct ActivePlaces {
  const Index* places;
  std::vector<Index> starts;
  Index count() const { return starts.back(); }
};

template <Scalar T>
ActivePlaces find_active(const Eigen::Map<const Matrix<T>>& z, Index first, Index n, std::vector<Index>& room) {
  room.resize(static_cast<std::size_t>(n * z.cols()));
  ActivePlaces active{room.data(), {0}};
  for (Index k = 0; k < z.cols(); ++k)
    active.starts.push_back(active.count() + find_nonzeros(n, z.col(k).data() + first, room.data() + active.count()));
  return active;
}

/// Measured with 50 kernels of 8 x 8 on 256 x 256 pixels: patches times kernels (11 ms) beat direct correlations of rows (17 ms),
/// and where fewer than a tenth of the activations are not zero, those alone (9 ms at 5 %) beat a product with all (15 ms).
bool is_sparse(const ActivePlaces& active, Index n_positions, Index n_atoms) {
  return 10 * active.count() < n_positions * n_atoms;
}

Index side_of(Index n_entries) {
  const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(n_entries))));
  return side * side == n_entries ? side : 0;
}

double largest_eigenvalue_of(const Eigen::MatrixXcd& gram) {
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXcd>(gram, Eigen::EigenvaluesOnly).eigenvalues().maxCoeff();
}

}  // namespace

template <Scalar T>
ConvolutionalDictionary2D<T>::ConvolutionalDictionary2D(Matrix<T> kernels, const PictureShape& shape)
    : shape_(shape), kernels_(std::move(kernels)), norm_(std::make_shared<KeptNorm>()) {
  const auto [n_channels, height, width, boundary, stride] = shape_;
  require(n_channels >= 1 && height >= 1 && width >= 1, "convolutional dictionary: pictures of {} channels of {} x {} pixels",
          n_channels, height, width);
  require(kernels_.cols() >= 1 && kernels_.rows() >= n_channels && kernels_.rows() % n_channels == 0 &&
              side_of(kernels_.rows() / n_channels) > 0,
          "convolutional dictionary: kernels have {} entries, must be squares in each of the {} channels", kernels_.rows(),
          n_channels);
  size_ = side_of(kernels_.rows() / n_channels);
  require(stride >= 1 && stride <= size_, "convolutional dictionary: stride = {}, must be 1 to {}, as kernels are wide", stride,
          size_);
  require(boundary == Boundary::full || std::min(height, width) >= size_,
          "convolutional dictionary: pictures are {} x {} pixels, must be at least {} x {}, as kernels are", height, width, size_,
          size_);
  require(boundary != Boundary::circular || (height % stride == 0 && width % stride == 0),
          "convolutional dictionary: pictures are {} x {} pixels, must be multiples of the stride {} with boundary 'circular'",
          height, width, stride);
  require(kernels_.allFinite(), "convolutional dictionary: an entry is not finite");
  const auto positions = [&, l = size_](Index n) {
    if (boundary == Boundary::circular) return n / stride;
    return (boundary == Boundary::full ? n + l - 2 : n - l) / stride + 1;
  };
  n_rows_ = positions(height);
  n_cols_ = positions(width);
  transposed_ = kernels_.transpose();
}

template <Scalar T>
ConvolutionalDictionary2D<T> ConvolutionalDictionary2D<T>::of_size(Index height, Index width) const {
  ConvolutionalDictionary2D other(kernels_, {shape_.n_channels, height, width, shape_.boundary, shape_.stride});
  other.norm_ = norm_;
  return other;
}

template <Scalar T>
Index ConvolutionalDictionary2D<T>::n_bands() const {
  const Index most = std::min(most_bands, n_rows_);
  return std::clamp<Index>(n_positions() / positions_of_a_block, 1, most);
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::for_each_band(const std::function<void(Index)>& work) const {
  constexpr Index worth_threads = 1 << 24;  // multiplications, about a millisecond's
  if (n_positions() * kernels_.size() >= worth_threads) return parallel_within(n_bands(), work);
  for (Index i = 0; i < n_bands(); ++i) work(i);
}

template <Scalar T>
template <class Work>
void ConvolutionalDictionary2D<T>::for_each_block(const Band& band, const Work& work) const {
  const Index rows_at_once = std::max<Index>(1, positions_of_a_block / n_cols_);
  const Index n_parts = rows_at_once > 1 ? 1 : std::max<Index>(1, n_cols_ / positions_of_a_block);  // of a row
  for (Index row = band.first; row < band.end; row += rows_at_once) {
    leave_if_stopped();
    const Index n_rows = std::min(rows_at_once, band.end - row);
    for (Index i = 0; i < n_parts; ++i) {
      const Index column = i * n_cols_ / n_parts, end = (i + 1) * n_cols_ / n_parts;
      work(Block{row, n_rows, column, end - column});
    }
  }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::pad(const T* x, T* padded) const {
  const Index o = offset(), height = shape_.height, width = shape_.width, n_rows = padded_height(), n_cols = padded_width();
  for (Index c = 0; c < shape_.n_channels; ++c)
    for (Index row = 0; row < n_rows; ++row) {
      T* const to = padded + (c * n_rows + row) * n_cols;
      Index i = row - o;
      if (shape_.boundary == Boundary::circular) i %= height;
      if (i < 0 || i >= height) {
        std::fill_n(to, n_cols, T(0));
        continue;
      }
      const T* const from = x + (c * height + i) * width;
      const Index within = std::min(width, n_cols - o);
      std::fill_n(to, o, T(0));
      std::copy_n(from, within, to + o);
      if (shape_.boundary == Boundary::circular)
        std::copy_n(from, n_cols - within, to + within);
      else
        std::fill_n(to + o + within, n_cols - o - within, T(0));
    }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::fold(const T* strip, const Band& band, T* x) const {
  const Index o = offset(), height = shape_.height, width = shape_.width, n_cols = padded_width(), n_rows = band_height(band);
  const bool circular = shape_.boundary == Boundary::circular;
  for (Index c = 0; c < shape_.n_channels; ++c)
    for (Index row = 0; row < n_rows; ++row) {
      Index i = band.first * shape_.stride + row - o;
      if (circular) i %= height;
      if (i < 0 || i >= height) continue;
      const T* const from = strip + (c * n_rows + row) * n_cols;
      T* const to = x + (c * height + i) * width;
      const Index within = std::min(width, n_cols - o);
      for (Index j = 0; j < within; ++j) to[j] += from[o + j];
      if (circular)
        for (Index j = within; j < n_cols; ++j) to[j - within] += from[j];
    }
}

/// patches: positions of the block x n_channels l^2
template <Scalar T>
void ConvolutionalDictionary2D<T>::find_patches(const T* padded, const Block& block, Matrix<T>& patches) const {
  const Index l = size_, s = shape_.stride, n_rows = padded_height(), n_cols = padded_width();
  patches.resize(block.size(), kernels_.rows());
  for (Index c = 0; c < shape_.n_channels; ++c)
    for (Index a = 0; a < l; ++a)
      for (Index b = 0; b < l; ++b) {
        T* to = patches.col((c * l + a) * l + b).data();
        for (Index i = 0; i < block.n_rows; ++i, to += block.n_columns) {
          const T* const from = padded + (c * n_rows + (block.row + i) * s + a) * n_cols + block.column * s + b;
          if (s == 1)
            std::copy_n(from, block.n_columns, to);
          else
            for (Index j = 0; j < block.n_columns; ++j) to[j] = from[j * s];
        }
      }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::add_patches(const Matrix<T>& patches, const Block& block, const Band& band, T* strip) const {
  const Index l = size_, s = shape_.stride, n_rows = band_height(band), n_cols = padded_width();
  for (Index c = 0; c < shape_.n_channels; ++c)
    for (Index a = 0; a < l; ++a)
      for (Index b = 0; b < l; ++b) {
        const T* from = patches.col((c * l + a) * l + b).data();
        for (Index i = 0; i < block.n_rows; ++i, from += block.n_columns) {
          T* const to = strip + (c * n_rows + (block.row - band.first + i) * s + a) * n_cols + block.column * s + b;
          if (s == 1)
            for (Index j = 0; j < block.n_columns; ++j) to[j] += from[j];
          else
            for (Index j = 0; j < block.n_columns; ++j) to[j * s] += from[j];
        }
      }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const {
  auto& own = PictureScratch<T>::of_thread();
  const Index l = size_, s = shape_.stride, n_cols = padded_width();
  own.strips.resize(static_cast<std::size_t>(n_bands()));
  for (Index i = 0; i < Z.cols(); ++i) {
    const Eigen::Map<const Matrix<T>> z(Z.col(i).data(), n_positions(), n_atoms());
    for_each_band([&, strips = own.strips.data()](Index part) {
      auto& scratch = PictureScratch<T>::of_thread();
      const Band band = this->band(part);
      const Index n_rows = band_height(band);
      Matrix<T>& strip = strips[part];
      strip.setZero(shape_.n_channels * n_rows * n_cols, 1);
      for_each_block(band, [&](const Block& block) {
        const Index first = block.row * n_cols_ + block.column;
        const ActivePlaces active = find_active<T>(z, first, block.size(), scratch.places);
        if (!is_sparse(active, block.size(), n_atoms())) {
          scratch.product.resize(block.size(), kernels_.rows());
          multiply<T>(z.middleRows(first, block.size()), transposed_, scratch.product);
          return add_patches(scratch.product, block, band, strip.data());
        }
        for (Index k = 0; k < n_atoms(); ++k)
          for (Index n = active.starts[static_cast<std::size_t>(k)]; n < active.starts[static_cast<std::size_t>(k + 1)]; ++n) {
            const Index place = active.places[n];
            const T value = z(first + place, k);
            const Index row = block.row - band.first + place / block.n_columns, column = block.column + place % block.n_columns;
            for (Index c = 0; c < shape_.n_channels; ++c)
              for (Index a = 0; a < l; ++a) {
                T* const to = strip.data() + (c * n_rows + row * s + a) * n_cols + column * s;
                const T* const d = kernels_.col(k).data() + (c * l + a) * l;
                for (Index b = 0; b < l; ++b) to[b] += value * d[b];
              }
          }
      });
    });
    X.col(i).setZero();
    for (Index part = 0; part < n_bands(); ++part)
      fold(own.strips[static_cast<std::size_t>(part)].data(), band(part), X.col(i).data());
  }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const {
  auto& own = PictureScratch<T>::of_thread();
  own.whole.resize(shape_.n_channels * padded_height() * padded_width(), 1);
  for (Index i = 0; i < R.cols(); ++i) {
    pad(R.col(i).data(), own.whole.data());
    Eigen::Map<Matrix<T>> z(Z.col(i).data(), n_positions(), n_atoms());
    for_each_band([&, padded = own.whole.data()](Index part) {
      auto& scratch = PictureScratch<T>::of_thread();
      for_each_block(band(part), [&](const Block& block) {
        find_patches(padded, block, scratch.patches);
        multiply<T>(scratch.patches, kernels_, z.middleRows(block.row * n_cols_ + block.column, block.size()));
      });
    });
  }
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                                                       Parameters<T>& gradient) const {
  const auto found = gradient.find("kernels");
  if (found == gradient.end()) return;
  auto& own = PictureScratch<T>::of_thread();
  const Index l = size_, s = shape_.stride, n_rows = padded_height(), n_cols = padded_width();
  own.whole.resize(shape_.n_channels * n_rows * n_cols, 1);
  own.strips.resize(static_cast<std::size_t>(n_bands()));
  for (Index i = 0; i < R.cols(); ++i) {
    pad(R.col(i).data(), own.whole.data());
    const Eigen::Map<const Matrix<T>> z(Z.col(i).data(), n_positions(), n_atoms());
    for_each_band([&, padded = own.whole.data(), strips = own.strips.data()](Index part) {
      auto& scratch = PictureScratch<T>::of_thread();
      Matrix<T>& sums = strips[part];
      sums.setZero(kernels_.rows(), kernels_.cols());
      for_each_block(band(part), [&](const Block& block) {
        const Index first = block.row * n_cols_ + block.column;
        const ActivePlaces active = find_active<T>(z, first, block.size(), scratch.places);
        if (!is_sparse(active, block.size(), n_atoms())) {
          find_patches(padded, block, scratch.patches);
          scratch.product.resize(kernels_.rows(), kernels_.cols());
          multiply_transposed<T>(scratch.patches, z.middleRows(first, block.size()), scratch.product);
          sums += scratch.product;
          return;
        }
        for (Index k = 0; k < n_atoms(); ++k)
          for (Index n = active.starts[static_cast<std::size_t>(k)]; n < active.starts[static_cast<std::size_t>(k + 1)]; ++n) {
            const Index place = active.places[n];
            const T value = z(first + place, k);
            const Index row = block.row + place / block.n_columns, column = block.column + place % block.n_columns;
            for (Index c = 0; c < shape_.n_channels; ++c)
              for (Index a = 0; a < l; ++a) {
                const T* const from = padded + (c * n_rows + row * s + a) * n_cols + column * s;
                T* const g = sums.col(k).data() + (c * l + a) * l;
                for (Index b = 0; b < l; ++b) g[b] += value * from[b];
              }
          }
      });
    });
    for (Index part = 0; part < n_bands(); ++part) found->second += scale * own.strips[static_cast<std::size_t>(part)];
  }
}

template <Scalar T>
double ConvolutionalDictionary2D<T>::squared_norm() const {
  std::call_once(norm_->found, [&] {
    const Index l = size_, s = shape_.stride, C = shape_.n_channels, K = n_atoms(), M = (l - 1) / s, n = M + 1;
    const Index N = M == 0 ? 1 : (M > 15 ? 8 : 16) * M;
    // D at a frequency f of the positions' lattice, whose pixels are a phase (c, a, b), a, b < s, and a place on it:
    //   A_f[(c, a, b), k] = sum_pq d_k(c, a + s p, b + s q) exp(-i (f_1 p + f_2 q))
    const Index n_phases = C * s * s, n_entries = n_phases * K;
    Eigen::MatrixXcd rows = Eigen::MatrixXcd::Zero(n_entries * n, n);  // ((entry, q), p)
    for (Index k = 0; k < K; ++k)
      for (Index c = 0; c < C; ++c)
        for (Index a = 0; a < l; ++a)
          for (Index b = 0; b < l; ++b) {
            const Index phase = (c * s + a % s) * s + b % s;
            rows(phase + k * n_phases + b / s * n_entries, a / s) = static_cast<double>(kernels_((c * l + a) * l + b, k));
          }
    Eigen::MatrixXcd waves(n, N);
    for (Index f = 0; f < N; ++f)
      for (Index p = 0; p < n; ++p)
        waves(p, f) = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(f * p % N) / static_cast<double>(N));
    double largest = 0;
    Eigen::MatrixXcd A, gram;
    for (Index f = 0; f <= N / 2; ++f) {  // -f is the conjugate
      leave_if_stopped();
      const Eigen::MatrixXcd along = (rows * waves.col(f)).reshaped(n_entries, n);
      const Eigen::MatrixXcd all = along * waves;
      for (Index g = 0; g < N; ++g) {
        const double trace = all.col(g).squaredNorm();  // which bounds the eigenvalue
        if (trace <= largest) continue;
        if (n_phases == 1 || K == 1) {
          largest = trace;
          continue;
        }
        A = Eigen::Map<const Eigen::MatrixXcd>(all.col(g).data(), n_phases, K);
        gram = n_phases < K ? Eigen::MatrixXcd(A * A.adjoint()) : Eigen::MatrixXcd(A.adjoint() * A);
        if (gram.norm() > largest) largest = std::max(largest, largest_eigenvalue_of(gram));
      }
    }
    const double between = std::cos(std::numbers::pi * static_cast<double>(M) / static_cast<double>(N));
    norm_->value = largest / (between * between) * (1 + 1e-12);
  });
  return norm_->value;
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::project(Parameters<T>& parameters) const {
  if (const auto own = parameters.find("kernels"); own != parameters.end())
    project_atoms<T>(own->second, Constraint::unit_sphere);
}

template <Scalar T>
void ConvolutionalDictionary2D<T>::make_tangent(const Parameters<T>& at, Parameters<T>& direction) const {
  const auto own = direction.find("kernels");
  if (own == direction.end() || !at.contains("kernels")) return;
  const Matrix<T>& kernels = at.at("kernels");
  for (Index k = 0; k < kernels.cols(); ++k)
    if (const T square = kernels.col(k).squaredNorm(); square > T(0))
      own->second.col(k) -= kernels.col(k).dot(own->second.col(k)) / square * kernels.col(k);
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> ConvolutionalDictionary2D<T>::at(const Parameters<T>& parameters) const {
  const auto found = parameters.find("kernels");
  if (found == parameters.end()) return unstructured();
  return std::make_unique<ConvolutionalDictionary2D>(found->second, shape_);
}

template <Scalar T>
std::unique_ptr<Dictionary<double>> ConvolutionalDictionary2D<T>::in_double() const {
  return std::make_unique<ConvolutionalDictionary2D<double>>(kernels_.template cast<double>(), shape_);
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> ConvolutionalDictionary2D<T>::unstructured() const {
  return std::make_unique<ConvolutionalDictionary2D>(*this);
}

template <Scalar T>
Matrix<double> lagged_gram(const ConvolutionalDictionary2D<T>& D) {
  const Index l = D.kernel_size(), s = D.shape().stride, C = D.shape().n_channels, K = D.n_atoms();
  const Index M = (l - 1) / s, n = 2 * M + 1;
  // All correlations with d_k, put in the middle of a picture, are its code.
  const ConvolutionalDictionary2D<double> around(D.atoms().template cast<double>(),
                                                 {C, l + 2 * M * s, l + 2 * M * s, Boundary::valid, s});
  Matrix<double> G(n * n * K, K);
  for (Index k = 0; k < K; ++k) {
    leave_if_stopped();
    Matrix<double> picture = Matrix<double>::Zero(around.signal_size(), 1), correlations(around.code_size(), 1);
    const Index side = around.shape().width;
    for (Index c = 0; c < C; ++c)
      for (Index a = 0; a < l; ++a)
        picture.col(0).segment((c * side + M * s + a) * side + M * s, l) = around.atoms().col(k).segment((c * l + a) * l, l);
    around.adjoint(picture, correlations);
    G.col(k) = correlations;  // of a kernel (p, q) positions on, which sees it s = p - M, t = q - M further
  }
  return G;
}

template class ConvolutionalDictionary2D<float>;
template class ConvolutionalDictionary2D<double>;
template Matrix<double> lagged_gram(const ConvolutionalDictionary2D<float>&);
template Matrix<double> lagged_gram(const ConvolutionalDictionary2D<double>&);

}  // namespace riata
