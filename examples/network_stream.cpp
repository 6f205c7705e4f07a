// Loads a network that riata train, Python or C++ wrote, and codes signals as they come, each in microseconds.
//   example_network_stream [net.safetensors]     without a file it trains and saves a small one first
#include <riata/riata.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

int main(int argc, char** argv) {
  using namespace riata;
  std::string path = argc > 1 ? argv[1] : "";
  if (path.empty()) {
    path = std::filesystem::temp_directory_path() / "riata_example_network.safetensors";
    const auto problem = datasets::planted<double>({.n_features = 32, .n_atoms = 64, .n_signals = 500, .density = 0.05});
    Network<double> net("coupled", problem.dictionary, 8);
    const auto training = train<double>(net, problem.signals, Reg::fraction_of_max(0.2), {.max_iter = 50});
    save_network<double>(path, {.network = net, .reg = training.reg});
  }

  StoredNetwork<double> stored = load_network<double>(path);
  NetworkEncoder<double> encoder(std::move(stored.network));
  const Dictionary<double>& D = encoder.network().dictionary();
  const double reg = stored.reg.value_or(0.1);
  const auto stream = datasets::planted<double>(
      {.n_features = D.signal_size(), .n_atoms = D.code_size(), .n_signals = 1000, .density = 0.05, .seed = 1});

  Eigen::VectorXd code(D.code_size());
  std::vector<double> microseconds;
  Index n_active = 0;
  for (Index i = 0; i < stream.signals.cols(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    encoder.encode(stream.signals.col(i), reg, code);
    microseconds.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    n_active += (code.array() != 0).count();
  }
  std::sort(microseconds.begin(), microseconds.end());
  std::printf("%s, %d layers: median %.1f us, slowest %.1f us; %.1f of %td atoms active\n", encoder.network().kind().c_str(),
              encoder.network().n_layers(), microseconds[microseconds.size() / 2], microseconds.back(),
              static_cast<double>(n_active) / static_cast<double>(stream.signals.cols()), code.size());
  return n_active > 0 ? 0 : 1;
}
