// Who is at fault decides the exception: the caller gets std::invalid_argument, the world riata::Error.
#pragma once

#include <exception>
#include <stdexcept>
#include <string_view>

namespace riata {

/// The world failed: a file cannot be read or written, the disk is full. Python sees OSError, the CLI exits with 1.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view sentence);
};

/// The user asked to stop (Ctrl-C) where no partial result exists. Python sees KeyboardInterrupt, the CLI exits with 130.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Runs `body`; of what is thrown so, `failure` keeps the first. For long work that saves what it has before it fails.
template <class Body>
void keep_failure(std::exception_ptr& failure, const Body& body) {
  try {
    body();
  } catch (...) {
    if (!failure) failure = std::current_exception();
  }
}

}  // namespace riata
