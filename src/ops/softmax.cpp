#include "ops/softmax.h"

#include "kernels/softmax.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/lines.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/transcendental.h"

namespace tabula {
namespace {

// Does the result's dtype hold all of the input's numbers? Otherwise the input is cast first.
bool widens(DType input, DType result) { return !is_complex(input) && promote_types(input, result) == result; }

Tensor forward(bool log, const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  const DType result_dtype = dtype.value_or(input.dtype());
  dim = wrap_dim(dim, input.dim());
  check_implemented(is_floating(result_dtype) && !is_float8(result_dtype), "\"", log ? "log_softmax" : "softmax", dim >= input.dim() - 1 ? "_lastdim" : "", "_kernel_impl\" not implemented for '",
                    dtype_title(result_dtype), "'");
  const Lines lines(input.sizes(), dim);
  // the kernel reads real dtypes only, and a narrower dtype rounds the input, not the result
  const Tensor from = contiguous_raw(widens(input.dtype(), result_dtype) ? input : cast_raw(input, result_dtype));
  Tensor result = Tensor::empty(input.sizes(), result_dtype, input.device());
  if (result.numel() == 0) return result;
  kernels::SoftmaxCall call{log, lines.outer, lines.length, lines.inner, from.data(), from.dtype(), result.data(), result_dtype, nullptr, result_dtype};
  kernels::softmax[input.device().kind](call);
  return result;
}

Tensor backward(bool log, const Tensor& grad, const Tensor& output, int64_t dim, DType dtype) {
  const Lines lines(grad.sizes(), wrap_dim(dim, grad.dim()));
  check(same(grad.sizes(), output.sizes()), "softmax backward: the gradient has shape ", shape_text(grad.sizes()), ", the output ", shape_text(output.sizes()));
  const Tensor from = contiguous_raw(grad), values = contiguous_raw(output);
  Tensor result = Tensor::empty(grad.sizes(), dtype, grad.device());
  if (result.numel() == 0) return result;
  kernels::SoftmaxCall call{log, lines.outer, lines.length, lines.inner, from.data(), from.dtype(), result.data(), dtype, values.data(), values.dtype()};
  kernels::softmax_backward[grad.device().kind](call);
  return result;
}

Tensor run_softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, DType dtype) { return backward(false, grad, output, dim, dtype); }
Tensor run_log_softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, DType dtype) { return backward(true, grad, output, dim, dtype); }

// Of inputs that are cast first, integers too, the gradient is computed in the result's dtype.
DType gradient_dtype(Backward& b) {
  const DType input = b.dtype(0), result = b.g().dtype();
  return is_floating(input) && widens(input, result) ? input : result;
}

Tensor total_along(const Tensor& x, int64_t dim) { return sum_dim(x, IntList(&dim, 1), true); }

// y (g - sum(g y)), linear in g; for y it is G (g - sum(g y)) - g sum(G y)
void softmax_backward_vjp(Backward& b);
const Op softmax_backward{OpDef{.schema = "_softmax_backward_data(Tensor grad_output, Tensor output, int dim, dtype input_dtype) -> Tensor", .run = fn<run_softmax_backward>,
                                .on = Function | Internal | OutForm, .vjp = softmax_backward_vjp, .save = in(0) | in(1),
    .batch = batch::dims, .doc =
        "The gradient of softmax from that of its result, and its result."
        TABULA_EXAMPLE("torch._softmax_backward_data(torch.tensor([1., 0.]), torch.tensor([0.5, 0.5]), 0, torch.float32)",
                       "tensor([ 0.2500, -0.2500])")}};
void softmax_backward_vjp(Backward& b) {
  const Tensor &G = b.g(), &g = b.in(0), &y = b.in(1);
  const int64_t dim = b.integer(2);
  if (b.needs(0)) b.set(0, softmax_backward(G, y, dim, y.dtype()));
  if (b.needs(1)) b.set(1, G * (g - total_along(g * y, dim)) - g * total_along(G * y, dim));
}
void softmax_vjp(Backward& b) { b.set(0, softmax_backward(b.g(), b.out(), b.integer(1), gradient_dtype(b))); }

// g - exp(y) sum(g)
void log_softmax_backward_vjp(Backward& b) {
  const Tensor &G = b.g(), &g = b.in(0), &y = b.in(1);
  const int64_t dim = b.integer(2);
  const Tensor p = exp(y);
  if (b.needs(0)) b.set(0, G - total_along(G * p, dim));
  if (b.needs(1)) b.set(1, neg(G * p * total_along(g, dim)));
}
const Op log_softmax_backward{OpDef{.schema = "_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, dtype input_dtype) -> Tensor", .run = fn<run_log_softmax_backward>,
                                    .on = Function | Internal | OutForm, .vjp = log_softmax_backward_vjp, .save = in(0) | in(1),
    .batch = batch::dims, .doc =
        "The gradient of log_softmax from that of its result, and its result."
        TABULA_EXAMPLE("torch._log_softmax_backward_data(torch.tensor([1.]), torch.tensor([0.]), 0, torch.float32)",
                       "tensor([0.])")}};
void log_softmax_vjp(Backward& b) { b.set(0, log_softmax_backward(b.g(), b.out(), b.integer(1), gradient_dtype(b))); }

Tensor run_softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) { return forward(false, input, dim, dtype); }
Tensor run_log_softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) { return forward(true, input, dim, dtype); }

// half_to_float is for devices whose kernels fuse the cast
Tensor run_softmax_half(const Tensor& input, int64_t dim, bool half_to_float) { return softmax(input, dim, half_to_float ? std::optional(DType::Float32) : std::nullopt); }
Tensor run_log_softmax_half(const Tensor& input, int64_t dim, bool half_to_float) { return log_softmax(input, dim, half_to_float ? std::optional(DType::Float32) : std::nullopt); }
const Op softmax_half{OpDef{.schema = "_softmax(Tensor input, int dim, bool half_to_float) -> Tensor", .run = fn<run_softmax_half>, .on = Function | Internal | OutForm, .composite = true,
    .doc =
        "torch.softmax as its backward row sees it; half_to_float keeps a float32 result of a half input."
        TABULA_EXAMPLE("torch._softmax(torch.zeros(2), 0, False)", "tensor([0.5000, 0.5000])")}};
const Op log_softmax_half{OpDef{.schema = "_log_softmax(Tensor input, int dim, bool half_to_float) -> Tensor", .run = fn<run_log_softmax_half>, .on = Function | Internal | OutForm, .composite = true,
    .doc =
        "torch.log_softmax as its backward row sees it; half_to_float keeps a float32 result of a half input."
        TABULA_EXAMPLE("torch._log_softmax(torch.tensor([0.]), 0, False)", "tensor([0.])")}};

// ---- torch.nn.functional ----

// Without a dim: the last but one of three, the second of others.
int64_t chosen_dim(const std::optional<int64_t>& dim, const Tensor& input, const char* name) {
  if (dim) return *dim;
  warn(concat("Implicit dimension choice for ", name, " has been deprecated. Change the call to include dim=X as an argument."));
  const int64_t n = input.dim();
  return n == 0 || n == 1 || n == 3 ? 0 : 1;
}
Tensor run_softmax_nn(const Tensor& input, std::optional<int64_t> dim, int64_t, std::optional<DType> dtype) { return softmax(input, chosen_dim(dim, input, "softmax"), dtype); }
Tensor run_log_softmax_nn(const Tensor& input, std::optional<int64_t> dim, int64_t, std::optional<DType> dtype) { return log_softmax(input, chosen_dim(dim, input, "log_softmax"), dtype); }
Tensor run_softmin_nn(const Tensor& input, std::optional<int64_t> dim, int64_t, std::optional<DType> dtype) { return softmax(neg(input), chosen_dim(dim, input, "softmin"), dtype); }
#define NN_ROW(name, function, doc_text) \
  OpDef{.schema = name "(Tensor input, int? dim=None, int _stacklevel=3, dtype? dtype=None) -> Tensor", .run = fn<function>, .on = NN, .composite = true, .doc = doc_text}
const Op softmax_nn{NN_ROW("softmax.nn", run_softmax_nn,
                           "exp(x) over its sum along `dim`; dtype= casts the input first. See torch.softmax.\n\n"
                           "Example::\n\n    >>> torch.nn.functional.softmax(torch.zeros(2), dim=0)\n    tensor([0.5000, 0.5000])\n")};
const Op log_softmax_nn{NN_ROW("log_softmax.nn", run_log_softmax_nn,
                               "Logarithm of softmax along `dim`; dtype= casts the input first. See torch.log_softmax.\n\n"
                               "Example::\n\n    >>> torch.nn.functional.log_softmax(torch.zeros(2), dim=0)\n    tensor([-0.6931, -0.6931])\n")};
const Op softmin_nn{NN_ROW("softmin", run_softmin_nn,
                           "softmax of the negated input along `dim`.\n\nExample::\n\n    >>> torch.nn.functional.softmin(torch.zeros(2), dim=0)\n    tensor([0.5000, 0.5000])\n")};
#undef NN_ROW

// Lines of nothing but -inf give zeros rather than NaN.
Tensor run_safe_softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  const Tensor masked = input.numel() ? eq(amax(input, IntList(&dim, 1), true), Scalar(-HUGE_VAL)) : eq(input, Scalar(0));
  return where(masked, Scalar(0.0), softmax(where(masked, Scalar(0.0), input), dim, dtype));
}
const Op safe_softmax{OpDef{.schema = "_safe_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", .run = fn<run_safe_softmax>, .on = Function | Internal, .composite = true,
    .doc =
        "softmax with zeros instead of NaN for rows that are all -inf."
        TABULA_EXAMPLE("torch._safe_softmax(torch.tensor([float('-inf')]), 0)", "tensor([0.])")}};

}  // namespace

#define SOFTMAX(name, text)                                                                                                                                                \
  const Op name{OpDef{.schema = #name "(Tensor input, int dim, dtype? dtype=None) -> Tensor", .run = fn_exact_out<run_##name>, .on = Usual | Special, .vjp = name##_vjp, .save = shape() | out(), .batch = batch::dims, .doc = text}};
SOFTMAX(softmax,
        "exp(x) divided by its sum along `dim`, without overflow.\n\nArgs: input (floating, any shape), dim, dtype (the input is cast to it first).\n\n"
        "Example::\n\n    >>> torch.softmax(torch.tensor([0., 0.]), 0)\n    tensor([0.5000, 0.5000])\n")
SOFTMAX(log_softmax,
        "x minus logsumexp(x) along `dim`: the logarithm of softmax, more accurate than log(softmax(x)).\n\nArgs: input (floating, any shape), dim, dtype (the input is cast to it first).\n\n"
        "Example::\n\n    >>> torch.log_softmax(torch.tensor([0., 0.]), 0)\n    tensor([-0.6931, -0.6931])\n")
#undef SOFTMAX

}  // namespace tabula
