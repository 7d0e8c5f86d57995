// Powers, chains of products and other functions made of products and solvers.
#include "ops/arith.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/scalar_range.h"
#include "ops/scan.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {
namespace {

Tensor run_matmul(const Tensor& a, const Tensor& b) { return matmul(a, b); }
const Op linalg_matmul{OpDef{
    .schema = "linalg_matmul(Tensor input, Tensor other) -> Tensor",
    .run = fn_exact_out<run_matmul>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc = "torch.matmul." TABULA_EXAMPLE("torch.linalg.matmul(torch.eye(2), torch.ones(2))", "tensor([1., 1.])")}};

// ---- powers ----

Tensor run_matrix_power(const Tensor& a, int64_t n) {
  check_square(a, "linalg.matrix_power");
  if (n == 0) return copy_(clone(a, MemoryFormat::Contiguous), eye_raw(rows_of(a), rows_of(a), a.dtype(), a.device()));
  Tensor base = a;
  if (n < 0) {
    const auto [inverse, info] = linalg_inv_ex.many<2>(a, false);
    raise_errors(info, "linalg.inv", a.dim() == 2);
    base = inverse;
  }
  if (n == 1) return clone(a);
  if (n == -1) return base;
  uint64_t left = n < 0 ? -uint64_t(n) : uint64_t(n);
  Tensor result;
  while (true) {
    if (left & 1) result = result.defined() ? matmul(result, base) : base;
    if (!(left >>= 1)) return result;
    base = matmul(base, base);
  }
}
#define POWER_DOC                                                                                                   \
  "The n-th power of a square matrix (..., k, k), by repeated squaring; a negative one is a power of its inverse. " \
  "Raises torch.linalg.LinAlgError if that does not exist."
const Op linalg_matrix_power{
    OpDef{.schema = "linalg_matrix_power(Tensor input, int n) -> Tensor",
          .run = fn_exact_out<run_matrix_power>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = POWER_DOC TABULA_EXAMPLE("torch.linalg.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)",
                                          "tensor([[1, 3],\n            [0, 1]])")}};
const Op matrix_power{OpDef{.schema = "matrix_power(Tensor input, int n) -> Tensor",
                            .run = fn_exact_out<run_matrix_power>,
                            .on = Usual,
                            .composite = true,
                            .doc = POWER_DOC TABULA_EXAMPLE("torch.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)",
                                                            "tensor([[1, 3],\n            [0, 1]])")}};
#undef POWER_DOC

// ---- chains ----

// Where to split each run of factors so that the products cost least; `sizes` has one entry more than there are
// factors.
std::vector<std::vector<size_t>> best_splits(const std::vector<int64_t>& sizes) {
  const size_t count = sizes.size() - 1;
  std::vector<std::vector<double>> cost(count, std::vector<double>(count));
  std::vector<std::vector<size_t>> split(count, std::vector<size_t>(count));
  for (size_t length = 1; length < count; length++)
    for (size_t i = 0; i + length < count; i++) {
      const size_t j = i + length;
      for (size_t k = i; k < j; k++) {
        const double total =
            cost[i][k] + cost[k + 1][j] + double(sizes[i]) * double(sizes[k + 1]) * double(sizes[j + 1]);
        if (k == i || total < cost[i][j]) {
          cost[i][j] = total;
          split[i][j] = k;
        }
      }
    }
  return split;
}
Tensor product(const std::vector<Tensor>& factors, const std::vector<std::vector<size_t>>& split, size_t i, size_t j) {
  if (i == j) return factors[i];
  const size_t k = split[i][j];
  return mm(product(factors, split, i, k), product(factors, split, k + 1, j));
}

Tensor multi_dot_of(TensorList tensors) {
  const size_t count = tensors.size();
  check(count >= 2, "multi_dot(): expected at least 2 tensors but got ", count);
  std::vector<Tensor> factors(tensors.begin(), tensors.end());
  const Tensor &first = tensors[0], &last = tensors[count - 1];
  check(first.dim() == 1 || first.dim() == 2, "multi_dot(): the first tensor must be 1D or 2D but got ", first.dim(),
        "D");
  check(last.dim() == 1 || last.dim() == 2, "multi_dot(): the last tensor must be 1D or 2D but got ", last.dim(), "D");
  Dims shape;
  if (first.dim() == 1)
    factors[0] = unsqueeze(first, int64_t(0));
  else
    shape.push_back(first.sizes()[0]);
  if (last.dim() == 1)
    factors[count - 1] = unsqueeze(last, int64_t(-1));
  else
    shape.push_back(last.sizes()[1]);
  std::vector<int64_t> sizes{factors[0].dim() == 2 ? factors[0].sizes()[0] : 0};
  for (size_t i = 0; i < count; i++) {
    check(factors[i].dim() == 2, "multi_dot(): tensor ", i, " must be 2D but got ", factors[i].dim(), "D");
    check(tensors[i].device() == first.device(),
          "multi_dot(): all tensors must be on the same device but tensor 0 is on ", first.device().str(),
          " and tensor ", i, " on ", tensors[i].device().str());
    check(tensors[i].dtype() == first.dtype(), "multi_dot(): all tensors must have be the same dtype but tensor 0 is ",
          c_type_name(first.dtype()), " and tensor ", i, " ", c_type_name(tensors[i].dtype()));
    if (i)
      check(factors[i - 1].sizes()[1] == factors[i].sizes()[0], "multi_dot(): tensors ", i - 1, " and ", i,
            " with shapes ", shape_text(factors[i - 1].sizes()), " and ", shape_text(factors[i].sizes()),
            " cannot be multiplied");
    sizes.push_back(factors[i].sizes()[1]);
  }
  return reshape(product(factors, best_splits(sizes), 0, count - 1), shape);
}
void run_multi_dot(const Op&, const Value* args, Out& out) {
  const TensorList tensors = args[0].tensors();
  if (out.into && tensors.size() >= 2)
    check(out.into[0].dtype() == tensors[0].dtype(), "multi_dot(): expected out tensor to have dtype ",
          c_type_name(tensors[0].dtype()), " but got ", c_type_name(out.into[0].dtype()));
  detail::box(out, multi_dot_of(tensors));
}
const Op linalg_multi_dot{
    OpDef{.schema = "linalg_multi_dot(Tensor[] tensors) -> Tensor",
          .run = boxed(run_multi_dot),
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "The product of several matrices in the cheapest order; the first and the last may be vectors. Raises "
                 "RuntimeError for other shapes and for unequal dtypes." TABULA_EXAMPLE(
                     "torch.linalg.multi_dot([torch.eye(2), torch.ones(2)])", "tensor([1., 1.])")}};

// ---- tensors as maps ----

int64_t elements(IntList sizes) { return count_elements(sizes); }

Tensor run_tensorinv(const Tensor& a, int64_t ind) {
  check(ind > 0, "Expected a strictly positive integer for 'ind', but got ", ind);
  check(ind <= a.dim(), "ArrayRef: invalid slice, N = ", ind, "; size = ", a.dim());
  const IntList first = a.sizes().first(size_t(ind)), last = a.sizes().subspan(size_t(ind));
  const int64_t rows = elements(first), columns = elements(last);
  check(rows == columns,
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got ", columns,
        " != ", rows);
  const auto [inverse, info] = linalg_inv_ex.many<2>(reshape(a, Dims{rows, columns}), false);
  raise_errors(info, "inv", true);
  Dims shape(last);
  for (int64_t size : first) shape.push_back(size);
  return reshape(inverse, shape);
}
Tensor run_tensorsolve(const Tensor& input, const Tensor& b, OptionalInts dims) {
  Tensor a = input;
  if (dims) {
    Dims to;
    for (size_t i = 0; i < dims->size(); i++) to.push_back(input.dim() - int64_t(dims->size()) + int64_t(i));
    a = movedim(input, *dims, to);
  }
  const IntList shape = b.dim() <= a.dim() ? a.sizes().subspan(size_t(b.dim())) : IntList();
  const int64_t unknowns = elements(shape), known = b.numel();
  check(unknowns == known,
        "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but "
        "got ",
        unknowns, " != ", known);
  const Dims result(shape);
  return reshape(linalg_solve(reshape(a, Dims{known, unknowns}), reshape(b, Dims{b.numel()})), result);
}
constexpr ResultNames kTensorinv{"tensorinv", {"result"}}, kTensorsolve{"tensorsolve", {"result"}};
const Op linalg_tensorinv{
    OpDef{.schema = "linalg_tensorinv(Tensor input, int ind=2) -> Tensor",
          .run = fn_castable_out<run_tensorinv, &kTensorinv>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "The inverse of the linear map that torch.tensordot with `input` over `ind` dimensions is. The "
                 "products of the first `ind` sizes and of the others must be equal." TABULA_EXAMPLE(
                     "torch.linalg.tensorinv(torch.eye(4).reshape(2, 2, 2, 2)).shape", "torch.Size([2, 2, 2, 2])")}};
const Op linalg_tensorsolve{
    OpDef{.schema = "linalg_tensorsolve(Tensor input, Tensor other, int[]? dims=None) -> Tensor",
          .run = fn_castable_out<run_tensorsolve, &kTensorsolve>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "The X with torch.tensordot(input, X, X.ndim) = other. `dims` of the input are moved to its end "
                 "before." TABULA_EXAMPLE("torch.linalg.tensorsolve(torch.eye(4).reshape(2, 2, 4), torch.ones(2, 2))",
                                          "tensor([1., 1., 1., 1.])")}};

// ---- Vandermonde ----

Tensor powers_of(const Tensor& x, int64_t count) {
  const Dims one = join(x.sizes(), {1});
  const Tensor ones = full_raw(one, Scalar(int64_t(1)), x.dtype(), x.device());
  if (count <= 1) return ones;
  const Tensor all[] = {ones, cumprod(expand(unsqueeze(x, int64_t(-1)), join(x.sizes(), {count - 1})), int64_t(-1))};
  return cat(TensorList(all), int64_t(-1));
}
Tensor run_linalg_vander(const Tensor& x, std::optional<int64_t> n) {
  const bool takes =
      (is_differentiable(x.dtype()) && !is_reduced_float(x.dtype()) && !is_float8(x.dtype())) || is_integral(x.dtype());
  check(takes, "linalg.vander supports floating point, complex, and integer tensors, but got ", dtype_title(x.dtype()));
  const Tensor vectors = x.dim() == 0 ? unsqueeze(x, int64_t(-1)) : x;
  const int64_t count = n.value_or(vectors.sizes().back());
  check(count > 1, "N must be greater than 1.");
  return powers_of(is_integral(x.dtype()) ? to_dtype(vectors, DType::Int64) : vectors, count);
}
const Op linalg_vander{
    OpDef{.schema = "linalg_vander(Tensor x, *, int? N=None) -> Tensor",
          .run = fn<run_linalg_vander>,
          .on = Linalg | Internal,
          .composite = true,
          .doc = "Powers 0 to N - 1 of each element, along a new last dimension: (..., n) gives (..., n, N), by "
                 "default (..., n, n). Raises RuntimeError if N is less than 2." TABULA_EXAMPLE(
                     "torch.linalg.vander(torch.tensor([2, 3]))", "tensor([[1, 2],\n            [1, 3]])")}};
Tensor run_vander(const Tensor& x, std::optional<int64_t> n, bool increasing) {
  check(x.dim() == 1, "x must be a one-dimensional tensor.");
  const int64_t count = n.value_or(x.numel());
  check(count >= 0, "N must be non-negative.");
  const Tensor values = is_integral_or_bool(x.dtype()) ? to_dtype(x, DType::Int64) : x;
  const Tensor powers = narrow(powers_of(values, count), int64_t(-1), int64_t(0), count);
  return increasing ? clone(powers, MemoryFormat::Contiguous) : flip(powers, Dims{1});
}
const Op vander{OpDef{.schema = "vander(Tensor x, int? N=None, bool increasing=False) -> Tensor",
                      .run = fn<run_vander>,
                      .on = Function | Internal,
                      .composite = true,
                      .doc = "Powers of each element of a vector (n), a row each, (n, N) or (n, n); the highest first "
                             "unless `increasing`." TABULA_EXAMPLE("torch.vander(torch.tensor([2, 3]))",
                                                                   "tensor([[2, 1],\n            [3, 1]])")}};

// ---- vectors ----

Tensor run_vecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  check(is_differentiable(x.dtype()), "linalg.vecdot: Expected a floating point or complex tensor as input. Got ",
        dtype_title(x.dtype()));
  check(x.dtype() == y.dtype(), "linalg.vecdot: Expected x and y to have the same dtype, but found x of type ",
        dtype_title(x.dtype()), " and y of type ", dtype_title(y.dtype()), " instead");
  if (x.dim() == 1 && y.dim() == 1) return dot(conj_of(x), y);
  return sum_dim(conj_of(x) * y, IntList(&dim, 1));
}
void run_vecdot_into(const Op& op, const Value* args, Out& out) {
  detail::Typed<run_vecdot>::run(op, args, out);
  if (out.into)
    check(out.into[0].dtype() == out[0].dtype(), "linalg.vecdot: Expected out of dtype", dtype_title(out[0].dtype()),
          " but found ", dtype_title(out.into[0].dtype()));
}
const Op linalg_vecdot{OpDef{
    .schema = "linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor",
    .run = boxed(run_vecdot_into),
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc =
        "Dot products of vectors along a dimension, broadcast over the others; complex ones conjugate the "
        "first." TABULA_EXAMPLE("torch.linalg.vecdot(torch.tensor([1., 2.]), torch.tensor([3., 4.]))", "tensor(11.)")}};

Tensor run_linalg_cross(const Tensor& x, const Tensor& y, int64_t dim) {
  check(x.dim() == y.dim(), "linalg.cross: inputs must have the same number of dimensions.");
  check_index(x.dim() > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
  const int64_t at = wrap_dim(dim, x.dim());
  check(x.size(at) == 3 && y.size(at) == 3, "linalg.cross: inputs dimension ", dim, " must have length 3. Got ",
        x.size(at), " and ", y.size(at));
  check(x.dtype() == y.dtype(), "expected scalar type ", dtype_title(x.dtype()), " but found ", dtype_title(y.dtype()));
  Dims sizes = broadcast_sizes(x.sizes(), y.sizes());
  // (1, 2, 0) and (2, 0, 1): the elements that are multiplied with each other
  const Tensor a = expand(x, sizes), b = expand(y, sizes);
  return roll(a, Dims{-1}, Dims{at}) * roll(b, Dims{-2}, Dims{at}) -
         roll(a, Dims{-2}, Dims{at}) * roll(b, Dims{-1}, Dims{at});
}
const Op linalg_cross{
    OpDef{.schema = "linalg_cross(Tensor input, Tensor other, *, int dim=-1) -> Tensor",
          .run = fn_exact_out<run_linalg_cross>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "Cross products along a dimension of size 3; the others are broadcast. Raises RuntimeError for other "
                 "sizes." TABULA_EXAMPLE("torch.linalg.cross(torch.tensor([1., 0., 0.]), torch.tensor([0., 1., 0.]))",
                                         "tensor([0., 0., 1.])")}};
Tensor run_cross(const Tensor& x, const Tensor& y, std::optional<int64_t> dim) {
  if (!dim) {
    for (int64_t d = 0; d < x.dim() && !dim; d++)
      if (x.size(d) == 3) dim = d;
    check(dim.has_value(), "no dimension of size 3 in input");
  }
  return linalg_cross(x, y, *dim);
}
const Op cross{
    OpDef{.schema = "cross(Tensor input, Tensor other, int? dim=None) -> Tensor",
          .run = fn_exact_out<run_cross>,
          .on = Usual,
          .composite = true,
          .doc = "Cross products along a dimension of size 3, the first such one if `dim` is not given." TABULA_EXAMPLE(
              "torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)", "tensor([0, 0, 1])")}};

}  // namespace
}  // namespace tabula
