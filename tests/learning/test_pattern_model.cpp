#include "riata/learning/pattern_model.hpp"

#include "io/files.hpp"
#include "riata/io/model_file.hpp"
#include "riata/learning/model.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <Scalar T>
PatternModel<T> rank_one_model() {
  Draw draw(5);
  PatternModel<T> model{.u = draw.atoms(2, 3).cast<T>(),
                        .v = draw.atoms(7, 3).cast<T>(),
                        .window = tukey_window<T>(7),
                        .n_channels = 2,
                        .rate = 173.61,
                        .channel_names = {"EEG Fp1", "\xc3\xa9"},
                        .unit = "V",
                        .reg = 0.1,
                        .positive = false,
                        .metadata = {{"method", "stochastic"}}};
  return model;
}

template <Scalar T>
PatternModel<T> free_model() {
  return {.kernels = Draw(6).atoms(14, 3).cast<T>(), .n_channels = 2};
}

template <Scalar T>
class PatternModels : public ::testing::Test {};
using Precisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PatternModels, Precisions);

TYPED_TEST(PatternModels, ComeBackAsTheyWere) {
  using T = TypeParam;
  const TemporaryFolder folder;
  const std::string path = (folder / "p.safetensors").string();
  for (const PatternModel<T>& model : {rank_one_model<T>(), free_model<T>()}) {
    save_patterns<T>(path, model);
    const auto loaded = load_patterns<T>(path);
    EXPECT_EQ(loaded.u, model.u);
    EXPECT_EQ(loaded.v, model.v);
    EXPECT_EQ(loaded.window, model.window);
    EXPECT_EQ(loaded.kernels, model.kernels);
    EXPECT_EQ(loaded.n_channels, 2);
    EXPECT_EQ(loaded.rate, model.rate);
    EXPECT_EQ(loaded.channel_names, model.channel_names);
    EXPECT_EQ(loaded.unit, model.unit);
    EXPECT_EQ(loaded.reg, model.reg);
    EXPECT_EQ(loaded.positive, model.positive);
    EXPECT_EQ(loaded.metadata, model.metadata);
    EXPECT_EQ(loaded.dictionary(20).atoms(), model.dictionary(20).atoms());
    EXPECT_TRUE(holds_patterns(path));
    EXPECT_EQ(patterns_are_float32(path), (std::is_same_v<T, float>));
  }
}

TEST(PatternModel, TheSameBytesFromTheSameModel) {
  const TemporaryFolder folder;
  save_patterns<double>((folder / "a.safetensors").string(), rank_one_model<double>());
  save_patterns<double>((folder / "b.safetensors").string(), load_patterns<double>((folder / "a.safetensors").string()));
  EXPECT_EQ(bytes_of_file(folder / "a.safetensors"), bytes_of_file(folder / "b.safetensors"));
}

TEST(PatternModel, WindowIsInTheAtomsAndNotInV) {
  const auto model = rank_one_model<double>();
  const Matrix<double> atoms = model.dictionary(20).atoms();
  for (Index k = 0; k < 3; ++k)
    for (Index c = 0; c < 2; ++c)
      for (Index l = 0; l < 7; ++l) EXPECT_EQ(atoms(c * 7 + l, k), model.window(l) * model.v(l, k) * model.u(c, k));
}

TEST(PatternModel, WhatCannotBeSavedIsRefused) {
  const TemporaryFolder folder;
  const std::string path = (folder / "p.safetensors").string();
  const auto refused = [&](const std::function<void(PatternModel<double>&)>& spoil, bool rank_one = true) {
    auto model = rank_one ? rank_one_model<double>() : free_model<double>();
    spoil(model);
    return refusal_of([&] { save_patterns<double>(path, model); });
  };
  using Model = PatternModel<double>;
  EXPECT_EQ(refused([](Model& m) { m.v(0, 1) = std::nan(""); }),
            "save_patterns: v holds nan at row 1, column 0; expected finite numbers");
  EXPECT_EQ(refused([](Model& m) { m.u.col(2) *= 2; }), "save_patterns: row 2 of 'u' has the norm 2, expected 1");
  EXPECT_EQ(refused([](Model& m) { m.kernels.col(0).setZero(); }, false),
            "save_patterns: row 0 of 'kernels' has the norm 0, expected 1");
  EXPECT_EQ(refused([](Model& m) { m.u.conservativeResize(2, 2); }),
            "save_patterns: 'u' has 2 patterns but 'v' has 3; they must be equal");
  EXPECT_EQ(refused([](Model& m) { m.n_channels = 3; }), "save_patterns: 'u' has 2 channels, expected 3");
  EXPECT_EQ(refused([](Model& m) { m.n_channels = 3; }, false),
            "save_patterns: 'kernels' has 14 columns, expected a multiple of the 3 channels");
  EXPECT_EQ(refused([](Model& m) { m.window.conservativeResize(6); }),
            "save_patterns: the window has 6 entries, expected 7, as patterns have");
  EXPECT_EQ(refused([](Model& m) { m.window = tukey_window<double>(7); }, false),
            "save_patterns: a window is for patterns of rank one");
  EXPECT_EQ(refused([](Model& m) { m.kernels = m.v; }), "save_patterns: there must be u and v, or kernels");
  EXPECT_EQ(refused([](Model& m) { m = {}; }), "save_patterns: there must be u and v, or kernels");
  EXPECT_EQ(refused([](Model& m) { m.rate = 0; }), "save_patterns: rate = 0, must be > 0 Hz and finite");
  EXPECT_EQ(refused([](Model& m) { m.reg = -1; }), "save_patterns: reg = -1, must be > 0 and finite");
  EXPECT_EQ(refused([](Model& m) { m.channel_names = {"a"}; }), "save_patterns: there are 1 channel names for 2 channels");
  EXPECT_EQ(folder.n_files(), 0);
}

TEST(PatternModel, FilesThatHoldNoneAreRefused) {
  const TemporaryFolder folder;
  const std::string path = (folder / "p.safetensors").string();
  const auto refused = [&](const std::function<void(TensorFile&)>& spoil, bool rank_one = true) {
    save_patterns<double>(path, rank_one ? rank_one_model<double>() : free_model<double>());
    TensorFile file = read_safetensors(path);
    spoil(file);
    write_safetensors(path, file);
    const std::string sentence = refusal_of([&] { load_patterns<double>(path); });
    EXPECT_EQ(sentence.substr(0, path.size()), path);
    return sentence.substr(std::min(path.size(), sentence.size()));
  };
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata.erase("format"); }), " is not a riata model");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["format_version"] = "2"; }),
            " has model format version 2; this riata reads version 1 (update riata)");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["kind"] = "dictionary"; }), " holds a dictionary, expected patterns");
  EXPECT_EQ(refused([](TensorFile& f) { f.tensors.erase("u"); }), ": tensor 'u' is missing");
  EXPECT_EQ(refused([](TensorFile& f) { f.tensors["kernels"] = f.tensors["u"]; }), ": it holds both 'kernels' and 'u'");
  EXPECT_EQ(refused([](TensorFile& f) { std::get<1>(f.tensors["u"].data)[0] = std::nan(""); }),
            ": u holds nan at row 0, column 0; expected finite numbers");
  EXPECT_EQ(refused([](TensorFile& f) { std::get<1>(f.tensors["v"].data)[0] += 1e-3; }).substr(0, 32),
            ": row 0 of 'v' has the norm 1.00");
  EXPECT_EQ(refused(
                [](TensorFile& f) {
                  f.tensors["kernels"].shape = {3, 14};
                },
                false),
            ": 'kernels' has 2 dimensions, expected 3: (n_atoms, n_channels, n_times_atom)");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["rate"] = "fast"; }), ": metadata 'rate' is 'fast', expected a number");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["reg"] = "0.1max"; }), ": metadata 'reg' is '0.1max', expected a number");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["channel_names"] = "[1, 2]"; }),
            ": metadata 'channel_names' is '[1, 2]', expected a JSON array of texts");
  EXPECT_EQ(refused([](TensorFile& f) { f.metadata["positive"] = "no"; }),
            ": metadata 'positive' is 'no', expected 'true' or 'false'");
}

TEST(PatternModel, IsNoDictionaryAndOfOnePrecision) {
  const TemporaryFolder folder;
  const std::string path = (folder / "p.safetensors").string();
  save_patterns<float>(path, free_model<float>());
  EXPECT_EQ(refusal_of([&] { load_model<float>(path); }), path + " holds patterns of recordings, expected a dictionary");
  EXPECT_NE(refusal_of([&] { load_patterns<double>(path); }).find("float32"), std::string::npos);
  save_model<double>(path, {.dictionary = Draw(1).atoms(4, 6)});
  EXPECT_FALSE(holds_patterns(path));
  EXPECT_EQ(refusal_of([&] { patterns_are_float32(path); }), path + " holds a dictionary, expected patterns");
}

TEST(PatternModel, DamagedBytesAreNeverTakenForPatternsOffTheSphere) {
  const TemporaryFolder folder;
  save_patterns<float>((folder / "p.safetensors").string(), rank_one_model<float>());
  const std::string bytes = bytes_of_file(folder / "p.safetensors");
  const auto read = [](const fs::path& path) { load_patterns<float>(path.string()).validate("loaded"); };
  expect_every_prefix_refused(bytes, "p.safetensors", read);
  expect_no_crash_on_damage(bytes, "p.safetensors", read);
}

}  // namespace
}  // namespace riata::testing
