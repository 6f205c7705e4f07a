// One .npy array from any source of bytes: a file, or a member of a zip archive; or a file's rows, some at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "riata/core/tensors.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/file.hpp"

namespace riata {

struct ByteSource {
  std::string name;                                                 ///< in messages: "atoms.npy" or "data.npz (array 'atoms')"
  std::uint64_t n_bytes;                                            ///< the whole array file
  std::uint64_t n_packed;                                           ///< what it takes on the disk
  std::function<std::size_t(void* out, std::size_t n_bytes)> read;  ///< the number of bytes delivered
};

/// What takes more memory than this, and more than so many bytes for each on the disk, is refused: a megabyte of deflated zeros
/// may claim eight gigabytes.
inline constexpr std::uint64_t free_memory = std::uint64_t{1} << 28, max_growth = 100;

/// @throws std::invalid_argument naming the source
Tensor parse_npy(const ByteSource& source);

/// The header alone. @throws std::invalid_argument naming the source
ArrayHeader parse_npy_type(const ByteSource& source);

/// The bytes before the values of `tensor`. @throws std::invalid_argument if shape and values disagree
std::string npy_header(const Tensor& tensor, const std::string& where);

/// The rows of a two-dimensional .npy file, from the first to the last. Types as read_npy().
class NpyRows {
 public:
  /// @throws std::invalid_argument for what read_npy() refuses, other ranks and Fortran order; riata::Error
  explicit NpyRows(const std::filesystem::path& path);

  /// Is it in no Fortran order? @throws as the constructor, for what is wrong besides
  static bool are_in_order(const std::filesystem::path& path);

  Index n_rows() const { return n_rows_; }
  Index n_columns() const { return n_columns_; }
  bool is_float() const { return is_float_; }  ///< float32 values; else float64

  const std::string& name() const { return source_.name; }
  std::uint64_t n_bytes() const { return source_.n_bytes; }  ///< of the file

  /// The next row will be that one.
  void seek(Index row);
  /// That rows first, ..., first + n - 1 will be read soon: the system may fetch them meanwhile.
  void announce(Index first, Index n) const;
  /// The next `n` rows, of those that are left. @throws std::invalid_argument "X is truncated", riata::Error
  decltype(Tensor::data) next(Index n);

 private:
  File file_;
  ByteSource source_;
  std::string descr_;
  Index n_rows_ = 0, n_columns_ = 0;
  std::uint64_t start_ = 0, row_bytes_ = 0;
  bool is_float_ = false;
};

/// The values of an .npy file of any shape, from any place on. Types as read_npy().
class NpyValues {
 public:
  /// @throws std::invalid_argument for what read_npy() refuses, and Fortran order; riata::Error
  explicit NpyValues(const std::filesystem::path& path);

  const std::vector<Index>& shape() const { return shape_; }
  bool is_float() const { return is_float_; }  ///< float32 values; else float64
  const std::string& name() const { return source_.name; }
  /// Values first, ..., first + n - 1 in C order, which must be there. @throws std::invalid_argument "X is truncated", riata::Error
  decltype(Tensor::data) read(Index first, Index n);

 private:
  File file_;
  ByteSource source_;
  std::string descr_;
  std::vector<Index> shape_;
  std::uint64_t start_ = 0, item_bytes_ = 0;
  bool is_float_ = false;
};

}  // namespace riata
