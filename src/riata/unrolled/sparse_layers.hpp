// The layers of coupled_layer.hpp on the supports, signal by signal, for a dense dictionary, least squares and l1: with G = D^T D
// and c = D^T x, only the atoms that are not zero cost anything but a shrinkage.
//
//   z_{k+1} = prox_{alpha_k reg g}( y_k - alpha_k (G y_k - c) )                      2 m |supp y_k| flops
//
// Backward, h and y_k as in coupled_layer.hpp; both live on the few atoms U that were ever active:
//
//   y_k  =  h - alpha_k G h                                                          2 |U| |supp h|
//   M   -=  alpha_k y_k h^T,      D += D (M + M^T) + x (sum_k alpha_k h_k)^T         2 |U| |supp h|, and once for all signals
//
// for -alpha (r h^T + D h y^T) = -alpha ( D (y h^T + h y^T) - x h^T ).
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "riata/linalg/gram_kernels.hpp"
#include "riata/terms/l1.hpp"
#include "riata/unrolled/layer.hpp"

namespace riata {

/// What the passes over all tiles share: the Gram matrix, its rows padded for the kernels, and the weights of the penalty.
template <Scalar T>
struct GramProblem {
  GramProblem(const MatrixView<T>& dictionary, const L1<T>& penalty);

  const MatrixView<T> D;
  bool positive;
  Matrix<T> G;  ///< rows() x n_atoms
  Vector<T> w;  ///< rows()
  Index rows() const { return G.rows(); }
};

/// Whether `layers` of so many signals repay a Gram matrix, and it still fits into a cache.
inline bool gram_pays(Index n_atoms, int layers, Index n_signals) {
  return n_atoms <= 2048 && static_cast<double>(n_atoms) <= 2.0 * layers * static_cast<double>(n_signals);
}

/// Layers from..N of one tile, started from the states of signals between two layers. Owns its workspace, borrows the rest.
template <Scalar T>
class SparseLayers {
 public:
  /// Layers whose active lists are kept: the last `stored` of the schedule's.
  SparseLayers(const GramProblem<T>& problem, const LayerSchedule& schedule, int stored);

  /// Prepares for layers from..N of a tile. C = D^T X.
  void open(const ConstMatrixRef<T>& C, int from);
  /// Runs signal i, the next in order, from z_from, z_{from-1} and y_from to z_N and y_N.
  void forward(Index i, T reg, const ConstVectorRef<T>& z, const ConstVectorRef<T>& z_before, const ConstVectorRef<T>& y,
               VectorRef<T> z_out, VectorRef<T> y_out);

  /// What one signal's backward pass finds; false, empty or null is skipped.
  struct Gradients {
    bool dictionary;
    std::span<double> steps;
    double* reg;
  };
  /// Turns the cotangents of z_N and y_N into those of z_from and y_from: exact where those are not zero, 0 elsewhere.
  void backward(Index i, T reg, VectorRef<T> cotangent_z, VectorRef<T> cotangent_y, const Gradients& gradients);

  /// sum_k alpha_k h_k of the tile's signals since open(), n_atoms x n_signals: what X and D are multiplied with.
  auto pulls() const { return pulls_.topLeftCorner(problem_.D.cols(), C_.cols()); }
  /// gradient += D (M + M^T) for all signals since the last call.
  void add_couplings(MatrixRef<T> gradient);

 private:
  struct List : ActiveList<T> {
    int* in_U;  ///< where the places stand in U, for backward()
  };
  struct Record {  ///< an active list: where it starts in places_, y_values_ and z_values_
    std::size_t start;
    Index count;
  };
  int first_kept() const { return std::max(from_, schedule_.n_layers() - stored_); }
  bool keeps(int k) const { return stored_ > 0 && k >= first_kept(); }
  Record& record(Index i, int k) {
    return records_[static_cast<std::size_t>(i * (schedule_.n_layers() - first_kept() + 1) + k - first_kept())];
  }
  List list(const Record& record);
  List open_list(int k);
  void keep(Index i, int k, const List& state);
  void repeat(Index i, int k, const List& state);
  bool has_settled(const List& before, const List& after) const;
  void gather_active(Index i);
  void add_couplings_of_signal();

  const GramProblem<T>& problem_;
  const LayerSchedule& schedule_;
  const int stored_;
  const bool equal_steps_;
  int from_ = 0;
  Matrix<T> C_, pulls_, M_;
  bool has_couplings_ = false;  ///< has M_ been added to since add_couplings()?
  Vector<T> y_, z_;

  // The active lists of the tile, one after the other; those that are not kept take turns in the first two places.
  std::vector<int> places_, in_U_;
  std::vector<T> y_values_, z_values_;
  std::vector<Record> records_;
  std::size_t used_ = 0;

  // One signal's backward pass on U, late atoms first, so that each layer needs a head of the vectors alone.
  std::vector<int> U_, place_in_U_;
  std::vector<Index> heads_;  ///< how many atoms layers k.. know, per kept layer
  Matrix<T> G_U_, Y_U_;       ///< y_k per kept layer
  Vector<T> cotangent_y_, cotangent_z_, Gh_, pull_, h_;
  std::vector<int> h_places_;
  // The h of all layers, atom by atom.
  Matrix<T> h_of_atom_;
  Matrix<int> layers_of_atom_;
  std::vector<int> n_layers_of_atom_;
};

}  // namespace riata
