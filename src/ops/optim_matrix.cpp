// Optimizer steps that are made of operations on whole tensors: Adafactor, Muon and SparseAdam. Modes and subclasses see
// the operations.
#include <cmath>
#include <vector>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/clamp.h"
#include "ops/index_advanced.h"
#include "ops/matmul.h"
#include "ops/optim_layout.h"
#include "ops/optim_step.h"
#include "ops/reduce.h"
#include "ops/reduce_norm.h"
#include "ops/value.h"
#include "ops/view.h"

namespace tabula {
namespace {

double length_of(const Tensor& t) { return item(linalg_vector_norm(t, Scalar(2.0))).to_double(); }

// The squares' mean along one dimension, which stays with size 1.
Tensor mean_square(const Tensor& t, int64_t dim) {
  Tensor sums = linalg_vector_norm(t, Scalar(2.0), IntList(&dim, 1), true);
  mul.in_place(sums, sums);
  div.in_place(sums, Scalar(t.sizes()[wrap_dim(dim, t.dim())]));
  return sums;
}

// The smallest x with 1 + x > 1 in the dtype.
double precision_of(DType d) {
  switch (d) {
    case DType::Float64: return 0x1p-52;
    case DType::Float16: return 0x1p-10;
    case DType::BFloat16: return 0x1p-7;
    default: return 0x1p-23;
  }
}

// A quintic Newton-Schulz iteration in bfloat16 brings the singular values near one (Jordan et al., 2024).
Tensor orthogonalised(const Tensor& momentum, const MuonNumbers& numbers) {
  Tensor x = momentum.dtype() == DType::BFloat16 ? momentum : to_dtype(momentum, DType::BFloat16);
  const bool tall = momentum.sizes()[0] > momentum.sizes()[1];
  if (tall) x = numpy_T(x);
  x = div(x, clamp_min(linalg_vector_norm(x, Scalar(2.0)), Scalar(numbers.eps)));
  const auto [a, b, c] = numbers.coefficients;
  for (int64_t i = 0; i < numbers.iterations; i++) {
    const Tensor gram = mm(x, numpy_T(x));
    const Tensor update = addmm(gram, gram, gram, Scalar(b), Scalar(c));
    x = addmm(x, update, x, Scalar(a), Scalar(1.0));
  }
  return tall ? numpy_T(x) : x;
}

}  // namespace

void adafactor_step(const Tensor& param, const Tensor& given, const AdafactorState& state, const AdafactorNumbers& numbers) {
  check(!is_complex(param.dtype()), "Adafactor does not support complex parameters");
  const NoGrad guard;
  const Tensor grad = numbers.maximize ? neg(given) : given;
  const double step = count_up(state.step), weight = std::pow(step, numbers.decay), count = std::sqrt(double(param.numel()));
  const double eps1 = numbers.eps1.value_or(precision_of(param.dtype()));
  const double rate = std::max(numbers.eps2, length_of(param) / count) * std::min(numbers.lr, 1 / std::sqrt(step));
  if (numbers.weight_decay != 0) mul.in_place(param, Scalar(1 - numbers.lr * numbers.weight_decay));
  Tensor update;
  if (grad.dim() > 1) {
    check_type(state.rows.defined() && state.columns.defined(), "an optimizer step expects Tensors, but found None");
    lerp.in_place(state.rows, mean_square(grad, -1), Scalar(weight));
    lerp.in_place(state.columns, mean_square(grad, -2), Scalar(weight));
    update = matmul(state.rows, state.columns);
    const int64_t over = -2;
    div.in_place(update, clamp_min(mean_dim(state.rows, IntList(&over, 1), true), Scalar(eps1)));
  } else {
    check_type(state.variance.defined(), "an optimizer step expects Tensors, but found None");
    lerp.in_place(state.variance, square(grad), Scalar(weight));
    update = clone(state.variance);
  }
  clamp_min.in_place(update, Scalar(eps1 * eps1));
  rsqrt.in_place(update);
  mul.in_place(update, grad);
  add.in_place(param, update, Scalar(-rate / std::max(1.0, length_of(update) / (count * numbers.threshold))));
}

void muon_step(const Tensor& param, const Tensor& grad, const Tensor& buffer, const MuonNumbers& numbers) {
  check(!is_complex(param.dtype()), "Muon does not support complex parameters");
  check_value(grad.dim() == 2, "Input tensor gradient must be a 2D matrix");
  const NoGrad guard;
  lerp.in_place(buffer, grad, Scalar(1 - numbers.momentum));
  const Tensor update = orthogonalised(numbers.nesterov ? lerp(grad, buffer, Scalar(numbers.momentum)) : buffer, numbers);
  const double rows = double(param.sizes()[0]), columns = double(param.sizes()[1]);
  double rate = numbers.lr;
  if (numbers.adjust == MuonAdjust::Original) rate *= std::sqrt(std::max(1.0, rows / columns));
  if (numbers.adjust == MuonAdjust::MatchAdamW) rate *= 0.2 * std::sqrt(std::max(rows, columns));
  mul.in_place(param, Scalar(1 - numbers.lr * numbers.weight_decay));
  add.in_place(param, update, Scalar(-rate));
}

void sparse_adam_step(const Tensor& param, const Tensor& indices, const Tensor& given, const SparseAdamState& state, const SparseAdamNumbers& numbers) {
  if (given.numel() == 0) return;
  const NoGrad guard;
  const Tensor grad = numbers.maximize ? neg(given) : given;
  std::vector<Tensor> at;
  for (int64_t i = 0; i < indices.sizes()[0]; i++) at.push_back(select(indices, int64_t(0), i));
  // what is kept moves by a part of its distance from the new value; the new value is what the update uses
  const auto moved = [&](const Tensor& kept, const Tensor& target, double part) {
    const Tensor before = index(kept, TensorList(at));
    Tensor now = sub(target, before);
    mul.in_place(now, Scalar(part));
    add.in_place(now, before);
    index_put_(kept, TensorList(at), now, false);
    return now;
  };
  const Tensor mean = moved(state.mean, grad, 1 - numbers.beta1), square_ = moved(state.square, square(grad), 1 - numbers.beta2);
  const double rate = numbers.lr * std::sqrt(1 - std::pow(numbers.beta2, state.step)) / (1 - std::pow(numbers.beta1, state.step));
  const Tensor update = div(mean, add(sqrt(square_), Scalar(numbers.eps)));
  index_put_(param, TensorList(at), mul(update, Scalar(-rate)), true);
}

}  // namespace tabula
