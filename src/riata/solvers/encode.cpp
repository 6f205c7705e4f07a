#include "riata/solvers/encode.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/solvers/batch_encoder.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/free_atoms.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

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

void EncodeOptions::validate() const {
  std::vector<const char*> fitting;
  for (const Solver solver : methods_for(penalty.kind)) fitting.push_back(to_string(solver));
  require(std::ranges::count(methods_for(penalty.kind), method) > 0,
          "method = '{}' does not fit penalty = '{}'; choose one of '{}'", to_string(method), to_string(penalty.kind),
          fmt::join(fitting, "', '"));
  check_options(*this);
  require(momentum != Momentum::greedy || restart != Restart::never,
          "momentum 'greedy' never settles without restarts; choose restart = 'gradient' or 'objective'");
}

template <Scalar T>
EncodeResult<T> encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, const EncodeOptions& options,
                       const OptionalMatrixRef<T>& init) {
  EncodeResult<T> result;
  encode(batch, D, reg, result, options, init);
  return result;
}

template <Scalar T>
void encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, EncodeResult<T>& result,
            const EncodeOptions& options, const OptionalMatrixRef<T>& init) {
  options.validate();
  const StopScope scope(options.execution);
  const SeenBatch<T> seen("encode", batch);
  const ConstMatrixRef<T>& X = seen.X();
  require_signals<T>("encode", X, D);
  require_free_atoms_fit<T>("encode", batch.is_weighted(), D, options.penalty);
  require_weights_fit<T>("encode", options.penalty, X.cols(), D.code_size(), Weights::or_infinite);
  if (init) require_codes<T>("encode", "init", *init, X.cols(), D.code_size());
  const Vector<T> regs = resolve_reg<T>(reg, batch, D, options.penalty, options.execution);
  const Solver method =
      options.method == Solver::automatic ? pick_solver<T>(batch, X.cols(), D, regs, init.has_value(), options) : options.method;

  make_batch_encoder<T>(D, options, method)->encode(seen, regs, init, result);
}

#define RIATA_INSTANTIATE(T)                                                                                         \
  template EncodeResult<T> encode<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const EncodeOptions&,        \
                                     const OptionalMatrixRef<T>&);                                                   \
  template void encode<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, EncodeResult<T>&, const EncodeOptions&, \
                          const OptionalMatrixRef<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
