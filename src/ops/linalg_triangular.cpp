// Triangular systems.
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

struct Triangle {
  bool upper, left = true, unit = false;
  char trans = 'N';
};

// A whose memory is by rows is the transpose of a matrix by columns, and needs no copy.
Tensor substitute(const Tensor& a, const Tensor& b, Triangle t) {
  const Dims batch = broadcast_sizes(batch_sizes(b), batch_sizes(a));
  const Tensor result = columns_copy(expand_batch_raw(b, batch));
  Tensor matrix = expand_batch_raw(a, batch);
  if (matrix.is_contiguous() && t.trans == 'N') {
    t.trans = 'T';
    t.upper = !t.upper;
  } else {
    matrix = as_columns(matrix);
  }
  kernels::LapackCall call = lapack_call(result);
  call.a = matrix.data();
  call.b = result.data();
  call.upper = t.upper;
  call.left = t.left;
  call.unit = t.unit;
  call.trans = t.trans;
  kernels::triangular_solve[b.device().kind](call);
  return result;
}

void run_solve_triangular(const Op&, const Value* args, Out& out) {
  const Tensor &a = args[0].tensor(), &b = args[1].tensor();
  const bool upper = args[2].flag(), left = args[3].flag(), unit = args[4].flag();
  check_square(a, "linalg.solve_triangular");
  check_matrix(b, "linalg.solve_triangular", "B");
  check_sides(a, b, left, "linalg.solve_triangular");
  check_lapack_dtype(a, "triangular_solve_cpu");
  check(a.dtype() == b.dtype(), "linalg.solve_triangular: Expected A and B to have the same dtype, but found A of type ", dtype_title(a.dtype()), " and B of type ", dtype_title(b.dtype()), " instead");
  if (out.into) check(out.into[0].dtype() == a.dtype(), "expected scalar type ", dtype_title(a.dtype()), " but found ", dtype_title(out.into[0].dtype()));
  detail::box(out, substitute(a, b, {upper, left, unit}));
}
void solve_triangular_vjp(Backward& b) {
  const bool upper = b.flag(2), left = b.flag(3), unit = b.flag(4);
  const Tensor g_b = linalg_solve_triangular(adjoint(b.in(0)), b.g(), !upper, left, unit);
  b.set(1, g_b);
  if (!b.needs(0)) return;
  const Tensor x = adjoint(b.out()), g_a = -(left ? matmul(g_b, x) : matmul(x, g_b));
  const int64_t edge = unit ? 1 : 0;
  b.set(0, upper ? triu(g_a, edge) : tril(g_a, -edge));
}

std::tuple<Tensor, Tensor> run_triangular_solve(const Tensor& b, const Tensor& a, bool upper, bool transpose, bool unit) {
  check(b.dim() >= 2, "torch.triangular_solve: Expected b to have at least 2 dimensions, but it has ", b.dim(), " dimensions instead");
  check(a.dim() >= 2, "torch.triangular_solve: Expected A to have at least 2 dimensions, but it has ", a.dim(), " dimensions instead");
  check(b.dtype() == a.dtype(), "Expected b and A to have the same dtype, but found b of type ", dtype_title(b.dtype()), " and A of type ", dtype_title(a.dtype()), " instead.");
  check_square(a, "");
  check(columns_of(a) == rows_of(b), "Incompatible matrix sizes for triangular_solve: each A matrix is ", rows_of(a), " by ", columns_of(a), " but each b matrix is ", rows_of(b), " by ",
        columns_of(b));
  const Dims batch = broadcast_sizes(batch_sizes(b), batch_sizes(a));
  check_lapack_dtype(a, "triangular_solve_cpu");
  const Tensor matrix = columns_copy(expand_batch_raw(a, batch));
  return {substitute(matrix, b, {upper, true, unit, transpose ? 'T' : 'N'}), matrix};
}
void triangular_solve_vjp(Backward& b) {
  const bool upper = b.flag(2), transpose = b.flag(3), unit = b.flag(4);
  const Tensor& a = b.in(1);
  Tensor g_a;
  if (b.has_g(0)) {
    const Tensor matrix = transpose ? matrix_T(a) : a;
    const Tensor g_b = linalg_solve_triangular(adjoint(matrix), b.g(0), upper == transpose, true, unit);
    b.set(0, g_b);
    if (b.needs(1)) {
      g_a = -matmul(g_b, adjoint(b.out(0)));
      if (transpose) g_a = matrix_T(g_a);
      const int64_t edge = unit ? 1 : 0;
      g_a = upper ? triu(g_a, edge) : tril(g_a, -edge);
    }
  }
  if (b.needs(1) && b.has_g(1)) g_a = g_a.defined() ? g_a + b.g(1) : b.g(1);
  if (g_a.defined()) b.set(1, g_a);
}
const Op triangular_solve{OpDef{
    .schema = "triangular_solve(Tensor input, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)",
    .run = fn_exact_out<run_triangular_solve>, .on = Usual, .vjp = triangular_solve_vjp, .save = in(1) | out(0), .batch = batch::matrices,
                             .doc = "Solves A X = input for a triangular A (deprecated: use torch.linalg.solve_triangular). Returns X and a copy of A."
    TABULA_EXAMPLE("torch.triangular_solve(torch.tensor([[6.]]), torch.tensor([[2.]])).solution", "tensor([[3.]])")}};

}  // namespace

const Op linalg_solve_triangular{OpDef{
    .schema = "linalg_solve_triangular(Tensor input, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> Tensor", .run = boxed(run_solve_triangular),
    .on = Linalg | OutForm | Internal, .vjp = solve_triangular_vjp, .save = in(0) | out(), .batch = batch::matrices,
                             .doc = "Solves A X = B, or X A = B, for a triangular A; its other triangle is not read.\n\n"
           "Args: input: A (..., n, n); B (..., n, k), or (..., k, n) if not `left`; upper: which triangle; unitriangular: the diagonal counts as ones. Batches are broadcast. Raises "
           "RuntimeError for other shapes and dtypes; a zero on the diagonal gives infinities."
    TABULA_EXAMPLE("torch.linalg.solve_triangular(torch.tensor([[2.]]), torch.tensor([[6.]]), upper=True)", "tensor([[3.]])")}};

}  // namespace tabula
