#include "riata/io/csr_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/npy_header.hpp"
#include "riata/io/zip_archive.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const fs::path& path, int code) {
  throw Error(formatted("cannot write {}: {}", path.string(), std::generic_category().message(code)));
}

template <class V>
std::string_view bytes_of(const std::vector<V>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(V)};
}

void add_array(ZipWriter& archive, const std::string& name, const NpyHeader& header, Spool& values) {
  const std::string head = format_npy_header(header);
  const std::uint32_t crc = values.extend_crc_of(extend_crc(0, head));
  archive.add(name + ".npy", head.size() + values.n_bytes(), crc, [&](std::FILE* file) {
    write_bytes(file, head);
    values.copy_to(file);
  });
}

}  // namespace

Spool::Spool(fs::path target) : target_(std::move(target)) {
  require_path(target_);
  const fs::path folder = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  std::string name = (folder / ".riata-spool-XXXXXX.tmp").string();
  const int descriptor = ::mkostemps(name.data(), 4, O_CLOEXEC);
  if (descriptor < 0) fail_to_write(target_, errno);
  ::unlink(name.c_str());
  file_.reset(::fdopen(descriptor, "w+b"));
  if (file_) return;
  const int code = errno;
  ::close(descriptor);
  fail_to_write(target_, code);
}

void Spool::append(std::string_view bytes) {
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail_to_write(target_, errno);
  n_bytes_ += bytes.size();
}

template <class Use>
void Spool::read_back(const Use& use) {
  if (std::fflush(file_.get()) != 0) fail_to_write(target_, errno);
  seek(file_.get(), target_, 0);
  std::array<char, 1 << 16> chunk;
  while (const std::size_t n = read_up_to(file_.get(), target_, chunk.data(), chunk.size())) use({chunk.data(), n});
}

std::uint32_t Spool::extend_crc_of(std::uint32_t crc) {
  read_back([&](std::string_view bytes) { crc = extend_crc(crc, bytes); });
  return crc;
}

void Spool::copy_to(std::FILE* file) {
  read_back([&](std::string_view bytes) { write_bytes(file, bytes); });
}

template <Scalar T>
CsrFileWriter<T>::CsrFileWriter(const fs::path& path, const std::vector<std::string>& columns)
    : path_(path), names_(columns), indptr_(path), indices_(path), values_(path) {
  // Known now rather than after hours of coding.
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail_to_write(path, EISDIR);
  if (::access(path.c_str(), W_OK) != 0 && errno != ENOENT) fail_to_write(path, errno);
  for (std::size_t k = 0; k < columns.size(); ++k) columns_.emplace_back(path);
  const std::int64_t start = 0;
  indptr_.append({reinterpret_cast<const char*>(&start), sizeof(start)});
}

template <Scalar T>
void CsrFileWriter<T>::append(const CsrRows<T>& rows, const std::vector<std::vector<double>>& columns) {
  std::vector<std::int64_t> ends(rows.indptr.begin() + 1, rows.indptr.end());
  for (std::int64_t& end : ends) end += n_nonzero_;
  indptr_.append(bytes_of(ends));
  indices_.append(bytes_of(rows.indices));
  values_.append(bytes_of(rows.values));
  for (std::size_t k = 0; k < columns_.size(); ++k) columns_[k].append(bytes_of(columns[k]));
  n_rows_ += rows.n_rows();
  n_nonzero_ += static_cast<std::int64_t>(rows.values.size());
}

template <Scalar T>
void CsrFileWriter<T>::finish(Index n_columns) {
  const std::vector<std::int64_t> shape{n_rows_, n_columns};
  write_atomically(path_, [&](std::FILE* file) {
    ZipWriter archive(file);
    add_array(archive, "indices", {"<i4", false, {n_nonzero_}}, indices_);
    add_array(archive, "indptr", {"<i8", false, {n_rows_ + 1}}, indptr_);
    archive.add("format.npy", format_npy_header({"|S3", false, {}}), "csr");
    archive.add("shape.npy", format_npy_header({"<i8", false, {2}}), bytes_of(shape));
    add_array(archive, "data", {sizeof(T) == 4 ? "<f4" : "<f8", false, {n_nonzero_}}, values_);
    for (std::size_t k = 0; k < names_.size(); ++k) add_array(archive, names_[k], {"<f8", false, {n_rows_}}, columns_[k]);
    archive.finish();
  });
}

template class CsrFileWriter<float>;
template class CsrFileWriter<double>;

}  // namespace riata
