// QR and Householder reflections.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {
namespace {

std::tuple<Tensor, Tensor> factor(const Tensor& packed) {
  const Tensor tau = Tensor::empty(join(batch_sizes(packed), {std::min(rows_of(packed), columns_of(packed))}),
                                   packed.dtype(), packed.device());
  kernels::LapackCall call = lapack_call(packed);
  call.b = tau.data();
  if (packed.numel()) kernels::geqrf[packed.device().kind](call);
  return {packed, tau};
}

// The first columns of the product of k reflections, in place.
void form_in_place(const Tensor& packed, const Tensor& tau) {
  kernels::LapackCall call = lapack_call(packed);
  call.k = tau.sizes().back();
  call.b = tau.data();
  if (packed.numel()) kernels::orgqr[packed.device().kind](call);
}

Geometry part(const Tensor& a, int64_t rows, int64_t columns) {
  Geometry g = a.geometry();
  g.sizes[g.sizes.size() - 2] = rows;
  g.sizes[g.sizes.size() - 1] = columns;
  return g;
}
Tensor part_raw(const Tensor& a, int64_t rows, int64_t columns) { return Tensor::alias(a, part(a, rows, columns)); }

// ---- QR ----

std::tuple<Tensor, Tensor> run_qr(const Tensor& a, std::string_view mode) {
  check_matrix(a, "linalg.qr");
  check_values(a, "linalg.qr", true);
  check(mode == "reduced" || mode == "complete" || mode == "r", "qr received unrecognized mode '", mode,
        "' but expected one of 'reduced' (default), 'r', or 'complete'");
  check_lapack_dtype(a, "geqrf_cpu");
  const int64_t rows = rows_of(a), columns = columns_of(a), inner = std::min(rows, columns),
                q_columns = mode == "complete" ? rows : inner;
  const auto [packed, tau] = factor(columns_copy(a));
  const Tensor r = columns_copy(triu(part_raw(packed, q_columns, columns)));
  if (mode == "r") return {Tensor::empty(Dims{0}, a.dtype(), a.device()), r};
  const Tensor q = empty_columns(batch_sizes(a), rows, q_columns, a.dtype(), a.device());
  if (inner == 0) {
    copy_into(q, eye_raw(rows, q_columns, a.dtype(), a.device()));
    return {q, r};
  }
  copy_into(part_raw(q, rows, inner), part_raw(packed, rows, inner));
  form_in_place(q, tau);
  return {q, r};
}

// Walter and Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum experimental
// design" (2012), for tall and wide matrices, extended to complex ones.
void qr_vjp(Backward& b) {
  const std::string_view mode = b.str(1);
  check(mode != "r",
        "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
        "mode='reduced') if you are going to differentiate through "
        "linalg.qr.");
  const Tensor &q = b.out(0), &r = b.out(1);
  const int64_t rows = rows_of(q), columns = columns_of(r), square = std::min(rows, columns);
  check(mode != "complete" || rows <= columns,
        "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
  Tensor g_q = b.g(0), g_r = b.g(1), beside;
  const Tensor left = narrow(r, int64_t(-1), int64_t(0), square);
  if (columns > square) {
    // The columns beyond the square part are Q times theirs of R.
    const Tensor right = narrow(r, int64_t(-1), square, columns - square),
                 g_right = narrow(g_r, int64_t(-1), square, columns - square);
    beside = matmul(q, g_right);
    g_q = g_q + matmul(q, matmul(right, adjoint(g_right)));
    g_r = narrow(g_r, int64_t(-1), int64_t(0), square);
  }
  const Tensor inner = triu(matmul(g_r, adjoint(left)) - matmul(adjoint(q), g_q)), strict = triu(inner, int64_t(1));
  const Tensor both = strict + adjoint(strict) + diagonal_matrix(real_part(diagonal_of(inner)));
  Tensor result = linalg_solve_triangular(adjoint(left), g_q + matmul(q, both), false, false, false);
  if (beside.defined()) {
    const Tensor sides[] = {result, beside};
    result = cat(TensorList(sides), int64_t(-1));
  }
  b.set(0, result);
}

#define QR_DOC                                                                                                         \
  "Returns Q (..., m, k) and R (..., k, n), where k is min(m, n), or m for mode 'complete'; mode 'r' leaves Q empty. " \
  "Raises RuntimeError for other modes, dtypes and shapes."
const Op linalg_qr{
    OpDef{.schema = "linalg_qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)",
          .run = fn_exact_out<run_qr>,
          .on = Linalg | OutForm | Internal,
          .vjp = qr_vjp,
          .save = out(0) | out(1),
          .batch = batch::decomposition,
          .doc = "A = Q @ R with orthonormal columns in Q and an upper triangular R.\n\nArgs: A (..., m, n), floating "
                 "or complex; mode. " QR_DOC TABULA_EXAMPLE("torch.linalg.qr(torch.eye(2)).R.abs()",
                                                            "tensor([[1., 0.],\n            [0., 1.]])")}};
std::tuple<Tensor, Tensor> run_torch_qr(const Tensor& a, bool some) {
  auto results = linalg_qr.many<2>(a, some ? "reduced" : "complete");
  return {results[0], results[1]};
}
const Op qr{OpDef{.schema = "qr(Tensor input, bool some=True) -> (Tensor Q, Tensor R)",
                  .run = fn_exact_out<run_torch_qr>,
                  .on = Usual,
                  .composite = true,
                  .doc = "torch.linalg.qr under its old name; some=False is mode 'complete'." TABULA_EXAMPLE(
                      "torch.qr(torch.eye(2)).R.shape", "torch.Size([2, 2])")}};

// ---- reflections ----

std::tuple<Tensor, Tensor> run_geqrf(const Tensor& a) {
  check(a.dim() >= 2, "torch.geqrf: input must have at least 2 dimensions.");
  check_lapack_dtype(a, "geqrf_cpu");
  return factor(columns_copy(a));
}
constexpr ResultNames kGeqrf{"torch.geqrf", {"a", "tau"}}, kHouseholder{"torch.linalg.householder_product", {"result"}};
const Op geqrf{OpDef{
    .schema = "geqrf(Tensor input) -> (Tensor a, Tensor tau)",
    .run = fn_castable_out<run_geqrf, &kGeqrf>,
    .on = Usual,
    .batch = batch::decomposition,
    .doc = "The QR decomposition in LAPACK's compact form: R above the diagonal, Householder vectors below it.\n\n"
           "Args: input (..., m, n), floating or complex. Returns a (..., m, n) and tau (..., min(m, n)); it has no "
           "derivative." TABULA_EXAMPLE("torch.geqrf(torch.eye(2)).tau", "tensor([0., 0.])")}};

void check_reflections(const Tensor& a, const Tensor& tau, const char* name) {
  check(a.dim() - tau.dim() == 1, name,
        ": Expected tau to have one dimension less than input, but got tau.ndim equal to ", tau.dim(),
        " and input.ndim is equal to ", a.dim());
  if (a.dim() > 2)
    check(std::ranges::equal(batch_sizes(a), tau.sizes().first(size_t(tau.dim() - 1))), name,
          ": Expected batch dimensions of tau to be equal to input.shape[:-2], but got ",
          shape_text(tau.sizes().first(size_t(tau.dim() - 1))));
}
Tensor run_householder(const Tensor& a, const Tensor& tau) {
  constexpr const char* kName = "torch.linalg.householder_product";
  check(a.dim() >= 2, kName, ": input must have at least 2 dimensions.");
  check(rows_of(a) >= columns_of(a), kName, ": input.shape[-2] must be greater than or equal to input.shape[-1]");
  check(tau.dim() >= 1 && columns_of(a) >= tau.sizes().back(), kName,
        ": input.shape[-1] must be greater than or equal to tau.shape[-1]");
  check_reflections(a, tau, kName);
  check(a.dtype() == tau.dtype(), kName, ": tau dtype ", dtype_title(tau.dtype()), " does not match input dtype ",
        dtype_title(a.dtype()));
  check_lapack_dtype(a, "orgqr_cpu");
  const Tensor result = columns_copy(a);
  form_in_place(result, contiguous_raw(tau));
  return result;
}

// The reflections' vectors as columns: a one, and what is below the diagonal of a.
Tensor reflectors(const Tensor& a, int64_t count) {
  const Tensor low = narrow(tril(a, int64_t(-1)), int64_t(-1), int64_t(0), count);
  return low + eye_raw(rows_of(a), count, a.dtype(), a.device());
}
Tensor column(const Tensor& v, int64_t i) { return narrow(v, int64_t(-1), i, int64_t(1)); }
Tensor scale_of(const Tensor& tau, int64_t i) {
  return unsqueeze(narrow(tau, int64_t(-1), i, int64_t(1)), int64_t(-1));
}
Tensor summed(const Tensor& t) {
  const int64_t dims[] = {-2, -1};
  return sum_dim(t, IntList(dims, 2));
}

// Gradients of the product H_0 H_1 ... H_{k-1} X, with H = I - tau v v^H, of which `result` is the value: one
// reflection after the other is taken off the result, its inverse being I - sigma v v^H with sigma = tau / (tau |v|^2 -
// 1).
struct Unwound {
  Tensor a, tau, x;  // gradients
};
Unwound unwind(const Tensor& g_result, const Tensor& result, const Tensor& a, const Tensor& tau, bool adjoint_of,
               bool need_vectors) {
  const int64_t k = tau.sizes().back();
  const Tensor v = reflectors(a, k);
  Tensor g = g_result, x = result;
  std::vector<Tensor> g_columns(static_cast<size_t>(k)), g_scales(static_cast<size_t>(k));
  for (int64_t step = 0; step < k; step++) {
    const int64_t i = adjoint_of ? k - 1 - step : step;
    const Tensor one = column(v, i), scale = adjoint_of ? conj_of(scale_of(tau, i)) : scale_of(tau, i),
                 dual = adjoint(one);
    const Tensor length = matmul(dual, one);
    const Tensor inverse = scale / (scale * length - Scalar(1.0));
    x = x - inverse * matmul(one, matmul(dual, x));  // before this reflection: result = x - scale v (v^H x)
    const Tensor along_g = matmul(dual, g);
    if (need_vectors) {
      const Tensor along_x = matmul(dual, x), weight = conj_of(scale);
      const Tensor g_scale = -summed(conj_of(along_x) * along_g);
      g_scales[size_t(i)] = adjoint_of ? conj_of(g_scale) : g_scale;
      // d(v v^H) x: v takes both sides
      g_columns[size_t(i)] = -(weight * matmul(g, adjoint(along_x)) + scale * matmul(x, adjoint(along_g)));
    }
    g = g - conj_of(scale) * matmul(one, along_g);
  }
  Unwound grads{{}, {}, g};
  if (!need_vectors) return grads;
  if (k == 0) return {a * Scalar(0.0), tau * Scalar(0.0), g};
  Tensor all = cat(TensorList(g_columns), int64_t(-1));
  if (columns_of(a) > k) {
    Dims rest(all.sizes());
    rest.back() = columns_of(a) - k;
    const Tensor parts[] = {all, zeros_raw(rest, all.dtype(), all.device())};
    all = cat(TensorList(parts), int64_t(-1));
  }
  grads.a = tril(all, int64_t(-1));
  std::vector<Tensor> scales;
  for (const Tensor& s : g_scales) scales.push_back(unsqueeze(s, int64_t(-1)));
  grads.tau = cat(TensorList(scales), int64_t(-1));
  return grads;
}
void householder_vjp(Backward& b) {
  const Unwound grads = unwind(b.g(), b.out(), b.in(0), b.in(1), false, true);
  b.set(0, grads.a);
  b.set(1, grads.tau);
}
#define HOUSEHOLDER_DOC                                                                                              \
  "The first n columns of the product of Householder reflections that torch.geqrf encodes.\n\nArgs: input (..., m, " \
  "n) with m >= n: vectors below its diagonal; tau (..., k) with "                                                   \
  "k <= n: their scales. Returns (..., m, n)."
const Op linalg_householder_product{
    OpDef{.schema = "linalg_householder_product(Tensor input, Tensor tau) -> Tensor",
          .run = fn_castable_out<run_householder, &kHouseholder>,
          .on = Linalg | OutForm | Internal,
          .vjp = householder_vjp,
          .save = in(0) | in(1) | out(),
          .batch = batch::matrices_alike,
          .doc = HOUSEHOLDER_DOC TABULA_EXAMPLE("torch.linalg.householder_product(*torch.geqrf(torch.eye(2))).abs()",
                                                "tensor([[1., 0.],\n            [0., 1.]])")}};
Tensor run_orgqr(const Tensor& a, const Tensor& tau) { return linalg_householder_product(a, tau); }
const Op orgqr{OpDef{.schema = "orgqr(Tensor input, Tensor input2) -> Tensor",
                     .run = fn_castable_out<run_orgqr, &kHouseholder>,
                     .on = Usual,
                     .composite = true,
                     .doc = "Another name of torch.linalg.householder_product." TABULA_EXAMPLE(
                         "torch.orgqr(*torch.geqrf(torch.eye(2))).shape", "torch.Size([2, 2])")}};

void run_ormqr(const Op&, const Value* args, Out& out) {
  const Tensor &a = args[0].tensor(), &tau = args[1].tensor(), &other = args[2].tensor();
  const bool left = args[3].flag(), transpose = args[4].flag();
  constexpr const char* kName = "torch.ormqr";
  check(a.dim() >= 2, kName, ": input must have at least 2 dimensions.");
  check(other.dim() >= 2, kName, ": other must have at least 2 dimensions.");
  const int64_t side = left ? -2 : -1, length = left ? rows_of(other) : columns_of(other);
  check(tau.dim() >= 1 && length >= tau.sizes().back(), kName, ": other.shape[", side,
        "] must be greater than or equal to tau.shape[-1]");
  check(length == rows_of(a), kName, ": other.shape[", side, "] must be equal to input.shape[-2]");
  check(tau.sizes().back() == std::min(length, columns_of(a)), kName,
        ": tau.shape[-1] must be equal to min(other.shape[", side, "], input.shape[-1])");
  check_reflections(a, tau, kName);
  check(a.dim() == other.dim(), kName,
        ": Expected other to have the same number of dimensions as input, but got other.ndim equal to ", other.dim(),
        " and input.ndim is equal to ", a.dim());
  if (a.dim() > 2)
    check(std::ranges::equal(batch_sizes(a), batch_sizes(other)), kName,
          ": Expected batch dimensions of other to be equal to input.shape[:-2], but got ",
          shape_text(batch_sizes(other)));
  const auto same_dtype = [&](const Tensor& t, const char* name) {
    check(a.dtype() == t.dtype(), kName, ": Expected input and ", name, " to have the same dtype, but input has dtype",
          dtype_title(a.dtype()), " and ", name, " has dtype ", dtype_title(t.dtype()));
  };
  same_dtype(tau, "tau");
  same_dtype(other, "other");
  if (out.into) same_dtype(out.into[0], "result");
  check_lapack_dtype(a, "ormqr_cpu");
  const Tensor result = columns_copy(other), vectors = as_columns(part_raw(a, rows_of(a), tau.sizes().back())),
               scales = contiguous_raw(tau);
  kernels::LapackCall call = lapack_call(result);
  call.k = scales.sizes().back();
  call.a = vectors.data();
  call.b = scales.data();
  call.c = result.data();
  call.left = left;
  call.trans = transpose ? 'C' : 'N';
  if (result.numel() && call.k) kernels::ormqr[a.device().kind](call);
  detail::box(out, result);
}
void ormqr_vjp(Backward& b) {
  const bool left = b.flag(3), transpose = b.flag(4);
  // C op(Q) is the adjoint of op(Q)^H C^H
  const bool need = b.needs(0) || b.needs(1);
  const Unwound grads = unwind(left ? b.g() : adjoint(b.g()), left ? b.out() : adjoint(b.out()), b.in(0), b.in(1),
                               left == transpose, need);
  if (need) {
    b.set(0, grads.a);
    b.set(1, grads.tau);
  }
  b.set(2, left ? grads.x : adjoint(grads.x));
}
const Op ormqr{OpDef{
    .schema = "ormqr(Tensor input, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor",
    .run = boxed(run_ormqr),
    .on = Usual,
    .vjp = ormqr_vjp,
    .save = in(0) | in(1) | out(),
    .batch = batch::matrices_alike,
    .doc =
        "The product of a matrix with the square orthogonal matrix Q that Householder reflections encode.\n\n"
        "Args: input (..., m, k) and input2 (..., k): as torch.geqrf gives them; input3 (..., m, n), or (..., n, m) if "
        "not `left`; left: Q stands on the left; transpose: its "
        "adjoint. Returns input3's shape." TABULA_EXAMPLE("torch.ormqr(*torch.geqrf(torch.eye(2)), torch.eye(2)).abs()",
                                                          "tensor([[1., 0.],\n            [0., 1.]])")}};
#undef QR_DOC
#undef HOUSEHOLDER_DOC

}  // namespace
}  // namespace tabula
