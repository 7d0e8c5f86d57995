#include "ops/sort.h"

#include <limits>

#include "kernels/sort.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/reduce.h"
#include "ops/scatter.h"
#include "ops/view.h"

namespace tabula {

namespace {

using Pair = std::tuple<Tensor, Tensor>;

// Values and indices of this length along dim.
Pair empty_pair(const Tensor& t, int64_t dim, int64_t length) {
  Dims sizes(t.sizes());
  if (t.dim()) sizes[dim] = length;
  return {Tensor::empty(sizes, t.dtype(), t.device()), Tensor::empty(sizes, DType::Int64, t.device())};
}

kernels::SortCall sort_call(const Tensor& t, int64_t dim, const Pair& into) {
  const auto& [values, indices] = into;
  return {t.dtype(), t.sizes(), dim, t.data(), t.strides(), values.data(), values.strides(), indices.data_as<int64_t>(), indices.strides()};
}

void check_not_empty(const char* name, const Tensor& t, int64_t dim) {
  check_index(t.dim() == 0 || t.sizes()[size_t(dim)] > 0, name, "(): Expected reduction dim ", dim, " to have non-zero size.");
}

// Drops the dimension of size one that a selection along dim leaves, unless it is to be kept.
Pair without_dim(Pair pair, int64_t dim, bool keepdim) {
  if (keepdim) return pair;
  const auto drop = [dim](const Tensor& t) {
    Geometry g = t.geometry();
    if (g.sizes.empty()) return t;
    g.sizes.erase(dim);
    g.strides.erase(dim);
    return Tensor::alias(t, g);
  };
  return {drop(std::get<0>(pair)), drop(std::get<1>(pair))};
}

// The gradient of values picked along dim: they go back to where they came from.
Tensor put_back(const Tensor& g, const Tensor& indices, IntList sizes, int64_t dim) {
  const Tensor zeros = zeros_raw(sizes, g.dtype(), g.device());
  return scatter(zeros, dim, indices, g);
}

}  // namespace

// ---- sort ----

static Pair run_sort_stable(const Tensor& input, std::optional<bool> stable, int64_t dim, bool descending) {
  check(!is_complex(input.dtype()), " Sort does not support complex dtypes on CPU");
  dim = wrap_dim(dim, input.dim());
  Pair result{Tensor::empty_like(input, input.dtype()), Tensor::empty_like(input, DType::Int64)};
  if (input.numel() == 0) return result;
  const kernels::SortCall call = sort_call(input, dim, result);
  // PyTorch does not sort a dimension that repeats one element
  const bool repeats = input.dim() && input.strides()[size_t(dim)] == 0;
  kernels::sort[input.device().kind](call, descending, stable.value_or(false) || repeats);
  return result;
}
static Pair run_sort(const Tensor& input, int64_t dim, bool descending) { return run_sort_stable(input, false, dim, descending); }
static void sort_vjp(Backward& b) { b.set(0, put_back(b.g(), b.out(1), b.sizes(0), b.integer(1))); }
static void sort_stable_vjp(Backward& b) { b.set(0, put_back(b.g(), b.out(1), b.sizes(0), b.integer(2))); }
const Op sort_stable{OpDef{.schema = "sort.stable(Tensor input, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
                           .run = fn_exact_out<run_sort_stable>,
                           .on = Usual,
                           .vjp = sort_stable_vjp,
                           .save = out(1) | shape(0),
                           .nondiff = 2, .batch = batch::dims}};
const Op sort{OpDef{.schema = "sort(Tensor input, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
                    .run = fn_exact_out<run_sort>,
                    .on = Usual,
                    .vjp = sort_vjp,
                    .save = out(1) | shape(0),
                    .nondiff = 2,
                    .batch = batch::dims, .doc = "Sorts along a dimension; returns the values and their positions (int64). Only stable=True promises to keep equal elements in order; NaN counts as the largest value.\n\n"
                           "Args: input (any shape, real dtype or bool); dim; descending.\n\n"
                           "Example::\n\n    >>> torch.sort(torch.tensor([3, 1, 2])).values\n    tensor([1, 2, 3])\n"}};

static Tensor run_argsort(const Tensor& input, int64_t dim, bool descending) { return std::get<1>(run_sort(input, dim, descending)); }
const Op argsort{OpDef{.schema = "argsort(Tensor input, int dim=-1, bool descending=False) -> Tensor",
                       .run = fn<run_argsort>,
                       .on = Both,
                       .batch = batch::dims, .doc = "The positions (int64) that sort the input along dim; stable=True keeps equal elements in order.\n\n"
                              "Example::\n\n    >>> torch.argsort(torch.tensor([3, 1, 2]))\n    tensor([1, 2, 0])\n"}};
static Tensor run_argsort_stable(const Tensor& input, bool stable, int64_t dim, bool descending) {
  return std::get<1>(run_sort_stable(input, stable, dim, descending));
}
static const Op argsort_stable{OpDef{.schema = "argsort.stable(Tensor input, *, bool stable, int dim=-1, bool descending=False) -> Tensor",
                                     .run = fn<run_argsort_stable>,
                                     .on = Usual, .batch = batch::dims}};
static Tensor run_msort(const Tensor& input) { return sort(input, int64_t(0)); }
static const Op msort{OpDef{.schema = "msort(Tensor input) -> Tensor", .run = fn_exact_out<run_msort>, .on = Usual, .composite = true, .doc = "The input sorted along its first dimension."
        TABULA_EXAMPLE("torch.msort(torch.tensor([3, 1, 2]))", "tensor([1, 2, 3])")}};

// ---- selections ----

static Pair run_topk(const Tensor& input, int64_t k, int64_t dim, bool largest, bool sorted) {
  check(!is_complex(input.dtype()), " topk does not support complex dtypes on CPU");
  check(input.dtype() != DType::Bool, "topk does not support bool dtypes on CPU");
  dim = wrap_dim(dim, input.dim());
  check(k >= 0 && k <= (input.dim() ? input.sizes()[size_t(dim)] : 1), "selected index k out of range");
  if (input.dim() == 0) return {clone_raw(input), zeros_raw({}, DType::Int64, input.device())};
  Pair result = empty_pair(input, dim, k);
  if (std::get<0>(result).numel()) kernels::topk[input.device().kind](sort_call(input, dim, result), k, largest, sorted);
  return result;
}
static void topk_vjp(Backward& b) { b.set(0, put_back(b.g(), b.out(1), b.sizes(0), b.integer(2))); }
const Op topk{OpDef{.schema = "topk(Tensor input, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
                    .run = fn_exact_out<run_topk>,
                    .on = Usual,
                    .vjp = topk_vjp,
                    .save = out(1) | shape(0),
                    .nondiff = 2,
                    .batch = batch::dims, .doc = "The k largest (or smallest) elements along dim, and their positions (int64).\n\n"
                           "Example::\n\n    >>> torch.topk(torch.tensor([1, 5, 3]), 2).values\n    tensor([5, 3])\n"}};

static Tensor put_back_reduced(Backward& b, int64_t dim, bool keepdim) {
  const IntList sizes = b.sizes(0);
  if (sizes.empty() || keepdim) return put_back(b.g(), b.out(1), sizes, dim);
  dim = wrap_dim(dim, int64_t(sizes.size()));
  return put_back(unsqueeze(b.g(), dim), unsqueeze(b.out(1), dim), sizes, dim);
}

static Pair run_kthvalue(const Tensor& input, int64_t k, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, input.dim());
  check_not_empty("kthvalue", input, dim);
  check(k >= 1 && k <= (input.dim() ? input.sizes()[size_t(dim)] : 1), "kthvalue(): selected number k out of range for dimension ", dim);
  check_implemented(!is_complex(input.dtype()) && input.dtype() != DType::Bool, "\"kthvalue_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  Pair result = empty_pair(input, dim, 1);
  if (std::get<0>(result).numel()) kernels::kthvalue[input.device().kind](sort_call(input, dim, result), k);
  return without_dim(std::move(result), dim, keepdim);
}
static void kthvalue_vjp(Backward& b) { b.set(0, put_back_reduced(b, b.integer(2), b.flag(3))); }
static void refuse_kthvalue_out(DType, DType) { fail(ErrorKind::Runtime, "output values must be of same type as input"); }
const Op kthvalue{OpDef{.schema = "kthvalue(Tensor input, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
                        .run = fn_exact_out_as<run_kthvalue, refuse_kthvalue_out>,
                        .on = Usual,
                        .vjp = kthvalue_vjp,
                        .save = out(1) | shape(0),
                        .nondiff = 2,
                        .batch = batch::dims, .doc = "The k-th smallest element along dim (k counts from 1), and its position."
        TABULA_EXAMPLE("torch.kthvalue(torch.tensor([3, 1, 2]), 2)",
                       "torch.return_types.kthvalue(\n"
                       "    values=tensor(2),\n"
                       "    indices=tensor(2))")}};

template <bool ignore_nan>
static Pair run_median_dim(const Tensor& input, int64_t dim, bool keepdim) {
  check_implemented(!is_complex(input.dtype()) && input.dtype() != DType::Bool, "\"median_out\" not implemented for '", dtype_title(input.dtype()), "'");
  dim = wrap_dim(dim, input.dim());
  check_not_empty("median", input, dim);
  Pair result = empty_pair(input, dim, 1);
  if (std::get<0>(result).numel()) kernels::median[input.device().kind](sort_call(input, dim, result), ignore_nan);
  return without_dim(std::move(result), dim, keepdim);
}
static void median_dim_vjp(Backward& b) { b.set(0, put_back_reduced(b, b.integer(1), b.flag(2))); }
const Op median_dim{OpDef{.schema = "median.dim(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
                          .run = fn<run_median_dim<false>>,
                          .on = Usual,
                          .vjp = median_dim_vjp,
                          .save = out(1) | shape(0),
                          .nondiff = 2,
                          .node = "MedianBackward1", .batch = batch::dims}};
static const Op nanmedian_dim{OpDef{.schema = "nanmedian.dim(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
                                    .run = fn<run_median_dim<true>>,
                                    .on = Usual,
                                    .vjp = median_dim_vjp,
                                    .save = out(1) | shape(0),
                                    .nondiff = 2,
                                    .node = "NanmedianBackward1", .batch = batch::dims}};

template <bool ignore_nan>
static Tensor run_median(const Tensor& input) {
  check_implemented(!is_complex(input.dtype()) && input.dtype() != DType::Bool, "\"median_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  if (input.numel() == 0) return full_raw({}, Scalar(std::numeric_limits<double>::quiet_NaN()), input.dtype(), input.device());
  const Tensor dense = contiguous_raw(input);
  const Tensor flat = Tensor::alias(dense, {Dims{dense.numel()}, Dims{1}, dense.offset()});
  return std::get<0>(run_median_dim<ignore_nan>(flat, 0, false));
}
// Shared by all elements that equal the median.
static void median_vjp(Backward& b) {
  const Tensor &x = b.in(0), &m = b.out();
  const Tensor hit = to_dtype(logical_or(eq(x, m), logical_and(isnan(x), isnan(m))), b.g().dtype());
  b.set(0, hit * (b.g() / sum(hit)));
}
const Op median{OpDef{.schema = "median(Tensor input) -> Tensor",
                      .run = fn<run_median<false>>,
                      .on = Both,
                      .vjp = median_vjp,
                      .save = in(0) | out(),
                      .batch = batch::whole, .doc = "The median of all elements (the lower one of two), NaN if there is one. With dim: along a dimension, with positions.\n\n"
                             "Example::\n\n    >>> torch.median(torch.tensor([3., 1., 2., 9.]))\n    tensor(2.)\n"}};
static const Op nanmedian{OpDef{.schema = "nanmedian(Tensor input) -> Tensor",
                                .run = fn<run_median<true>>,
                                .on = Both,
                                .vjp = median_vjp,
                                .save = in(0) | out(),
                                .batch = batch::whole, .doc = "As torch.median, leaving out NaN where there is anything else."
        TABULA_EXAMPLE("torch.nanmedian(torch.tensor([1., float('nan'), 3.]))", "tensor(1.)")}};

static Pair run_mode(const Tensor& input, int64_t dim, bool keepdim) {
  check_implemented(!is_complex(input.dtype()), "\"mode_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  dim = wrap_dim(dim, input.dim());
  check_not_empty("mode", input, dim);
  Pair result = empty_pair(input, dim, 1);
  if (std::get<0>(result).numel()) kernels::mode[input.device().kind](sort_call(input, dim, result));
  return without_dim(std::move(result), dim, keepdim);
}
static void refuse_mode_out(DType result, DType given) {
  fail(ErrorKind::Runtime, "expected scalar type '", dtype_title(result), "' but got '", dtype_title(given), "' for values output");
}
const Op mode{OpDef{.schema = "mode(Tensor input, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
                    .run = fn_exact_out_as<run_mode, refuse_mode_out>,
                    .on = Usual,
                    .vjp = median_dim_vjp,
                    .save = out(1) | shape(0),
                    .nondiff = 2,
                    .batch = batch::dims, .doc = "The most frequent element along dim (the smallest of several), and where it stands last."
        TABULA_EXAMPLE("torch.mode(torch.tensor([3, 1, 3]))",
                       "torch.return_types.mode(\n"
                       "    values=tensor(3),\n"
                       "    indices=tensor(2))")}};

}  // namespace tabula
