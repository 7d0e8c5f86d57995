// LU factors and their solver.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/index_basic.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {
namespace {

void check_pivoting(bool pivot) { check(pivot, "linalg.lu_factor: LU without pivoting is not implemented on the CPU"); }
void check_two_dims(const Tensor& a, const char* name) {
  check(a.dim() >= 2, name, ": Expected tensor with 2 or more dimensions. Got size: ", shape_text(a.sizes()),
        " instead");
}

std::tuple<Tensor, Tensor, Tensor> run_lu_factor_ex(const Tensor& a, bool pivot, bool check_errors) {
  check_two_dims(a, "torch.lu_factor");
  check_lapack_dtype(a, "lu_cpu");
  check_pivoting(pivot);
  const Tensor packed = columns_copy(a),
               pivots =
                   Tensor::empty(join(batch_sizes(a), {std::min(rows_of(a), columns_of(a))}), DType::Int32, a.device()),
               info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
  kernels::LapackCall call = lapack_call(packed);
  call.pivots = pivots.data_as<int32_t>();
  call.info = info.data_as<int32_t>();
  kernels::lu_factor[a.device().kind](call);
  if (check_errors) check_info(info, "torch.linalg.lu_factor_ex", a.dim() == 2);
  return {packed, pivots, info};
}

Tensor unit_lower(const Tensor& packed) {
  return tril(packed, -1) + eye_raw(rows_of(packed), columns_of(packed), packed.dtype(), packed.device());
}
Tensor part(const Tensor& a, int64_t dim, int64_t from, int64_t count) { return narrow(a, dim, from, count); }
// Rows of a in another order.
Tensor reordered(const Tensor& a, const Tensor& order) {
  return gather(a, int64_t(-2), expand(unsqueeze(order, int64_t(-1)), a.sizes()));
}
Tensor solve_l_adjoint(const Tensor& low, const Tensor& b) {
  return linalg_solve_triangular(adjoint(low), b, true, true, true);
}
Tensor solve_u_adjoint(const Tensor& up, const Tensor& b) {
  return linalg_solve_triangular(adjoint(up), b, false, false, false);
}

// With A = P L U, split where L and U are square; columns to the right are L times theirs of U, rows below are theirs
// of L times U.
void lu_factor_vjp(Backward& b) {
  const Tensor &packed = b.out(0), &pivots = b.out(1), &g = b.g(0);
  const int64_t rows = rows_of(packed), columns = columns_of(packed), inner = std::min(rows, columns);
  const auto square_part = [&](const Tensor& t) { return part(part(t, -1, 0, inner), -2, 0, inner); };
  const Tensor square = square_part(packed), g_square = square_part(g), low = unit_lower(square), up = triu(square);
  Tensor from_low = matmul(adjoint(low), tril(g_square, -1)), from_up = matmul(triu(g_square), adjoint(up)), beside;
  if (columns > inner) {
    const Tensor right = part(packed, -1, inner, columns - inner), g_right = part(g, -1, inner, columns - inner);
    from_low = from_low - matmul(g_right, adjoint(right));
    beside = solve_l_adjoint(low, g_right);
  }
  if (rows > inner) {
    const Tensor below = part(packed, -2, inner, rows - inner), g_below = part(g, -2, inner, rows - inner);
    from_up = from_up - matmul(adjoint(below), g_below);
    beside = solve_u_adjoint(up, g_below);
  }
  Tensor result = solve_u_adjoint(up, solve_l_adjoint(low, tril(from_low, -1) + triu(from_up)));
  if (beside.defined()) {
    const Tensor both[] = {result, beside};
    result = cat(TensorList(both), int64_t(columns > inner ? -1 : -2));
  }
  b.set(0, reordered(result, lu_order(pivots, rows, true)));
}

#define LU_DOC                                                                                                       \
  "\n\nArgs: A (..., m, n), floating or complex; pivot must be True on the CPU. Returns L (without its ones) and U " \
  "in one matrix LU (..., m, n), and pivots (..., min(m, n)), int32: "                                               \
  "row i was exchanged with row pivots[i] - 1."

std::tuple<Tensor, Tensor> run_lu_factor(const Tensor& a, bool pivot) {
  auto [packed, pivots, info] = linalg_lu_factor_ex.many<3>(a, pivot, false);
  raise_errors(info, "torch.linalg.lu_factor", a.dim() == 2);
  return {packed, pivots};
}
const Op linalg_lu_factor{
    OpDef{.schema = "linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)",
          .run = fn_exact_out<run_lu_factor>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "LU factors in one matrix, and the exchanges of rows." LU_DOC
                 " Raises RuntimeError if U has a zero on its diagonal." TABULA_EXAMPLE(
                     "torch.linalg.lu_factor(torch.eye(2)).pivots", "tensor([1, 2], dtype=torch.int32)")}};

std::tuple<Tensor, Tensor, Tensor> run_lu_with_info(const Tensor& a, bool pivot, bool) {
  auto [packed, pivots, info] = linalg_lu_factor_ex.many<3>(a, pivot, false);
  return {packed, pivots, info};
}
const Op lu_with_info{OpDef{.schema = "_lu_with_info(Tensor input, bool pivot=True, bool check_errors=True) -> (Tensor "
                                      "LU, Tensor pivots, Tensor info)",
                            .run = fn<run_lu_with_info>,
                            .on = Function | Internal,
                            .composite = true,
                            .doc = "torch.linalg.lu_factor_ex under the name that torch.lu calls it by; check_errors "
                                   "has no effect, as in PyTorch."}};

// ---- unpacking ----

constexpr const char* kForeignPivots =
    "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result of "
    "lu_factor?";

Tensor run_lu_order(const Tensor& pivots, int64_t rows, bool inverse) {
  const int64_t count = pivots.sizes().back();
  const IntList batch = pivots.sizes().first(size_t(pivots.dim() - 1));
  const Tensor exchanges = contiguous_raw(pivots),
               order = Tensor::empty(join(batch, {rows}), DType::Int64, pivots.device());
  if (!pivots.is_meta()) {
    const int32_t* values = exchanges.data_as<int32_t>();
    for (int64_t i = 0; i < exchanges.numel(); i++)
      check(values[i] >= 1 && values[i] <= rows && count <= rows, kForeignPivots);
  }
  kernels::PivotCall call;
  call.batch = count_elements(batch);
  call.rows = rows;
  call.count = count;
  call.pivots = exchanges.data_as<int32_t>();
  call.order = order.data_as<int64_t>();
  call.inverse = inverse;
  kernels::pivot_order[pivots.device().kind](call);
  return order;
}

// P of A = P L U.
Tensor permutation_matrix(const Tensor& packed, const Tensor& pivots) {
  const int64_t rows = rows_of(packed);
  const Tensor order = lu_order(pivots, rows, true), one_hot = eye_raw(rows, rows, packed.dtype(), packed.device());
  if (packed.numel() == 0 && rows == 0)
    return zeros_raw(join(batch_sizes(packed), {rows, rows}), packed.dtype(), packed.device());
  return reshape(index_select(one_hot, int64_t(0), reshape(order, Dims{order.numel()})),
                 join(batch_sizes(packed), {rows, rows}));
}
std::tuple<Tensor, Tensor> unpack(const Tensor& packed) {
  const int64_t inner = std::min(rows_of(packed), columns_of(packed));
  const Tensor low = unit_lower(part(packed, -1, 0, inner)), up = triu(part(packed, -2, 0, inner));
  return {contiguous(low), up};
}

std::tuple<Tensor, Tensor, Tensor> run_lu_unpack(const Tensor& packed, const Tensor& pivots, bool unpack_data,
                                                 bool unpack_pivots) {
  check_two_dims(packed, "torch.lu_unpack");
  check(!unpack_pivots || pivots.dtype() == DType::Int32,
        "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function "
        "is intended to be used with the output produced by torch.linalg.lu_factor");
  const Tensor nothing = Tensor::empty(Dims{0}, packed.dtype(), packed.device());
  Tensor low = nothing, up = nothing;
  if (unpack_data) std::tie(low, up) = unpack(packed);
  if (!unpack_pivots) return {nothing, low, up};
  const Dims expected = join(batch_sizes(packed), {std::min(rows_of(packed), columns_of(packed))});
  check(pivots.dim() > 0 && pivots.sizes().back() == expected.back(), kForeignPivots);
  return {permutation_matrix(packed, pivots.dim() == expected.size() ? pivots : expand(pivots, expected)), low, up};
}
const Op lu_unpack{
    OpDef{.schema = "lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> "
                    "(Tensor P, Tensor L, Tensor U)",
          .run = fn_exact_out<run_lu_unpack>,
          .on = Function | OutForm | Internal,
          .composite = true,
          .doc = "P, L and U from packed LU factors (..., m, n) and pivots (..., min(m, n)), int32. What is not asked "
                 "for is empty." TABULA_EXAMPLE("torch.lu_unpack(*torch.linalg.lu_factor(torch.eye(2))).U",
                                                "tensor([[1., 0.],\n            [0., 1.]])")}};

std::tuple<Tensor, Tensor, Tensor> run_linalg_lu(const Tensor& a, bool pivot) {
  check_two_dims(a, "linalg.lu");
  const auto [packed, pivots, info] = linalg_lu_factor_ex.many<3>(a, pivot, false);
  auto [low, up] = unpack(packed);
  return {permutation_matrix(packed, pivots), low, up};
}
const Op linalg_lu{OpDef{
    .schema = "linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)",
    .run = fn_exact_out<run_linalg_lu>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc = "A = P @ L @ U: a permutation (..., m, m), a lower triangular matrix with ones on its diagonal (..., m, k) "
           "and an upper triangular one (..., k, n), k = min(m, n)." TABULA_EXAMPLE(
               "torch.linalg.lu(torch.tensor([[0., 1.], [2., 0.]])).U", "tensor([[2., 0.],\n            [0., 1.]])")}};

// ---- solving ----

Tensor run_lu_solve(const Tensor& packed, const Tensor& pivots, const Tensor& b, bool left, bool adjoint_of) {
  check(packed.dtype() == b.dtype() || !is_differentiable(packed.dtype()),
        "linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type ", dtype_title(packed.dtype()),
        " and B of type ", dtype_title(b.dtype()), " instead");
  check_values(packed, "torch.linalg.lu_solve", true);
  check(pivots.dtype() == DType::Int32, "linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32");
  check_square(packed, "torch.linalg.lu_solve");
  check_matrix(b, "linalg.lu_solve", "B");
  check_sides(packed, b, left, "linalg.lu_solve");
  check(pivots.dim() >= 1 && pivots.sizes().back() == rows_of(packed),
        "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix");
  const IntList shape = packed.sizes().first(size_t(packed.dim() - 1));
  check(std::ranges::equal(pivots.sizes(), shape),
        "linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape ",
        shape_text(pivots.sizes()), " instead");
  check_lapack_dtype(packed, "lu_solve_cpu");
  const int64_t n = rows_of(packed);
  const Dims batch = broadcast_sizes(batch_sizes(b), batch_sizes(packed));
  const Tensor matrix = as_columns(expand_batch_raw(packed, batch)),
               exchanges = contiguous_raw(Tensor::alias(pivots, expanded(pivots.geometry(), join(batch, {n}))));
  if (!pivots.is_meta()) {
    const int32_t* values = exchanges.data_as<int32_t>();
    for (int64_t i = 0; i < exchanges.numel(); i++) {
      check(values[i] <= n,
            "Pivots given to lu_solve must all be smaller or equal to LU.size(-2). Did you properly pass the result of "
            "lu_factor?");
      check(
          values[i] >= 1,
          "Pivots given to lu_solve must all be greater or equal to 1. Did you properly pass the result of lu_factor?");
    }
  }
  const Tensor result = columns_copy(expand_batch_raw(left ? b : adjoint(b), batch));
  kernels::LapackCall call = lapack_call(matrix);
  call.b = result.data();
  call.k = columns_of(result);
  call.pivots = exchanges.data_as<int32_t>();
  call.trans = adjoint_of == left ? (is_complex(packed.dtype()) ? 'C' : 'T') : 'N';
  kernels::lu_solve[b.device().kind](call);
  if (left) return result;
  const Tensor turned = adjoint(result);
  return turned.is_conj() ? resolved_copy(turned) : Tensor::alias(turned);
}

// X solves A X = B with A = P L U (or with the adjoint); the gradients of L and U share one matrix.
void lu_solve_vjp(Backward& b) {
  const bool left = b.flag(3), adjoint_of = b.flag(4);
  const Tensor &packed = b.in(0), &pivots = b.in(1), &x = b.out();
  const Tensor g_b = linalg_lu_solve(packed, pivots, b.g(), left, !adjoint_of);
  b.set(2, g_b);
  if (!b.needs(0)) return;
  // The gradient of A; where the equation has its adjoint, the adjoint of the gradient of that.
  const Tensor product = adjoint_of ? (left ? matmul(x, adjoint(g_b)) : matmul(adjoint(g_b), x))
                         : left     ? matmul(g_b, adjoint(x))
                                    : matmul(adjoint(x), g_b);
  const Tensor full = -product;
  const Tensor low = unit_lower(packed), up = triu(packed);
  // dA = P (dL U + L dU), so dL has P^T g U^H and dU has L^H P^T g.
  const Tensor turned =
      reordered(full, expand(lu_order(pivots, rows_of(packed), false), full.sizes().first(size_t(full.dim() - 1))));
  b.set(0, tril(matmul(turned, adjoint(up)), -1) + triu(matmul(adjoint(low), turned)));
}

Tensor run_torch_lu_solve(const Tensor& b, const Tensor& packed, const Tensor& pivots) {
  return linalg_lu_solve(packed, pivots, b);
}
const Op torch_lu_solve{OpDef{
    .schema = "lu_solve(Tensor input, Tensor LU_data, Tensor LU_pivots) -> Tensor",
    .run = fn_exact_out<run_torch_lu_solve>,
    .on = Usual,
    .composite = true,
    .doc = "Solves from packed LU factors (deprecated: use torch.linalg.lu_solve)." TABULA_EXAMPLE(
        "torch.lu_solve(torch.tensor([[6.]]), *torch.linalg.lu_factor(torch.tensor([[2.]])))", "tensor([[3.]])")}};

}  // namespace

const Op linalg_lu_factor_ex{
    OpDef{.schema = "linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor "
                    "pivots, Tensor info)",
          .run = fn_exact_out<run_lu_factor_ex>,
          .on = Linalg | OutForm | Internal,
          .vjp = lu_factor_vjp,
          .save = out(0) | out(1),
          .nondiff = 6,
          .batch = batch::decomposition,
          .doc = "LU factors in one matrix, the exchanges of rows, and for each matrix 0 or the first zero on U's "
                 "diagonal, counted from 1." LU_DOC TABULA_EXAMPLE("torch.linalg.lu_factor_ex(torch.eye(2)).info",
                                                                   "tensor(0, dtype=torch.int32)")}};
// Row i of P^T A is row order[i] of A, for the exchanges that LAPACK recorded; or the inverse of that order.
const Op lu_order{OpDef{.schema = "_lu_order(Tensor pivots, int rows, bool inverse) -> Tensor",
                        .run = fn<run_lu_order>,
                        .on = Hidden,
                        .batch = batch::same}};
const Op linalg_lu_solve{OpDef{
    .schema = "linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor",
    .run = fn_exact_out<run_lu_solve>,
    .on = Linalg | OutForm | Internal,
    .vjp = lu_solve_vjp,
    .save = in(0) | in(1) | out(),
    .batch = batch::matrices,
    .doc = "Solves A X = B (or X A = B, or with the adjoint of A) from the packed factors that torch.linalg.lu_factor "
           "gives.\n\n"
           "Args: LU (..., n, n); pivots (..., n), int32; B (..., n, k), or (..., k, n) if not `left`; batches are "
           "broadcast. Raises RuntimeError for other shapes and "
           "dtypes." TABULA_EXAMPLE(
               "torch.linalg.lu_solve(*torch.linalg.lu_factor(torch.tensor([[2.]])), torch.tensor([[6.]]))",
               "tensor([[3.]])")}};
#undef LU_DOC

}  // namespace tabula
