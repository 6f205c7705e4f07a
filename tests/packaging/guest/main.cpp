// Matrices of a foreign Eigen library go through the functions of riata that take or return any, and back. Prints one number per
// call, the same whatever anybody was compiled with.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <riata/riata.hpp>

#include "foreign.hpp"

using namespace riata;

namespace {

/// FNV-1a of the bits.
std::uint64_t digest(const double* data, Index n, std::uint64_t hash = 1469598103934665603u) {
  for (Index i = 0; i < n; ++i) {
    std::uint64_t bits;
    std::memcpy(&bits, data + i, sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  return hash;
}

foreign::Store store;
bool by_value = false;  // the foreign library is compiled as this program is

/// Prints what riata gave, and lets the foreign library copy it.
template <class M>
void tell(const char* what, const M& A) {
  const Eigen::MatrixXd& kept = store.keep(A.data(), A.rows(), A.cols());
  std::printf("%s %ld %ld %016lx\n", what, static_cast<long>(A.rows()), static_cast<long>(A.cols()),
              static_cast<unsigned long>(digest(kept.data(), kept.size())));
  if (!by_value) return;
  const Eigen::MatrixXd mine = A;  // Eigen's own memory again
  if (foreign::sum_by_value(mine) != foreign::sum_by_value(A)) std::printf("%s: another sum\n", what);
}
void tell(const char* what, double value) { tell(what, Matrix<double>(Matrix<double>::Constant(1, 1, value))); }

/// A dictionary of the caller's own, compiled as the caller is: riata takes and frees the matrices that it returns.
class Own final : public Dictionary<double> {
 public:
  explicit Own(Matrix<double> atoms) : D_(std::move(atoms)) {}
  Index signal_size() const override { return D_.rows(); }
  Index code_size() const override { return D_.cols(); }
  void apply(const ConstMatrixRef<double>& Z, MatrixRef<double> X) const override { X.noalias() = D_ * Z; }
  void adjoint(const ConstMatrixRef<double>& R, MatrixRef<double> Z) const override { Z.noalias() = D_.transpose() * R; }
  double squared_norm() const override { return D_.squaredNorm(); }
  Parameters<double> parameters() const override { return {{"own", D_}}; }
  void accumulate_gradient(double scale, const ConstMatrixRef<double>& R, const ConstMatrixRef<double>& Z,
                           Parameters<double>& gradient) const override {
    if (const auto g = gradient.find("own"); g != gradient.end()) g->second += scale * R * Z.transpose();
  }
  void project(Parameters<double>& parameters) const override {
    if (const auto p = parameters.find("own"); p != parameters.end()) p->second.colwise().normalize();
  }
  std::unique_ptr<Dictionary<double>> at(const Parameters<double>& parameters) const override {
    const auto own = parameters.find("own");
    return std::make_unique<Own>(own != parameters.end() ? own->second : D_);
  }
  std::unique_ptr<Dictionary<double>> in_double() const override { return std::make_unique<Own>(D_); }

 private:
  Matrix<double> D_;
};

void run(const Eigen::MatrixXd& X, const Eigen::MatrixXd& atoms, const Eigen::MatrixXd& Y) {
  Matrix<double> unit = atoms;
  project_atoms(unit, Constraint::unit_sphere);
  tell("project_atoms", unit);
  const DenseDictionary<double> D(unit);
  const Index n = X.rows(), m = D.code_size(), n_signals = X.cols();

  const auto coded = encode(X, D, 0.1);
  tell("encode", coded.codes);
  tell("encode gap", coded.gap);
  const Eigen::Map<const Eigen::MatrixXd, 0, Eigen::OuterStride<>> every_second(X.data(), n, n_signals / 2,
                                                                                Eigen::OuterStride<>(2 * n));
  tell("encode strided", encode(every_second, D, Reg::fraction_of_max(0.3), {.method = Solver::fista}).codes);
  tell("encode block", encode(X.middleCols(1, 3), D, 0.1, {.method = Solver::ista}).codes);
  encode_stream(X, D, 0.1, [](CodeBlock<double>&& block) { tell("encode_stream", block.objective); });
  tell("omp", omp(X, D, {.n_nonzero = 3}).codes);
  const auto path = lasso_path(X.col(0), D);
  tell("lasso_path", path.codes);
  tell("joint_encode", joint_encode(X, D, Reg::fraction_of_max(0.5)).codes);
  tell("joint_reg_max", joint_reg_max(X, D));
  tell("joint_certificate", joint_certificate(X, D, coded.codes, 0.1).objective);
  tell("debias", debias(X, D, coded.codes));
  tell("lasso_objective", lasso_objective(X, D, coded.codes, 0.1));
  tell("duality_gap", duality_gap(X, D, coded.codes, 0.1));
  tell("kkt_violation", kkt_violation(X, D, coded.codes, 0.1));
  tell("reg_max", reg_max(X, D));

  const auto implicit = implicit_gradient(X, D, 0.1, Y);
  tell("implicit_gradient", implicit.dictionary);
  tell("implicit_jvp", implicit_jvp(X, D, 0.1, {.signals = X}));
  tell("implicit_jacobian", implicit_jacobian(X.col(1), D, 0.1, 0));
  tell("hypergradient", hypergradient(X, D, 0.1, X, D).reg);

  tell("unrolled_encode", unrolled_encode(X, D, 0.1));
  const auto gradient = unrolled_gradient(X, D, 0.1);
  tell("unrolled_gradient", gradient.parameters.at("dictionary"));
  tell("unrolled_vjp", unrolled_vjp(X, D, 0.1, Y).parameters.at("dictionary"));
  tell("unrolled_loss", unrolled_loss(X, D, 0.1));
  tell("code_jacobian", code_jacobian(X.col(2), D, 0.1, 1));
  tell("unrolled_stability", unrolled_stability(X, D, 0.1).growth);
  UnrolledEncoder<double> one_by_one(D);
  Eigen::VectorXd code(m);
  one_by_one.encode(X.col(0), 0.1, code);
  tell("UnrolledEncoder", code);

  Network<double> net("coupled", D, 3);
  TrainingOptions brief;
  brief.max_iter = 3;
  train(net, X, 0.1, brief);
  tell("train", net.parameters().begin()->second);
  tell("Network::encode", net.encode(X, 0.1));
  tell("Network::encode_certified", net.encode_certified(X, 0.1, {.finish = 1e-6}).codes);
  tell("Network::outputs", net.outputs(X, 0.1).front());
  tell("Network::vjp", net.vjp(X, 0.1, Y, {.codes = true}).codes);
  auto parameters = net.parameters();
  for (auto& [name, values] : parameters) values *= 2;
  net.set_parameters(std::move(parameters));
  tell("Network::loss_gradient", net.loss_gradient(X, 0.1, {.signals = true}).signals);
  NetworkEncoder<double> encoder(net);
  encoder.encode(X.col(3), 0.1, code);
  tell("NetworkEncoder", code);
  tell("analytic_weight", analytic_weight<double>(unit));

  LearnOptions learning;
  learning.max_iter = 3;
  const auto learned = learn_dictionary<double>(X, m, 0.1, learning);
  tell("learn_dictionary", learned.dictionary);
  tell("learn_dictionary from", learn_dictionary<double>(X, unit, 0.1, learning).dictionary);
  tell("recovery_score", recovery_score<double>(learned.dictionary, unit));
  const Own own(unit);
  tell("encode own", static_cast<double>((encode(X, own, 0.1, {.max_iter = 100000}).codes - coded.codes).norm() < 1e-2));
  tell("learn_dictionary own", static_cast<double>(learn_dictionary(X, own, 0.1, learning).parameters.at("own").rows()));

  tell("to_tensor", get_matrix<double>({{"X", to_tensor<double>(X)}}, "X", "here"));
  tell("best_assignment", static_cast<double>(best_assignment(X.topLeftCorner(4, 4)).front()));
  tell("gaussian_dictionary", datasets::gaussian_dictionary<double>(6, 9, 1));
  tell("dct_dictionary", datasets::dct_dictionary<double>(9, 16));
  tell("perturbed", datasets::perturbed<double>(unit, 0.5, 1));
  tell("signals_on_b_infinity", datasets::signals_on_b_infinity<double>(unit, 5, datasets::SignalLaw::gaussian, 1));
  tell("scale_to_b_infinity", datasets::scale_to_b_infinity<double>(X, unit));
  tell("planted", datasets::planted<double>({.n_signals = 7}).signals);
  const Matrix<double> covariance = Eigen::MatrixXd::Identity(n, n);
  tell("whitener", whitener(covariance));
  tell("sparse_inverse", sparse_inverse(X, unit, covariance, Reg::fraction_of_max(0.5)).sources);
}

}  // namespace

int main(int argc, char**) {
  by_value = argc > 1;
  std::setvbuf(stdout, nullptr, _IONBF, 0);  // what came before a crash is seen
  try {
    run(store.random(8, 20, 1), store.random(8, 12, 2), store.random(12, 20, 3));
    if (by_value) run(foreign::by_value(8, 20, 1), foreign::by_value(8, 12, 2), foreign::by_value(12, 20, 3));
    encode(store.random(8, 3, 1), DenseDictionary<double>(store.random(9, 12, 2)), 0.1);
  } catch (const std::invalid_argument& error) {  // riata's exceptions are the caller's
    std::printf("%s\n", error.what());
    return 0;
  }
  return 1;
}
