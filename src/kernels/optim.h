// One step of an optimizer over one parameter: a single pass over memory.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// All arrays have `n` elements in the same order. Numbers are rounded to the arrays' dtype where PyTorch's operations
// would; so is every result in float16 and bfloat16, except where `fused` asks for one rounding, of what is stored.
struct SgdCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  char* param = nullptr;
  const char* grad = nullptr;
  char* buffer = nullptr;  // the momentum's, or null
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false, maximize = false;
  bool fresh = false;  // the buffer is new: it becomes the gradient
  bool fused = false;
};

struct AdamCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  char* param = nullptr;
  const char* grad = nullptr;
  char *mean = nullptr, *square = nullptr;
  char* peak = nullptr;  // the largest squares so far (Reddi et al., 2018), or null
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  double correction1 = 1, correction2_root = 1;  // 1 - beta1^t, sqrt(1 - beta2^t)
  bool maximize = false, decoupled = false, fused = false;
};

// The other rules, whose numbers are computed once per parameter. What is kept, in order, and the numbers' names:
enum class Rule : uint8_t {
  Adadelta,  // squares, squared changes; rho, eps, rate
  Adagrad,   // sums of squares; eps, rate
  Adamax,    // means, largest; blend, beta2, eps, rate
  Asgd,      // averages; shrink, rate, weight
  Nadam,     // means, squares; blend, beta2, eps, rate, correction, ahead
  Radam,     // means, squares; blend, beta2, eps, rate, correction, scale (0: squares are not used yet)
  Rmsprop,   // squares, momentum or none, means or none; alpha, eps, rate, momentum
  Rprop,     // gradients before, step sizes; low, high, smallest, largest
};
struct RuleCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  Rule rule = Rule::Adadelta;
  char* param = nullptr;
  const char* grad = nullptr;
  char* kept[3] = {};
  double weight_decay = 0;  // added to the gradient
  double keep = 1;          // what decoupled decay leaves of the parameter
  double rho = 0, alpha = 0, blend = 0, beta2 = 0, eps = 0, rate = 0, momentum = 0, correction = 1, ahead = 0, scale = 0;
  double shrink = 1, weight = 1, low = 0, high = 0, smallest = 0, largest = 0;
  bool maximize = false;
};

extern Kernel<void(const SgdCall&)> sgd_step;
extern Kernel<void(const AdamCall&)> adam_step;
extern Kernel<void(const RuleCall&)> rule_step;

}  // namespace tabula::kernels
