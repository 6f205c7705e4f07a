#include "riata/solvers/gram_operator.hpp"

#include <vector>

#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

template <Scalar T>
class StoredGram final : public GramOperator<T> {
 public:
  explicit StoredGram(const Matrix<T>& G) : G_(G), columns_(static_cast<std::size_t>(G.cols())) {}

  Index size() const override { return G_.cols(); }
  bool is_stored() const override { return true; }
  T squared_norm(Index atom) const override { return G_(atom, atom); }
  void block(std::span<const Index> rows, std::span<const Index> columns, MatrixRef<T> out) override {
    for (Index l = 0; l < std::ssize(columns); ++l) {
      const T* g = G_.col(columns[static_cast<std::size_t>(l)]).data();
      T* to = out.col(l).data();
      for (const Index row : rows) *to++ = g[row];
    }
  }
  void subtract_columns(std::span<const Index> atoms, const T* a, T* q) override {
    for (std::size_t k = 0; k < atoms.size(); ++k) columns_[k] = G_.col(atoms[k]).data();
    riata::subtract_columns(G_.rows(), std::ssize(atoms), columns_.data(), a, q);
  }

 private:
  const Matrix<T>& G_;
  std::vector<const T*> columns_;
};

template <Scalar T>
class GramOfAtoms final : public GramOperator<T> {
 public:
  GramOfAtoms(const MatrixView<T>& D, const Vector<T>& squared_norms)
      : D_(D), squared_norms_(squared_norms), image_(D.rows()), change_(D.cols()) {}

  Index size() const override { return D_.cols(); }
  bool is_stored() const override { return false; }
  T squared_norm(Index atom) const override { return squared_norms_(atom); }
  void block(std::span<const Index> rows, std::span<const Index> columns, MatrixRef<T> out) override {
    gather(rows, left_);
    gather(columns, right_);
    multiply_transposed<T>(left_, right_, out);
  }
  void subtract_columns(std::span<const Index> atoms, const T* a, T* q) override {
    image_.setZero();
    for (std::size_t k = 0; k < atoms.size(); ++k) add_scaled(image_.size(), a[k], D_.col(atoms[k]).data(), image_.data());
    multiply_transposed<T>(D_, image_, change_);
    add_scaled(change_.size(), T(-1), change_.data(), q);
  }

 private:
  void gather(std::span<const Index> atoms, Matrix<T>& out) const {
    out.resize(D_.rows(), std::ssize(atoms));
    for (Index k = 0; k < out.cols(); ++k) out.col(k) = D_.col(atoms[static_cast<std::size_t>(k)]);
  }

  const MatrixView<T> D_;
  const Vector<T>& squared_norms_;
  Vector<T> image_, change_;
  Matrix<T> left_, right_;
};

}  // namespace

template <Scalar T>
std::unique_ptr<GramOperator<T>> make_stored_gram(const Matrix<T>& G) {
  return std::make_unique<StoredGram<T>>(G);
}
template std::unique_ptr<GramOperator<float>> make_stored_gram(const Matrix<float>&);
template std::unique_ptr<GramOperator<double>> make_stored_gram(const Matrix<double>&);

template <Scalar T>
std::unique_ptr<GramOperator<T>> make_gram_of_atoms(const MatrixView<T>& D, const Vector<T>& squared_norms) {
  return std::make_unique<GramOfAtoms<T>>(D, squared_norms);
}
template std::unique_ptr<GramOperator<float>> make_gram_of_atoms(const MatrixView<float>&, const Vector<float>&);
template std::unique_ptr<GramOperator<double>> make_gram_of_atoms(const MatrixView<double>&, const Vector<double>&);

}  // namespace riata
