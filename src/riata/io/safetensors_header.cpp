#include "riata/io/safetensors_header.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "riata/core/check.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

using Json = nlohmann::json;
constexpr const char* metadata_key = "__metadata__";
constexpr const char* dtypes[] = {"F32", "F64", "I64"};  // the alternatives of Tensor::data

std::uint64_t item_bytes(const std::string& dtype) { return dtype == "F32" ? 4 : 8; }

Json parse_json(const std::string& text, const std::string& name) {
  std::set<std::string> names;
  std::string repeated;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const bool is_name = depth == 1 && event == Json::parse_event_t::key;
    if (is_name && !names.insert(parsed.get<std::string>()).second) repeated = parsed.get<std::string>();
    return true;
  };
  const Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  require(json.is_object(), "{} has a header that is not a JSON object", name);
  require(repeated.empty(), "{} names the tensor '{}' twice", name, repeated);
  return json;
}

bool is_list_of_sizes(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& n) {
           return n.is_number_unsigned() && n.get<std::uint64_t>() <= std::numeric_limits<Index>::max();
         });
}

TensorPlace parse_place(const std::string& tensor, const Json& json, const std::string& name) {
  const bool is_complete = json.is_object() && json.contains("dtype") && json["dtype"].is_string() && json.contains("shape") &&
                           is_list_of_sizes(json["shape"]) && json.contains("data_offsets") &&
                           is_list_of_sizes(json["data_offsets"]) && json["data_offsets"].size() == 2;
  require(is_complete, "{}: tensor '{}' needs a dtype, a shape and two data_offsets", name, tensor);
  TensorPlace place{tensor, json["dtype"], json["shape"], json["data_offsets"][0], json["data_offsets"][1]};
  require(std::find(std::begin(dtypes), std::end(dtypes), place.dtype) != std::end(dtypes),
          "{}: tensor '{}' holds {}; expected F32, F64 or I64", name, tensor, place.dtype);
  const auto n_bytes = checked_bytes(place.shape, item_bytes(place.dtype));
  require(n_bytes.has_value(), "{}: tensor '{}' has the impossible shape {}", name, tensor, to_text(place.shape));
  require(place.begin <= place.end && place.end - place.begin == *n_bytes,
          "{}: tensor '{}' of shape {} needs {} bytes, its data_offsets are {} and {}", name, tensor, to_text(place.shape),
          *n_bytes, place.begin, place.end);
  return place;
}

void parse_metadata(const Json& json, const std::string& name, std::map<std::string, std::string>& metadata) {
  require(json.is_object(), "{}: {} is not a JSON object", name, metadata_key);
  for (const auto& [key, value] : json.items()) {
    require(value.is_string(), "{}: {} entry '{}' is not text", name, metadata_key, key);
    metadata[key] = value;
  }
}

void require_without_gaps(const std::vector<TensorPlace>& places, std::uint64_t n_value_bytes, const std::string& name) {
  std::uint64_t end = 0;
  for (const TensorPlace& place : places) {
    require(place.end <= n_value_bytes, "{} is truncated: tensor '{}' ends at byte {}, the file holds {}", name, place.name,
            place.end, n_value_bytes);
    require(place.begin >= end, "{}: tensor '{}' overlaps another", name, place.name);
    require(place.begin == end, "{}: bytes {} to {} belong to no tensor", name, end, place.begin);
    end = place.end;
  }
  require(end == n_value_bytes, "{}: bytes {} to {} belong to no tensor", name, end, n_value_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& text, std::uint64_t n_value_bytes, const std::string& name) {
  SafetensorsHeader header;
  const Json json = parse_json(text, name);
  for (const auto& [key, value] : json.items()) {
    if (key == metadata_key)
      parse_metadata(value, name, header.metadata);
    else
      header.places.push_back(parse_place(key, value, name));
  }
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
      require_consistent(tensor, fmt::format("write_safetensors: '{}'", name));
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
    throw std::invalid_argument("write_safetensors: a name or a metadata entry is not valid UTF-8 text");
  }
  constexpr std::size_t alignment = 8;
  text.append((alignment - text.size() % alignment) % alignment, ' ');
  return text;
}

}  // namespace riata
