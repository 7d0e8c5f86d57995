#include "ops/optim_step.h"

#include <cmath>

#include "kernels/optim.h"
#include "ops/optim_layout.h"

namespace tabula {
Tensor sgd_step(const Tensor& param, const Tensor& grad, const Tensor& buffer, const SgdNumbers& numbers) {
  if (steps_by_parts({&param, &grad, &buffer})) return sgd_by_parts(param, grad, buffer, numbers);
  auto call = make_call<kernels::SgdCall>(param);
  const StepLayout layout(param);
  const bool fresh = numbers.momentum != 0 && !buffer.defined();
  const Tensor made = fresh ? layout.empty() : Tensor();
  const Tensor& kept = fresh ? made : buffer;
  const Array p(param, layout), g(grad, layout), m(kept, layout);
  call.param = p.data();
  call.grad = g.data();
  call.buffer = numbers.momentum != 0 ? m.data() : nullptr;
  call.lr = numbers.lr;
  call.momentum = numbers.momentum;
  call.dampening = numbers.dampening;
  call.weight_decay = numbers.weight_decay;
  call.nesterov = numbers.nesterov;
  call.maximize = numbers.maximize;
  call.fresh = fresh;
  call.fused = numbers.fused;
  kernels::sgd_step[param.device().kind](call);
  p.written();
  if (call.buffer && !fresh) m.written();
  return kept;
}

void adam_step(const Tensor& param, const Tensor& grad, const AdamState& state, AdamNumbers& numbers) {
  const bool parts = steps_by_parts({&param, &grad, &state.mean, &state.square, &state.step});
  auto call = make_call<kernels::AdamCall>(param);
  const double step = count_up(state.step);
  if (step != numbers.counted) {
    numbers.counted = step;
    numbers.correction1 = 1 - std::pow(numbers.beta1, step);
    numbers.correction2_root = std::pow(1 - std::pow(numbers.beta2, step), 0.5);
  }
  if (parts) return adam_by_parts(param, grad, state, numbers);
  const StepLayout layout(param);
  const Array p(param, layout), g(grad, layout), m(state.mean, layout), v(state.square, layout), top(state.peak, layout);
  call.param = p.data();
  call.grad = g.data();
  call.mean = m.data();
  call.square = v.data();
  call.peak = top.data();
  call.lr = numbers.lr;
  call.beta1 = numbers.beta1;
  call.beta2 = numbers.beta2;
  call.eps = numbers.eps;
  call.weight_decay = numbers.weight_decay;
  call.correction1 = numbers.correction1;
  call.correction2_root = numbers.correction2_root;
  call.maximize = numbers.maximize;
  call.decoupled = numbers.decoupled;
  call.fused = numbers.fused;
  kernels::adam_step[param.device().kind](call);
  p.written();
  m.written();
  v.written();
  top.written();
}

}  // namespace tabula
