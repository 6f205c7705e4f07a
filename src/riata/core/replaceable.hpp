// A value that one thread may replace while others read it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace riata {

/// Readers hold on to what they took; who replaces it leaves that as it is. Copies share the value until either is replaced.
template <class V>
class Replaceable {
 public:
  Replaceable() : value_(std::make_shared<const V>()) {}
  explicit Replaceable(V value) : value_(std::make_shared<const V>(std::move(value))) {}
  Replaceable(const Replaceable& other) : value_(other.get()) {}
  Replaceable& operator=(const Replaceable& other) {
    replace(other.get());
    return *this;
  }
  ~Replaceable() = default;

  std::shared_ptr<const V> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(V value) { replace(std::make_shared<const V>(std::move(value))); }

 private:
  void replace(std::shared_ptr<const V> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // what it was ends outside the lock
  }

  mutable std::mutex mutex_;
  std::shared_ptr<const V> value_;
};

}  // namespace riata
