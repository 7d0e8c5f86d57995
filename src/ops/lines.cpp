#include "ops/lines.h"

#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/scatter.h"

namespace tabula {
namespace {

Tensor run_reverse(const Tensor& x, int64_t dim) {
  Tensor result = Tensor::empty(x.sizes(), x.dtype(), x.device());
  if (x.numel() == 0) return result;
  const Tensor from = contiguous_raw(x);
  const Lines lines(x.sizes(), wrap_dim(dim, x.dim()));
  if (x.is_meta()) return result;
  // the copy engine reads backwards through a negative stride
  const Dims sizes{lines.outer, lines.length, lines.inner};
  const int64_t last = (lines.length - 1) * lines.inner;
  copy_into(Tensor::alias(result, {sizes, contiguous_strides(sizes), result.offset()}),
            Tensor::alias(from, {sizes, Dims{lines.length * lines.inner, -lines.inner, 1}, from.offset() + last}));
  return result;
}
void reverse_vjp(Backward& b) { b.set(0, reverse_along(b.g(), b.integer(1))); }
const Op reverse{OpDef{.schema = "_reverse_along(Tensor input, int dim) -> Tensor", .run = fn<run_reverse>, .on = Internal, .vjp = reverse_vjp, .batch = batch::dims}};

}  // namespace

Tensor place_along(const Tensor& x, int64_t dim, const Tensor& index, IntList sizes) {
  return scatter_add(zeros_raw(sizes, x.dtype(), x.device()), dim, index, x);
}
Tensor reverse_along(const Tensor& x, int64_t dim) { return x.dim() ? reverse(x, dim) : x; }

}  // namespace tabula
