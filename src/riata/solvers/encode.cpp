#include "riata/solvers/encode.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/solvers/batch_encoder.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata {
namespace {

constexpr std::initializer_list<const char*> solver_names = {"auto", "ista", "fista", "oista", "backtracking", "cd", "lars"};

/// The enumerator whose place among the names is that of `name`.
template <class Choice>
Choice parse(const char* option, std::string_view name, std::initializer_list<const char*> names) {
  const auto found = std::find(names.begin(), names.end(), name);
  require(found != names.end(), "{} = '{}', must be one of '{}'", option, name, fmt::join(names, "', '"));
  return static_cast<Choice>(found - names.begin());
}

/// The methods for a penalty, "auto" first.
std::vector<Solver> methods_for(PenaltyKind penalty) {
  switch (penalty) {
    case PenaltyKind::elastic_net:
      return {Solver::automatic, Solver::ista, Solver::fista, Solver::oista, Solver::backtracking, Solver::coordinate_descent};
    case PenaltyKind::group:
    case PenaltyKind::own:
      return {Solver::automatic, Solver::ista, Solver::fista, Solver::backtracking};
    case PenaltyKind::l0:
      return {Solver::automatic, Solver::ista};
    default:
      return {Solver::automatic,          Solver::ista, Solver::fista, Solver::oista, Solver::backtracking,
              Solver::coordinate_descent, Solver::lars};
  }
}

}  // namespace

Solver parse_solver(std::string_view name) { return parse<Solver>("method", name, solver_names); }

Momentum parse_momentum(std::string_view name) {
  return parse<Momentum>("momentum", name, {"beck-teboulle", "chambolle-dossal", "greedy"});
}

Restart parse_restart(std::string_view name) { return parse<Restart>("restart", name, {"never", "gradient", "objective"}); }

SupportNorm parse_support_norm(std::string_view name) { return parse<SupportNorm>("support_norm", name, {"exact", "estimated"}); }

const char* to_string(Solver method) { return solver_names.begin()[static_cast<std::size_t>(method)]; }

void EncodeOptions::validate() const {
  std::vector<const char*> fitting;
  for (const Solver solver : methods_for(penalty.kind)) fitting.push_back(to_string(solver));
  require(std::ranges::count(methods_for(penalty.kind), method) > 0,
          "method = '{}' does not fit penalty = '{}'; choose one of '{}'", to_string(method), to_string(penalty.kind),
          fmt::join(fitting, "', '"));
  require(std::isfinite(tol) && tol >= 0, "tol = {}, must be >= 0 and finite", tol);
  require(max_iter >= 1, "max_iter = {}, must be >= 1", max_iter);
  require(check_every >= 1, "check_every = {}, must be >= 1", check_every);
  require(std::isfinite(momentum_delay) && momentum_delay >= 2, "momentum_delay = {}, must be >= 2 and finite", momentum_delay);
  require(momentum != Momentum::greedy || restart != Restart::never,
          "momentum 'greedy' never settles without restarts; choose restart = 'gradient' or 'objective'");
  require(shrink > 0 && shrink < 1, "shrink = {}, must be between 0 and 1", shrink);
  require(!first_step || (std::isfinite(*first_step) && *first_step > 0), "first_step = {}, must be > 0 and finite",
          first_step.value_or(1));
}

template <Scalar T>
EncodeResult<T> encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, const EncodeOptions& options,
                       const Matrix<T>* init) {
  options.validate();
  const StopScope scope(options.execution);
  const SeenBatch<T> seen("encode", batch);
  const ConstMatrixRef<T>& X = seen.X();
  require_signals<T>("encode", X, D);
  const Index n_signals = X.cols(), n_atoms = D.code_size();
  if (init != nullptr) {
    require(init->rows() == n_atoms && init->cols() == n_signals, "encode: init has shape ({}, {}), expected ({}, {})",
            init->cols(), init->rows(), n_signals, n_atoms);
    require_finite("encode", "init", *init, of_codes);
  }
  const Vector<T> regs = resolve_reg<T>(reg, batch, D, options.penalty, options.execution);
  const Solver method = options.method == Solver::automatic ? pick_solver<T>(batch, D, regs, options) : options.method;

  EncodeOptions chosen = options;
  chosen.method = method;
  return make_batch_encoder<T>(D, chosen)->encode(seen, regs, init);
}

template EncodeResult<float> encode<float>(const Batch<float>&, const Dictionary<float>&, const Reg&, const EncodeOptions&,
                                           const Matrix<float>*);
template EncodeResult<double> encode<double>(const Batch<double>&, const Dictionary<double>&, const Reg&, const EncodeOptions&,
                                             const Matrix<double>*);

}  // namespace riata
