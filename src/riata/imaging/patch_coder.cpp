#include "riata/imaging/patch_coder.hpp"

#include <array>
#include <cmath>

#include "riata/core/stopping.hpp"
#include "riata/solvers/debias.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {
namespace {

constexpr std::array path_in_sigmas{5.0, 3.0, 2.0};
constexpr double price_of_support = 1.2, temperature = 4;  // in units of sigma^2
constexpr double coder_tol = 1e-4;                         // relative gap; supports settle long before

/// What the choice of k among m atoms costs, in units of sigma^2: about 1.2 log of the number of choices.
double price(double k, double m) { return k == 0 ? 0 : price_of_support * k * (1 + std::log(m / k)); }

}  // namespace

PatchEstimate estimate_by_aggregation(Matrix<float> patches, const DenseDictionary<float>& D, double sigma,
                                      const Execution& execution) {
  const Index n = patches.cols(), n_fits = 2 + std::ssize(path_in_sigmas);
  const auto m = static_cast<double>(std::max(D.code_size(), D.signal_size()));
  const Eigen::RowVectorXf means = patches.colwise().mean();
  patches.rowwise() -= means;

  // The first fit is the patch's mean, the last one the patch itself.
  std::vector<Matrix<float>> fits{Matrix<float>::Zero(patches.rows(), n)};
  Matrix<double> sizes = Matrix<double>::Zero(n_fits, n);
  Matrix<float> codes;
  for (const double level : path_in_sigmas) {
    const OptionalMatrixRef<float> init = codes.size() > 0 ? OptionalMatrixRef<float>(codes) : std::nullopt;
    codes = encode<float>(patches, D, level * sigma, {.tol = coder_tol, .execution = execution}, init).codes;
    const Matrix<float> z = debias<float>(patches, D, codes, D.signal_size() / 2, execution);
    sizes.row(std::ssize(fits)) = (z.array() != 0).cast<double>().colwise().sum();
    D.apply(z, fits.emplace_back(patches.rows(), n));
  }
  sizes.row(n_fits - 1).setConstant(static_cast<double>(D.signal_size() - 1));
  fits.push_back(patches);

  PatchEstimate estimate{Matrix<float>::Zero(patches.rows(), n), Vector<float>(n)};
  Vector<double> cost(n_fits);
  for (Index i = 0; i < n; ++i) {
    leave_if_stopped();
    for (Index k = 0; k < n_fits; ++k)
      cost(k) = (patches.col(i) - fits[static_cast<std::size_t>(k)].col(i)).cast<double>().squaredNorm() / (sigma * sigma) +
                price(sizes(k, i), m);
    Vector<double> w = (-(cost.array() - cost.minCoeff()) / temperature).exp();
    w /= w.sum();
    for (Index k = 1; k < n_fits; ++k)
      estimate.patches.col(i) += static_cast<float>(w(k)) * fits[static_cast<std::size_t>(k)].col(i);
    estimate.patches.col(i).array() += means(i);
    estimate.weights(i) = static_cast<float>(1 / (1 + w.dot(sizes.col(i))));
  }
  return estimate;
}

PatchEstimate estimate_by_unrolling(const Matrix<float>& patches, const DenseDictionary<float>& D, double reg, int layers,
                                    const Execution& execution) {
  const Matrix<float> codes = unrolled_encode<float>(patches, D, reg, {.n_layers = layers, .execution = execution});
  PatchEstimate estimate{Matrix<float>(patches.rows(), patches.cols()), Vector<float>::Ones(patches.cols())};
  D.apply(codes, estimate.patches);
  return estimate;
}

}  // namespace riata
