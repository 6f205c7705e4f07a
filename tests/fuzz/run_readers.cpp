#include <cmath>

#include "readers.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/learning/train.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata::fuzz {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

Matrix<double> some_matrix(Index rows, Index columns) {
  Matrix<double> A(rows, columns);
  for (Index i = 0; i < A.size(); ++i) A(i) = std::sin(1.7 * static_cast<double>(i + 1) * static_cast<double>(rows));
  return A;
}

DenseDictionary<double> some_dictionary() { return DenseDictionary<double>(some_matrix(4, 6).colwise().normalized()); }

void save_learned(const fs::path& path) {
  save_model<double>(path.string(), {.dictionary = some_dictionary().atoms(), .steps = {1, 0.5}, .metadata = {{"reg", "0.1"}}});
}

Files patterns(const fs::path& folder) {
  PatternModel<double> rank_one{.u = some_matrix(2, 3).colwise().normalized(),
                                .v = some_matrix(5, 3).colwise().normalized(),
                                .window = tukey_window<double>(5),
                                .n_channels = 2};
  rank_one.rate = 250;
  rank_one.channel_names = {"Fp1", "Cz"};
  PatternModel<double> any{.kernels = some_matrix(10, 3).colwise().normalized(), .n_channels = 2};
  Files files;
  for (const PatternModel<double>* model : {&rank_one, &any})
    files.push_back(
        written(folder / "p.safetensors", [&](const fs::path& path) { save_patterns<double>(path.string(), *model); }));
  return files;
}

Files networks(const fs::path& folder) {
  Files files{written(folder / "model.safetensors", save_learned)};
  for (const std::string& kind : network_kinds<double>()) {
    NetworkOptions options;
    if (kind == "group") options.groups = {0, 0, 1, 1, 2, 2};
    StoredNetwork<double> stored{.network = Network<double>(kind, some_dictionary(), 2, options), .reg = 0.1};
    stored.metadata["note"] = "free text";
    files.push_back(
        written(folder / "net.safetensors", [&](const fs::path& path) { save_network<double>(path.string(), stored); }));
  }
  const auto D = ConvolutionalDictionary<double>::rank_one(some_matrix(2, 2), some_matrix(3, 2), {.n_channels = 2, .n_times = 8},
                                                           tukey_window<double>(3));
  for (const char* kind : {"coupled", "alista", "first_step"})
    files.push_back(written(folder / "net.safetensors", [&](const fs::path& path) {
      save_network<double>(path.string(), {.network = Network<double>(kind, D, 2, {.positive = true})});
    }));
  return files;
}

const Execution one_thread{.n_threads = 1};

/// Learning that has a checkpoint goes on from it; the file is the same for all.
void learn(const fs::path& checkpoint) {
  const LearnOptions options{.n_layers = 2,
                             .learn_steps = true,
                             .max_iter = 4,
                             .checkpoint = checkpoint.string(),
                             .checkpoint_every = 2,
                             .resume = true,
                             .execution = one_thread};
  learn_dictionary<double>(some_matrix(4, 9), 3, Reg(0.1), options);
}

void train_from(const fs::path& checkpoint, TrainingOptimizer optimizer) {
  Network<double> network("step", some_dictionary(), 2);
  TrainingOptions options{.mode = TrainingMode::recursive,
                          .optimizer = optimizer,
                          .max_iter = 4,
                          .checkpoint = checkpoint.string(),
                          .checkpoint_every = 2,
                          .resume = true,
                          .execution = one_thread};
  if (optimizer == TrainingOptimizer::adam) options.batch_size = 3;
  train<double>(network, some_matrix(4, 9), Reg(0.1), options);
}

}  // namespace

std::vector<Reader> run_readers(const fs::path& folder) {
  const fs::path file = folder / "written";
  const auto train = [](const fs::path& path) { train_from(path, TrainingOptimizer::backtracking); };
  const auto adam = [](const fs::path& path) { train_from(path, TrainingOptimizer::adam); };
  constexpr Container container = Container::safetensors;
  return {
      {"network", container, networks(folder), [](const fs::path& path) { load_network<double>(path.string()); }},
      {"model", container, {written(file, save_learned)}, [](const fs::path& path) { load_model<double>(path.string()); }},
      {"patterns", container, patterns(folder), [](const fs::path& path) { load_patterns<double>(path.string()); }},
      {"checkpoint of learning", container, {written(file, learn)}, learn},
      {"checkpoint of training", container, {written(file, train)}, train},
      {"checkpoint of adam", container, {written(file, adam)}, adam},
  };
}

}  // namespace riata::fuzz
