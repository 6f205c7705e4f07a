// Learns a planted dictionary by unrolling, then codes the signals with it to a certificate.
#include <riata/riata.hpp>

#include <cstdio>

int main() {
  using namespace riata;
  const auto problem = datasets::planted<double>({.n_features = 20, .n_atoms = 30, .n_signals = 1000, .density = 0.1});
  const auto start = datasets::perturbed(problem.dictionary, 0.5, 1);

  const auto learned = learn_dictionary<double>(problem.signals, start, 0.1, {.n_layers = 20, .max_iter = 100});
  const auto coded = encode(problem.signals, DenseDictionary(learned.dictionary), Reg::fraction_of_max(0.1));

  const double before = recovery_score<double>(start, problem.dictionary);
  const double after = recovery_score<double>(learned.dictionary, problem.dictionary);
  std::printf("recovery %.3f -> %.3f in %zu steps; largest duality gap %.1e\n", before, after, learned.history.value.size(),
              coded.gap.maxCoeff());
  return after > before ? 0 : 1;
}
