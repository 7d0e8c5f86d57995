#include "ops/reduce_extremum.h"

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/exact_out.h"
#include "ops/lines.h"
#include "ops/reduce.h"
#include "ops/reduce_raw.h"
#include "ops/view.h"

namespace tabula {
namespace {

using kernels::Reduce;

// Reductions without an identity: PyTorch's refusals of dims of size zero.
void check_has_elements(const Tensor& t, OptionalInts dims, const char* name, const char* whole) {
  if (t.numel()) return;
  if (!dims || dims->empty()) fail(ErrorKind::Runtime, name, whole);
  (void)wrap_dims(*dims, t.dim());
  for (int64_t d : *dims)
    check_index(t.dim() == 0 || t.size(d) != 0, name, ": Expected reduction dim ", d, " to have non-zero size.");
}
constexpr const char* kNeedsDim = ": Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.";

void check_ordered(const Tensor& t, const char* kernel) {
  check_implemented(!is_complex(t.dtype()), "\"", kernel, "\" not implemented for '", dtype_title(t.dtype()), "'");
}
IntList one_dim(const int64_t& dim) { return IntList(&dim, 1); }

// ---- amax, amin, aminmax ----

template <Reduce kind>
Tensor run_extreme(const Tensor& input, IntList dim, bool keepdim) {
  constexpr bool most = kind == Reduce::amax;
  check_ordered(input, most ? "max_values_cpu" : "min_values_cpu");
  check_has_elements(input, dim, most ? "amax()" : "amin()", kNeedsDim);
  return reduce_raw(kind, input, ReducedDims(input, dim), keepdim, input.dtype());
}
template <Reduce kind>
void run_extreme_boxed(const Op& op, const Value* args, Out& out) {
  fn<run_extreme<kind>>.run(op, args, out);
  if (out.into)
    check(out[0].dtype() == out.into->dtype(), "Expected the dtype for input and out to match, but got ", dtype_title(out[0].dtype()), " for input's dtype and ", dtype_title(out.into->dtype()),
          " for out's dtype.");
}

// Equal extrema share the gradient.
Tensor shared_among_equals(const Tensor& grad, const Tensor& result, const Tensor& x, OptionalInts dims, bool keepdim) {
  const Tensor g = unsqueeze_reduced(grad, x.sizes(), dims, keepdim), top = unsqueeze_reduced(result, x.sizes(), dims, keepdim);
  const Tensor equal = eq(x, top);
  return g * equal / sum_dim(equal, dims, true);
}
void amax_vjp(Backward& b) { b.set(0, shared_among_equals(b.g(), b.out(), b.in(0), b.ints(1), b.flag(2))); }

OptionalInts chosen(const std::optional<int64_t>& dim) { return dim ? OptionalInts(one_dim(*dim)) : std::nullopt; }

std::tuple<Tensor, Tensor> run_aminmax(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  check_ordered(input, "aminmax_cpu");
  check_has_elements(input, chosen(dim), dim ? "aminmax" : "aminmax()", ": cannot compute aminmax over an empty dimension as the operation has no identity.");
  Tensor most;
  Tensor least = reduce_raw(Reduce::aminmax, input, ReducedDims(input, chosen(dim)), keepdim, input.dtype(), 0, &most, input.dtype());
  return {least, most};
}
void aminmax_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  const int64_t dim = b.has(1) ? b.integer(1) : 0;
  const OptionalInts dims = b.has(1) ? OptionalInts(one_dim(dim)) : std::nullopt;
  Tensor total;
  for (int i = 0; i < 2; i++) {
    if (!b.has_g(i)) continue;
    const Tensor part = shared_among_equals(b.g(i), b.out(i), x, dims, b.flag(2));
    total = total.defined() ? total + part : part;
  }
  if (total.defined()) b.set(0, total);
}

// ---- max and min of everything ----

template <Reduce kind>
Tensor run_extremum_all(const Tensor& input) {
  constexpr bool most = kind == Reduce::amax;
  check_ordered(input, most ? "max_all" : "min_all");
  check_has_elements(input, std::nullopt, most ? "max()" : "min()", kNeedsDim);
  return reduce_raw(kind, input, ReducedDims(input, std::nullopt), false, input.dtype());
}
// As above, and a NaN result counts as equal to all NaN elements.
void extremum_all_vjp(Backward& b) {
  const Tensor &x = b.in(0), &top = b.out();
  const Tensor equal = logical_or(eq(x, top), logical_and(isnan(x), isnan(top)));
  b.set(0, equal * (b.g() / sum(equal)));
}

// ---- max and min along a dim ----

template <Reduce kind>
std::tuple<Tensor, Tensor> run_extremum_dim(const Tensor& input, int64_t dim, bool keepdim) {
  constexpr const char* name = kind == Reduce::max ? "max()" : "min()";
  check(!is_complex(input.dtype()), name, ": does not support complex input");
  dim = wrap_dim(dim, input.dim());
  check_has_elements(input, one_dim(dim), name, kNeedsDim);
  Tensor indices;
  Tensor values = reduce_raw(kind, input, ReducedDims(input, one_dim(dim)), keepdim, input.dtype(), 0, &indices, DType::Int64);
  return {values, indices};
}
void extremum_dim_vjp(Backward& b) {
  const IntList sizes = b.sizes(0);
  const int64_t dim = b.integer(1);
  if (sizes.empty()) return b.set(0, b.g());
  b.set(0, place_along(unsqueeze_reduced(b.g(), sizes, one_dim(dim), b.flag(2)), dim, unsqueeze_reduced(b.out(1), sizes, one_dim(dim), b.flag(2)), sizes));
}

Tensor run_max_other(const Tensor& input, const Tensor& other) { return maximum(input, other); }
Tensor run_min_other(const Tensor& input, const Tensor& other) { return minimum(input, other); }

// ---- positions ----

template <Reduce kind>
Tensor run_position(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  constexpr const char* name = kind == Reduce::argmax ? "argmax()" : "argmin()";
  check(!is_complex(input.dtype()), name, ": does not support complex input");
  check(input.dtype() != DType::Bool, name, ": does not support bool input");
  if (!dim) check_index(input.numel() != 0, name, ": Expected reduction dim to be specified for input.numel() == 0.");
  check_has_elements(input, chosen(dim), name, kNeedsDim);
  return reduce_raw(kind, input, ReducedDims(input, chosen(dim)), keepdim, DType::Int64);
}

}  // namespace

const Op amax{OpDef{.schema = "amax(Tensor input, int[1] dim=[], bool keepdim=False) -> Tensor", .run = boxed(run_extreme_boxed<Reduce::amax>), .on = Usual, .vjp = amax_vjp, .save = in(0) | out(),
                    .batch = batch::dims, .doc = "Greatest elements over the dims in `dim` (over all when empty).\n\nArgs: input (real dtype), dim (int or ints), keepdim. Returns a tensor of the input's dtype; NaN wins.\n"
                           "Equal extrema share the gradient evenly. Raises IndexError when a reduced dim has size zero.\n\n"
                           "Example::\n\n    >>> torch.amax(torch.tensor([[1., 3.], [4., 2.]]), 1)\n    tensor([3., 4.])\n"}};
const Op amin{OpDef{.schema = "amin(Tensor input, int[1] dim=[], bool keepdim=False) -> Tensor", .run = boxed(run_extreme_boxed<Reduce::amin>), .on = Usual, .vjp = amax_vjp, .save = in(0) | out(),
                    .batch = batch::dims, .doc = "Least elements over the dims in `dim` (over all when empty).\n\nArgs: input (real dtype), dim (int or ints), keepdim. Returns a tensor of the input's dtype; NaN wins.\n"
                           "Equal extrema share the gradient evenly. Raises IndexError when a reduced dim has size zero.\n\n"
                           "Example::\n\n    >>> torch.amin(torch.tensor([[1., 3.], [4., 2.]]), 1)\n    tensor([1., 2.])\n"}};
static const Op aminmax{OpDef{.schema = "aminmax(Tensor input, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", .run = fn_exact_out<run_aminmax>, .on = Usual, .vjp = aminmax_vjp,
                              .save = in(0) | out(0) | out(1),
                              .batch = batch::dims, .doc = "Least and greatest elements in one pass, over one dim or over all.\n\nReturns a named tuple (min, max).\n\n"
                                     "Example::\n\n    >>> torch.aminmax(torch.tensor([2., 1., 3.])).max\n    tensor(3.)\n"}};

#define EXTREMUM_DOC(name, adjective, other, a, c)                                                                                       \
  "The " adjective " element of all; with `dim` the " adjective " elements along it and their indices, as a named tuple\n"           \
  "(values, indices); with a second tensor the elementwise " other ".\n\nArgs: input (real dtype), dim, keepdim. NaN wins; an index is that " \
  "of the first of equals.\n\nExample::\n\n    >>> torch." name "(torch.tensor([1., 3., 2.]))\n    tensor(" a ")\n    >>> torch." name    \
  "(torch.tensor([[1, 3], [4, 2]]), 1).indices\n    tensor(" c ")\n"

static const Op max_all{OpDef{.schema = "max(Tensor input) -> Tensor", .run = fn<run_extremum_all<Reduce::amax>>, .on = Usual, .vjp = extremum_all_vjp, .save = in(0) | out(), .node = "MaxBackward1",
                              .batch = batch::extremum, .doc = EXTREMUM_DOC("max", "greatest", "maximum", "3.", "[1, 0]")}};
static const Op max_other{OpDef{.schema = "max.other(Tensor input, Tensor other) -> Tensor", .run = fn<run_max_other>, .on = Usual, .composite = true}};
const Op max_dim{OpDef{.schema = "max.dim(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", .run = fn_exact_out<run_extremum_dim<Reduce::max>>, .on = Usual,
                       .vjp = extremum_dim_vjp, .save = shape() | out(1), .nondiff = 2, .batch = batch::dims}};
static const Op min_all{OpDef{.schema = "min(Tensor input) -> Tensor", .run = fn<run_extremum_all<Reduce::amin>>, .on = Usual, .vjp = extremum_all_vjp, .save = in(0) | out(), .node = "MinBackward1",
                              .batch = batch::extremum, .doc = EXTREMUM_DOC("min", "least", "minimum", "1.", "[0, 1]")}};
static const Op min_other{OpDef{.schema = "min.other(Tensor input, Tensor other) -> Tensor", .run = fn<run_min_other>, .on = Usual, .composite = true}};
const Op min_dim{OpDef{.schema = "min.dim(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", .run = fn_exact_out<run_extremum_dim<Reduce::min>>, .on = Usual,
                       .vjp = extremum_dim_vjp, .save = shape() | out(1), .nondiff = 2, .batch = batch::dims}};
#undef EXTREMUM_DOC

const Op argmax{OpDef{.schema = "argmax(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", .run = fn_exact_out<run_position<Reduce::argmax>>, .on = Usual,
                      .batch = batch::dims, .doc = "Index of the greatest element: of the flattened input, or along `dim`.\n\nReturns int64. The first of equals; a NaN counts as greatest.\n\n"
                             "Example::\n\n    >>> torch.argmax(torch.tensor([1., 3., 2.]))\n    tensor(1)\n"}};
const Op argmin{OpDef{.schema = "argmin(Tensor input, int? dim=None, bool keepdim=False) -> Tensor", .run = fn_exact_out<run_position<Reduce::argmin>>, .on = Usual,
                      .batch = batch::dims, .doc = "Index of the least element: of the flattened input, or along `dim`.\n\nReturns int64. The first of equals; a NaN counts as least.\n\n"
                             "Example::\n\n    >>> torch.argmin(torch.tensor([1., 3., 2.]))\n    tensor(0)\n"}};

}  // namespace tabula
