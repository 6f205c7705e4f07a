// A way of learning that riata does not have, added from outside: docs/how_to_add_learner.md explains it line by line.
#include <riata/riata.hpp>

#include <cstdio>
#include <filesystem>

using namespace riata;

/// Mini-batches that visit every signal once per epoch, each epoch in an order of its own.
template <Scalar T>
class Epochs final : public Sampler<T> {
 public:
  Epochs(const Matrix<T>& X, Index size, std::uint64_t seed) : X_(X), seed_(seed), batch_(X.rows(), size) {}
  Sample<T> batch(Index iteration) override {
    const Index n = X_.cols(), size = batch_.cols(), per_epoch = n / size;
    RandomStream random(seed_, 0, static_cast<std::uint32_t>(iteration / per_epoch));
    const std::vector<Index> order = random.choose(n, n);
    const auto first = order.begin() + iteration % per_epoch * size;
    for (Index i = 0; i < size; ++i) batch_.col(i) = X_.col(first[i]);
    return {batch_};
  }

 private:
  const Matrix<T>& X_;
  std::uint64_t seed_;
  Matrix<T> batch_;
};

// Block coordinate descent on what the codes of all batches say; Mairal, Bach, Ponce and Sapiro (2010), Algorithms 1 and 2:
//
//   A <- beta A + sum z z^T,   B <- beta B + sum x z^T,   then atom after atom
//   d_j <- d_j + (b_j - D a_j) / A_jj,   into the unit ball
template <Scalar T>
class OnlineAtoms final : public Update<T> {
 public:
  explicit OnlineAtoms(T beta) : beta_(beta) {}
  const char* name() const override { return "block coordinate descent"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }

  Asking<T, Outcome<T>> step(Position<T> from) override {
    const Question<T> question{.at = from.parameters, .statistics = true};
    Sums<T> sums = co_await question;
    Matrix<T>&A = sums.statistics.at("A"), &B = sums.statistics.at("B");
    if (A_.size() > 0) A += beta_ * A_, B += beta_ * B_;
    Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
    Matrix<T>& D = outcome.parameters.at("dictionary");
    for (Index j = 0; j < D.cols(); ++j) {
      if (A(j, j) == T(0)) continue;  // no signal has used it
      D.col(j) += (B.col(j) - D * A.col(j)) / A(j, j);
      D.col(j) /= std::max(D.col(j).norm(), T(1));
    }
    outcome.keep = [this, A, B] { A_ = A, B_ = B; };
    co_return outcome;
  }

  void reset() override { A_.resize(0, 0), B_.resize(0, 0); }
  NamedTensors state() const override { return {{"A", to_tensor<T>(A_)}, {"B", to_tensor<T>(B_)}}; }
  void restore(const NamedTensors& state, const Parameters<T>&) override {
    A_ = get_matrix<T>(state, "A", "checkpoint");
    B_ = get_matrix<T>(state, "B", "checkpoint");
  }

 private:
  T beta_;
  Matrix<T> A_, B_;
};

RunResult<double> learn(const Matrix<double>& X, const DenseDictionary<double>& start, int max_iter,
                        const Checkpoint& checkpoint) {
  Run<double> run(std::make_unique<Epochs<double>>(X, 50, 7),
                  std::make_unique<UnrolledDirection<double>>(start, 0.1, UnrolledDirectionOptions{.network = {.n_layers = 60}}),
                  std::make_unique<OnlineAtoms<double>>(0.95), {{.moves = {"dictionary"}}}, start.parameters(),
                  {.max_iter = max_iter,
                   .project = [&](Parameters<double>& p) { start.project(p); },
                   .atoms = {.check_every = 20},
                   .checkpoint = checkpoint});
  return run.fit();
}

int main() {
  const auto problem =
      datasets::planted<double>({.n_features = 15, .n_atoms = 20, .n_signals = 1000, .density = 0.15, .seed = 1});
  const Matrix<double>& X = problem.signals;
  const DenseDictionary<double> start(datasets::perturbed<double>(problem.dictionary, 0.6, 2), Constraint::unit_ball);
  const RunResult<double> whole = learn(X, start, 200, {});

  const auto path = std::filesystem::temp_directory_path() / "riata_own_learner.safetensors";
  std::filesystem::remove(path);
  const std::string fingerprint = R"({"method": "block coordinate", "problem": 1})";  // what must agree for a resume
  learn(X, start, 90, {.path = path.string(), .fingerprint = fingerprint});
  const auto resumed = learn(X, start, 200, {.path = path.string(), .resume = true, .fingerprint = fingerprint});
  std::filesystem::remove(path);

  const auto score = [&](const Matrix<double>& D) { return recovery_score<double>(D, problem.dictionary); };
  const double before = score(start.atoms()), after = score(whole.parameters.at("dictionary"));
  const bool same = resumed.parameters == whole.parameters && resumed.history.value == whole.history.value;
  std::printf("recovery %.3f -> %.3f in %zu iterations; resumed: %s bits\n", before, after, whole.history.value.size(),
              same ? "the same" : "OTHER");
  return after > 0.97 && same ? 0 : 1;
}
