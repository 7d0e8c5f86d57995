// Vector norms.
#include <cmath>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/reduce_norm.h"
#include "ops/reduce_raw.h"
#include "ops/view.h"

namespace tabula {
namespace {

using kernels::Reduce;

std::string order_text(double p) { return std::isinf(p) ? (p < 0 ? "-inf" : "inf") : concat(p); }

Tensor run_vector_norm(const Tensor& x, const Scalar& ord, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  check(is_differentiable(x.dtype()), "linalg.vector_norm: Expected a floating point or complex tensor as input. Got ", dtype_title(x.dtype()));
  if (dtype) {
    check(is_differentiable(*dtype), "linalg.vector_norm: dtype should be floating point or complex, but got ", dtype_title(*dtype));
    check(is_complex(x.dtype()) == is_complex(*dtype), "linalg.vector_norm: dtype should be ", is_complex(x.dtype()) ? "complex" : "real", " for ",
          is_complex(x.dtype()) ? "complex" : "real", " inputs, but got ", dtype_title(*dtype));
    check(promote_types(x.dtype(), *dtype) == *dtype, "linalg.vector_norm: the dtype of the input (", dtype_title(x.dtype()), ") should be convertible without narrowing to the specified dtype (",
          dtype_title(*dtype), ")");
  }
  check(!ord.is_complex(), "linalg.vector_norm: Expected a non-complex scalar as the order of norm.");
  const double p = ord.to_double();
  if (x.numel() == 0 && (p < 0 || std::isinf(p))) {
    check(dim && !dim->empty(), "linalg.vector_norm cannot compute the ", order_text(p), " norm on an empty tensor because the operation does not have an identity");
    for (int64_t d : wrap_dims(*dim, x.dim()))
      check(x.dim() == 0 || x.sizes()[size_t(d)] != 0, "linalg.vector_norm cannot compute the ", order_text(p), " norm on the dimension ", d,
            "because this dimension is empty and the operation does not have an identity");
  }
  const Tensor values = dtype && *dtype != x.dtype() ? cast_raw(x, *dtype) : x;
  const ReducedDims dims(x, dim);
  return reduce_raw(p == 2 ? Reduce::norm2 : Reduce::norm_p, values, dims, keepdim, real_dtype(values.dtype()), p);
}

// Derivatives of (sum |x|^p)^(1/p), with the subgradient 0 where the norm or an element is 0.
Tensor norm_gradient(const Tensor& grad, const Tensor& x, double p, const Tensor& result, OptionalInts dims, bool keepdim) {
  const Tensor g = unsqueeze_reduced(grad, x.sizes(), dims, keepdim), norm = unsqueeze_reduced(result, x.sizes(), dims, keepdim);
  const auto zero_where = [](const Tensor& flat, const Tensor& values) { return where(flat, Scalar(0.0), values); };
  if (p == 0) return zeros_like_raw(x);  // a count is flat
  if (p == 1) return sgn(x) * g;
  if (p == 2) return g * zero_where(eq(norm, 0), x / norm);
  const Tensor size = abs(x);
  if (std::isinf(p)) {
    const Tensor top = logical_or(eq(size, norm), isnan(size));
    return sgn(x) * (g / sum_dim(top, dims, true) * top);
  }
  if (p < 1) return sgn(x) * zero_where(eq(x, 0), pow(size, Scalar(p - 1))) * g * pow(norm, Scalar(1 - p));
  const Tensor flat = eq(norm, 0), scale = zero_where(flat, g) / where(flat, Scalar(1.0), pow(norm, Scalar(p - 1)));
  if (p < 2) return sgn(x) * pow(size, Scalar(p - 1)) * scale;
  return x * pow(size, Scalar(p - 2)) * scale;
}
void vector_norm_vjp(Backward& b) {
  b.set(0, norm_gradient(b.g(), b.in(0), b.number(1), b.out(), b.has(2) ? OptionalInts(b.ints(2)) : std::nullopt, b.flag(3)));
}

#define VECTOR_NORM(name)                                                                                                                \
  OpDef{.schema = name "(Tensor x, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",                 \
        .run = fn_exact_out<run_vector_norm>, .on = Linalg | OutForm, .vjp = vector_norm_vjp, .save = in(0) | out(), .node = "LinalgVectorNormBackward0", .batch = batch::dims, \
        .doc = "The vector norm (sum |x|^ord)^(1/ord) over the dims in `dim`, or of the flattened tensor.\n\n"                         \
               "Args: x (floating or complex), ord (any number; inf and -inf are the extrema of |x|, 0 counts nonzeros), dim, keepdim,\n" \
               "dtype (computed in). Returns a real tensor. Raises where an empty input has no such norm.\n\n"                           \
               "Example::\n\n    >>> torch.linalg.vector_norm(torch.tensor([3., 4.]))\n    tensor(5.)\n"}
const Op vector_norm{VECTOR_NORM("vector_norm")};
constexpr OpDef internal(OpDef row) {
  row.on = Internal | Function | OutForm;
  return row;
}
}  // namespace
const Op linalg_vector_norm{internal(VECTOR_NORM("linalg_vector_norm"))};
#undef VECTOR_NORM

namespace {

Tensor run_dist(const Tensor& input, const Tensor& other, const Scalar& p) { return vector_norm(input - other, p); }
const Op dist{OpDef{.schema = "dist(Tensor input, Tensor other, Scalar p=2) -> Tensor", .run = fn<run_dist>, .on = Both, .composite = true,
                    .doc = "The p-norm of the difference of two tensors, which are broadcast.\n\n"
                           "Example::\n\n    >>> torch.dist(torch.tensor([3., 4.]), torch.zeros(2))\n    tensor(5.)\n"}};

}  // namespace
}  // namespace tabula
