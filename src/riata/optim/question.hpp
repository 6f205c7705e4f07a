// What passes between an update, which asks, and a direction, which answers from signals. Both are values: whoever drives a run
// carries them, to one batch in memory or to shards elsewhere.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "riata/core/parameters.hpp"

namespace riata {

/// A direction says which it produces, an update which it needs; a pair that does not fit is refused when the run is built.
enum class Piece { value, gradient, statistics, codes, codes_by_atom };
const char* to_string(Piece piece);

/// Of which signals.
enum class Look {
  batch,    ///< the iteration's
  all,      ///< all that a run may move by or hold out
  held_out  ///< those that no step sees
};

/// With which codes, for a direction that holds codes while the parameters move. Others code anew in every answer.
enum class Coding {
  opening,  ///< coded at these parameters, from where the last iteration left; they are then held
  held,
  look  ///< coded anew for a look at what the held ones hide, and held until the iteration ends
};

/// At these parameters, the value and what else is named.
template <Scalar T>
struct Question {
  Parameters<T> at;
  std::set<std::string> gradient = {};  ///< by these parameters
  bool statistics = false, codes = false, codes_by_atom = false;
  bool usage = false;  ///< where codes are found for gradient or statistics
  Coding coding = Coding::held;
  Look look = Look::batch;
  std::optional<int> n_layers = {};  ///< of the network, the first ones; by default all
  Index iteration = 0;               ///< of the run
};

/// Of each atom the signals whose code uses it, and what codes leave of the signals.
template <Scalar T>
struct CodesByAtom {
  std::vector<Index> starts = {};  ///< of atom j in both lists, and the end
  std::vector<int> signals = {};   ///< increasing
  std::vector<T> values = {};      ///< their codes
  Matrix<T> residual = {};         ///< X - D Z
};

/// The answer. Value and gradient are means over the signals asked of: of parts of a batch, those of each count by its share of
/// the signals. Where the sum is minimised they are sums, as the statistics A = sum z z^T and B = sum x z^T and the usage are, and add up.
template <Scalar T>
struct Sums {
  double value = 0;
  Parameters<T> gradient = {};
  Parameters<T> statistics = {};  ///< "A", n_atoms x n_atoms, and "B", n_features x n_atoms
  Vector<double> usage = {};      ///< sum z_j^2 of each atom
  Matrix<T> codes = {};           ///< n_atoms x n_signals, of a batch that is one part
  CodesByAtom<T> by_atom = {};    ///< likewise
};

}  // namespace riata
