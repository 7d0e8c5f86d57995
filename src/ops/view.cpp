#include "ops/view.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/reduce.h"

namespace tabula {

Tensor make_view(const Tensor& base, Geometry geometry) {
  Tensor result = Tensor::alias(base, std::move(geometry));
  TensorImpl& impl = *result.impl();
  const TensorImpl& source = *base.impl();
  impl.view_base = source.special & kView ? source.view_base : base.ref();
  impl.special |= kView;
  impl.view_kind = source.view_kind;
  if (!thread_state.grad_enabled) impl.view_kind = thread_state.inference ? ViewKind::Inference : ViewKind::NoGrad;
  impl.view_version = impl.version();
  return result;
}

// ---- shapes ----

static constexpr int64_t kOneItem[] = {1}, kAnyItem[] = {-1};
static constexpr IntList kOne{kOneItem}, kAny{kAnyItem};

static void reshape_vjp(Backward& b) { b.set(0, reshape(b.g(), b.sizes(0))); }

static Tensor run_view(const Tensor& input, IntList size) {
  const Dims wanted = infer_size(size, input.numel());
  const auto strides = view_strides(input.sizes(), input.strides(), wanted);
  check(strides.has_value(),
        "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.");
  return make_view(input, {wanted, *strides, input.offset()});
}
const Op view{OpDef{.schema = "view(Tensor(a) input, int[] size) -> Tensor(a)", .run = fn<run_view>, .on = Method, .view = true, .lazy_bits = true, .vjp = reshape_vjp, .save = shape()}};

static Tensor run_reshape(const Tensor& input, IntList shape) {
  const Dims wanted = infer_size(shape, input.numel());
  if (view_strides(input.sizes(), input.strides(), wanted)) return view(input, IntList(wanted));
  // what cannot be a view of the input is one of a contiguous copy
  return view(clone(input, MemoryFormat::Contiguous), IntList(wanted));
}
const Op reshape{OpDef{.schema = "reshape(Tensor(a) input, int[] shape) -> Tensor(a)", .run = fn<run_reshape>, .on = Both, .composite = true}};
static Tensor run_view_as(const Tensor& input, const Tensor& other) { return view(input, other.sizes()); }
static const Op view_as{OpDef{.schema = "view_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_view_as>, .on = Method, .composite = true}};
static Tensor run_reshape_as(const Tensor& input, const Tensor& other) { return reshape(input, other.sizes()); }
static const Op reshape_as{OpDef{.schema = "reshape_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_reshape_as>, .on = Method, .composite = true}};

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
static const Op view_dtype{OpDef{.schema = "view.dtype(Tensor(a) input, dtype dtype) -> Tensor(a)", .run = fn<run_view_dtype>, .on = Method, .view = true}};

static Tensor run_expand(const Tensor& input, IntList size, bool) { return make_view(input, expanded(input.geometry(), size)); }
static void expand_vjp(Backward& b) { b.set(0, b.g()); }  // the engine sums what was broadcast
const Op expand{OpDef{.schema = "expand(Tensor(a) input, int[] size, *, bool implicit=False) -> Tensor(a)", .run = fn<run_expand>, .on = Method, .view = true, .lazy_bits = true, .vjp = expand_vjp}};
static Tensor run_expand_as(const Tensor& input, const Tensor& other) { return expand(input, other.sizes()); }
static const Op expand_as{OpDef{.schema = "expand_as(Tensor(a) input, Tensor other) -> Tensor(a)", .run = fn<run_expand_as>, .on = Method, .composite = true}};
static Tensor run_broadcast_to(const Tensor& input, IntList size) { return expand(input, size); }
static const Op broadcast_to{OpDef{.schema = "broadcast_to(Tensor(a) input, int[] size) -> Tensor(a)", .run = fn<run_broadcast_to>, .on = Both, .composite = true}};

static Tensor run_as_strided(const Tensor& input, IntList size, IntList stride, std::optional<int64_t> offset) {
  check(size.size() == stride.size(), "mismatch in length of strides and shape");
  check_sizes(size);
  for (int64_t s : stride) check(s >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", shape_text(stride));
  const int64_t start = offset.value_or(input.offset());
  check(start >= 0, "Tensor: invalid storage offset ", start);
  const int64_t needed = count_elements(size) ? (start + span_elements(size, stride)) * item_size(input.dtype()) : 0;
  check(needed <= int64_t(input.storage().bytes()), "setStorage: sizes ", shape_text(size), ", strides ", shape_text(stride), ", storage offset ", start,
        ", and itemsize ", item_size(input.dtype()), " requiring a storage size of ", needed, " are out of bounds for storage of size ", input.storage().bytes());
  return make_view(input, {Dims(size), Dims(stride), start});
}
static void as_strided_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  Geometry view{Dims(b.ints(1)), Dims(b.ints(2)), b.has(3) ? b.integer(3) : x.offset()};
  b.set(0, as_strided_backward(b.g(), x.geometry(), view));
}
const Op as_strided{OpDef{.schema = "as_strided(Tensor(a) input, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a)", .run = fn<run_as_strided>, .on = Both, .view = true,
                          .lazy_bits = true, .vjp = as_strided_vjp, .save = in(0)}};

// ---- order of dimensions ----

static Tensor run_permute(const Tensor& input, IntList dims) {
  check(int64_t(dims.size()) == input.dim(), "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ",
        input.dim(), " is not equal to len(dims) = ", dims.size());
  uint64_t seen = 0;
  Geometry g{Dims(input.dim()), Dims(input.dim()), input.offset()};
  for (size_t i = 0; i < dims.size(); i++) {
    const int64_t d = wrap_dim(dims[i], input.dim());
    check(!(seen >> d & 1), "permute(): duplicate dims are not allowed.");
    seen |= uint64_t(1) << d;
    g.sizes[int64_t(i)] = input.sizes()[size_t(d)];
    g.strides[int64_t(i)] = input.strides()[size_t(d)];
  }
  return make_view(input, std::move(g));
}
static void permute_vjp(Backward& b) {
  const IntList dims = b.ints(1);
  Dims inverse(int64_t(dims.size()));
  for (size_t i = 0; i < dims.size(); i++) inverse[wrap_dim(dims[i], int64_t(dims.size()))] = int64_t(i);
  b.set(0, permute(b.g(), IntList(inverse)));
}
const Op permute{OpDef{.schema = "permute(Tensor(a) input, int[] dims) -> Tensor(a)", .run = fn<run_permute>, .on = Both, .view = true, .lazy_bits = true, .vjp = permute_vjp}};

static Tensor run_transpose(const Tensor& input, int64_t a, int64_t b) {
  a = wrap_dim(a, input.dim());
  b = wrap_dim(b, input.dim());
  Geometry g = input.geometry();
  if (a != b) {
    std::swap(g.sizes[a], g.sizes[b]);
    std::swap(g.strides[a], g.strides[b]);
  }
  return make_view(input, std::move(g));
}
static void transpose_vjp(Backward& b) { b.set(0, transpose(b.g(), b.integer(1), b.integer(2))); }
const Op transpose{OpDef{.schema = "transpose(Tensor(a) input, int dim0, int dim1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp}};
const Op swapdims{OpDef{.schema = "swapdims(Tensor(a) input, int dim0, int dim1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp, .node = "TransposeBackward0"}};
static const Op swapaxes{OpDef{.schema = "swapaxes(Tensor(a) input, int axis0, int axis1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp, .node = "TransposeBackward0"}};

static Tensor run_t(const Tensor& input) {
  check(input.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", input.dim(), "D");
  return input.dim() < 2 ? run_transpose(input, 0, 0) : run_transpose(input, 0, 1);
}
static void t_vjp(Backward& b) { b.set(0, t(b.g())); }
const Op t{OpDef{.schema = "t(Tensor(a) input) -> Tensor(a)", .run = fn<run_t>, .on = Both, .view = true, .lazy_bits = true, .vjp = t_vjp, .node = "TBackward0"}};

static Tensor run_movedim(const Tensor& input, IntList source, IntList destination) {
  check(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", shape_text(source), " dims) should contain the same number of dims as destination (",
        shape_text(destination), " dims)");
  const int64_t n = input.dim();
  Dims order(n, -1);
  uint64_t from_seen = 0, to_seen = 0;
  for (size_t i = 0; i < source.size(); i++) {
    const int64_t from = wrap_dim(source[i], n), to = wrap_dim(destination[i], n);
    check(!(from_seen >> from & 1), "movedim: repeated dim in `source` (", shape_text(source), ")");
    check(!(to_seen >> to & 1), "movedim: repeated dim in `destination` (", shape_text(destination), ")");
    from_seen |= uint64_t(1) << from;
    to_seen |= uint64_t(1) << to;
    if (n) order[to] = from;
  }
  int64_t next = 0;
  for (int64_t i = 0; i < n; i++) {
    if (order[i] >= 0) continue;
    while (from_seen >> next & 1) next++;
    order[i] = next++;
  }
  return permute(input, IntList(order));
}
const Op movedim{OpDef{.schema = "movedim(Tensor(a) input, int[1] source, int[1] destination) -> Tensor(a)", .run = fn<run_movedim>, .on = Both, .composite = true}};
static const Op moveaxis{OpDef{.schema = "moveaxis(Tensor(a) input, int[1] source, int[1] destination) -> Tensor(a)", .run = fn<run_movedim>, .on = Both, .composite = true}};

// ---- dimensions of size one ----

static Tensor run_unsqueeze(const Tensor& input, int64_t dim) {
  dim = wrap_dim(dim, input.dim() + 1);
  Geometry g = input.geometry();
  g.strides.insert(dim, dim >= g.sizes.size() ? 1 : g.sizes[dim] * g.strides[dim]);
  g.sizes.insert(dim, 1);
  return make_view(input, std::move(g));
}
static void unsqueeze_vjp(Backward& b) {
  const int64_t dim = b.integer(1);
  b.set(0, squeeze_dims(b.g(), IntList(&dim, 1)));
}
const Op unsqueeze{OpDef{.schema = "unsqueeze(Tensor(a) input, int dim) -> Tensor(a)", .run = fn<run_unsqueeze>, .on = Both, .view = true, .lazy_bits = true, .vjp = unsqueeze_vjp}};

static Tensor squeeze_where(const Tensor& input, uint64_t allowed) {
  Geometry g{{}, {}, input.offset()};
  for (int64_t d = 0; d < input.dim(); d++) {
    if (input.sizes()[size_t(d)] == 1 && (allowed >> d & 1)) continue;
    g.sizes.push_back(input.sizes()[size_t(d)]);
    g.strides.push_back(input.strides()[size_t(d)]);
  }
  return make_view(input, std::move(g));
}
static Tensor run_squeeze(const Tensor& input) { return squeeze_where(input, ~uint64_t(0)); }
static Tensor run_squeeze_dims(const Tensor& input, IntList dims) {
  uint64_t allowed = 0;
  for (int64_t d : wrap_dims(dims, input.dim())) allowed |= uint64_t(1) << d;
  return squeeze_where(input, allowed);
}
const Op squeeze{OpDef{.schema = "squeeze(Tensor(a) input) -> Tensor(a)", .run = fn<run_squeeze>, .on = Both, .view = true, .lazy_bits = true, .vjp = reshape_vjp, .save = shape()}};
const Op squeeze_dims{OpDef{.schema = "squeeze.dims(Tensor(a) input, int[1] dim) -> Tensor(a)", .run = fn<run_squeeze_dims>, .on = Both, .view = true, .lazy_bits = true, .vjp = reshape_vjp,
                            .save = shape(), .node = "SqueezeBackward1"}};

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
const Op flatten{OpDef{.schema = "flatten(Tensor(a) input, int start_dim=0, int end_dim=-1) -> Tensor(a)", .run = fn<run_flatten>, .on = Both, .composite = true}};
static Tensor run_ravel(const Tensor& input) { return reshape(contiguous(input), kAny); }
static const Op ravel{OpDef{.schema = "ravel(Tensor(a) input) -> Tensor(a)", .run = fn<run_ravel>, .on = Both, .composite = true}};

static Tensor run_unflatten(const Tensor& input, int64_t dim, IntList sizes) {
  dim = wrap_dim(dim, input.dim());
  check(!sizes.empty(), "unflatten: sizes must be non-empty");
  const int64_t size = input.dim() ? input.sizes()[size_t(dim)] : 1;
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == -1)
      unknown = int64_t(i);
    else
      known *= sizes[i];
  }
  check(unknown >= 0 ? known != 0 && size % known == 0 : known == size, "unflatten: Provided sizes ", shape_text(sizes), " don't multiply up to the size of dim ", dim, " (", size,
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
static const Op unflatten{OpDef{.schema = "unflatten(Tensor(a) input, int dim, int[] sizes) -> Tensor(a)", .run = fn<run_unflatten>, .on = Both, .composite = true}};

// ---- parts ----

static Tensor run_select(const Tensor& input, int64_t dim, int64_t index) {
  check_index(input.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(dim, input.dim());
  const int64_t size = input.sizes()[size_t(dim)];
  check_index(index >= -size && index < size, "select(): index ", index, " out of range for tensor of size ", shape_text(input.sizes()), " at dimension ", dim);
  if (index < 0) index += size;
  Geometry g = input.geometry();
  g.offset += index * g.strides[dim];
  g.sizes.erase(dim);
  g.strides.erase(dim);
  return make_view(input, std::move(g));
}
static void select_vjp(Backward& b) { b.set(0, select_backward(b.g(), b.sizes(0), b.integer(1), b.integer(2))); }
const Op select{OpDef{.schema = "select(Tensor(a) input, int dim, int index) -> Tensor(a)", .run = fn<run_select>, .on = Both, .view = true, .lazy_bits = true, .vjp = select_vjp, .save = shape()}};

static Tensor run_slice(const Tensor& input, int64_t dim, std::optional<int64_t> start_at, std::optional<int64_t> end_at, int64_t step) {
  check(input.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(dim, input.dim());
  check_value(step > 0, "slice step must be positive");
  const int64_t size = input.sizes()[size_t(dim)];
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + size : v, 0, size); };
  const int64_t start = clamp(start_at.value_or(0)), end = std::max(start, end_at ? clamp(*end_at) : size);
  Geometry g = input.geometry();
  g.offset += start * g.strides[dim];
  g.sizes[dim] = (end - start + step - 1) / step;
  g.strides[dim] *= step;
  return make_view(input, std::move(g));
}
static void slice_vjp(Backward& b) {
  b.set(0, slice_backward(b.g(), b.sizes(0), b.integer(1), b.has(2) ? b.integer(2) : int64_t(0), b.has(3) ? b.integer(3) : INT64_MAX, b.integer(4)));
}
const Op slice{OpDef{.schema = "slice(Tensor(a) input, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor(a)", .run = fn<run_slice>, .on = Internal, .view = true, .lazy_bits = true,
                     .vjp = slice_vjp, .save = shape()}};

static Tensor run_narrow(const Tensor& input, int64_t dim, int64_t start, int64_t length) {
  check(input.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
  check(length >= 0, "narrow(): length must be non-negative.");
  dim = wrap_dim(dim, input.dim());
  const int64_t size = input.sizes()[size_t(dim)];
  check_index(start >= -size && start <= size, "start out of range (expected to be in range of [", -size, ", ", size, "], but got ", start, ")");
  if (start < 0) start += size;
  check(start <= size - length, "start (", start, ") + length (", length, ") exceeds dimension size (", size, ").");
  return slice(input, dim, start, start + length, 1);
}
const Op narrow{OpDef{.schema = "narrow(Tensor(a) input, int dim, int start, int length) -> Tensor(a)", .run = fn<run_narrow>, .on = Both, .composite = true}};
static Tensor run_narrow_tensor(const Tensor& input, int64_t dim, const Tensor& start, int64_t length) {
  check(start.dim() == 0 && is_integral(start.dtype()), "start must be an 0-dim integral Tensor.");
  return run_narrow(input, dim, item(start).to_int(), length);
}
static const Op narrow_tensor{OpDef{.schema = "narrow.Tensor(Tensor(a) input, int dim, Tensor start, int length) -> Tensor(a)", .run = fn<run_narrow_tensor>, .on = Both, .composite = true}};

static Tensor run_diagonal(const Tensor& input, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = wrap_dim(dim1, input.dim());
  dim2 = wrap_dim(dim2, input.dim());
  check(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  Geometry g = input.geometry();
  const int64_t rows = g.sizes[dim1], columns = g.sizes[dim2];
  const int64_t length = std::max<int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  if (length > 0) g.offset += offset >= 0 ? offset * g.strides[dim2] : -offset * g.strides[dim1];
  const int64_t stride = g.strides[dim1] + g.strides[dim2];
  g.sizes.erase(std::max(dim1, dim2));
  g.strides.erase(std::max(dim1, dim2));
  g.sizes.erase(std::min(dim1, dim2));
  g.strides.erase(std::min(dim1, dim2));
  g.sizes.push_back(length);
  g.strides.push_back(stride);
  return make_view(input, std::move(g));
}
static void diagonal_vjp(Backward& b) { b.set(0, diagonal_backward(b.g(), b.sizes(0), b.integer(1), b.integer(2), b.integer(3))); }
const Op diagonal{OpDef{.schema = "diagonal(Tensor(a) input, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)", .run = fn<run_diagonal>, .on = Both, .view = true, .lazy_bits = true,
                        .vjp = diagonal_vjp, .save = shape()}};
static Tensor run_linalg_diagonal(const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) { return diagonal(a, offset, dim1, dim2); }
static const Op linalg_diagonal{OpDef{.schema = "diagonal.linalg(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)", .run = fn<run_linalg_diagonal>, .on = Linalg, .composite = true}};

static Tensor run_unfold(const Tensor& input, int64_t dim, int64_t size, int64_t step) {
  dim = wrap_dim(dim, input.dim());
  const int64_t length = input.dim() ? input.sizes()[size_t(dim)] : 1;
  check(size >= 0, "size is ", size, " but must be >= 0");
  check(size <= length, "maximum size for tensor at dimension ", dim, " is ", length, " but size is ", size);
  check(step > 0, "step is ", step, " but must be > 0");
  Geometry g = input.geometry();
  const int64_t stride = input.dim() ? g.strides[dim] : 1;
  if (input.dim()) {
    g.sizes[dim] = (length - size) / step + 1;
    g.strides[dim] = stride * step;
  }
  g.sizes.push_back(size);
  g.strides.push_back(stride);
  return make_view(input, std::move(g));
}
static void unfold_vjp(Backward& b) { b.set(0, unfold_backward(b.g(), b.sizes(0), b.integer(1), b.integer(2), b.integer(3))); }
const Op unfold_dim{OpDef{.schema = "unfold(Tensor(a) input, int dimension, int size, int step) -> Tensor(a)", .run = fn<run_unfold>, .on = Method, .view = true, .lazy_bits = true, .vjp = unfold_vjp,
                          .save = shape()}};

// ---- several parts at once ----

// One node for all parts, as in PyTorch: such views must not be written to in place.
static std::vector<Tensor> mark_multi(std::vector<Tensor> parts) {
  for (Tensor& part : parts)
    if (part.impl()->view_kind == ViewKind::Plain) part.impl()->view_kind = ViewKind::MultiOutput;
  return parts;
}

static std::vector<Tensor> run_unbind(const Tensor& input, int64_t dim) {
  dim = wrap_dim(dim, input.dim());
  check_index(input.dim() > 0, "Dimension specified as 0 but tensor has no dimensions");
  std::vector<Tensor> parts;
  parts.reserve(size_t(input.sizes()[size_t(dim)]));
  for (int64_t i = 0; i < input.sizes()[size_t(dim)]; i++) parts.push_back(run_select(input, dim, i));
  return mark_multi(std::move(parts));
}
static void unbind_vjp(Backward& b) {
  const IntList sizes = b.sizes(0);
  const int64_t dim = wrap_dim(b.integer(1), int64_t(sizes.size()));
  std::vector<Tensor> grads;
  for (int64_t i = 0; i < sizes[size_t(dim)]; i++) grads.push_back(b.g(int(i)));
  b.set(0, stack(TensorList(grads), dim));
}
const Op unbind{OpDef{.schema = "unbind(Tensor(a) input, int dim=0) -> Tensor[]", .run = fn<run_unbind>, .on = Both, .view = true, .lazy_bits = true, .vjp = unbind_vjp, .save = shape()}};

static std::vector<Tensor> split_parts(const Tensor& input, IntList lengths, int64_t dim) {
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t length : lengths) {
    parts.push_back(run_slice(input, dim, at, at + length, 1));
    at += length;
  }
  return mark_multi(std::move(parts));
}
static void split_vjp(Backward& b, int count, int64_t dim) {
  std::vector<Tensor> grads;
  for (int i = 0; i < count; i++) grads.push_back(b.g(i));
  b.set(0, cat(TensorList(grads), dim));
}
static Dims equal_lengths(int64_t size, int64_t length) {
  Dims lengths;
  if (size == 0) lengths.push_back(0);
  for (int64_t at = 0; at < size; at += length) lengths.push_back(std::min(length, size - at));
  return lengths;
}
static std::vector<Tensor> run_split(const Tensor& input, int64_t length, int64_t dim) {
  check(input.dim() > 0, "split expects at least a 1-dimensional tensor");
  check(length >= 0, "split expects split_size be non-negative, but got split_size=", length);
  dim = wrap_dim(dim, input.dim());
  const int64_t size = input.sizes()[size_t(dim)];
  check(length > 0 || size == 0, "split_size can only be 0 if dimension size is 0, but got dimension size of ", size);
  return split_parts(input, equal_lengths(size, std::max<int64_t>(length, 1)), dim);
}
static void split_equal_vjp(Backward& b) {
  const int64_t dim = wrap_dim(b.integer(2), int64_t(b.sizes(0).size()));
  split_vjp(b, int(equal_lengths(b.sizes(0)[size_t(dim)], std::max<int64_t>(b.integer(1), 1)).size()), dim);
}
const Op split{OpDef{.schema = "split.Tensor(Tensor(a) input, int split_size, int dim=0) -> Tensor[]", .run = fn<run_split>, .on = Both, .view = true, .lazy_bits = true, .vjp = split_equal_vjp, .save = shape()}};
static std::vector<Tensor> run_split_sizes(const Tensor& input, IntList lengths, int64_t dim) {
  check(input.dim() > 0, "split_with_sizes expects at least a 1-dimensional tensor");
  dim = wrap_dim(dim, input.dim());
  int64_t total = 0;
  for (int64_t length : lengths) {
    check(length >= 0, "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=", shape_text(lengths));
    total += length;
  }
  check(total == input.sizes()[size_t(dim)], "split_with_sizes expects split_sizes to sum exactly to ", input.sizes()[size_t(dim)], " (input tensor's size at dimension ", dim,
        "), but got split_sizes=", shape_text(lengths));
  return split_parts(input, lengths, dim);
}
static void split_sizes_vjp(Backward& b) { split_vjp(b, int(b.ints(1).size()), wrap_dim(b.integer(2), int64_t(b.sizes(0).size()))); }
const Op split_sizes{OpDef{.schema = "split_with_sizes(Tensor(a) input, int[] split_sizes, int dim=0) -> Tensor[]", .run = fn<run_split_sizes>, .on = Both, .view = true, .lazy_bits = true,
                           .vjp = split_sizes_vjp, .save = shape()}};
static const Op split_list{OpDef{.schema = "split.sizes(Tensor(a) input, int[] split_size, int dim=0) -> Tensor[]", .run = fn<run_split_sizes>, .on = Both, .view = true, .lazy_bits = true,
                                 .vjp = split_sizes_vjp, .save = shape(), .node = "SplitWithSizesBackward0"}};

static std::vector<Tensor> run_chunk(const Tensor& input, int64_t chunks, int64_t dim) {
  check(input.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  check(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t size = input.size(dim), length = (size + chunks - 1) / chunks;
  if (length == 0) {
    const Dims zeros(chunks, 0);
    return split_sizes.list(input, IntList(zeros), dim);
  }
  return split.list(input, length, dim);
}
const Op chunk{OpDef{.schema = "chunk(Tensor(a) input, int chunks, int dim=0) -> Tensor[]", .run = fn<run_chunk>, .on = Both, .composite = true}};

static std::vector<Tensor> run_tensor_split(const Tensor& input, int64_t sections, int64_t dim) {
  check(input.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim(dim, input.dim());
  check(sections > 0, "number of sections must be larger than 0, got ", sections);
  const int64_t size = input.sizes()[size_t(dim)];
  std::vector<Tensor> parts;
  for (int64_t i = 0, at = 0; i < sections; i++) {
    const int64_t length = size / sections + (i < size % sections);
    parts.push_back(slice(input, dim, at, at + length, 1));
    at += length;
  }
  return parts;
}
static const Op tensor_split{OpDef{.schema = "tensor_split.sections(Tensor(a) input, int sections, int dim=0) -> Tensor[]", .run = fn<run_tensor_split>, .on = Both, .composite = true}};
static std::vector<Tensor> run_tensor_split_at(const Tensor& input, IntList indices, int64_t dim) {
  check(input.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim(dim, input.dim());
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t index : indices) {
    parts.push_back(slice(input, dim, at, index, 1));
    at = index;
  }
  parts.push_back(slice(input, dim, at, input.sizes()[size_t(dim)], 1));
  return parts;
}
static const Op tensor_split_at{OpDef{.schema = "tensor_split.indices(Tensor(a) input, int[] indices, int dim=0) -> Tensor[]", .run = fn<run_tensor_split_at>, .on = Both, .composite = true}};

// ---- complex numbers ----

static Tensor run_conj(const Tensor& input) {
  if (!is_complex(input.dtype())) return input;
  Tensor result = make_view(input, input.geometry());
  result.impl()->special ^= kConj;
  return result;
}
static void conj_vjp(Backward& b) { b.set(0, conj(b.g())); }
static const Op conj_view{OpDef{.schema = "_conj(Tensor(a) input) -> Tensor(a)", .run = fn<run_conj>, .on = Function, .view = true, .lazy_bits = true, .vjp = conj_vjp, .node = "ConjBackward0"}};
static Tensor run_conj_front(const Tensor& input) { return is_complex(input.dtype()) ? conj_view(input) : input; }
const Op conj{OpDef{.schema = "conj(Tensor(a) input) -> Tensor(a)", .run = fn<run_conj_front>, .on = Both, .composite = true}};

static Tensor run_neg_view(const Tensor& input) {
  Tensor result = make_view(input, input.geometry());
  result.impl()->special ^= kNeg;
  return result;
}
static void neg_view_vjp(Backward& b) { b.set(0, neg(b.g())); }
static const Op neg_view{OpDef{.schema = "_neg_view(Tensor(a) input) -> Tensor(a)", .run = fn<run_neg_view>, .on = Function, .view = true, .lazy_bits = true, .vjp = neg_view_vjp}};

static Tensor run_view_as_real(const Tensor& input) {
  check(is_complex(input.dtype()), "view_as_real is only supported for complex tensors");
  check(!input.is_conj(), "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can view it as real, use self.resolve_conj(); however, be warned "
        "that the resulting tensor will NOT alias the original.");
  Geometry g = input.geometry();
  for (int64_t& s : g.strides) s *= 2;
  g.sizes.push_back(2);
  g.strides.push_back(1);
  g.offset *= 2;
  Tensor result = make_view(input, std::move(g));
  result.impl()->dtype = real_dtype(input.dtype());
  return result;
}
static void view_as_real_vjp(Backward& b) { b.set(0, view_as_complex(contiguous(b.g()))); }
const Op view_as_real{OpDef{.schema = "view_as_real(Tensor(a) input) -> Tensor(a)", .run = fn<run_view_as_real>, .on = Function, .view = true, .lazy_bits = true, .vjp = view_as_real_vjp}};

static Tensor run_view_as_complex(const Tensor& input) {
  check(input.dtype() == DType::Float32 || input.dtype() == DType::Float64 || input.dtype() == DType::Float16,
        "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ", dtype_title(input.dtype()));
  check(input.dim() > 0, "Input tensor must have one or more dimensions");
  Geometry g = input.geometry();
  check(g.sizes.back() == 2, "Tensor must have a last dimension of size 2");
  check(g.strides.back() == 1, "Tensor must have a last dimension with stride 1");
  g.sizes.pop_back();
  g.strides.pop_back();
  for (int64_t& s : g.strides) {
    check(s % 2 == 0, "Tensor must have a stride divisible by 2 for all but last dimension");
    s /= 2;
  }
  check(g.offset % 2 == 0, "Tensor must have a storage_offset divisible by 2");
  g.offset /= 2;
  Tensor result = make_view(input, std::move(g));
  result.impl()->dtype = complex_dtype(input.dtype());
  return result;
}
static void view_as_complex_vjp(Backward& b) { b.set(0, view_as_real(b.g().is_conj() ? clone(b.g()) : b.g())); }
const Op view_as_complex{OpDef{.schema = "view_as_complex(Tensor(a) input) -> Tensor(a)", .run = fn<run_view_as_complex>, .on = Function, .view = true, .vjp = view_as_complex_vjp}};

static Tensor run_real(const Tensor& input) {
  if (!is_complex(input.dtype())) return input;
  if (input.is_conj()) return select(view_as_real(conj_view(input)), -1, 0);
  return select(view_as_real(input), -1, 0);
}
const Op real{OpDef{.schema = "real(Tensor(a) input) -> Tensor(a)", .run = fn<run_real>, .on = Function, .composite = true}};
static Tensor run_imag(const Tensor& input) {
  check(is_complex(input.dtype()), "imag is not implemented for tensors with non-complex dtypes.");
  if (input.is_conj()) return neg_view(select(view_as_real(conj_view(input)), -1, 1));
  return select(view_as_real(input), -1, 1);
}
const Op imag{OpDef{.schema = "imag(Tensor(a) input) -> Tensor(a)", .run = fn<run_imag>, .on = Function, .composite = true}};

// ---- the same elements again ----

static Tensor run_alias(const Tensor& input) { return make_view(input, input.geometry()); }
static void alias_vjp(Backward& b) { b.set(0, b.g()); }
const Op alias_view{OpDef{.schema = "alias(Tensor(a) input) -> Tensor(a)", .run = fn<run_alias>, .on = Internal, .view = true, .lazy_bits = true, .vjp = alias_vjp}};

static Tensor run_detach(const Tensor& input) { return Tensor::alias(input); }
const Op detach{OpDef{.schema = "detach(Tensor(a) input) -> Tensor(a)", .run = fn<run_detach>, .on = Both, .lazy_bits = true}};

Tensor numpy_T(const Tensor& x) {
  if (x.dim() != 2)
    warn(x.dim() == 0 ? "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases."
                      : "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error in a future release. Consider `x.mT` to transpose "
                        "batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.");
  Dims dims;
  for (int64_t d = x.dim() - 1; d >= 0; d--) dims.push_back(d);
  return permute(x, IntList(dims));
}
Tensor matrix_T(const Tensor& x) {
  check(x.dim() >= 2, "tensor.mT is only supported on matrices or batches of matrices. Got ", x.dim(), "-D tensor.");
  return transpose(x, -2, -1);
}
Tensor matrix_H(const Tensor& x) {
  check(x.dim() == 0 || x.dim() == 2, "tensor.H is only supported on matrices (2-D tensors). Got ", x.dim(), "-D tensor.", x.dim() > 2 ? " For batches of matrices, consider using tensor.mH" : "");
  if (x.dim() == 0) return conj(x);
  return conj(transpose(x, 0, 1));
}
Tensor adjoint(const Tensor& x) {
  check(x.dim() >= 2, "tensor.adjoint() is only supported on matrices or batches of matrices. Got ", x.dim(), "-D tensor.");
  return conj(transpose(x, -2, -1));
}
static Tensor run_adjoint(const Tensor& input) { return adjoint(input); }
static const Op adjoint_op{OpDef{.schema = "adjoint(Tensor(a) input) -> Tensor(a)", .run = fn<run_adjoint>, .on = Both, .composite = true}};

Tensor detached_data(const Tensor& x) {
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
  to.special = uint8_t((to.special & ~(kConj | kNeg)) | (from.special & (kConj | kNeg)));
  to.set_geometry(from.sizes, from.strides, from.offset);
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

}  // namespace tabula
