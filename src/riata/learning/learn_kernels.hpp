// Learning the kernels that pictures are made of: presets of learn_dictionary over convolutional dictionaries of pictures,
//
//   min  (1/n) sum_i  1/2 || m_i (x_i - sum_k d_k * z_ik) ||^2 + reg || z_i ||_1   over kernels d_k of norm one,
//
// m_i what was seen of picture i; Malezieux, Moreau and Kowalski (2022), section 4.
#pragma once

#include "riata/learning/learn_dictionary.hpp"
#include "riata/operators/convolutional_dictionary_2d.hpp"

namespace riata {

/// A picture in memory, and what was seen of it.
template <Scalar T>
struct SeenPicture {
  Index height = 0, width = 0;
  Matrix<T> pixels = {};  ///< (height width) x n_channels, row after row
  Matrix<T> mask = {};    ///< weights in [0, 1] likewise, or one column for all channels; 0 x 0: all was seen
};

struct KernelOptions {
  Boundary boundary = Boundary::full;
  Index stride = 1;
  /// Side of the crops in a mini-batch; absent: eight kernels, or a picture's where that is shorter.
  std::optional<Index> crop_size = {};
  /// method: 'unrolled', 'truncated', 'alternating', 'alternating_exact', or 'stochastic', by random crops; batch_size: crops,
  /// absent: 10; init: 'data', patches without their mean beside a flat kernel where pictures have a mean, or 'random'.
  LearnOptions learn = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<KernelOptions> =
    std::tuple{Option{"boundary", &KernelOptions::boundary, rule::anything, "Where kernels may lie in a picture"},
               Option{"stride", &KernelOptions::stride, rule::at_least_one, "Pixels from one position of a kernel to the next"},
               Option{"crop_size", &KernelOptions::crop_size, rule::at_least_one,
                      "Side of the crops in a mini-batch; default: eight kernels"},
               Option{"learn", &KernelOptions::learn}};

template <Scalar T>
struct KernelResult {
  Matrix<T> atoms;         ///< (n_channels l^2) x n_atoms, channel after channel, row after row
  LearnResult<T> learned;  ///< its reg is the weight as a number
};

/// A fraction is that of the largest weight of the pictures, or of the crops, at the initial kernels (resolve_run_reg). Methods on
/// all pictures take those of different sizes with boundary 'full' alone, as parts of one size of which the rest was not seen.
/// Crops of 'stochastic' begin anywhere; twice as many pixels as pictures have are drawn once.
/// @throws std::invalid_argument for bad pictures or options
template <Scalar T>
KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>& pictures, Index n_atoms, Index kernel_size, const Reg& reg,
                              const KernelOptions& options = {}, const Observer& observer = {});
/// From given kernels, of the shape of the result's atoms, projected onto the sphere first; init is not looked at.
template <Scalar T>
KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>& pictures, const NonDeduced<ConstMatrixRef<T>>& init,
                              const Reg& reg, const KernelOptions& options = {}, const Observer& observer = {});

}  // namespace riata
