#include "riata/solvers/conv_certificate.hpp"

#include <cmath>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/operators/convolution_pieces.hpp"

namespace riata {

template <Scalar T>
LassoCertificate conv_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& D,
                                  const NonDeduced<ConstMatrixRef<T>>& Z, const Vector<T>& reg, bool positive,
                                  const Execution& execution) {
  require(X.rows() == D.signal_size() && Z.rows() == D.code_size() && Z.cols() == X.cols() && reg.size() == X.cols(),
          "conv_certificate: signals are {} x {}, codes {} x {} and weights {}, must be {} x n, {} x n and n", X.rows(), X.cols(),
          Z.rows(), Z.cols(), reg.size(), D.signal_size(), D.code_size());
  require(D.shape().boundary == Boundary::valid, "conv_certificate: the boundary is '{}', must be 'valid'",
          to_string(D.shape().boundary));
  struct Sums {
    double r_sq = 0, largest = 0, z_c = 0, z_sum = 0;
  };
  const std::unique_ptr<Dictionary<double>> in_double = D.in_double();
  const auto& exact = dynamic_cast<const ConvolutionalDictionary<double>&>(*in_double);
  const Index n_positions = D.n_positions(), L = D.atom_times(), pieces = n_pieces(n_positions, L);
  std::vector<Sums> of_piece(static_cast<std::size_t>(pieces * X.cols()));
  parallel_for(std::ssize(of_piece), execution, [&](Index task, int) {
    const Index i = task / pieces;
    const PieceOfTime at = piece_of_time(task % pieces, n_positions, L);
    const Eigen::Map<const Matrix<T>> z(Z.col(i).data(), n_positions, D.n_atoms());
    const PieceOfResidual<T, T> left(exact, X.col(i).data(), z, at);
    const auto own = z.middleRows(at.first, at.n_positions());
    Sums& sums = of_piece[static_cast<std::size_t>(task)];
    sums.r_sq = left.r_sq;
    sums.largest = std::max(0.0, positive ? left.c.maxCoeff() : left.c.cwiseAbs().maxCoeff());
    sums.z_c = own.template cast<double>().cwiseProduct(left.c).sum();
    sums.z_sum = own.template cast<double>().cwiseAbs().sum();
  });
  LassoCertificate certificate{Vector<double>(X.cols()), Vector<double>(X.cols())};
  const double largest_atom = exact.atoms().colwise().norm().maxCoeff(),
               rounding = std::sqrt(static_cast<double>(D.shape().n_channels * L)) * 0x1p-53 * largest_atom;
  for (Index i = 0; i < X.cols(); ++i) {
    Sums all;
    for (Index p = 0; p < pieces; ++p) {
      const Sums& sums = of_piece[static_cast<std::size_t>(i * pieces + p)];
      all.r_sq += sums.r_sq;
      all.largest = std::max(all.largest, sums.largest);
      all.z_c += sums.z_c;
      all.z_sum += sums.z_sum;
    }
    // A correlation may be wrong by d, and what z^T d^T r may be wrong by is in the gap.
    const auto weight = static_cast<double>(reg(i));
    const double d = rounding * std::sqrt(all.r_sq), s = std::min(1.0, weight / std::max(all.largest + d, weight * 1e-300));
    certificate.objective(i) = all.r_sq / 2 + weight * all.z_sum;
    certificate.gap(i) = std::max(0.0, weight * all.z_sum - s * all.z_c + (1 - s) * (1 - s) / 2 * all.r_sq) + s * d * all.z_sum;
  }
  return certificate;
}

template LassoCertificate conv_certificate<float>(const ConstMatrixRef<float>&, const ConvolutionalDictionary<float>&,
                                                  const ConstMatrixRef<float>&, const Vector<float>&, bool, const Execution&);
template LassoCertificate conv_certificate<double>(const ConstMatrixRef<double>&, const ConvolutionalDictionary<double>&,
                                                   const ConstMatrixRef<double>&, const Vector<double>&, bool, const Execution&);

}  // namespace riata
