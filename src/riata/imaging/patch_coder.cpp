#include "riata/imaging/patch_coder.hpp"

#include <array>
#include <cmath>

#include "riata/solvers/debias.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {
namespace {

constexpr std::array path_in_sigmas{4.0, 3.5, 3.0, 2.5};
constexpr double price_per_atom = 6, temperature = 4;  // in units of sigma^2
constexpr double coder_tol = 1e-4;                     // relative gap; supports settle long before

}  // namespace

PatchEstimate estimate_by_aggregation(Matrix<float> patches, const DenseDictionary<float>& D, double sigma,
                                      const Execution& execution) {
  const Index n = patches.cols(), n_fits = 1 + std::ssize(path_in_sigmas);
  const Eigen::RowVectorXf means = patches.colwise().mean();
  patches.rowwise() -= means;

  // Fit 0 is the empty support: the patch's mean.
  Matrix<double> costs(n_fits, n), sizes = Matrix<double>::Zero(n_fits, n);
  costs.row(0) = patches.cast<double>().colwise().squaredNorm();
  std::vector<Matrix<float>> fits;
  Matrix<float> codes;
  for (const double level : path_in_sigmas) {
    const Index k = std::ssize(fits) + 1;
    codes = encode<float>(patches, D, level * sigma, {.tol = coder_tol, .execution = execution},
                          k > 1 ? &codes : nullptr)
                .codes;
    const Matrix<float> z = debias<float>(patches, D, codes, D.signal_size() / 2, execution);
    Matrix<float>& fit = fits.emplace_back(patches.rows(), n);
    D.apply(z, fit);
    sizes.row(k) = (z.array() != 0).cast<double>().colwise().sum();
    costs.row(k) = (patches - fit).cast<double>().colwise().squaredNorm() + price_per_atom * sigma * sigma * sizes.row(k);
  }

  PatchEstimate estimate{Matrix<float>::Zero(patches.rows(), n), Vector<float>(n)};
  for (Index i = 0; i < n; ++i) {
    Vector<double> w = (-(costs.col(i).array() - costs.col(i).minCoeff()) / (temperature * sigma * sigma)).exp();
    w /= w.sum();
    for (Index k = 1; k < n_fits; ++k)
      estimate.patches.col(i) += static_cast<float>(w(k)) * fits[static_cast<std::size_t>(k - 1)].col(i);
    estimate.patches.col(i).array() += means(i);
    estimate.weights(i) = static_cast<float>(1 / (1 + w.dot(sizes.col(i))));
  }
  return estimate;
}

PatchEstimate estimate_by_unrolling(const Matrix<float>& patches, const DenseDictionary<float>& D, double reg, int layers,
                                    const Execution& execution) {
  const Matrix<float> codes = unrolled_encode<float>(patches, D, reg, {.layers = layers, .execution = execution});
  PatchEstimate estimate{Matrix<float>(patches.rows(), patches.cols()), Vector<float>::Ones(patches.cols())};
  D.apply(codes, estimate.patches);
  return estimate;
}

}  // namespace riata
