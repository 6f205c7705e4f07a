// A kind of network that riata does not have, added from outside: docs/how_to_add_network.md explains it line by line.
#include <riata/riata.hpp>

#include <cmath>
#include <cstdio>

using namespace riata;

// primal_dual: the Lasso by Chambolle and Pock (2011), Algorithm 1, with steps tau and sigma for each layer. The state is a pair: the
// code z and the dual u, which ends as the residual D z - x.
//
//   z+ = soft(z - tau D^T u, tau reg),     e = D (2 z+ - z) - x,     u+ = (u + sigma e) / (1 + sigma)
//
// Backward, with the cotangents of z+ and u+, c = u+ cotangent / (1 + sigma), and h the cotangent of z - tau D^T u:
//
//   sigma += <c, e - u+>,    z+ += 2 sigma D^T c,    x += -sigma c
//   tau += -<D h, u> - reg <sign z+, h>,    reg += -tau <sign z+, h>,    z = h - sigma D^T c,    u = c - tau D h
template <Scalar T>
struct PrimalDual : Layer<T> {
  explicit PrimalDual(const LayerSite<T>& site)
      : D(site.model.dictionary()),
        tau(site.own("tau")),
        sigma(site.own("sigma")),
        shrink(site),
        features(D.signal_size(), site.tile),
        atoms(D.code_size(), site.tile) {}

  static Parameters<T> initial(const NetworkModel<T>& model, int layer) {
    const Matrix<T> start = Matrix<T>::Constant(1, 1, static_cast<T>(1 / std::sqrt(model.lipschitz)));  // tau sigma ||D||^2 = 1
    return {{parameter_name(layer, "tau"), start}, {parameter_name(layer, "sigma"), start}};
  }
  static std::vector<Index> blocks(const NetworkModel<T>& model) { return {model.n_features()}; }

  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override {
    const Index n = input.X.cols();
    MatrixRef<T> z = after.z, u = after.blocks[0];
    D.adjoint(before.blocks[0], atoms.leftCols(n));
    z = before.z - tau.values(0) * atoms.leftCols(n);
    shrink.forward(z, {input.reg, &tau.values});
    set_error(input, before, after);
    u = (before.blocks[0] + sigma.values(0) * features.leftCols(n)) / (1 + sigma.values(0));
  }

  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override {
    const Index n = input.X.cols();
    MatrixRef<T> h = cotangent.z, c = cotangent.blocks[0];
    c /= 1 + sigma.values(0);
    set_error(input, before, after);
    if (Matrix<T>* found = gradients.find(sigma.name))
      (*found)(0) += c.cwiseProduct(features.leftCols(n) - after.blocks[0]).sum();
    if (MatrixRef<T> x = gradients.signals; x.size() > 0) x -= sigma.values(0) * c;
    Matrix<T> pull(D.code_size(), n), Dh(D.signal_size(), n);
    D.adjoint(c, pull);
    pull *= sigma.values(0);
    h += 2 * pull;

    std::vector<double> reg(gradients.reg.size());
    shrink.backward(after.z, {input.reg, &tau.values}, h, {.rho = reg, .theta = gradients.find(tau.name)});
    for (std::size_t i = 0; i < reg.size(); ++i) gradients.reg[i] += reg[i];
    D.apply(h, Dh);
    if (Matrix<T>* found = gradients.find(tau.name)) (*found)(0) -= Dh.cwiseProduct(before.blocks[0]).sum();
    h -= pull;
    c -= tau.values(0) * Dh;
  }

  /// features = e
  void set_error(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) {
    const Index n = input.X.cols();
    atoms.leftCols(n) = 2 * after.z - before.z;
    D.apply(atoms.leftCols(n), features.leftCols(n));
    features.leftCols(n) -= input.X;
  }

  const Dictionary<T>& D;
  NamedArray<T> tau, sigma;
  SoftShrink<T> shrink;
  Matrix<T> features, atoms;  // workspace of one thread
};

int main() {
  register_network<double>("primal_dual", kind_of<double, PrimalDual<double>>({.any_dictionary = true}));

  const auto problem = datasets::planted<double>({.n_features = 20, .n_atoms = 30, .n_signals = 300, .density = 0.1});
  Network<double> net("primal_dual", problem.dictionary, 6);
  const auto training = train<double>(net, problem.signals, 0.1, {.max_iter = 40});
  std::printf("primal_dual: loss %.4f before training, %.4f after\n", training.initial_value, training.value);

  // Untrained and deep, it solves the Lasso.
  const Network<double> deep("primal_dual", problem.dictionary, 3000);
  const double gap = deep.encode_certified(problem.signals, 0.1).gap.maxCoeff();
  std::printf("largest gap after 3000 layers: %.1e\n", gap);

  // The derivatives that training used, against central differences.
  double worst = 0;
  const auto gradient = net.loss_gradient(problem.signals, 0.1, {.parameters = net.trainable(0, 6)}).parameters;
  for (const auto& [name, derivative] : gradient) {
    const auto loss_at = [&, name = name](double h) {
      Network<double> moved = net;
      Parameters<double> parameters = net.parameters();
      parameters.at(name)(0) += h;
      moved.set_parameters(parameters);
      return moved.loss(problem.signals, 0.1);
    };
    worst = std::max(worst, std::abs((loss_at(1e-6) - loss_at(-1e-6)) / 2e-6 - derivative(0)));
  }
  std::printf("largest error of its derivatives: %.1e\n", worst);
  return training.value < training.initial_value && worst < 1e-6 && gap < 1e-9 ? 0 : 1;
}
