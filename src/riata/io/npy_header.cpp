#include "riata/io/npy_header.hpp"

#include <charconv>

#include "riata/core/check.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

/// Reads the few Python literals that occur in headers, left to right.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  bool accept(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) { check(accept(token)); }

  std::string string() {
    const char quote = accept("'") ? '\'' : (expect("\""), '"');
    return take(rest_.find(quote), 1);
  }

  /// A list with everything in it, brackets nested: the type of structured arrays.
  std::string list() {
    int depth = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      depth += rest_[i] == '[' ? 1 : rest_[i] == ']' ? -1 : 0;
      if (depth == 0) return take(i + 1, 0);
    }
    return take(std::string_view::npos, 0);
  }

  bool boolean() { return accept("True") || (expect("False"), false); }

  Index integer() {
    skip_space();
    Index value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    require(error != std::errc::result_out_of_range, "{} has a dimension too large to count", where_);
    check(error == std::errc());
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    accept("L");  // Python 2 marked long integers
    return value;
  }

  std::vector<Index> shape() {
    std::vector<Index> dimensions;
    expect("(");
    while (!accept(")")) {
      dimensions.push_back(integer());
      if (accept(",")) continue;
      expect(")");
      break;
    }
    return dimensions;
  }

  bool next_is(std::string_view token) {
    skip_space();
    return rest_.starts_with(token);
  }

  void check(bool condition) const { require(condition, "{} has a header that is not NumPy's", where_); }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  std::string take(std::size_t n, std::size_t n_dropped) {
    check(n != std::string_view::npos);
    std::string taken(rest_.substr(0, n));
    rest_.remove_prefix(n + n_dropped);
    return taken;
  }

  std::string_view rest_;
  const std::string& where_;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& where) {
  NpyHeader header;
  bool has_descr = false, has_order = false, has_shape = false;
  Scanner scanner(text, where);
  scanner.expect("{");
  while (!scanner.accept("}")) {
    const std::string key = scanner.string();
    scanner.expect(":");
    bool& is_known = key == "descr" ? has_descr : key == "fortran_order" ? has_order : has_shape;
    scanner.check(!is_known && (&is_known != &has_shape || key == "shape"));
    is_known = true;
    if (key == "descr") header.descr = scanner.next_is("[") ? scanner.list() : scanner.string();
    if (key == "fortran_order") header.fortran_order = scanner.boolean();
    if (key == "shape") header.shape = scanner.shape();
    if (!scanner.accept(",")) {
      scanner.expect("}");
      break;
    }
  }
  scanner.check(has_descr && has_order && has_shape);
  return header;
}

std::string format_npy_header(const NpyHeader& header) {
  std::string text = formatted("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", header.descr,
                               header.fortran_order ? "True" : "False", to_text(header.shape));
  constexpr std::size_t prefix_bytes = 10, alignment = 64;
  const std::size_t n_used = prefix_bytes + text.size() + 1;  // 1: the newline
  text.append((alignment - n_used % alignment) % alignment, ' ');
  text += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(text.size() & 0xff);
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

}  // namespace riata
