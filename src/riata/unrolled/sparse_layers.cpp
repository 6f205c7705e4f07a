#include "riata/unrolled/sparse_layers.hpp"

#include <algorithm>

#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"

namespace riata {
namespace {

constexpr int layers_between_looks = 64;  // a layer of few active atoms takes as long as ten

/// Entries of a vector of U: whole vectors of the widest instruction set.
template <class T>
Index padded(Index n) {
  constexpr Index lanes = 64 / sizeof(T);
  return (n + lanes - 1) / lanes * lanes;
}

bool are_equal(const std::vector<double>& steps) {
  return std::adjacent_find(steps.begin(), steps.end(), std::not_equal_to<>()) == steps.end();
}

}  // namespace

template <Scalar T>
GramProblem<T>::GramProblem(const MatrixView<T>& dictionary, const L1<T>& penalty) : D(dictionary), positive(penalty.positive()) {
  const Index m = D.cols(), rows = round_up_to_block<T>(m);
  G.setZero(rows, m);
  multiply_transposed<T>(D, D, G.topRows(m));
  w.setOnes(rows);
  for (Index j = 0; j < m; ++j) w(j) = penalty.weight(j);
}

template <Scalar T>
SparseLayers<T>::SparseLayers(const GramProblem<T>& problem, const LayerSchedule& schedule, int stored)
    : problem_(problem),
      schedule_(schedule),
      stored_(stored),
      equal_steps_(are_equal(schedule.steps) && schedule.reg_shares.empty()) {
  const Index rows = problem.rows();
  y_.resize(rows);
  z_.resize(rows);
  place_in_U_.assign(static_cast<std::size_t>(rows), -1);
}

template <Scalar T>
void SparseLayers<T>::open(const ConstMatrixRef<T>& C, int from) {
  from_ = from;
  C_.setZero(problem_.rows(), C.cols());
  C_.topRows(C.rows()) = C;
  used_ = 2 * static_cast<std::size_t>(problem_.rows());
  if (stored_ == 0) return;
  records_.resize(static_cast<std::size_t>(C.cols() * (schedule_.n_layers() - first_kept() + 1)));
  pulls_.setZero(C.rows(), C.cols());
}

template <Scalar T>
auto SparseLayers<T>::list(const Record& record) -> List {
  return {{record.count, places_.data() + record.start, y_values_.data() + record.start, z_values_.data() + record.start},
          in_U_.data() + record.start};
}

/// Room for the list of the state before layer k.
template <Scalar T>
auto SparseLayers<T>::open_list(int k) -> List {
  const auto rows = static_cast<std::size_t>(problem_.rows());
  const std::size_t start = keeps(k) ? used_ : static_cast<std::size_t>(k % 2) * rows;
  return list({start, 0});
}

/// Puts the list of open_list(k) on record.
template <Scalar T>
void SparseLayers<T>::keep(Index i, int k, const List& state) {
  if (!keeps(k)) return;
  record(i, k) = {static_cast<std::size_t>(state.places - places_.data()), state.count};
  used_ += static_cast<std::size_t>(state.count);
}

/// All states from before layer k on are this one.
template <Scalar T>
void SparseLayers<T>::repeat(Index i, int k, const List& state) {
  k = std::max(k, first_kept());
  if (stored_ == 0 || k > schedule_.n_layers()) return;
  List copy = open_list(k);
  copy.count = state.count;
  std::copy_n(state.places, state.count, copy.places);
  std::copy_n(state.y, state.count, copy.y);
  std::copy_n(state.z, state.count, copy.z);
  keep(i, k, copy);
  while (++k <= schedule_.n_layers()) record(i, k) = record(i, k - 1);
}

/// Will every further layer repeat this state? z_{k+1} = z_k = y_k, so momentum has nothing to add.
template <Scalar T>
bool SparseLayers<T>::has_settled(const List& before, const List& after) const {
  const Index n = after.count;
  return equal_steps_ && before.count == n && std::equal(after.z, after.z + n, after.y) &&
         std::equal(after.z, after.z + n, before.y) && std::equal(after.z, after.z + n, before.z) &&
         std::equal(after.places, after.places + n, before.places);
}

template <Scalar T>
void SparseLayers<T>::forward(Index i, T reg, const ConstVectorRef<T>& z, const ConstVectorRef<T>& z_before,
                              const ConstVectorRef<T>& y, VectorRef<T> z_out, VectorRef<T> y_out) {
  const Index m = z.size(), rows = problem_.rows();
  const int n_layers = schedule_.n_layers();
  const Index n_kept = stored_ > 0 ? n_layers - first_kept() + 1 : 0;
  const std::size_t room = used_ + static_cast<std::size_t>(rows * n_kept);
  if (places_.size() < room) {
    places_.resize(room);
    in_U_.resize(room);
    y_values_.resize(room);
    z_values_.resize(room);
  }
  y_.setZero();
  z_.setZero();
  y_.head(m) = y;
  z_.head(m) = z;
  List state = open_list(from_);
  for (Index j = 0; j < m; ++j) {
    if (z(j) == T(0) && z_before(j) == T(0)) continue;
    state.places[state.count] = static_cast<int>(j);
    state.y[state.count] = y(j);
    state.z[state.count++] = z(j);
  }
  keep(i, from_, state);
  const auto& layer = gram_kernels<T>().layer;
  for (int k = from_; k < n_layers; ++k) {
    if (k % layers_between_looks == 0) leave_if_stopped();
    const T alpha = static_cast<T>(schedule_.steps[static_cast<std::size_t>(k)]);
    const T momentum = static_cast<T>(schedule_.momenta[static_cast<std::size_t>(k)]);
    List next = open_list(k + 1);
    next.count = layer({rows, problem_.G.data(), C_.col(i).data(), problem_.w.data(), alpha,
                        alpha * static_cast<T>(schedule_.reg_share(k)) * reg, momentum, problem_.positive, y_.data(), z_.data(),
                        state, next});
    keep(i, k + 1, next);
    const bool settled = has_settled(state, next);
    state = next;
    if (!settled) continue;
    repeat(i, k + 2, state);
    break;
  }
  z_out = z_.head(m);
  y_out = y_.head(m);
}

/// U, the atoms that the kept layers ever had active, the late ones first; G and the y_k on them.
template <Scalar T>
void SparseLayers<T>::gather_active(Index i) {
  const int first = first_kept(), n_kept = schedule_.n_layers() - first;
  U_.clear();
  heads_.resize(static_cast<std::size_t>(n_kept + 1));
  for (int k = schedule_.n_layers(); k >= first; --k) {
    const List state = list(record(i, k));
    for (Index e = 0; e < state.count; ++e) {
      int& place = place_in_U_[static_cast<std::size_t>(state.places[e])];
      if (place < 0) {
        place = static_cast<int>(U_.size());
        U_.push_back(state.places[e]);
      }
      state.in_U[e] = place;
    }
    heads_[static_cast<std::size_t>(k - first)] = std::ssize(U_);
  }
  const Index u = std::ssize(U_), rows = padded<T>(u);
  if (u == 0) return;  // a code of zeros: the buffers may not be there yet
  if (G_U_.rows() < rows) {
    G_U_.setZero(rows, rows);
    Y_U_.setZero(rows, stored_);
    h_of_atom_.resize(stored_, rows);
    layers_of_atom_.resize(stored_, rows);
    for (Vector<T>* v : {&cotangent_y_, &cotangent_z_, &Gh_, &pull_, &h_}) v->setZero(rows);
  }
  for (Index b = 0; b < u; ++b) {
    const T* column = problem_.G.data() + problem_.rows() * U_[static_cast<std::size_t>(b)];
    T* to = G_U_.data() + G_U_.rows() * b;
    for (Index a = 0; a < u; ++a) to[a] = column[U_[static_cast<std::size_t>(a)]];
  }
  Y_U_.topLeftCorner(rows, n_kept).setZero();
  for (int k = 0; k < n_kept; ++k) {
    const List state = list(record(i, first + k));
    for (Index e = 0; e < state.count; ++e) Y_U_(state.in_U[e], k) = state.y[e];
  }
  n_layers_of_atom_.assign(static_cast<std::size_t>(u), 0);
  pull_.head(u).setZero();
}

template <Scalar T>
void SparseLayers<T>::backward(Index i, T reg, VectorRef<T> cotangent_z, VectorRef<T> cotangent_y, const Gradients& gradients) {
  gather_active(i);
  const int first = first_kept(), n_layers = schedule_.n_layers();
  const Index u = std::ssize(U_);
  for (Index a = 0; a < u; ++a) {
    cotangent_z_(a) = cotangent_z(U_[static_cast<std::size_t>(a)]);
    cotangent_y_(a) = cotangent_y(U_[static_cast<std::size_t>(a)]);
  }
  const auto& sum_columns = gram_kernels<T>().sum_columns;
  h_places_.resize(static_cast<std::size_t>(u));
  const bool scalars = !gradients.steps.empty() || gradients.reg != nullptr;
  for (int k = n_layers - 1; k >= first; --k) {
    if (k % layers_between_looks == 0) leave_if_stopped();
    const T alpha = static_cast<T>(schedule_.steps[static_cast<std::size_t>(k)]);
    const T momentum = static_cast<T>(schedule_.momenta[static_cast<std::size_t>(k)]);
    const List after = list(record(i, k + 1)), before = list(record(i, k));
    // y_{k+1} = (1 + m_k) z_{k+1} - m_k z_k, and through the shrinkage of z_{k+1}
    Index n_h = 0;
    double threshold_cotangent = 0, along = 0;
    for (Index e = 0; e < after.count; ++e) {
      const int a = after.in_U[e];
      const T c = cotangent_y_(a), h = cotangent_z_(a) + (T(1) + momentum) * c;
      cotangent_z_(a) = -momentum * c;
      if (after.z[e] == T(0)) continue;
      h_places_[static_cast<std::size_t>(n_h)] = a;
      h_(n_h++) = h;
      pull_(a) += alpha * h;
      if (scalars) {
        const int j = after.places[e];
        threshold_cotangent -= static_cast<double>(problem_.w(j)) * static_cast<double>(after.z[e] > T(0) ? h : -h);
        along += static_cast<double>(h) * static_cast<double>(C_(j, i));
      }
      if (!gradients.dictionary) continue;
      int& n = n_layers_of_atom_[static_cast<std::size_t>(a)];
      h_of_atom_(n, a) = -alpha * h;
      layers_of_atom_(n++, a) = k - first;
    }
    const Index head = heads_[static_cast<std::size_t>(k - first)];
    sum_columns({padded<T>(head), G_U_.rows(), G_U_.data(), n_h, h_places_.data(), h_.data(), Gh_.data()});
    if (!gradients.steps.empty()) {
      for (Index e = 0; e < before.count; ++e)
        along -= static_cast<double>(before.y[e]) * static_cast<double>(Gh_(before.in_U[e]));
      along += schedule_.reg_share(k) * static_cast<double>(reg) * threshold_cotangent;
      gradients.steps[static_cast<std::size_t>(k)] += along / schedule_.lipschitz;
    }
    if (gradients.reg != nullptr)
      *gradients.reg += schedule_.steps[static_cast<std::size_t>(k)] * schedule_.reg_share(k) * threshold_cotangent;
    cotangent_y_.head(head) = -alpha * Gh_.head(head);
    for (Index e = 0; e < n_h; ++e) cotangent_y_(h_places_[static_cast<std::size_t>(e)]) += h_(e);
  }
  if (gradients.dictionary) add_couplings_of_signal();
  cotangent_z.setZero();
  cotangent_y.setZero();
  const List start = list(record(i, first));
  for (Index e = 0; e < start.count; ++e) {
    const int j = start.places[e], a = start.in_U[e];
    if (start.z[e] != T(0)) cotangent_z(j) = cotangent_z_(a);
    cotangent_y(j) = cotangent_y_(a);
  }
  for (Index a = 0; a < u; ++a) {
    const int j = U_[static_cast<std::size_t>(a)];
    pulls_(j, i) = pull_(a);
    place_in_U_[static_cast<std::size_t>(j)] = -1;
  }
}

/// M += -sum_k alpha_k y_k h_k^T, column by column.
template <Scalar T>
void SparseLayers<T>::add_couplings_of_signal() {
  const Index m = problem_.D.cols(), u = std::ssize(U_);
  if (M_.size() == 0) M_.setZero(m, m);
  has_couplings_ = true;
  for (Index b = 0; b < u; ++b) {
    const int n = n_layers_of_atom_[static_cast<std::size_t>(b)];
    if (n == 0) continue;
    gram_kernels<T>().sum_columns({padded<T>(u), Y_U_.rows(), Y_U_.data(), n, layers_of_atom_.data() + layers_of_atom_.rows() * b,
                                   h_of_atom_.data() + h_of_atom_.rows() * b, Gh_.data()});
    T* column = M_.data() + m * U_[static_cast<std::size_t>(b)];
    for (Index a = 0; a < u; ++a) column[U_[static_cast<std::size_t>(a)]] += Gh_(a);
  }
}

template <Scalar T>
void SparseLayers<T>::add_couplings(MatrixRef<T> gradient) {
  if (!has_couplings_) return;
  M_ += Matrix<T>(M_.transpose());
  Matrix<T> product(gradient.rows(), gradient.cols());
  multiply<T>(problem_.D, M_, product);
  gradient += product;
  M_.setZero();
  has_couplings_ = false;
}

template struct GramProblem<float>;
template struct GramProblem<double>;
template class SparseLayers<float>;
template class SparseLayers<double>;

}  // namespace riata
