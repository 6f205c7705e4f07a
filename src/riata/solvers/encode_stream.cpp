#include "riata/solvers/encode_stream.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/csr_file.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/batch_encoder.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/free_atoms.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

constexpr const char* caller = "encode_stream";

/// Hands the next n signals to `use`.
template <Scalar T>
using TakeSignals = std::function<void(Index n, const std::function<void(const ConstMatrixRef<T>&)>& use)>;

template <Scalar T>
struct Source {
  Index n_features, n_signals;
  TakeSignals<T> take;
};

template <Scalar T>
Source<T> source_of(const ConstMatrixRef<T>& X) {
  return {X.rows(), X.cols(), [&X, first = Index{0}](Index n, const auto& use) mutable {
            use(X.middleCols(first, n));
            first += n;
          }};
}

/// `rows` outlives the source.
template <Scalar T>
Source<T> source_of(NpyRows& rows, const std::filesystem::path& path) {
  constexpr bool is_float = std::is_same_v<T, float>;
  require(rows.is_float() == is_float, "{}: {} holds {} but the dictionary is {}; they must be equal (convert one with astype)",
          caller, path.string(), rows.is_float() ? "float32" : "float64", is_float ? "float32" : "float64");
  return {rows.n_columns(), rows.n_rows(), [&rows](Index n, const auto& use) {
            const auto values = rows.next(n);
            use(Eigen::Map<const Matrix<T>>(std::get<std::vector<T>>(values).data(), rows.n_columns(), n));
          }};
}

/// Whole tiles; by default as many as 16 MiB hold, but one for each thread.
Index block_signals(const StreamOptions& options, Index signal_bytes) {
  constexpr Index default_block_bytes = Index{1} << 24;
  const Index n_threads = resolve_threads(options.encode.execution.n_threads);
  const Index n =
      options.block_size ? *options.block_size : std::max(default_block_bytes / signal_bytes, n_threads * solver_tile);
  return (n - 1) / solver_tile * solver_tile + solver_tile;
}

Reg part_of(const Reg& reg, Index first, Index n) {
  if (!reg.is_per_signal()) return reg;
  const auto begin = std::get<std::vector<double>>(reg.value()).begin() + first;
  return Reg(std::vector<double>(begin, begin + n));
}

template <Scalar T>
StreamReport run(const Source<T>& signals, const DenseDictionary<T>& D, const Reg& reg, const CodeSink<T>& sink,
                 const StreamOptions& options) {
  const StopScope scope(options.encode.execution);
  const EncodeOptions& solver = options.encode;
  const Index n_signals = signals.n_signals;
  const Index block =
      std::min<Index>(n_signals, block_signals(options, static_cast<Index>(sizeof(T)) * (signals.n_features + D.code_size())));
  StreamReport report{.n_signals = n_signals, .n_atoms = D.code_size(), .method = solver.method};
  std::unique_ptr<BatchEncoder<T>> encoder;
  for (Index first = 0; first < n_signals; first += block) {
    leave_if_stopped();
    const Index n = std::min(block, n_signals - first);
    CodeBlock<T> coded{.first = first, .n_signals = n_signals};
    signals.take(n, [&](const ConstMatrixRef<T>& X) {
      require_in_range<T>(caller, "X", X, of_signals, first);
      const Vector<T> regs = resolve_reg<T>(part_of(reg, first, n), X, D, solver.penalty, solver.execution);
      if (!encoder) {
        if (report.method == Solver::automatic) report.method = pick_solver<T>(X, n_signals, D, regs, false, solver);
        encoder = make_batch_encoder<T>(D, solver, report.method, n_signals);
      }
      EncodeResult<T> result = encoder->encode(X, regs, {});
      coded.codes = to_csr<T>(result.codes);
      coded.objective = std::move(result.objective);
      coded.gap = std::move(result.gap);
      coded.n_iter = std::move(result.n_iter);
      coded.status = std::move(result.status);
    });
    report.n_nonzero += static_cast<Index>(coded.codes.values.size());
    report.n_not_converged += std::count(coded.status.begin(), coded.status.end(), Status::max_iter_reached);
    report.objective += coded.objective.sum();
    report.gap = std::max(coded.gap.maxCoeff(), report.gap);  // in this order NaN stays
    sink(std::move(coded));
    if (options.progress) options.progress(first + n, n_signals);
  }
  report.objective /= static_cast<double>(n_signals);
  return report;
}

/// Refuses whatever can be refused before the first signal is read.
template <Scalar T>
void check(const Source<T>& signals, const DenseDictionary<T>& D, const Reg& reg, const StreamOptions& options) {
  options.validate();
  require(signals.n_signals > 0, "{}: X holds no signals", caller);
  require_features<T>(caller, signals.n_features, D);
  const PenaltyOptions& penalty = options.encode.penalty;
  require(!penalty.has_weights_per_signal(D.code_size()), "{}: weights: {} entries for {} atoms; they must be equal", caller,
          penalty.weights.size(), D.code_size());
  require_free_atoms_fit<T>(caller, false, D, penalty);
  with_penalty<T>(
      penalty, D, [](const auto&) {}, Weights::any);
  if (reg.is_per_signal()) {
    const auto n_regs = std::get<std::vector<double>>(reg.value()).size();
    require(static_cast<Index>(n_regs) == signals.n_signals, "reg: {} entries for {} signals; they must be equal", n_regs,
            signals.n_signals);
  }
}

template <Scalar T>
StreamReport checked_run(const Source<T>& signals, const DenseDictionary<T>& D, const Reg& reg, const CodeSink<T>& sink,
                         const StreamOptions& options) {
  check(signals, D, reg, options);
  return run(signals, D, reg, sink, options);
}

std::vector<double> to_doubles(const auto& values) { return {values.begin(), values.end()}; }

template <Scalar T>
StreamReport run_into_file(const Source<T>& signals, const DenseDictionary<T>& D, const Reg& reg,
                           const std::filesystem::path& output, const StreamOptions& options) {
  require(output.extension() == ".npz", "{}: output = '{}', must end in .npz", caller, output.string());
  check(signals, D, reg, options);
  CsrFileWriter<T> file(output, {"objective", "gap", "n_iter"});
  const CodeSink<T> append = [&](CodeBlock<T>&& block) {
    file.append(block.codes, {to_doubles(block.objective), to_doubles(block.gap), to_doubles(block.n_iter)});
  };
  const StreamReport report = run(signals, D, reg, append, options);
  file.finish(D.code_size());
  return report;
}

}  // namespace

void StreamOptions::validate() const {
  encode.validate();
  require(!encode.record, "{}: record keeps a trace per signal in memory; use encode for it", caller);
  require(!block_size || (*block_size >= 1 && *block_size <= (Index{1} << 40)), "{}: block_size = {}, must be between 1 and 2^40",
          caller, block_size.value_or(0));
}

template <Scalar T>
StreamReport encode_stream(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                           const NonDeduced<CodeSink<T>>& sink, const StreamOptions& options) {
  return checked_run<T>(source_of<T>(X), D, reg, sink, options);
}

template <Scalar T>
StreamReport encode_stream(const std::filesystem::path& signals, const DenseDictionary<T>& D, const Reg& reg,
                           const NonDeduced<CodeSink<T>>& sink, const StreamOptions& options) {
  NpyRows rows(signals);
  return checked_run<T>(source_of<T>(rows, signals), D, reg, sink, options);
}

template <Scalar T>
StreamReport encode_stream(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                           const std::filesystem::path& output, const StreamOptions& options) {
  return run_into_file<T>(source_of<T>(X), D, reg, output, options);
}

template <Scalar T>
StreamReport encode_stream(const std::filesystem::path& signals, const DenseDictionary<T>& D, const Reg& reg,
                           const std::filesystem::path& output, const StreamOptions& options) {
  require_distinct_output(signals, output);
  NpyRows rows(signals);
  return run_into_file<T>(source_of<T>(rows, signals), D, reg, output, options);
}

#define RIATA_INSTANTIATE(T)                                                                                                  \
  template StreamReport encode_stream<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&, const CodeSink<T>&, \
                                         const StreamOptions&);                                                               \
  template StreamReport encode_stream<T>(const std::filesystem::path&, const DenseDictionary<T>&, const Reg&,                 \
                                         const CodeSink<T>&, const StreamOptions&);                                           \
  template StreamReport encode_stream<T>(const ConstMatrixRef<T>&, const DenseDictionary<T>&, const Reg&,                     \
                                         const std::filesystem::path&, const StreamOptions&);                                 \
  template StreamReport encode_stream<T>(const std::filesystem::path&, const DenseDictionary<T>&, const Reg&,                 \
                                         const std::filesystem::path&, const StreamOptions&)
RIATA_INSTANTIATE(float);
RIATA_INSTANTIATE(double);
#undef RIATA_INSTANTIATE

}  // namespace riata
