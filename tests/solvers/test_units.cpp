// Signals (2^k x, 2^k reg) have the codes 2^k z, to the bit and after as many iterations; atoms 2^k D have the codes 2^-k z; and
// what no precision holds is refused, never called converged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "riata/networks/network.hpp"
#include "riata/networks/network_encoder.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/debias.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/joint.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "riata/unrolled/unrolled_encoder.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

#define EXPECT_REFUSED_WITH(call, words) EXPECT_THAT(refusal_of([&] { call; }), ::testing::HasSubstr(words))

namespace riata::testing {
namespace {

template <class Derived>
auto times_power(const Eigen::DenseBase<Derived>& A, int k) {
  using T = typename Derived::Scalar;
  return A.derived().unaryExpr([k](T v) { return static_cast<T>(std::ldexp(v, k)); }).eval();
}
double times_power(double value, int k) { return std::ldexp(value, k); }

template <class T>
struct Units : ::testing::Test {
  Units() {
    Draw draw(11);
    D = draw.atoms(10, 16).cast<T>();
    Z = draw.sparse_matrix(16, 9, 0.2).cast<T>();
    X = D * Z + (0.1 * draw.normal_matrix(10, 9)).cast<T>();
  }

  static constexpr int power = std::same_as<T, float> ? 40 : 100;
  static constexpr double tol = std::same_as<T, float> ? 1e-5 : 1e-10;

  /// call(X, D, reg) returns numbers; they must be those of `call` before, times 2^(k signals + l atoms).
  template <class Call>
  void expect(const char* what, int in_signals, int in_atoms, const Call& call, int in_reg = 1) {
    const auto as_given = call(X, D, reg);
    for (const int k : {-power, power}) {
      const auto in_unit = call(times_power(X, k), D, std::ldexp(reg, k * in_reg));
      EXPECT_EQ(in_unit, times_power(as_given, k * in_signals)) << what << ", signals of 2^" << k;
      const int l = k / 2;
      const auto in_atom_unit = call(X, times_power(D, l), std::ldexp(reg, in_reg == 1 ? l : 0));
      EXPECT_EQ(in_atom_unit, times_power(as_given, l * in_atoms)) << what << ", atoms of 2^" << l;
    }
  }

  Matrix<T> D, X, Z;
  const double reg = 0.125;
};
TYPED_TEST_SUITE(Units, BothPrecisions, PrecisionName);

/// Every way through encode().
std::vector<EncodeOptions> all_ways(double tol) {
  const PenaltyOptions groups{.kind = PenaltyKind::group, .groups = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}};
  std::vector<double> weights;
  for (int j = 0; j < 16; ++j) weights.push_back(0.5 + 0.0625 * j);
  std::vector<EncodeOptions> ways;
  for (const Solver method :
       {Solver::coordinate_descent, Solver::ista, Solver::fista, Solver::oista, Solver::backtracking, Solver::lars})
    for (const PenaltyOptions& penalty : {PenaltyOptions{}, PenaltyOptions{.positive = true, .weights = weights}})
      ways.push_back({.method = method, .tol = tol, .penalty = penalty});
  for (const Solver method : {Solver::ista, Solver::fista, Solver::backtracking})
    ways.push_back({.method = method, .tol = tol, .penalty = groups});
  ways.push_back({.method = Solver::fista, .tol = tol, .restart = Restart::objective});
  ways.push_back({.method = Solver::fista, .tol = tol, .momentum = Momentum::greedy});
  ways.push_back({.method = Solver::oista, .tol = tol, .support_norm = SupportNorm::exact});
  ways.push_back({.method = Solver::ista, .tol = tol, .penalty = {.kind = PenaltyKind::l0}});
  for (const double loose : {1e-2, 1e-4, 1e-6})
    ways.push_back({.method = Solver::coordinate_descent, .tol = loose, .penalty = {.weights = weights}});
  return ways;
}

TYPED_TEST(Units, OfSignalsAndAtoms_ChangeExponentsAlone_InEncode) {
  using T = TypeParam;
  for (const EncodeOptions& options : all_ways(this->tol)) {
    const bool l0 = options.penalty.kind == PenaltyKind::l0;
    const auto solved = [&](const Matrix<T>& X, const Matrix<T>& D, double reg) {
      return encode<T>(X, DenseDictionary(D), reg, options);
    };
    const std::string way = std::string(to_string(options.method)) + ", " + to_string(options.penalty.kind);
    const int in_reg = l0 ? 2 : 1;
    this->expect((way + ": codes").c_str(), 1, -1, [&](const auto&... a) { return solved(a...).codes; }, in_reg);
    this->expect((way + ": objective").c_str(), 2, 0, [&](const auto&... a) { return solved(a...).objective; }, in_reg);
    this->expect((way + ": n_iter").c_str(), 0, 0,
                 [&](const auto&... a) { return solved(a...).n_iter.template cast<double>().eval(); }, in_reg);
    if (!l0) this->expect((way + ": gap").c_str(), 2, 0, [&](const auto&... a) { return solved(a...).gap; }, in_reg);
  }
}

TYPED_TEST(Units, OfSignalsAndAtoms_ChangeExponentsAlone_InWhatTakesSignals) {
  using T = TypeParam;
  const Matrix<T>& Z = this->Z;
  const auto codes_for = [&](const Matrix<T>& X, const Matrix<T>& D) {
    const int k = std::ilogb(X.cwiseAbs().maxCoeff()) - std::ilogb(this->X.cwiseAbs().maxCoeff());
    const int l = std::ilogb(D.cwiseAbs().maxCoeff()) - std::ilogb(this->D.cwiseAbs().maxCoeff());
    return Matrix<T>(times_power(Z, k - l));
  };
  using M = Matrix<T>;
  this->expect("lasso_objective", 2, 0, [&](const M& X, const M& D, double reg) {
    return lasso_objective<T>(X, DenseDictionary(D), codes_for(X, D), reg);
  });
  this->expect("duality_gap", 2, 0,
               [&](const M& X, const M& D, double reg) { return duality_gap<T>(X, DenseDictionary(D), codes_for(X, D), reg); });
  this->expect("kkt_violation", 1, 1,
               [&](const M& X, const M& D, double reg) { return kkt_violation<T>(X, DenseDictionary(D), codes_for(X, D), reg); });
  this->expect("reg_max", 1, 1, [&](const M& X, const M& D, double) { return reg_max<T>(X, DenseDictionary(D)); });
  this->expect("omp", 1, -1, [&](const M& X, const M& D, double) { return omp<T>(X, D, {.n_nonzero = 3}).codes; });
  this->expect("omp, tol", 1, -1, [&](const M& X, const M& D, double) { return omp<T>(X, D, {.tol = 0.1}).codes; });
  this->expect("omp, error", 2, 0, [&](const M& X, const M& D, double) { return omp<T>(X, D, {.tol = 0.1}).error; });
  this->expect("lasso_path, regs", 1, 1, [&](const M& X, const M& D, double) { return lasso_path<T>(X.col(0), D).regs; });
  this->expect("lasso_path, codes", 1, -1, [&](const M& X, const M& D, double) { return lasso_path<T>(X.col(0), D).codes; });
  this->expect("lasso_path, gap", 2, 0, [&](const M& X, const M& D, double) { return lasso_path<T>(X.col(0), D).gap; });
  this->expect("joint_encode", 1, -1,
               [&](const M& X, const M& D, double reg) { return joint_encode<T>(X, D, reg, {.tol = this->tol}).codes; });
  this->expect("joint_encode, gap", 2, 0,
               [&](const M& X, const M& D, double reg) { return joint_encode<T>(X, D, reg, {.tol = this->tol}).gap; });
  this->expect("joint_certificate", 2, 0,
               [&](const M& X, const M& D, double reg) { return joint_certificate<T>(X, D, codes_for(X, D), reg).gap; });
  this->expect("joint_reg_max", 1, 1, [&](const M& X, const M& D, double) { return joint_reg_max<T>(X, D); });
  this->expect("debias", 1, -1, [&](const M& X, const M& D, double) { return debias<T>(X, D, Z); });
  this->expect("unrolled_encode", 1, -1,
               [&](const M& X, const M& D, double reg) { return unrolled_encode<T>(X, DenseDictionary(D), reg); });
  this->expect("unrolled_encode, init", 1, -1, [&](const M& X, const M& D, double reg) {
    const M init = codes_for(X, D);
    return unrolled_encode<T>(X, DenseDictionary(D), reg, {.n_layers = 4}, init);
  });
  const auto gradient = [&](const M& X, const M& D, double reg) {
    return unrolled_gradient<T>(X, DenseDictionary(D), reg, {}, {.signals = true, .usage = true});
  };
  this->expect("gradient: value", 2, 0, [&](const auto&... a) { return gradient(a...).value; });
  this->expect("gradient: dictionary", 2, -1, [&](const auto&... a) { return gradient(a...).parameters.at("dictionary"); });
  this->expect("gradient: steps", 2, 0, [&](const auto&... a) { return gradient(a...).steps; });
  this->expect("gradient: reg", 1, -1, [&](const auto&... a) { return gradient(a...).reg; });
  this->expect("gradient: signals", 1, 0, [&](const auto&... a) { return gradient(a...).signals; });
  this->expect("gradient: codes", 1, -1, [&](const auto&... a) { return gradient(a...).codes; });
  this->expect("gradient: usage", 2, -2, [&](const auto&... a) { return gradient(a...).usage; });
  const auto vjp = [&](const M& X, const M& D, double reg) { return unrolled_vjp<T>(X, DenseDictionary(D), reg, Z); };
  this->expect("vjp: value", 1, -1, [&](const auto&... a) { return vjp(a...).value; });
  this->expect("vjp: dictionary", 1, -2, [&](const auto&... a) { return vjp(a...).parameters.at("dictionary"); });
  this->expect("vjp: reg", 0, -2, [&](const auto&... a) { return vjp(a...).reg; });
  this->expect("vjp: signals", 0, -1, [&](const auto&... a) { return vjp(a...).signals; });
  this->expect("UnrolledEncoder", 1, -1, [&](const M& X, const M& D, double reg) {
    Vector<T> code(D.cols());
    UnrolledEncoder<T>(D).encode(X.col(1), reg, code);
    return code;
  });
  this->expect("stability", 0, 0, [&](const M& X, const M& D, double reg) {
    return unrolled_stability<T>(X.leftCols(2), D, reg, {.network = {.n_layers = 12}}).growth;
  });
  this->expect("code_jacobian", 1, -2, [&](const M& X, const M& D, double reg) { return code_jacobian<T>(X.col(0), D, reg, 2); });
  this->expect("hypergradient", 1, -1,
               [&](const M& X, const M& D, double reg) { return hypergradient<T>(X, D, reg, X, DenseDictionary<T>(D)).reg; });
}

TYPED_TEST(Units, OfDebias_HoldWhereItsSumsWouldNot) {
  using T = TypeParam;
  const int far = std::same_as<T, float> ? 126 : 497;  // 2^498 is what signals may be
  const Matrix<T> near = debias<T>(this->X, this->D, this->Z);
  const T largest = this->X.cwiseAbs().maxCoeff();
  for (const int k : {far - std::ilogb(largest), -far + 8}) {
    const Matrix<T> X = times_power(this->X, k), codes = debias<T>(X, this->D, this->Z);
    EXPECT_LE((times_power(codes, -k) - near).norm(), 0.05 * near.norm()) << k;  // the tiny are rounded to few digits
  }
  if constexpr (std::same_as<T, float>) {
    const Matrix<T> X = times_power(this->X, far - std::ilogb(largest)), D = times_power(this->D, -9);
    EXPECT_REFUSED_WITH(debias<T>(X, D, this->Z), "overflows");
  }
  Matrix<T> D = this->D;
  D.col(3).setZero();
  Matrix<T> Z = this->Z;
  Z.row(3).setOnes();
  Matrix<T> without = Z;
  without.row(3).setZero();
  EXPECT_EQ(debias<T>(this->X, D, Z), debias<T>(this->X, D, without));
}

TYPED_TEST(Units, OfSignals_ChangeExponentsAlone_InNetworks) {
  using T = TypeParam;
  for (const std::string& kind : network_kinds<T>()) {
    NetworkOptions options;
    if (kind == "group") options.groups = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    const Network<T> net(kind, this->D, 4, options);
    const double in_reg = kind == "iht" ? 2 : 1;
    const Matrix<T> codes = net.encode(this->X, this->reg);
    const double loss = net.loss(this->X, this->reg);
    NetworkEncoder<T> one(net);
    Vector<T> as_given(codes.rows()), code(codes.rows());
    one.encode(this->X.col(3), this->reg, as_given);
    for (const int k : {-this->power, this->power}) {
      const Matrix<T> X = times_power(this->X, k);
      const double reg = std::ldexp(this->reg, static_cast<int>(in_reg) * k);
      EXPECT_EQ(net.encode(X, reg), times_power(codes, k)) << kind;
      EXPECT_EQ(net.outputs(X, reg).back(), times_power(codes, k)) << kind;
      if (kind != "iht") {  // its loss has the l1 norm
        EXPECT_EQ(net.loss(X, reg), std::ldexp(loss, 2 * k)) << kind;
      }
      one.encode(X.col(3), reg, code);
      EXPECT_EQ(code, times_power(as_given, k)) << kind;
    }
  }
}

TEST(Extremes, OfTheSignals_AreCodedInAUnit_OrRefused) {
  const Matrix<double> identity = Matrix<double>::Identity(2, 2);
  for (const EncodeOptions& options : std::vector<EncodeOptions>{{},
                                                                 {.method = Solver::ista},
                                                                 {.method = Solver::fista},
                                                                 {.method = Solver::oista},
                                                                 {.method = Solver::backtracking},
                                                                 {.method = Solver::lars}}) {
    for (const double unit : {1e-170, 1e-250, 1e-300, 1e145}) {
      const Matrix<double> X = Eigen::Vector2d(5, 0.1) * unit;
      const auto coded = encode<double>(X, DenseDictionary(identity), unit, options);
      EXPECT_NEAR(coded.codes(0) / unit, 4, 1e-6) << unit << ' ' << to_string(options.method);
      EXPECT_EQ(coded.codes(1), 0);
      EXPECT_EQ(coded.status[0], Status::converged);
    }
    EXPECT_NEAR(
        encode<double>(Matrix<double>(Eigen::Vector2d(5e-320, 1e-321)), DenseDictionary(identity), 1e-320, options).codes(0),
        4e-320, 1e-323);
    for (const double unit : {1e155, 1e300}) {
      const Matrix<double> X = Eigen::Vector2d(5, 0.1) * unit;
      EXPECT_REFUSED_WITH(encode<double>(X, DenseDictionary(identity), unit, options), "encode: X holds an entry of size 5e+");
    }
  }
  const Matrix<float> tiny = Eigen::Vector2f(5e-44f, 1e-44f), huge = Eigen::Vector2f(3e38f, 1e37f);
  const Matrix<float> identity_f = Matrix<float>::Identity(2, 2);
  EXPECT_NEAR(encode<float>(tiny, DenseDictionary(identity_f), 1e-44).codes(0), 4e-44f, 2e-45f);
  EXPECT_NEAR(encode<float>(huge, DenseDictionary(identity_f), 1e38).codes(0) / 1e38f, 2, 1e-5);
}

TEST(Extremes, OfTheAtoms_AreCodedInAUnit_OrRefused) {
  Draw draw(5);
  const Matrix<float> D = draw.atoms(8, 12).cast<float>(), X = draw.normal_matrix(8, 6).cast<float>();
  for (const Solver method :
       {Solver::coordinate_descent, Solver::ista, Solver::fista, Solver::oista, Solver::backtracking, Solver::lars}) {
    const auto as_given = encode<float>(X, DenseDictionary(D), 0.25, {.method = method, .tol = 1e-4});
    for (const int k : {-73, 63, -100, 100}) {
      const auto coded =
          encode<float>(X, DenseDictionary(times_power(D, k)), std::ldexp(0.25, k), {.method = method, .tol = 1e-4});
      EXPECT_EQ(coded.codes, times_power(as_given.codes, -k)) << to_string(method) << ' ' << k;
      EXPECT_EQ(coded.status, as_given.status);
    }
    EXPECT_REFUSED_WITH(
        encode<float>(times_power(X, 14), DenseDictionary(times_power(D, -120)), std::ldexp(0.25, -106), {.method = method}),
        "encode: the code of a signal whose largest entry is");
  }
  for (const double size : {1e160, 1e-160})
    EXPECT_REFUSED_WITH(
        encode<double>(Matrix<double>::Ones(2, 1), DenseDictionary<double>(Matrix<double>::Identity(2, 2) * size), 0.1),
        "dictionary: the largest entry of D has the size 1e");
}

TEST(Extremes, OfSomeSignals_LeaveOthersAlone) {
  Draw draw(6);
  const Matrix<double> D = draw.atoms(10, 20);
  Matrix<double> X = draw.normal_matrix(10, 60);
  X.col(7).setZero();
  Matrix<double> wide = X;
  std::vector<double> regs;
  const auto exponent = [](Index i) { return i % 3 == 0 ? 0 : static_cast<int>(16 * (i - 30)); };  // 280 decades
  for (Index i = 0; i < X.cols(); ++i) {
    wide.col(i) = times_power(X.col(i), exponent(i));
    regs.push_back(std::ldexp(0.1, exponent(i)));
  }
  for (const Solver method : {Solver::coordinate_descent, Solver::fista, Solver::ista}) {
    const auto as_given = encode<double>(X, DenseDictionary(D), 0.1, {.method = method}),
               coded = encode<double>(wide, DenseDictionary(D), Reg(regs), {.method = method});
    for (Index i = 0; i < X.cols(); ++i) {
      EXPECT_EQ(coded.codes.col(i), times_power(as_given.codes.col(i), exponent(i))) << i;
      EXPECT_EQ(coded.n_iter(i), as_given.n_iter(i));
    }
  }
}

TEST(Extremes, OfAnElasticNet_AreRefused) {
  const PenaltyOptions net{.kind = PenaltyKind::elastic_net};
  const Matrix<double> D = Matrix<double>::Identity(2, 2);
  EXPECT_REFUSED_WITH(encode<double>(Matrix<double>(Eigen::Vector2d(1e-170, 0)), DenseDictionary(D), 1e-171, {.penalty = net}),
                      "X: the largest entry is 1e-170; with penalty = 'elastic_net'");
}

TEST(RegMax, IsRefused_WhereItOverflows) {
  const Matrix<float> X = Matrix<float>::Constant(2, 1, 1e30f), D = Matrix<float>::Constant(2, 2, 1e20f);
  EXPECT_REFUSED_WITH(reg_max<float>(X, DenseDictionary(D)), "reg_max: that of signal 0 overflows");
}

}  // namespace
}  // namespace riata::testing
