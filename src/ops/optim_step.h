// Optimizer steps in place, below autograd.
#pragma once

#include "core/tensor.h"

namespace tabula {

struct SgdNumbers {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};
// Updates `param`; returns the momentum buffer, a new one where `buffer` is undefined (and undefined without momentum).
Tensor sgd_step(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers);

struct AdamNumbers {
  double beta1, beta2, lr, weight_decay, eps;
  bool maximize, decoupled;
  // of the step count they were computed for: parameters mostly share theirs
  double counted = -1, correction1 = 1, correction2_root = 1;
};
struct AdamState {
  const Tensor &mean, &square, &peak;  // peak: undefined without amsgrad
  const Tensor& step;                  // one element, counted up here
};
void adam_step(const Tensor& param, const Tensor& grad, const AdamState& state, AdamNumbers& numbers);

// The same by operations (optim_parts.cpp), where a subclass or a mode must see them; the step is counted already.
bool steps_by_parts(std::initializer_list<const Tensor*> tensors);
Tensor sgd_by_parts(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers);
void adam_by_parts(const Tensor& param, const Tensor& grad, const AdamState& state, const AdamNumbers& numbers);

}  // namespace tabula
