#include "ops/view.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/extent.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/reduce.h"

namespace tabula {

Tensor make_view(const Tensor& base, Geometry geometry) {
  Tensor result = Tensor::alias(base, std::move(geometry));
  mark_view(result, base);
  return result;
}
void mark_view(const Tensor& result, const Tensor& base) {
  TensorImpl& impl = *result.impl();
  const TensorImpl& source = *base.impl();
  impl.view_base = source.special & kView ? source.view_base : base.ref();
  impl.special |= kView;
  impl.view_kind = source.view_kind;
  if (!thread_state.grad_enabled) impl.view_kind = thread_state.inference ? ViewKind::Inference : ViewKind::NoGrad;
  impl.view_version = impl.version();
}

// ---- shapes ----

static constexpr int64_t kOneItem[] = {1}, kAnyItem[] = {-1};
static constexpr IntList kOne{kOneItem}, kAny{kAnyItem};

static void reshape_vjp(Backward& b) { b.set(0, reshape(b.g(), b.sizes(0))); }

static Tensor run_view(const Tensor& input, IntList size) {
  const Dims wanted = infer_size(size, input.sizes());
  const auto strides = view_strides(input.sizes(), input.strides(), wanted);
  check(strides.has_value(),
        "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.");
  return make_view(input, {wanted, *strides, input.offset()});
}
const Op view{OpDef{.schema = "view(Tensor(a) input, int[] size) -> Tensor(a)", .run = fn<run_view>, .on = Method, .view = true, .lazy_bits = true, .vjp = reshape_vjp, .save = shape(),
    .batch = batch::view, .doc =
        "The same memory with another shape, or (view(dtype)) its bytes as another dtype. One size may be -1 and "
        "follows from the others. A RuntimeError where the strides don't allow it: use reshape."
        TABULA_EXAMPLE("torch.arange(6).view(2, -1)",
                       "tensor([[0, 1, 2],\n"
                       "            [3, 4, 5]])")
        TABULA_STEP("torch.tensor([1.]).view(torch.int32)", "tensor([1065353216], dtype=torch.int32)")}};

static Tensor run_reshape(const Tensor& input, IntList shape) {
  const Dims wanted = infer_size(shape, input.sizes());
  if (view_strides(input.sizes(), input.strides(), wanted)) return view(input, IntList(wanted));
  // what cannot be a view of the input is one of a contiguous copy
  return view(clone(input, MemoryFormat::Contiguous), IntList(wanted));
}
const Op reshape{OpDef{.schema = "reshape(Tensor(a) input, int[] shape) -> Tensor(a)", .run = fn<run_reshape>, .on = Both, .composite = true,
    .doc =
        "The elements in another shape, one size of which may be -1: a view if the strides allow it, a copy "
        "otherwise."
        TABULA_EXAMPLE("torch.reshape(torch.arange(6), (2, 3))",
                       "tensor([[0, 1, 2],\n"
                       "            [3, 4, 5]])")}};
static Tensor run_view_as(const Tensor& input, const Tensor& other) { return view(input, other.sizes()); }
static const Op view_as{OpDef{.schema = "view_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_view_as>, .on = Method, .composite = true,
    .doc =
        "A view with the shape of other."
        TABULA_EXAMPLE("torch.arange(4).view_as(torch.empty(2, 2))",
                       "tensor([[0, 1],\n"
                       "            [2, 3]])")}};
static Tensor run_reshape_as(const Tensor& input, const Tensor& other) { return reshape(input, other.sizes()); }
static const Op reshape_as{OpDef{.schema = "reshape_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_reshape_as>, .on = Method, .composite = true,
    .doc =
        "reshape to the shape of other."
        TABULA_EXAMPLE("torch.arange(4).reshape_as(torch.empty(2, 2))",
                       "tensor([[0, 1],\n"
                       "            [2, 3]])")}};

static Tensor run_view_dtype(const Tensor& input, DType dtype) {
  const int64_t from = item_size(input.dtype()), to = item_size(dtype);
  check(!input.is_conj(), "torch.Tensor.view is not supported for conjugate view tensors when converting to a different dtype.");
  Geometry g = input.geometry();
  if (from != to) {
    check(input.dim() > 0, "self.dim() cannot be 0 to view ", dtype_title(input.dtype()), " as ", dtype_title(dtype), " (different element sizes)");
    check(g.strides.back() == 1, "self.stride(-1) must be 1 to view ", dtype_title(input.dtype()), " as ", dtype_title(dtype), " (different element sizes), but got ", g.strides.back());
    const int64_t last = g.sizes.size() - 1;
    if (from > to) {
      const int64_t ratio = from / to;
      for (int64_t d = 0; d < last; d++) g.strides[d] *= ratio;
      g.sizes[last] *= ratio;
      g.offset *= ratio;
    } else {
      const int64_t ratio = to / from;
      check(g.sizes[last] % ratio == 0, "self.size(-1) must be divisible by ", ratio, " to view ", dtype_title(input.dtype()), " as ", dtype_title(dtype),
            " (different element sizes), but got ", g.sizes[last]);
      check(g.offset % ratio == 0, "self.storage_offset() must be divisible by ", ratio, " to view ", dtype_title(input.dtype()), " as ", dtype_title(dtype),
            " (different element sizes), but got ", g.offset);
      for (int64_t d = 0; d < last; d++) {
        check(g.strides[d] % ratio == 0, "self.stride(", d, ") must be divisible by ", ratio, " to view ", dtype_title(input.dtype()), " as ", dtype_title(dtype),
              " (different element sizes), but got ", g.strides[d]);
        g.strides[d] /= ratio;
      }
      g.sizes[last] /= ratio;
      g.offset /= ratio;
    }
  }
  Tensor result = make_view(input, std::move(g));
  result.impl()->dtype = dtype;
  return result;
}
static const Op view_dtype{OpDef{.schema = "view.dtype(Tensor(a) input, dtype dtype) -> Tensor(a)", .run = fn<run_view_dtype>, .on = Method, .view = true, .batch = batch::strict_bytes}};

static Tensor run_expand(const Tensor& input, IntList size, bool) { return make_view(input, expanded(input.geometry(), size, dtype_title(input.dtype()))); }
static void expand_vjp(Backward& b) { b.set(0, b.g()); }  // the engine sums what was broadcast
const Op expand{OpDef{.schema = "expand(Tensor(a) input, int[] size, *, bool implicit=False) -> Tensor(a)", .run = fn<run_expand>, .on = Method, .view = true, .lazy_bits = true, .vjp = expand_vjp,
    .batch = batch::expand, .doc =
        "A view in which dimensions of size 1 are repeated without copying, and new leading ones added; -1 keeps "
        "a size. Don't write to it: its elements share memory."
        TABULA_EXAMPLE("torch.tensor([[1], [2]]).expand(2, 3)",
                       "tensor([[1, 1, 1],\n"
                       "            [2, 2, 2]])")}};
static Tensor run_expand_as(const Tensor& input, const Tensor& other) { return expand(input, other.sizes()); }
static const Op expand_as{OpDef{.schema = "expand_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_expand_as>, .on = Method, .composite = true,
    .doc =
        "expand to the shape of other."
        TABULA_EXAMPLE("torch.tensor([1, 2]).expand_as(torch.empty(2, 2))",
                       "tensor([[1, 2],\n"
                       "            [1, 2]])")}};
static Tensor run_broadcast_to(const Tensor& input, IntList size) { return expand(input, size); }
static const Op broadcast_to{OpDef{.schema = "broadcast_to(Tensor(a) input, int[] size) -> Tensor(a)", .run = fn<run_broadcast_to>, .on = Both, .composite = true,
    .doc =
        "Another name of Tensor.expand."
        TABULA_EXAMPLE("torch.broadcast_to(torch.tensor([1, 2]), (2, 2))",
                       "tensor([[1, 2],\n"
                       "            [1, 2]])")}};

static Geometry strided_geometry(const Tensor& input, IntList size, IntList stride, std::optional<int64_t> offset) {
  check(size.size() == stride.size(), "mismatch in length of strides and shape");
  const int64_t start = offset.value_or(input.offset()), needed = bytes_reached(size, stride, start, input.dtype());
  check(needed <= int64_t(input.storage().bytes()), "setStorage: sizes ", shape_text(size), ", strides ", shape_text(stride), ", storage offset ", start,
        ", and itemsize ", item_size(input.dtype()), " requiring a storage size of ", needed, " are out of bounds for storage of size ", input.storage().bytes());
  return {Dims(size), Dims(stride), start};
}
static Tensor run_as_strided(const Tensor& input, IntList size, IntList stride, std::optional<int64_t> offset) {
  return make_view(input, strided_geometry(input, size, stride, offset));
}
static void as_strided_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  Geometry view{Dims(b.ints(1)), Dims(b.ints(2)), b.has(3) ? b.integer(3) : x.offset()};
  b.set(0, as_strided_backward(b.g(), x.geometry(), view));
}
const Op as_strided{OpDef{.schema = "as_strided(Tensor(a) input, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a)", .run = fn<run_as_strided>, .on = Both, .view = true,
                          .lazy_bits = true, .vjp = as_strided_vjp, .save = in(0),
    .batch = batch::as_strided, .doc =
        "A view of the input's storage with this shape, these strides and this offset, all in elements. A "
        "RuntimeError where it would leave the storage."
        TABULA_EXAMPLE("torch.as_strided(torch.arange(4), (3, 2), (1, 1))",
                       "tensor([[0, 1],\n"
                       "            [1, 2],\n"
                       "            [2, 3]])")}};

// ---- dimensions joined and split ----

static Tensor run_flatten(const Tensor& input, int64_t start, int64_t end) {
  const int64_t n = input.dim();
  start = wrap_dim(start, n);
  end = wrap_dim(end, n);
  check(start <= end, "flatten() has invalid args: start_dim cannot come after end_dim");
  if (n == 0) return reshape(input, kOne);
  if (start == end) return input;
  int64_t merged = 1;
  Dims sizes;
  for (int64_t d = 0; d < n; d++) {
    if (d < start || d > end) {
      sizes.push_back(input.sizes()[size_t(d)]);
    } else {
      merged *= input.sizes()[size_t(d)];
      if (d == end) sizes.push_back(merged);
    }
  }
  return reshape(input, IntList(sizes));
}
const Op flatten{OpDef{.schema = "flatten(Tensor(a) input, int start_dim=0, int end_dim=-1) -> Tensor(a)", .run = fn<run_flatten>, .on = Both, .composite = true,
    .doc =
        "The dimensions from start_dim to end_dim as one; a scalar becomes a vector."
        TABULA_EXAMPLE("torch.flatten(torch.zeros(2, 3, 5), 1).shape", "torch.Size([2, 15])")}};
static Tensor run_ravel(const Tensor& input) { return reshape(contiguous(input), kAny); }
static const Op ravel{OpDef{.schema = "ravel(Tensor(a) input) -> Tensor(a)", .run = fn<run_ravel>, .on = Both, .composite = true,
    .doc =
        "All elements in one dimension, in row-major order; a copy only if needed."
        TABULA_EXAMPLE("torch.ravel(torch.tensor([[1, 2], [3, 4]]))", "tensor([1, 2, 3, 4])")}};

static Tensor run_unflatten(const Tensor& input, int64_t dim, IntList sizes) {
  dim = wrap_dim(dim, input.dim());
  check(!sizes.empty(), "unflatten: sizes must be non-empty");
  const int64_t size = input.dim() ? input.sizes()[size_t(dim)] : 1;
  int64_t known = 1, unknown = -1;
  bool overflow = false;
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == -1)
      unknown = int64_t(i);
    else
      overflow |= __builtin_mul_overflow(known, sizes[i], &known);
  }
  check(overflow       ? false
        : unknown >= 0 ? known != 0 && size % known == 0
                       : known == size,
        "unflatten: Provided sizes ", shape_text(sizes), " don't multiply up to the size of dim ", dim, " (", size,
        ") in the input tensor");
  Dims shape;
  for (int64_t d = 0; d < input.dim(); d++) {
    if (d != dim) {
      shape.push_back(input.sizes()[size_t(d)]);
    } else {
      for (size_t i = 0; i < sizes.size(); i++) shape.push_back(int64_t(i) == unknown ? size / known : sizes[i]);
    }
  }
  return view(input, IntList(shape));
}
static const Op unflatten{OpDef{.schema = "unflatten(Tensor(a) input, int dim, int[] sizes) -> Tensor(a)", .run = fn<run_unflatten>, .on = Both, .composite = true,
    .doc =
        "A view with dimension dim split into several, one size of which may be -1."
        TABULA_EXAMPLE("torch.unflatten(torch.arange(6), 0, (2, -1))",
                       "tensor([[0, 1, 2],\n"
                       "            [3, 4, 5]])")}};

// ---- the same elements again ----

static Tensor run_alias(const Tensor& input) { return make_view(input, input.geometry()); }
static void alias_vjp(Backward& b) { b.set(0, b.g()); }
const Op alias_view{OpDef{.schema = "alias(Tensor(a) input) -> Tensor(a)", .run = fn<run_alias>, .on = Internal, .view = true, .lazy_bits = true, .vjp = alias_vjp, .batch = batch::same}};

static Tensor run_detach(const Tensor& input) { return Tensor::alias(input); }
const Op detach{OpDef{.schema = "detach(Tensor(a) input) -> Tensor(a)", .run = fn<run_detach>, .on = Both, .lazy_bits = true, .parts = true,
    .batch = batch::same, .doc =
        "The same memory without history: gradients don't flow through it."
        TABULA_EXAMPLE("torch.detach(torch.ones(2, requires_grad=True)).requires_grad", "False")}};

Tensor detached_data(const Tensor& x) {
  if (x.impl()->special & kDispatch) return detach(x);
  Tensor result = Tensor::alias(x);
  result.impl()->own_version = Ref<VersionCounter>(new VersionCounter);
  return result;
}
void set_tensor_data(const Tensor& x, const Tensor& data) {
  TensorImpl &to = *x.impl(), &from = *data.impl();
  check(is_differentiable(data.dtype()) || !x.needs_grad(), "data set to a tensor that requires gradients must be floating point or complex dtype");
  // the tensor keeps its identity and version, and takes the other's memory and geometry
  Ref<VersionCounter> counter(new VersionCounter);
  counter->value = to.version();
  to.own_version = counter;
  to.storage = from.storage;
  to.dtype = from.dtype;
  to.device = from.device;
  constexpr uint8_t taken = kConj | kNeg | kOffCpu | kParts;
  to.special = uint8_t((to.special & ~taken) | (from.special & taken));
  to.parts = from.parts ? from.parts->copy() : nullptr;
  if (from.parts) {
    to.sizes = from.sizes;
    to.strides = from.strides;
    to.offset = from.offset;
    to.numel = from.numel;
    to.contiguous = from.contiguous;
  } else {
    to.set_geometry(from.sizes, from.strides, from.offset);
  }
}

// ---- for derivatives ----

Tensor as_strided_of(const Tensor& grad, const Geometry& base, const Geometry& view) {
  const Tensor dense = contiguous(grad);
  // the base's own memory order decides where the view's elements lie; a dense base maps one to one
  if (tabula::is_contiguous(base.sizes, base.strides))
    return as_strided(dense, IntList(view.sizes), IntList(view.strides), dense.offset() + view.offset - base.offset);
  return index_geometry(dense, base, view);
}
Tensor as_strided_backward(const Tensor& grad, const Geometry& base, const Geometry& view) { return scatter_geometry(grad, base, view); }
Tensor as_strided_replace(const Tensor& grad, const Geometry& base, const Geometry& view, const Tensor& part) { return replace_geometry(grad, base, view, part); }

static Tensor run_as_strided_scatter(const Tensor& input, const Tensor& src, IntList size, IntList stride, std::optional<int64_t> offset) {
  check(!input.needs_grad() || input.is_contiguous(), "as_strided_scatter is currently only supported for contiguous inputs");
  Geometry view = strided_geometry(input, size, stride, offset);
  check(same(src.sizes(), size), "expected src to have a size equal to the slice of self. src size = ", shape_text(src.sizes()), ", slice size = ", shape_text(size));
  return as_strided_replace(input, input.geometry(), view, cast_raw(src, input.dtype()));
}
// PyTorch hands to the input the gradient of what it has lost to src, not of what it has kept. Programs that compare with it expect just that.
static void as_strided_scatter_vjp(Backward& b) {
  const Geometry base{Dims(b.g().sizes()), contiguous_strides(b.g().sizes()), 0}, view{Dims(b.ints(2)), Dims(b.ints(3)), b.has(4) ? b.integer(4) : 0};
  const Tensor part = as_strided_of(b.g(), base, view);
  if (b.needs(0)) b.set(0, as_strided_replace(zeros_like_raw(b.g()), base, view, part));
  if (b.needs(1)) b.set(1, part);
}
// The tangent, unlike the gradient, is that of the result.
static void as_strided_scatter_jvp(Forward& f) {
  const Dims sizes(f.out().sizes());
  const Geometry base{sizes, contiguous_strides(sizes), 0}, view{Dims(f.arg(2).ints()), Dims(f.arg(3).ints()), f.arg(4).is_none() ? 0 : f.integer(4)};
  const Tensor kept = f.tangent(0).defined() ? contiguous(f.tangent(0)) : zeros_like_raw(f.out());
  const Tensor part = f.tangent(1).defined() ? f.tangent(1) : zeros_raw(view.sizes, kept.dtype(), kept.device());
  f.set(0, as_strided_replace(kept, base, view, part));
}
static const Op as_strided_scatter{OpDef{.schema = "as_strided_scatter(Tensor input, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
                                         .run = fn<run_as_strided_scatter>, .on = Usual, .jvp = as_strided_scatter_jvp, .vjp = as_strided_scatter_vjp, .batch = batch::as_strided_scatter,
    .doc =
        "A copy of the input with src in place of the view of its memory with this shape, these strides and this offset. "
        "As in PyTorch, the input gets the gradient of that view, and 0 elsewhere. A RuntimeError unless src has the shape size."
        TABULA_EXAMPLE("torch.as_strided_scatter(torch.zeros(2, 2), torch.ones(2), (2,), (2,))",
                       "tensor([[1., 0.],\n"
                       "            [1., 0.]])")}};

}  // namespace tabula
