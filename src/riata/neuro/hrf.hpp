// The haemodynamic response: what a short burst of activity does to the BOLD signal of functional MRI, t seconds later.
//
//   spm:     h(t) = gamma(t; 6) - gamma(t; 16) / 6,     gamma(t; k) = t^(k-1) e^-t / (k-1)!, as in SPM
//   glover:  h(t) = (t / 5.4)^6 e^(-(t - 5.4) / 0.9) - 0.35 (t / 10.8)^12 e^(-(t - 10.8) / 0.9);  Glover, NeuroImage 9(4), 1999
//
// both at dilation * t: dilations above 1 are faster.
#pragma once

#include "riata/core/names.hpp"
#include "riata/core/types.hpp"

namespace riata {

enum class HrfModel { spm, glover };
template <>
inline constexpr Name<HrfModel> names<HrfModel>[] = {{HrfModel::spm, "spm"}, {HrfModel::glover, "glover"}};

/// h at 0, tr, 2 tr, ... of the first 32 seconds over the dilation, scaled so that lasting activity of 1 ends as a signal of 1: its
/// samples add up to 1. The kernel of a CausalConvolution.
/// @throws std::invalid_argument unless tr, in seconds, is in [0.01, 10] and dilation in [0.25, 4]
Vector<double> hrf(double tr, HrfModel model = HrfModel::spm, double dilation = 1);

}  // namespace riata
