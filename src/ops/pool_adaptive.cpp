// Pooling to a given output size: window i of n outputs runs from floor(i s / n) to ceil((i + 1) s / n).
#include <algorithm>
#include <limits>

#include "core/state.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/optional_int.h"
#include "ops/pool_window.h"
#include "ops/reduce_raw.h"
#include "ops/view.h"

namespace tabula {
namespace {

enum class Kind { Max, Average };

// None in an output size keeps the input's size there.
Dims output_sizes(Kind kind, int n, const Tensor& input, IntList wanted) {
  const std::string name = concat(kind == Kind::Max ? "adaptive_max_pool" : "adaptive_avg_pool", n, "d");
  const bool max = kind == Kind::Max;
  if (n == 1) {
    check(input.dim() == 2 || input.dim() == 3, "Expected 2 to 3 dimensions, but got ", input.dim(), "-dimensional tensor for argument #1 'self' (while checking arguments for ", name, ")");
    check(wanted.size() == 1, name, "() argument 'output_size' should contain one int (got ", wanted.size(), ")");
  } else {
    // an int stands for all dimensions, a tuple is looked up against the input's sizes first
    check_value(wanted.size() == 1 || input.dim() > int64_t(wanted.size()), "Input dimension should be at least ", wanted.size() + 1);
    check(wanted.size() == 1 || int(wanted.size()) == n, name, max ? "(): internal error: output_size.size() must be " : ": output_size must be ", n);
    check(input.dim() == n + 1 || input.dim() == n + 2, name, "(): Expected ", n + 1, "D or ", n + 2, "D tensor, but got", max ? ": " : " ", shape_text(input.sizes()));
  }
  const int64_t first = max ? input.dim() - n - 1 : input.dim() - n;
  for (int64_t d = first; d < input.dim() && (max || n > 1); d++)
    check(input.sizes()[size_t(d)] > 0, name, "(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ", shape_text(input.sizes()), " with dimension ", d,
          " being empty");
  Dims sizes(input.sizes());
  bool negative = false;
  for (int d = 0; d < n; d++) {
    const int64_t size = wanted[wanted.size() == 1 ? 0 : size_t(d)];
    if (size == kNoInt) continue;
    sizes[input.dim() - n + d] = size;
    negative |= size < 0;
  }
  if (!negative) return sizes;
  if (max) fail(ErrorKind::Runtime, "Trying to create tensor with negative dimension ", *std::min_element(sizes.begin(), sizes.end()), ": ", shape_text(sizes));
  std::string list = n == 1 ? "1, " : "";
  for (int d = 0; d < n; d++) list += (d ? ", " : "") + std::to_string(sizes[input.dim() - n + d]);
  fail(ErrorKind::Runtime, "adaptive_avg_pool", n == 1 ? 2 : n, "d: elements of output_size must be greater than or equal to 0 but received {", list, "}");
}

void check_dtype(Kind kind, int n, DType d) {
  check_implemented(is_floating(d) && !is_float8(d), "\"adaptive_", kind == Kind::Max ? "max" : "avg", "_pool", n == 1 ? 2 : n, "d\" not implemented for '", dtype_title(d), "'");
}

// ---- averages ----

template <int n>
Tensor run_average(const Tensor& input, IntList output_size) {
  const Dims sizes = output_sizes(Kind::Average, n, input, output_size);
  check_dtype(Kind::Average, n, input.dtype());
  const IntList places = IntList(sizes).last(size_t(n));
  if (input.numel() > 0 && std::all_of(places.begin(), places.end(), [](int64_t size) { return size == 1; })) {
    Dims all;
    for (int64_t d = input.dim() - n; d < input.dim(); d++) all.push_back(d);
    return reduce_raw(kernels::Reduce::mean, input, ReducedDims(input, all), true, input.dtype());
  }
  const Tensor from = contiguous_raw(input);
  Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  kernels::PoolCall call = pool_call(n, input.sizes(), sizes, input.dtype());
  call.in = from.data();
  call.out = result.data();
  if (input.numel() == 0)
    fill_into(result, Scalar(std::numeric_limits<double>::quiet_NaN()));  // means over nothing
  else if (result.numel())
    kernels::adaptive_avg_pool[input.device().kind](call);
  return result;
}
template <int n>
Tensor run_average_backward(const Tensor& grad, IntList input_sizes) {
  const Tensor from = contiguous_raw(grad);
  if (grad.numel() == 0) return zeros_raw(input_sizes, grad.dtype(), grad.device());
  Tensor result = Tensor::empty(input_sizes, grad.dtype(), grad.device());
  kernels::PoolCall call = pool_call(n, input_sizes, grad.sizes(), grad.dtype());
  call.in = from.data();
  call.out = result.data();
  if (result.numel()) kernels::adaptive_avg_pool_backward[grad.device().kind](call);
  return result;
}
template <int n>
void average_vjp(Backward& b);
template <int n>
void average_backward_vjp(Backward& b);

constexpr const char* kAverageDoc =
    "Means of windows chosen so that the output has size output_size.\n\nArgs: input (N, C, ...) or (C, ...) floating; output_size, one int for all dims or one for each, None keeps a size.\n\n"
    "Example::\n\n    >>> torch.nn.functional.adaptive_avg_pool1d(torch.tensor([[1., 3., 2., 4.]]), 2)\n    tensor([[2., 3.]])\n";
#define AVERAGE(n, Node)                                                                                                                                                             \
  const Op average##n{OpDef{.schema = "adaptive_avg_pool" #n "d(Tensor input, int?[" #n "] output_size) -> Tensor", .run = fn<run_average<n>>, .on = n == 1 ? NN | Function : NN | OutForm,     \
                            .vjp = average_vjp<n>, .save = shape(), .node = Node, .batch = batch::fold<n>, .doc = kAverageDoc}};                                                                              \
  const Op average##n##_backward{OpDef{.schema = "_adaptive_avg_pool" #n "d_backward(Tensor grad_output, int[] input_sizes) -> Tensor", .run = fn<run_average_backward<n>>, .on = Internal,   \
                                       .vjp = average_backward_vjp<n>, .save = shape(), .batch = batch::fold<n>}};
AVERAGE(1, "AdaptiveAvgPool2DBackward0")
AVERAGE(2, "AdaptiveAvgPool2DBackward0")
AVERAGE(3, "AdaptiveAvgPool3DBackward0")
#undef AVERAGE
template <int n>
void average_vjp(Backward& b) {
  const Op& op = n == 1 ? average1_backward : n == 2 ? average2_backward : average3_backward;
  b.set(0, op(b.g(), b.sizes(0)));
}
template <int n>
void average_backward_vjp(Backward& b) {
  const Op& op = n == 1 ? average1 : n == 2 ? average2 : average3;
  b.set(0, op(b.g(), b.sizes(0).last(size_t(n))));
}

// ---- maxima ----

template <int n>
std::tuple<Tensor, Tensor> run_max(const Tensor& input, IntList output_size) {
  const Dims sizes = output_sizes(Kind::Max, n, input, output_size);
  check_dtype(Kind::Max, n, input.dtype());
  const Tensor from = contiguous_raw(input);
  Tensor result = Tensor::empty(sizes, input.dtype(), input.device()), indices = Tensor::empty(sizes, DType::Int64, input.device());
  kernels::PoolCall call = pool_call(n, input.sizes(), sizes, input.dtype());
  call.in = from.data();
  call.out = result.data();
  call.indices = indices.data_as<int64_t>();
  if (result.numel()) kernels::adaptive_max_pool[input.device().kind](call);
  return {result, indices};
}
template <int n>
const Op& max_core();
template <int n, bool always_indices>
void run_max_nn(const Op&, const Value* args, Out& out) {
  max_core<n>().call(out, args[0].tensor(), args[1].ints());
  if (always_indices || args[2].flag()) return;
  out.tensors[1] = Tensor();
  out.count = 1;
}

constexpr const char* kMaxDoc =
    "Greatest elements of windows chosen so that the output has size output_size.\n\nArgs: input (N, C, ...) or (C, ...) floating; output_size, one int for all dims or one for each, None keeps\n"
    "a size; return_indices: positions in the input plane too.\n\n"
    "Example::\n\n    >>> torch.nn.functional.adaptive_max_pool1d(torch.tensor([[1., 3., 2., 4.]]), 2)\n    tensor([[3., 4.]])\n";
#define MAXIMUM(n, Node)                                                                                                                                                             \
  const Op maximum##n##_core{OpDef{.schema = "adaptive_max_pool" #n "d.core(Tensor input, int?[" #n "] output_size) -> (Tensor, Tensor)", .run = fn<run_max<n>>,                             \
                                   .on = n == 1 ? Internal | Function : Internal, .vjp = max_pool_vjp<n>, .save = shape() | out(1), .nondiff = 2, .node = Node, .batch = batch::fold<n>, .doc = kMaxDoc}};                         \
  const Op maximum##n##_nn{OpDef{.schema = "adaptive_max_pool" #n "d(Tensor input, int?[" #n "] output_size, bool return_indices=False) -> Tensor", .run = boxed(run_max_nn<n, false>),      \
                                 .on = NN, .composite = true, .doc = kMaxDoc}};                                                                                                      \
  const Op maximum##n##_with_indices_nn{OpDef{.schema = "adaptive_max_pool" #n "d_with_indices(Tensor input, int?[" #n "] output_size, bool return_indices=False) -> (Tensor, Tensor)",     \
                                              .run = boxed(run_max_nn<n, true>), .on = NN, .composite = true, .doc = kMaxDoc}};
MAXIMUM(1, "AdaptiveMaxPool2DBackward0")
MAXIMUM(2, "AdaptiveMaxPool2DBackward0")
MAXIMUM(3, "AdaptiveMaxPool3DBackward0")
#undef MAXIMUM
template <int n>
const Op& max_core() {
  return n == 1 ? maximum1_core : n == 2 ? maximum2_core : maximum3_core;
}

}  // namespace
}  // namespace tabula
