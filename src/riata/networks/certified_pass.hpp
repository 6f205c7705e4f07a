// The forward pass of a network over one tile, and what its codes are worth: objective and duality gap in double; and the
// certified solver for those that are not good enough. With the safeguard, ISTA runs as many layers from the same start, with
// step 1 / ||D||_2^2, and each signal gets the code of the lower objective. (To take the lower of the two after every layer does
// not suffice: that may end above ISTA.) Internal.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <variant>

#include "riata/networks/network.hpp"
#include "riata/solvers/batch_encoder.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {

/// What the passes of all threads share. Holds on to the network's parameters as they are now, borrows the rest of it.
template <Scalar T>
struct CertifiedNetwork {
  /// `n_signals`: about how many it will code.
  CertifiedNetwork(const Network<T>& net, int n_layers, bool safeguard, Index n_signals, bool weighted = false);

  const Network<T>& network;
  std::shared_ptr<const Parameters<T>> parameters;
  int n_layers;
  std::unique_ptr<const Dictionary<double>> exact;  ///< the network's dictionary in double
  AnyPenalty<T> penalty;
  std::optional<UnrolledLayers<T>> ista = {};  ///< for the safeguard
};

/// Where a pass leaves what it finds: a column or an entry per signal of the tile.
template <Scalar T>
struct CertifiedTile {
  MatrixRef<T> codes;
  VectorRef<double> objective, gap;  ///< not finite where the network diverged (with the safeguard: and ISTA)
  VectorRef<double> half_norm_sq;    ///< 1/2 ||x||^2
};

/// What the passes over all tiles find.
template <Scalar T>
struct CertifiedCodes {
  CertifiedCodes(Index n_atoms, Index n_signals);
  CertifiedTile<T> tile(Index first, Index n);
  bool is_known(Index i) const { return std::isfinite(result.objective(i)) && std::isfinite(result.gap(i)); }
  /// Where gap <= tol * 1/2 ||x||^2 the status becomes converged, else max_iter_reached: there are no more layers.
  void judge(double tol);

  EncodeResult<T> result;
  Vector<double> half_norms_sq;
};

/// Owns the workspace of one thread.
template <Scalar T>
class CertifiedPass {
 public:
  CertifiedPass(const CertifiedNetwork<T>& shared, Index tile);  // tile <= solver_tile

  void forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0, CertifiedTile<T> out);

 private:
  std::unique_ptr<Pass<T>> network_, ista_;  // the second for the safeguard, else null
  std::variant<TileCertificate<L1<T>>, TileCertificate<GroupL1<T>>, TileCertificate<L0<T>>, TileCertificate<Given<T>>>
      certificate_;
};

/// The certified solver for the signals that are not converged: from their codes, or from zero where that is better. Borrows
/// the network.
template <Scalar T>
class Finisher {
 public:
  Finisher(const Network<T>& net, double tol, Execution execution, bool weighted = false);

  /// `regs`: a weight per signal. A code stays where rounding forbids a lower gap.
  void finish(const SeenBatch<T>& batch, const Vector<T>& regs, CertifiedCodes<T>& codes);

 private:
  BatchEncoder<T>& solver();

  const Dictionary<T>& D_;
  const bool weighted_;  // are the batches?
  EncodeOptions options_;
  std::unique_ptr<BatchEncoder<T>> solver_;  // once a signal has needed it
};

}  // namespace riata
