#include "riata/learning/learn_kernels.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <numbers>

#include "riata/learning/kernel_atoms.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

constexpr Index side_of_kernel = 5;

/// Three kernels of one or two channels: a blob, an edge, a bar.
Matrix<double> planted_kernels(Index n_channels) {
  Matrix<double> kernels(n_channels * side_of_kernel * side_of_kernel, 3);
  for (Index c = 0; c < n_channels; ++c)
    for (Index a = 0; a < side_of_kernel; ++a)
      for (Index b = 0; b < side_of_kernel; ++b) {
        const double y = static_cast<double>(a) - 2, x = static_cast<double>(b) - 2, window = std::exp(-(x * x + y * y) / 3);
        const Index place = (c * side_of_kernel + a) * side_of_kernel + b;
        kernels(place, 0) = window;
        kernels(place, 1) = (c == 0 ? x : -x) * window;
        kernels(place, 2) = (x * y) * window;
      }
  kernels.colwise().normalize();
  return kernels;
}

SeenPicture<double> planted_picture(Draw& draw, Index height, Index width, Index n_channels, double noise) {
  const ConvolutionalDictionary2D<double> D(planted_kernels(n_channels), {n_channels, height, width, Boundary::full});
  Matrix<double> Z = draw.sparse_matrix(D.code_size(), 1, 0.01), x(D.signal_size(), 1);
  D.apply(Z, x);
  x += noise * draw.normal_matrix(D.signal_size(), 1);
  return {height, width, x.reshaped(height * width, n_channels)};
}

/// The mean over the planted kernels of the best |cosine| at any shift.
double recovery(const Matrix<double>& atoms, const Matrix<double>& planted, Index n_channels) {
  Matrix<double> both(atoms.rows(), atoms.cols() + planted.cols());
  both << planted, atoms;
  const Matrix<double> G =
      lagged_gram(ConvolutionalDictionary2D<double>(both, {n_channels, side_of_kernel, side_of_kernel, Boundary::full}));
  const Index n_lags = G.rows() / both.cols();
  double sum = 0;
  for (Index j = 0; j < planted.cols(); ++j) sum += G.col(j).bottomRows(n_lags * atoms.cols()).cwiseAbs().maxCoeff();
  return sum / static_cast<double>(planted.cols());
}

KernelOptions options_of(LearningMethod method, int max_iter) {
  KernelOptions options;
  options.learn.method = method;
  options.learn.max_iter = max_iter;
  options.learn.n_layers = 8;
  if (method == LearningMethod::stochastic) options.crop_size = 25;
  return options;
}

const Reg tenth = Reg::fraction_of_max(0.1);

class KernelMethods : public ::testing::TestWithParam<LearningMethod> {};

TEST_P(KernelMethods, FindPlantedOnes) {
  const bool by_crops = GetParam() == LearningMethod::stochastic;
  for (const Index n_channels : {1, 2}) {
    if (by_crops && n_channels > 1) continue;
    Draw draw(1);
    const std::vector pictures{planted_picture(draw, 40, 50, n_channels, 0.02)};
    double best = 0, least = std::numeric_limits<double>::infinity();
    for (std::uint64_t seed = 0; seed < 2; ++seed) {
      KernelOptions options = options_of(GetParam(), by_crops ? 80 : 40);
      options.learn.seed = seed;
      options.learn.n_layers = 10;
      if (by_crops) options.learn.batch_size = 5;
      const auto result = learn_kernels<double>(pictures, 3, side_of_kernel, tenth, options);
      const std::vector<double>& values = result.learned.history.value;
      EXPECT_LT(values.back(), values.front());
      EXPECT_LE((result.atoms.colwise().norm().array() - 1).abs().maxCoeff(), 1e-12);
      const double found = recovery(result.atoms, planted_kernels(n_channels), n_channels);
      if (by_crops) {  // whose last value is that of a batch
        best = std::max(best, found);
      } else if (values.back() < least) {
        least = values.back();
        best = found;
      }
    }
    EXPECT_GE(best, by_crops ? 0.85 : 0.9) << n_channels;
  }
}
INSTANTIATE_TEST_SUITE_P(Of, KernelMethods,
                         ::testing::Values(LearningMethod::unrolled, LearningMethod::stochastic,
                                           LearningMethod::alternating_exact),
                         [](const auto& of) { return std::string(to_string(of.param)); });

TEST(LearnKernels, GivesTheSameBitsAfterAStopAndOnAnyNumberOfThreads) {
  Draw draw(2);
  const std::vector pictures{planted_picture(draw, 27, 30, 1, 0.1), planted_picture(draw, 30, 25, 1, 0.1)};
  const auto folder = std::filesystem::path(::testing::TempDir()) / "riata_kernels";
  std::filesystem::create_directories(folder);
  for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::stochastic, LearningMethod::alternating_exact}) {
    KernelOptions options = options_of(method, 11);
    options.learn.tol = 0;
    options.learn.execution.n_threads = 1;
    const auto whole = learn_kernels<double>(pictures, 4, side_of_kernel, tenth, options);
    options.learn.execution.n_threads = 2;
    options.learn.checkpoint = (folder / to_string(method)).string();
    std::filesystem::remove(options.learn.checkpoint);
    options.learn.max_iter = 5;
    learn_kernels<double>(pictures, 4, side_of_kernel, tenth, options);
    options.learn.max_iter = 11;
    options.learn.resume = true;
    const auto resumed = learn_kernels<double>(pictures, 4, side_of_kernel, tenth, options);
    EXPECT_EQ(whole.atoms, resumed.atoms) << to_string(method);
    EXPECT_EQ(whole.learned.history.value, resumed.learned.history.value) << to_string(method);
  }
}

TEST(LearnKernels, DoesNotDependOnTheUnit) {
  Draw draw(3);
  SeenPicture<double> picture = planted_picture(draw, 30, 30, 1, 0.05);
  for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::stochastic, LearningMethod::alternating_exact}) {
    SeenPicture<double> small = picture;
    small.pixels *= std::ldexp(1, -40);
    const auto here = learn_kernels<double>({picture}, 3, side_of_kernel, tenth, options_of(method, 12)),
               there = learn_kernels<double>({small}, 3, side_of_kernel, tenth, options_of(method, 12));
    EXPECT_LE((here.atoms - there.atoms).cwiseAbs().maxCoeff(), 1e-9) << to_string(method);
  }
}

/// What the mask hides may be anything, and decides nothing.
TEST(LearnKernels, DoesNotSeeWhatTheMaskHides) {
  Draw draw(4);
  SeenPicture<double> picture = planted_picture(draw, 36, 30, 2, 0.02);
  picture.mask = Matrix<double>::Ones(picture.pixels.rows(), 1);
  for (double& w : picture.mask.reshaped()) w = draw.coin(0.3) ? 0 : 1;
  SeenPicture<double> other = picture;
  for (Index j = 0; j < other.pixels.rows(); ++j)
    if (other.mask(j) == 0) other.pixels.row(j).setConstant(std::numeric_limits<double>::quiet_NaN());
  for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::stochastic, LearningMethod::alternating_exact}) {
    const auto here = learn_kernels<double>({picture}, 3, side_of_kernel, tenth, options_of(method, 12)),
               there = learn_kernels<double>({other}, 3, side_of_kernel, tenth, options_of(method, 12));
    EXPECT_EQ(here.atoms, there.atoms) << to_string(method);
    EXPECT_LT(here.learned.history.value.back(), here.learned.history.value.front());
  }
}

/// A smaller picture in a larger frame is the smaller picture: its objective is the sum of those alone.
TEST(LearnKernels, TakesPicturesOfDifferentSizesAsTheyAre) {
  Draw draw(5);
  const SeenPicture<double> first = planted_picture(draw, 20, 31, 1, 0.05), second = planted_picture(draw, 27, 18, 1, 0.05);
  const Matrix<double> init = draw.atoms(25, 3);
  KernelOptions options = options_of(LearningMethod::unrolled, 1);
  options.learn.n_layers = 200;
  options.learn.reduction = Reduction::sum;
  const double reg = 0.2;
  const double both = learn_kernels<double>({first, second}, init, reg, options).learned.initial_value;
  double alone = 0;
  for (const SeenPicture<double>& picture : {first, second}) {
    const ConvolutionalDictionary2D<double> D(init, {1, picture.height, picture.width, Boundary::full});
    alone += encode<double>(picture.pixels, D, reg, {.tol = 1e-10}).objective.sum();
  }
  EXPECT_NEAR(both, alone, 1e-6 * alone);
}

TEST(MendKernels, ReplacesUnusedOnesAndCopiesByWhatIsExplainedWorst) {
  Draw draw(6);
  const Matrix<double> planted = planted_kernels(1);
  const ConvolutionalDictionary2D<double> truth(planted, {1, 40, 40, Boundary::full});
  Matrix<double> Z = Matrix<double>::Zero(truth.code_size(), 1), x(1600, 1);
  for (Index k = 0; k < 3; ++k) Z(k * truth.n_positions() + (10 + 8 * k) * truth.n_columns() + 20 - 5 * k) = 3;
  truth.apply(Z, x);
  Matrix<double> kernels = planted;
  kernels.col(2).setZero();  // kernel 0, a row further down
  kernels.col(2).tail(20) = planted.col(0).head(20);
  kernels.col(2).normalize();
  const ConvolutionalDictionary2D<double> D(kernels, truth.shape());
  const auto code = [](const Batch<double>& batch, const Dictionary<double>& of) -> Matrix<double> {
    return encode<double>(batch, of, 1.5, {.tol = 1e-8}).codes;  // of which much is left
  };
  for (const bool is_unused : {true, false}) {
    Parameters<double> at = D.parameters();
    const auto changed = mend_kernels<double>(at, D, {false, false, is_unused}, x, 0, code, {.duplicate = 0.8});
    ASSERT_EQ(changed, std::vector<Index>{2});
    EXPECT_GE(std::abs(at.at("kernels").col(2).dot(planted.col(2))), 0.95) << is_unused;
    EXPECT_EQ(at.at("kernels").leftCols(2), kernels.leftCols(2));
  }
  Parameters<double> at = truth.parameters();
  EXPECT_TRUE(mend_kernels<double>(at, truth, {false, false, false}, x, 0, code).empty());
}

/// A kernel that holds a part of what recurs, at its edge, becomes all of it.
TEST(MendKernels, MovesOnesOfWhichAPartLiesOutside) {
  Draw draw(8);
  const Matrix<double> planted = draw.atoms(50, 1);
  const ConvolutionalDictionary2D<double> truth(planted, {2, 60, 60, Boundary::full});
  Matrix<double> Z = Matrix<double>::Zero(truth.code_size(), 1), x(truth.signal_size(), 1);
  for (int i = 0; i < 20; ++i) Z(draw.integer(0, static_cast<int>(truth.n_positions()) - 1)) = 3;
  truth.apply(Z, x);
  Matrix<double> part = Matrix<double>::Zero(50, 1);  // two columns and a row further left and up: what lies outside is lost
  for (Index c = 0; c < 2; ++c)
    for (Index a = 0; a + 1 < 5; ++a)
      for (Index b = 0; b + 2 < 5; ++b) part((c * 5 + a) * 5 + b) = planted((c * 5 + a + 1) * 5 + b + 2);
  part.normalize();
  const ConvolutionalDictionary2D<double> D(part, truth.shape());
  const auto code = [](const Batch<double>& batch, const Dictionary<double>& of) -> Matrix<double> {
    return encode<double>(batch, of, 0.5, {.tol = 1e-8}).codes;
  };
  Parameters<double> at = D.parameters();
  EXPECT_EQ(mend_kernels<double>(at, D, {false}, x, 1, code), std::vector<Index>{0});
  EXPECT_GE(std::abs(at.at("kernels").col(0).dot(planted.col(0))), 0.95);
  EXPECT_LE(std::abs(part.col(0).dot(planted.col(0))), 0.6);
}

TEST(LearnKernels, RefusesWhatDoesNotFit) {
  Draw draw(7);
  const SeenPicture<double> picture = planted_picture(draw, 20, 20, 1, 0), other = planted_picture(draw, 20, 22, 1, 0),
                            colour = planted_picture(draw, 20, 20, 2, 0);
  const auto sentence_of = [](const std::vector<SeenPicture<double>>& pictures, const KernelOptions& options, Index size = 5) {
    try {
      learn_kernels<double>(pictures, 2, size, 0.1, options);
    } catch (const std::invalid_argument& refused) {
      return std::string(refused.what());
    }
    return std::string("nothing was refused");
  };
  EXPECT_EQ(sentence_of({}, {}), "learn_kernels: there is no picture");
  EXPECT_EQ(sentence_of({picture, colour}, {}), "learn_kernels: picture 1 has 2 channels, the first has 1; they must be equal");
  EXPECT_EQ(sentence_of({picture}, {}, 21),
            "learn_kernels: picture 0 has 20 x 20 pixels, must have at least 21 x 21, as kernels have");
  EXPECT_EQ(sentence_of({picture, other}, {.boundary = Boundary::valid}),
            "learn_kernels: pictures have different sizes, 20 x 20 and 20 x 22, which boundary = 'valid' does not take; choose "
            "'full', or method = 'stochastic', which takes crops of one size");
  SeenPicture<double> damaged = picture;
  damaged.pixels(43) = std::numeric_limits<double>::infinity();
  EXPECT_EQ(
      sentence_of({damaged}, {}),
      "learn_kernels: picture 0 holds inf at row 2, column 3, channel 0; expected finite numbers, or a mask that is 0 there");
  KernelOptions options = options_of(LearningMethod::stochastic, 3);
  EXPECT_EQ(sentence_of({picture}, options), "learn_kernels: crop_size = 25, must be 5 to 20, the least side of a picture");
  options = options_of(LearningMethod::online, 3);
  EXPECT_EQ(
      sentence_of({picture}, options),
      "learn_kernels: method = 'online' is not for pictures; choose 'unrolled', 'stochastic', 'truncated', 'alternating' or "
      "'alternating_exact'");
}

}  // namespace
}  // namespace riata::testing
