#include "riata/io/safetensors.hpp"

#include <cmath>
#include <limits>

#include "io/files.hpp"

namespace riata::testing {
namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;
using Integers = std::vector<std::int64_t>;

const TensorFile model{{{"dictionary", {{2, 3}, Doubles{0, 1, 2, 3, 4, 5}}},
                        {"steps", {{3}, Floats{1, 0.5, 0.25}}},
                        {"iteration", {{}, Integers{7}}}},
                       {{"kind", "dense"}, {"name", "é"}}};

std::string file_with(const std::string& header, const std::string& values) {
  return little_endian(header.size(), 8) + header + values;
}

std::string safetensors_message(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = folder.put("m.safetensors", bytes);
  const std::string text = message_of<std::invalid_argument>([&] { read_safetensors(path); });
  EXPECT_EQ(text.substr(0, path.string().size()), path.string());
  return text.substr(std::min(text.size(), path.string().size()));
}

std::string write_message(const TensorFile& file) {
  const TemporaryFolder folder;
  const std::string text = message_of<std::invalid_argument>([&] { write_safetensors(folder / "m", file); });
  EXPECT_EQ(folder.n_files(), 0);
  return text;
}

TEST(Safetensors, ReadsWhatTheReferenceImplementationWrites) { EXPECT_EQ(read_safetensors(data("model.safetensors")), model); }

TEST(Safetensors, RoundTripsBitForBit_AndEqualContentsGiveEqualBytes) {
  const TemporaryFolder folder;
  TensorFile file = model;
  file.tensors["empty"] = {{4, 0}, Floats{}};
  file.tensors["big"] = {{2}, Integers{(std::int64_t{1} << 53) + 1, std::numeric_limits<std::int64_t>::min()}};
  file.metadata["json"] = "{\"quoted\": \"\\n\"}";
  for (const TensorFile& contents : {file, TensorFile{}, TensorFile{{}, {{"only", "text"}}}}) {
    write_safetensors(folder / "a", contents);
    write_safetensors(folder / "b", contents);
    EXPECT_EQ(read_safetensors(folder / "a"), contents);
    EXPECT_EQ(bytes_of_file(folder / "a"), bytes_of_file(folder / "b"));
  }
}

TEST(Safetensors, AlignsTheValues) {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", {{{"a", {{1}, Floats{1}}}, {"b", {{1}, Doubles{2}}}}, {}});
  const std::string bytes = bytes_of_file(folder / "m");
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]) % 8, 0);
  EXPECT_NE(bytes.find(R"("b":{"data_offsets":[0,8],"dtype":"F64","shape":[1]})"), std::string::npos) << bytes;
}

TEST(Safetensors, RefusesWhatItCannotWrite) {
  EXPECT_EQ(write_message({{{"__metadata__", {{}, Floats{1}}}}, {}}),
            "write_safetensors: a tensor cannot be named '__metadata__'");
  EXPECT_EQ(write_message({{{"x", {{2}, Floats{1}}}}, {}}), "write_safetensors: 'x': tensor of shape (2,) holds 1 values");
  EXPECT_EQ(write_message({{}, {{"name", "\xff"}}}), "write_safetensors: a name or a metadata entry is not valid UTF-8 text");
  EXPECT_EQ(message_of<Error>([] { write_safetensors("/dev/full", model); }), "cannot write /dev/full: No space left on device");
}

TEST(Safetensors, ReadsHalvesAsFloats) {
  const TensorFile file = read_safetensors(data("half.safetensors"));
  ASSERT_TRUE(std::holds_alternative<Floats>(file.tensors.at("half").data));
  const TemporaryFolder folder;
  const auto two = [&](const char* dtype, const std::string& bytes) {
    const std::string header = R"({"x":{"dtype":")" + std::string(dtype) + R"(","shape":[2],"data_offsets":[0,4]}})";
    return std::get<Floats>(read_safetensors(folder.put("m", file_with(header, bytes))).tensors.at("x").data);
  };
  EXPECT_EQ(two("F16", little_endian(0x0001'c000, 4)), (Floats{-2, 0x1p-24F}));  // the least one too
  EXPECT_EQ(two("BF16", little_endian(0x0001'c000, 4)), (Floats{-2, 0x1p-133F}));
  const Floats not_finite = two("F16", little_endian(0x7e00'fc00, 4));
  EXPECT_EQ(not_finite[0], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(not_finite[1]));
}

TEST(Safetensors, RefusesOtherTypes) {
  EXPECT_EQ(safetensors_message(file_with(R"({"x":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})", "  ")),
            ": tensor 'x' holds I8; expected F16, BF16, F32, F64, I64");
}

TEST(Safetensors, TellsOtherFilesFromTruncatedOnes) {
  const std::string zip = "PK\3\4" + std::string(4, '\0');  // what a length of 67 324 752 bytes looks like
  for (const std::string& rest : {std::string(1000, '\0'), "\x08\x08" + std::string(1000, 'x')})
    EXPECT_EQ(safetensors_message(zip + rest), " is not a safetensors file but a zip archive, as PyTorch writes");
  EXPECT_EQ(safetensors_message(little_endian(1000, 8) + "abcdef"),
            " is not a safetensors file: its header does not begin with a brace");
}

TEST(Safetensors, RefusesNegativeOffsetsAsSuch) {
  EXPECT_EQ(safetensors_message(file_with(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", "")),
            ": the data_offsets of tensor 'x' are -8 and 0, must be >= 0");
}

TEST(Safetensors, ReadsDeepAndLongHeadersInLittleMemory) {
  const std::string unknown = R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"more":)";
  const auto nested = [&](std::size_t n) { return file_with(unknown + std::string(n, '[') + std::string(n, ']') + "}}", ""); };
  const TemporaryFolder folder;
  EXPECT_EQ(read_safetensors(folder.put("m", nested(5))).tensors.size(), 1U);
  for (const std::size_t n : {20, 1'000'000})
    EXPECT_EQ(safetensors_message(nested(n)), " has a header that is not a JSON object");
  std::string ones = "1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  EXPECT_EQ(safetensors_message(file_with(R"({"x":{"dtype":"F32","shape":[)" + ones + R"(],"data_offsets":[0,4]}})", "    ")),
            ": tensor 'x' needs a dtype, a shape and two data_offsets");
}

TEST(Safetensors, RefusesDamagedHeadersWithASentence) {
  EXPECT_EQ(safetensors_message(""), " is not a safetensors file: it holds 0 bytes");
  EXPECT_EQ(safetensors_message(std::string(8, '\xff')),
            " is not a safetensors file: its header claims 18446744073709551615 bytes, at most 100000000 are "
            "allowed");
  EXPECT_EQ(safetensors_message(little_endian(1000, 8) + "{}"), " is truncated: its header claims 1000 bytes, the file holds 10");
  for (const std::string header : {"", "[]", "{", "{}x", "\xff"})
    EXPECT_EQ(safetensors_message(file_with(header, "")), " has a header that is not a JSON object") << header;
  EXPECT_EQ(safetensors_message(file_with(std::string(100'000, '['), "")), " has a header that is not a JSON object");
  EXPECT_EQ(safetensors_message(file_with(R"({"__metadata__":[]})", "")), ": __metadata__ is not a JSON object");
  EXPECT_EQ(safetensors_message(file_with(R"({"__metadata__":{"a":1}})", "")), ": __metadata__ entry 'a' is not text");
}

TEST(Safetensors, RefusesDamagedTensorsWithASentence) {
  const auto with_x = [](const std::string& entry, std::size_t n_value_bytes) {
    return safetensors_message(file_with("{\"x\":" + entry + "}", std::string(n_value_bytes, ' ')));
  };
  const std::string incomplete = ": tensor 'x' needs a dtype, a shape and two data_offsets";
  for (const std::string entry :
       {"1", "{}", R"({"dtype":1,"shape":[],"data_offsets":[0,4]})", R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", R"({"dtype":"F32","shape":[],"data_offsets":[0]})",
        R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})", R"({"dtype":"F32","data_offsets":[0,4]})"})
    EXPECT_EQ(with_x(entry, 4), incomplete) << entry;
  EXPECT_EQ(with_x(R"({"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,4]})", 4),
            ": tensor 'x' has the impossible shape (4611686018427387904, 2)");
  EXPECT_EQ(with_x(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4),
            ": tensor 'x' of shape (2,) needs 8 bytes, its data_offsets are 0 and 4");
  EXPECT_EQ(with_x(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8),
            ": tensor 'x' of shape (2,) needs 8 bytes, its data_offsets are 8 and 0");
  const std::string x = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_EQ(with_x(x, 4), " is truncated: tensor 'x' ends at byte 8, the file holds 4");
  EXPECT_EQ(with_x(x, 9), ": bytes 8 to 9 belong to no tensor");
  EXPECT_EQ(with_x(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})", 12), ": bytes 0 to 4 belong to no tensor");
  EXPECT_EQ(with_x(x + R"(,"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]})", 8), ": tensor 'y' overlaps another");
  EXPECT_EQ(with_x(x + ",\"x\":" + x, 8), " names the tensor 'x' twice");
}

TEST(Safetensors, RefusesEveryPrefix_AndSurvivesDamage) {
  const auto read = [](const fs::path& path) { read_safetensors(path); };
  const std::string bytes = bytes_of_file(data("model.safetensors"));
  expect_every_prefix_refused(bytes, "m", read);
  expect_no_crash_on_damage(bytes, "m", read);
}

TEST(Safetensors, SaysWhyTheFileCannotBeRead) {
  EXPECT_EQ(message_of<Error>([] { read_safetensors("none"); }), "cannot read none: No such file or directory");
}

}  // namespace
}  // namespace riata::testing
