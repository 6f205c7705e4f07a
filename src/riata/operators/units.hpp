// Powers of two as units of signals and atoms, for numbers whose squares, or the squares of whose small differences, would leave
// the range of T. Internal.
//
//   x = 2^e x',  D = 2^f D',  z = 2^(e-f) z',  reg = 2^(e+f) reg':     1/2 ||x - D z||^2 + reg g(z) = 2^(2e) (the same, primed)
//
// for g that scales with z; for l0, reg = 2^(2e) reg'. Within a wide band e = f = 0 and nothing is done; from elsewhere the
// largest number is brought to the band's edge. Exactly so: where signals and reg change by a power of two, codes do, to the bit.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "riata/core/axes.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {

/// What reg is measured in.
enum class RegUnit {
  linear,   ///< that of D^T x
  squared,  ///< that of the objective
  absolute  ///< of no unit: the elastic net's quadratic part. What would need one is refused
};

/// 2^e A, rounded where it leaves the range of numbers.
template <class Derived>
auto shifted(const Eigen::DenseBase<Derived>& A, int e) {
  using T = typename Derived::Scalar;
  return A.derived().unaryExpr([e](T v) { return static_cast<T>(std::ldexp(v, e)); });
}

/// @throws std::invalid_argument, always
[[noreturn]] void refuse_overflow(const char* what);

/// max |A_ij|
template <Scalar T>
T largest_entry(const ConstMatrixRef<T>& A);
/// max |D_ij|, or ||D||_2 where D is no matrix.
template <Scalar T>
T largest_entry(const Dictionary<T>& D);

/// ||v||, also where its square is no number.
template <Scalar T>
T norm_in_range(const ConstVectorRef<T>& v);

/// @throws std::invalid_argument where `what`, finite as computed, is not finite in the precision and unit of the result
template <class Computed, class Result>
void require_fits(const char* what, const Eigen::DenseBase<Computed>& computed, const Eigen::DenseBase<Result>& result) {
  if (!result.derived().allFinite() && computed.derived().allFinite()) refuse_overflow(what);
}

/// Are all entries numbers, the sum of whose squares is a number too?
template <Scalar T>
bool is_in_range(const ConstMatrixRef<T>& A);
/// Refuses NaN and infinity as require_finite(), and what else is not in range.
/// @throws std::invalid_argument
template <Scalar T>
void require_in_range(const char* where, const char* name, const ConstMatrixRef<T>& A, const Axes& axes = of_signals,
                      Index first = 0);
/// Refuses signals whose squares come near the least that T holds: gradients would lose their digits.
/// @throws std::invalid_argument
template <Scalar T>
void require_squares(const char* where, const NonDeduced<ConstMatrixRef<T>>& X);

/// The e for which 2^-e `largest` lies in the band of signals, and the f for which 2^-f `largest` lies in that of atoms.
template <Scalar T>
int signal_exponent(T largest);
template <Scalar T>
int atom_exponent(T largest);

/// 2^-e reg, which stays positive and finite.
template <Scalar T>
T shifted_reg(T reg, int e);

/// D' and f. Borrows D, which is D' where f = 0, and always where D is no matrix: that has to lie in the band where no unit is
/// needed.
template <Scalar T>
class UnitAtoms {
 public:
  /// @throws std::invalid_argument where RegUnit::absolute, or what is no matrix, would need f
  explicit UnitAtoms(const Dictionary<T>& D, RegUnit reg = RegUnit::linear);

  const Dictionary<T>& dictionary() const { return copy_ ? *copy_ : given_; }
  MatrixView<T> matrix() const { return *dictionary().matrix(); }  ///< of a D that is one
  int exponent() const { return exponent_; }

 private:
  const Dictionary<T>& given_;
  int exponent_ = 0;
  std::optional<DenseDictionary<T>> copy_;
};

/// The signals of a tile, each in its own unit. Has room of its own, borrows what needs none.
template <Scalar T>
class TileUnits {
 public:
  TileUnits(int atom_exponent, RegUnit reg) : f_(atom_exponent), reg_unit_(reg) {}

  /// With codes that are given, Z, 0 x 0 where there are none, also D z has to fit. `largest_atom`: max |D'|.
  /// @throws std::invalid_argument where RegUnit::absolute would need e
  void open(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg);
  void open(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, const ConstMatrixRef<T>& Z, T largest_atom);

  const ConstMatrixRef<T>& X() const { return *X_; }      ///< X'
  const ConstVectorRef<T>& reg() const { return *reg_; }  ///< reg'
  bool none() const { return none_; }                     ///< all units are one
  int atoms() const { return f_; }
  int signal(Index i) const { return exponents_[static_cast<std::size_t>(i)]; }  ///< e
  int code(Index i) const { return signal(i) - f_; }
  int objective(Index i) const { return 2 * signal(i); }
  int correlation(Index i) const { return signal(i) + f_; }
  int weight(Index i) const { return reg_unit_ == RegUnit::squared ? objective(i) : correlation(i); }

  void enter(MatrixRef<T> Z) const;  ///< Z <- Z'
  void leave(MatrixRef<T> Z) const;  ///< Z' <- Z

 private:
  int f_;
  RegUnit reg_unit_;
  bool none_ = true;
  std::vector<int> exponents_;
  Matrix<T> X_copy_;
  Vector<T> reg_copy_;
  std::optional<ConstMatrixRef<T>> X_;
  std::optional<ConstVectorRef<T>> reg_;
};

}  // namespace riata
