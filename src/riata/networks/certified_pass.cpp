#include "riata/networks/certified_pass.hpp"

#include <algorithm>

#include "riata/core/check.hpp"

namespace riata {
namespace {

constexpr double least_half_norm_sq = 1e-280;  // below, gaps lose digits, and then are none

}  // namespace

template <Scalar T>
CertifiedNetwork<T>::CertifiedNetwork(const Network<T>& net, int layers, bool safeguard, Index n_signals, bool weighted)
    : network(net),
      parameters(net.shared_parameters()),
      n_layers(layers),
      exact(net.dictionary().in_double()),
      penalty(net.penalty(), net.dictionary()) {
  if (!safeguard) return;
  const UnrolledOptions options{
      .n_layers = n_layers, .algorithm = Layers::ista, .lipschitz = net.squared_norm(), .penalty = net.penalty()};
  ista.emplace(options, net.dictionary(), 0,
               typename UnrolledLayers<T>::Use{
                   .weighted = weighted, .gram_pays = gram_pays(exact->code_size(), n_layers, n_signals), .on_supports = true});
}

template <Scalar T>
CertifiedCodes<T>::CertifiedCodes(Index n_atoms, Index n_signals)
    : result{.codes = Matrix<T>(n_atoms, n_signals),
             .objective = Vector<double>(n_signals),
             .gap = Vector<double>(n_signals),
             .n_iter = Vector<int>::Zero(n_signals),
             .status = std::vector<Status>(static_cast<std::size_t>(n_signals)),
             .method = Solver::automatic},
      half_norms_sq(n_signals) {}

template <Scalar T>
CertifiedTile<T> CertifiedCodes<T>::tile(Index first, Index n) {
  return {.codes = result.codes.middleCols(first, n),
          .objective = result.objective.segment(first, n),
          .gap = result.gap.segment(first, n),
          .half_norm_sq = half_norms_sq.segment(first, n)};
}

template <Scalar T>
void CertifiedCodes<T>::judge(double tol) {
  for (Index i = 0; i < half_norms_sq.size(); ++i)
    result.status[static_cast<std::size_t>(i)] =
        result.gap(i) <= tol * half_norms_sq(i) ? Status::converged : Status::max_iter_reached;
}

template <Scalar T>
CertifiedPass<T>::CertifiedPass(const CertifiedNetwork<T>& shared, Index tile)
    : network_(make_pass(find_network_kind<T>(shared.network.kind()), shared.network.model(), *shared.parameters,
                         {.n_layers = shared.n_layers, .stored = 0, .tile = tile})),
      ista_(shared.ista ? shared.ista->make_pass(0, tile) : nullptr),
      certificate_(shared.penalty.visit([&]<Penalty P>(const P& penalty) -> decltype(certificate_) {
        return TileCertificate<P>(shared.network.dictionary(), shared.exact.get(), penalty);
      })) {}

template <Scalar T>
void CertifiedPass<T>::forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0, CertifiedTile<T> out) {
  network_->forward(input, Z0);
  out.codes = network_->codes();
  if (ista_) ista_->forward(input, Z0);
  std::visit(
      [&](auto& certificate) {
        if (ista_)
          certificate.evaluate_lower(input.X, out.codes, ista_->codes(), input.reg, input.weights);
        else
          certificate.evaluate(input.X, out.codes, input.reg, input.weights);
        for (Index i = 0; i < out.codes.cols(); ++i) {
          out.objective(i) = certificate.objective(i);
          out.gap(i) = certificate.gap(i);
          out.half_norm_sq(i) = certificate.half_norm_sq(i);
          require(out.half_norm_sq(i) >= least_half_norm_sq || input.X.col(i).isZero(0),
                  "encode: a signal's norm is {:.2g}, too small to certify its code; choose another unit",
                  static_cast<double>(input.X.col(i).stableNorm()));
        }
      },
      certificate_);
}

template <Scalar T>
Finisher<T>::Finisher(const Network<T>& net, double tol, Execution execution, bool weighted)
    : D_(net.dictionary()),
      weighted_(weighted),
      options_{.tol = tol, .penalty = net.penalty(), .execution = std::move(execution)} {}

template <Scalar T>
BatchEncoder<T>& Finisher<T>::solver() {
  if (!solver_) {
    const Matrix<T> none(D_.signal_size(), 0);
    const Solver method = pick_solver<T>(weighted_ ? Batch<T>(none, none) : Batch<T>(none), 0, D_, {}, true, options_);
    solver_ = make_batch_encoder<T>(D_, options_, method, solver_tile);  // may be asked for one signal after the other
  }
  return *solver_;
}

template <Scalar T>
void Finisher<T>::finish(const SeenBatch<T>& batch, const Vector<T>& regs, CertifiedCodes<T>& codes) {
  const ConstMatrixRef<T>& X = batch.X();
  EncodeResult<T>& result = codes.result;
  constexpr Index block = 64 * solver_tile;  // so that memory is bounded
  std::vector<Index> open;
  for (Index i = 0; i < X.cols(); ++i)
    if (result.status[static_cast<std::size_t>(i)] != Status::converged) open.push_back(i);
  for (Index first = 0; first < std::ssize(open); first += block) {
    const Index n = std::min(block, std::ssize(open) - first);
    Matrix<T> signals(X.rows(), n), weights(batch.is_weighted() ? X.rows() : 0, n), start(D_.code_size(), n);
    Vector<T> reg(n);
    for (Index k = 0; k < n; ++k) {
      const Index i = open[static_cast<std::size_t>(first + k)];
      signals.col(k) = X.col(i);
      if (batch.is_weighted()) weights.col(k) = batch.weights(i, 1);
      reg(k) = regs(i);
      if (codes.is_known(i) && result.objective(i) < codes.half_norms_sq(i))  // F(0) = 1/2 ||x||^2
        start.col(k) = result.codes.col(i);
      else
        start.col(k).setZero();
    }
    const SeenBatch<T> seen("encode", batch.is_weighted() ? Batch<T>(signals, weights) : Batch<T>(signals));
    const EncodeResult<T> found = solver().encode(seen, reg, start);
    result.method = found.method;
    for (Index k = 0; k < n; ++k) {
      const Index i = open[static_cast<std::size_t>(first + k)];
      result.n_iter(i) = found.n_iter(k);
      result.status[static_cast<std::size_t>(i)] = found.status[static_cast<std::size_t>(k)];
      if (codes.is_known(i) && !(found.gap(k) < result.gap(i))) continue;
      result.codes.col(i) = found.codes.col(k);
      result.objective(i) = found.objective(k);
      result.gap(i) = found.gap(k);
    }
  }
}

template class Finisher<float>;
template class Finisher<double>;
template struct CertifiedNetwork<float>;
template struct CertifiedNetwork<double>;
template struct CertifiedCodes<float>;
template struct CertifiedCodes<double>;
template class CertifiedPass<float>;
template class CertifiedPass<double>;

}  // namespace riata
