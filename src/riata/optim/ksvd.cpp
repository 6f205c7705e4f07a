#include "riata/optim/ksvd.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <span>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/gram_kernels.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {
namespace {

/// E = R_Omega + d z^T, borrowed.
template <Scalar T>
class Unexplained {
 public:
  Unexplained(Matrix<T>& R, std::span<const int> signals, std::span<T> z)
      : R_(R), signals_(signals), z_(z.data(), std::ssize(z)) {}

  /// out <- E v
  void apply(const Vector<T>& d, const Vector<T>& v, Vector<T>& out) const {
    out.resize(R_.rows());
    kernels_.sum_columns({R_.rows(), R_.rows(), R_.data(), v.size(), signals_.data(), v.data(), out.data()});
    out += z_.dot(v) * d;
  }
  /// out <- E^T u
  void adjoint(const Vector<T>& d, const Vector<T>& u, Vector<T>& out) const {
    out.resize(z_.size());
    kernels_.dot_columns({R_.rows(), R_.rows(), R_.data(), z_.size(), signals_.data(), u.data(), out.data()});
    out += d.dot(u) * z_;
  }
  /// R_Omega <- E - u w^T,  z <- w
  void explain(const Vector<T>& d, const Vector<T>& u, const Vector<T>& w) {
    for (Index i = 0; i < z_.size(); ++i) R_.col(signals_[static_cast<std::size_t>(i)]) += z_(i) * d - w(i) * u;
    z_ = w;
  }
  const auto& z() const { return z_; }

 private:
  const GramKernels<T>& kernels_ = gram_kernels<T>();
  Matrix<T>& R_;
  std::span<const int> signals_;
  Eigen::Map<Vector<T>> z_;
};

/// The leading eigenvector of E E^T from a start, in Krylov spaces of a few dimensions, each begun where the last one led.
template <Scalar T>
class Lanczos {
 public:
  explicit Lanczos(Index n) : Q_(n, most + 1) {}

  /// `size` is about ||E||, whose square may be no number of T.
  void improve(const Unexplained<T>& E, const Vector<T>& d, T size, Vector<T>& u) {
    for (int restart = 0; restart < most_restarts; ++restart)
      if (improves_little(E, d, size, u)) return;
  }

 private:
  bool improves_little(const Unexplained<T>& E, const Vector<T>& d, T size, Vector<T>& u) {
    Eigen::Matrix<double, most, most> H = Eigen::Matrix<double, most, most>::Zero();
    Q_.col(0) = u;
    Index k = 0;
    double beta = 0;
    for (bool goes_on = true; goes_on && k < most; ++k) {
      q_ = Q_.col(k);
      E.adjoint(d, q_, a_);
      a_ /= size;
      E.apply(d, a_, w_);
      w_ /= size;
      for (int pass = 0; pass < 2; ++pass)  // "twice is enough"
        for (Index l = 0; l <= k; ++l) {
          q_ = Q_.col(l);
          const T h = q_.dot(w_);
          w_ -= h * q_;
          H(l, k) += static_cast<double>(h);
        }
      beta = static_cast<double>(w_.norm());
      goes_on = beta > tol * H(0, 0);
      if (goes_on) Q_.col(k + 1) = w_ / static_cast<T>(beta);
    }
    const Eigen::MatrixXd small = H.topLeftCorner(k, k).template selfadjointView<Eigen::Upper>();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> of(small);
    const Vector<double> y = of.eigenvectors().col(k - 1);
    u.noalias() = Q_.leftCols(k) * y.template cast<T>();
    u.normalize();
    return beta * std::abs(y(k - 1)) <= tol * of.eigenvalues()(k - 1);
  }

  static constexpr Index most = 8;
  static constexpr int most_restarts = 10;
  static constexpr double tol = sizeof(T) == 4 ? 1e-4 : 1e-8;  // its square is what sigma^2 is off by
  Matrix<T> Q_;
  Vector<T> q_, a_, w_;
};

}  // namespace

template <Scalar T>
void refit_atoms(Matrix<T>& D, CodesByAtom<T>& codes, RankOne rank_one) {
  const Index m = D.cols();
  require(std::ssize(codes.starts) == m + 1 && codes.residual.rows() == D.rows(),
          "K-SVD: codes of {} atoms of {} features, must be of {} of {}", std::ssize(codes.starts) - 1, codes.residual.rows(), m,
          D.rows());
  Lanczos<T> lanczos(D.rows());
  Vector<T> d, u, w;
  for (Index j = 0; j < m; ++j) {
    if (j % 16 == 0) leave_if_stopped();
    const auto start = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(j)]),
               end = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(j) + 1]);
    Unexplained<T> E(codes.residual, std::span(codes.signals).subspan(start, end - start),
                     std::span(codes.values).subspan(start, end - start));
    d = D.col(j);
    const T size = E.z().norm();
    if (!(size > T(0))) continue;
    w = E.z() / size;
    E.apply(d, w, u);
    const T norm = u.norm();
    if (!(norm > T(0))) continue;  // all that the codes could be of is explained by others
    u /= norm;
    if (rank_one == RankOne::best) lanczos.improve(E, d, norm, u);
    E.adjoint(d, u, w);
    E.explain(d, u, w);
    D.col(j) = u;
  }
}

template <Scalar T>
Asking<T, Outcome<T>> KSvd<T>::step(Position<T> from) {
  require_atoms_among<T>(from.parameters, name());
  const Question<T> question{.at = from.parameters, .codes_by_atom = true};
  Sums<T> sums = co_await question;
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  refit_atoms(outcome.parameters.at("dictionary"), sums.by_atom, rank_one_);
  from.project(outcome.parameters);
  co_return outcome;
}

template void refit_atoms<float>(Matrix<float>&, CodesByAtom<float>&, RankOne);
template void refit_atoms<double>(Matrix<double>&, CodesByAtom<double>&, RankOne);
template class KSvd<float>;
template class KSvd<double>;

}  // namespace riata
