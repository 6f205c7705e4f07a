#include "riata/linalg/taut_string.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

/// Of blocks, of which most are short: without branches, but for the four entries from `first` on that are looked at in any case.
double block_sum(Index n, const double* y, Index n_left) {
  if (n > 4 || n_left < 4) return even_sum(n, y);
  double sum = y[0];
  sum += n > 1 ? y[1] : 0.0;
  sum += n > 2 ? y[2] : 0.0;
  return sum + (n > 3 ? y[3] : 0.0);
}

/// u_t = value for n entries, and where n_left are left for four at least, which those that come next overwrite.
template <Scalar T>
void fill_block(Index n, T value, T* u, Index n_left) {
  Index t = 0;
  if (n_left >= 4)
    for (; t < 4; ++t) u[t] = value;
  for (; t < n; ++t) u[t] = value;
}

}  // namespace

/// Of a hull, between two of its vertices.
struct TautString::Piece {
  double rise;      ///< sum + (to - from)
  double length;    ///< in samples
  double sum;       ///< of y
  double from, to;  ///< where the ends lie, relative to the running sum of y
};

/// Ends before `end` with a jump by w_t times its sign, `pull`. Then also its sum of y and its value.
struct TautString::Block {
  Index end;
  double pull, sum, value;
};

TautString::TautString() = default;
TautString::TautString(TautString&&) noexcept = default;
TautString& TautString::operator=(TautString&&) noexcept = default;
TautString::~TautString() = default;

/// One signal less its mean, 2^-exponent times what was given.
struct TautString::Signal {
  int exponent;
  double mean;
  double weight, most;  ///< in the unit; the largest that differs from others

  double in_unit(double v) const { return exponent == 0 ? v : std::ldexp(v, -exponent); }
  double from_unit(double v) const { return exponent == 0 ? v : std::ldexp(v, exponent); }
};

/// Between the signals of two lanes: one entry that is looked at beyond the last, and no power of two.
Index TautString::lane_stride(Index n) { return n + 9; }

void TautString::reserve(Index n, Index n_lanes) {
  if (n > room_) {
    const auto size = static_cast<std::size_t>(n);
    weights_ = std::make_unique_for_overwrite<double[]>(size);
    lower_ = std::make_unique_for_overwrite<Piece[]>(size);
    upper_ = std::make_unique_for_overwrite<Piece[]>(size);
    blocks_ = std::make_unique_for_overwrite<Block[]>(size);
    room_ = n;
  }
  const Index of_lanes = n_lanes * lane_stride(n);
  if (of_lanes > lane_room_) {
    y_ = std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(of_lanes));
    ends_ = std::make_unique_for_overwrite<std::int64_t[]>(static_cast<std::size_t>(of_lanes));
    lane_room_ = of_lanes;
  }
}

/// Writes blocks_ and returns how many. weight_at(t) is that of the jump after sample t.
template <class WeightAt>
Index TautString::find_blocks(Index n, const double* signal, const WeightAt& weight_at) {
  Piece *const U = upper_.get(), *const L = lower_.get();
  Index u_head = 0, u_end = 0, l_head = 0, l_end = 0, n_blocks = 0, anchor = 0;
  double before = 0;
  const auto rejoin = [](Piece& piece) { piece.rise = piece.sum + (piece.to - piece.from); };
  const auto prepend = [&](Piece& piece, const Piece& nearer) {
    piece.length += nearer.length;
    piece.sum += nearer.sum;
    piece.from = nearer.from;
    rejoin(piece);
  };
  const auto give_out = [&](Piece& piece, const Piece& block) {  // the string bends where the block ends
    anchor += static_cast<Index>(block.length);
    blocks_[static_cast<std::size_t>(n_blocks++)] = {.end = anchor, .pull = block.to, .sum = 0, .value = 0};
    piece.length -= block.length;
    piece.sum -= block.sum;
    piece.from = block.to;
    rejoin(piece);
  };
  for (Index t = 0; t < n; ++t) {
    if (t % 65536 == 65535) leave_if_stopped();
    const double y = signal[t], at = t + 1 < n ? weight_at(t) : 0;
    Piece above{y + (at - before), 1, y, before, at};
    while (u_end > u_head && U[u_end - 1].rise * above.length >= above.rise * U[u_end - 1].length) prepend(above, U[--u_end]);
    if (u_end == u_head) {
      while (l_end > l_head && above.rise * L[l_head].length < L[l_head].rise * above.length) give_out(above, L[l_head++]);
      u_head = u_end = 0;
    }
    U[u_end++] = above;

    Piece below{y - (at - before), 1, y, -before, -at};
    while (l_end > l_head && L[l_end - 1].rise * below.length <= below.rise * L[l_end - 1].length) prepend(below, L[--l_end]);
    if (l_end == l_head) {
      while (u_end > u_head + 1 && below.rise * U[u_head].length > U[u_head].rise * below.length) give_out(below, U[u_head++]);
      l_head = l_end = 0;
    }
    L[l_end++] = below;
    before = at;
  }
  blocks_[static_cast<std::size_t>(n_blocks++)] = {.end = n, .pull = 0, .sum = 0, .value = 0};
  return n_blocks;
}

/// The values of the blocks of y; joins those that contradict the sign between them. Returns how many are left.
Index TautString::merge(Index n_blocks, const double* y) {
  Block* const blocks = blocks_.get();
  const Index n = blocks[n_blocks - 1].end;
  Index last = -1, first = 0;
  for (Index b = 0; b < n_blocks; ++b) {
    Block block = blocks[b];
    block.sum = block_sum(block.end - first, y + first, n - first);
    const double before = last < 0 ? 0.0 : blocks[last].pull;
    block.value = (block.sum + (block.pull - before)) / static_cast<double>(block.end - first);
    first = block.end;
    const auto contradicts = [&] {  // without a branch on the sign
      return !(std::copysign(1.0, blocks[last].pull) * (block.value - blocks[last].value) > 0);
    };
    while (last >= 0 && contradicts()) {
      block.sum += blocks[last--].sum;
      const Index start = last < 0 ? 0 : blocks[last].end;
      const double pulled = block.pull - (last < 0 ? 0.0 : blocks[last].pull);
      block.value = (block.sum + pulled) / static_cast<double>(block.end - start);
    }
    blocks[++last] = block;
  }
  return last + 1;
}

/// False where u is y, as it now is.
template <Scalar T>
bool TautString::centre(Index n, const T* y, double weight, T* u, Signal& signal, double* centred) {
  const Eigen::Map<const Vector<T>> given(y, n);
  const T least = given.minCoeff(), largest = given.maxCoeff();
  if (least == largest || weight == 0) {
    if (u != y) std::copy(y, y + n, u);
    return false;
  }
  const double low = static_cast<double>(least), high = static_cast<double>(largest), size = std::max(std::abs(low), high);
  signal.exponent = size > 0x1p500 || size < 0x1p-500 ? std::ilogb(size) : 0;  // so that no sum leaves the range
  Eigen::Map<Vector<double>> entries(centred, n);
  entries = given.template cast<double>();
  if (signal.exponent != 0)
    for (double& v : entries) v = signal.in_unit(v);
  signal.mean = even_sum(n, centred) / static_cast<double>(n);
  entries.array() -= signal.mean;
  // No running sum of y - u is as large, so that larger weights change nothing, and their rounding does not count.
  signal.most = 2 * static_cast<double>(n) * (signal.in_unit(high) - signal.in_unit(low));
  signal.weight = std::min(signal.in_unit(weight), std::numeric_limits<double>::max());
  return true;
}

template <Scalar T>
void TautString::solve_by_hulls(Index n, const Signal& signal, const double* centred, const T* per_jump, T* u) {
  Index n_blocks = 0;
  if (per_jump == nullptr) {
    n_blocks = find_blocks(n, centred, [w = std::min(signal.weight, signal.most)](Index) { return w; });
  } else {
    double* const w = weights_.get();
    for (Index t = 0; t + 1 < n; ++t) w[t] = std::min(signal.weight * static_cast<double>(per_jump[t]), signal.most);
    n_blocks = find_blocks(n, centred, [w](Index t) { return w[t]; });
  }
  write(n_blocks, signal, centred, u);
}

template <Scalar T>
void TautString::write(Index n_blocks, const Signal& signal, const double* centred, T* u) {
  n_blocks = merge(n_blocks, centred);
  const Block* const blocks = blocks_.get();
  const Index n = blocks[n_blocks - 1].end;
  for (Index b = 0, first = 0; b < n_blocks; first = blocks[b++].end)
    fill_block(blocks[b].end - first, static_cast<T>(signal.from_unit(signal.mean + blocks[b].value)), u + first, n - first);
}

template <Scalar T>
void TautString::solve_in_lanes(AdvanceTautLanes advance, Index n, Index n_signals, const T* Y, Index stride_Y,
                                const double* weights, T* U, Index stride_U) {
  const Index stride = lane_stride(n);
  struct InLane {
    Index index;
    std::int64_t began;
    Signal signal;
  };
  std::array<InLane, TautLanes::count> in_lane;
  TautLanes lanes{};
  lanes.y = y_.get();
  lanes.blocks = ends_.get();
  Index next = 0;
  const auto feed = [&](int lane) {
    InLane& its = in_lane[static_cast<std::size_t>(lane)];
    for (lanes.active &= ~(1U << lane); next < n_signals; ++next)
      if (centre(n, Y + next * stride_Y, weights[next], U + next * stride_U, its.signal, y_.get() + lane * stride)) {
        lanes.start(lane, lane * stride, n, std::min(its.signal.weight, its.signal.most));
        its.index = next++;
        its.began = lanes.n_steps;
        return;
      }
  };
  for (int lane = 0; lane < TautLanes::count; ++lane) feed(lane);
  while (lanes.active != 0) {
    advance(lanes);
    for (int lane = 0; lane < TautLanes::count; ++lane) {
      if ((lanes.active >> lane & 1) == 0) continue;
      const InLane& its = in_lane[static_cast<std::size_t>(lane)];
      const bool takes_long = lanes.n_steps - its.began > 8 * n;
      if (!takes_long && (lanes.finished >> lane & 1) == 0) continue;
      const Index start = lane * stride;
      T* const u = U + its.index * stride_U;
      if (takes_long) {
        solve_by_hulls<T>(n, its.signal, y_.get() + start, nullptr, u);
      } else {
        const double w = lanes.weight[lane];
        const Index n_blocks = lanes.n_blocks[lane] - start;
        for (Index b = 0; b < n_blocks; ++b) {
          const std::int64_t end = ends_[static_cast<std::size_t>(start + b)];
          blocks_[static_cast<std::size_t>(b)] = {
              .end = (end >> 1) - start, .pull = (end & 1) != 0 ? w : -w, .sum = 0, .value = 0};
        }
        blocks_[static_cast<std::size_t>(n_blocks)] = {.end = n, .pull = 0, .sum = 0, .value = 0};
        write(n_blocks + 1, its.signal, y_.get() + start, u);
      }
      feed(lane);
    }
  }
}

template <Scalar T>
void TautString::solve(Index n, Index n_signals, const T* Y, Index stride_Y, const double* weights, const T* per_jump, T* U,
                       Index stride_U) {
  constexpr Index longest_in_lanes = 4096;
  if (n == 0) return;
  const AdvanceTautLanes advance = per_jump == nullptr && n <= longest_in_lanes ? advance_taut_lanes() : nullptr;
  reserve(n, advance != nullptr ? TautLanes::count : 1);
  if (advance != nullptr) return solve_in_lanes(advance, n, n_signals, Y, stride_Y, weights, U, stride_U);
  for (Index i = 0; i < n_signals; ++i) {
    Signal signal;
    T* const u = U + i * stride_U;
    if (centre(n, Y + i * stride_Y, weights[i], u, signal, y_.get())) solve_by_hulls(n, signal, y_.get(), per_jump, u);
  }
}

template <Scalar T>
double even_sum(Index n, const T* v) {
  constexpr Index part = 1024, n_lanes = 8;
  double total = 0;
  if (n < 2 * n_lanes) {
    for (Index i = 0; i < n; ++i) total += static_cast<double>(v[i]);
    return total;
  }
  for (Index first = 0; first < n; first += part) {
    const Index count = std::min(part, n - first), whole = count / n_lanes * n_lanes;
    double lanes[n_lanes] = {};
    for (Index i = 0; i < whole; i += n_lanes)
      for (Index l = 0; l < n_lanes; ++l) lanes[l] += static_cast<double>(v[first + i + l]);
    double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    for (Index i = whole; i < count; ++i) sum += static_cast<double>(v[first + i]);
    total += sum;
  }
  return total;
}

#define RIATA_INSTANTIATE(T)                                                                             \
  template void TautString::solve<T>(Index, Index, const T*, Index, const double*, const T*, T*, Index); \
  template double even_sum<T>(Index, const T*);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
