// Exact codes for tests of derivatives: the solver finds support and signs, and the codes on them solve the linear
// optimality conditions in 80 bits, so that differences of them have digits.
#pragma once

#include <vector>

#include "riata/solvers/encode.hpp"
#include "support/decompositions.hpp"
#include "support/lasso_oracle.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {

struct LassoBatch {
  Eigen::MatrixXd X, D;
  Eigen::VectorXd reg;  // one per signal
  PenaltyOptions penalty;

  Reg regs() const { return Reg(std::vector<double>(reg.begin(), reg.end())); }
};

/// D_S^T D_S z_S = D_S^T x - reg w_S s, with S and s of `like`.
Eigen::MatrixXd codes_on_the_support_of(const Eigen::MatrixXd& like, const LassoBatch& batch);

/// The distance of every code and every correlation from the place where a support would change.
double kink_distance(const Eigen::MatrixXd& Z, const LassoBatch& batch);

/// Draws problems until none of their codes is near a kink; `codes` receives the exact ones.
LassoBatch draw_smooth_batch(std::uint64_t seed, bool positive, bool weighted, Eigen::MatrixXd& codes, Index n_features = 6,
                             Index n_atoms = 9, Index n_signals = 3);

}  // namespace riata::testing
