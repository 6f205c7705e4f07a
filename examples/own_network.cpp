// A kind of network that riata does not have, added from outside: docs/how_to_add_network.md explains it line by line.
#include <riata/networks/shrinks.hpp>
#include <riata/riata.hpp>

#include <cmath>
#include <cstdio>

using namespace riata;

// two_step: ISTA whose layers have a step alpha and a threshold theta each.
//
//   r = D z - x,   z+ = soft(z - alpha D^T r, theta reg)
//
// Backward, with y the cotangent of z+ and h = 1{z+ != 0} y:
//
//   alpha += -<r, D h>,   theta += -reg <sign z+, h>,   reg += -theta <sign z+, h>,   x += alpha D h,   z = h - alpha D^T D h
template <Scalar T>
struct TwoStep : Layer<T> {
  explicit TwoStep(const LayerSite<T>& site)
      : D(site.model.dictionary()),
        step(site.own("step")),
        threshold(site.own("threshold")),
        shrink(site),
        features(D.signal_size(), site.tile),
        atoms(D.code_size(), site.tile) {}

  static Parameters<T> initial(const NetworkModel<T>& model, int layer) {
    const Matrix<T> start = Matrix<T>::Constant(1, 1, static_cast<T>(1 / model.lipschitz));
    return {{parameter_name(layer, "step"), start}, {parameter_name(layer, "threshold"), start}};
  }

  void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) override {
    const Index n = input.X.cols();
    residual(input, before);
    D.adjoint(features.leftCols(n), atoms.leftCols(n));
    MatrixRef<T> z = after.z;
    z = before.z - step.values(0) * atoms.leftCols(n);
    shrink.forward(z, {input.reg, &threshold.values});
  }

  void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                const LayerState<T>& cotangent, const LayerGradients<T>& gradients) override {
    const Index n = input.X.cols();
    MatrixRef<T> h = cotangent.z;
    std::vector<double> reg(gradients.reg.size());
    shrink.backward(after.z, {input.reg, &threshold.values}, h, {.rho = reg, .theta = gradients.find(threshold.name)});
    for (std::size_t i = 0; i < reg.size(); ++i) gradients.reg[i] += reg[i];

    Matrix<T> Dh(D.signal_size(), n);
    D.apply(h, Dh);
    residual(input, before);
    if (Matrix<T>* alpha = gradients.find(step.name)) (*alpha)(0) -= features.leftCols(n).cwiseProduct(Dh).sum();
    if (MatrixRef<T> x = gradients.signals; x.size() > 0) x += step.values(0) * Dh;
    D.adjoint(Dh, atoms.leftCols(n));
    h -= step.values(0) * atoms.leftCols(n);
  }

  void residual(const TileInput<T>& input, const LayerState<T>& before) {
    auto r = features.leftCols(input.X.cols());
    D.apply(before.z, r);
    r -= input.X;
  }

  const Dictionary<T>& D;
  NamedArray<T> step, threshold;
  SoftShrink<T> shrink;
  Matrix<T> features, atoms;  // workspace of one thread
};

int main() {
  register_network<double>("two_step", kind_of<double, TwoStep<double>>());

  const auto problem = datasets::planted<double>({.n_features = 20, .n_atoms = 30, .n_signals = 300, .density = 0.1});
  Network<double> net("two_step", problem.dictionary, 6);
  const auto training = train<double>(net, problem.signals, 0.1, {.max_iter = 40});
  std::printf("two_step: loss %.4f before training, %.4f after\n", training.initial_value, training.value);

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
  return training.value < training.initial_value && worst < 1e-6 ? 0 : 1;
}
