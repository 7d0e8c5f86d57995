#include "ops/scan.h"

#include <limits>

#include "kernels/scan.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/lines.h"
#include "ops/reduce.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {

using kernels::Scan;

static Tensor scan_raw(Scan kind, const Tensor& input, int64_t dim, DType dtype, Tensor* indices = nullptr) {
  const Lines lines(input.sizes(), wrap_dim(dim, input.dim()));
  const Tensor from = contiguous_raw(input);
  Tensor result = Tensor::empty(input.sizes(), dtype, input.device());
  if (indices) *indices = Tensor::empty(input.sizes(), DType::Int64, input.device());
  if (result.numel() == 0) return result;
  kernels::ScanCall call{kind, lines.outer, lines.length, lines.inner, from.data(), from.dtype(), result.data(), dtype, indices ? indices->data_as<int64_t>() : nullptr};
  kernels::scan[input.device().kind](call);
  return result;
}

Tensor reverse_cumsum(const Tensor& x, int64_t dim) { return reverse_along(cumsum(reverse_along(x, dim), dim), dim); }
Tensor ones_along(const Tensor& x, int64_t dim) {
  Dims sizes(x.sizes());
  if (x.dim()) sizes[wrap_dim(dim, x.dim())] = 1;
  return full_raw(sizes, Scalar(1), x.dtype(), x.device());
}

static DType scan_dtype(const Tensor& t, std::optional<DType> dtype) { return dtype ? *dtype : is_integral_or_bool(t.dtype()) ? DType::Int64 : t.dtype(); }

// In place and into out= the result takes the target's dtype.
template <Scan kind>
static void run_cumulative(const Op& op, const Value* args, Out& out) {
  const Tensor& x = args[0].tensor();
  std::optional<DType> dtype;
  if (!args[2].is_none()) dtype = args[2].dtype();
  if (out.into) {
    const DType into = out.into->dtype();
    const auto spoken = [](DType d) { return d == DType::Float32 ? "float" : d == DType::Float64 ? "double" : d == DType::Int32 ? "int" : d == DType::Int64 ? "long int" : dtype_name(d); };
    if (!out.into->is(x)) check(!dtype || *dtype == into, "Expected out tensor to have dtype ", spoken(dtype.value_or(into)), ", but got ", spoken(into), " instead");
    dtype = into;
  }
  (void)op;
  out.tensors[0] = scan_raw(kind, x, args[1].integer(), scan_dtype(x, dtype));
  out.count = 1;
}

static void cumsum_vjp(Backward& b) { b.set(0, reverse_cumsum(b.g(), b.integer(1))); }
const Op cumsum{OpDef{.schema = "cumsum(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", .run = boxed(run_cumulative<Scan::cumsum>), .on = Usual | InPlace, .linear = Linear::Joint, .vjp = cumsum_vjp,
                      .batch = batch::dims, .doc = "Sums of each element along `dim` and all before it.\n\nIntegers and bool are summed in int64 unless dtype= says otherwise.\n\n"
                             "Example::\n\n    >>> torch.cumsum(torch.tensor([1., 2., 3.]), 0)\n    tensor([1., 3., 6.])\n"}};

// Where an element is zero the quotient below has no value. Then d out_i / d x_k is the product before k times the
// product between k and i; the sum over i >= k follows the recurrence s_k = g_k + x_{k+1} s_{k+1}.
static Tensor cumprod_gradient_with_zeros(const Tensor& g, const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim);
  std::vector<Tensor> sums(static_cast<size_t>(n));
  sums[size_t(n - 1)] = narrow(g, dim, n - 1, 1);
  for (int64_t k = n - 2; k >= 0; k--) sums[size_t(k)] = narrow(g, dim, k, 1) + narrow(x, dim, k + 1, 1) * sums[size_t(k + 1)];
  const Tensor before[2] = {ones_along(x, dim), cumprod(narrow(x, dim, 0, n - 1), dim)};
  return cat(TensorList(before), dim) * cat(TensorList(sums), dim);
}
static void cumprod_vjp(Backward& b) {
  const Tensor x = conj_of(b.in(0));
  const int64_t dim = b.integer(1);
  if (x.dim() == 0 || x.numel() <= 1) return b.set(0, b.g());
  if (x.is_meta() || !item(any(eq(x, 0))).to_bool())
    b.set(0, reverse_cumsum(conj_of(b.out()) * b.g(), dim) / x);
  else
    b.set(0, cumprod_gradient_with_zeros(b.g(), x, dim));
}
const Op cumprod{OpDef{.schema = "cumprod(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", .run = boxed(run_cumulative<Scan::cumprod>), .on = Usual | InPlace, .vjp = cumprod_vjp,
                       .save = in(0) | out(),
                       .batch = batch::dims, .doc = "Products of each element along `dim` and all before it.\n\nIntegers and bool are multiplied in int64 unless dtype= says otherwise. The gradient is exact where elements are zero.\n\n"
                              "Example::\n\n    >>> torch.cumprod(torch.tensor([1., 2., 3.]), 0)\n    tensor([1., 2., 6.])\n"}};

template <Scan kind>
static std::tuple<Tensor, Tensor> run_cumulative_extremum(const Tensor& input, int64_t dim) {
  check_implemented(!is_complex(input.dtype()), "\"", kind == Scan::cummax ? "cummax_cpu" : "cummin_cpu", "\" not implemented for '", dtype_title(input.dtype()), "'");
  Tensor indices;
  Tensor values = scan_raw(kind, input, dim, input.dtype(), &indices);
  return {values, indices};
}
static void cumulative_extremum_vjp(Backward& b) { b.set(0, place_along(b.g(), b.integer(1), b.out(1), b.sizes(0))); }
const Op cummax{OpDef{.schema = "cummax(Tensor input, int dim) -> (Tensor values, Tensor indices)", .run = fn_exact_out_as<run_cumulative_extremum<Scan::cummax>, refuse_scan_out>, .on = Usual, .vjp = cumulative_extremum_vjp,
                      .save = shape() | out(1), .nondiff = 2,
                      .batch = batch::dims, .doc = "Greatest element so far along `dim`, and its index (the last of equals), as a named tuple (values, indices).\n\n"
                             "Example::\n\n    >>> torch.cummax(torch.tensor([1., 3., 2.]), 0).values\n    tensor([1., 3., 3.])\n"}};
const Op cummin{OpDef{.schema = "cummin(Tensor input, int dim) -> (Tensor values, Tensor indices)", .run = fn_exact_out_as<run_cumulative_extremum<Scan::cummin>, refuse_scan_out>, .on = Usual, .vjp = cumulative_extremum_vjp,
                      .save = shape() | out(1), .nondiff = 2,
                      .batch = batch::dims, .doc = "Least element so far along `dim`, and its index (the last of equals), as a named tuple (values, indices).\n\n"
                             "Example::\n\n    >>> torch.cummin(torch.tensor([2., 3., 1.]), 0).values\n    tensor([2., 2., 1.])\n"}};

static Tensor run_logcumsumexp(const Tensor& input, int64_t dim) {
  check_implemented(!is_integral_or_bool(input.dtype()), "\"logcumsumexp_out_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  return scan_raw(Scan::logcumsumexp, input, dim, input.dtype());
}
// sum over i >= k of g_i exp(x_k - out_i), with positive and negative g apart, each summed as logarithms
static void logcumsumexp_vjp(Backward& b) {
  const Tensor &x = b.in(0), &g = b.g();
  const int64_t dim = b.integer(1);
  const auto summed = [&](const Tensor& log_g, const Tensor& result) {
    return reverse_along(logcumsumexp(reverse_along(log_g - result, dim), dim), dim);
  };
  if (x.dim() == 0) return b.set(0, g);
  if (is_complex(x.dtype())) return b.set(0, exp(summed(log(g), conj(b.out())) + conj(x)));
  const Scalar lowest(x.dtype() == DType::Float64 ? std::numeric_limits<double>::lowest() : x.dtype() == DType::Float16 ? -65504.0 : double(std::numeric_limits<float>::lowest()) * 0.99);
  const Tensor positive = where(gt(g, 0), log(where(gt(g, 0), g, Scalar(1.0))), lowest), negative = where(lt(g, 0), log(where(lt(g, 0), neg(g), Scalar(1.0))), lowest);
  b.set(0, exp(summed(positive, b.out()) + x) - exp(summed(negative, b.out()) + x));
}
// The mean of the tangents so far, weighted by exp(x) relative to the greatest. The constant is PyTorch's: where all
// weights so far vanish beside the greatest, the tangent is 0.
static void logcumsumexp_jvp(Forward& f) {
  const Tensor& x = f.in(0);
  if (x.dim() == 0) return f.set(0, f.tangent(0));
  const int64_t dim = f.integer(1);
  const Tensor weight = exp(is_complex(x.dtype()) ? x : x - amax(x, IntList(&dim, 1), true));
  f.set(0, cumsum(weight * f.tangent(0), dim) / (cumsum(weight, dim) + Scalar(1e-13)));
}
const Op logcumsumexp{OpDef{.schema = "logcumsumexp(Tensor input, int dim) -> Tensor", .run = fn_exact_out_as<run_logcumsumexp, refuse_scan_out>, .on = Usual, .jvp = logcumsumexp_jvp, .vjp = logcumsumexp_vjp, .save = in(0) | out(),
                            .batch = batch::dims, .doc = "log of the cumulative sum of exp(x) along `dim`, computed without overflow. Floating and complex dtypes.\n\n"
                                   "Example::\n\n    >>> torch.logcumsumexp(torch.tensor([0., 0.]), 0)\n    tensor([0.0000, 0.6931])\n"}};

}  // namespace tabula
