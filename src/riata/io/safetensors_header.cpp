#include "riata/io/safetensors_header.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

using Json = nlohmann::json;
constexpr const char* metadata_key = "__metadata__";
constexpr const char* dtypes[] = {"F32", "F64", "I64"};  // the alternatives of Tensor::data
constexpr const char* readable[] = {"F16", "BF16", "F32", "F64", "I64"};
// Of a header: more than any file needs, and little memory.
constexpr std::size_t most_entries = 1'000'000, most_dimensions = 64, deepest = 8;

std::uint64_t item_bytes(const std::string& dtype) {
  if (dtype == "F16" || dtype == "BF16") return 2;
  return dtype == "F32" ? 4 : 8;
}

/// What the header says of one tensor; numbers that are no sizes leave a list unset.
struct Entry {
  std::string name;
  std::optional<std::string> dtype = {};
  std::optional<std::vector<std::int64_t>> shape = {}, offsets = {};
};

/// Takes the events of the JSON parser, so that memory goes by what is kept of the text and not by how it is nested.
class HeaderEvents : public nlohmann::json_sax<Json> {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string fault;  // what is wrong with the contents; the text is parsed to its end before it counts

  bool key(std::string& text) override {
    if (depth_ == 1) begin_entry(text);
    if (depth_ == 2) field_ = text;
    return n_entries_ <= most_entries;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata_) return metadata[field_] = text, ++n_entries_ <= most_entries;
    if (depth_ == 2 && field_ == "dtype") return entries.back().dtype = text, true;
    return other();
  }
  bool number_integer(std::int64_t n) override { return number(n); }
  bool number_unsigned(std::uint64_t n) override {
    return n <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()) ? number(static_cast<std::int64_t>(n)) : other();
  }
  bool start_object(std::size_t) override { return (depth_ <= 1 || other()) && ++depth_ <= deepest; }
  bool start_array(std::size_t) override {
    if (depth_ == 0) return false;
    if (depth_ == 2 && !in_metadata_ && (field_ == "shape" || field_ == "data_offsets")) {
      list_ = field_ == "shape" ? &entries.back().shape : &entries.back().offsets;
      list_->emplace();
    } else {
      other();
    }
    return ++depth_ <= deepest;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_float(double, const std::string&) override { return other(); }
  bool binary(Json::binary_t&) override { return other(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  void begin_entry(const std::string& name) {
    ++n_entries_;
    in_metadata_ = name == metadata_key;
    field_.clear();
    if (!names_.insert(name).second) blame(formatted(" names the tensor '{}' twice", shown(name)));
    if (!in_metadata_) entries.push_back({name});
  }
  bool number(std::int64_t n) {
    if (depth_ != 3 || list_ == nullptr || !*list_ || (*list_)->size() == most_dimensions) return other();
    (*list_)->push_back(n);
    return true;
  }
  /// A value that does not belong where it stands. Fields that no reader knows may hold anything.
  bool other() {
    if (depth_ == 0) return false;
    if (in_metadata_ && depth_ == 1) blame(formatted(": {} is not a JSON object", metadata_key));
    if (in_metadata_ && depth_ == 2) blame(formatted(": {} entry '{}' is not text", metadata_key, shown(field_)));
    if (!in_metadata_ && depth_ == 2 && field_ == "dtype") entries.back().dtype.reset();
    if (!in_metadata_ && depth_ == 2 && field_ == "shape") entries.back().shape.reset();
    if (!in_metadata_ && depth_ == 2 && field_ == "data_offsets") entries.back().offsets.reset();
    if (depth_ == 3 && list_ != nullptr) list_->reset();
    return true;
  }
  bool close() {
    --depth_;
    if (depth_ <= 2) list_ = nullptr;
    return true;
  }
  void blame(std::string sentence) {
    if (fault.empty()) fault = std::move(sentence);
  }

  std::size_t depth_ = 0, n_entries_ = 0;
  bool in_metadata_ = false;
  std::string field_;
  std::set<std::string> names_;
  std::optional<std::vector<std::int64_t>>* list_ = nullptr;
};

TensorPlace place_of(const Entry& entry, const std::string& name) {
  const std::string tensor = shown(entry.name);
  const bool has_shape = entry.shape && std::ranges::all_of(*entry.shape, [](std::int64_t n) { return n >= 0; });
  require(entry.dtype && has_shape && entry.offsets && entry.offsets->size() == 2,
          "{}: tensor '{}' needs a dtype, a shape and two data_offsets", name, tensor);
  const std::int64_t begin = entry.offsets->front(), end = entry.offsets->back();
  require(begin >= 0 && end >= 0, "{}: the data_offsets of tensor '{}' are {} and {}, must be >= 0", name, tensor, begin, end);
  TensorPlace place{entry.name,
                    *entry.dtype,
                    {entry.shape->begin(), entry.shape->end()},
                    static_cast<std::uint64_t>(begin),
                    static_cast<std::uint64_t>(end)};
  require(std::ranges::find(readable, place.dtype) != std::end(readable), "{}: tensor '{}' holds {}; expected {}", name, tensor,
          shown(place.dtype), fmt::join(readable, ", "));
  const auto n_bytes = checked_bytes(place.shape, item_bytes(place.dtype));
  require(n_bytes.has_value(), "{}: tensor '{}' has the impossible shape {}", name, tensor, to_text(place.shape));
  require(begin <= end && place.end - place.begin == *n_bytes,
          "{}: tensor '{}' of shape {} needs {} bytes, its data_offsets are {} and {}", name, tensor, to_text(place.shape),
          *n_bytes, place.begin, place.end);
  return place;
}

void require_without_gaps(const std::vector<TensorPlace>& places, std::uint64_t n_value_bytes, const std::string& name) {
  std::uint64_t end = 0;
  for (const TensorPlace& place : places) {
    const std::string tensor = shown(place.name);
    require(place.end <= n_value_bytes, "{} is truncated: tensor '{}' ends at byte {}, the file holds {}", name, tensor,
            place.end, n_value_bytes);
    require(place.begin >= end, "{}: tensor '{}' overlaps another", name, tensor);
    require(place.begin == end, "{}: bytes {} to {} belong to no tensor", name, end, place.begin);
    end = place.end;
  }
  require(end == n_value_bytes, "{}: bytes {} to {} belong to no tensor", name, end, n_value_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& text, std::uint64_t n_value_bytes, const std::string& name) {
  HeaderEvents events;
  require(Json::sax_parse(text, &events), "{} has a header that is not a JSON object", name);
  require(events.fault.empty(), "{}{}", name, events.fault);
  SafetensorsHeader header{{}, std::move(events.metadata)};
  for (const Entry& entry : events.entries) header.places.push_back(place_of(entry, name));
  std::sort(header.places.begin(), header.places.end(),
            [](const TensorPlace& a, const TensorPlace& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  require_without_gaps(header.places, n_value_bytes, name);
  return header;
}

SafetensorsHeader lay_out(const TensorFile& file) {
  SafetensorsHeader header{{}, file.metadata};
  std::uint64_t position = 0;
  for (const std::uint64_t wanted_bytes : {8, 4})
    for (const auto& [name, tensor] : file.tensors) {
      const std::string dtype = dtypes[tensor.data.index()];
      if (item_bytes(dtype) != wanted_bytes) continue;
      require(name != metadata_key, "write_safetensors: a tensor cannot be named '{}'", metadata_key);
      require_consistent(tensor, formatted("write_safetensors: '{}'", name));
      const std::uint64_t end = position + bytes_of(tensor).size();
      header.places.push_back({name, dtype, tensor.shape, position, end});
      position = end;
    }
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  Json json = Json::object();
  if (!header.metadata.empty()) json[metadata_key] = header.metadata;
  for (const TensorPlace& place : header.places)
    json[place.name] = {{"dtype", place.dtype}, {"shape", place.shape}, {"data_offsets", {place.begin, place.end}}};
  std::string text;
  try {
    text = json.dump();
  } catch (const Json::type_error&) {
    refuse("write_safetensors: a name or a metadata entry is not valid UTF-8 text");
  }
  constexpr std::size_t alignment = 8;
  text.append((alignment - text.size() % alignment) % alignment, ' ');
  return text;
}

}  // namespace riata
