// Views of parts: one index, a range, a diagonal, windows, and several parts at once.
#include "ops/view.h"

#include "core/hint.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/reduce.h"

namespace tabula {

// ---- parts ----

static Tensor run_select(const Tensor& input, int64_t dim, int64_t index) {
  check_index(input.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(dim, input.dim());
  const int64_t size = input.sizes()[size_t(dim)];
  check_index(index >= -size && index < size, "select(): index ", index, " out of range for tensor of size ", shape_text(input.sizes()), " at dimension ", dim,
              index_hint(input.sizes(), dim));
  if (index < 0) index += size;
  Geometry g = input.geometry();
  g.offset += index * g.strides[dim];
  g.sizes.erase(dim);
  g.strides.erase(dim);
  return make_view(input, std::move(g));
}
static void select_vjp(Backward& b) { b.set(0, select_backward(b.g(), b.sizes(0), b.integer(1), b.integer(2))); }
const Op select{OpDef{.schema = "select(Tensor(a) input, int dim, int index) -> Tensor(a)", .run = fn<run_select>, .on = Both, .view = true, .lazy_bits = true, .vjp = select_vjp, .save = shape(),
    .batch = batch::strict_dims, .doc =
        "The view at one index of a dimension, which goes away. An IndexError if there is no such index."
        TABULA_EXAMPLE("torch.select(torch.tensor([[1, 2], [3, 4]]), 1, 0)", "tensor([1, 3])")}};

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
                     .vjp = slice_vjp, .save = shape(), .batch = batch::strict_dims}};

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
const Op narrow{OpDef{.schema = "narrow(Tensor(a) input, int dim, int start, int length) -> Tensor(a)", .run = fn<run_narrow>, .on = Both, .composite = true,
    .doc =
        "The view of length elements from start on along a dimension."
        TABULA_EXAMPLE("torch.narrow(torch.arange(5), 0, 1, 3)", "tensor([1, 2, 3])")}};
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
                        .vjp = diagonal_vjp, .save = shape(),
    .batch = batch::strict_dims, .doc =
        "The diagonal of dimensions dim1 and dim2 as a new last dimension, as a view; offset moves it to the "
        "right or, negative, down."
        TABULA_EXAMPLE("torch.diagonal(torch.tensor([[1, 2], [3, 4]]))", "tensor([1, 4])")}};
static Tensor run_linalg_diagonal(const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) { return diagonal(a, offset, dim1, dim2); }
static const Op linalg_diagonal{OpDef{.schema = "diagonal.linalg(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)", .run = fn<run_linalg_diagonal>, .on = Linalg, .composite = true,
    .doc =
        "The diagonals of the matrices in the last two dimensions, as a view; offset moves them to the right or, "
        "negative, down."
        TABULA_EXAMPLE("torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]))", "tensor([1, 4])")}};

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
                          .save = shape(),
    .batch = batch::dims, .doc =
        "A view of all windows of a size along a dimension, step apart; the window is a new last dimension."
        TABULA_EXAMPLE("torch.arange(5).unfold(0, 3, 2)",
                       "tensor([[0, 1, 2],\n"
                       "            [2, 3, 4]])")}};

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
const Op unbind{OpDef{.schema = "unbind(Tensor(a) input, int dim=0) -> Tensor[]", .run = fn<run_unbind>, .on = Both, .view = true, .lazy_bits = true, .vjp = unbind_vjp, .save = shape(),
    .batch = batch::strict_dims, .doc =
        "The parts along a dimension as a tuple of views without it."
        TABULA_EXAMPLE("torch.unbind(torch.tensor([[1, 2], [3, 4]]))", "(tensor([1, 2]), tensor([3, 4]))")}};

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
const Op split{OpDef{.schema = "split.Tensor(Tensor(a) input, int split_size, int dim=0) -> Tensor[]", .run = fn<run_split>, .on = Both, .view = true, .lazy_bits = true, .vjp = split_equal_vjp, .save = shape(),
    .batch = batch::strict_dims, .doc =
        "Views of parts along a dimension: of split_size elements each (the last may be shorter), or of the sizes "
        "in a list, which must sum to the dimension's."
        TABULA_EXAMPLE("torch.split(torch.arange(5), 2)", "(tensor([0, 1]), tensor([2, 3]), tensor([4]))")
        TABULA_STEP("torch.split(torch.arange(5), [1, 4])", "(tensor([0]), tensor([1, 2, 3, 4]))")}};
static std::vector<Tensor> run_split_sizes(const Tensor& input, IntList lengths, int64_t dim) {
  check(input.dim() > 0, "split_with_sizes expects at least a 1-dimensional tensor");
  const int64_t given_dim = dim;
  dim = wrap_dim(dim, input.dim());
  int64_t total = 0;
  bool overflow = false;
  for (int64_t length : lengths) {
    check(length >= 0, "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=", shape_text(lengths));
    overflow |= __builtin_add_overflow(total, length, &total);
  }
  check(!overflow && total == input.sizes()[size_t(dim)], "split_with_sizes expects split_sizes to sum exactly to ", input.sizes()[size_t(dim)], " (input tensor's size at dimension ", given_dim,
        "), but got split_sizes=", shape_text(lengths));
  return split_parts(input, lengths, dim);
}
static void split_sizes_vjp(Backward& b) { split_vjp(b, int(b.ints(1).size()), wrap_dim(b.integer(2), int64_t(b.sizes(0).size()))); }
const Op split_sizes{OpDef{.schema = "split_with_sizes(Tensor(a) input, int[] split_sizes, int dim=0) -> Tensor[]", .run = fn<run_split_sizes>, .on = Both, .view = true, .lazy_bits = true,
                           .vjp = split_sizes_vjp, .save = shape(),
    .batch = batch::strict_dims, .doc =
        "Views of parts of the given sizes along a dimension; the sizes must sum to the dimension's."
        TABULA_EXAMPLE("torch.split_with_sizes(torch.arange(5), [1, 4])", "(tensor([0]), tensor([1, 2, 3, 4]))")}};
static const Op split_list{OpDef{.schema = "split.sizes(Tensor(a) input, int[] split_size, int dim=0) -> Tensor[]", .run = fn<run_split_sizes>, .on = Both, .view = true, .lazy_bits = true,
                                 .vjp = split_sizes_vjp, .save = shape(), .node = "SplitWithSizesBackward0", .batch = batch::strict_dims}};

static std::vector<Tensor> run_chunk(const Tensor& input, int64_t chunks, int64_t dim) {
  check(input.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  check(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t size = input.size(dim), length = size / chunks + (size % chunks != 0);
  if (length == 0) {
    const Dims zeros(chunks, 0);
    return split_sizes.list(input, IntList(zeros), dim);
  }
  return split.list(input, length, dim);
}
const Op chunk{OpDef{.schema = "chunk(Tensor(a) input, int chunks, int dim=0) -> Tensor[]", .run = fn<run_chunk>, .on = Both, .composite = true,
    .doc =
        "At most so many views of equal size along a dimension, rounded up; the last may be smaller."
        TABULA_EXAMPLE("torch.chunk(torch.arange(5), 2)", "(tensor([0, 1, 2]), tensor([3, 4]))")}};

static std::vector<Tensor> run_tensor_split(const Tensor& input, int64_t sections, int64_t dim) {
  check(input.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim(dim, input.dim());
  check(sections > 0, "number of sections must be larger than 0, got ", sections);
  const int64_t size = input.sizes()[size_t(dim)];
  std::vector<Tensor> parts;
  parts.reserve(size_t(sections));  // throws where they are absurdly many
  for (int64_t i = 0, at = 0; i < sections; i++) {
    const int64_t length = size / sections + (i < size % sections);
    parts.push_back(slice(input, dim, at, at + length, 1));
    at += length;
  }
  return parts;
}
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
static std::vector<Tensor> run_tensor_split_tensor(const Tensor& input, const Tensor& where, int64_t dim) {
  check(where.device().is_cpu(), "tensor_split expected tensor_indices_or_sections to be on cpu, but it's on ", where.device().str());
  check(where.dtype() == DType::Int64, "tensor_split expected tensor_indices_or_sections to have dtype of long, but got ", dtype_title(where.dtype()));
  check(where.dim() <= 1, "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor with ",
        where.dim(), " dims");
  if (where.dim() == 0) return run_tensor_split(input, item(where).to_int(), dim);
  const Tensor plain = contiguous_raw(where);
  return run_tensor_split_at(input, IntList(plain.data_as<int64_t>(), size_t(plain.numel())), dim);
}
// ahead of the overload with an int, which would take a tensor of one element
static const Op tensor_split_tensor{OpDef{.schema = "tensor_split.tensor_indices_or_sections(Tensor(a) input, Tensor tensor_indices_or_sections, int dim=0) -> Tensor[]", .run = fn<run_tensor_split_tensor>, .on = Both, .composite = true}};
static const Op tensor_split{OpDef{.schema = "tensor_split.sections(Tensor(a) input, int sections, int dim=0) -> Tensor[]", .run = fn<run_tensor_split>, .on = Both, .composite = true,
    .doc =
        "Exactly so many views along a dimension, whose sizes differ by at most one; or views cut at the given "
        "indices."
        TABULA_EXAMPLE("torch.tensor_split(torch.arange(5), 3)", "(tensor([0, 1]), tensor([2, 3]), tensor([4]))")
        TABULA_STEP("torch.tensor_split(torch.arange(5), (1, 3))", "(tensor([0]), tensor([1, 2]), tensor([3, 4]))")}};
static const Op tensor_split_at{OpDef{.schema = "tensor_split.indices(Tensor(a) input, int[] indices, int dim=0) -> Tensor[]", .run = fn<run_tensor_split_at>, .on = Both, .composite = true}};

}  // namespace tabula
