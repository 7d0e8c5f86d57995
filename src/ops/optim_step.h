// Optimizer steps in place, below autograd.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "core/tensor.h"
#include "kernels/optim.h"

namespace tabula {

struct SgdNumbers {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize, fused;
};
// Updates `param`; returns the momentum buffer, a new one where `buffer` is undefined (and undefined without momentum).
Tensor sgd_step(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers);

struct AdamNumbers {
  double beta1, beta2, lr, weight_decay, eps;
  bool maximize, decoupled, fused;
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

// Steps that are made of operations on whole tensors (optim_matrix.cpp).
struct AdafactorNumbers {
  double lr, decay;            // decay: the exponent of the step count that weighs a new square
  std::optional<double> eps1;  // none: the precision of the parameter's dtype
  double eps2, threshold, weight_decay;
  bool maximize;
};
struct AdafactorState {
  const Tensor &rows, &columns;  // for more than one dimension
  const Tensor& variance;        // else
  const Tensor& step;            // one element, counted up here
};
void adafactor_step(const Tensor& param, const Tensor& grad, const AdafactorState& state, const AdafactorNumbers& numbers);

enum class MuonAdjust : uint8_t { None, Original, MatchAdamW };  // how the rate follows the shape
struct MuonNumbers {
  double lr, weight_decay, momentum;
  std::array<double, 3> coefficients;
  double eps;
  int64_t iterations;
  bool nesterov;
  MuonAdjust adjust;
};
void muon_step(const Tensor& param, const Tensor& grad, const Tensor& buffer, const MuonNumbers& numbers);

struct SparseAdamNumbers {
  double lr, beta1, beta2, eps;
  bool maximize;
};
struct SparseAdamState {
  const Tensor &mean, &square;
  double step;  // counted already
};
// The gradient's indices, [sparse dimensions, nnz], without repetition, and its values.
void sparse_adam_step(const Tensor& param, const Tensor& indices, const Tensor& grad, const SparseAdamState& state, const SparseAdamNumbers& numbers);

// The same by operations (optim_parts.cpp), where a subclass or a mode must see them; the step is counted already.
bool steps_by_parts(std::initializer_list<const Tensor*> tensors);
Tensor sgd_by_parts(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers);
void adam_by_parts(const Tensor& param, const Tensor& grad, const AdamState& state, const AdamNumbers& numbers);

}  // namespace tabula
