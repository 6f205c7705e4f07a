// A dictionary that riata does not have, added from outside: docs/how_to_add_dictionary.md explains it line by line.
#include <riata/riata.hpp>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numbers>

using namespace riata;

/// x = sum_k d_k * z_k, by direct sums: kernels are columns, and a code holds the activations of one kernel after another, each as
/// long as the signal less what the kernel overhangs.
template <Scalar T>
class Convolution final : public Dictionary<T> {
 public:
  Convolution(Matrix<T> kernels, Index n_times) : kernels_(std::move(kernels)), n_times_(n_times) {}

  Index signal_size() const override { return n_times_; }
  Index code_size() const override { return kernels_.cols() * n_places(); }

  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override {
    X.setZero();
    for_each([&](Index k, Index t, Index place, Index z) { X.row(place + t) += kernels_(t, k) * Z.row(z); });
  }
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override {
    Z.setZero();
    for_each([&](Index k, Index t, Index place, Index z) { Z.row(z) += kernels_(t, k) * R.row(place + t); });
  }

  /// ||D||_2^2 <= max_w sum_k |sum_t d_k(t) exp(-i w t)|^2, on a grid of N >= 8 L frequencies divided by cos(pi (L - 1) / N).
  double squared_norm() const override {
    const Index L = kernels_.rows(), N = 8 * L;
    double largest = 0;
    for (Index f = 0; f < N; ++f) {
      double sum = 0;
      for (Index k = 0; k < kernels_.cols(); ++k) {
        double re = 0, im = 0;
        for (Index t = 0; t < L; ++t) {
          const double angle = 2 * std::numbers::pi * static_cast<double>(f * t) / static_cast<double>(N);
          re += static_cast<double>(kernels_(t, k)) * std::cos(angle);
          im -= static_cast<double>(kernels_(t, k)) * std::sin(angle);
        }
        sum += re * re + im * im;
      }
      largest = std::max(largest, sum);
    }
    return largest / std::cos(std::numbers::pi * static_cast<double>(L - 1) / static_cast<double>(N));
  }

  Parameters<T> parameters() const override { return {{"kernels", kernels_}}; }
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                           Parameters<T>& gradient) const override {
    const auto own = gradient.find("kernels");
    if (own == gradient.end()) return;
    for_each([&](Index k, Index t, Index place, Index z) { own->second(t, k) += scale * R.row(place + t).dot(Z.row(z)); });
  }
  void project(Parameters<T>& parameters) const override {
    if (const auto own = parameters.find("kernels"); own != parameters.end()) own->second.colwise().normalize();
  }
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>& parameters) const override {
    const auto own = parameters.find("kernels");
    return std::make_unique<Convolution>(own != parameters.end() ? own->second : kernels_, n_times_);
  }
  std::unique_ptr<Dictionary<double>> in_double() const override {
    return std::make_unique<Convolution<double>>(kernels_.template cast<double>(), n_times_);
  }

 private:
  Index n_places() const { return n_times_ - kernels_.rows() + 1; }
  /// visit(kernel, its sample, the place where it starts, the place's row in the code)
  void for_each(const auto& visit) const {
    for (Index k = 0; k < kernels_.cols(); ++k)
      for (Index place = 0; place < n_places(); ++place)
        for (Index t = 0; t < kernels_.rows(); ++t) visit(k, t, place, k * n_places() + place);
  }
  Matrix<T> kernels_;
  Index n_times_;
};

int n_wrong = 0;
void check(const char* what, bool holds) {
  std::printf("%-62s %s\n", what, holds ? "yes" : "NO");
  n_wrong += !holds;
}

int main() {
  const Index n_times = 40;
  const Matrix<double> kernels = datasets::gaussian_dictionary<double>(6, 3, 0);
  const Convolution<double> D(kernels, n_times);
  Matrix<double> atoms(n_times, D.code_size());  // the same map as a matrix
  D.apply(Matrix<double>::Identity(D.code_size(), D.code_size()), atoms);
  const DenseDictionary<double> dense(atoms);
  check("its norm is a bound, and no loose one",
        D.squared_norm() >= dense.squared_norm() && D.squared_norm() < 1.5 * dense.squared_norm());

  // Sparse coding, with gaps that are certified; and single evaluations beside the matrix.
  const Matrix<double> codes =
      datasets::planted<double>({.n_features = 8, .n_atoms = D.code_size(), .n_signals = 50, .density = 0.05}).codes;
  Matrix<double> X(n_times, codes.cols());
  D.apply(codes, X);
  const double reg = 0.1;
  for (const Solver method : {Solver::ista, Solver::fista, Solver::backtracking}) {
    const auto found = encode<double>(X, D, reg, {.method = method, .tol = 1e-8, .max_iter = 100000});
    const auto gap = lasso_certificate<double>(X, dense, found.codes, reg).gap;
    check(to_string(method), (gap.array() <= 1e-8 * 0.5 * X.colwise().squaredNorm().transpose().array()).all());
  }
  const double L = D.squared_norm();
  const auto gradient = unrolled_gradient<double>(X, D, reg, {.n_layers = 15, .lipschitz = L});
  const auto expected = unrolled_gradient<double>(X, dense, reg, {.n_layers = 15, .lipschitz = L});
  const Matrix<double>& of_atoms = expected.parameters.at("dictionary");
  Matrix<double> pulled_back = Matrix<double>::Zero(6, 3);  // d atoms / d kernels: each atom is a kernel at its place
  for (Index k = 0; k < 3; ++k)
    for (Index place = 0; place + 6 <= n_times; ++place)
      pulled_back.col(k) += of_atoms.col(k * (n_times - 5) + place).segment(place, 6);
  check("15 unrolled layers have the loss of the matrix", std::abs(gradient.value - expected.value) <= 1e-12 * expected.value);
  check("their gradient is the matrix's, pulled back",
        (gradient.parameters.at("kernels") - pulled_back).norm() <= 1e-12 * pulled_back.norm());

  // A network whose steps are learned, saved and loaded.
  const std::string folder = std::filesystem::temp_directory_path() / "riata_own_dictionary";
  std::filesystem::create_directory(folder);
  Network<double> net("step", D, 5);
  const auto training = train<double>(net, X, reg, {.max_iter = 30});
  check("training lowers the loss of a step network", training.value < training.initial_value);
  save_network<double>(folder + "/net.safetensors", {.network = net, .reg = reg});
  const auto loaded = load_network<double>(folder + "/net.safetensors", D);
  check("it is loaded as it was saved", loaded.network.encode(X, reg) == net.encode(X, reg));

  // Kernels that are learned, in one run and in one that goes on from a checkpoint.
  const Convolution<double> start(datasets::gaussian_dictionary<double>(6, 3, 1), n_times);
  const auto learned = learn_dictionary<double>(X, start, reg, {.n_layers = 15, .max_iter = 30});
  check("learning lowers the loss of the kernels", learned.history.value.back() < learned.initial_value);
  const std::string checkpoint = folder + "/run.safetensors";
  std::filesystem::remove(checkpoint);
  learn_dictionary<double>(X, start, reg, {.n_layers = 15, .max_iter = 13, .checkpoint = checkpoint});
  const auto resumed =
      learn_dictionary<double>(X, start, reg, {.n_layers = 15, .max_iter = 30, .checkpoint = checkpoint, .resume = true});
  check("a resumed run has the same bits", resumed.parameters == learned.parameters);
  save_model<double>(folder + "/model.safetensors", {.parameters = learned.parameters});
  const auto model = load_model<double>(folder + "/model.safetensors", D);
  check("the learned kernels are loaded as they were saved", model.parameters == learned.parameters);
  std::printf("recovery: %.3f at the start, %.3f learned\n", recovery_score<double>(start, D),
              recovery_score<double>(*D.at(model.parameters), D));
  std::filesystem::remove_all(folder);
  return n_wrong == 0 ? 0 : 1;
}
