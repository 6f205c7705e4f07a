// Oracle-ISTA on a tile of signals:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   S = supp z,   L_S = ||D_S||_2^2 (L = ||D||_2^2 if S is empty)
//   y = prox_{reg g / L_S}( z - D^T (D z - x) / L_S )
//   z <- y  if supp y is in S,  else  prox_{reg g / L}( z - D^T (D z - x) / L )
//
// Ablin, Moreau, Massias and Gramfort (2019), Algorithm 1, cited as A19. F falls by at least 1/2 L_S ||y - z||^2, or by
// 1/2 L ||.||^2 in a fallback, and once supp z is that of the solution every step is accepted.
//
// Departure: the paper takes L_S from an oracle. SupportNorm::exact computes it; SupportNorm::estimated runs a few power
// iterations from the signal's last eigenvector and adds a margin. That may still lie below L_S, so a step must also prove
// ||D (y - z)||^2 <= L_S ||y - z||^2, which is the inequality the descent rests on; a refused one raises the estimate.
// Cost per iteration and signal: ISTA's 4 n m flops, a look-up, and n |S| for the proof; 4 n |S| per power iteration.
#include <cmath>
#include <unordered_map>

#include "riata/core/stopping.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/solvers/proximal_tile.hpp"

namespace riata {
namespace {

using Support = std::vector<Index>;

struct SupportHash {
  std::size_t operator()(const Support& S) const {
    std::size_t hash = 1469598103934665603u;  // FNV-1a over the indices
    for (const Index j : S) hash = (hash ^ static_cast<std::size_t>(j)) * 1099511628211u;
    return hash;
  }
};

template <Scalar T>
class Oista final : public ProximalTile<L1<T>> {
 public:
  Oista(const SharedProblem<L1<T>>& problem, double lipschitz)
      : ProximalTile<L1<T>>(problem),
        L_(lipschitz > 0 ? lipschitz : 1),
        exact_(problem.options.support_norm == SupportNorm::exact) {}

 private:
  using ProximalTile<L1<T>>::Z_, ProximalTile<L1<T>>::steps_, ProximalTile<L1<T>>::accepted_, ProximalTile<L1<T>>::n_active_;

  void start() override {
    Y_ = Z_;
    if (!exact_) eigenvectors_ = Matrix<double>::Zero(Z_.rows(), n_active_);
    norms_.clear();  // an estimate depends on its warm start: it must not travel from tile to tile
  }

  void step() override {
    this->compute_gradients(Z_);
    for (Index i = 0; i < n_active_; ++i) {
      leave_if_stopped();
      find_support(i);
      double& L_S = norm_on_support(i);
      steps_(i) = static_cast<T>(1 / L_S);
      this->proximal_step(i, Z_, steps_(i), Y_);  // A19, line 5
      const bool accepted = stays_in_support(i) && (exact_ || proves_descent(i, L_S));
      if (!accepted) {
        steps_(i) = static_cast<T>(1 / L_);
        this->proximal_step(i, Z_, steps_(i), Y_);  // A19, line 7
      }
      accepted_[static_cast<std::size_t>(i)] = accepted;
    }
    Z_.swap(Y_);
  }

  void keep(Index from, Index to) override {
    if (!exact_) eigenvectors_.col(to) = eigenvectors_.col(from);
  }

  void find_support(Index i) {
    S_.clear();
    for (Index j = 0; j < Z_.rows(); ++j)
      if (Z_(j, i) != T(0)) S_.push_back(j);
  }

  bool stays_in_support(Index i) const {
    for (Index j = 0; j < Z_.rows(); ++j)
      if (Y_(j, i) != T(0) && Z_(j, i) == T(0)) return false;
    return true;
  }

  /// ||D (y - z)||^2 <= L_S ||y - z||^2. If not, the quotient is a better estimate.
  bool proves_descent(Index i, double& L_S) {
    const double quotient = this->curvature(i, Y_, Z_);
    if (quotient <= L_S) return true;
    L_S = std::min(L_, quotient * margin);
    return false;
  }

  double& norm_on_support(Index i) {
    if (norms_.size() >= most_supports) norms_.clear();
    const auto [entry, is_new] = norms_.try_emplace(S_, L_);
    if (is_new && !S_.empty()) {
      const Matrix<double> D_S = (*this->problem_.exact->matrix())(Eigen::all, S_);
      const double norm = exact_ ? spectral_norm_squared(D_S) : margin * power_iteration(D_S, i);
      if (norm > 0) entry->second = std::min(norm, L_);
    }
    return entry->second;
  }

  /// At most ||D_S||_2^2. Starts from the last eigenvector of signal i, with something on the atoms that are new in S.
  double power_iteration(const Matrix<double>& D_S, Index i) {
    auto kept = eigenvectors_.col(i);
    Vector<double> v(D_S.cols());
    for (Index k = 0; k < v.size(); ++k) {
      const double before = kept(S_[static_cast<std::size_t>(k)]);
      v(k) = before != 0 ? before : (k % 2 == 0 ? 0.1 : -0.1) / std::sqrt(static_cast<double>(v.size()));
    }
    double norm = 0;
    for (int k = 0; k < most_power_iterations; ++k) {
      v.normalize();
      const Vector<double> u = D_S * v;
      const double before = norm;
      norm = u.squaredNorm();
      v.noalias() = D_S.transpose() * u;
      if (norm == 0 || norm - before <= power_tol * norm) break;
    }
    kept.setZero();
    if (norm > 0) kept(S_) = v.normalized();
    return norm;
  }

  static constexpr double margin = 1.01;     // what the steps are shorter than the estimate allows
  static constexpr double power_tol = 1e-3;  // relative growth at which power iterations end
  static constexpr int most_power_iterations = 30;
  static constexpr std::size_t most_supports = 4096;

  const double L_;
  const bool exact_;
  Matrix<T> Y_;
  Matrix<double> eigenvectors_;
  Support S_;
  std::unordered_map<Support, double, SupportHash> norms_;
};

}  // namespace

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_oista(const SharedProblem<L1<T>>& problem, double lipschitz) {
  return std::make_unique<Oista<T>>(problem, lipschitz);
}
template std::unique_ptr<TileSolver<float>> make_oista(const SharedProblem<L1<float>>&, double);
template std::unique_ptr<TileSolver<double>> make_oista(const SharedProblem<L1<double>>&, double);

}  // namespace riata
