#include "riata/io/npy_stream.hpp"

#include <algorithm>
#include <cstring>

#include "riata/core/check.hpp"
#include "riata/io/npy_header.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

constexpr std::size_t max_dimensions = 64;  // as NumPy 2

void read_exactly(const ByteSource& source, void* out, std::size_t n_bytes) {
  require(source.read(out, n_bytes) == n_bytes, "{} is truncated: it ends inside its header or values", source.name);
}

/// "<f2" -> "float16": NumPy's own words for what is refused.
std::string type_name(const std::string& descr) {
  if (descr.starts_with('[')) return "a structured type";
  if (descr.size() < 2) return fmt::format("values of type '{}'", descr);
  const std::string kind = descr.substr(1, 1), item_bytes = descr.substr(2);
  if (kind == "O") return "Python objects";
  if (kind == "S" || kind == "a") return "byte strings";
  if (kind == "U") return "strings";
  if (kind == "f" && item_bytes == "2") return "float16";
  if (kind == "f" && item_bytes == "16") return "float128";
  if (kind == "c" && item_bytes == "8") return "complex64";
  if (kind == "c" && item_bytes == "16") return "complex128";
  if (kind == "M") return "datetime64";
  if (kind == "m") return "timedelta64";
  return fmt::format("values of type '{}'", descr);
}

template <class T>
std::vector<T> read_as_stored(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  std::vector<T> values(n_values);
  read_exactly(source, values.data(), n_values * sizeof(T));
  if (!is_big_endian) return values;
  char* bytes = reinterpret_cast<char*>(values.data());
  for (std::size_t i = 0; i < n_values; ++i) std::reverse(bytes + i * sizeof(T), bytes + (i + 1) * sizeof(T));
  return values;
}

template <class T>
std::vector<double> read_as_double(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  const std::vector<T> stored = read_as_stored<T>(source, n_values, is_big_endian);
  std::vector<double> values(n_values);
  std::transform(stored.begin(), stored.end(), values.begin(), [](T v) { return static_cast<double>(v); });
  return values;
}

/// Booleans by their byte: 0 is false, as NumPy reads it.
std::vector<double> read_booleans(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  std::vector<double> values = read_as_double<std::uint8_t>(source, n_values, is_big_endian);
  for (double& value : values) value = value != 0;
  return values;
}

using Values = decltype(Tensor::data);
struct StoredType {
  const char* name;  ///< kind and size of NumPy's type string
  std::size_t item_bytes;
  Values (*read)(const ByteSource&, std::size_t n_values, bool is_big_endian);
};

template <auto reader>
Values read_with(const ByteSource& source, std::size_t n_values, bool is_big_endian) {
  return reader(source, n_values, is_big_endian);
}

constexpr StoredType stored_types[] = {
    {"f4", 4, read_with<read_as_stored<float>>},
    {"f8", 8, read_with<read_as_stored<double>>},
    {"i1", 1, read_with<read_as_double<std::int8_t>>},
    {"i2", 2, read_with<read_as_double<std::int16_t>>},
    {"i4", 4, read_with<read_as_double<std::int32_t>>},
    {"i8", 8, read_with<read_as_double<std::int64_t>>},
    {"u1", 1, read_with<read_as_double<std::uint8_t>>},
    {"u2", 2, read_with<read_as_double<std::uint16_t>>},
    {"u4", 4, read_with<read_as_double<std::uint32_t>>},
    {"u8", 8, read_with<read_as_double<std::uint64_t>>},
    {"b1", 1, read_with<read_booleans>},
};

const StoredType& stored_type(const std::string& descr, const std::string& where) {
  for (const StoredType& type : stored_types)
    if (descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos && descr.substr(1) == type.name)
      return type;
  throw std::invalid_argument(
      fmt::format("{} holds {}; expected float32, float64 or integers (convert with numpy.astype)", where, type_name(descr)));
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
  const auto n_promised = checked_bytes(header.shape, type.item_bytes);
  require(n_promised && checked_bytes(header.shape, sizeof(double)), "{} has the impossible shape {}", source.name,
          to_text(header.shape));
  const std::uint64_t n_held = source.n_bytes - n_before;
  require(*n_promised <= n_held, "{} is truncated: header promises {} bytes, file holds {}", source.name, *n_promised, n_held);
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

NpyRows::NpyRows(const std::filesystem::path& path)
    : file_(open_to_read(path)),
      source_{path.string(), size_of(file_.get(), path),
              [file = file_.get(), path](void* out, std::size_t n_bytes) { return read_up_to(file, path, out, n_bytes); }} {
  const NpyHeader header = read_header(source_);
  require(header.shape.size() == 2, "{} has shape {}, expected two dimensions", source_.name, to_text(header.shape));
  require(!header.fortran_order || header.shape[0] <= 1 || header.shape[1] <= 1,
          "{} is in Fortran order, so its rows cannot be read one after another; save numpy.ascontiguousarray of it",
          source_.name);
  descr_ = header.descr;
  n_rows_ = header.shape[0];
  n_columns_ = header.shape[1];
  is_float_ = descr_.ends_with("f4");
}

decltype(Tensor::data) NpyRows::next(Index n) { return read_values(source_, descr_, static_cast<std::size_t>(n * n_columns_)); }

std::string npy_header(const Tensor& tensor, const std::string& where) {
  require_consistent(tensor, where);
  require(tensor.shape.size() <= max_dimensions, "{}: tensor has {} dimensions; expected at most {}", where, tensor.shape.size(),
          max_dimensions);
  constexpr const char* descr[] = {"<f4", "<f8", "<i8"};  // the alternatives of Tensor::data
  return format_npy_header({descr[tensor.data.index()], false, tensor.shape});
}

}  // namespace riata
