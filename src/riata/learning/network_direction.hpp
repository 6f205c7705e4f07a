// The loss of an unfolded network as a direction.
#pragma once

#include "riata/learning/direction.hpp"
#include "riata/networks/network.hpp"

namespace riata {

/// The unsupervised loss, or the supervised one where a sample has targets; gradients by the network's parameters.
template <Scalar T>
class NetworkDirection final : public Direction<T> {
 public:
  NetworkDirection(Network<T> network, double reg) : network_(std::move(network)), reg_(reg) {}
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override {
    network_.set_parameters(question.at);
    const NetworkRun<T> run{.n_layers = question.n_layers, .execution = execution};
    Sums<T> sums;
    if (question.gradient.empty()) {
      sums.value = network_.loss(sample.batch, reg_, run, sample.targets);
      return sums;
    }
    auto found = network_.loss_gradient(sample.batch, reg_, {.parameters = question.gradient}, run, sample.targets);
    sums.value = found.value;
    sums.gradient = std::move(found.parameters);
    return sums;
  }

 private:
  Network<T> network_;
  double reg_;
};

}  // namespace riata
