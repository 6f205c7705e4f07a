// Random arrays for tests: the standard library's generator and our own Box and Muller, so that nothing here
// rests on the library under test and the numbers are the same everywhere.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

namespace riata::testing {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  double uniform() { return (static_cast<double>(engine_() >> 12) + 0.5) * 0x1p-52; }  ///< in (0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double log_uniform(double low, double high) { return low * std::pow(high / low, uniform()); }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  int integer(int low, int high) {  ///< in {low, ..., high}
    return low + static_cast<int>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool coin(double probability = 0.5) { return uniform() < probability; }

  Eigen::MatrixXd normal_matrix(Eigen::Index rows, Eigen::Index cols);
  Eigen::VectorXd normal_vector(Eigen::Index n) { return normal_matrix(n, 1); }

  /// Entries normal with the given share of them kept, the others zero.
  Eigen::MatrixXd sparse_matrix(Eigen::Index rows, Eigen::Index cols, double share);

  /// Columns on the unit sphere; neighbours correlated as rho^|j - k| in the mean (rho = 0: independent).
  Eigen::MatrixXd atoms(Eigen::Index n_features, Eigen::Index n_atoms, double rho = 0);

  /// Positive, between 1/2 and 2, and the same number in float and double.
  std::vector<double> weights(Eigen::Index n);

 private:
  std::mt19937_64 engine_;
};

}  // namespace riata::testing
