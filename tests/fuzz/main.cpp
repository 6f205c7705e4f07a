// riata_fuzz: mutated files into every reader. Each must be read, or refused in a sentence, within two seconds of the
// processor and a gigabyte; anything else ends the run, and names the input, which --from shows again.
//
//   riata_fuzz [--runs N] [--seconds S] [--reader NAME] [--from INDEX]     N inputs of each reader, or S seconds of all together
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "readers.hpp"
#include "riata/core/error.hpp"

namespace {

using namespace riata::fuzz;
namespace fs = std::filesystem;

constexpr int max_seconds = 2;
constexpr long max_kilobytes = 1 << 20;

char current[200];  // "reader, input": for the handler of the alarm

extern "C" void on_alarm(int) {
  constexpr char text[] = ": more than two seconds\n";
  if (::write(STDERR_FILENO, current, std::strlen(current)) < 0 || ::write(STDERR_FILENO, text, sizeof(text) - 1) < 0) ::_exit(3);
  ::_exit(2);
}

/// Of the processor: other programs do not count.
void set_alarm(int seconds) {
  const itimerval timer{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", current, why.c_str());
  std::exit(2);
}

/// Whether it was read. @returns false for a refusal
bool run(const Reader& reader, const fs::path& path) {
  try {
    reader.read(path);
    return true;
  } catch (const std::invalid_argument& refused) {
    if (std::strlen(refused.what()) == 0) fail("a refusal without a sentence");
  } catch (const riata::Error& failed) {
    fail(std::string("the world is blamed: ") + failed.what());
  } catch (const std::exception& other) {
    fail(std::string("another exception: ") + other.what());
  }
  return false;
}

struct Options {
  std::uint64_t runs = ~0ull, from = 0;
  double seconds = 1e300;
  std::string reader;
};

void fuzz(const Reader& reader, const Options& options, double seconds, const fs::path& path) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t i = options.from, n_read = 0;
  for (; i - options.from < options.runs; ++i) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) break;
    std::uint64_t key = 14695981039346656037ull;  // FNV-1a of the name: its numbers are its own
    for (const char c : reader.name) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    Numbers numbers(key + i);
    numbers = Numbers(numbers.next());
    const std::string bytes = mutated(reader.files, reader.container, numbers);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    std::snprintf(current, sizeof(current), "%s, input %llu (%s)", reader.name.c_str(), static_cast<unsigned long long>(i),
                  path.c_str());
    set_alarm(max_seconds);
    n_read += run(reader, path) ? 1 : 0;
    set_alarm(0);
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    if (usage.ru_maxrss > max_kilobytes) fail("more than a gigabyte");
  }
  std::printf("%s: %llu inputs, %llu read, the others refused\n", reader.name.c_str(),
              static_cast<unsigned long long>(i - options.from), static_cast<unsigned long long>(n_read));
  std::fflush(stdout);
}

}  // namespace

/// The sanitizer's own memory, and the least of what it keeps back, must not count for much.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=16:detect_leaks=1:max_allocation_size_mb=1024"; }

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Mutated files into every reader: each is read, or refused in a sentence.");
  app.add_option("--runs", options.runs, "Inputs of each reader")->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "Of all readers together")->check(CLI::PositiveNumber);
  app.add_option("--reader", options.reader, "This one alone");
  app.add_option("--from", options.from, "Number of the first input");
  CLI11_PARSE(app, argc, argv);
  if (app.count("--runs") + app.count("--seconds") == 0) options.runs = 1'000'000;
  std::signal(SIGPROF, on_alarm);
  std::string folder = (fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().string()) + "/riata-fuzz-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 3;
  std::vector<Reader> all = file_readers(folder);
  for (Reader& reader : run_readers(folder)) all.push_back(std::move(reader));
  for (const Reader& reader : all)
    if (options.reader.empty() || options.reader == reader.name)
      fuzz(reader, options, options.seconds / (options.reader.empty() ? static_cast<double>(all.size()) : 1),
           fs::path(folder) / "input");
  fs::remove_all(folder);
  return 0;
}
