// Views with the dimensions in another order, and with more or fewer dimensions of size one.
#include "ops/view.h"

#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"

namespace tabula {

// ---- order of dimensions ----

static Tensor run_permute(const Tensor& input, IntList dims) {
  check(int64_t(dims.size()) == input.dim(), "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ",
        input.dim(), " is not equal to len(dims) = ", dims.size());
  SmallVec<bool, 16> seen(input.dim(), false);
  Geometry g{Dims(input.dim()), Dims(input.dim()), input.offset()};
  for (size_t i = 0; i < dims.size(); i++) {
    const int64_t d = wrap_dim(dims[i], input.dim());
    check(!seen[d], "permute(): duplicate dims are not allowed.");
    seen[d] = true;
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
const Op permute{OpDef{.schema = "permute(Tensor(a) input, int[] dims) -> Tensor(a)", .run = fn<run_permute>, .on = Both, .view = true, .lazy_bits = true, .vjp = permute_vjp,
    .batch = batch::permute, .doc =
        "A view with the dimensions in another order."
        TABULA_EXAMPLE("torch.permute(torch.zeros(2, 3, 5), (2, 0, 1)).shape", "torch.Size([5, 2, 3])")}};

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
const Op transpose{OpDef{.schema = "transpose(Tensor(a) input, int dim0, int dim1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp,
    .batch = batch::dims, .doc =
        "A view with two dimensions swapped."
        TABULA_EXAMPLE("torch.transpose(torch.tensor([[1, 2], [3, 4]]), 0, 1)",
                       "tensor([[1, 3],\n"
                       "            [2, 4]])")}};
const Op swapdims{OpDef{.schema = "swapdims(Tensor(a) input, int dim0, int dim1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp, .node = "TransposeBackward0",
    .batch = batch::dims, .doc =
        "Another name of torch.transpose."
        TABULA_EXAMPLE("torch.swapdims(torch.zeros(2, 3), 0, 1).shape", "torch.Size([3, 2])")}};
static const Op swapaxes{OpDef{.schema = "swapaxes(Tensor(a) input, int axis0, int axis1) -> Tensor(a)", .run = fn<run_transpose>, .on = Both, .view = true, .lazy_bits = true, .vjp = transpose_vjp, .node = "TransposeBackward0",
    .batch = batch::dims, .doc =
        "Another name of torch.transpose."
        TABULA_EXAMPLE("torch.swapaxes(torch.zeros(2, 3), 0, 1).shape", "torch.Size([3, 2])")}};

static Tensor run_t(const Tensor& input) {
  check(input.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", input.dim(), "D");
  return input.dim() < 2 ? run_transpose(input, 0, 0) : run_transpose(input, 0, 1);
}
static void t_vjp(Backward& b) { b.set(0, t(b.g())); }
const Op t{OpDef{.schema = "t(Tensor(a) input) -> Tensor(a)", .run = fn<run_t>, .on = Both, .view = true, .lazy_bits = true, .vjp = t_vjp, .node = "TBackward0",
    .batch = batch::t, .doc =
        "The transpose of a matrix, as a view; vectors and scalars stay as they are. A RuntimeError for more than "
        "2 dimensions."
        TABULA_EXAMPLE("torch.t(torch.tensor([[1, 2], [3, 4]]))",
                       "tensor([[1, 3],\n"
                       "            [2, 4]])")}};

static Tensor run_movedim(const Tensor& input, IntList source, IntList destination) {
  check(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", shape_text(source), " dims) should contain the same number of dims as destination (",
        shape_text(destination), " dims)");
  const int64_t n = input.dim();
  Dims order(n, -1);
  check(n <= 64, "only tensors with up to 64 dims are supported");
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
const Op movedim{OpDef{.schema = "movedim(Tensor(a) input, int[1] source, int[1] destination) -> Tensor(a)", .run = fn<run_movedim>, .on = Both, .composite = true,
    .doc =
        "A view with the dimensions of source at the places of destination; the others keep their order."
        TABULA_EXAMPLE("torch.movedim(torch.zeros(2, 3, 5), 0, -1).shape", "torch.Size([3, 5, 2])")}};
static const Op moveaxis{OpDef{.schema = "moveaxis(Tensor(a) input, int[1] source, int[1] destination) -> Tensor(a)", .run = fn<run_movedim>, .on = Both, .composite = true,
    .doc =
        "Another name of torch.movedim."
        TABULA_EXAMPLE("torch.moveaxis(torch.zeros(2, 3, 5), 0, 1).shape", "torch.Size([3, 2, 5])")}};

// ---- transposes as attributes ----

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
static const Op adjoint_op{OpDef{.schema = "adjoint(Tensor(a) input) -> Tensor(a)", .run = fn<run_adjoint>, .on = Both, .composite = true,
    .doc =
        "The conjugate transposes of the matrices in the last two dimensions, as a view."
        TABULA_EXAMPLE("torch.adjoint(torch.tensor([[1 + 2j, 3 + 0j]]))",
                       "tensor([[1.-2.j],\n"
                       "            [3.-0.j]])")}};

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
const Op unsqueeze{OpDef{.schema = "unsqueeze(Tensor(a) input, int dim) -> Tensor(a)", .run = fn<run_unsqueeze>, .on = Both, .view = true, .lazy_bits = true, .vjp = unsqueeze_vjp,
    .batch = batch::unsqueeze, .doc =
        "A view with a new dimension of size 1 before dim, which may be negative."
        TABULA_EXAMPLE("torch.unsqueeze(torch.tensor([1, 2]), 1).shape", "torch.Size([2, 1])")}};

static void squeeze_vjp(Backward& b) { b.set(0, reshape(b.g(), b.sizes(0))); }
static Tensor squeeze_where(const Tensor& input, uint64_t allowed) {
  Geometry g{{}, {}, input.offset()};
  for (int64_t d = 0; d < input.dim(); d++) {
    if (input.sizes()[size_t(d)] == 1 && (d >= 64 || (allowed >> d & 1))) continue;
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
const Op squeeze{OpDef{.schema = "squeeze(Tensor(a) input) -> Tensor(a)", .run = fn<run_squeeze>, .on = Both, .view = true, .lazy_bits = true, .vjp = squeeze_vjp, .save = shape(),
    .batch = batch::squeeze, .doc =
        "A view without the dimensions of size 1: all of them, or those of dim that have size 1."
        TABULA_EXAMPLE("torch.squeeze(torch.zeros(1, 3, 1)).shape", "torch.Size([3])")
        TABULA_STEP("torch.squeeze(torch.zeros(1, 3, 1), 0).shape", "torch.Size([3, 1])")}};
const Op squeeze_dims{OpDef{.schema = "squeeze.dims(Tensor(a) input, int[1] dim) -> Tensor(a)", .run = fn<run_squeeze_dims>, .on = Both, .view = true, .lazy_bits = true, .vjp = squeeze_vjp,
                            .save = shape(), .node = "SqueezeBackward1", .batch = batch::dims}};

}  // namespace tabula
