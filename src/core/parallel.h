// One thread pool. Work is cut into pieces whose size never depends on the number of threads, so that results do not
// either; partial results are combined by the caller in the order of the pieces.
#pragma once

#include <cstdint>

namespace tabula {

int num_threads();           // at most the container's CPU quota unless set
void set_num_threads(int n); // n >= 1
bool in_parallel();          // true inside a piece: nested calls then run serially

// Set by the bindings. While a loop of several pieces runs, other Python threads may: its caller lets go of the
// interpreter's lock, if it holds it. So whoever calls parallel_for while holding a mutex that code under that lock may
// wait for, or in the middle of a change that other threads must not see, sets thread_state.keeps_interpreter.
struct InterpreterLock {
  void* (*release)() = nullptr;  // null if the thread doesn't hold it
  void (*acquire)(void*) = nullptr;
};
extern InterpreterLock interpreter_lock;

namespace detail {
void parallel_run(int64_t pieces, void (*piece)(void* context, int64_t index), void* context);
}

// Calls f(begin, end) for consecutive ranges of `grain` indices that cover [0, n). Ranges may run at the same time; an
// exception in one of them is rethrown here. f must not touch Python, tensors' reference counts or thread-locals.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t pieces = (n + grain - 1) / grain;
  if (pieces == 1) {
    f(int64_t(0), n);
    return;
  }
  struct Context {
    F& f;
    int64_t n, grain;
  } context{f, n, grain};
  detail::parallel_run(
      pieces,
      [](void* p, int64_t index) {
        auto& c = *static_cast<Context*>(p);
        const int64_t begin = index * c.grain, end = begin + c.grain < c.n ? begin + c.grain : c.n;
        c.f(begin, end);
      },
      &context);
}

}  // namespace tabula
