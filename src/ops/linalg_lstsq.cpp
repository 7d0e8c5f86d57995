// Least squares, and symmetric indefinite systems.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {
namespace {

using kernels::LstsqDriver;

LstsqDriver driver_named(std::optional<std::string_view> name) {
  constexpr std::pair<std::string_view, LstsqDriver> drivers[] = {{"gels", LstsqDriver::gels},
                                                                  {"gelsy", LstsqDriver::gelsy},
                                                                  {"gelsd", LstsqDriver::gelsd},
                                                                  {"gelss", LstsqDriver::gelss}};
  for (const auto& [text, driver] : drivers)
    if (name.value_or("gelsy") == text) return driver;
  fail(ErrorKind::Runtime, "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)");
}

bool is_vector_case(const Tensor& a, const Tensor& b) {
  if (b.dim() == 1) return true;
  return a.dim() - 1 == b.dim() && std::ranges::equal(b.sizes(), a.sizes().first(size_t(a.dim() - 1)));
}

using Results = std::tuple<Tensor, Tensor, Tensor, Tensor>;
Results run_lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond,
                  std::optional<std::string_view> driver_name) {
  check(a.dim() >= 2, "torch.linalg.lstsq: input must have at least 2 dimensions.");
  check(b.dim() >= 1, "torch.linalg.lstsq: other must have at least 1 dimension.");
  check(a.dtype() == b.dtype(),
        "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype ",
        dtype_title(a.dtype()), " and other's dtype ", dtype_title(b.dtype()));
  const int64_t difference = a.dim() - b.dim();
  check(difference >= 0 && difference <= 1,
        "torch.linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1");
  const bool vector = is_vector_case(a, b);
  const Tensor right = vector ? unsqueeze(b, int64_t(-1)) : b;
  check(rows_of(a) == rows_of(right), "torch.linalg.lstsq: input.size(-2) should match other.size(", vector ? -1 : -2,
        ")");
  if (!vector && difference == 1)
    (void)broadcast_sizes(batch_sizes(a), b.sizes().first(size_t(b.dim() - 1)));  // for its error
  const LstsqDriver driver = driver_named(driver_name);
  check(has_lapack_dtype(a), "This function doesn't handle types other than float and double");
  const Dims batch = broadcast_sizes(batch_sizes(a), batch_sizes(right));
  const int64_t m = rows_of(a), n = columns_of(a), k = columns_of(right);
  const DType real = real_dtype(a.dtype());
  const Tensor work = columns_copy(expand_batch_raw(a, batch)),
               both = columns_copy(expand_batch_raw(right, batch), std::max(m, n));
  const bool values = driver == LstsqDriver::gelsd || driver == LstsqDriver::gelss, ranks = driver != LstsqDriver::gels;
  const Tensor singular = Tensor::empty(values ? join(batch, {std::min(m, n)}) : Dims{0}, real, a.device());
  const Tensor rank =
      ranks ? zeros_raw(batch, DType::Int64, a.device()) : Tensor::empty(Dims{0}, DType::Int64, a.device());
  const Tensor info = full_raw(batch, Scalar(int64_t(0)), DType::Int32, a.device());
  if (work.numel() && k) {
    kernels::LstsqCall call;
    static_cast<kernels::LapackCall&>(call) = lapack_call(work);
    call.k = k;
    call.b = both.data();
    call.c = values ? singular.data() : nullptr;
    call.rank = ranks ? rank.data_as<int64_t>() : nullptr;
    call.info = info.data_as<int32_t>();
    call.driver = driver;
    call.rcond = rcond.value_or((real == DType::Float64 ? 0x1p-52 : 0x1p-23) * double(std::max(m, n)));
    kernels::lstsq[a.device().kind](call);
    check_info(info, "torch.linalg.lstsq", batch.empty());
  } else if (values) {
    fill_into(singular, Scalar(0.0));
  }
  Geometry g = both.geometry();
  g.sizes[g.sizes.size() - 2] = n;
  Tensor solution = Tensor::alias(both, g);
  if (work.numel() == 0) fill_into(solution, Scalar(0.0));
  // What LAPACK leaves below the solution is the part of B that no X reaches, if A has full rank.
  Tensor residuals = Tensor::empty(Dims{0}, real, a.device());
  const auto full_rank = [&] {
    if (!values) return !ranks;  // as PyTorch, which leaves them out for gelsy
    const int64_t* all = rank.is_meta() ? nullptr : rank.data_as<int64_t>();
    return std::all_of(all, all ? all + rank.numel() : all, [n](int64_t r) { return r == n; });
  };
  if (m > n && full_rank()) {
    Geometry below = both.geometry();
    below.sizes[below.sizes.size() - 2] = m - n;
    below.offset += n;
    const int64_t dim = -2;
    const Tensor size = abs(Tensor::alias(both, below));
    residuals = sum_dim(size * size, IntList(&dim, 1));
  }
  if (vector) {
    Geometry flat = solution.geometry();
    flat.sizes.pop_back();
    flat.strides.pop_back();
    solution = Tensor::alias(solution, flat);
  }
  return {solution, residuals, rank, singular};
}

// The solution is pinv(A) B. The residuals |A X - B|^2 do not change with X to first order.
void lstsq_vjp(Backward& b) {
  const Tensor &a = b.in(0), &other = b.in(1);
  const bool vector = is_vector_case(a, other);
  const auto matrix = [&](const Tensor& t) { return vector ? unsqueeze(t, int64_t(-1)) : t; };
  const Tensor right = matrix(other);
  Tensor g_a, g_b;
  const auto add_to = [](Tensor& sum, const Tensor& part) { sum = sum.defined() ? sum + part : part; };
  if (b.has_g(0)) {
    const Tensor p = linalg_pinv(a, Value(), Value(), false), g = matrix(b.g(0));
    add_to(g_b, matmul(adjoint(p), g));
    if (b.needs(0)) add_to(g_a, pinv_backward(matmul(g, adjoint(right)), a, p));
  }
  if (b.has_g(1) && b.out(1).numel()) {
    const Tensor x = matrix(b.out(0)), error = (matmul(a, x) - right) * unsqueeze(b.g(1) * Scalar(2.0), int64_t(-2));
    add_to(g_b, -error);
    if (b.needs(0)) add_to(g_a, matmul(error, adjoint(x)));
  }
  if (g_a.defined()) b.set(0, g_a);
  if (g_b.defined()) b.set(1, vector ? squeeze_dims(g_b, Dims{-1}) : g_b);
}
constexpr ResultNames kLstsq{"torch.linalg.lstsq", {"solution", "residuals", "rank", "singular_values"}};
const Op linalg_lstsq{
    OpDef{.schema = "linalg_lstsq(Tensor input, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, "
                    "Tensor residuals, Tensor rank, Tensor singular_values)",
          .run = fn_castable_out<run_lstsq, &kLstsq>,
          .on = Linalg | OutForm | Internal,
          .vjp = lstsq_vjp,
          .save = in(0) | in(1) | out(0) | out(1),
          .nondiff = 12,
          .batch = batch::solve,
          .doc = "The X that minimises |A X - B|, the smallest of them where there are several.\n\n"
                 "Args: input: A (..., m, n), floating or complex; b: B (..., m, k) or (..., m); rcond: singular "
                 "values up to rcond times the largest count as zero (default: epsilon times "
                 "max(m, n)); driver: 'gelsy' (default; QR with exchanges of columns), 'gels' (A has full rank), "
                 "'gelsd' or 'gelss' (singular values). Returns X, the sums of squares "
                 "|A X - B|^2 of each column if m > n and A has full rank (not for gelsy), the rank (not for gels) and "
                 "the singular values (gelsd, gelss). Raises RuntimeError for other shapes and dtypes." TABULA_EXAMPLE(
                     "torch.linalg.lstsq(torch.tensor([[1.], [1.]]), torch.tensor([[1.], [3.]])).solution",
                     "tensor([[2.0000]])")}};

// ---- L D L^T ----

std::tuple<Tensor, Tensor, Tensor> ldl_factor(const Tensor& a, bool hermitian) {
  check_square(a, "torch.linalg.ldl_factor_ex");
  check_values(a, "torch.linalg.ldl_factor_ex", true);
  check_lapack_dtype(a, "ldl_factor_kernel_cpu");
  const Tensor packed = columns_copy(tril(a)),
               pivots = Tensor::empty(a.sizes().first(size_t(a.dim() - 1)), DType::Int32, a.device()),
               info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
  kernels::LapackCall call = lapack_call(packed);
  call.pivots = pivots.data_as<int32_t>();
  call.info = info.data_as<int32_t>();
  call.hermitian = hermitian;
  kernels::ldl_factor[a.device().kind](call);
  return {packed, pivots, info};
}
std::tuple<Tensor, Tensor, Tensor> run_ldl_factor_ex(const Tensor& a, bool hermitian, bool check_errors) {
  auto result = ldl_factor(a, hermitian);
  if (check_errors) check_info(std::get<2>(result), "torch.linalg.ldl_factor_ex", a.dim() == 2);
  return result;
}
#define LDL_DOC                                                                                                      \
  "\n\nArgs: input (..., n, n), floating or complex, of which the lower triangle is read; hermitian: it equals its " \
  "adjoint rather than its transpose. Returns LD (..., n, n), "                                                      \
  "pivots (..., n), int32"
const Op ldl_factor_ex{OpDef{.schema = "linalg_ldl_factor_ex(Tensor input, *, bool hermitian=False, bool "
                                       "check_errors=False) -> (Tensor LD, Tensor pivots, Tensor info)",
                             .run = fn_exact_out<run_ldl_factor_ex>,
                             .on = Linalg | OutForm | Internal,
                             .batch = batch::decomposition,
                             .doc =
                                 "The factors L D L^T of a symmetric matrix in LAPACK's compact form." LDL_DOC
                                 " and info (...), int32." TABULA_EXAMPLE(
                                     "torch.linalg.ldl_factor_ex(torch.eye(2)).info", "tensor(0, dtype=torch.int32)")}};
std::tuple<Tensor, Tensor> run_ldl_factor(const Tensor& a, bool hermitian) {
  auto [packed, pivots, info] = ldl_factor_ex.many<3>(a, hermitian, false);
  raise_errors(info, "torch.linalg.ldl_factor", a.dim() == 2);
  return {packed, pivots};
}
const Op linalg_ldl_factor{
    OpDef{.schema = "linalg_ldl_factor(Tensor input, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)",
          .run = fn_exact_out<run_ldl_factor>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "The factors L D L^T of a symmetric matrix in LAPACK's compact form." LDL_DOC
                 ". Raises RuntimeError if D has a zero on its diagonal." TABULA_EXAMPLE(
                     "torch.linalg.ldl_factor(torch.eye(2)).pivots", "tensor([1, 2], dtype=torch.int32)")}};
#undef LDL_DOC

Tensor run_ldl_solve(const Tensor& packed, const Tensor& pivots, const Tensor& b, bool hermitian) {
  constexpr const char* kName = "torch.linalg.ldl_solve";
  check_square(packed, kName);
  check_index(b.dim() >= 2, "Dimension out of range (expected to be in range of [-1, 0], but got -2)");
  check(packed.dtype() == b.dtype(), "Expected b and A to have the same dtype, but found b of type ",
        dtype_title(b.dtype()), " and A of type ", dtype_title(packed.dtype()), " instead.");
  check(rows_of(packed) == rows_of(b), "Incompatible matrix sizes for ", kName, ": each A matrix is ", rows_of(packed),
        " by ", columns_of(packed), " but each b matrix is ", rows_of(b), " by ", columns_of(b));
  const IntList shape = packed.sizes().first(size_t(packed.dim() - 1));
  check(std::ranges::equal(pivots.sizes(), shape), kName,
        ": Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape ",
        shape_text(pivots.sizes()), " instead");
  check(is_integral(pivots.dtype()), kName, ": Expected pivots to be integers. Got ", dtype_title(pivots.dtype()));
  check_lapack_dtype(packed, "ldl_solve_kernel_cpu");
  const int64_t n = rows_of(packed);
  const Dims batch = broadcast_sizes(batch_sizes(b), batch_sizes(packed));
  const Tensor exchanges =
      contiguous_raw(cast_raw(Tensor::alias(pivots, expanded(pivots.geometry(), join(batch, {n}))), DType::Int32));
  if (!pivots.is_meta()) {
    const int32_t* values = exchanges.data_as<int32_t>();
    for (int64_t i = 0; i < exchanges.numel(); i++) {
      const int64_t at = i % n, place = std::abs(int64_t(values[i]));
      // A negative pivot belongs to a block of two rows.
      const bool block = values[i] < 0 && ((at + 1 < n && values[i + 1] < 0) || (at > 0 && values[i - 1] < 0));
      check(place >= 1 && place <= n && (values[i] > 0 || block), kName, ": pivots are none that ldl_factor gives");
    }
  }
  const Tensor matrix = as_columns(expand_batch_raw(packed, batch)), result = columns_copy(expand_batch_raw(b, batch));
  kernels::LapackCall call = lapack_call(matrix);
  call.b = result.data();
  call.k = columns_of(result);
  call.pivots = exchanges.data_as<int32_t>();
  call.hermitian = hermitian;
  kernels::ldl_solve[b.device().kind](call);
  return result;
}
const Op linalg_ldl_solve{
    OpDef{.schema = "linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor",
          .run = fn_exact_out<run_ldl_solve>,
          .on = Linalg | OutForm | Internal,
          .batch = batch::matrices,
          .doc = "Solves A X = B from the factors of torch.linalg.ldl_factor: LD (..., n, n), pivots (..., n) and B "
                 "(..., n, k) give X (..., n, k). It has no derivative." TABULA_EXAMPLE(
                     "torch.linalg.ldl_solve(*torch.linalg.ldl_factor(2 * torch.eye(2)), torch.ones(2, 1))",
                     "tensor([[0.5000],\n            [0.5000]])")}};

}  // namespace
}  // namespace tabula
