#include "riata/networks/certified_pass.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/networks/coupled.hpp"
#include "riata/unrolled/tangents.hpp"

namespace riata {
namespace {

constexpr double least_half_norm_sq = 1e-280;  // below, gaps lose digits, and then are none

}  // namespace

template <Scalar T>
CertifiedNetwork<T>::CertifiedNetwork(const Network<T>& net, int layers, bool with_safeguard, Index n_signals, bool weighted)
    : network(net),
      parameters(net.shared_parameters()),
      n_layers(layers),
      safeguard(with_safeguard),
      exact(net.dictionary().in_double()),
      penalty(std::in_place_type<L1<T>>, PenaltyOptions{}, exact->code_size()) {
  const PenaltyOptions options = net.penalty();
  if (net.traits().groups) penalty.template emplace<GroupL1<T>>(options, exact->code_size());
  if (!safeguard) return;
  const auto* l1 = std::get_if<L1<T>>(&penalty);
  if (!weighted && l1 != nullptr) dense = dynamic_cast<const DenseDictionary<T>*>(&net.dictionary());
  if (dense == nullptr) {
    NetworkModel<T> model = net.model();
    model.lipschitz = net.squared_norm();
    model.options = {.groups = net.options().groups};
    ista.emplace(IstaLayers{ista_kind<T>(net.traits().groups), std::move(model)});
    for (int t = 0; t < n_layers; ++t) ista->parameters.merge(ista->kind.initial(ista->model, t));
    return;
  }
  schedule = make_schedule({.n_layers = n_layers, .algorithm = Layers::ista}, net.squared_norm());
  if (gram_pays(exact->code_size(), n_layers, n_signals)) gram.emplace(dense->atoms(), *l1);
}

template <Scalar T>
CertifiedCodes<T>::CertifiedCodes(Index n_atoms, Index n_signals)
    : result{.codes = Matrix<T>(n_atoms, n_signals),
             .objective = Vector<double>(n_signals),
             .gap = Vector<double>(n_signals),
             .n_iter = Eigen::VectorXi::Zero(n_signals),
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
    : network_(find_network_kind<T>(shared.network.kind()), shared.network.model(), *shared.parameters, shared.n_layers, false,
               tile),
      certificate_(std::visit(
          [&]<Penalty P>(const P& penalty) -> decltype(certificate_) {
            return TileCertificate<P>(shared.network.dictionary(), *shared.exact, penalty);
          },
          shared.penalty)) {
  if (!shared.safeguard) return;
  if (const auto& ista = shared.ista)
    ista_ = std::make_unique<NetworkPass<T>>(ista->kind, ista->model, ista->parameters, shared.n_layers, false, tile);
  else
    adaptive_ista_ = std::make_unique<AdaptivePass<T>>(*shared.dense, std::get<L1<T>>(shared.penalty),
                                                       shared.gram ? &*shared.gram : nullptr, shared.schedule, 0, tile);
}

template <Scalar T>
void CertifiedPass<T>::forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0, CertifiedTile<T> out) {
  network_.forward(input, Z0);
  out.codes = network_.codes();
  std::optional<ConstMatrixRef<T>> others;
  if (ista_) {
    ista_->forward(input, Z0);
    others.emplace(ista_->codes());
  } else if (adaptive_ista_) {
    adaptive_ista_->forward(input.X, input.reg, 0, Z0);
    others.emplace(adaptive_ista_->codes());
  }
  const Matrix<T> none;
  const ConstMatrixRef<T> weights = input.weights.value_or(ConstMatrixRef<T>(none));
  std::visit(
      [&](auto& certificate) {
        if (others)
          certificate.evaluate_lower(input.X, out.codes, *others, input.reg, weights);
        else
          certificate.evaluate(input.X, out.codes, input.reg, weights);
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
    // That of many signals, however few these are: the one of few, a path, has no use for a start.
    const Matrix<T> many = Matrix<T>::Zero(D_.signal_size(), solver_tile);
    options_.method = pick_solver<T>(weighted_ ? Batch<T>(many, many) : Batch<T>(many), D_, {}, options_);
    solver_ = make_batch_encoder<T>(D_, options_);
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
    const EncodeResult<T> found = solver().encode(seen, reg, &start);
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
