// The numbers of each optimizer's step, in double as PyTorch computes them in Python.
#include <cmath>

#include "ops/optim_layout.h"
#include "ops/optim_step.h"

namespace tabula {
namespace {

using kernels::Rule;
using kernels::RuleCall;

double number_of(const Tensor& t) { return item(t).to_double(); }
void store_number(const Tensor& t, double value) {
  fill_into(t, Scalar(value));
  t.bump_version();
}

void set_means(RuleCall& call, double beta1, double beta2, double eps) {
  call.blend = 1 - beta1;
  call.beta2 = beta2;
  call.eps = eps;
}

void set_asgd(RuleCall& call, const RuleState& state, double lr, double lambd, double power, double start, double step) {
  const Tensor &rate = *state.numbers[0], &weight = *state.numbers[1];
  call.rate = number_of(rate);
  call.weight = number_of(weight);
  call.shrink = 1 - lambd * call.rate;
  store_number(rate, lr / std::pow(1 + lambd * lr * step, power));
  store_number(weight, 1 / std::max(1.0, step - start));
}

// T. Dozat, "Incorporating Nesterov momentum into Adam" (2016).
void set_nadam(RuleCall& call, const RuleState& state, double lr, double beta1, double decay, double step) {
  const auto momentum = [&](double t) { return beta1 * (1 - 0.5 * std::pow(0.96, t * decay)); };
  const double now = momentum(step), next = momentum(step + 1);
  const Tensor& so_far = *state.numbers[0];  // multiplied in its own precision
  const double before = number_of(so_far);
  store_number(so_far, so_far.dtype() == DType::Float32 ? double(float(before) * float(now)) : before * now);
  const double product = number_of(so_far);
  call.correction = 1 - std::pow(call.beta2, step);
  call.rate = lr * (1 - now) / (1 - product);
  call.ahead = lr * next / (1 - product * next);
}

// L. Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).
void set_radam(RuleCall& call, double lr, double beta1, double step) {
  const double power = std::pow(call.beta2, step), left = 1 - power, limit = 2 / (1 - call.beta2) - 1;
  const double length = limit - 2 * step * power / left;
  call.rate = lr;
  call.correction = 1 - std::pow(beta1, step);
  call.ahead = std::pow(left, 0.5);
  call.scale = length > 5 ? std::pow((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length), 0.5) : 0;
}

void set_numbers(RuleCall& call, const RuleState& state, const RuleNumbers& numbers, double step) {
  const double* v = numbers.values.data();
  const double lr = v[0];
  if (numbers.decoupled)
    call.keep = 1 - lr * v[1];
  else if (call.rule != Rule::Rprop)
    call.weight_decay = v[1];
  call.rate = lr;
  switch (call.rule) {
    case Rule::Adadelta: call.rho = v[2], call.eps = v[3]; return;
    case Rule::Adagrad: call.rate = lr / (1 + (step - 1) * v[2]), call.eps = v[3]; return;
    case Rule::Adamax: set_means(call, v[2], v[3], v[4]), call.rate = lr / (1 - std::pow(v[2], step)); return;
    case Rule::Asgd: return set_asgd(call, state, lr, v[2], v[3], v[4], step);
    case Rule::Nadam: return set_means(call, v[2], v[3], v[4]), set_nadam(call, state, lr, v[2], v[5], step);
    case Rule::Radam: return set_means(call, v[2], v[3], v[4]), set_radam(call, lr, v[2], step);
    case Rule::Rmsprop: call.alpha = v[2], call.eps = v[3], call.momentum = v[4]; return;
    case Rule::Rprop: call.low = v[1], call.high = v[2], call.smallest = v[3], call.largest = v[4]; return;
  }
}

}  // namespace

void rule_step(const Tensor& param, const Tensor& grad, const RuleState& state, const RuleNumbers& numbers) {
  auto call = make_call<RuleCall>(param);
  call.rule = numbers.rule;
  call.maximize = numbers.maximize;
  set_numbers(call, state, numbers, count_up(state.step));
  const StepLayout layout(param);
  const Array p(param, layout), g(grad, layout), a(*state.kept[0], layout), b(*state.kept[1], layout), c(*state.kept[2], layout);
  call.param = p.data();
  call.grad = g.data();
  const Array* kept[] = {&a, &b, &c};
  for (int i = 0; i < 3; i++) call.kept[i] = kept[i]->data();
  kernels::rule_step[param.device().kind](call);
  p.written();
  for (const Array* one : kept) one->written();
}

}  // namespace tabula
