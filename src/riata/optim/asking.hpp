// Computations that ask questions and go on when they are told: straight code where `co_await question` gives the answer. A line
// search is then a loop, and yet whoever drives it may take hours between question and answer, or drop it.
//
//   Asking<T, double> fall(Parameters<T> a, Parameters<T> b) {
//     const Question<T> at_a{.at = a}, at_b{.at = b};
//     const Sums<T> first = co_await at_a, second = co_await at_b;
//     co_return first.value - second.value;
//   }
//
// What such a function takes by reference must outlive it.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "riata/optim/question.hpp"

namespace riata {

/// The one open question of a computation and all that it awaits.
template <Scalar T>
struct Exchange {
  std::optional<Question<T>> question;
  Sums<T> answer;
  std::coroutine_handle<> asker;
};

/// What a function that asks returns; it begins when it is awaited, or given to a Dialogue.
template <Scalar T, class Result>
class [[nodiscard]] Asking {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  Asking(Asking&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Asking& operator=(Asking&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Asking() {
    if (handle_) handle_.destroy();
  }
  promise_type& promise() const { return handle_.promise(); }
  Handle handle() const { return handle_; }

  struct promise_type {
    Exchange<T>* exchange = nullptr;
    std::coroutine_handle<> caller = std::noop_coroutine();
    std::optional<Result> result;
    std::exception_ptr failure;

    Asking get_return_object() { return Asking(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct GoBack {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(Handle ended) noexcept { return ended.promise().caller; }
        void await_resume() noexcept {}
      };
      return GoBack{};
    }
    void return_value(Result value) { result.emplace(std::move(value)); }
    void unhandled_exception() { failure = std::current_exception(); }
    Result take() {
      if (failure) std::rethrow_exception(failure);
      return std::move(*result);
    }

    auto await_transform(Question<T> question) {
      struct Ask {
        Exchange<T>& exchange;
        bool await_ready() { return false; }
        void await_suspend(Handle asker) { exchange.asker = asker; }
        Sums<T> await_resume() { return std::move(exchange.answer); }
      };
      exchange->question = std::move(question);
      return Ask{*exchange};
    }
    template <class Inner>
    auto await_transform(Asking<T, Inner>&& asking) {
      struct Call {
        Asking<T, Inner> inner;
        bool await_ready() { return false; }
        std::coroutine_handle<> await_suspend(Handle caller) {
          inner.promise().exchange = caller.promise().exchange;
          inner.promise().caller = caller;
          return inner.handle();
        }
        Inner await_resume() { return inner.promise().take(); }
      };
      return Call{std::move(asking)};
    }
  };

 private:
  explicit Asking(Handle handle) : handle_(handle) {}
  Handle handle_;
};

/// Drives a computation: while there is a question, tell its answer. What the computation throws comes out of both.
template <Scalar T, class Result>
class Dialogue {
 public:
  explicit Dialogue(Asking<T, Result> asking) : asking_(std::move(asking)) {
    asking_.promise().exchange = exchange_.get();
    resume(asking_.handle());
  }
  Question<T>* question() { return exchange_->question ? &*exchange_->question : nullptr; }
  void tell(Sums<T> answer) {
    exchange_->answer = std::move(answer);
    exchange_->question.reset();
    resume(exchange_->asker);
  }
  /// When there is no question any more.
  Result result() { return asking_.promise().take(); }

 private:
  void resume(std::coroutine_handle<> asker) {
    asker.resume();
    if (asking_.promise().failure) std::rethrow_exception(asking_.promise().failure);
  }
  std::unique_ptr<Exchange<T>> exchange_ = std::make_unique<Exchange<T>>();
  Asking<T, Result> asking_;
};

/// What a computation comes to whose every question is answered at once.
template <Scalar T, class Result>
Result answered(Asking<T, Result> asking, const std::function<Sums<T>(const Question<T>&)>& answer) {
  Dialogue<T, Result> dialogue(std::move(asking));
  while (const Question<T>* question = dialogue.question()) dialogue.tell(answer(*question));
  return dialogue.result();
}

}  // namespace riata
