// Small random networks for the tests of unrolled/: the library's options and the oracle's beside each other.
#pragma once

#include <sstream>
#include <string>

#include "riata/unrolled/unrolled.hpp"
#include "support/random_arrays.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {

struct NetworkCase {
  Layers algorithm = Layers::fista;
  Loss loss = Loss::lasso;
  Reduction reduction = Reduction::mean;
  bool return_extrapolated = false, positive = false, weighted = false, with_target = false, reg_per_signal = false;
  bool own_lipschitz = false, decays = false;
  int n_layers = 6, kept = 6;

  std::string describe() const {
    std::ostringstream text;
    text << (algorithm == Layers::ista ? "ista" : "fista") << (loss == Loss::lasso ? ", lasso" : ", least squares")
         << (reduction == Reduction::mean ? ", mean" : ", sum") << (return_extrapolated ? ", extrapolated" : "")
         << (positive ? ", non-negative" : "") << (weighted ? ", weighted" : "") << (with_target ? ", target" : "")
         << (reg_per_signal ? ", reg per signal" : "") << (own_lipschitz ? ", lipschitz given" : "")
         << (decays ? ", decaying" : "") << ", last " << kept << " of " << n_layers << " layers";
    return text.str();
  }
};

struct DrawnNetwork {
  OracleNetwork oracle;
  OracleInput input;
  OracleTrace trace;
  UnrolledOptions options;
  GradientOptions gradient;
  bool reg_per_signal = false;

  Reg reg() const {
    if (!reg_per_signal) return Reg(input.reg(0));
    return Reg(std::vector<double>(input.reg.begin(), input.reg.end()));
  }
  OptionalMatrixRef<double> target() const {
    return input.target.size() > 0 ? OptionalMatrixRef<double>(input.target) : std::nullopt;
  }
};

/// Draws until no threshold's argument, and no output, is within `kink_distance` of a kink.
inline DrawnNetwork draw_network(const NetworkCase& kind, std::uint64_t seed, Index n_features = 5, Index n_atoms = 7,
                                 Index n_signals = 3, double kink_distance = 1e-3) {
  Draw draw(seed);
  DrawnNetwork net;
  do {
    net.input.D = draw.atoms(n_features, n_atoms);
    net.input.X = draw.normal_matrix(n_features, n_signals);
    net.input.target.resize(0, 0);
    if (kind.with_target) net.input.target = draw.normal_matrix(n_features, n_signals);
    net.input.steps.resize(kind.n_layers);
    for (double& s : net.input.steps) s = draw.uniform(0.6, 1.3);
    net.input.reg = Eigen::VectorXd::Constant(n_signals, 0.15);
    if (kind.reg_per_signal)
      for (double& r : net.input.reg) r = draw.uniform(0.05, 0.3);
    const std::vector<double> weights =
        kind.weighted ? draw.weights(n_atoms) : std::vector<double>(static_cast<std::size_t>(n_atoms), 1.0);
    net.oracle = {.accelerate = kind.algorithm == Layers::fista,
                  .return_extrapolated = kind.return_extrapolated,
                  .positive = kind.positive,
                  .lasso = kind.loss == Loss::lasso,
                  .mean = kind.reduction == Reduction::mean,
                  .lipschitz = lipschitz_of(net.input.D) * (kind.own_lipschitz ? 1.37 : 1.0),
                  .decay = kind.decays ? 0.8 : 1.0,
                  .weights = Eigen::Map<const Eigen::VectorXd>(weights.data(), n_atoms)};
    net.options = {.n_layers = kind.n_layers,
                   .algorithm = kind.algorithm,
                   .steps = std::vector<double>(net.input.steps.begin(), net.input.steps.end()),
                   .lipschitz = kind.own_lipschitz ? std::optional<double>(net.oracle.lipschitz) : std::nullopt,
                   .return_extrapolated = kind.return_extrapolated,
                   .decay = net.oracle.decay,
                   .penalty = {.positive = kind.positive, .weights = kind.weighted ? weights : std::vector<double>()},
                   .execution = {}};
    net.gradient = {.loss = kind.loss,
                    .backprop = kind.kept == kind.n_layers ? std::nullopt : std::optional<int>(kind.kept),
                    .reduction = kind.reduction,
                    .dictionary = true,
                    .steps = true,
                    .reg = true,
                    .signals = true,
                    .codes = true};
    net.reg_per_signal = kind.reg_per_signal;
    net.trace = run_network(net.oracle, net.input);
  } while (net.trace.kink_distance < kink_distance);
  return net;
}

/// Calls visit(case, seed) for every combination of the yes-or-no choices of a network.
template <class Visit>
void for_each_network_case(const Visit& visit) {
  for (unsigned bits = 0; bits < 256; ++bits) {
    const auto bit = [&](unsigned b) { return (bits >> b & 1) != 0; };
    visit(NetworkCase{.algorithm = bit(0) ? Layers::ista : Layers::fista,
                      .loss = bit(1) ? Loss::least_squares : Loss::lasso,
                      .reduction = bit(2) ? Reduction::sum : Reduction::mean,
                      .return_extrapolated = bit(3),
                      .positive = bit(4),
                      .weighted = bit(5),
                      .with_target = bit(6),
                      .reg_per_signal = bit(7),
                      .own_lipschitz = bits % 3 == 0,
                      .decays = bits % 5 == 0},
          std::uint64_t{700} + bits);
  }
}

}  // namespace riata::testing
