#include "inputs.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "hdf5.hpp"
#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/io/arrays.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/sampler.hpp"
#include "riata/operators/patches.hpp"

namespace riata::cli {
namespace {

constexpr std::string_view archive_key = ".npz:";

/// One channel of a picture.
struct Plane {
  PatchGrid grid;
  std::vector<float> samples;
};

void add_planes(const Picture& picture, Index patch, std::vector<Plane>& planes) {
  const PatchGrid grid(picture.height, picture.width, patch);
  for (Index c = 0; c < picture.channels; ++c) {
    Plane plane{grid, std::vector<float>(static_cast<std::size_t>(picture.height * picture.width))};
    for (std::size_t i = 0; i < plane.samples.size(); ++i)
      plane.samples[i] = picture.samples[i * static_cast<std::size_t>(picture.channels) + static_cast<std::size_t>(c)];
    planes.push_back(std::move(plane));
  }
}

std::vector<Plane> read_planes(const std::vector<std::string>& names, const PatchOptions& options) {
  std::vector<Plane> planes;
  for (const std::string& name : names)
    for (const Image& image : read_images(name, options.image)) {
      const bool is_finite = std::all_of(image.values.begin(), image.values.end(), [](float v) { return std::isfinite(v); });
      require(is_finite, "{} holds NaN or infinity; expected finite numbers", name);
      add_planes(to_picture(image), options.patch, planes);
    }
  return planes;
}

Matrix<float> read_patches(const std::vector<std::string>& names, const PatchOptions& options) {
  require(!options.max_patches || *options.max_patches >= 1, "max_patches = {}, must be >= 1", options.max_patches.value_or(1));
  const std::vector<Plane> planes = read_planes(names, options);
  Index n_all = 0;
  for (const Plane& plane : planes) n_all += plane.grid.count();
  const Index n_wanted = std::min(options.max_patches.value_or(n_all), n_all);
  Matrix<float> patches(options.patch * options.patch, n_wanted);
  Index n_before = 0, n_done = 0;
  for (const Plane& plane : planes) {
    n_before += plane.grid.count();
    // Each plane gives its share; the shares add up to n_wanted whatever the rounding.
    const Index share = n_wanted * n_before / n_all - n_done;
    if (share == plane.grid.count()) {
      patches.middleCols(n_done, share) = extract_patches(plane.samples.data(), plane.grid, 0, share);
    } else if (share > 0) {
      PatchSampler<float> sampler(plane.samples.data(), plane.grid.height(), plane.grid.width(),
                                  {.patch = options.patch, .n_patches = share, .centred = false, .seed = options.seed});
      patches.middleCols(n_done, share) = sampler.batch().batch.X;
    }
    n_done += share;
  }
  return patches;
}

template <Scalar T>
AnyMatrix stacked(const std::vector<AnyMatrix>& parts) {
  Index n = 0;
  for (const AnyMatrix& part : parts) n += std::get<Matrix<T>>(part).cols();
  Matrix<T> all(std::get<Matrix<T>>(parts.front()).rows(), n);
  n = 0;
  for (const AnyMatrix& part : parts) {
    const Matrix<T>& X = std::get<Matrix<T>>(part);
    all.middleCols(n, X.cols()) = X;
    n += X.cols();
  }
  return all;
}

AnyMatrix read_arrays(const std::vector<std::string>& names, Entries entries) {
  const auto n_features = [](const AnyMatrix& X) { return std::visit([](const auto& M) { return M.rows(); }, X); };
  std::vector<AnyMatrix> parts;
  for (const std::string& name : names) {
    parts.push_back(read_matrix(name, of_signals, entries));
    require(n_features(parts.back()) == n_features(parts.front()), "{} has {} features but {} has {}; they must be equal", name,
            n_features(parts.back()), names.front(), n_features(parts.front()));
    require(precision_of(parts.back()) == precision_of(parts.front()), "{} is {} but {} is {}; they must be equal", name,
            to_string(precision_of(parts.back())), names.front(), to_string(precision_of(parts.front())));
  }
  if (parts.size() == 1) return std::move(parts.front());
  return precision_of(parts.front()) == Precision::float32 ? stacked<float>(parts) : stacked<double>(parts);
}

/// The side of the square patches that atoms of n_features are.
Index side_of(Index n_features, const std::string& name) {
  Index side = 1;
  while (side * side < n_features) ++side;
  require(side * side == n_features, "{} has atoms of {} features, which are no square patches of a picture", name, n_features);
  return side;
}

void require_same_precision(const std::string& name, Precision precision, Precision of_signals) {
  require(precision == of_signals, "{} is {} but the signals are {}; they must be equal (convert one with numpy.astype)", name,
          to_string(precision), to_string(of_signals));
}

}  // namespace

Precision parse_precision(std::string_view name) {
  if (name == "float32") return Precision::float32;
  if (name == "float64") return Precision::float64;
  throw std::invalid_argument(formatted("dtype = '{}', must be 'float32' or 'float64'", name));
}

const char* to_string(Precision precision) { return precision == Precision::float32 ? "float32" : "float64"; }

Precision precision_of(const AnyMatrix& matrix) {
  return std::holds_alternative<Matrix<float>>(matrix) ? Precision::float32 : Precision::float64;
}

AnyMatrix converted(AnyMatrix matrix, Precision precision) {
  if (precision_of(matrix) == precision) return matrix;
  if (precision == Precision::float32) {
    Matrix<float> narrow = std::get<Matrix<double>>(matrix).cast<float>();
    require_finite("dtype float32", "the converted array", narrow, of_signals);  // 1e300 has no float32
    return narrow;
  }
  return Matrix<double>(std::get<Matrix<float>>(matrix).cast<double>());
}

bool is_array_name(const std::string& name) {
  return name.ends_with(".npy") || name.ends_with(".npz") || name.find(archive_key) != std::string::npos || is_hdf5_name(name);
}

std::string file_of(const std::string& name) {
  if (const auto colon = hdf5_colon(name); colon != std::string::npos) return name.substr(0, colon);
  const auto at = name.rfind(archive_key);
  return at == std::string::npos ? name : name.substr(0, at + archive_key.size() - 1);
}

Tensor read_array(const std::string& name) {
  if (is_hdf5_name(name)) return read_hdf5(name);
  const std::string file = file_of(name);
  if (!file.ends_with(".npz")) return read_npy(file);
  std::vector<std::string> keys = npz_names(file);
  std::sort(keys.begin(), keys.end());
  const std::string all = one_line(formatted("{}", fmt::join(keys, ", ")), 250);
  if (file == name) {
    require(!keys.empty(), "{} holds no arrays", file);
    require(keys.size() == 1, "{} holds several arrays ({}); choose one, as in {}:{}", file, all, file, shown(keys.front()));
    return read_npz_array(file, keys.front());
  }
  const std::string key = name.substr(file.size() + 1);
  require(std::binary_search(keys.begin(), keys.end(), key), "{} has no array '{}'; it holds: {}", file, shown(key), all);
  return read_npz_array(file, key);
}

AnyMatrix read_matrix(const std::string& name, const Axes& axes, Entries entries) {
  const Tensor array = read_array(name);
  require(array.shape.size() == 2, "{} has {} dimension{}; expected 2: (n_{}s, n_{}s)", name, array.shape.size(),
          array.shape.size() == 1 ? "" : "s", axes.column, axes.row);
  require(array.shape[0] > 0 && array.shape[1] > 0, "{} has shape ({}, {}); expected at least one row and one column", name,
          array.shape[0], array.shape[1]);
  const auto as_matrix = [&]<class T>(const std::vector<T>& values) -> AnyMatrix {
    using Real = std::conditional_t<std::is_same_v<T, float>, float, double>;
    Matrix<Real> matrix = Eigen::Map<const Matrix<T>>(values.data(), array.shape[1], array.shape[0]).template cast<Real>();
    if (entries == Entries::finite) require_finite(name.c_str(), "the array", matrix, axes);
    return matrix;
  };
  return std::visit(as_matrix, array.data);
}

std::vector<std::int64_t> read_labels(const std::string& name) {
  require(is_array_name(name) && !is_hdf5_name(name), "{} is no array (.npy, .npz)", name);
  const Tensor array = read_array(name);
  require(array.shape.size() == 1, "{} has {} dimensions; expected 1: (n_atoms,)", name, array.shape.size());
  std::vector<std::int64_t> labels;  // integers come as float64
  std::visit(
      [&](const auto& values) {
        for (std::size_t j = 0; j < values.size(); ++j) {
          const auto value = static_cast<double>(values[j]);
          require(std::floor(value) == value && std::abs(value) < 0x1p53, "{}: entry {} is {}, must be an integer", name, j,
                  value);
          labels.push_back(static_cast<std::int64_t>(value));
        }
      },
      array.data);
  return labels;
}

std::vector<double> read_weights(const std::string& name, Index n_atoms, Index& n_rows) {
  require(is_array_name(name) && !is_hdf5_name(name), "{} is no array (.npy, .npz)", name);
  const Tensor array = read_array(name);
  const std::vector<Index> shape(array.shape.begin(), array.shape.end());
  const bool is_matrix = shape.size() == 2 && shape[1] == n_atoms;
  require((shape.size() == 1 && shape[0] <= n_atoms) || is_matrix,
          "{} has the shape ({}), expected ({},), one per group, or (n_signals, {})", name, fmt::join(shape, ", "), n_atoms,
          n_atoms);
  require(shape[0] > 0, "{} holds no weights", name);
  n_rows = is_matrix ? shape[0] : 0;
  return std::visit([](const auto& values) { return std::vector<double>(values.begin(), values.end()); }, array.data);
}

AnyMatrix read_signals(const std::vector<std::string>& names, const PatchOptions& options) {
  const auto n_arrays = std::count_if(names.begin(), names.end(), is_array_name);
  require(n_arrays == 0 || n_arrays == std::ssize(names), "arrays and pictures cannot be mixed in one run");
  if (n_arrays == 0) return read_patches(names, options);
  require(!options.image.page, "--page chooses a page of a picture, and {} is an array", names.front());
  return read_arrays(names, options.entries);
}

AnyMatrix read_signals_for(Index n_features, Precision precision, const std::string& atoms_name,
                           const std::vector<std::string>& names, PatchOptions options) {
  const bool are_pictures = std::none_of(names.begin(), names.end(), is_array_name);
  if (are_pictures) options.patch = side_of(n_features, atoms_name);
  AnyMatrix signals = read_signals(names, options);
  // A picture has no precision of its own.
  return are_pictures ? converted(std::move(signals), precision) : std::move(signals);
}

void centre(AnyMatrix& signals) {
  std::visit([](auto& X) { X.rowwise() -= X.colwise().mean().eval(); }, signals);
}

LoadedDictionary read_dictionary(const std::string& name) {
  if (is_array_name(name)) return {.atoms = read_matrix(name, of_atoms)};
  require(name.ends_with(".safetensors"), "{} is neither a model (.safetensors) nor an array (.npy, .npz)", name);
  const auto load = [&]<class T>(T) {
    Model<T> model = load_model<T>(name);
    return LoadedDictionary{std::move(model.dictionary), std::move(model.steps), std::move(model.metadata),
                            std::move(model.penalty)};
  };
  return model_is_float32(name) ? load(float{}) : load(double{});
}

template <Scalar T>
const Matrix<T>& in_precision_of_signals(const AnyMatrix& matrix, const std::string& name) {
  require_same_precision(name, precision_of(matrix), precision_of<T>());
  return std::get<Matrix<T>>(matrix);
}

template <Scalar T>
const Matrix<T>& signals_that_fit(const AnyMatrix& signals, const std::string& signals_name, Index n_features,
                                  const std::string& atoms_name) {
  require_same_precision(atoms_name, precision_of<T>(), precision_of(signals));
  const auto& X = std::get<Matrix<T>>(signals);
  require(X.rows() == n_features, "{} has {} features but the atoms of {} have {}; they must be equal", signals_name, X.rows(),
          atoms_name, n_features);
  return X;
}

template const Matrix<float>& in_precision_of_signals(const AnyMatrix&, const std::string&);
template const Matrix<double>& in_precision_of_signals(const AnyMatrix&, const std::string&);
template const Matrix<float>& signals_that_fit(const AnyMatrix&, const std::string&, Index, const std::string&);
template const Matrix<double>& signals_that_fit(const AnyMatrix&, const std::string&, Index, const std::string&);

}  // namespace riata::cli
