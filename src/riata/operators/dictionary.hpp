// What every dictionary offers: a linear map D from codes to signals, made of named parameters. Solvers, certificates, layers and
// learners see only this, so that a convolution or an operator runs through the same code as a matrix. It is called once per tile
// of signals. Columns are signals.
#pragma once

#include <memory>
#include <optional>

#include "riata/core/parameters.hpp"

namespace riata {

template <Scalar T>
class Dictionary {
 public:
  using scalar = T;
  virtual ~Dictionary() = default;

  virtual Index signal_size() const = 0;
  virtual Index code_size() const = 0;
  /// Those of a code that belong to one atom stand together, as many of each: one of a matrix, all positions of a convolution.
  virtual Index n_atoms() const { return code_size(); }

  virtual void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const = 0;    ///< X = D Z
  virtual void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const = 0;  ///< Z = D^T R
  /// ||D||_2^2 or more; to rounding where that is affordable. A call may ask several times: keep what is dear to find.
  virtual double squared_norm() const = 0;

  /// {kernels}, {u, v}, ...; none of a known operator. The name "dictionary" is that of the atoms of a matrix.
  virtual Parameters<T> parameters() const = 0;
  /// gradient += scale d<R, D Z>/d(parameters), for those parameters that `gradient` holds.
  virtual void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                                   Parameters<T>& gradient) const = 0;
  /// Puts parameters onto its constraint; names that are not its own are left alone.
  virtual void project(Parameters<T>& parameters) const = 0;
  /// Takes from a direction at parameters what leads off that constraint, for searches that look at its length.
  virtual void make_tangent(const Parameters<T>& /*at*/, Parameters<T>& /*direction*/) const {}
  /// The same map with those of its parameters that the pack holds.
  virtual std::unique_ptr<Dictionary> at(const Parameters<T>& parameters) const = 0;
  /// The same map in double, for certificates; of a matrix, its very entries.
  virtual std::unique_ptr<Dictionary<double>> in_double() const = 0;

  /// D itself where it is a matrix, as long as this lives: the one door for what needs its columns or its Gram matrix.
  virtual std::optional<MatrixView<T>> matrix() const { return {}; }

  /// The same map with one parameter, its atoms without further structure: what a layer's own weight W is like, which takes
  /// the signal to the code in the place of D. Null where none is known.
  virtual std::unique_ptr<Dictionary> unstructured() const { return nullptr; }
  /// W least coherent with D (analytic_weight.hpp), of the shape of that parameter. @throws std::invalid_argument where none is
  /// known
  virtual Matrix<T> analytic_weight() const;
};

/// The columns of D. @throws std::invalid_argument where D is no matrix, naming `what` needs one
template <Scalar T>
MatrixView<T> require_matrix(const Dictionary<T>& D, const char* what);

}  // namespace riata
