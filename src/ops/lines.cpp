#include "ops/lines.h"

#include "kernels/index.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"

namespace tabula {
namespace {

// Kernels along a dimension want one: a 0-d tensor becomes a line of one element.
Tensor with_dim(const Tensor& t) { return t.dim() ? t : Tensor::alias(t, {Dims{1}, Dims{1}, t.offset()}); }

Tensor run_pick(const Tensor& x, int64_t dim, const Tensor& index) {
  Tensor result = Tensor::empty(index.sizes(), x.dtype(), x.device());
  const Tensor from = with_dim(x), to = with_dim(result), at = with_dim(index);
  kernels::GatherCall call;
  call.item = item_size(x.dtype());
  call.sizes = at.sizes();
  call.dim = wrap_dim(dim, from.dim());
  call.out = to.data();
  call.out_strides = to.strides();
  call.self = from.data();
  call.self_strides = from.strides();
  call.self_size = from.sizes()[size_t(call.dim)];
  call.index = at.data_as<int64_t>();
  call.index_strides = at.strides();
  if (result.numel()) kernels::gather[x.device().kind](call);
  return result;
}
void pick_vjp(Backward& b) { b.set(0, place_along(b.g(), b.integer(1), b.in(2), b.sizes(0))); }
const Op pick{OpDef{.schema = "_pick_along(Tensor input, int dim, Tensor index) -> Tensor", .run = fn<run_pick>, .on = Internal, .vjp = pick_vjp, .save = shape() | in(2)}};

Tensor run_place(const Tensor& x, int64_t dim, const Tensor& index, IntList sizes) {
  Tensor result = zeros_raw(sizes, x.dtype(), x.device());
  const Tensor from = with_dim(x), to = with_dim(result), at = with_dim(index);
  kernels::ScatterCall call;
  call.dtype = x.dtype();
  call.op = kernels::ScatterOp::Add;
  call.sizes = at.sizes();
  call.dim = wrap_dim(dim, to.dim());
  call.self = to.data();
  call.self_strides = to.strides();
  call.self_size = to.sizes()[size_t(call.dim)];
  call.index = at.data_as<int64_t>();
  call.index_strides = at.strides();
  call.src = from.data();
  call.src_strides = from.strides();
  if (x.numel()) kernels::scatter[x.device().kind](call);
  return result;
}
void place_vjp(Backward& b) { b.set(0, pick_along(b.g(), b.integer(1), b.in(2))); }
const Op place{OpDef{.schema = "_place_along(Tensor input, int dim, Tensor index, int[] sizes) -> Tensor", .run = fn<run_place>, .on = Internal, .vjp = place_vjp, .save = in(2)}};

Tensor run_reverse(const Tensor& x, int64_t dim) {
  Tensor result = Tensor::empty(x.sizes(), x.dtype(), x.device());
  if (x.numel() == 0) return result;
  const Tensor from = contiguous_raw(x);
  const Lines lines(x.sizes(), wrap_dim(dim, x.dim()));
  if (x.is_meta()) return result;
  // each step along the dimension is one row of `inner` elements, taken from the other end
  Dims rows{lines.outer, lines.inner}, strides{lines.length * lines.inner, 1};
  for (int64_t i = 0; i < lines.length; i++)
    copy_into(Tensor::alias(result, {rows, strides, result.offset() + i * lines.inner}),
              Tensor::alias(from, {rows, strides, from.offset() + (lines.length - 1 - i) * lines.inner}));
  return result;
}
void reverse_vjp(Backward& b) { b.set(0, reverse_along(b.g(), b.integer(1))); }
const Op reverse{OpDef{.schema = "_reverse_along(Tensor input, int dim) -> Tensor", .run = fn<run_reverse>, .on = Internal, .vjp = reverse_vjp}};

}  // namespace

Tensor pick_along(const Tensor& x, int64_t dim, const Tensor& index) { return pick(x, dim, index); }
Tensor place_along(const Tensor& x, int64_t dim, const Tensor& index, IntList sizes) { return place(x, dim, index, sizes); }
Tensor reverse_along(const Tensor& x, int64_t dim) { return x.dim() ? reverse(x, dim) : x; }

}  // namespace tabula
