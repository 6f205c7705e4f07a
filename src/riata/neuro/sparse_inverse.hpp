// The M/EEG inverse problem with sparse sources: where in the brain are the few currents that explain what sensors measure?
//
//   min_Z  1/2 ||W M - (W G) w^{-1} Z||_F^2 + reg g(Z),    sources = w^{-1} Z,    w_s = ||(W G)_s||_F^depth
//
// with the whitener W of whitening.hpp and, so that superficial sources are not preferred, the depth weights w; g is
//   l1:     sum_jt |Z_jt|      every instant by itself: the Lasso
//   group:  sum_s ||Z_s||_F    a source is active at all instants or at none: MxNE, Gramfort, Kowalski and Hämäläinen,
//                              "Mixed-norm estimates for the M/EEG inverse problem", Phys. Med. Biol. 57, 2012
#pragma once

#include <string>
#include <vector>

#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/core/types.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class SourcePenalty { l1, group };
template <>
inline constexpr Name<SourcePenalty> names<SourcePenalty>[] = {{SourcePenalty::l1, "l1"}, {SourcePenalty::group, "group"}};

struct SparseInverseOptions {
  double depth = 0.8;  ///< in [0, 1]; 0: no depth weighting
  SourcePenalty penalty = SourcePenalty::group;
  Index n_orient = 1;  ///< columns of G per source: 1 (fixed orientation) or, with the group penalty, 3 (free)
  std::vector<std::string> channel_types = {};  ///< "mag", "grad", "eeg" or other names, one per channel; empty: all alike
  double rank_tol = 1e-6;  ///< directions of the scaled noise covariance below this share of the largest are dropped
  double tol = 1e-8;       ///< gap <= tol * 1/2 ||W M||^2, with l1 instant by instant
  int max_iter = 100000;   ///< sweeps
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<SparseInverseOptions> = std::tuple{
    Option{"depth", &SparseInverseOptions::depth, Rule{[](double v) { return v >= 0 && v <= 1; }, "must be between 0 and 1"}},
    Option{"penalty", &SparseInverseOptions::penalty},
    Option{"n_orient", &SparseInverseOptions::n_orient},
    Option{"channel_types", &SparseInverseOptions::channel_types},
    Option{"rank_tol", &SparseInverseOptions::rank_tol},
    Option{"tol", &SparseInverseOptions::tol, rule::not_negative},
    Option{"max_iter", &SparseInverseOptions::max_iter, rule::at_least_one}};

struct SparseInverseResult {
  Matrix<double> sources;        ///< n_columns of G x n_times, in the unit of M over that of G: ampere metres
  std::vector<Index> active;     ///< the sources that are not zero, in order
  double reg;                    ///< the weight itself, of the whitened problem
  double objective;              ///< of the whitened problem, recomputed at the returned sources
  double gap;                    ///< duality gap, likewise: an upper bound on the distance from the optimum
  double gap_rel;                ///< gap / (1/2 ||W M||_F^2)
  Matrix<double> whitener;       ///< W, rank x n_channels
  Vector<double> depth_weights;  ///< w, one per source; 0 for one that no channel sees, whose amplitude is 0
  int n_iter;                    ///< sweeps; with l1 the most of any instant
  Status status;                 ///< converged, or max_iter_reached
};

/// M is n_channels x n_times, G n_channels x (n_orient n_sources), both in the channels' units; noise_cov is of the noise in M,
/// so that of single trials divided by their number where M is an average. reg is one weight for all instants: a number, or a
/// fraction of the smallest weight that gives no source at all. In double only: what single precision loses of a
/// covariance is its rank.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, noise_cov is no covariance, no channel sees any
/// source,
///         or reg is not one number > 0
SparseInverseResult sparse_inverse(const ConstMatrixRef<double>& M, const ConstMatrixRef<double>& G,
                                   const ConstMatrixRef<double>& noise_cov, const Reg& reg,
                                   const SparseInverseOptions& options = {});

}  // namespace riata
