// The gradient of the loss after 10 unrolled FISTA layers with respect to dictionary and step factors, and its price in
// accuracy when only the last 3 layers are differentiated.
#include <riata/riata.hpp>

#include <cstdio>

int main() {
  using namespace riata;
  const DenseDictionary D(datasets::gaussian_dictionary<double>(16, 32, 0));
  const auto X = datasets::signals_on_b_infinity(D.atoms(), 100, datasets::SignalLaw::gaussian, 1);

  const UnrolledOptions network{.n_layers = 10};
  const auto full = unrolled_gradient(X, D, 0.1, network);
  const auto truncated = unrolled_gradient(X, D, 0.1, network, {.backprop = 3});
  const auto &g = full.parameters.at("dictionary"), &h = truncated.parameters.at("dictionary");
  const double cosine = g.cwiseProduct(h).sum() / (g.norm() * h.norm());
  std::printf("loss %.4f; cosine between full and truncated gradient %.4f\n", full.value, cosine);
  return cosine > 0.5 ? 0 : 1;
}
