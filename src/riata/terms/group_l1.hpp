// The group Lasso penalty, sum_G w_G ||z_G||_2 over a partition of the atoms; Yuan and Lin, J. R. Stat. Soc. B 68(1), 2006.
// A group's weight is 1, whatever its size, unless it is given. With `positive`, z >= 0 is required: in the formulas that follow
// v_G and c_G are then their positive parts, and no cotangent passes to what was cut off. The prox and its derivative, with the
// cotangent y of its output z and t = tau w_G:
//
//   z_G = v_G max(0, 1 - t / ||v_G||),      v_G <- y_G - (t / ||v_G||) (y_G - u u^T y_G),      tau <- -w_G u^T y_G,
//   u = z_G / ||z_G||,  ||v_G|| = ||z_G|| + t
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/operators/units.hpp"
#include "riata/terms/concepts.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata {

/// What solvers ask of a penalty, as in L1; the pull of a group is ||c_G||_2 / w_G, and that of an atom its group's.
template <Scalar T>
class GroupL1 {
 public:
  using scalar = T;
  static constexpr bool convex = true;
  static constexpr bool zeros_are_dead = false;  // an active group may hold one

  /// @throws std::invalid_argument if the options do not fit the penalty or n_atoms, or a weight is not > 0
  GroupL1(const PenaltyOptions& options, Index n_atoms);

  /// g(z), summed in double.
  double value(const ConstVectorRef<T>& z) const;

  /// Each column of V becomes argmin_u 1/2 ||u - v||^2 + tau g(u), in place. One threshold for all groups.
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const;
  /// Vector-Jacobian product of prox at its output Z: H, the cotangent of Z, becomes that of V.
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const;

  /// max_G dist(c_G, reg * dg(z_G)) for the correlations c = D^T (x - D z): 0 exactly at an optimum.
  double subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const;

  /// cotangents += scale_i w_G z_G / ||z_G||: the gradient of scale * g, zero for groups that are.
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const;

  bool positive() const { return positive_; }
  double ridge(double /*reg*/) const { return 0; }
  double reg_of_pull(double pull) const { return pull; }

  /// max_G ||c_G||_2 / w_G
  template <Scalar S>
  double largest_pull(Index /*n_atoms*/, const S* correlations) const {
    double largest = 0;
    for (Index g = 0; g < n_groups(); ++g) largest = std::max(largest, pull(g, [&](Index j) { return correlations[j]; }));
    return largest;
  }
  /// Calls visit(j) for the atoms whose group is pulled harder than `least`.
  template <Scalar S, class Visit>
  void for_each_pulled(Index /*n_atoms*/, const S* correlations, S least, Visit visit) const {
    for (Index g = 0; g < n_groups(); ++g)
      if (pull(g, [&](Index j) { return correlations[j]; }) > static_cast<double>(least))
        for (const Index* j = begin(g); j != end(g); ++j) visit(*j);
  }
  /// The largest pull of the groups that for_each_pulled visits, by correlations that exact(j) gives.
  template <Scalar S, class Exact>
  double largest_pull_above(Index /*n_atoms*/, const S* correlations, S least, Exact exact) const {
    double largest = 0;
    for (Index g = 0; g < n_groups(); ++g)
      if (pull(g, [&](Index j) { return correlations[j]; }) > static_cast<double>(least))
        largest = std::max(largest, pull(g, exact));
    return largest;
  }

 private:
  Index n_groups() const { return std::ssize(offsets_) - 1; }
  const Index* begin(Index group) const { return atoms_.data() + offsets_[static_cast<std::size_t>(group)]; }
  const Index* end(Index group) const { return begin(group + 1); }
  double weight(Index group) const { return weights_.empty() ? 1 : weights_[static_cast<std::size_t>(group)]; }
  template <Scalar S>
  S part(S v) const {  // of v, that counts
    return positive_ && v < S(0) ? S(0) : v;
  }
  template <class Correlation>
  double pull(Index group, Correlation c) const {
    return norm(group, [&](Index j) { return part(c(j)); }) / weight(group);
  }
  static bool is_in_range(double sum_of_squares) { return sum_of_squares >= 1e-280 && sum_of_squares <= 1e280; }
  template <class Entry>
  double sum_of_squares(Index group, Entry v) const {
    double sum = 0;
    for (const Index* j = begin(group); j != end(group); ++j) sum += static_cast<double>(v(*j)) * static_cast<double>(v(*j));
    return sum;
  }
  /// ||v_G||_2 of the entries v(j), in double, also where its square is no number.
  template <class Entry>
  double norm(Index group, Entry v, double sum_of_squares) const {
    if (is_in_range(sum_of_squares)) return std::sqrt(sum_of_squares);
    if (sum_of_squares == 0 && std::all_of(begin(group), end(group), [&](Index j) { return v(j) == 0; })) return 0;
    Vector<double> entries(end(group) - begin(group));
    for (Index k = 0; k < entries.size(); ++k) entries(k) = static_cast<double>(v(begin(group)[k]));
    return norm_in_range<double>(entries);
  }
  template <class Entry>
  double norm(Index group, Entry v) const {
    return norm(group, v, sum_of_squares(group, v));
  }

  bool positive_;
  std::vector<double> weights_;  // w_G, by ascending label; empty: ones
  std::vector<Index> atoms_;     // group after group, in order within each
  std::vector<Index> offsets_;   // where each group starts in atoms_, and where the last ends
};

}  // namespace riata
