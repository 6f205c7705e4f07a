#include "support/exact_codes.hpp"

namespace riata::testing {

Eigen::MatrixXd codes_on_the_support_of(const Eigen::MatrixXd& like, const LassoBatch& batch) {
  const LassoOracle oracle(batch.D, batch.penalty.weights, batch.penalty.positive);
  Eigen::MatrixXd Z = Eigen::MatrixXd::Zero(like.rows(), like.cols());
  for (Eigen::Index i = 0; i < like.cols(); ++i) {
    std::vector<Eigen::Index> S;
    for (Eigen::Index j = 0; j < like.rows(); ++j)
      if (like(j, i) != 0) S.push_back(j);
    if (S.empty()) continue;
    const Eigen::Matrix<Real, -1, -1> D_S = oracle.D(Eigen::all, S);
    const RealVector signs = like.col(i)(S).cwiseSign().cast<Real>();
    const RealVector b =
        D_S.transpose() * batch.X.col(i).cast<Real>() - Real(batch.reg(i)) * oracle.weights(S).cwiseProduct(signs);
    Z.col(i)(S) = solve(D_S.transpose() * D_S, b).cast<double>();
  }
  return Z;
}

double kink_distance(const Eigen::MatrixXd& Z, const LassoBatch& batch) {
  const LassoOracle oracle(batch.D, batch.penalty.weights, batch.penalty.positive);
  double nearest = INFINITY;
  const Eigen::MatrixXd c = batch.D.transpose() * (batch.X - batch.D * Z);
  for (Eigen::Index i = 0; i < Z.cols(); ++i)
    for (Eigen::Index j = 0; j < Z.rows(); ++j) {
      const double pull = batch.penalty.positive ? c(j, i) : std::abs(c(j, i));
      const double slack = batch.reg(i) * static_cast<double>(oracle.weights(j)) - pull;
      nearest = std::min(nearest, Z(j, i) != 0 ? std::abs(Z(j, i)) : slack);
    }
  return nearest;
}

LassoBatch draw_smooth_batch(std::uint64_t seed, bool positive, bool weighted, Eigen::MatrixXd& codes, Index n_features,
                             Index n_atoms, Index n_signals) {
  Draw draw(seed);
  LassoBatch batch;
  do {
    batch.D = draw.atoms(n_features, n_atoms);
    batch.X = draw.normal_matrix(n_features, n_signals);
    batch.reg.resize(n_signals);
    for (double& r : batch.reg) r = draw.uniform(0.1, 0.4);
    batch.penalty = {.positive = positive, .weights = weighted ? draw.weights(n_atoms) : std::vector<double>()};
    const auto found = encode<double>(batch.X, DenseDictionary(batch.D), batch.regs(), {.tol = 1e-14, .penalty = batch.penalty});
    codes = codes_on_the_support_of(found.codes, batch);
  } while (kink_distance(codes, batch) < 3e-3);
  return batch;
}

}  // namespace riata::testing
