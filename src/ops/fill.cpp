// torch.fill: the copying form of Tensor.fill_.
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/reduce.h"
#include "ops/scalar_range.h"

namespace tabula {

static Tensor run_fill_tensor(const Tensor& input, const Tensor& value) {
  check(value.dim() == 0, "fill only supports 0-dimension value tensor but got tensor with ", value.dim(), " dimensions.");
  Tensor result = Tensor::empty_like(input, input.dtype());
  copy_into(result, value);
  return result;
}
static void fill_tensor_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, zeros_like_raw(b.g()));
  if (b.needs(1)) b.set(1, sum(b.g()));
}
static const Op fill_tensor{OpDef{.schema = "fill.Tensor(Tensor input, Tensor value) -> Tensor", .run = fn<run_fill_tensor>, .on = Function | OutForm, .vjp = fill_tensor_vjp, .batch = batch::fill}};

static Tensor run_fill(const Tensor& input, const Scalar& value) {
  check_fill(value, input.dtype());
  Tensor result = Tensor::empty_like(input, input.dtype());
  fill_into(result, value);
  return result;
}
static void fill_vjp(Backward& b) { b.set(0, zeros_like_raw(b.g())); }
static const Op fill{OpDef{.schema = "fill.Scalar(Tensor input, Scalar value) -> Tensor",
                           .run = fn<run_fill>,
                           .on = Function | OutForm,
                           .vjp = fill_vjp,
                           .batch = batch::fill, .doc = "A tensor of the input's size and dtype filled with value (a number or a 0-d tensor).\n\n"
                                  "Example::\n\n    >>> torch.fill(torch.zeros(2), 3)\n    tensor([3., 3.])\n"}};

}  // namespace tabula
