#include "riata/learning/atoms.hpp"

#include <algorithm>
#include <iterator>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {
namespace {

constexpr std::uint32_t atom_stream = 101;

}  // namespace

void AtomPolicy::validate() const {
  require(check_every >= 1, "learner: check_every = {}, must be >= 1", check_every);
  require(rare >= 0 && rare < 1, "learner: rare = {}, must be >= 0 and < 1", rare);
}

std::vector<bool> rare_atoms(const Vector<double>& usage, const AtomPolicy& policy) {
  std::vector<double> used;
  std::ranges::copy_if(usage, std::back_inserter(used), [](double u) { return u > 0; });
  if (used.empty()) return {};
  const auto middle = used.begin() + std::ssize(used) / 2;
  std::ranges::nth_element(used, middle);
  std::vector<bool> rare;
  for (const double u : usage) rare.push_back(u <= policy.rare * *middle);
  return rare;
}

template <Scalar T>
std::vector<bool> unused_atoms(const Sums<T>& answer) {
  std::vector<bool> unused;
  if (answer.usage.size() > 0)
    for (const double u : answer.usage) unused.push_back(u == 0);
  else if (const auto g = answer.gradient.find("dictionary"); g != answer.gradient.end())
    for (Index j = 0; j < g->second.cols(); ++j) unused.push_back(g->second.col(j).isZero(0));
  else if (const auto A = answer.statistics.find("A"); A != answer.statistics.end())
    for (Index j = 0; j < A->second.cols(); ++j) unused.push_back(A->second(j, j) == T(0));
  else
    for (std::size_t j = 1; j < answer.by_atom.starts.size(); ++j)
      unused.push_back(answer.by_atom.starts[j] == answer.by_atom.starts[j - 1]);
  if (std::ranges::all_of(unused, [](bool is) { return is; })) unused.clear();  // no atom is better than another
  return unused;
}

template <Scalar T>
std::vector<Index> replace_atoms(Matrix<T>& D, const std::vector<bool>& unused, const Batch<T>& batch, const AtomPolicy& policy,
                                 Index iteration) {
  const SeenBatch<T> seen("learn_dictionary", batch);
  Matrix<T> unit = D;
  project_atoms(unit, Constraint::unit_sphere);
  RandomStream random(policy.seed, atom_stream, static_cast<std::uint32_t>(iteration));
  std::vector<Index> replaced;
  for (Index j = 0; j < D.cols(); ++j) {
    leave_if_stopped();
    const bool copy = j > 0 && (unit.leftCols(j).transpose() * unit.col(j)).cwiseAbs().maxCoeff() > T(policy.duplicate);
    if (!unused[static_cast<std::size_t>(j)] && !copy) continue;
    const auto signal = seen.X().col(static_cast<Index>(random.below(static_cast<std::uint64_t>(batch.size()))));
    if (signal.isZero(0)) continue;
    Vector<T> atom = signal.stableNormalized();
    if (policy.non_negative) atom = atom.cwiseMax(T(0)).eval();
    if (atom.isZero(0)) continue;
    D.col(j) = atom;
    replaced.push_back(j);
  }
  return replaced;
}

#define RIATA_INSTANTIATE(T)                                  \
  template std::vector<bool> unused_atoms<T>(const Sums<T>&); \
  template std::vector<Index> replace_atoms<T>(Matrix<T>&, const std::vector<bool>&, const Batch<T>&, const AtomPolicy&, Index);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
