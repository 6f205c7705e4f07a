// Activations of convolutional patterns, to a duality gap:
//
//   min over z of  1/2 || x - sum_k d_k * z_k ||^2 + reg ||z||_1,   z >= 0 if `positive`
//
// by locally greedy coordinate descent; Moreau, Oudre and Vayatis (2018): of a segment of time the activation moves that has
// farthest to go, to where it is best alone, and the correlations of all activations within L samples follow by the atoms' lagged
// Gram matrix.
//
// Departures. A segment goes on until none of its moves exceeds a threshold, which falls from round to round. Neighbouring
// activations of a smooth kernel are nearly the same, and one by one they would trade amplitudes for ever: so what is not zero in
// a block of segments then moves together, by Newton's method. Blocks are many kernels long; first the even ones run, then the
// odd ones. Those of one phase touch nothing in common and their bounds depend on the signal's length alone, so threads need no
// locks and change no bit.
#pragma once

#include "riata/core/csr.hpp"
#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class ConvSolver {
  automatic,  ///< lgcd where the boundary allows it
  lgcd,       ///< not for Boundary::full, where kernels that are cut have other Gram matrices
  fista
};
template <>
inline constexpr Name<ConvSolver> names<ConvSolver>[] = {
    {ConvSolver::automatic, "auto"}, {ConvSolver::lgcd, "lgcd"}, {ConvSolver::fista, "fista"}};

struct ConvEncodeOptions {
  ConvSolver method = ConvSolver::automatic;
  double tol = 1e-6;     ///< a signal is done when gap <= tol * 1/2 ||x||^2
  bool positive = true;  ///< activations >= 0
  int max_iter = 10000;  ///< rounds of lgcd, iterations of fista
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<ConvEncodeOptions> =
    std::tuple{Option{"method", &ConvEncodeOptions::method, rule::anything, "lgcd is locally greedy coordinate descent"},
               Option{"tol", &ConvEncodeOptions::tol, rule::not_negative, "A signal is done when gap <= tol * ||x||^2 / 2"},
               Option{"positive", &ConvEncodeOptions::positive, rule::anything, "Activations must be >= 0"},
               Option{"max_iter", &ConvEncodeOptions::max_iter, rule::at_least_one, "Rounds, or iterations of fista, at most"}};

template <Scalar T>
struct ConvEncodeResult {
  Matrix<T> codes;               ///< (n_atoms n_positions) x n_signals, the activations of one atom after another
  Vector<double> objective;      ///< recomputed in double at the returned code
  Vector<double> gap;            ///< likewise
  std::vector<Index> n_updates;  ///< of activations, by lgcd; iterations of fista
  std::vector<Status> status;    ///< converged; max_iter, also where rounding lets it go no further
};

/// X is signal_size x n_signals. A fraction is of each signal's own reg_max().
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
ConvEncodeResult<T> conv_encode(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& D, const Reg& reg,
                                const ConvEncodeOptions& options = {});

/// Activations as sparse rows, (n_signals n_atoms) x n_positions as NumPy sees them: those of one atom in one signal are a row.
/// @throws std::invalid_argument if codes are not of this size
template <Scalar T>
CsrRows<T> activations_to_csr(const NonDeduced<ConstMatrixRef<T>>& codes, const ConvolutionalDictionary<T>& D);

}  // namespace riata
