#include "ops/scatter_reduce.h"

#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/mask.h"

namespace tabula {

void reduce_into_vjp(Backward& b, std::string_view reduce, bool include_self, const Movement& move) {
  const Tensor &x = b.in(0), &src = b.in(3), &result = b.out(), &g = b.g();
  Tensor self_grad, src_grad;
  const auto as = [&](const Tensor& mask) { return to_dtype(mask, g.dtype()); };
  if (reduce == "sum") {
    self_grad = g;
    src_grad = move.take(g);
  } else if (reduce == "mean") {
    const Tensor counts = move.add(include_self ? ones_like_raw(g) : zeros_like_raw(g), ones_like_raw(src));
    const Tensor share = g / masked_fill(counts, eq(counts, Scalar(0)), Scalar(1));
    self_grad = share;
    src_grad = move.take(share);
  } else if (reduce == "prod") {
    // a factor of zero is taken out, so that the product of the others remains
    const Tensor filled = masked_fill(x, eq(x, Scalar(0)), Scalar(1));
    self_grad = g * move.combine(filled, src) / filled;
    const Tensor zero = eq(src, Scalar(0));
    const Tensor zeros_there = move.take(move.add(zeros_raw(x.sizes(), x.dtype(), x.device()), as(zero)));
    const Tensor single = logical_and(zero, eq(zeros_there, Scalar(1)));
    const Tensor without = move.combine(x, masked_fill(src, single, Scalar(1)));
    src_grad = where(single, move.take(g * without), move.take(g * result) / masked_fill(src, zero, Scalar(1)));
  } else {
    // the extreme's gradient is shared among all that equal it
    const Tensor self_wins = as(eq(x, result)), src_wins = as(eq(src, move.take(result)));
    const Tensor share = g / move.add(include_self ? self_wins : move.clear(self_wins), src_wins);
    self_grad = self_wins * share;
    src_grad = src_wins * move.take(share);
  }
  if (!include_self) self_grad = move.clear(self_grad);
  if (b.needs(0)) b.set(0, self_grad);
  if (b.needs(3)) b.set(3, src_grad);
}

}  // namespace tabula
