// What commands write: files whose names are checked before long work, models, and the last word on stdout.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/omp.hpp"

namespace riata::cli {

using Metadata = std::map<std::string, std::string>;

/// Refuses outputs that are an input or one another, or that could not be written: a missing folder is
/// noticed before an hour of learning. Empty names are skipped.
/// @throws std::invalid_argument, riata::Error
void require_good_outputs(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

/// @throws std::invalid_argument unless `path` ends in one of `extensions`
void require_extension(const std::string& path, std::initializer_list<std::string_view> extensions, const char* what);

/// "1 iteration", "2 iterations".
std::string counted(std::size_t n, const char* noun);

/// After the last iteration, or at the start if there was none.
inline double last_value(const History& history, double initial_value) {
  return history.value.empty() ? initial_value : history.value.back();
}

/// iteration,phase,value,step,seconds: one line per accepted iteration.
void write_trace(const std::string& path, const History& history);

/// .npy: the codes; .npz: codes, objective, gap and n_iter.
template <Scalar T>
void write_codes(const std::string& path, const EncodeResult<T>& result);
/// .npy: the codes; .npz: codes and error.
template <Scalar T>
void write_codes(const std::string& path, const OmpResult<T>& result);

/// A line on stderr. That it cannot be written is no failure of the run, whose exit code still tells.
void say(const std::string& line);

/// The summary, in the form the user asked for.
void tell(const Talk& talk, const nlohmann::ordered_json& json, const std::string& summary);

}  // namespace riata::cli
