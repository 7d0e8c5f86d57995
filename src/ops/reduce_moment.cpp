// Variances, and sums that leave something out.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/reduce.h"
#include "ops/reduce_raw.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

using kernels::Reduce;

double count_over(IntList sizes, OptionalInts dims) {
  double n = 1;
  if (!dims || dims->empty())
    for (int64_t s : sizes) n *= double(s);
  else if (!sizes.empty())
    for (int64_t d : wrap_dims(*dims, int64_t(sizes.size()))) n *= double(sizes[size_t(d)]);
  return n;
}

OptionalInts optional_ints(Backward& b, int i) { return b.has(i) ? OptionalInts(b.ints(i)) : std::nullopt; }

// ---- variance ----

struct Moments {
  Tensor spread, mean;
};

// The real and imaginary parts of a complex tensor vary independently: their variances add.
Moments moments(const Tensor& x, OptionalInts dims, double correction, bool keepdim, bool root, bool with_mean, const char* name) {
  if (!is_differentiable(x.dtype()))
    fail(ErrorKind::Runtime, with_mean ? name : "std and var", with_mean ? " only support" : " only support", " floating point and complex dtypes");
  const ReducedDims reduced(x, dims);
  if (count_over(x.sizes(), dims) - correction <= 0)
    warn(concat(name, "(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input numel divided by output numel)."));
  Moments m;
  if (is_complex(x.dtype())) {
    const DType part = real_dtype(x.dtype());
    const Tensor re = real(x), im = imag(x);
    m.spread = reduce_raw(Reduce::var, re, reduced, keepdim, part, correction) + reduce_raw(Reduce::var, im, reduced, keepdim, part, correction);
    if (root) m.spread = sqrt(m.spread);
    if (with_mean) m.mean = reduce_raw(Reduce::mean, x, reduced, keepdim, x.dtype());
  } else if (with_mean) {
    m.spread = reduce_raw(root ? Reduce::std_mean : Reduce::var_mean, x, reduced, keepdim, x.dtype(), correction, &m.mean, x.dtype());
  } else {
    m.spread = reduce_raw(root ? Reduce::std : Reduce::var, x, reduced, keepdim, x.dtype(), correction);
  }
  return m;
}

// d var / d x = 2 (x - mean) / (n - correction)
Tensor var_gradient(const Tensor& grad, const Tensor& x, OptionalInts dims, double correction, bool keepdim) {
  const double freedom = count_over(x.sizes(), dims) - correction;
  const Tensor centred = x - mean_dim(x, dims, true);
  const Tensor g = unsqueeze_reduced(grad, x.sizes(), dims, keepdim);
  if ((!dims || x.dim() == 0) && freedom <= 0) return g * where(eq(centred, 0), Scalar(NAN), Scalar(HUGE_VAL));
  return g * Scalar(2.0 / freedom) * centred;
}
// std is the root of var; where it is 0 the subgradient 0 is taken
Tensor std_gradient(const Tensor& grad, const Tensor& result, const Tensor& x, OptionalInts dims, double correction, bool keepdim) {
  const Tensor flat = eq(result, 0);
  return var_gradient(where(flat, Scalar(0.0), grad) / where(flat, Scalar(1.0), result * Scalar(2)), x, dims, correction, keepdim);
}

Scalar correction_or_one(const std::optional<Scalar>& correction) { return correction.value_or(Scalar(1)); }

template <bool root>
Tensor run_spread(const Tensor& x, OptionalInts dim, std::optional<Scalar> correction, bool keepdim) {
  return moments(x, dim, correction_or_one(correction).to_double(), keepdim, root, false, root ? "std" : "var").spread;
}
template <bool root>
std::tuple<Tensor, Tensor> run_spread_mean(const Tensor& x, OptionalInts dim, std::optional<Scalar> correction, bool keepdim) {
  Moments m = moments(x, dim, correction_or_one(correction).to_double(), keepdim, root, true, root ? "std_mean" : "var_mean");
  return {m.spread, m.mean};
}

double correction_of(Backward& b) { return b.has(2) ? b.number(2) : 1; }
template <bool root>
void spread_vjp(Backward& b) {
  const OptionalInts dims = optional_ints(b, 1);
  b.set(0, root ? std_gradient(b.g(), b.out(), b.in(0), dims, correction_of(b), b.flag(3)) : var_gradient(b.g(), b.in(0), dims, correction_of(b), b.flag(3)));
}
template <bool root>
void spread_mean_vjp(Backward& b) {
  const OptionalInts dims = optional_ints(b, 1);
  const Tensor& x = b.in(0);
  Tensor total;
  if (b.has_g(0)) total = root ? std_gradient(b.g(0), b.out(0), x, dims, correction_of(b), b.flag(3)) : var_gradient(b.g(0), x, dims, correction_of(b), b.flag(3));
  if (b.has_g(1)) {
    const Tensor part = expand_reduced(b.g(1), x.sizes(), dims, b.flag(3)) / Scalar(count_over(x.sizes(), dims));
    total = total.defined() ? total + part : part;
  }
  if (total.defined()) b.set(0, total);
}

// ---- sums ----

Tensor run_nansum(const Tensor& input, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  check(!is_complex(input.dtype()), "nansum on CPU does not support complex inputs");
  const bool whole = is_integral_or_bool(input.dtype());
  const DType result = dtype ? *dtype : whole ? DType::Int64 : input.dtype();
  return reduce_raw(whole ? Reduce::sum : Reduce::nansum, input, ReducedDims(input, dim), keepdim, result);
}
void nansum_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  b.set(0, unsqueeze_reduced(b.g(), x.sizes(), optional_ints(b, 1), b.flag(2)) * logical_not(isnan(x)));
}
const Op nansum{OpDef{.schema = "nansum(Tensor input, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", .run = fn<run_nansum>, .on = Usual, .vjp = nansum_vjp, .save = in(0),
                      .batch = batch::dims, .doc = "Sum over the dims in `dim` (all when None) in which NaN counts as zero.\n\nArgs: input (real dtype), dim, keepdim, dtype of the result.\n\n"
                             "Example::\n\n    >>> torch.nansum(torch.tensor([1., float('nan'), 2.]))\n    tensor(3.)\n"}};

Tensor run_nanmean(const Tensor& input, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  check(is_differentiable(input.dtype()), "nanmean(): expected input to have floating point or complex dtype but got ", dtype_title(input.dtype()));
  return nansum(input, dim, keepdim, dtype) / sum_dim(logical_not(isnan(input)), dim, keepdim);
}
const Op nanmean{OpDef{.schema = "nanmean(Tensor input, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor", .run = fn<run_nanmean>, .on = Usual, .composite = true,
                       .doc = "Mean over the dims in `dim` (all when None) of the elements that are not NaN; NaN where there are none.\n\n"
                              "Example::\n\n    >>> torch.nanmean(torch.tensor([1., float('nan'), 2.]))\n    tensor(1.5000)\n"}};

Tensor count_nonzero_over(const Tensor& input, OptionalInts dims) {
  return reduce_raw(Reduce::count_nonzero, input, ReducedDims(input, dims), false, DType::Int64);
}
Tensor run_count_nonzero(const Tensor& input, std::optional<int64_t> dim) {
  return count_nonzero_over(input, dim ? OptionalInts(IntList(&*dim, 1)) : std::nullopt);
}
Tensor run_count_nonzero_dims(const Tensor& input, IntList dim) { return count_nonzero_over(input, dim); }
const Op count_nonzero{OpDef{.schema = "count_nonzero(Tensor input, int? dim=None) -> Tensor", .run = fn<run_count_nonzero>, .on = Usual,
                             .batch = batch::dims, .doc = "Number of elements that are not zero, over all elements or along dims. Returns int64.\n\n"
                                    "Example::\n\n    >>> torch.count_nonzero(torch.tensor([0., 2., 3.]))\n    tensor(2)\n"}};
const Op count_nonzero_dims{OpDef{.schema = "count_nonzero.dim_IntList(Tensor input, int[] dim) -> Tensor", .run = fn<run_count_nonzero_dims>, .on = Usual, .batch = batch::dims}};

// ---- logsumexp ----

Tensor run_logsumexp(const Tensor& input, IntList dim, bool keepdim) {
  const ReducedDims dims(input, dim);
  if (is_complex(input.dtype())) {
    const Tensor re = real(input);
    const DType part = real_dtype(input.dtype());
    Tensor top = input.numel() ? reduce_raw(Reduce::amax, re, dims, true, part) : zeros_raw(dims.kept_sizes(input.sizes(), true), part, input.device());
    top = where(isfinite(top), top, Scalar(0.0));
    const Tensor total = reduce_raw(Reduce::sum, exp(input - top), dims, true, input.dtype());
    const Tensor result = log(total) + top;
    return keepdim ? result : reshape(result, IntList(dims.kept_sizes(input.sizes(), false)));
  }
  return reduce_raw(Reduce::logsumexp, input, dims, keepdim, is_floating(input.dtype()) ? input.dtype() : default_dtype);
}
void logsumexp_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  const OptionalInts dims = b.ints(1);
  b.set(0, unsqueeze_reduced(b.g(), x.sizes(), dims, b.flag(2)) * conj_of(exp(x - unsqueeze_reduced(b.out(), x.sizes(), dims, b.flag(2)))));
}
constexpr OpDef logsumexp_row(uint16_t on) {
  return OpDef{.schema = "logsumexp(Tensor input, int[1] dim, bool keepdim=False) -> Tensor", .run = fn<run_logsumexp>, .on = on, .vjp = logsumexp_vjp, .save = in(0) | out(),
               .batch = batch::dims, .doc = "log(sum(exp(x))) over the dims in `dim`, computed without overflow.\n\nInteger inputs become the default floating dtype.\n\n"
                      "Example::\n\n    >>> torch.logsumexp(torch.tensor([0., 0.]), 0)\n    tensor(0.6931)\n"};
}

}  // namespace

const Op logsumexp{logsumexp_row(Usual | Special)};

#define SPREAD_DOC(what, example, value)                                                                                                    \
  what " over the dims in `dim` (all when None).\n\nThe divisor is n - correction; `unbiased` stands for a correction of 1 or 0. Floating and complex\n" \
       "dtypes; of complex inputs the parts' variances add. Warns when no degree of freedom is left.\n\n"                                 \
       "Example::\n\n    >>> torch." example "(torch.tensor([1., 2., 3.]))\n    " value "\n"

// Each in PyTorch's three forms: by dims with a flag, by correction, and over everything with a flag.
#define SPREAD(name, root, Node, doc_text)                                                                                                   \
  static const Op name##_correction{OpDef{.schema = #name ".correction(Tensor input, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor", .run = fn<run_spread<root>>, \
                                          .on = Usual, .vjp = spread_vjp<root>, .save = in(0) | out(), .node = Node, .batch = batch::dims, .doc = doc_text}};     \
  static Tensor run_##name##_dim(const Tensor& x, OptionalInts dim, bool unbiased, bool keepdim) { return name##_correction(x, dim, Scalar(int(unbiased)), keepdim); } \
  static const Op name##_dim{OpDef{.schema = #name ".dim(Tensor input, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor", .run = fn<run_##name##_dim>, .on = Usual, .composite = true}}; \
  static Tensor run_##name(const Tensor& x, bool unbiased) { return name##_correction(x, Value(), Scalar(int(unbiased))); }                  \
  static const Op name##_all{OpDef{.schema = #name "(Tensor input, bool unbiased) -> Tensor", .run = fn<run_##name>, .on = Both, .composite = true}};
SPREAD(var, false, "VarBackward0", SPREAD_DOC("Variance", "var", "tensor(1.)"))
SPREAD(std, true, "StdBackward0", SPREAD_DOC("Standard deviation", "std", "tensor(1.)"))
#undef SPREAD

#define SPREAD_MEAN(name, root, Node, doc_text)                                                                                              \
  static const Op name##_correction{OpDef{.schema = #name ".correction(Tensor input, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",     \
                                          .run = fn<run_spread_mean<root>>, .on = Function, .vjp = spread_mean_vjp<root>, .save = in(0) | out(), .node = Node, .batch = batch::dims, .doc = doc_text}}; \
  static std::tuple<Tensor, Tensor> run_##name##_dim(const Tensor& x, OptionalInts dim, bool unbiased, bool keepdim) {                        \
    auto [spread, mean] = name##_correction.many<2>(x, dim, Scalar(int(unbiased)), keepdim);                                                 \
    return {spread, mean};                                                                                                                   \
  }                                                                                                                                          \
  static const Op name##_dim{OpDef{.schema = #name ".dim(Tensor input, int[1]? dim, bool unbiased=True, bool keepdim=False) -> (Tensor, Tensor)", .run = fn<run_##name##_dim>,   \
                                   .on = Function, .composite = true}};                                                                      \
  static std::tuple<Tensor, Tensor> run_##name(const Tensor& x, bool unbiased) {                                                              \
    auto [spread, mean] = name##_correction.many<2>(x, Value(), Scalar(int(unbiased)));                                                      \
    return {spread, mean};                                                                                                                   \
  }                                                                                                                                          \
  static const Op name##_all{OpDef{.schema = #name "(Tensor input, bool unbiased) -> (Tensor, Tensor)", .run = fn<run_##name>, .on = Function, .composite = true}};
SPREAD_MEAN(var_mean, false, "VarMeanBackward0", SPREAD_DOC("Variance and mean", "var_mean", "(tensor(1.), tensor(2.))"))
SPREAD_MEAN(std_mean, true, "StdMeanBackward0", SPREAD_DOC("Standard deviation and mean", "std_mean", "(tensor(1.), tensor(2.))"))
#undef SPREAD_MEAN
#undef SPREAD_DOC

}  // namespace tabula
