// What a thread's operations depend on besides their arguments.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace tabula {

// What a thread has switched on over the choke point, as bits.
enum Interpreter : uint8_t {
  kVmapping = 1,      // inside vmap's function: random operations must know
  kDispatchMode = 2,  // a TorchDispatchMode
  kAutocast = 4,
  kProfiling = 8,      // operations are timed; nothing about them changes
  kWatching = 16,      // results and gradients are looked at for NaN and Inf: see ops/number_watch.h
};

struct ThreadState {
  bool grad_enabled = true;
  bool inference = false;      // torch.inference_mode
  bool below_autograd = false; // inside an operation's own implementation: nothing is recorded
  uint8_t interpreters = 0;    // Interpreter bits
  uint8_t torch_function_disabled = 0;
  bool any_grad_layout = false;  // torch.autograd.enforce_grad_layout_policy(False)
  bool keeps_interpreter = false;  // long loops don't let other Python threads run: see parallel.h
  uint64_t forward_limit = UINT64_MAX;  // tangents of levels below this one are seen: 0 switches forward mode off
};

// initial-exec: one instruction instead of a call per access, although this is a shared object
extern thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec")));

// Is anything on that may take a call over?
inline bool calls_may_be_taken() { return thread_state.interpreters & uint8_t(~(kProfiling | kWatching)); }

extern DType default_dtype;  // torch.set_default_dtype

// Sets a field for a scope.
template <class T>
class Restore {
 public:
  Restore(T& field, T value) : field_(field), before_(field) { field_ = value; }
  ~Restore() { field_ = before_; }
  Restore(const Restore&) = delete;

 private:
  T& field_;
  T before_;
};

struct NoGrad : Restore<bool> {
  NoGrad() : Restore(thread_state.grad_enabled, false) {}
};
struct BelowAutograd : Restore<bool> {
  BelowAutograd() : Restore(thread_state.below_autograd, true) {}
};

}  // namespace tabula
