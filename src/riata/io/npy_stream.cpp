#include "riata/io/npy_stream.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/npy_header.hpp"
#include "riata/io/small_floats.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

constexpr std::size_t max_dimensions = 64;  // as NumPy 2

void read_exactly(const ByteSource& source, void* out, std::size_t n_bytes) {
  require(source.read(out, n_bytes) == n_bytes, "{} is truncated: it ends inside its header or values", source.name);
}

template <class T>
void swap_bytes(std::vector<T>& values) {
  char* bytes = reinterpret_cast<char*>(values.data());
  for (std::size_t i = 0; i < values.size(); ++i) std::reverse(bytes + i * sizeof(T), bytes + (i + 1) * sizeof(T));
}

/// NumPy's own words for what is refused.
std::string type_name(const std::string& descr) {
  if (descr.starts_with('[')) return "a structured type";
  if (descr.size() < 2) return formatted("values of type '{}'", shown(descr));
  const std::string kind = descr.substr(1, 1), item_bytes = descr.substr(2);
  if (kind == "O") return "Python objects";
  if (kind == "S" || kind == "a") return "byte strings";
  if (kind == "U") return "strings";
  if (kind == "f" && item_bytes == "16") return "float128";
  if (kind == "c" && item_bytes == "8") return "complex64";
  if (kind == "c" && item_bytes == "16") return "complex128";
  if (kind == "M") return "datetime64";
  if (kind == "m") return "timedelta64";
  return formatted("values of type '{}'", shown(descr));
}

/// Converts n stored values block by block: one copy of all, and a small one.
template <class Stored, class To, class Convert>
std::vector<To> read_converted(const ByteSource& source, std::size_t n_values, bool is_big_endian, const Convert& convert) {
  constexpr std::size_t block = 1 << 14;
  std::vector<Stored> stored(std::min(block, n_values));
  std::vector<To> values(n_values);
  for (std::size_t done = 0; done < n_values; done += stored.size()) {
    stored.resize(std::min(block, n_values - done));
    read_exactly(source, stored.data(), stored.size() * sizeof(Stored));
    if (is_big_endian) swap_bytes(stored);
    std::transform(stored.begin(), stored.end(), values.begin() + static_cast<std::ptrdiff_t>(done), convert);
  }
  return values;
}

using Values = decltype(Tensor::data);

template <class T>
Values read_as_stored(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  std::vector<T> values(n_values);
  read_exactly(source, values.data(), n_values * sizeof(T));
  if (is_big_endian) swap_bytes(values);
  return values;
}

template <class T>
Values read_as_double(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  return read_converted<T, double>(source, n_values, is_big_endian, [](T v) { return static_cast<double>(v); });
}

/// Booleans by their byte: 0 is false, as NumPy reads it.
Values read_booleans(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  return read_converted<std::uint8_t, double>(source, n_values, is_big_endian, [](std::uint8_t v) { return v != 0 ? 1.0 : 0.0; });
}

template <auto widen>
Values read_as_float(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  return read_converted<std::uint16_t, float>(source, n_values, is_big_endian, widen);
}

struct StoredType {
  const char* descr;                     ///< kind and size of NumPy's type string
  const char* name;                      ///< NumPy's word for it
  std::size_t item_bytes, memory_bytes;  ///< of a value, in the file and here
  Values (*read)(const ByteSource&, std::size_t n_values, bool is_big_endian);
};

constexpr StoredType stored_types[] = {
    {"f4", "float32", 4, 4, read_as_stored<float>},
    {"f8", "float64", 8, 8, read_as_stored<double>},
    {"f2", "float16", 2, 4, read_as_float<float_of_half>},
    {"V2", "bfloat16", 2, 4, read_as_float<float_of_bfloat16>},
    {"i1", "int8", 1, 8, read_as_double<std::int8_t>},
    {"i2", "int16", 2, 8, read_as_double<std::int16_t>},
    {"i4", "int32", 4, 8, read_as_double<std::int32_t>},
    {"i8", "int64", 8, 8, read_as_double<std::int64_t>},
    {"u1", "uint8", 1, 8, read_as_double<std::uint8_t>},
    {"u2", "uint16", 2, 8, read_as_double<std::uint16_t>},
    {"u4", "uint32", 4, 8, read_as_double<std::uint32_t>},
    {"u8", "uint64", 8, 8, read_as_double<std::uint64_t>},
    {"b1", "bool", 1, 8, read_booleans},
};

/// Null for what is not read.
const StoredType* find_type(const std::string& descr) {
  for (const StoredType& type : stored_types)
    if (descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos && descr.substr(1) == type.descr)
      return descr == "|V2" ? nullptr : &type;  // numpy.void: anything; with an order of bytes it is ml_dtypes' bfloat16
  return nullptr;
}

const StoredType& stored_type(const std::string& descr, const std::string& where) {
  const StoredType* type = find_type(descr);
  require(type != nullptr, "{} holds {}; expected float32, float64 or integers (convert with numpy.astype)", where,
          type_name(descr));
  return *type;
}

/// Values in Fortran order (first index fastest) into C order (last index fastest).
template <class T>
std::vector<T> to_c_order(const std::vector<T>& values, const std::vector<Index>& shape) {
  std::vector<Index> stride(shape.size(), 1), index(shape.size(), 0);
  for (std::size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * shape[d - 1];
  std::vector<T> transposed(values.size());
  Index from = 0;
  for (T& value : transposed) {
    value = values[static_cast<std::size_t>(from)];
    for (std::size_t d = shape.size(); d-- > 0;) {  // the next index, last dimension first
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return transposed;
}

/// Reads up to the values. @returns the number of bytes before them, and the dictionary's text
std::pair<std::uint64_t, std::string> read_header_text(const ByteSource& source) {
  unsigned char start[8] = {};
  const bool is_npy = source.read(start, sizeof(start)) == sizeof(start) && std::memcmp(start, "\x93NUMPY", 6) == 0;
  require(is_npy, "{} is not an .npy file", source.name);
  const int major = start[6], minor = start[7];
  require(1 <= major && major <= 3 && minor == 0, "{} has format version {}.{}; expected 1.0, 2.0 or 3.0", source.name, major,
          minor);
  unsigned char length[4] = {};
  const std::size_t n_length_bytes = major == 1 ? 2 : 4;
  read_exactly(source, length, n_length_bytes);
  const std::uint64_t n_text = length[0] | length[1] << 8 | length[2] << 16 | std::uint64_t{length[3]} << 24;
  const std::uint64_t n_before = sizeof(start) + n_length_bytes + n_text;
  require(n_before <= source.n_bytes, "{} is truncated: its header claims {} bytes, the file holds {}", source.name, n_text,
          source.n_bytes);
  constexpr std::uint64_t max_text_bytes = 1 << 20;  // structured types have the longest; NumPy itself reads 10 000 bytes
  require(n_text <= max_text_bytes, "{} has a header of {} bytes; expected at most {}", source.name, n_text, max_text_bytes);
  std::string text(n_text, '\0');
  read_exactly(source, text.data(), text.size());
  return {n_before, text};
}

/// Reads up to the values and checks what the header promises.
NpyHeader read_header(const ByteSource& source) {
  const auto [n_before, text] = read_header_text(source);
  NpyHeader header = parse_npy_header(text, source.name);
  const StoredType& type = stored_type(header.descr, source.name);
  require(header.shape.size() <= max_dimensions, "{} has {} dimensions; expected at most {}", source.name, header.shape.size(),
          max_dimensions);
  const auto n_promised = checked_bytes(header.shape, type.item_bytes), n_memory = checked_bytes(header.shape, sizeof(double));
  require(n_promised && n_memory, "{} has the impossible shape {}", source.name, shown(to_text(header.shape)));
  const std::uint64_t n_held = source.n_bytes - n_before;
  require(*n_promised <= n_held, "{} is truncated: header promises {} bytes, file holds {}", source.name, *n_promised, n_held);
  const std::uint64_t n_needed = *n_memory / sizeof(double) * type.memory_bytes;
  require(n_needed <= free_memory || n_needed / max_growth <= source.n_packed,
          "{} grows from {} bytes to {} in memory; beyond {} at most {} for one are read (save it with numpy.save)", source.name,
          source.n_packed, n_needed, free_memory, max_growth);
  return header;
}

Values read_values(const ByteSource& source, const std::string& descr, std::size_t n_values) {
  return stored_type(descr, source.name).read(source, n_values, descr[0] == '>');
}

}  // namespace

Tensor parse_npy(const ByteSource& source) {
  const NpyHeader header = read_header(source);
  const std::uint64_t n_values = *checked_bytes(header.shape, 1);
  Values values = read_values(source, header.descr, n_values);
  if (header.fortran_order && header.shape.size() > 1)
    std::visit([&](auto& stored) { stored = to_c_order(stored, header.shape); }, values);
  return {header.shape, std::move(values)};
}

ArrayHeader parse_npy_type(const ByteSource& source) {
  const NpyHeader header = parse_npy_header(read_header_text(source).second, source.name);
  const StoredType* type = find_type(header.descr);
  return {header.shape, type ? type->name : type_name(header.descr), type != nullptr};
}

namespace {

/// Where at most one dimension is longer than 1, both orders are the same.
bool are_in_order(const NpyHeader& header) {
  return !header.fortran_order || std::ranges::count_if(header.shape, [](Index n) { return n > 1; }) <= 1;
}

ByteSource source_of(std::FILE* file, const std::filesystem::path& path) {
  return {path.string(), size_of(file, path), size_of(file, path),
          [file, path](void* out, std::size_t n_bytes) { return read_up_to(file, path, out, n_bytes); }};
}

}  // namespace

bool NpyRows::are_in_order(const std::filesystem::path& path) {
  const File file = open_to_read(path);
  return riata::are_in_order(read_header(source_of(file.get(), path)));
}

NpyRows::NpyRows(const std::filesystem::path& path) : file_(open_to_read(path)), source_(source_of(file_.get(), path)) {
  const NpyHeader header = read_header(source_);
  require(header.shape.size() == 2, "{} has shape {}, expected two dimensions", source_.name, shown(to_text(header.shape)));
  require(riata::are_in_order(header),
          "{} is in Fortran order, so its rows cannot be read one after another; save numpy.ascontiguousarray of it",
          source_.name);
  descr_ = header.descr;
  n_rows_ = header.shape[0];
  n_columns_ = header.shape[1];
  const StoredType& type = stored_type(descr_, source_.name);
  is_float_ = type.memory_bytes == sizeof(float);
  row_bytes_ = static_cast<std::uint64_t>(n_columns_) * type.item_bytes;
  start_ = position_of(file_.get(), path);
}

void NpyRows::seek(Index row) { riata::seek(file_.get(), source_.name, start_ + static_cast<std::uint64_t>(row) * row_bytes_); }

void NpyRows::announce(Index first, Index n) const {
  ::posix_fadvise(::fileno(file_.get()), static_cast<off_t>(start_ + static_cast<std::uint64_t>(first) * row_bytes_),
                  static_cast<off_t>(static_cast<std::uint64_t>(n) * row_bytes_), POSIX_FADV_WILLNEED);
}

decltype(Tensor::data) NpyRows::next(Index n) { return read_values(source_, descr_, static_cast<std::size_t>(n * n_columns_)); }

NpyValues::NpyValues(const std::filesystem::path& path) : file_(open_to_read(path)), source_(source_of(file_.get(), path)) {
  const NpyHeader header = read_header(source_);
  require(riata::are_in_order(header),
          "{} is in Fortran order, so it cannot be read in pieces; save numpy.ascontiguousarray of it", source_.name);
  descr_ = header.descr;
  shape_ = header.shape;
  const StoredType& type = stored_type(descr_, source_.name);
  is_float_ = type.memory_bytes == sizeof(float);
  item_bytes_ = type.item_bytes;
  start_ = position_of(file_.get(), path);
}

decltype(Tensor::data) NpyValues::read(Index first, Index n) {
  seek(file_.get(), source_.name, start_ + static_cast<std::uint64_t>(first) * item_bytes_);
  return read_values(source_, descr_, static_cast<std::size_t>(n));
}

std::string npy_header(const Tensor& tensor, const std::string& where) {
  require_consistent(tensor, where);
  require(tensor.shape.size() <= max_dimensions, "{}: tensor has {} dimensions; expected at most {}", where, tensor.shape.size(),
          max_dimensions);
  constexpr const char* descr[] = {"<f4", "<f8", "<i8"};  // the alternatives of Tensor::data
  return format_npy_header({descr[tensor.data.index()], false, tensor.shape});
}

}  // namespace riata
