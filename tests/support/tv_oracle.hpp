// Total variation by another algorithm than the library's, in long double.
#pragma once

#include <vector>

#include "riata/core/types.hpp"

namespace riata::testing {

/// argmin_u 1/2 ||y - u||^2 + sum_t w_t |u_{t+1} - u_t|: dynamic programming over the derivative of the cost of what came before,
/// a function of the next entry that is linear between knots (Johnson, J. Comput. Graph. Stat. 22(2), 2013). The values are taken
/// from the blocks of equal entries that it finds.
Vector<double> exact_prox_tv(const Vector<double>& y, const std::vector<double>& weights);

/// Runs of equal entries of u: the first of each, and u's size at the end.
std::vector<Index> blocks_of(const Vector<double>& u);

/// mean(h_B) + (pull_r s_r - pull_l s_l) / |B| for the blocks of u, the pulls being those of jumps.
Vector<double> block_means(const Vector<double>& u, const Vector<double>& h, const Vector<double>& pulls);

}  // namespace riata::testing
