// Optimizer steps in place, below autograd.
#pragma once

#include <span>

#include "core/tensor.h"
#include "kernels/optim.h"

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

// The other optimizers. Numbers, by rule, after the rate and the decay of weights (which Rprop has not):
// adadelta rho, eps; adagrad the rate's decay, eps; adamax beta1, beta2, eps; asgd lambd, alpha, t0; nadam beta1, beta2,
// eps, the momentum's decay; radam beta1, beta2, eps; rmsprop alpha, eps, momentum; rprop the factors and the bounds.
struct RuleNumbers {
  kernels::Rule rule;
  std::span<const double> values;
  bool maximize, decoupled;
};
struct RuleState {
  const Tensor* kept[3];     // arrays of the parameter's shape, as kernels::Rule lists them; undefined where there is none
  const Tensor* numbers[2];  // nadam: the product of its momenta; asgd: its rate and its weight
  const Tensor& step;        // one element, counted up here
};
// Not for subclasses and under modes: steps_by_parts.
void rule_step(const Tensor& param, const Tensor& grad, const RuleState& state, const RuleNumbers& numbers);

// The same by operations (optim_parts.cpp), where a subclass or a mode must see them; the step is counted already.
bool steps_by_parts(std::initializer_list<const Tensor*> tensors);
Tensor sgd_by_parts(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers);
void adam_by_parts(const Tensor& param, const Tensor& grad, const AdamState& state, const AdamNumbers& numbers);

}  // namespace tabula
