#include "riata/io/arrays.hpp"

#include <cmath>
#include <limits>

#include "io/files.hpp"

namespace riata::testing {
namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;

const Tensor counting{{2, 3}, Doubles{0, 1, 2, 3, 4, 5}};

/// An .npy file of version 1.0 with any header text.
std::string npy(const std::string& text, const std::string& values) {
  return std::string("\x93NUMPY\x01\x00", 8) + little_endian(text.size(), 2) + text + values;
}
std::string npy_of_shape(const std::string& shape, const std::string& values) {
  return npy("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }\n", values);
}

std::string npy_message(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = folder.put("x.npy", bytes);
  const std::string message = message_of<std::invalid_argument>([&] { read_npy(path); });
  EXPECT_EQ(message.substr(0, path.string().size() + 1), path.string() + " ");
  return message.substr(std::min(message.size(), path.string().size() + 1));
}

TEST(ReadNpy, ReadsWhatNumPyWrites) {
  for (const std::string name : {"double_c.npy", "double_big_endian.npy", "version2.npy", "version3.npy"})
    EXPECT_EQ(read_npy(data(name)), counting) << name;
  EXPECT_EQ(read_npy(data("int16.npy")), (Tensor{{3}, Doubles{-3, 0, 32767}}));
  EXPECT_EQ(read_npy(data("uint64.npy")), (Tensor{{3}, Doubles{0, 0x1p53 + 2, 0x1p64 - 2048}}));
  EXPECT_EQ(read_npy(data("bool.npy")), (Tensor{{3}, Doubles{1, 0, 1}}));
  EXPECT_EQ(read_npy(data("scalar.npy")), (Tensor{{}, Doubles{2.5}}));
  EXPECT_EQ(read_npy(data("empty.npy")), (Tensor{{0, 3}, Floats{}}));
}

TEST(ReadNpy, TransposesFortranOrder) {
  Floats expected(24);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<float>(i);
  EXPECT_EQ(read_npy(data("float_fortran.npy")), (Tensor{{2, 3, 4}, expected}));
}

TEST(ReadNpy, ConvertsEveryIntegerWidth) {
  const TemporaryFolder folder;
  const std::string ones(8, '\xff');
  const auto value = [&](const std::string& descr, std::size_t n_bytes) {
    const std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (), }\n";
    return std::get<Doubles>(read_npy(folder.put("x.npy", npy(text, ones.substr(0, n_bytes)))).data).at(0);
  };
  for (const char* descr : {"|i1", "<i2", ">i4", "<i8"}) EXPECT_EQ(value(descr, 8), -1) << descr;
  EXPECT_EQ(value("|u1", 1), 255);
  EXPECT_EQ(value(">u2", 2), 65535);
  EXPECT_EQ(value("<u4", 4), 0x1p32 - 1);
  EXPECT_EQ(value("<u8", 8), 0x1p64);
  EXPECT_EQ(value("|b1", 1), 1);
}

TEST(ReadNpy, WidensSixteenBitFloats) {
  EXPECT_EQ(read_npy(data("float16.npy")), (Tensor{{2, 3}, Floats{0, 1, 2, 3, 4, 5}}));
  const TemporaryFolder folder;
  const auto values = [&](const std::string& descr, const std::string& bytes) {
    const std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (3,), }\n";
    return std::get<Floats>(read_npy(folder.put("x.npy", npy(text, bytes))).data);
  };
  EXPECT_EQ(values("<f2", std::string("\x00\x3c\x00\xc0\x01\x00", 6)), (Floats{1, -2, 0x1p-24f}));
  EXPECT_EQ(values(">f2", std::string("\x3c\x00\xc0\x00\x00\x01", 6)), (Floats{1, -2, 0x1p-24f}));
  EXPECT_EQ(values("<V2", std::string("\x80\x3f\x00\xc0\x01\x00", 6)), (Floats{1, -2, 0x1p-133f}));  // ml_dtypes' bfloat16
}

TEST(ReadNpy, ConvertsLongArraysBlockByBlock) {
  const TemporaryFolder folder;
  std::string bytes;
  Doubles expected;
  for (int i = 0; i < 40'000; ++i) {
    bytes += static_cast<char>(i % 251 - 125);
    expected.push_back(i % 251 - 125);
  }
  const std::string text = "{'descr': '|i1', 'fortran_order': False, 'shape': (40000,), }\n";
  EXPECT_EQ(read_npy(folder.put("x.npy", npy(text, bytes))), (Tensor{{40'000}, expected}));
}

TEST(ReadNpy, AcceptsOtherSpellingsOfTheHeader) {
  const TemporaryFolder folder;
  const std::string text = "{\"shape\":(1L,2L) ,\"fortran_order\":True,\"descr\":\"=f8\"}";
  EXPECT_EQ(read_npy(folder.put("x.npy", npy(text, std::string(16, '\0')))), (Tensor{{1, 2}, Doubles{0, 0}}));
}

TEST(WriteNpy, RoundTripsBitForBit) {
  const TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor special{{2, 2}, Doubles{-0.0, nan, std::numeric_limits<double>::infinity(), 5e-324}};
  write_npy(folder / "x.npy", special);
  const auto values = std::get<Doubles>(read_npy(folder / "x.npy").data);
  EXPECT_EQ(std::memcmp(values.data(), std::get<Doubles>(special.data).data(), sizeof(double) * 4), 0);
  for (const Tensor& tensor : {Tensor{{1, 3}, Floats{1, -2, 1e-40f}}, Tensor{{}, Floats{7}}, Tensor{{2, 0, 3}, Doubles{}}}) {
    write_npy(folder / "x.npy", tensor);
    EXPECT_EQ(read_npy(folder / "x.npy"), tensor);
  }
}

TEST(WriteNpy, WritesTheBytesOfNumPy) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", counting);
  EXPECT_EQ(bytes_of_file(folder / "x.npy"), bytes_of_file(data("double_c.npy")));
  write_npy(folder / "x.npy", {{0, 3}, Floats{}});
  EXPECT_EQ(bytes_of_file(folder / "x.npy"), bytes_of_file(data("empty.npy")));
}

TEST(WriteNpy, KeepsIntegersOnDisk) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", to_tensor(std::int64_t{-2}));
  EXPECT_NE(bytes_of_file(folder / "x.npy").find("'<i8'"), std::string::npos);
  EXPECT_EQ(read_npy(folder / "x.npy"), (Tensor{{}, Doubles{-2}}));
}

TEST(WriteNpy, RefusesAShapeThatDoesNotFit_AndKeepsTheOldFile) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", counting);
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              write_npy(folder / "x.npy", {{2, 3}, Doubles{1}});
            }),
            "write_npy: tensor of shape (2, 3) holds 1 values");
  EXPECT_EQ(read_npy(folder / "x.npy"), counting);
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              write_npz(folder / "x.npz", {{"a", {{-1}, Doubles{}}}});
            }),
            "write_npz: 'a': tensor of shape (-1,) holds 0 values");
  EXPECT_EQ(folder.n_files(), 1);
}

TEST(ReadNpy, RefusesOtherTypes) {
  const auto message = [](const std::string& name) {
    return message_of<std::invalid_argument>([&] { read_npy(data(name)); }).substr(data(name).string().size());
  };
  const std::string expected = "; expected float32, float64 or integers (convert with numpy.astype)";
  EXPECT_EQ(message("complex64.npy"), " holds complex64" + expected);
  EXPECT_EQ(message("object.npy"), " holds Python objects" + expected);
  EXPECT_EQ(message("structured.npy"), " holds a structured type" + expected);
  const auto other = [](const std::string& descr) {
    return npy_message(npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }\n", std::string(16, ' ')));
  };
  EXPECT_EQ(other("<U2"), "holds strings" + expected);
  EXPECT_EQ(other("|S4"), "holds byte strings" + expected);
  EXPECT_EQ(other("<f16"), "holds float128" + expected);
  EXPECT_EQ(other("<c16"), "holds complex128" + expected);
  EXPECT_EQ(other("<M8[s]"), "holds datetime64" + expected);
  EXPECT_EQ(other("<m8[s]"), "holds timedelta64" + expected);
  EXPECT_EQ(other("|V3"), "holds values of type '|V3'" + expected);
  EXPECT_EQ(other("|V2"), "holds values of type '|V2'" + expected);  // numpy.void: of any meaning
  EXPECT_EQ(other("<V1"), "holds values of type '<V1'" + expected);  // float8: of several kinds
  EXPECT_EQ(other("\033[2J\n"), "holds values of type '\\x1b[2J\\n'" + expected);
  EXPECT_EQ(other(""), "holds values of type ''" + expected);
}

TEST(ReadNpy, RefusesDamagedFilesWithASentence) {
  EXPECT_EQ(npy_message(""), "is not an .npy file");
  EXPECT_EQ(npy_message("\x89PNG 1234567890"), "is not an .npy file");
  EXPECT_EQ(npy_message(std::string("\x93NUMPY\x04\x00", 8) + "ab"), "has format version 4.0; expected 1.0, 2.0 or 3.0");
  EXPECT_EQ(npy_message(npy_of_shape("(100, 100)", std::string(120, ' '))),
            "is truncated: header promises 80000 bytes, file holds 120");
  EXPECT_EQ(npy_message(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)),
            "is truncated: its header claims 4294967295 bytes, the file holds 12");
  EXPECT_EQ(npy_message(std::string("\x93NUMPY\x02\x00\x00\x00\x20\x00", 12) + std::string(1 << 21, '[')),
            "has a header of 2097152 bytes; expected at most 1048576");
  EXPECT_EQ(npy_message(npy_of_shape("(-1, 4)", "")), "has the impossible shape (-1, 4)");
  EXPECT_EQ(npy_message(npy_of_shape("(4611686018427387904, 4)", "")), "has the impossible shape (4611686018427387904, 4)");
  EXPECT_EQ(npy_message(npy_of_shape("(99999999999999999999,)", "")), "has a dimension too large to count");
  std::string ones = "(";
  for (int i = 0; i < 65; ++i) ones += "1,";
  EXPECT_EQ(npy_message(npy_of_shape(ones + ")", std::string(8, ' '))), "has 65 dimensions; expected at most 64");
  const std::string not_numpy = "has a header that is not NumPy's";
  for (const std::string text : {"", "{", "{}", "[]", "{'descr': '<f8'}", "{'descr': <f8}", "{'descr': '<f8", "{'shape': (1,",
                                 "{'shape': (1 2)}", "{'shape': (a)}", "{'fortran_order': 1}", "{'other': 1}",
                                 "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}", "{'descr': [('x'"})
    EXPECT_EQ(npy_message(npy(text, "")), not_numpy) << text;
}

TEST(ReadNpy, RefusesEveryPrefix_AndSurvivesDamage) {
  const auto read = [](const fs::path& path) { read_npy(path); };
  expect_every_prefix_refused(bytes_of_file(data("double_c.npy")), "x.npy", read);
  expect_no_crash_on_damage(bytes_of_file(data("float_fortran.npy")), "x.npy", read);
}

TEST(ReadNpy, SaysWhyTheFileCannotBeRead) {
  EXPECT_EQ(message_of<Error>([] { read_npy("none.npy"); }), "cannot read none.npy: No such file or directory");
  EXPECT_EQ(message_of<Error>([] { read_npz("/tmp"); }), "cannot read /tmp: Is a directory");
}

}  // namespace
}  // namespace riata::testing
