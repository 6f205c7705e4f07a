#include "riata/linalg/taut_string.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace riata {

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

void TautString::reserve(Index n) {
  if (n <= room_) return;
  const auto size = static_cast<std::size_t>(n);
  y_ = std::make_unique_for_overwrite<double[]>(size);
  weights_ = std::make_unique_for_overwrite<double[]>(size);
  lower_ = std::make_unique_for_overwrite<Piece[]>(size);
  upper_ = std::make_unique_for_overwrite<Piece[]>(size);
  blocks_ = std::make_unique_for_overwrite<Block[]>(size);
  room_ = n;
}

/// Writes blocks_ and returns how many. weight_at(t) is that of the jump after sample t.
template <class WeightAt>
Index TautString::find_blocks(Index n, const WeightAt& weight_at) {
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
    const double y = y_[static_cast<std::size_t>(t)], at = t + 1 < n ? weight_at(t) : 0;
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

/// The values of the blocks; joins those that contradict the sign between them. Returns how many are left.
Index TautString::merge(Index n_blocks) {
  Block* const blocks = blocks_.get();
  const auto start = [&](Index b) { return b == 0 ? 0 : blocks[b - 1].end; };
  const auto evaluate = [&](Index b) {
    Block& block = blocks[b];
    const double pulled = block.pull - (b == 0 ? 0.0 : blocks[b - 1].pull);
    block.value = (block.sum + pulled) / static_cast<double>(block.end - start(b));
  };
  Index last = -1;
  for (Index b = 0; b < n_blocks; ++b) {
    Block block = blocks[b];
    const Index first = last < 0 ? 0 : blocks[last].end;
    block.sum = even_sum(block.end - first, y_.get() + first);
    blocks[++last] = block;
    evaluate(last);
    const auto contradicts = [&] {
      const double jump = blocks[last].value - blocks[last - 1].value;
      return std::signbit(blocks[last - 1].pull) ? !(jump < 0) : !(jump > 0);
    };
    while (last > 0 && contradicts()) {
      blocks[last - 1].end = blocks[last].end;
      blocks[last - 1].pull = blocks[last].pull;
      blocks[last - 1].sum += blocks[last].sum;
      evaluate(--last);
    }
  }
  return last + 1;
}

template <Scalar T>
void TautString::solve(Index n, const T* y, double weight, const T* per_jump, T* u) {
  if (n == 0) return;
  const Eigen::Map<const Vector<T>> given(y, n);
  const T least = given.minCoeff(), largest = given.maxCoeff();
  if (least == largest || weight == 0) {
    if (u != y) std::copy(y, y + n, u);
    return;
  }
  reserve(n);
  const double low = static_cast<double>(least), high = static_cast<double>(largest), size = std::max(std::abs(low), high);
  const int e = size > 0x1p500 || size < 0x1p-500 ? std::ilogb(size) : 0;  // so that no sum leaves the range
  const auto in_unit = [e](double v) { return e == 0 ? v : std::ldexp(v, -e); };
  Eigen::Map<Vector<double>> centred(y_.get(), n);
  centred = given.template cast<double>();
  if (e != 0) centred = centred.unaryExpr(in_unit).eval();
  const double mean = even_sum(n, y_.get()) / static_cast<double>(n);
  centred.array() -= mean;
  // No running sum of y - u is as large, so that larger weights change nothing, and their rounding does not count.
  const double most = 2 * static_cast<double>(n) * (in_unit(high) - in_unit(low));
  Index n_blocks = 0;
  if (per_jump == nullptr) {
    const double w = std::min(in_unit(weight), most);
    n_blocks = find_blocks(n, [w](Index) { return w; });
  } else {
    const double w = std::min(in_unit(weight), std::numeric_limits<double>::max());
    for (Index t = 0; t + 1 < n; ++t)
      weights_[static_cast<std::size_t>(t)] = std::min(w * static_cast<double>(per_jump[t]), most);
    n_blocks = find_blocks(n, [w = weights_.get()](Index t) { return w[t]; });
  }
  n_blocks = merge(n_blocks);
  for (Index b = 0, t = 0; b < n_blocks; ++b) {
    const Block& block = blocks_[static_cast<std::size_t>(b)];
    const double value = mean + block.value;
    std::fill(u + t, u + block.end, static_cast<T>(e == 0 ? value : std::ldexp(value, e)));
    t = block.end;
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

#define RIATA_INSTANTIATE(T)                                                 \
  template void TautString::solve<T>(Index, const T*, double, const T*, T*); \
  template double even_sum<T>(Index, const T*);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
