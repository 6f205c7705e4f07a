// ISTA or FISTA made ready for passes: what the unrolled functions, their encoder of single signals and the safeguard of networks
// run. Internal.
#pragma once

#include <optional>

#include "riata/terms/penalty.hpp"
#include "riata/unrolled/pass.hpp"
#include "riata/unrolled/sparse_layers.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {

/// Steps and momenta of the options for D' = 2^-f D (units.hpp), whose squared norm is L where the options give none.
/// @throws std::invalid_argument as options.validate()
template <Scalar T>
LayerSchedule make_schedule(const UnrolledOptions& options, const Dictionary<T>& D, int f = 0);

/// K, the last layers that are differentiated: `backprop`, or all. @throws std::invalid_argument unless 0 <= K <= n_layers
int kept_layers(std::optional<int> backprop, int n_layers);

/// What the passes of all threads share. Borrows D.
template <Scalar T>
class UnrolledLayers {
 public:
  struct Use {
    bool weighted;             ///< do signals have weights of the data fit?
    bool gram_pays;            ///< does a Gram matrix, where the fast pass serves?
    bool on_supports = false;  ///< may passes without backward() multiply on the codes' supports, and round otherwise?
  };
  /// @throws std::invalid_argument if the options do not fit D or each other
  UnrolledLayers(const UnrolledOptions& options, const Dictionary<T>& D, int f, const Use& use);
  UnrolledLayers(const UnrolledLayers&) = delete;  // its parts refer to each other

  /// The last `stored` layers are kept for backward().
  std::unique_ptr<Pass<T>> make_pass(int stored, Index tile) const;
  const AnyPenalty<T>& penalty() const { return penalty_; }

 private:
  const Dictionary<T>& D_;
  const AnyPenalty<T> penalty_;
  const bool accelerated_, extrapolated_, on_supports_;
  const LayerSchedule schedule_;
  std::optional<GramProblem<T>> gram_;
};

/// A call of an encoder of single signals. @return reg in the precision of the signal
/// @throws std::invalid_argument, beginning with `where`, if a size is wrong, x is not finite, or reg is not finite and > 0
template <Scalar T>
T require_signal(const char* where, const Dictionary<T>& D, const ConstVectorRef<T>& x, double reg,
                 const ConstVectorRef<T>& code);

}  // namespace riata
