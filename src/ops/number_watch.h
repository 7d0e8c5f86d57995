// Looks at the results of operations, and at gradients, for numbers that are not finite: torch.utils.nan_guard. A
// thread that has kWatching off pays nothing.
#pragma once

#include "ops/backward.h"

namespace tabula {

// What is not finite in a tensor, as bits.
enum NonFinite : uint8_t { kNan = 1, kInf = 2 };

bool all_finite(const Tensor& t);     // true as well where there is nothing to look at: integers, the meta device
uint8_t non_finite(const Tensor& t);  // NonFinite bits; takes longer

struct NumberWatch {
  bool forward = true, backward = true;
  // A call's results have numbers that are not finite. `before` is what its target had of them, where it writes to one.
  void (*result)(const Call& call, uint8_t before) = nullptr;
  const Op* outer = nullptr;  // the composite that runs: what the program called
};
extern thread_local NumberWatch number_watch;

// Runs the call, what lies below the watch included, and looks at the results.
void call_watched(const Call& call);

}  // namespace tabula
