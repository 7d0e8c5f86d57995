#include "ops/reduce.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/reduce_raw.h"
#include "ops/view.h"

namespace tabula {

ReducedDims::ReducedDims(const Tensor& t, OptionalInts dims, bool empty_means_all) : reduced(t.dim(), uint8_t(0)) {
  check(t.dim() <= 64, "only tensors with up to 64 dims are supported");
  if (!dims || (dims->empty() && empty_means_all)) {
    std::fill(reduced.begin(), reduced.end(), uint8_t(1));
    return;
  }
  for (int64_t d : wrap_dims(*dims, t.dim()))
    if (t.dim()) reduced[d] = 1;
  all = std::all_of(reduced.begin(), reduced.end(), [](uint8_t r) { return r; });
}

Dims ReducedDims::kept_sizes(IntList sizes, bool keepdim) const {
  Dims kept;
  for (size_t d = 0; d < sizes.size(); d++) {
    if (!reduced[int64_t(d)])
      kept.push_back(sizes[d]);
    else if (keepdim)
      kept.push_back(1);
  }
  return kept;
}

Tensor reduce_raw(kernels::Reduce kind, const Tensor& t, const ReducedDims& dims, bool keepdim, DType result, double p0, Tensor* second, DType second_dtype) {
  Tensor out = Tensor::empty(dims.kept_sizes(t.sizes(), keepdim), result, t.device());
  if (second) *second = Tensor::empty(out.sizes(), second_dtype, t.device());
  if (out.numel() == 0 || t.is_meta()) return out;
  const int64_t nd = t.dim();
  SmallVec<int64_t, 8> out_strides(nd, int64_t(0));
  int64_t step = 1;
  for (int64_t d = nd - 1; d >= 0; d--) {
    if (dims.reduced[d]) continue;
    out_strides[d] = step;
    step *= t.sizes()[size_t(d)];
  }
  kernels::ReduceCall call{};
  call.op = kind;
  call.ndim = int(nd);
  call.sizes = t.sizes().data();
  call.in_strides = t.strides().data();
  call.out_strides = out_strides.data();
  call.reduced = reinterpret_cast<const bool*>(dims.reduced.data());
  call.in = t.data();
  call.in_dtype = t.dtype();
  call.out = out.data();
  call.out_dtype = result;
  call.out2 = second ? second->data() : nullptr;
  call.out2_dtype = second_dtype;
  call.params[0] = p0;
  kernels::reduce[t.device().kind](call);
  return out;
}

Tensor unsqueeze_reduced(const Tensor& g, IntList sizes, OptionalInts dims, bool keepdim) {
  if (keepdim || sizes.empty()) return g;
  uint64_t reduced = 0;
  const int64_t nd = int64_t(sizes.size());
  if (!dims || dims->empty())
    reduced = ~uint64_t(0);
  else
    for (int64_t d : wrap_dims(*dims, nd)) reduced |= uint64_t(1) << d;
  Dims shape(nd);
  for (int64_t d = 0; d < nd; d++) shape[d] = reduced >> d & 1 ? 1 : sizes[size_t(d)];
  return reshape(g, IntList(shape));
}
Tensor expand_reduced(const Tensor& g, IntList sizes, OptionalInts dims, bool keepdim) { return expand(unsqueeze_reduced(g, sizes, dims, keepdim), sizes); }

Tensor sum_to(const Tensor& t, IntList sizes) {
  if (same(t.sizes(), sizes)) return t;
  const int64_t lead = t.dim() - int64_t(sizes.size());
  Dims dims;
  for (int64_t d = 0; d < t.dim(); d++)
    if (d < lead || (sizes[size_t(d - lead)] == 1 && t.sizes()[size_t(d)] != 1)) dims.push_back(d);
  Tensor result = dims.empty() ? t : sum_dim(t, dims, true);
  return lead > 0 ? reshape(result, sizes) : result;
}
static Tensor run_sum_to_size(const Tensor& input, IntList size) {
  check(expandable_to(size, input.sizes()), "size {", shape_text(size), "} is not expandable to size {", shape_text(input.sizes()), "}.");
  return size.empty() ? sum(input) : sum_to(input, size);
}
static const Op sum_to_size{OpDef{.schema = "sum_to_size(Tensor input, int[] size) -> Tensor", .run = fn<run_sum_to_size>, .on = Method, .composite = true,
    .doc =
        "The tensor summed to a shape that broadcasts to its own: the inverse of expand, as gradients need it."
        TABULA_EXAMPLE("torch.ones(2, 3).sum_to_size(1, 3)", "tensor([[2., 2., 2.]])")}};

// ---- sum and mean ----

static DType sum_dtype(const Tensor& t, std::optional<DType> dtype) { return dtype ? *dtype : is_integral_or_bool(t.dtype()) ? DType::Int64 : t.dtype(); }

static Tensor run_sum(const Tensor& input, std::optional<DType> dtype) {
  return reduce_raw(kernels::Reduce::sum, input, ReducedDims(input, std::nullopt), false, sum_dtype(input, dtype));
}
static void sum_vjp(Backward& b) { b.set(0, expand(b.g(), b.sizes(0))); }
const Op sum{OpDef{.schema = "sum(Tensor input, *, dtype? dtype=None) -> Tensor", .run = fn<run_sum>, .on = Both, .linear = Linear::Joint, .vjp = sum_vjp, .save = shape(),
    .batch = batch::whole, .doc =
        "The sum of all elements, or along the dimensions of dim (kept with size 1 if keepdim). Integers and bool "
        "sum to int64; dtype converts before summing."
        TABULA_EXAMPLE("torch.sum(torch.tensor([[1, 2], [3, 4]]))", "tensor(10)")
        TABULA_STEP("torch.sum(torch.tensor([[1, 2], [3, 4]]), dim=0)", "tensor([4, 6])")}};

static Tensor run_sum_dim(const Tensor& input, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  return reduce_raw(kernels::Reduce::sum, input, ReducedDims(input, dim), keepdim, sum_dtype(input, dtype));
}
// Without dtype=, an out= tensor says in what dtype to sum.
static void run_sum_into(const Op&, const Value* args, Out& out) {
  const std::optional<DType> given = detail::Unbox<std::optional<DType>>::get(args[3]);
  detail::box(out, run_sum_dim(args[0].tensor(), detail::Unbox<OptionalInts>::get(args[1]), args[2].flag(), !given && out.into ? out.into->dtype() : given));
}
static void sum_dim_vjp(Backward& b) { b.set(0, expand_reduced(b.g(), b.sizes(0), b.has(1) ? OptionalInts(b.ints(1)) : std::nullopt, b.flag(2))); }
const Op sum_dim{OpDef{.schema = "sum.dim(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", .run = boxed(run_sum_into), .on = Usual, .linear = Linear::Joint, .vjp = sum_dim_vjp, .save = shape(),
                       .node = "SumBackward1", .batch = batch::dims}};

static DType mean_dtype(const Tensor& t, std::optional<DType> dtype) {
  const DType d = dtype.value_or(t.dtype());
  if (!is_floating(d) && !is_complex(d))
    fail(ErrorKind::Runtime, "mean(): could not infer output dtype. ", dtype ? "Optional" : "Input", " dtype must be either a floating point or complex dtype. Got: ", dtype_title(d));
  return d;
}
static Tensor run_mean(const Tensor& input, std::optional<DType> dtype) {
  return reduce_raw(kernels::Reduce::mean, input, ReducedDims(input, std::nullopt), false, mean_dtype(input, dtype));
}
static double reduced_count(IntList sizes, OptionalInts dims) {
  double n = 1;
  if (!dims || dims->empty()) {
    for (int64_t s : sizes) n *= double(s);
  } else if (!sizes.empty()) {
    for (int64_t d : wrap_dims(*dims, int64_t(sizes.size()))) n *= double(sizes[size_t(d)]);
  }
  return n;
}
static void mean_vjp(Backward& b) { b.set(0, expand(b.g(), b.sizes(0)) / Scalar(reduced_count(b.sizes(0), std::nullopt))); }
const Op mean{OpDef{.schema = "mean(Tensor input, *, dtype? dtype=None) -> Tensor", .run = fn<run_mean>, .on = Usual, .linear = Linear::Joint, .vjp = mean_vjp, .save = shape(),
    .batch = batch::whole, .doc =
        "The mean of all elements, or along the dimensions of dim (kept with size 1 if keepdim); NaN of nothing. "
        "A RuntimeError for integers, unless dtype converts them."
        TABULA_EXAMPLE("torch.mean(torch.tensor([[1., 2.], [3., 4.]]))", "tensor(2.5000)")
        TABULA_STEP("torch.mean(torch.tensor([[1., 2.], [3., 4.]]), dim=1, keepdim=True)",
                    "tensor([[1.5000],\n"
                    "            [3.5000]])")}};
static Tensor run_mean_dim(const Tensor& input, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  return reduce_raw(kernels::Reduce::mean, input, ReducedDims(input, dim), keepdim, mean_dtype(input, dtype));
}
static void mean_dim_vjp(Backward& b) {
  const OptionalInts dims = b.has(1) ? OptionalInts(b.ints(1)) : std::nullopt;
  b.set(0, expand_reduced(b.g(), b.sizes(0), dims, b.flag(2)) / Scalar(reduced_count(b.sizes(0), dims)));
}
const Op mean_dim{OpDef{.schema = "mean.dim(Tensor input, int[1]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", .run = fn<run_mean_dim>, .on = Usual, .linear = Linear::Joint, .vjp = mean_dim_vjp, .save = shape(),
                        .node = "MeanBackward1", .batch = batch::dims}};

// ---- any and all ----

static DType truth_dtype(const Tensor& t) { return t.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool; }
static void check_truth_out(const Op& op, const Tensor* into) {
  check(!into || into->dtype() == DType::Bool || into->dtype() == DType::UInt8, op.schema.base_name, " only supports bool tensor for result, got: ",
        dtype_title(into ? into->dtype() : DType::Bool));
}
template <auto F>
static void run_truth(const Op& op, const Value* args, Out& out) {
  check_truth_out(op, out.into);
  detail::Typed<F>::run(op, args, out);
  if (out.into && out.into->dtype() != out[0].dtype()) out[0] = cast_raw(out[0], out.into->dtype());
}
static Tensor run_any(const Tensor& input) { return reduce_raw(kernels::Reduce::any, input, ReducedDims(input, std::nullopt), false, truth_dtype(input)); }
const Op any{OpDef{.schema = "any(Tensor input) -> Tensor", .run = boxed(run_truth<run_any>), .on = Usual,
    .batch = batch::whole, .doc =
        "Whether any element is nonzero, of all or along dim (False of nothing). The result is bool, for uint8 "
        "uint8."
        TABULA_EXAMPLE("torch.any(torch.tensor([0, 1]))", "tensor(True)")
        TABULA_STEP("torch.any(torch.tensor([[0, 0], [0, 1]]), dim=1)", "tensor([False,  True])")}};
static Tensor run_any_dim(const Tensor& input, OptionalInts dim, bool keepdim) {
  return reduce_raw(kernels::Reduce::any, input, ReducedDims(input, dim, false), keepdim, truth_dtype(input));
}
static const Op any_dim{OpDef{.schema = "any.dim(Tensor input, int[1]? dim, bool keepdim=False) -> Tensor", .run = boxed(run_truth<run_any_dim>), .on = Usual, .batch = batch::dims}};
static Tensor run_all(const Tensor& input) { return reduce_raw(kernels::Reduce::all, input, ReducedDims(input, std::nullopt), false, truth_dtype(input)); }
const Op all{OpDef{.schema = "all(Tensor input) -> Tensor", .run = boxed(run_truth<run_all>), .on = Usual,
    .batch = batch::whole, .doc =
        "Whether all elements are nonzero, of all or along dim (True of nothing). The result is bool, for uint8 "
        "uint8."
        TABULA_EXAMPLE("torch.all(torch.tensor([0, 1]))", "tensor(False)")
        TABULA_STEP("torch.all(torch.tensor([[1, 1], [0, 1]]), dim=1)", "tensor([ True, False])")}};
static Tensor run_all_dim(const Tensor& input, OptionalInts dim, bool keepdim) {
  return reduce_raw(kernels::Reduce::all, input, ReducedDims(input, dim, false), keepdim, truth_dtype(input));
}
static const Op all_dim{OpDef{.schema = "all.dim(Tensor input, int[1]? dim, bool keepdim=False) -> Tensor", .run = boxed(run_truth<run_all_dim>), .on = Usual, .batch = batch::dims}};

}  // namespace tabula
