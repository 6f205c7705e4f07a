#include "riata/solvers/implicit.hpp"

#include <algorithm>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/support_system.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

constexpr Index tile_size = 16;
constexpr Index most_lanes = 64;

/// The arguments that all entry points share, checked, and the exact codes: in double, whatever T is.
struct Solved {
  template <Scalar T>
  Solved(const char* where, const ConstMatrixRef<T>& signals, const DenseDictionary<T>& dictionary, const Reg& reg,
         const ImplicitOptions& options, const std::optional<ConstMatrixRef<T>>& given)
      : scope(options.execution),
        D(dictionary.atoms().template cast<double>()),
        penalty(options.penalty, dictionary.code_size()),
        execution(options.execution) {
    require_l1(where, options.penalty);
    require_signals<T>(where, signals, dictionary);
    X = signals.template cast<double>();
    regs = resolve_reg<T>(reg, signals, dictionary, options.penalty, execution).template cast<double>();
    if (given) {
      require_codes<T>(where, "codes", *given, X.cols(), D.cols());
      require(!penalty.positive() || given->minCoeff() >= T(0), "{}: positive=True but codes hold {}", where, given->minCoeff());
      codes = given->template cast<double>();
    } else {
      const Reg weights(std::vector<double>(regs.begin(), regs.end()));
      codes = encode<double>(X, DenseDictionary<double>(D), weights,
                             {.tol = options.tol, .penalty = options.penalty, .execution = execution})
                  .codes;
    }
  }

  Partition parts() const {
    const Index n_tiles = (X.cols() + tile_size - 1) / tile_size;
    return {tile_size, n_tiles, std::min(n_tiles, most_lanes)};
  }

  /// Calls visit(i, system) for those of n signals from the first on that have a support.
  template <class Visit>
  void for_each_system(Index first, Index n, const Visit& visit) const {
    for (Index i = first; i < first + n; ++i) {
      leave_if_stopped();
      const SupportSystem at(X.col(i), D, penalty, codes.col(i));
      if (!at.S.empty()) visit(i, at);
    }
  }

  StopScope scope;
  Matrix<double> X, D, codes;
  L1<double> penalty;
  Execution execution;
  Vector<double> regs;
};

template <Scalar T>
ImplicitGradient<T> pull_back(const Solved& solved, const Reg& reg, const Matrix<double>& cotangent) {
  const Index n_features = solved.D.rows(), n_atoms = solved.D.cols(), n_signals = solved.X.cols();
  struct Sums {
    Matrix<double> dictionary;
    Vector<double> weights;
    Sums& operator+=(const Sums& other) {
      dictionary += other.dictionary;
      weights += other.weights;
      return *this;
    }
  };
  ImplicitGradient<T> result;
  result.signals.setZero(n_features, n_signals);
  Vector<double> per_signal = Vector<double>::Zero(n_signals);
  struct NoWorkspace {};
  const Sums total = sweep(
      solved.parts(), n_signals, solved.execution, Sums{Matrix<double>::Zero(n_features, n_atoms), Vector<double>::Zero(n_atoms)},
      [] { return std::make_unique<NoWorkspace>(); },
      [&](Index first, Index n, NoWorkspace&, Sums& sums) {
        solved.for_each_system(first, n, [&](Index i, const SupportSystem& at) {
          const Vector<double> p = at.pull(cotangent.col(i)(at.S));
          const Vector<double> a = at.solve(p);
          for (Index k = 0; k < a.size(); ++k) {
            const Index j = at.S[static_cast<std::size_t>(k)];
            sums.dictionary.col(j) += a(k) * at.r - at.z_S(k) * p;  // r a^T - p z^T
            sums.weights(j) -= solved.regs(i) * at.signs(k) * a(k);
          }
          result.signals.col(i) = p.template cast<T>();
          per_signal(i) = -at.weights.cwiseProduct(at.signs).dot(a);
        });
      },
      [](NoWorkspace&, Sums&) {});
  result.dictionary = total.dictionary.template cast<T>();
  result.weights = total.weights;
  result.reg = reg.is_per_signal() ? per_signal : Vector<double>::Constant(1, per_signal.sum());
  result.codes = solved.codes.template cast<T>();
  require_fits("implicit_gradient: the gradient by the dictionary", solved.D, result.dictionary);
  require_fits("implicit_gradient: the gradient by the signals", solved.D, result.signals);
  require_fits("implicit_gradient: the gradient by reg", solved.D, result.reg);
  require_fits("implicit_gradient: the gradient by the weights", solved.D, result.weights);
  require_fits("implicit_gradient: the codes", solved.D, result.codes);
  return result;
}

}  // namespace

template <Scalar T>
ImplicitGradient<T> implicit_gradient(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                                      const NonDeduced<ConstMatrixRef<T>>& cotangent, const ImplicitOptions& options,
                                      const OptionalMatrixRef<T>& codes) {
  require_codes<T>("implicit_gradient", "cotangent", cotangent, X.cols(), D.code_size());
  const Solved solved("implicit_gradient", X, D, reg, options, codes);
  return pull_back<T>(solved, reg, cotangent.template cast<double>());
}

template <Scalar T>
Matrix<T> implicit_jvp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                       const ImplicitDirection<T>& direction, const ImplicitOptions& options, const OptionalMatrixRef<T>& codes) {
  const Solved solved("implicit_jvp", X, D, reg, options, codes);
  const Matrix<T>&dD = direction.dictionary, &dX = direction.signals;
  const Vector<double>& dreg = direction.reg;
  const auto require_like = [](const char* name, const Matrix<T>& moved, const Axes& axes, Index rows, Index cols) {
    if (moved.size() == 0) return;
    require(moved.rows() == rows && moved.cols() == cols, "implicit_jvp: {} has shape ({}, {}), expected ({}, {})", name,
            moved.cols(), moved.rows(), cols, rows);
    require_finite("implicit_jvp", name, moved, axes);
  };
  require_like("the direction of D", dD, of_atoms, X.rows(), D.code_size());
  require_like("the direction of X", dX, of_signals, X.rows(), X.cols());
  require(dreg.size() <= 1 || dreg.size() == X.cols(), "implicit_jvp: the direction of reg has {} entries for {} signals",
          dreg.size(), X.cols());
  require_finite("implicit_jvp", "the direction of reg", dreg, of_vector);

  const Matrix<double> dD_double = dD.template cast<double>();
  Matrix<T> dZ = Matrix<T>::Zero(D.code_size(), X.cols());
  for_each_tile(tile_size, X.cols(), solved.execution, [&](Index first, Index n, int) {
    solved.for_each_system(first, n, [&](Index i, const SupportSystem& at) {
      Vector<double> dx = Vector<double>::Zero(X.rows()), c = Vector<double>::Zero(at.z_S.size());
      if (dX.size() > 0) dx = dX.col(i).template cast<double>();
      if (dD.size() > 0) {
        const Matrix<double> dD_S = dD_double(Eigen::all, at.S);
        dx -= dD_S * at.z_S;
        c = dD_S.transpose() * at.r;
      }
      if (dreg.size() > 0) c -= dreg(dreg.size() == 1 ? 0 : i) * at.weights.cwiseProduct(at.signs);
      dZ.col(i)(at.S) = at.solve(dx + at.pull(c)).template cast<T>();
    });
  });
  require_fits("implicit_jvp", solved.D, dZ);
  return dZ;
}

template <Scalar T>
Matrix<T> implicit_jacobian(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const Reg& reg, Index row,
                            const ImplicitOptions& options) {
  require_row(row, D.signal_size());
  const Solved solved("code_jacobian", ConstMatrixRef<T>(x), D, reg, options, std::optional<ConstMatrixRef<T>>());
  Matrix<double> J = Matrix<double>::Zero(D.code_size(), D.code_size());
  solved.for_each_system(0, 1, [&](Index, const SupportSystem& at) {
    const double n_operations = 2 * std::pow(static_cast<double>(at.S.size()), 2) * static_cast<double>(D.signal_size());
    const Matrix<double> inverse =
        run_stoppable(n_operations, [of = at.pseudo_inverse] { return Matrix<double>(of.pseudoInverse()); });
    // -(D_S^T D_S)^+ (D_l z^T - r_l I)_S; the columns off the support are zero since z is.
    Matrix<double> G_inv(inverse.rows(), inverse.rows());  // of D_S^T D_S
    multiply<double>(inverse, inverse.transpose(), G_inv);
    J(at.S, at.S) = at.r(row) * G_inv - (G_inv * at.D_S.row(row).transpose()) * at.z_S.transpose();
  });
  const Matrix<T> result = J.cast<T>();
  require_fits("code_jacobian", solved.D, result);
  return result;
}

template <Scalar T>
HyperGradient hypergradient(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                            const NonDeduced<ConstMatrixRef<T>>& X_held_out, const DenseDictionary<T>& D_held_out,
                            const ImplicitOptions& options, const OptionalMatrixRef<T>& codes) {
  require(X_held_out.cols() == X.cols() && X_held_out.rows() == D_held_out.signal_size(),
          "hypergradient: X_held_out has shape ({}, {}), expected ({}, {})", X_held_out.cols(), X_held_out.rows(), X.cols(),
          D_held_out.signal_size());
  require_in_range<T>("hypergradient", "X_held_out", X_held_out);
  require(D_held_out.code_size() == D.code_size(), "hypergradient: D_held_out has {} atoms but D has {}; they must be equal",
          D_held_out.code_size(), D.code_size());
  const Solved solved("hypergradient", X, D, reg, options, codes);
  const auto n_signals = static_cast<double>(X.cols());
  const Matrix<double> D_held = D_held_out.atoms().template cast<double>();
  Matrix<double> residual(X_held_out.rows(), X.cols()), cotangent(D.code_size(), X.cols());
  multiply<double>(D_held, solved.codes, residual);
  residual -= X_held_out.template cast<double>();
  multiply_transposed<double>(D_held, residual, cotangent);
  const auto gradient = pull_back<T>(solved, reg, cotangent / n_signals);
  return {.value = 0.5 * residual.squaredNorm() / n_signals, .reg = gradient.reg, .weights = gradient.weights};
}

#define RIATA_INSTANTIATE(T)                                                                                            \
  template ImplicitGradient<T> implicit_gradient<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&,    \
                                                    const ConstMatrixRef<T>&, const ImplicitOptions&,                   \
                                                    const OptionalMatrixRef<T>&);                                       \
  template Matrix<T> implicit_jvp<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&,                   \
                                     const ImplicitDirection<T>&, const ImplicitOptions&, const OptionalMatrixRef<T>&); \
  template Matrix<T> implicit_jacobian<T>(const ConstVectorRef<T>&, const DenseDictionary<T>&, const Reg&, Index,       \
                                          const ImplicitOptions&);                                                      \
  template HyperGradient hypergradient<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&,              \
                                          const ConstMatrixRef<T>&, const DenseDictionary<T>&, const ImplicitOptions&,  \
                                          const OptionalMatrixRef<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
