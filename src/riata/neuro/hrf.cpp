#include "riata/neuro/hrf.hpp"

#include <cmath>

#include "riata/core/check.hpp"

namespace riata {
namespace {

/// t^(k-1) e^-t / (k-1)!
double gamma_density(double t, double k) { return t > 0 ? std::exp((k - 1) * std::log(t) - t - std::lgamma(k)) : 0.0; }

/// (t / peak)^power e^(-(t - peak) / (peak / power)), 1 at its peak.
double bump(double t, double power, double peak) {
  return t > 0 ? std::exp(power * (std::log(t / peak) - (t - peak) / peak)) : 0.0;
}

double response(double t, HrfModel model) {
  if (model == HrfModel::spm) return gamma_density(t, 6) - gamma_density(t, 16) / 6;
  return bump(t, 6, 5.4) - 0.35 * bump(t, 12, 10.8);
}

}  // namespace

Vector<double> hrf(double tr, HrfModel model, double dilation) {
  require(tr >= 0.01 && tr <= 10, "hrf: tr = {}, must be between 0.01 and 10 seconds", tr);
  require(dilation >= 0.25 && dilation <= 4, "hrf: dilation = {}, must be between 0.25 and 4", dilation);
  constexpr double lasts = 32;  // seconds
  const Index n = static_cast<Index>(lasts / dilation / tr) + 1;
  Vector<double> h(n);
  for (Index i = 0; i < n; ++i) h(i) = response(dilation * tr * static_cast<double>(i), model);
  const double sum = h.sum();
  require(sum > 1e-3 * h.cwiseAbs().sum(),
          "hrf: tr = {} is too long for a response of dilation {}; its samples add up to nothing", tr, dilation);
  return h / sum;
}

}  // namespace riata
