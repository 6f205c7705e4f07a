#include "foreign.hpp"

#include <cstdint>
#include <deque>

namespace foreign {

struct Store::Kept {
  std::deque<Eigen::MatrixXd> matrices;
};
Store::Store() : kept_(std::make_unique<Kept>()) {}
Store::~Store() = default;

const Eigen::MatrixXd& Store::random(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
  return kept_->matrices.emplace_back(by_value(rows, cols, seed));
}

const Eigen::MatrixXd& Store::keep(const double* data, Eigen::Index rows, Eigen::Index cols) {
  return kept_->matrices.emplace_back(Eigen::Map<const Eigen::MatrixXd>(data, rows, cols));
}

Eigen::MatrixXd by_value(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
  Eigen::MatrixXd A(rows, cols);
  std::uint32_t state = 12345 + 977 * seed;
  for (Eigen::Index i = 0; i < A.size(); ++i) {
    state = 1664525 * state + 1013904223;
    A.data()[i] = static_cast<double>(state >> 8) * 0x1p-23 - 1;
  }
  return A;
}

double sum_by_value(Eigen::MatrixXd A) {
  A.transposeInPlace();  // allocates anew
  return A.sum();
}

}  // namespace foreign
