// An optimizer's step as a sequence of operations, for tensors without memory of their own and for modes that watch.
#include <cmath>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/optim_step.h"
#include "ops/pointwise.h"

namespace tabula {

bool steps_by_parts(std::initializer_list<const Tensor*> tensors) {
  if (thread_state.interpreters & kDispatchMode) return true;
  for (const Tensor* t : tensors)
    if (t->defined() && (t->impl()->special & kDispatch)) return true;
  return false;
}

Tensor sgd_by_parts(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers) {
  const NoGrad guard;
  Tensor d = numbers.maximize ? neg(grad) : grad, kept = buffer;
  if (numbers.weight_decay != 0) d = add(d, param, Scalar(numbers.weight_decay));
  if (numbers.momentum != 0) {
    if (!kept.defined()) {
      kept = clone(d);
    } else {
      mul.in_place(kept, Scalar(numbers.momentum));
      add.in_place(kept, d, Scalar(1 - numbers.dampening));
    }
    d = numbers.nesterov ? add(d, kept, Scalar(numbers.momentum)) : kept;
  }
  add.in_place(param, d, Scalar(-numbers.lr));
  return kept;
}

void adam_by_parts(const Tensor& param, const Tensor& grad, const AdamState& state, const AdamNumbers& numbers) {
  const NoGrad guard;
  Tensor d = numbers.maximize ? neg(grad) : grad;
  if (numbers.weight_decay != 0) {
    if (numbers.decoupled)
      mul.in_place(param, Scalar(1 - numbers.lr * numbers.weight_decay));
    else
      d = add(d, param, Scalar(numbers.weight_decay));
  }
  lerp.in_place(state.mean, d, Scalar(1 - numbers.beta1));
  mul.in_place(state.square, Scalar(numbers.beta2));
  addcmul.in_place(state.square, d, d, Scalar(1 - numbers.beta2));
  Tensor largest = state.square;
  if (state.peak.defined()) {
    copy_(state.peak, maximum(state.peak, state.square));
    largest = state.peak;
  }
  const Tensor below = add(div(sqrt(largest), Scalar(numbers.correction2_root)), Scalar(numbers.eps));
  addcdiv.in_place(param, state.mean, below, Scalar(-(numbers.lr / numbers.correction1)));
}

}  // namespace tabula
