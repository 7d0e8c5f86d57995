// Maximum and average pooling with sliding windows.
#include "core/state.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/pool_window.h"
#include "ops/view.h"

namespace tabula {
namespace {

int64_t plane_size(const int64_t (&size)[3]) { return size[0] * size[1] * size[2]; }

// ---- maxima ----

void check_max_dtype(DType d, int n) {
  const bool whole = n > 1 && is_integral(d);
  check_implemented((is_floating(d) && !is_float8(d)) || whole, "\"max_pool", n, n == 1 ? "d_impl" : "d", "\" not implemented for '", dtype_title(d), "'");
}

// The kernel knows int64 of the integers; the others take a detour.
Tensor max_pool_raw(const PoolShape& shape, const Tensor& input, Tensor* indices) {
  const bool detour = is_integral(input.dtype()) && input.dtype() != DType::Int64;
  const Tensor from = contiguous_raw(detour ? cast_raw(input, DType::Int64) : input);
  Tensor result = Tensor::empty(shape.out_sizes, from.dtype(), input.device());
  if (indices) *indices = Tensor::empty(shape.out_sizes, DType::Int64, input.device());
  kernels::PoolCall call = shape.call;
  call.dtype = from.dtype();
  call.in = from.data();
  call.out = result.data();
  call.indices = indices ? indices->data_as<int64_t>() : nullptr;
  if (result.numel()) kernels::max_pool[input.device().kind](call);
  return detour ? cast_raw(result, input.dtype()) : result;
}

template <int n>
std::tuple<Tensor, Tensor> run_max_pool(const Tensor& input, IntList kernel_size, IntList stride, IntList padding, IntList dilation, bool ceil_mode) {
  const PoolShape shape(PoolKind::MaxWithIndices, n, input, kernel_size, stride, padding, dilation, ceil_mode);
  check_max_dtype(input.dtype(), n);
  Tensor indices;
  Tensor values = max_pool_raw(shape, input, &indices);
  return {values, indices};
}

Tensor run_max_pool_backward(const Tensor& grad, IntList input_sizes, const Tensor& indices, int64_t n) {
  check(indices.dtype() == DType::Int64, "max pooling: expected indices of dtype Long but got ", dtype_title(indices.dtype()));
  check(same(grad.sizes(), indices.sizes()), "max pooling: the gradient's shape ", shape_text(grad.sizes()), " is not the indices' ", shape_text(indices.sizes()));
  Tensor result = Tensor::empty(input_sizes, grad.dtype(), grad.device());
  const Tensor from = contiguous_raw(grad), at = contiguous_raw(indices);
  kernels::PoolCall call = pool_call(int(n), input_sizes, grad.sizes(), grad.dtype());
  call.in = from.data();
  call.out = result.data();
  call.indices = at.data_as<int64_t>();
  if (result.numel()) kernels::max_pool_backward[grad.device().kind](call);
  return result;
}
// Reads at the positions that the gradient was written to.
Tensor taken(const Tensor& x, const Tensor& indices, IntList sizes, int64_t n) {
  const kernels::PoolCall call = pool_call(int(n), sizes, indices.sizes(), DType::Float32);
  const Dims from{call.planes, plane_size(call.in_size)}, to{call.planes, plane_size(call.out_size)};
  return reshape(gather(reshape(x, from), 1, reshape(indices, to)), indices.sizes());
}
void max_pool_backward_vjp(Backward& b) { b.set(0, taken(b.g(), b.in(2), b.ints(1), b.integer(3))); }

#define MAX_POOL_ARGUMENTS(n, stride_default) \
  "(Tensor input, int[" #n "] kernel_size, int[" #n "]" stride_default ", int[" #n "] padding=0, int[" #n "] dilation=1, bool ceil_mode=False"
#define MAX_POOL_CORE(n, Node)                                                                                                                                                     \
  const Op max_pool##n##d_core{OpDef{.schema = "max_pool" #n "d_with_indices" MAX_POOL_ARGUMENTS(n, " stride=[]") ") -> (Tensor, Tensor)", .run = fn<run_max_pool<n>>,                     \
                                     .on = n == 1 ? Internal | Function : Internal, .vjp = max_pool_vjp<n>, .save = shape() | out(1), .nondiff = 2, .node = Node,  \
                                     .batch = batch::fold<n>, .doc = "The greatest elements of windows, and their positions in the input plane; see torch.nn.functional.max_pool" #n "d."  \
                                            TABULA_EXAMPLE("torch._C._ops.max_pool1d_with_indices(torch.tensor([[1., 3.]]), 2)", "(tensor([[3.]]), tensor([[1]]))")}};
MAX_POOL_CORE(1, "MaxPool2DWithIndicesBackward0")
MAX_POOL_CORE(2, "MaxPool2DWithIndicesBackward0")
MAX_POOL_CORE(3, "MaxPool3DWithIndicesBackward0")
#undef MAX_POOL_CORE

template <int n>
const Op& max_pool_core() {
  return n == 1 ? max_pool1d_core : n == 2 ? max_pool2d_core : max_pool3d_core;
}

// Indices are found only for those who ask, or for a gradient.
template <int n>
Tensor run_max_pool_values(const Tensor& input, IntList kernel_size, IntList stride, IntList padding, IntList dilation, bool ceil_mode) {
  const PoolShape shape(PoolKind::Max, n, input, kernel_size, stride, padding, dilation, ceil_mode);
  if (calls_may_be_taken() || (input.impl()->special & kDispatch) || (thread_state.grad_enabled && input.needs_grad()) || input.is_dual()) return max_pool_core<n>()(input, kernel_size, stride, padding, dilation, ceil_mode);
  check_max_dtype(input.dtype(), n);
  return max_pool_raw(shape, input, nullptr);
}
IntList stride_or_none(const Value& v) { return v.is_none() ? IntList() : v.ints(); }
template <int n, bool always_indices>
void run_max_pool_nn(const Op&, const Value* args, Out& out) {
  const IntList stride = stride_or_none(args[2]);
  if (always_indices || args[6].flag()) {
    max_pool_core<n>().call(out, args[0].tensor(), args[1].ints(), stride, args[3].ints(), args[4].ints(), args[5].flag());
    return;
  }
  out.tensors[0] = run_max_pool_values<n>(args[0].tensor(), args[1].ints(), stride, args[3].ints(), args[4].ints(), args[5].flag());
  out.count = 1;
}

constexpr const char* kMaxDoc =
    "Greatest element of each window.\n\nArgs: input of shape (N, C, ...) or (C, ...), kernel_size, stride (kernel_size when None), padding (of -inf, at most half a\n"
    "window), dilation, ceil_mode (also windows that reach over the end), return_indices (positions in the input plane too).\n\n"
    "Example::\n\n    >>> torch.nn.functional.max_pool1d(torch.tensor([[1., 3., 2., 4.]]), 2)\n    tensor([[3., 4.]])\n";

#define MAX_POOL(n)                                                                                                                                                                  \
  const Op max_pool##n##d{OpDef{.schema = "max_pool" #n "d" MAX_POOL_ARGUMENTS(n, " stride=[]") ") -> Tensor", .run = fn<run_max_pool_values<n>>, .on = Function, .composite = true,         \
                                .doc = kMaxDoc}};                                                                                                                                    \
  const Op max_pool##n##d_nn{OpDef{.schema = "max_pool" #n "d.nn" MAX_POOL_ARGUMENTS(n, "? stride=None") ", bool return_indices=False) -> Tensor", .run = boxed(run_max_pool_nn<n, false>),  \
                                   .on = NN, .composite = true, .doc = kMaxDoc}};                                                                                                    \
  const Op max_pool##n##d_with_indices_nn{OpDef{.schema = "max_pool" #n "d_with_indices.nn" MAX_POOL_ARGUMENTS(n, "? stride=None") ", bool return_indices=False) -> (Tensor, Tensor)",      \
                                                .run = boxed(run_max_pool_nn<n, true>), .on = NN, .composite = true, .doc = kMaxDoc}};
MAX_POOL(1)
MAX_POOL(2)
MAX_POOL(3)
#undef MAX_POOL
#undef MAX_POOL_ARGUMENTS

// PyTorch's form, whose second argument only gives the shape.
Tensor run_aten_backward(const Tensor& grad, const Tensor& input, IntList, IntList, IntList, IntList, bool, const Tensor& indices) { return run_max_pool_backward(grad, input.sizes(), indices, 2); }
void aten_backward_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, taken(b.g(), b.in(7), b.sizes(1), 2));
  if (b.needs(1)) b.set(1, zeros_like_raw(b.g()));
}
const Op max_pool2d_with_indices_backward{OpDef{.schema = "max_pool2d_with_indices_backward(Tensor grad_output, Tensor input, int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, "
                                                          "bool ceil_mode, Tensor indices) -> Tensor",
                                                .run = fn<run_aten_backward>, .on = Internal | NN | OutForm, .vjp = aten_backward_vjp, .save = shape(1) | in(7),
    .batch = batch::fold<2>, .doc =
        "The gradient of max_pool2d from that of its result and the indices of the maxima."
        TABULA_EXAMPLE("torch._C._nn.max_pool2d_with_indices_backward(torch.ones(1, 1, 1), torch.tensor([[[1., 2.]]]), [1, 2], [1, 2], [0, 0], [1, 1], False, torch.tensor([[[1]]]))",
                       "tensor([[[0., 1.]]])")}};

// ---- averages ----

void check_average_dtype(DType d, int n) {
  check_implemented((is_floating(d) && !is_float8(d)) || d == DType::Int64, "\"avg_pool", n == 1 ? 2 : n, "d\" not implemented for '", dtype_title(d), "'");
}

kernels::PoolCall average_call(int n, const Tensor& input, IntList kernel_size, IntList stride, IntList padding, bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor, Dims* sizes) {
  static constexpr int64_t one = 1;
  const PoolShape shape(PoolKind::Average, n, input, kernel_size, stride, padding, IntList(&one, 1), ceil_mode);
  check(!divisor || *divisor != 0, "divisor must be not zero");
  kernels::PoolCall call = shape.call;
  call.count_include_pad = count_include_pad;
  call.divisor = divisor.value_or(0);
  *sizes = shape.out_sizes;
  return call;
}

template <int n>
Tensor run_avg_pool(const Tensor& input, IntList kernel_size, IntList stride, IntList padding, bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  Dims sizes;
  kernels::PoolCall call = average_call(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor, &sizes);
  check_average_dtype(input.dtype(), n);
  const Tensor from = contiguous_raw(input);
  Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  call.in = from.data();
  call.out = result.data();
  if (result.numel()) kernels::avg_pool[input.device().kind](call);
  return result;
}

template <int n>
Tensor run_avg_pool_backward(const Tensor& grad, IntList input_sizes, IntList kernel_size, IntList stride, IntList padding, bool ceil_mode, bool count_include_pad,
                             std::optional<int64_t> divisor) {
  Dims sizes;
  Tensor result = Tensor::empty(input_sizes, grad.dtype(), grad.device());
  kernels::PoolCall call = average_call(n, result, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor, &sizes);
  const Tensor from = contiguous_raw(grad);
  call.in = from.data();
  call.out = result.data();
  if (result.numel()) kernels::avg_pool_backward[grad.device().kind](call);
  return result;
}

// Averaging is linear: the derivative of its transpose is averaging.
template <int n>
void avg_pool_vjp(Backward& b);
template <int n>
void avg_pool_backward_vjp(Backward& b);
#define AVG_POOL_TAIL(n) "int[" #n "] kernel_size, int[" #n "] stride=[], int[" #n "] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
#define AVG_POOL_CORE(n, Node)                                                                                                                                                      \
  const Op avg_pool##n##d_core{OpDef{.schema = "avg_pool" #n "d.core(Tensor input, " AVG_POOL_TAIL(n), .run = fn<run_avg_pool<n>>, .on = Internal, .vjp = avg_pool_vjp<n>, .save = shape(),    \
                                     .node = Node, .batch = batch::fold<n>}};                                                                                                                                \
  const Op avg_pool##n##d_backward{OpDef{.schema = "avg_pool" #n "d_backward(Tensor grad_output, int[] input_sizes, " AVG_POOL_TAIL(n), .run = fn<run_avg_pool_backward<n>>, .on = Internal, \
                                         .vjp = avg_pool_backward_vjp<n>, .batch = batch::fold<n>}};
AVG_POOL_CORE(1, "AvgPool2DBackward0")
AVG_POOL_CORE(2, "AvgPool2DBackward0")
AVG_POOL_CORE(3, "AvgPool3DBackward0")
#undef AVG_POOL_CORE

template <int n>
const Op& avg_pool_core() {
  return n == 1 ? avg_pool1d_core : n == 2 ? avg_pool2d_core : avg_pool3d_core;
}
template <int n>
const Op& avg_pool_transpose() {
  return n == 1 ? avg_pool1d_backward : n == 2 ? avg_pool2d_backward : avg_pool3d_backward;
}
template <int n>
void avg_pool_vjp(Backward& b) {
  b.set(0, avg_pool_transpose<n>()(b.g(), b.sizes(0), b.ints(1), b.ints(2), b.ints(3), b.flag(4), b.flag(5), b.arg(6)));
}
template <int n>
void avg_pool_backward_vjp(Backward& b) {
  b.set(0, avg_pool_core<n>()(b.g(), b.ints(2), b.ints(3), b.ints(4), b.flag(5), b.flag(6), b.arg(7)));
}

template <int n>
Tensor run_avg_pool_nn(const Tensor& input, IntList kernel_size, OptionalInts stride, IntList padding, bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  return avg_pool_core<n>()(input, kernel_size, stride.value_or(IntList()), padding, ceil_mode, count_include_pad, divisor);
}
Tensor run_avg_pool1d(const Tensor& input, IntList kernel_size, OptionalInts stride, IntList padding, bool ceil_mode, bool count_include_pad) {
  check(kernel_size.size() == 1, "avg_pool1d() argument 'kernel_size' should contain one int (got ", kernel_size.size(), ")");
  return run_avg_pool_nn<1>(input, kernel_size, stride, padding, ceil_mode, count_include_pad, std::nullopt);
}

constexpr const char* kAverageDoc =
    "Mean of each window.\n\nArgs: input of shape (N, C, ...) or (C, ...), kernel_size, stride (kernel_size when None), padding (of zeros, at most half a window),\n"
    "ceil_mode, count_include_pad (padding counts in the divisor), divisor_override (2-d and 3-d: divide by this).\n\n"
    "Example::\n\n    >>> torch.nn.functional.avg_pool1d(torch.tensor([[1., 3., 2., 4.]]), 2)\n    tensor([[2., 3.]])\n";
const Op avg_pool1d{OpDef{.schema = "avg_pool1d(Tensor input, int[1] kernel_size, int[1]? stride=None, int[1] padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor",
                          .run = fn<run_avg_pool1d>, .on = NN | Function, .composite = true, .doc = kAverageDoc}};
#define AVG_POOL(n)                                                                                                                                                                 \
  const Op avg_pool##n##d_nn{OpDef{.schema = "avg_pool" #n "d(Tensor input, int[" #n "] kernel_size, int[" #n "]? stride=None, int[" #n "] padding=0, bool ceil_mode=False, "             \
                                             "bool count_include_pad=True, int? divisor_override=None) -> Tensor",                                                                  \
                                   .run = fn_exact_out<run_avg_pool_nn<n>>, .on = NN | OutForm, .composite = true, .doc = kAverageDoc}};
AVG_POOL(2)
AVG_POOL(3)
#undef AVG_POOL
#undef AVG_POOL_TAIL

}  // namespace

const Op max_pool_backward{OpDef{.schema = "_max_pool_backward(Tensor grad_output, int[] input_sizes, Tensor indices, int spatial) -> Tensor", .run = fn<run_max_pool_backward>, .on = Internal,
                                 .vjp = max_pool_backward_vjp, .save = in(2), .batch = batch::sized}};

}  // namespace tabula
