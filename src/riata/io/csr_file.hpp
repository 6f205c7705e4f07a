// Sparse matrices as scipy.sparse.load_npz() reads them, written row by row.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "riata/core/csr.hpp"
#include "riata/io/file.hpp"

namespace riata {

/// Bytes that wait on the disk of a folder, in a file without a name: nothing is left of it, whatever ends the process.
class Spool {
 public:
  /// `target` names the file in messages and its folder holds the bytes. @throws riata::Error "cannot write TARGET: ..."
  explicit Spool(std::filesystem::path target);
  void append(std::string_view bytes);
  std::uint64_t n_bytes() const { return n_bytes_; }
  std::uint32_t extend_crc_of(std::uint32_t crc);  ///< the checksum of bytes before these, and these
  void copy_to(std::FILE* file);                   ///< @throws std::system_error, riata::Error

 private:
  template <class Use>
  void read_back(const Use& use);

  std::filesystem::path target_;
  File file_;
  std::uint64_t n_bytes_ = 0;
};

/// Collects rows in spools beside `path`; finish() makes the file from them, or nothing is there. The spools need as much
/// disk as the file until then; memory does not grow. Indices are int32, indptr is int64: SciPy makes them equal when it
/// reads. Uncompressed, the same rows give the same bytes; zip64 beyond 4 GiB.
template <Scalar T>
class CsrFileWriter {
 public:
  /// `columns` names further arrays of one number per row: kept beside the matrix, where SciPy does not look.
  CsrFileWriter(const std::filesystem::path& path, const std::vector<std::string>& columns);

  /// `columns`: the numbers of these rows, in the order of the names.
  void append(const CsrRows<T>& rows, const std::vector<std::vector<double>>& columns);

  /// Replaces the file atomically. @throws riata::Error
  void finish(Index n_columns);

 private:
  std::filesystem::path path_;
  std::vector<std::string> names_;
  Spool indptr_, indices_, values_;
  std::vector<Spool> columns_;
  std::int64_t n_rows_ = 0, n_nonzero_ = 0;
};

}  // namespace riata
