#include "riata/operators/units.hpp"

#include <limits>

#include "riata/core/check.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

template <Scalar T>
constexpr bool is_float = std::same_as<T, float>;
template <Scalar T>
constexpr T most = is_float<T> ? std::numeric_limits<T>::max() : static_cast<T>(1e150);  // of an entry of a signal

/// Of exponents. Squares of differences as small as rounding, and sums of such, must stay in the range of T.
template <Scalar T>
struct Bands {
  static constexpr int signals = is_float<T> ? 16 : 128, atoms = is_float<T> ? 10 : 64;
  static constexpr int widest_signals = is_float<T> ? 60 : 400,
                       widest_atoms = is_float<T> ? 40 : 200;  // that still work without units
};

/// By how much 2^exponent lies outside [2^-band, 2^band].
int beyond(int exponent, int band) {
  if (exponent > band) return exponent - band;
  return exponent < -band ? exponent + band : 0;
}

template <Scalar T>
int beyond(T largest, int band) {
  return largest > T(0) && std::isfinite(largest) ? beyond(std::ilogb(largest), band) : 0;
}

template <Scalar T>
void require_no_unit(const char* name, T largest, int band) {
  require(beyond(largest, band) == 0,
          "{}: the largest entry is {:.3g}; with penalty = 'elastic_net', whose quadratic part is absolute, it must be between "
          "{:.0e} and {:.0e}; scale signals, atoms and reg",
          name, static_cast<double>(largest), std::ldexp(1.0, -band), std::ldexp(1.0, band));
}

}  // namespace

void refuse_overflow(const char* what) {
  refuse(formatted("{} overflows the precision it is returned in; scale signals, atoms or reg", what));
}

template <Scalar T>
T norm_in_range(const ConstVectorRef<T>& v) {
  const int e = signal_exponent(largest_magnitude(v.size(), v.data()));
  return e == 0 ? v.norm() : std::ldexp(Vector<T>(shifted(v, -e)).norm(), e);  // a vector: summed in the same order
}

template <Scalar T>
T largest_entry(const ConstMatrixRef<T>& A) {
  if (A.outerStride() == A.rows()) return largest_magnitude(A.size(), A.data());
  T largest = 0;
  for (Index i = 0; i < A.cols(); ++i) largest = std::max(largest, largest_magnitude(A.rows(), A.col(i).data()));
  return largest;
}

template <Scalar T>
T largest_entry(const Dictionary<T>& D) {
  const auto matrix = D.matrix();
  return matrix ? largest_entry<T>(*matrix) : static_cast<T>(std::sqrt(D.squared_norm()));
}

template <Scalar T>
bool is_in_range(const ConstMatrixRef<T>& A) {
  // A sum that holds NaN or infinity is not finite.
  if (A.outerStride() == A.rows())
    return std::isfinite(absolute_sum(A.size(), A.data())) && (is_float<T> || largest_entry<T>(A) <= most<T>);
  for (Index i = 0; i < A.cols(); ++i)
    if (!std::isfinite(absolute_sum(A.rows(), A.col(i).data()))) return false;
  return is_float<T> || largest_entry<T>(A) <= most<T>;
}

template <Scalar T>
void require_in_range(const char* where, const char* name, const ConstMatrixRef<T>& A, const Axes& axes, Index first) {
  leave_if_stopped();
  if (is_in_range<T>(A)) return;
  require_finite(where, name, A, axes, first);
  require(false, "{}: {} holds an entry of size {:.3g}, must be at most {:.0e}: its square overflows; scale signals and reg down",
          where, name, static_cast<double>(largest_entry<T>(A)), static_cast<double>(most<T>));
}

template <Scalar T>
void require_squares(const char* where, const NonDeduced<ConstMatrixRef<T>>& X) {
  const double largest = static_cast<double>(largest_entry<T>(X)), least = is_float<T> ? 0x1p-52 : 0x1p-480;
  require(largest == 0 || largest >= least, "{}: the largest entry of X is {:.2g}, must be at least {:.2g}; choose another unit",
          where, largest, least);
}

template <Scalar T>
int signal_exponent(T largest) {
  return beyond(largest, Bands<T>::signals);
}
template <Scalar T>
int atom_exponent(T largest) {
  return beyond(largest, Bands<T>::atoms);
}

template <Scalar T>
T shifted_reg(T reg, int e) {
  if (e == 0 || reg == T(0)) return reg;
  return std::clamp(static_cast<T>(std::ldexp(reg, -e)), std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::max());
}

namespace {

/// Do the norms tell that the largest entry, at least ||D_j|| / sqrt(n), lies in the band?
template <Scalar T>
bool surely_in_band(const DenseDictionary<T>& D) {
  const double longest = D.norms().maxCoeff(), n = static_cast<double>(D.signal_size());
  return beyond(longest, Bands<T>::atoms - 1) == 0 && beyond(longest / std::sqrt(n), Bands<T>::atoms - 1) == 0;
}

}  // namespace

template <Scalar T>
UnitAtoms<T>::UnitAtoms(const Dictionary<T>& D, RegUnit reg) : given_(D) {
  leave_if_stopped();
  const auto* dense = dynamic_cast<const DenseDictionary<T>*>(&D);
  if (dense != nullptr && surely_in_band(*dense)) return;
  const T largest = largest_entry<T>(D);
  if (dense == nullptr) {
    require(std::isfinite(largest) && beyond(largest, Bands<T>::widest_atoms) == 0,
            "dictionary: its norm is {:.3g}, must be between {:.0e} and {:.0e}; scale its parameters",
            static_cast<double>(largest), std::ldexp(1.0, -Bands<T>::widest_atoms), std::ldexp(1.0, Bands<T>::widest_atoms));
    return;
  }
  if (reg == RegUnit::absolute)
    require_no_unit("D", largest, Bands<T>::widest_atoms);
  else
    exponent_ = atom_exponent(largest);
  if (exponent_ != 0) copy_.emplace(Matrix<T>(shifted(*D.matrix(), -exponent_)));
}

template <Scalar T>
void TileUnits<T>::open(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg) {
  open(X, reg, Matrix<T>(), T(0));
}

template <Scalar T>
void TileUnits<T>::open(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, const ConstMatrixRef<T>& Z, T largest_atom) {
  exponents_.assign(static_cast<std::size_t>(X.cols()), 0);
  X_.emplace(X);
  reg_.emplace(reg);
  none_ = f_ == 0;
  for (Index i = 0; i < X.cols(); ++i) {
    const T largest = largest_magnitude(X.rows(), X.col(i).data());
    if (reg_unit_ == RegUnit::absolute) {
      require_no_unit("X", largest, Bands<T>::widest_signals);
      continue;
    }
    int e = largest > T(0) ? std::ilogb(largest) : std::numeric_limits<int>::min();
    if (Z.size() > 0)
      if (const T code = largest_magnitude(Z.rows(), Z.col(i).data()); code > T(0) && largest_atom > T(0))
        e = std::max(e, std::ilogb(code) + std::ilogb(largest_atom) + f_);
    if (e > std::numeric_limits<int>::min()) exponents_[static_cast<std::size_t>(i)] = beyond(e, Bands<T>::signals);
    none_ &= signal(i) == 0;
  }
  if (none_) return;
  X_copy_.resize(X.rows(), X.cols());
  reg_copy_.resize(X.cols());
  for (Index i = 0; i < X.cols(); ++i) {
    X_copy_.col(i) = shifted(X.col(i), -signal(i));
    reg_copy_(i) = shifted_reg(reg(i), weight(i));
  }
  X_.emplace(X_copy_);
  reg_.emplace(reg_copy_);
}

template <Scalar T>
void TileUnits<T>::enter(MatrixRef<T> Z) const {
  for (Index i = 0; i < Z.cols(); ++i)
    if (code(i) != 0) Z.col(i) = shifted(Z.col(i), -code(i));
}

template <Scalar T>
void TileUnits<T>::leave(MatrixRef<T> Z) const {
  for (Index i = 0; i < Z.cols(); ++i)
    if (code(i) != 0) Z.col(i) = shifted(Z.col(i), code(i));
}

#define RIATA_INSTANTIATE(T)                                                                                 \
  template T norm_in_range<T>(const ConstVectorRef<T>&);                                                     \
  template T largest_entry<T>(const ConstMatrixRef<T>&);                                                     \
  template T largest_entry<T>(const Dictionary<T>&);                                                         \
  template bool is_in_range<T>(const ConstMatrixRef<T>&);                                                    \
  template void require_in_range<T>(const char*, const char*, const ConstMatrixRef<T>&, const Axes&, Index); \
  template void require_squares<T>(const char*, const ConstMatrixRef<T>&);                                   \
  template int signal_exponent<T>(T);                                                                        \
  template int atom_exponent<T>(T);                                                                          \
  template T shifted_reg<T>(T, int);                                                                         \
  template class UnitAtoms<T>;                                                                               \
  template class TileUnits<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
