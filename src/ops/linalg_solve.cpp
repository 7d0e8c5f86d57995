// Linear equations, inverses and determinants by LU factors.
#include <cmath>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/mask.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/reduce_prod.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

// For a determinant, real matrices that lie row by row are factored as their transpose: that needs no rearranging.
bool factors_transpose(const Tensor& a) { return a.is_contiguous() && !is_complex(a.dtype()); }

struct Factors {
  Tensor packed, pivots, info;
};
Factors factor(const Tensor& a) {
  const Tensor packed = columns_copy(a);
  const int64_t n = columns_of(a);
  Factors f{packed, Tensor::empty(join(batch_sizes(a), {n}), DType::Int32, a.device()),
            Tensor::empty(batch_sizes(a), DType::Int32, a.device())};
  kernels::LapackCall call = lapack_call(packed);
  call.pivots = f.pivots.data_as<int32_t>();
  call.info = f.info.data_as<int32_t>();
  kernels::lu_factor[a.device().kind](call);
  return f;
}
// op(packed) X = b, in place, for matrices of equal batches; `b` lies column by column.
void solve_in_place(const Factors& f, const Tensor& b, bool transposed) {
  kernels::LapackCall call = lapack_call(f.packed);
  call.pivots = f.pivots.data_as<int32_t>();
  call.b = b.data();
  call.k = columns_of(b);
  call.trans = transposed ? 'T' : 'N';
  kernels::lu_solve[b.device().kind](call);
}

bool is_vector_case(const Tensor& a, const Tensor& b) {
  return b.dim() == 1 ||
         (a.dim() - 1 == b.dim() && std::ranges::equal(b.sizes(), a.sizes().first(size_t(a.dim() - 1))));
}

std::tuple<Tensor, Tensor, Tensor, Tensor> run_solve_ex(const Tensor& a, const Tensor& b, bool left,
                                                        bool check_errors) {
  check(a.dtype() == b.dtype() || !is_differentiable(a.dtype()),
        "linalg.solve: Expected A and B to have the same dtype, but found A of type ", dtype_title(a.dtype()),
        " and B of type ", dtype_title(b.dtype()), " instead");
  check_matrix(a, "linalg.solve");
  check_values(a, "linalg.solve", true);
  check_square(a, "linalg.solve");
  const bool vector = is_vector_case(a, b);
  const Tensor right = vector ? unsqueeze(b, int64_t(-1)) : b;
  check_matrix(right, "linalg.solve", "B");
  check_sides(a, right, left, "linalg.solve");
  check(left || !vector,
        "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
        "linalg.solve is equivalent to B / A.squeeze(-1)");
  const Dims batch = broadcast_sizes(batch_sizes(right), batch_sizes(a));
  check_lapack_dtype(a, "lu_cpu");
  const Factors f = factor(a);
  if (check_errors) check_info(f.info, "torch.linalg.solve_ex", a.dim() == 2);
  // X A = B is A^T X^T = B^T
  const Tensor turned = columns_copy(expand_batch_raw(left ? right : matrix_T(right), batch));
  Factors all = f;
  if (!std::ranges::equal(IntList(batch), batch_sizes(a))) {
    all.packed = columns_copy(expand_batch_raw(f.packed, batch));
    all.pivots = contiguous_raw(Tensor::alias(f.pivots, expanded(f.pivots.geometry(), join(batch, {rows_of(a)}))));
  }
  solve_in_place(all, turned, !left);
  Tensor result = left ? turned : Tensor::alias(matrix_T(turned));
  if (vector) {
    Geometry g = result.geometry();
    g.sizes.pop_back();
    g.strides.pop_back();
    result = Tensor::alias(result, g);
    if (result.dim() > 1) result = columns_copy(result);
  }
  return {result, f.packed, f.pivots, f.info};
}

// Derivatives that are not to be differentiated again use the factors; others factor anew, as the factors are no
// function of A then.
void solve_vjp(Backward& b) {
  const Tensor& a = b.in(0);
  const bool left = b.flag(2), vector = is_vector_case(a, b.in(1));
  const Tensor g = vector ? unsqueeze(b.g(), int64_t(-1)) : b.g(),
               x = vector ? unsqueeze(b.out(0), int64_t(-1)) : b.out(0);
  const Tensor g_b = thread_state.grad_enabled ? linalg_solve(adjoint(a), g, left)
                                               : linalg_lu_solve(b.out(1), b.out(2), g, left, true);
  if (b.needs(0)) b.set(0, -(left ? matmul(g_b, adjoint(x)) : matmul(adjoint(x), g_b)));
  b.set(1, vector ? squeeze_dims(g_b, Dims{-1}) : g_b);
}
const Op solve_ex_raw{OpDef{.schema = "_linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool "
                                      "check_errors=False) -> (Tensor result, Tensor LU, Tensor pivots, Tensor info)",
                            .run = fn_exact_out<run_solve_ex>,
                            .on = Function | OutForm | Internal,
                            .vjp = solve_vjp,
                            .save = in(0) | in(1) | out(0) | out(1) | out(2),
                            .nondiff = 14,
                            .node = "LinalgSolveExBackward0",
                            .batch = batch::solve,
                            .doc = "torch.linalg.solve_ex with the factors that it has made."}};

#define SOLVE_DOC                                                                                                      \
  "\n\nArgs: A (..., n, n); B (n), (..., n), (..., n, k) or, if not `left`, (..., k, n); floating or complex, of one " \
  "dtype. Batches are broadcast. Returns X, of B's shape "                                                             \
  "after broadcasting."
std::tuple<Tensor, Tensor> run_linalg_solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
  auto results = solve_ex_raw.many<4>(a, b, left, check_errors);
  return {results[0], results[3]};
}
Tensor run_linalg_solve(const Tensor& a, const Tensor& b, bool left) {
  const auto results = solve_ex_raw.many<4>(a, b, left, false);
  raise_errors(results[3], "torch.linalg.solve", a.dim() == 2);
  return results[0];
}

// ---- inverses ----

std::tuple<Tensor, Tensor> run_inv_ex(const Tensor& a, bool check_errors) {
  check_square(a, "linalg.inv");
  check_values(a, "linalg.inv");
  const Factors f = factor(a);
  if (check_errors) check_info(f.info, "linalg.inv_ex", a.dim() == 2);
  const Tensor result = empty_columns(batch_sizes(a), rows_of(a), rows_of(a), a.dtype(), a.device());
  kernels::LapackCall call = lapack_call(f.packed);
  call.b = result.data();
  call.pivots = f.pivots.data_as<int32_t>();
  call.info = f.info.data_as<int32_t>();
  kernels::lu_inverse[a.device().kind](call);
  return {result, f.info};
}
void inv_vjp(Backward& b) {
  const Tensor turned = adjoint(b.out());
  b.set(0, -matmul(turned, matmul(b.g(), turned)));
}
#define INV_DOC "\n\nArgs: A (..., n, n), floating or complex. Raises RuntimeError for other shapes and dtypes."
Tensor inverse_of(const Tensor& a) {
  const auto [inverse, info] = linalg_inv_ex.many<2>(a, false);
  raise_errors(info, "linalg.inv", a.dim() == 2);
  return inverse;
}
const Op linalg_inv{OpDef{.schema = "linalg_inv(Tensor A) -> Tensor",
                          .run = fn_exact_out<inverse_of>,
                          .on = Linalg | OutForm | Internal,
                          .composite = true,
                          .doc = "The inverse of a square matrix." INV_DOC
                                 " Raises torch.linalg.LinAlgError for a singular one." TABULA_EXAMPLE(
                                     "torch.linalg.inv(torch.tensor([[2.]]))", "tensor([[0.5000]])")}};
const Op inverse{OpDef{.schema = "inverse(Tensor input) -> Tensor",
                       .run = fn_exact_out<inverse_of>,
                       .on = Usual,
                       .composite = true,
                       .doc = "Another name of torch.linalg.inv." TABULA_EXAMPLE("torch.inverse(torch.tensor([[2.]]))",
                                                                                 "tensor([[0.5000]])")}};

// ---- determinants ----

// (-1)^(number of exchanges), of the dtype.
Tensor exchange_sign(const Tensor& pivots, DType dtype) {
  const int64_t n = pivots.sizes().back(), last = -1;
  if (pivots.is_meta()) return Tensor::empty(pivots.sizes().first(size_t(pivots.dim() - 1)), dtype, pivots.device());
  const Tensor moved = ne(pivots, arange_raw(n) + Scalar(int64_t(1)));
  const Tensor odd = bitwise_and(sum_dim(moved, IntList(&last, 1)), Scalar(int64_t(1)));
  return to_dtype(Scalar(int64_t(1)) - odd * Scalar(int64_t(2)), dtype);
}

std::tuple<Tensor, Tensor, Tensor> run_det(const Tensor& a) {
  check_square(a, "linalg.det");
  check_values(a, "linalg.det", true);
  check_lapack_dtype(a, "lu_cpu");
  const Factors f = factor(factors_transpose(a) ? matrix_T(a) : a);
  return {prod_dim(diagonal_of(f.packed), int64_t(-1)) * exchange_sign(f.pivots, a.dtype()), f.packed, f.pivots};
}

Tensor scaled_identity(const Tensor& weight, int64_t n) {
  return diagonal_matrix(expand(unsqueeze(weight, int64_t(-1)), join(weight.sizes(), {n})));
}
// A^-H times weight.
Tensor weighted_inverse(const Tensor& a, const Tensor& packed, const Tensor& pivots, const Tensor& weight) {
  const Tensor right = scaled_identity(weight, rows_of(a));
  return thread_state.grad_enabled ? linalg_solve_ex(adjoint(a), right)
                                   : linalg_lu_solve(packed, pivots, right, true, !factors_transpose(a));
}
// The matrix of cofactors by the singular value decomposition: it exists for singular matrices too.
Tensor cofactors(const Tensor& a) {
  const auto [u, s, vh] = linalg_svd.many<3>(a, true);
  const int64_t n = s.sizes().back();
  const Tensor rows = expand(unsqueeze(s, int64_t(-2)), join(s.sizes(), {n})),
               eye = eye_raw(n, n, DType::Bool, a.device());
  const Tensor others = prod_dim(masked_fill(rows, eye, Scalar(1.0)), int64_t(-1));
  const Tensor weight = unsqueeze(linalg_det(u) * linalg_det(vh), int64_t(-1)) * others;
  return matmul(conj_of(u) * unsqueeze(weight, int64_t(-2)), conj_of(vh));
}
void det_vjp(Backward& b) {
  const Tensor &a = b.in(0), &det = b.out(0);
  if (!a.is_meta() && item(any(eq(det, Scalar(0.0)))).to_bool()) {
    b.set(0, unsqueeze(unsqueeze(b.g(), int64_t(-1)), int64_t(-1)) * conj_of(cofactors(a)));
    return;
  }
  b.set(0, weighted_inverse(a, b.out(1), b.out(2), b.g() * conj_of(det)));
}
const Op det_raw{OpDef{.schema = "_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)",
                       .run = fn_exact_out<run_det>,
                       .on = Function | OutForm | Internal,
                       .vjp = det_vjp,
                       .save = in(0) | out(0) | out(1) | out(2),
                       .nondiff = 6,
                       .node = "LinalgDetBackward0",
                       .batch = batch::decomposition,
                       .doc = "torch.linalg.det with the factors that it has made (of the transpose of a real matrix "
                              "that lies row by row)."}};

std::tuple<Tensor, Tensor, Tensor, Tensor> run_slogdet(const Tensor& a) {
  check_square(a, "linalg.slogdet");
  check_values(a, "linalg.slogdet");
  const Factors f = factor(factors_transpose(a) ? matrix_T(a) : a);
  const Tensor values = diagonal_of(f.packed);
  const int64_t last = -1;
  return {prod_dim(sgn(values), int64_t(-1)) * exchange_sign(f.pivots, a.dtype()),
          sum_dim(log(abs(values)), IntList(&last, 1)), f.packed, f.pivots};
}
void slogdet_vjp(Backward& b) {
  const Tensor &a = b.in(0), &sign = b.out(0);
  if (!is_complex(a.dtype())) {
    b.set(0, weighted_inverse(a, b.out(2), b.out(3), b.g(1)));
    return;
  }
  const Tensor turn = imag(conj_of(b.g(0)) * sign);
  b.set(0, weighted_inverse(a, b.out(2), b.out(3), complex(b.g(1), -turn)));
}
const Op slogdet_raw{
    OpDef{.schema = "_linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet, Tensor LU, Tensor pivots)",
          .run = fn_exact_out<run_slogdet>,
          .on = Function | OutForm | Internal,
          .vjp = slogdet_vjp,
          .save = in(0) | out(0) | out(2) | out(3),
          .nondiff = 12,
          .node = "LinalgSlogdetBackward0",
          .batch = batch::decomposition,
          .doc = "torch.linalg.slogdet with the factors that it has made (of the transpose of a real matrix that lies "
                 "row by row)."}};

std::tuple<Tensor, Tensor> slogdet_of(const Tensor& a) {
  const auto results = slogdet_raw.many<4>(a);
  return {results[0], results[1]};
}
#define SLOGDET_DOC                                                                                       \
  "The sign (or phase) of the determinant and the logarithm of its magnitude: 0 and -inf for a singular " \
  "matrix.\n\nArgs: (..., n, n), floating or complex. Raises RuntimeError "                               \
  "for other shapes and dtypes."
const Op linalg_slogdet{
    OpDef{.schema = "linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)",
          .run = fn_exact_out<slogdet_of>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = SLOGDET_DOC TABULA_EXAMPLE("torch.linalg.slogdet(torch.tensor([[-1.]])).sign", "tensor(-1.)")}};
const Op slogdet{OpDef{.schema = "slogdet(Tensor input) -> (Tensor sign, Tensor logabsdet)",
                       .run = fn_exact_out<slogdet_of>,
                       .on = Usual,
                       .composite = true,
                       .doc = SLOGDET_DOC TABULA_EXAMPLE("torch.slogdet(torch.eye(2)).logabsdet", "tensor(0.)")}};

Tensor run_linalg_det(const Tensor& a) { return det_raw.many<3>(a)[0]; }
const Op det{OpDef{.schema = "det(Tensor input) -> Tensor",
                   .run = fn<run_linalg_det>,
                   .on = Both,
                   .composite = true,
                   .doc = "Another name of torch.linalg.det." TABULA_EXAMPLE("torch.det(torch.eye(2))", "tensor(1.)")}};

Tensor run_logdet(const Tensor& a) {
  check_square(a, "logdet");
  check_values(a, "logdet");
  const auto [sign, magnitude] = slogdet_of(a);
  if (is_complex(a.dtype())) return magnitude + log(sign);
  return masked_fill(magnitude, eq(sign, Scalar(-1.0)), Scalar(double(NAN)));
}
const Op logdet{
    OpDef{.schema = "logdet(Tensor input) -> Tensor",
          .run = fn<run_logdet>,
          .on = Both,
          .composite = true,
          .doc = "The logarithm of the determinant: NaN if that is negative, -inf if it is zero.\n\nArgs: input (..., "
                 "n, n), floating or complex." TABULA_EXAMPLE("torch.logdet(torch.eye(2))", "tensor(0.)")}};

}  // namespace

const Op linalg_solve_ex{OpDef{
    .schema = "linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, "
              "Tensor info)",
    .run = fn_exact_out<run_linalg_solve_ex>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc =
        "The solution of A X = B (or X A = B), and for each matrix 0 or which pivot is zero, counted from 1." SOLVE_DOC
            TABULA_EXAMPLE("torch.linalg.solve_ex(torch.eye(2), torch.ones(2)).result", "tensor([1., 1.])")}};
const Op linalg_solve{OpDef{.schema = "linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor",
                            .run = fn_exact_out<run_linalg_solve>,
                            .on = Linalg | OutForm | Internal,
                            .composite = true,
                            .doc =
                                "Solves A X = B, or X A = B, for a square matrix A." SOLVE_DOC
                                " Raises torch.linalg.LinAlgError for a singular A." TABULA_EXAMPLE(
                                    "torch.linalg.solve(torch.tensor([[2.]]), torch.tensor([6.]))", "tensor([3.])")}};
const Op linalg_inv_ex{
    OpDef{.schema = "linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)",
          .run = fn_exact_out<run_inv_ex>,
          .on = Linalg | OutForm | Internal,
          .vjp = inv_vjp,
          .save = out(),
          .nondiff = 2,
          .batch = batch::decomposition,
          .doc = "The inverse, and for each matrix 0 or which pivot is zero, counted from 1." INV_DOC TABULA_EXAMPLE(
              "torch.linalg.inv_ex(torch.eye(2)).info", "tensor(0, dtype=torch.int32)")}};
const Op linalg_det{OpDef{.schema = "linalg_det(Tensor A) -> Tensor",
                          .run = fn_exact_out<run_linalg_det>,
                          .on = Linalg | OutForm | Internal,
                          .composite = true,
                          .doc = "The determinant of a square matrix.\n\nArgs: A (..., n, n), floating or complex. "
                                 "Raises RuntimeError for other shapes and dtypes." TABULA_EXAMPLE(
                                     "torch.linalg.det(torch.tensor([[2., 0.], [0., 3.]]))", "tensor(6.)")}};
#undef SOLVE_DOC
#undef INV_DOC
#undef SLOGDET_DOC

}  // namespace tabula
