// Cholesky factors and what follows from them.
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {
namespace {

std::tuple<Tensor, Tensor> factor(const Tensor& a, bool upper) {
  check_lapack_dtype(a, "cholesky_cpu");
  const Tensor result = columns_copy(a), info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
  kernels::LapackCall call = lapack_call(result);
  call.upper = upper;
  call.info = info.data_as<int32_t>();
  kernels::cholesky[a.device().kind](call);
  return {result, info};
}

std::tuple<Tensor, Tensor> run_cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
  check_square(a, "linalg.cholesky");
  check_values(a, "linalg.cholesky", true);
  auto result = factor(a, upper);
  if (check_errors) check_info(std::get<1>(result), "linalg.cholesky_ex", a.dim() == 2);
  return result;
}

// Half of the lower triangle, mirrored with conjugation to the upper one. Imaginary parts on the diagonal, which no
// Hermitian matrix has, come out as in PyTorch.
Tensor symmetric_half(const Tensor& t, bool upper) {
  const Tensor low = tril(t, -1), diagonal = diagonal_of(t);
  return (low + adjoint(low) + diagonal_matrix(upper ? conj_of(diagonal) : diagonal)) * Scalar(0.5);
}

// M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation" (2008),
// extended to complex matrices.
Tensor cholesky_gradient(const Tensor& g, const Tensor& result, bool upper) {
  const Tensor low = upper ? adjoint(result) : result, high = adjoint(low);
  const Tensor middle = symmetric_half(matmul(high, upper ? adjoint(g) : g), upper);
  const Tensor gradient = linalg_solve_triangular(low, linalg_solve_triangular(high, middle, true, true, false), false, false, false);
  return upper ? adjoint(gradient) : gradient;
}
void cholesky_vjp(Backward& b) { b.set(0, cholesky_gradient(b.g(), b.out(), b.flag(1))); }
// The gradient is that of a Hermitian matrix; a tangent counts as it is, as in PyTorch.
void cholesky_jvp(Forward& f) {
  const bool upper = f.flag(1);
  const Tensor low = upper ? adjoint(f.out()) : f.out();
  const Tensor half = linalg_solve_triangular(low, f.tangent(0), false, true, false);
  const Tensor middle = linalg_solve_triangular(adjoint(low), half, true, false, false);
  const Tensor tangent = matmul(low, tril(middle, -1) + diagonal_matrix(diagonal_of(middle)) * Scalar(0.5));
  f.set(0, upper ? adjoint(tangent) : tangent);
}

const Op cholesky_ex{OpDef{.schema = "linalg_cholesky_ex(Tensor input, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)",
                           .run = fn_exact_out<run_cholesky_ex>, .on = Linalg | OutForm | Internal, .jvp = cholesky_jvp, .vjp = cholesky_vjp, .save = out(), .nondiff = 2, .batch = batch::decomposition,
                             .doc = "The Cholesky factor, and for each matrix 0 or the order of its first minor that is not positive definite.\n\n"
                                  "Args: input (..., n, n), floating or complex; upper: U with U^H U instead of L with L L^H; check_errors. Returns L (..., n, n) and info (...), int32."
                                  TABULA_EXAMPLE("torch.linalg.cholesky_ex(torch.eye(2)).info", "tensor(0, dtype=torch.int32)")}};

Tensor run_linalg_cholesky(const Tensor& a, bool upper) {
  const auto [result, info] = cholesky_ex.many<2>(a, upper, false);
  raise_errors(info, "linalg.cholesky", a.dim() == 2);
  return result;
}
const Op linalg_cholesky{OpDef{.schema = "linalg_cholesky(Tensor input, *, bool upper=False) -> Tensor", .run = fn_exact_out<run_linalg_cholesky>, .on = Linalg | OutForm | Internal, .composite = true,
                               .doc = "The lower triangular L with L @ L.mH equal to a positive-definite matrix, of which one triangle is read.\n\n"
                                      "Args: input (..., n, n), floating or complex; upper: the upper triangular U with U.mH @ U. Raises torch.linalg.LinAlgError if a matrix is not "
                                      "positive definite."
                                      TABULA_EXAMPLE("torch.linalg.cholesky(torch.tensor([[4.]]))", "tensor([[2.]])")}};

Tensor run_cholesky(const Tensor& a, bool upper) {
  check_square(a, "cholesky");
  const auto [result, info] = factor(a, upper);
  check_info(info, "cholesky", a.dim() == 2);
  return result;
}
constexpr ResultNames kCholesky{"cholesky", {"result"}}, kCholeskySolve{"cholesky_solve", {"result"}}, kCholeskyInverse{"cholesky_inverse", {"result"}};
const Op cholesky{OpDef{.schema = "cholesky(Tensor input, bool upper=False) -> Tensor", .run = fn_castable_out<run_cholesky, &kCholesky>, .on = Usual, .jvp = cholesky_jvp, .vjp = cholesky_vjp, .save = out(), .batch = batch::decomposition,
                             .doc = "The Cholesky factor (deprecated: use torch.linalg.cholesky)."
                        TABULA_EXAMPLE("torch.cholesky(torch.tensor([[4.]]))", "tensor([[2.]])")}};

// ---- solving ----

Tensor run_cholesky_solve(const Tensor& b, const Tensor& u, bool upper) {
  check(b.dim() >= 2, "b should have at least 2 dimensions, but has ", b.dim(), " dimensions instead");
  check(u.dim() >= 2, "u should have at least 2 dimensions, but has ", u.dim(), " dimensions instead");
  check(b.dtype() == u.dtype(), "Expected b and A to have the same dtype, but found b of type ", dtype_title(b.dtype()), " and A of type ", dtype_title(u.dtype()), " instead.");
  check_square(u, "");
  check(columns_of(u) == rows_of(b), "Incompatible matrix sizes for cholesky_solve: each A matrix is ", rows_of(u), " by ", columns_of(u), " but each b matrix is ", rows_of(b), " by ",
        columns_of(b));
  check_lapack_dtype(u, "cholesky_solve_cpu");
  const Dims batch = broadcast_sizes(batch_sizes(b), batch_sizes(u));
  const Tensor matrix = as_columns(expand_batch_raw(u, batch)), result = columns_copy(expand_batch_raw(b, batch));
  kernels::LapackCall call = lapack_call(matrix);
  call.upper = upper;
  call.k = columns_of(result);
  call.b = result.data();
  kernels::cholesky_solve[b.device().kind](call);
  return result;
}
// The gradient of the factor is not cut to its triangle: the other one counts as the mirror image, as in PyTorch.
void cholesky_solve_vjp(Backward& b) {
  const bool upper = b.flag(2);
  const Tensor right = cholesky_solve_op(b.g(), b.in(1), upper);
  b.set(0, right);
  if (!b.needs(1)) return;
  const Tensor half = matmul(right, adjoint(b.out())), both = half + adjoint(half);
  b.set(1, -(upper ? matmul(b.in(1), both) : matmul(both, b.in(1))));
}

Tensor run_cholesky_inverse(const Tensor& a, bool upper) {
  check_square(a, "cholesky_inverse");
  check_lapack_dtype(a, "cholesky_inverse_out_cpu");
  const Tensor result = columns_copy(a), info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
  kernels::LapackCall call = lapack_call(result);
  call.upper = upper;
  call.info = info.data_as<int32_t>();
  kernels::cholesky_inverse[a.device().kind](call);
  check_info(info, "cholesky_inverse", a.dim() == 2);
  return result;
}
void cholesky_inverse_vjp(Backward& b) {
  const bool upper = b.flag(1);
  const Tensor& inverse = b.out();
  const Tensor sides = matmul(inverse, matmul(b.g() + adjoint(b.g()), inverse));
  b.set(0, -(upper ? matmul(b.in(0), sides) : matmul(sides, b.in(0))));
}
const Op cholesky_inverse{OpDef{.schema = "cholesky_inverse(Tensor input, bool upper=False) -> Tensor", .run = fn_castable_out<run_cholesky_inverse, &kCholeskyInverse>, .on = Usual,
                                .vjp = cholesky_inverse_vjp, .save = in(0) | out(), .batch = batch::decomposition,
                             .doc = "The inverse of the matrix that the input is the Cholesky factor of: (..., n, n), lower triangular unless `upper`. Raises torch.linalg.LinAlgError where it is "
                                       "singular."
                                TABULA_EXAMPLE("torch.cholesky_inverse(torch.tensor([[2.]]))", "tensor([[0.2500]])")}};

}  // namespace

const Op cholesky_solve_op{OpDef{.schema = "cholesky_solve(Tensor input, Tensor input2, bool upper=False) -> Tensor", .run = fn_castable_out<run_cholesky_solve, &kCholeskySolve>, .on = Usual,
                                 .vjp = cholesky_solve_vjp, .save = in(1) | out(), .batch = batch::matrices,
                             .doc = "Solves A X = B for the A that `input2` is the Cholesky factor of.\n\n"
                                        "Args: input: B (..., n, k); input2 (..., n, n), lower triangular unless `upper`; batches are broadcast. Returns X (..., n, k)."
                                 TABULA_EXAMPLE("torch.cholesky_solve(torch.tensor([[8.]]), torch.tensor([[2.]]))", "tensor([[2.]])")}};

}  // namespace tabula
