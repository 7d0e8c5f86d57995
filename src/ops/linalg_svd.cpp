// Singular values, and the pseudo-inverse and rank that follow from them.
#include <limits>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/linalg_gauge.h"
#include "ops/matmul.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {
namespace {

std::tuple<Tensor, Tensor, Tensor> run_svd_raw(const Tensor& a, bool full, bool vectors,
                                               std::optional<std::string_view> driver) {
  check_matrix(a, "linalg.svd");
  check_values(a, "linalg.svd", true);
  check(!driver,
        "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.");
  check_lapack_dtype(a, "linalg_svd_cpu");
  const int64_t rows = rows_of(a), columns = columns_of(a), low = std::min(rows, columns);
  const IntList batch = batch_sizes(a);
  const Tensor s = Tensor::empty(join(batch, {low}), real_dtype(a.dtype()), a.device());
  Tensor u = Tensor::empty(Dims{0}, a.dtype(), a.device()), vh = u;
  if (vectors) {
    u = empty_columns(batch, rows, full ? rows : low, a.dtype(), a.device());
    vh = empty_columns(batch, full ? columns : low, columns, a.dtype(), a.device());
  }
  if (a.numel() == 0) {
    if (vectors) {
      copy_into(u, eye_raw(rows_of(u), columns_of(u), a.dtype(), a.device()));
      copy_into(vh, eye_raw(rows_of(vh), columns_of(vh), a.dtype(), a.device()));
    }
    return {u, s, vh};
  }
  const Tensor work = columns_copy(a), info = Tensor::empty(batch, DType::Int32, a.device());
  kernels::LapackCall call = lapack_call(work);
  call.b = s.data();
  call.c = u.data();
  call.d = vh.data();
  call.info = info.data_as<int32_t>();
  call.full = full;
  call.vectors = vectors;
  kernels::svd[a.device().kind](call);
  check_info(info, "linalg.svd", a.dim() == 2);
  return {u, s, vh};
}

// Townsend, "Differentiating the singular value decomposition" (2016), extended to complex matrices.
void svd_vjp(Backward& b) {
  check(b.flag(2), "svd_backward: torch.linalg.svdvals without vectors is not differentiable");
  const Tensor& s = b.out(1);
  const int64_t low = s.sizes().back();
  const Tensor u = narrow(b.out(0), int64_t(-1), int64_t(0), low), vh = narrow(b.out(2), int64_t(-2), int64_t(0), low);
  const int64_t rows = rows_of(u), columns = columns_of(vh);
  if (!b.has_g(0) && !b.has_g(2)) {
    b.set(0, matmul(u * unsqueeze(b.g(1), int64_t(-2)), vh));
    return;
  }
  const Tensor g_u = narrow(b.g(0), int64_t(-1), int64_t(0), low), v = adjoint(vh),
               g_v = adjoint(narrow(b.g(2), int64_t(-2), int64_t(0), low));
  const Tensor from_u = matmul(adjoint(u), g_u), from_v = matmul(vh, g_v);
  const bool complex_values = is_complex(u.dtype());
  if (complex_values)
    check_gauge(diagonal_of(from_u + from_v), "svd_backward", "singular vectors",
                "this phase term, making it ill-defined");
  const Tensor squares = s * s, gaps = unsqueeze(squares, int64_t(-2)) - unsqueeze(squares, int64_t(-1)) +
                                       eye_raw(low, low, s.dtype(), s.device());
  Tensor core = (from_u - adjoint(from_u)) / gaps * unsqueeze(s, int64_t(-2)) +
                unsqueeze(s, int64_t(-1)) * ((from_v - adjoint(from_v)) / gaps);
  Tensor on_diagonal = b.has_g(1) ? b.g(1) : zeros_like_raw(s);
  if (complex_values) on_diagonal = complex(on_diagonal, imag(diagonal_of(from_u)) / s);
  core = core - diagonal_matrix(diagonal_of(core)) + diagonal_matrix(on_diagonal);
  Tensor result = matmul(u, matmul(core, vh));
  if (rows > low) {
    const Tensor rest = g_u / unsqueeze(s, int64_t(-2));
    result = result + matmul(rest - matmul(u, matmul(adjoint(u), rest)), vh);
  }
  if (columns > low) {
    const Tensor rest = adjoint(g_v / unsqueeze(s, int64_t(-2)));
    result = result + matmul(u, rest - matmul(matmul(rest, v), vh));
  }
  b.set(0, result);
}

#define SVD_DOC                                                                                                  \
  "\n\nArgs: A (..., m, n), floating or complex; driver must be None on the CPU. Raises RuntimeError for other " \
  "shapes and dtypes, torch.linalg.LinAlgError for NaN and without "                                             \
  "convergence."
Tensor run_svdvals(const Tensor& a, std::optional<std::string_view> driver) {
  return linalg_svd_raw.many<3>(a, false, may_differentiate(a), driver)[1];
}
std::tuple<Tensor, Tensor, Tensor> run_svd(const Tensor& a, bool full, std::optional<std::string_view> driver) {
  auto r = linalg_svd_raw.many<3>(a, full, true, driver);
  return {r[0], r[1], r[2]};
}

std::tuple<Tensor, Tensor, Tensor> run_torch_svd(const Tensor& a, bool some, bool vectors) {
  check(a.dim() >= 2, "linalg.svd: input should have at least 2 dimensions, but has ", a.dim(), " dimensions instead");
  auto r = linalg_svd_raw.many<3>(a, !some, vectors || may_differentiate(a));
  if (vectors) return {r[0], r[1], adjoint(r[2])};
  const int64_t rows = rows_of(a), columns = columns_of(a);
  return {zeros_raw(join(batch_sizes(a), {rows, rows}), a.dtype(), a.device()), r[1],
          matrix_T(zeros_raw(join(batch_sizes(a), {columns, columns}), a.dtype(), a.device()))};
}
const Op svd{
    OpDef{.schema = "svd(Tensor input, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)",
          .run = fn_exact_out<run_torch_svd>,
          .on = Usual,
          .composite = true,
          .doc = "The singular value decomposition with V itself (deprecated: use torch.linalg.svd)." TABULA_EXAMPLE(
              "torch.svd(torch.diag(torch.tensor([1., 2.]))).S", "tensor([2., 1.])")}};

// ---- pseudo-inverse ----

Tensor run_pinv_raw(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  const auto inverted = [&](const Tensor& values, const Tensor& sizes, const Tensor& largest) {
    const Tensor cutoff = maximum(unsqueeze(atol, int64_t(-1)), unsqueeze(rtol, int64_t(-1)) * largest);
    return where(gt(sizes, cutoff), reciprocal(values), Scalar(0.0));
  };
  const int64_t last = -1;
  if (hermitian) {
    const auto [values, vectors] = linalg_eigh.many<2>(a, "L");
    const Tensor sizes = abs(values), inverse = inverted(values, sizes, amax(sizes, IntList(&last, 1), true));
    return matmul(vectors * unsqueeze(inverse, int64_t(-2)), adjoint(vectors));
  }
  const auto [u, s, vh] = linalg_svd.many<3>(a, false);
  return matmul(adjoint(vh) * unsqueeze(inverted(s, s, narrow(s, int64_t(-1), int64_t(0), int64_t(1))), int64_t(-2)),
                adjoint(u));
}
void pinv_vjp(Backward& b) { b.set(0, pinv_backward(b.g(), b.in(0), b.out())); }
const Op pinv_raw{OpDef{.schema = "_linalg_pinv(Tensor input, Tensor atol, Tensor rtol, bool hermitian) -> Tensor",
                        .run = fn<run_pinv_raw>,
                        .on = Hidden,
                        .vjp = pinv_vjp,
                        .save = in(0) | out(),
                        .node = "LinalgPinvBackward0",
                        .batch = batch::pinv}};

double epsilon(DType d) {
  return real_dtype(d) == DType::Float64 ? std::numeric_limits<double>::epsilon()
                                         : double(std::numeric_limits<float>::epsilon());
}
// Rounding error of the singular values, relative to the largest.
double default_rtol(const Tensor& a) { return epsilon(a.dtype()) * double(std::max(rows_of(a), columns_of(a))); }

struct Tolerances {
  Tensor absolute, relative;
};
void check_tolerance(const Tensor& t, const char* function, const char* name) {
  check(!is_complex(t.dtype()), function, ": ", name, " tensor of complex type is not supported. Got ",
        dtype_title(t.dtype()));
}
// The relative tolerance is for rounding unless an absolute one is given.
Tolerances tolerances(const Tensor& a, std::optional<double> atol, std::optional<double> rtol) {
  const DType d = real_dtype(a.dtype());
  const double absolute = atol.value_or(0.0), relative = rtol ? *rtol : absolute > 0 ? 0.0 : default_rtol(a);
  return {full_raw({}, Scalar(absolute), d, a.device()), full_raw({}, Scalar(relative), d, a.device())};
}
Tolerances tolerances(const Tensor& a, const Tensor& atol, const Tensor& rtol, const char* function) {
  const DType d = real_dtype(a.dtype());
  if (atol.defined()) check_tolerance(atol, function, "atol");
  if (rtol.defined()) check_tolerance(rtol, function, "rtol");
  const auto real_tensor = [&](const Tensor& t) { return t.dtype() == d ? t : to_dtype(t, d); };
  const Tensor absolute = atol.defined() ? real_tensor(atol) : full_raw({}, Scalar(0.0), d, a.device());
  if (rtol.defined()) return {absolute, real_tensor(rtol)};
  const Tensor usual = full_raw({}, Scalar(default_rtol(a)), d, a.device());
  return {absolute, atol.defined() ? where(gt(absolute, Scalar(0.0)), Scalar(0.0), usual) : usual};
}

Tensor pinv_of(const Tensor& a, const Tolerances& t, bool hermitian) {
  return pinv_raw(a, t.absolute, t.relative, hermitian);
}
void check_pinv(const Tensor& a) {
  check(has_lapack_dtype(a) && a.dim() >= 2, "linalg.pinv(", dtype_title(a.dtype()), "{", shape_text(a.sizes()),
        "}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types");
}
// Without elements there is nothing to invert, and nothing to check.
Tensor empty_pinv(const Tensor& a) { return clone(matrix_T(a), MemoryFormat::Contiguous); }
template <class... T>
Tensor pinv_with(const Tensor& a, bool hermitian, const T&... tolerance) {
  check_pinv(a);
  if (a.numel() == 0) return empty_pinv(a);
  return pinv_of(a, tolerances(a, tolerance...), hermitian);
}
Tensor run_pinv_numbers(const Tensor& a, std::optional<double> atol, std::optional<double> rtol, bool hermitian) {
  return pinv_with(a, hermitian, atol, rtol);
}
Tensor run_pinv_tensors(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  return pinv_with(a, hermitian, atol, rtol, "torch.linalg.pinv");
}
Tensor run_pinv_rcond(const Tensor& a, double rcond, bool hermitian) {
  return pinv_with(a, hermitian, std::optional(0.0), std::optional(rcond));
}
Tensor run_pinv_rcond_tensor(const Tensor& a, const Tensor& rcond, bool hermitian) {
  return pinv_with(a, hermitian, Tensor(), rcond, "torch.linalg.pinv");
}

// ---- rank ----

void check_rank(const Tensor& a) {
  check_matrix(a, "torch.linalg.matrix_rank", "input");
  check(has_lapack_dtype(a), "This function doesn't handle types other than float and double");
}
Tensor rank_of(const Tensor& input, const Tolerances& t, bool hermitian) {
  const Tensor a = detach(input);
  const int64_t last = -1;
  const Tensor sizes =
      hermitian ? abs(linalg_eigh_raw.many<2>(a, "L", false)[0]) : linalg_svd_raw.many<3>(a, false, false)[1];
  const Tensor largest =
      hermitian ? amax(sizes, IntList(&last, 1), true) : narrow(sizes, int64_t(-1), int64_t(0), int64_t(1));
  const Tensor cutoff = maximum(unsqueeze(t.absolute, int64_t(-1)), unsqueeze(t.relative, int64_t(-1)) * largest);
  return sum_dim(gt(sizes, cutoff), IntList(&last, 1));
}
template <class... T>
Tensor rank_with(const Tensor& a, bool hermitian, const T&... tolerance) {
  check_rank(a);
  if (a.numel() == 0) return zeros_raw(batch_sizes(a), DType::Int64, a.device());
  return rank_of(a, tolerances(a, tolerance...), hermitian);
}
Tensor run_rank_numbers(const Tensor& a, std::optional<double> atol, std::optional<double> rtol, bool hermitian) {
  return rank_with(a, hermitian, atol, rtol);
}
Tensor run_rank_tensors(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
  return rank_with(a, hermitian, atol, rtol, "torch.linalg.matrix_rank");
}
Tensor run_rank_tol(const Tensor& a, double tol, bool hermitian) {
  return rank_with(a, hermitian, std::optional(tol), std::optional(0.0));
}
Tensor run_rank_tol_tensor(const Tensor& a, const Tensor& tol, bool hermitian) {
  return rank_with(a, hermitian, tol, zeros_raw({}, real_dtype(a.dtype()), a.device()), "torch.linalg.matrix_rank");
}

constexpr ResultNames kPinv{"linalg.pinv", {"result"}}, kRank{"torch.linalg.matrix_rank", {"result"}};
#define PINV(overload, parameters, function)                                                       \
  OpDef {                                                                                          \
    .schema = "linalg_pinv" overload "(Tensor input, " parameters ") -> Tensor",                   \
    .run = fn_castable_out<function, &kPinv>, .on = Linalg | OutForm | Internal, .composite = true \
  }
#define RANK(overload, parameters, function)                                                       \
  OpDef {                                                                                          \
    .schema = "linalg_matrix_rank" overload "(Tensor input, " parameters ") -> Tensor",            \
    .run = fn_castable_out<function, &kRank>, .on = Linalg | OutForm | Internal, .composite = true \
  }
}  // namespace
const Op linalg_pinv{documented(
    PINV(".atol_rtol_tensor", "*, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False", run_pinv_tensors),
    "The Moore-Penrose pseudo-inverse (..., n, m) of (..., m, n); singular values up to max(atol, rtol * largest) "
    "count as zero.\n\n"
    "Args: input, floating or complex; rcond: rtol under its old name; atol and rtol: numbers or tensors that "
    "broadcast to the batch; without any, rtol is the "
    "dtype's epsilon times max(m, n); hermitian: input equals its adjoint, of which the lower triangle is read. Raises "
    "RuntimeError for other dtypes." TABULA_EXAMPLE("torch.linalg.pinv(torch.tensor([[2.], [0.]]))",
                                                    "tensor([[0.5000, 0.0000]])"))};
namespace {
const Op pinv_numbers{
    PINV(".atol_rtol_float", "*, float? atol=None, float? rtol=None, bool hermitian=False", run_pinv_numbers)};
const Op pinv_rcond{PINV("", "float rcond, bool hermitian=False", run_pinv_rcond)};
const Op pinv_rcond_tensor{PINV(".rcond_tensor", "Tensor rcond, bool hermitian=False", run_pinv_rcond_tensor)};
const Op rank_tensors{documented(
    RANK(".atol_rtol_tensor", "*, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False", run_rank_tensors),
    "How many singular values exceed max(atol, rtol * largest), as int64.\n\n"
    "Args: input (..., m, n), floating or complex; tol: an absolute tolerance alone; atol, rtol and hermitian as for "
    "torch.linalg.pinv." TABULA_EXAMPLE("torch.linalg.matrix_rank(torch.ones(2, 2))", "tensor(1)"))};
const Op rank_numbers{
    RANK(".atol_rtol_float", "*, float? atol=None, float? rtol=None, bool hermitian=False", run_rank_numbers)};
const Op rank_tol{RANK("", "float tol, bool hermitian=False", run_rank_tol)};
const Op rank_tol_tensor{RANK(".tol_tensor", "Tensor tol, bool hermitian=False", run_rank_tol_tensor)};
Tensor run_pinverse(const Tensor& a, double rcond) { return run_pinv_rcond(a, rcond, false); }
const Op pinverse{OpDef{.schema = "pinverse(Tensor input, float rcond=1e-15) -> Tensor",
                        .run = fn<run_pinverse>,
                        .on = Both,
                        .composite = true,
                        .doc = "torch.linalg.pinv under its old name." TABULA_EXAMPLE(
                            "torch.pinverse(torch.tensor([[2.]]))", "tensor([[0.5000]])")}};
#undef PINV
#undef RANK

}  // namespace

Tensor pinv_backward(const Tensor& g, const Tensor& a, const Tensor& p) {
  const Tensor ph = adjoint(p), gh = adjoint(g), left = matmul(gh, p), right = matmul(p, gh);
  const Tensor left_ph = matmul(left, ph), ph_right = matmul(ph, right);
  return left_ph - matmul(a, matmul(p, left_ph)) + ph_right - matmul(matmul(ph_right, p), a) -
         matmul(ph, matmul(g, ph));
}

const Op linalg_svd_raw{OpDef{.schema = "_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, *, str? "
                                        "driver=None) -> (Tensor U, Tensor S, Tensor Vh)",
                              .run = fn_exact_out<run_svd_raw>,
                              .on = Function | OutForm | Internal,
                              .vjp = svd_vjp,
                              .save = out(0) | out(1) | out(2),
                              .node = "LinalgSvdBackward0",
                              .batch = batch::decomposition,
                              .doc = "torch.linalg.svd, with empty vectors if compute_uv is False."}};
const Op linalg_svd{OpDef{
    .schema = "linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)",
    .run = fn_exact_out<run_svd>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc = "A = U @ diag(S) @ Vh: singular values in descending order between matrices with orthonormal columns and "
           "rows.\n\n"
           "U is (..., m, m) and Vh (..., n, n), or (..., m, k) and (..., k, n) with k = min(m, n) unless "
           "`full_matrices`." SVD_DOC TABULA_EXAMPLE("torch.linalg.svd(torch.diag(torch.tensor([1., 2.]))).S",
                                                     "tensor([2., 1.])")}};
const Op linalg_svdvals{OpDef{.schema = "linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor",
                              .run = fn_exact_out<run_svdvals>,
                              .on = Linalg | OutForm | Internal,
                              .composite = true,
                              .doc = "Singular values in descending order." SVD_DOC TABULA_EXAMPLE(
                                  "torch.linalg.svdvals(torch.diag(torch.tensor([1., 2.])))", "tensor([2., 1.])")}};
#undef SVD_DOC

}  // namespace tabula
