// A library that knows Eigen and nothing of riata: it owns what it allocates, shows it, and hands it over by value too.
#pragma once

#include <Eigen/Core>
#include <memory>

#define FOREIGN_API __attribute__((visibility("default")))

namespace foreign {

using View = Eigen::Map<const Eigen::MatrixXd, 0, Eigen::OuterStride<>>;

class FOREIGN_API Store {
 public:
  Store();
  ~Store();
  /// The matrix of this number: numbers in [-1, 1) that no compiler's arithmetic changes.
  const Eigen::MatrixXd& random(Eigen::Index rows, Eigen::Index cols, unsigned seed);
  /// A copy of what is given.
  const Eigen::MatrixXd& keep(const double* data, Eigen::Index rows, Eigen::Index cols);

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

FOREIGN_API Eigen::MatrixXd by_value(Eigen::Index rows, Eigen::Index cols, unsigned seed);
FOREIGN_API double sum_by_value(Eigen::MatrixXd A);

}  // namespace foreign
