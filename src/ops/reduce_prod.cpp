#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/index_basic.h"
#include "ops/lines.h"
#include "ops/reduce.h"
#include "ops/reduce_prod.h"
#include "ops/reduce_raw.h"
#include "ops/scan.h"
#include "ops/view.h"

namespace tabula {
namespace {

using kernels::Reduce;

DType product_dtype(const Tensor& t, std::optional<DType> dtype) { return dtype ? *dtype : is_integral_or_bool(t.dtype()) ? DType::Int64 : t.dtype(); }

Tensor run_prod(const Tensor& input, std::optional<DType> dtype) {
  return reduce_raw(Reduce::prod, input, ReducedDims(input, std::nullopt), false, product_dtype(input, dtype));
}
Tensor run_prod_dim(const Tensor& input, int64_t dim, bool keepdim, std::optional<DType> dtype) {
  return reduce_raw(Reduce::prod, input, ReducedDims(input, IntList(&dim, 1)), keepdim, product_dtype(input, dtype));
}

// The product of all other elements along `dim`, right where some are zero: what stands before times what stands after.
Tensor product_of_others(const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim);
  const Tensor head = narrow(x, dim, 0, n - 1), tail = narrow(x, dim, 1, n - 1);
  const Tensor one = ones_along(x, dim);
  const Tensor before[2] = {one, cumprod(head, dim)};
  const Tensor after[2] = {reverse_along(cumprod(reverse_along(tail, dim), dim), dim), one};
  return cat(TensorList(before), dim) * cat(TensorList(after), dim);
}

bool has_zero(const Tensor& x) { return !x.is_meta() && item(any(eq(x, 0))).to_bool(); }

void prod_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  if (x.numel() == 0) return b.set(0, expand(b.g(), x.sizes()));
  if (x.dim() == 0) return b.set(0, b.g());
  if (!has_zero(x)) return b.set(0, b.g() * conj_of(b.out() / x));
  const int64_t n = x.numel();
  b.set(0, b.g() * conj_of(reshape(product_of_others(reshape(x, IntList(&n, 1)), 0), x.sizes())));
}
void prod_dim_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  if (x.dim() == 0) return b.set(0, b.g());
  const int64_t dim = wrap_dim(b.integer(1), x.dim());
  const Tensor g = unsqueeze_reduced(b.g(), x.sizes(), IntList(&dim, 1), b.flag(2));
  if (x.numel() == 0) return b.set(0, expand(g, x.sizes()));
  if (!has_zero(x)) return b.set(0, g * conj_of(unsqueeze_reduced(b.out(), x.sizes(), IntList(&dim, 1), b.flag(2)) / x));
  b.set(0, g * conj_of(product_of_others(x, dim)));
}

}  // namespace

const Op prod{OpDef{.schema = "prod(Tensor input, *, dtype? dtype=None) -> Tensor", .run = fn<run_prod>, .on = Both, .vjp = prod_vjp, .save = in(0) | out(),
                    .batch = batch::whole, .doc = "Product of all elements, or along `dim`.\n\nIntegers and bool are multiplied in int64 unless dtype= says otherwise. The gradient is exact where elements are zero.\n\n"
                           "Example::\n\n    >>> torch.prod(torch.tensor([2., 3.]))\n    tensor(6.)\n"}};
const Op prod_dim{OpDef{.schema = "prod.dim_int(Tensor input, int dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor", .run = fn<run_prod_dim>, .on = Usual, .vjp = prod_dim_vjp,
                               .save = in(0) | out(), .node = "ProdBackward1", .batch = batch::dims}};

}  // namespace tabula
