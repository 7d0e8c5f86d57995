#include "ops/index_basic.h"

#include "core/hint.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/promote.h"
#include "ops/view.h"

namespace tabula {

// Zeros of the input's shape with the gradient in the part that was taken.
static Tensor run_select_backward(const Tensor& grad, IntList sizes, int64_t dim, int64_t index) {
  Tensor result = zeros_raw(sizes, grad.dtype(), grad.device());
  copy_into(select(result, dim, index), grad);
  return result;
}
static void select_backward_vjp(Backward& b) { b.set(0, select(b.g(), b.integer(2), b.integer(3))); }
const Op select_backward{OpDef{.schema = "select_backward(Tensor grad_output, int[] input_sizes, int dim, int index) -> Tensor", .run = fn<run_select_backward>, .on = Internal, .vjp = select_backward_vjp, .batch = batch::dims}};

static Tensor run_slice_backward(const Tensor& grad, IntList sizes, int64_t dim, int64_t start, int64_t end, int64_t step) {
  Tensor result = zeros_raw(sizes, grad.dtype(), grad.device());
  copy_into(slice(result, dim, start, end, step), grad);
  return result;
}
static void slice_backward_vjp(Backward& b) { b.set(0, slice(b.g(), b.integer(2), b.integer(3), b.integer(4), b.integer(5))); }
const Op slice_backward{OpDef{.schema = "slice_backward(Tensor grad_output, int[] input_sizes, int dim, int start, int end, int step) -> Tensor", .run = fn<run_slice_backward>, .on = Internal,
                              .vjp = slice_backward_vjp, .batch = batch::dims}};

static Tensor run_diagonal_backward(const Tensor& grad, IntList sizes, int64_t offset, int64_t dim1, int64_t dim2) {
  Tensor result = zeros_raw(sizes, grad.dtype(), grad.device());
  copy_into(diagonal(result, offset, dim1, dim2), grad);
  return result;
}
static void diagonal_backward_vjp(Backward& b) { b.set(0, diagonal(b.g(), b.integer(2), b.integer(3), b.integer(4))); }
const Op diagonal_backward{OpDef{.schema = "diagonal_backward(Tensor grad_output, int[] input_sizes, int offset, int dim1, int dim2) -> Tensor", .run = fn<run_diagonal_backward>, .on = Internal,
                                 .vjp = diagonal_backward_vjp, .batch = batch::dims}};

// Windows may overlap, so their gradients are added one window offset at a time.
static Tensor run_unfold_backward(const Tensor& grad, IntList sizes, int64_t dim, int64_t size, int64_t step) {
  Tensor result = zeros_raw(sizes, grad.dtype(), grad.device());
  if (sizes.empty()) {
    copy_into(result, size ? select(grad, -1, 0) : zeros_raw({}, grad.dtype(), grad.device()));
    return result;
  }
  dim = wrap_dim(dim, int64_t(sizes.size()));
  const int64_t windows = grad.sizes()[size_t(dim)];
  for (int64_t k = 0; k < size && windows > 0; k++) {
    const Tensor part = slice(result, dim, k, k + (windows - 1) * step + 1, step);
    add.in_place(part, select(grad, -1, k));
  }
  return result;
}
static void unfold_backward_vjp(Backward& b) { b.set(0, unfold_dim(b.g(), b.integer(2), b.integer(3), b.integer(4))); }
const Op unfold_backward{OpDef{.schema = "unfold_backward(Tensor grad_in, int[] input_sizes, int dim, int size, int step) -> Tensor", .run = fn<run_unfold_backward>, .on = Internal,
                               .vjp = unfold_backward_vjp, .batch = batch::dims}};

// ---- arbitrary geometries ----

namespace {

// Both geometries moved to start as near 0 as they can, and the memory they reach.
struct Memory {
  Geometry base, view;
  int64_t size;
  Memory(Geometry b, Geometry v) : base(std::move(b)), view(std::move(v)) {
    const int64_t least = std::min(base.offset, view.offset);
    base.offset -= least;
    view.offset -= least;
    size = std::max(base.offset + span_elements(base.sizes, base.strides), view.offset + span_elements(view.sizes, view.strides));
  }
  Tensor zeros(const Tensor& like) const { return zeros_raw(IntList(&size, 1), like.dtype(), like.device()); }
};

bool overlaps(const Geometry& g) { return !is_non_overlapping_and_dense(g.sizes, dense_strides_like(g.sizes, g.strides)) || [&] {
  // strided but disjoint when each dimension's step passes the extent of those inside it
  SmallVec<int64_t, 8> order;
  for (int64_t d = 0; d < g.sizes.size(); d++)
    if (g.sizes[d] > 1) order.push_back(d);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return g.strides[a] < g.strides[b]; });
  int64_t reach = 0;
  for (int64_t d : order) {
    if (g.strides[d] <= reach) return true;
    reach += (g.sizes[d] - 1) * g.strides[d];
  }
  return false;
}(); }

Geometry geometry_of(IntList sizes, IntList strides, int64_t offset) { return {Dims(sizes), Dims(strides), offset}; }

Tensor run_index(const Tensor& x, IntList bs, IntList bt, int64_t bo, IntList vs, IntList vt, int64_t vo) {
  const Memory m(geometry_of(bs, bt, bo), geometry_of(vs, vt, vo));
  const Tensor buffer = m.zeros(x);
  copy_into(Tensor::alias(buffer, m.base), x);
  Tensor result = Tensor::empty(vs, x.dtype(), x.device());
  copy_into(result, Tensor::alias(buffer, m.view));
  return result;
}

Tensor run_scatter(const Tensor& x, IntList bs, IntList bt, int64_t bo, IntList vs, IntList vt, int64_t vo) {
  const Memory m(geometry_of(bs, bt, bo), geometry_of(vs, vt, vo));
  const Tensor buffer = m.zeros(x);
  if (overlaps(m.view) && !x.is_meta()) {
    const Tensor dense = contiguous_raw(x);
    visit(x.dtype(), "as_strided_backward", [&]<class T>() {
      using C = compute_t<T>;
      T* to = buffer.data_as<T>();
      const T* from = dense.data_as<T>();
      const int64_t n = dense.numel();
      Dims index(m.view.sizes.size(), 0);
      int64_t at = m.view.offset;
      for (int64_t i = 0; i < n; i++) {
        if constexpr (std::is_same_v<T, bool>)
          to[at] |= from[i];
        else
          to[at] = T(C(to[at]) + C(from[i]));
        for (int64_t d = index.size() - 1; d >= 0; d--) {
          at += m.view.strides[d];
          if (++index[d] < m.view.sizes[d]) break;
          at -= m.view.strides[d] * m.view.sizes[d];
          index[d] = 0;
        }
      }
    });
  } else {
    copy_into(Tensor::alias(buffer, m.view), x);
  }
  Tensor result = Tensor::empty(bs, x.dtype(), x.device());
  copy_into(result, Tensor::alias(buffer, m.base));
  return result;
}

Tensor run_replace(const Tensor& x, const Tensor& part, IntList bs, IntList bt, int64_t bo, IntList vs, IntList vt, int64_t vo) {
  const Memory m(geometry_of(bs, bt, bo), geometry_of(vs, vt, vo));
  const Tensor buffer = m.zeros(x);
  copy_into(Tensor::alias(buffer, m.base), x);
  const Tensor view = Tensor::alias(buffer, m.view);
  if (part.defined())
    copy_into(view, part);
  else
    fill_into(view, Scalar(0));
  Tensor result = Tensor::empty(bs, x.dtype(), x.device());
  copy_into(result, Tensor::alias(buffer, m.base));
  return result;
}

Geometry base_at(Backward& b, int i) { return geometry_of(b.ints(i), b.ints(i + 1), b.integer(i + 2)); }

void index_vjp(Backward& b) { b.set(0, scatter_geometry(b.g(), base_at(b, 1), base_at(b, 4))); }
void scatter_vjp(Backward& b) { b.set(0, index_geometry(b.g(), base_at(b, 1), base_at(b, 4))); }
void replace_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, replace_geometry(b.g(), base_at(b, 2), base_at(b, 5), Tensor()));
  if (b.needs(1)) b.set(1, index_geometry(b.g(), base_at(b, 2), base_at(b, 5)));
}

#define GEOMETRIES "int[] base_sizes, int[] base_strides, int base_offset, int[] view_sizes, int[] view_strides, int view_offset"
const Op index_op{OpDef{.schema = "_index_geometry(Tensor input, " GEOMETRIES ") -> Tensor", .run = fn<run_index>, .on = Hidden, .vjp = index_vjp, .batch = batch::geometry}};
const Op scatter_op{OpDef{.schema = "_scatter_geometry(Tensor input, " GEOMETRIES ") -> Tensor", .run = fn<run_scatter>, .on = Hidden, .vjp = scatter_vjp, .batch = batch::geometry}};
const Op replace_op{OpDef{.schema = "_replace_geometry(Tensor input, Tensor? part, " GEOMETRIES ") -> Tensor", .run = fn<run_replace>, .on = Hidden, .vjp = replace_vjp, .batch = batch::geometry}};

}  // namespace

Tensor index_geometry(const Tensor& x, const Geometry& base, const Geometry& view) {
  return index_op(x, base.sizes, base.strides, base.offset, view.sizes, view.strides, view.offset);
}
Tensor scatter_geometry(const Tensor& x, const Geometry& base, const Geometry& view) {
  return scatter_op(x, base.sizes, base.strides, base.offset, view.sizes, view.strides, view.offset);
}
Tensor replace_geometry(const Tensor& x, const Geometry& base, const Geometry& view, const Tensor& part) {
  return replace_op(x, part, base.sizes, base.strides, base.offset, view.sizes, view.strides, view.offset);
}

// ---- joining ----

// cat has always let 1-d tensors without elements pass, whatever the others' shapes.
static bool skipped(const Tensor& t) { return t.dim() == 1 && t.numel() == 0; }

static void run_cat(const Op&, const Value* args, Out& out) {
  const TensorList list = args[0].tensors();
  int64_t dim = args[1].integer();
  check_value(!list.empty(), "torch.cat(): expected a non-empty list of Tensors");
  ResultType type;
  const Tensor* first = nullptr;
  bool same_dtype = true;
  for (size_t i = 0; i < list.size(); i++) {
    check(list[i].dim() > 0, "zero-dimensional tensor (at position ", i, ") cannot be concatenated");
    type.add(list[i]);
    same_dtype &= list[i].dtype() == list[0].dtype();
    if (!first && !skipped(list[i])) first = &list[i];
  }
  const DType dtype = same_dtype ? list[0].dtype() : type.get();
  Dims sizes(first ? Dims(first->sizes()) : Dims{0});
  dim = wrap_dim(dim, sizes.size());
  int64_t total = 0;
  for (size_t i = 0; i < list.size(); i++) {
    const Tensor& t = list[i];
    if (skipped(t)) continue;
    check(t.dim() == sizes.size(), "Tensors must have same number of dimensions: got ", sizes.size(), " and ", t.dim(), join_hint(list[0].sizes(), t.sizes(), dim, int64_t(i)));
    for (int64_t d = 0; d < sizes.size(); d++)
      check(d == dim || t.sizes()[size_t(d)] == sizes[d], "Sizes of tensors must match except in dimension ", dim, ". Expected size ", sizes[d], " but got size ", t.sizes()[size_t(d)],
            " for tensor number ", i, " in the list.", join_hint(list[0].sizes(), t.sizes(), dim, int64_t(i)));
    check(!__builtin_add_overflow(total, t.sizes()[size_t(dim)], &total), "cat(): the sizes add up to more than a tensor can hold");
  }
  sizes[dim] = total;
  std::vector<const Tensor*> kept;
  for (const Tensor& t : list)
    if (!skipped(t)) kept.push_back(&t);
  Tensor result;
  if (out.into) {
    for (const Tensor& t : list)
      check(!t.is(*out.into) || count_elements(sizes) == 0, "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
            "Please clone() the tensor before performing the operation.");
    check_type(can_cast(dtype, out.into->dtype()), "torch.cat(): input types can't be cast to the desired output type ", dtype_title(out.into->dtype()));
    check_writable(*out.into);
    for (const Tensor& t : list) check_separate(*out.into, t);
    resize_output(*out.into, sizes);
    result = *out.into;
    out.wrote_into = true;
  } else {
    bool channels_last = !kept.empty();
    for (const Tensor* t : kept) channels_last &= !t->is_contiguous() && is_channels_last(t->sizes(), t->strides());
    result = channels_last ? Tensor::empty_strided(sizes, channels_last_strides(sizes), dtype, list[0].device()) : Tensor::empty(sizes, dtype, list[0].device());
  }
  int64_t at = 0;
  for (const Tensor* t : kept) {
    const int64_t length = t->sizes()[size_t(dim)];
    Geometry part = result.geometry();
    part.sizes[dim] = length;
    part.offset += at * part.strides[dim];
    copy_into(Tensor::alias(result, std::move(part)), *t);
    at += length;
  }
  out.tensors[0] = std::move(result);
  out.count = 1;
}
static void cat_vjp(Backward& b) {
  const int n = b.list_size(0);
  int64_t dims = 1;
  for (int i = 0; i < n; i++) dims = std::max<int64_t>(dims, int64_t(b.list_sizes(0, i).size()));
  const int64_t dim = wrap_dim(b.integer(1), dims);
  int64_t at = 0;
  for (int i = 0; i < n; i++) {
    const IntList sizes = b.list_sizes(0, i);
    if (sizes.size() == 1 && sizes[0] == 0 && dims > 1) {
      if (b.needs(0, i)) b.set(0, i, zeros_raw(sizes, b.g().dtype(), b.g().device()));
      continue;
    }
    const int64_t length = sizes[size_t(dim)];
    if (b.needs(0, i)) b.set(0, i, narrow(b.g(), dim, at, length));
    at += length;
  }
}
constexpr OpDef cat_row(const char* schema) {
  return OpDef{.schema = schema, .run = boxed(run_cat), .on = Function | OutForm, .linear = Linear::Joint, .vjp = cat_vjp, .save = shape(), .node = "CatBackward0", .batch = batch::cat};
}
const Op cat{documented(cat_row("cat(Tensor[] tensors, int dim=0) -> Tensor"),
    "Tensors one after the other along a dimension; their other sizes must agree (empty 1-d tensors are skipped), "
    "and the result has their common dtype."
    TABULA_EXAMPLE("torch.cat([torch.tensor([1, 2]), torch.tensor([3])])", "tensor([1, 2, 3])"))};
static const Op concat_op{documented(cat_row("concat(Tensor[] tensors, int dim=0) -> Tensor"),
    "Another name of torch.cat."
    TABULA_EXAMPLE("torch.concat([torch.tensor([1, 2]), torch.tensor([3])])", "tensor([1, 2, 3])"))};
static const Op concatenate{documented(cat_row("concatenate(Tensor[] tensors, int dim=0) -> Tensor"),
    "Another name of torch.cat."
    TABULA_EXAMPLE("torch.concatenate([torch.tensor([1, 2]), torch.tensor([3])])", "tensor([1, 2, 3])"))};

static Tensor run_stack(TensorList tensors, int64_t dim) {
  check(!tensors.empty(), "stack expects a non-empty TensorList");
  dim = wrap_dim(dim, tensors[0].dim() + 1);
  for (size_t i = 1; i < tensors.size(); i++)
    check(same(tensors[i].sizes(), tensors[0].sizes()), "stack expects each tensor to be equal size, but got ", shape_text(tensors[0].sizes()), " at entry 0 and ",
          shape_text(tensors[i].sizes()), " at entry ", i);
  ResultType type;
  for (const Tensor& t : tensors) type.add(t);
  Dims sizes(tensors[0].sizes());
  sizes.insert(dim, int64_t(tensors.size()));
  Tensor result = Tensor::empty(sizes, type.get(), tensors[0].device());
  Geometry part = result.geometry();
  const int64_t step = part.strides[dim];
  part.sizes.erase(dim);
  part.strides.erase(dim);
  for (const Tensor& t : tensors) {
    copy_into(Tensor::alias(result, part), t);
    part.offset += step;
  }
  return result;
}
static void stack_vjp(Backward& b) {
  const int64_t dim = wrap_dim(b.integer(1), b.g().dim());
  for (int i = 0; i < b.list_size(0); i++)
    if (b.needs(0, i)) b.set(0, i, select(b.g(), dim, int64_t(i)));
}
const Op stack{OpDef{.schema = "stack(Tensor[] tensors, int dim=0) -> Tensor", .run = fn<run_stack>, .on = Function | OutForm, .linear = Linear::Joint, .vjp = stack_vjp,
    .batch = batch::stack, .doc =
        "Tensors of one shape along a new dimension."
        TABULA_EXAMPLE("torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])])",
                       "tensor([[1, 2],\n"
                       "            [3, 4]])")}};

}  // namespace tabula
