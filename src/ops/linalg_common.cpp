#include "ops/linalg_common.h"

#include <algorithm>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg_gauge.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {

namespace {
std::string prefix(const char* name) { return *name ? concat(name, ": ") : std::string(); }
}  // namespace

void check_matrix(const Tensor& a, const char* name, const char* argument) {
  if (a.dim() < 2)
    fail(ErrorKind::Runtime, prefix(name), "The input tensor ", argument,
         " must have at least 2 dimensions.\nHint: its shape is ", shape_text(a.sizes()),
         "; unsqueeze(-1) makes a column of a vector.");
}
void check_square(const Tensor& a, const char* name, const char* argument) {
  check_matrix(a, name, argument);
  if (rows_of(a) != columns_of(a))
    fail(ErrorKind::Runtime, prefix(name), argument, " must be batches of square matrices, but they are ", rows_of(a),
         " by ", columns_of(a), " matrices\nHint: the last two sizes of ", shape_text(a.sizes()), " must be equal.");
}
void check_sides(const Tensor& a, const Tensor& b, bool left, const char* name) {
  if ((left ? rows_of(b) : columns_of(b)) == rows_of(a)) return;
  fail(ErrorKind::Runtime, name, ": Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (",
       rows_of(a), "x", columns_of(a), " and ", rows_of(b), "x", columns_of(b), ")\nHint: A is ", shape_text(a.sizes()),
       " and B ", shape_text(b.sizes()), "; dimension ", left ? -2 : -1, " of B must be ", rows_of(a),
       (left ? columns_of(b) : rows_of(b)) == rows_of(a)
           ? left ? ", as it is with left=False or B.mT." : ", as it is with left=True or B.mT."
           : ".");
}
void check_values(const Tensor& a, const char* name, bool low_precision) {
  check(is_differentiable(a.dtype()), name, ": Expected a floating point or complex tensor as input. Got ",
        dtype_title(a.dtype()));
  check(low_precision || has_lapack_dtype(a), name, ": Low precision dtypes not supported. Got ",
        dtype_title(a.dtype()));
}
bool has_lapack_dtype(const Tensor& a) {
  return a.dtype() == DType::Float32 || a.dtype() == DType::Float64 || a.dtype() == DType::Complex64 ||
         a.dtype() == DType::Complex128;
}
void check_lapack_dtype(const Tensor& a, const char* kernel) {
  check_implemented(has_lapack_dtype(a), "\"", kernel, "\" not implemented for '", dtype_title(a.dtype()), "'");
}

Dims join(IntList front, std::initializer_list<int64_t> back) {
  Dims sizes(front);
  for (int64_t size : back) sizes.push_back(size);
  return sizes;
}

Tensor empty_columns(IntList batch, int64_t rows, int64_t columns, DType dtype, Device device) {
  const Dims sizes = join(batch, {rows, columns});
  Dims strides = contiguous_strides(join(batch, {columns, rows}));
  std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
  return Tensor::empty_strided(sizes, strides, dtype, device);
}
Tensor columns_copy(const Tensor& a) {
  const Tensor result = empty_columns(batch_sizes(a), rows_of(a), columns_of(a), a.dtype(), a.device());
  copy_into(result, a);
  return result;
}
Tensor columns_copy(const Tensor& a, int64_t rows) {
  if (rows == rows_of(a)) return columns_copy(a);
  const Tensor result = empty_columns(batch_sizes(a), rows, columns_of(a), a.dtype(), a.device());
  fill_into(result, Scalar(0.0));
  Geometry part = result.geometry();
  part.sizes[part.sizes.size() - 2] = rows_of(a);
  copy_into(Tensor::alias(result, part), a);
  return result;
}
Tensor as_columns(const Tensor& a) {
  Geometry turned = a.geometry();
  const int64_t n = turned.sizes.size();
  std::swap(turned.sizes[n - 1], turned.sizes[n - 2]);
  std::swap(turned.strides[n - 1], turned.strides[n - 2]);
  return is_contiguous(turned.sizes, turned.strides) && !a.is_conj() && !a.is_neg() ? a : columns_copy(a);
}

Tensor expand_batch(const Tensor& a, IntList batch) { return expand(a, join(batch, {rows_of(a), columns_of(a)})); }
Tensor expand_batch_raw(const Tensor& a, IntList batch) {
  return Tensor::alias(a, expanded(a.geometry(), join(batch, {rows_of(a), columns_of(a)})));
}

Tensor eye_raw(int64_t rows, int64_t columns, DType dtype, Device device) {
  const Tensor result = zeros_raw(Dims{rows, columns}, dtype, device);
  const int64_t count = std::min(rows, columns);
  if (count) fill_into(Tensor::alias(result, {Dims{count}, Dims{columns + 1}, 0}), Scalar(1.0));
  return result;
}
Tensor diagonal_of(const Tensor& a) { return diagonal(a, int64_t(0), int64_t(-2), int64_t(-1)); }
Tensor diagonal_matrix(const Tensor& values) {
  const int64_t n = values.sizes().back();
  return diagonal_backward(values, join(values.sizes(), {n}), int64_t(0), int64_t(-2), int64_t(-1));
}

namespace {

bool mentions(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// What info says, by the kind of operation that reports it.
[[noreturn]] void fail_info(std::string_view name, const std::string& start, int32_t info) {
  const auto linalg = [&](const auto&... parts) { fail(ErrorKind::LinAlg, start, parts...); };
  if (info < 0) {
    if (mentions(name, "svd"))
      linalg("The algorithm failed to converge because the input matrix contained non-finite values.");
    fail(ErrorKind::Runtime, start, "Argument ", -info, " has illegal value. Does the input contain NaN?");
  }
  if (mentions(name, "inv"))
    linalg("The diagonal element ", info,
           " is zero, the inversion could not be completed because the input matrix is singular.");
  if (mentions(name, "solve")) linalg("The solver failed because the input matrix is singular.");
  if (mentions(name, "cholesky"))
    linalg(
        "The factorization could not be completed because the input is not positive-definite (the leading minor of "
        "order ",
        info, " is not positive-definite).");
  if (mentions(name, "svd"))
    linalg(
        "The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated "
        "singular values (error code: ",
        info, ").");
  if (mentions(name, "eig"))
    linalg(
        "The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated "
        "eigenvalues (error code: ",
        info, ").");
  if (mentions(name, "lstsq"))
    linalg(
        "The least squares solution could not be computed because the input matrix does not have full rank (error "
        "code: ",
        info, ").");
  if (mentions(name, "lu_factor"))
    fail(ErrorKind::Runtime, start, "U[", info, ",", info,
         "] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the "
         "factorization, consider calling "
         "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)");
  fail(ErrorKind::Runtime, start, "D[", info, ",", info,
       "] is zero and using it in ldl_solve would result in a division by zero.");
}

void run_check_errors(const Tensor& info, std::string_view name, bool is_matrix) { check_info(info, name, is_matrix); }

}  // namespace

void check_info(const Tensor& info, std::string_view name, bool is_matrix) {
  if (info.is_meta()) return;
  const Tensor flat = contiguous_raw(info);
  const int32_t* values = flat.data_as<int32_t>();
  for (int64_t i = 0; i < flat.numel(); i++)
    if (values[i])
      fail_info(name, is_matrix ? concat(name, ": ") : concat(name, ": (Batch element ", i, "): "), values[i]);
}
static const Op linalg_check_errors{
    OpDef{.schema = "_linalg_check_errors(Tensor info, str api_name, *, bool is_matrix) -> ()",
          .run = fn<run_check_errors>,
          .on = Function | Internal,
          .batch = batch::same,
          .doc = "Raises torch.linalg.LinAlgError if a code that LAPACK returned for a matrix is not 0."}};

void check_gauge(const Tensor& along, const char* function, const char* vectors, const char* blame) {
  if (along.is_meta() || along.numel() == 0 || (along.impl()->special & kParts)) return;
  const BelowAutograd guard;
  const double largest = item(amax(abs(imag(along)))).to_double();
  check(largest <= 1e-2, function, ": The ", vectors,
        " in the complex case are specified up to multiplication by e^{i phi}. The specified loss function depends on ",
        blame, ".");
}

void raise_errors(const Tensor& info, std::string_view name, bool is_matrix) {
  Out nothing;
  linalg_check_errors.call(nothing, info, name, is_matrix);
}

bool may_differentiate(const Tensor& a) {
  if (a.impl()->special & kDual) return true;
  return thread_state.grad_enabled && !thread_state.below_autograd && a.needs_grad();
}

kernels::LapackCall lapack_call(const Tensor& a) {
  kernels::LapackCall call;
  call.dtype = a.dtype();
  call.batch = batch_count(a);
  call.m = rows_of(a);
  call.n = columns_of(a);
  call.a = a.data();
  return call;
}

void check_castable_out(const ResultNames& names, Out& out) {
  for (int i = 0; i < out.count; i++) {
    const DType from = out[i].dtype(), to = out.into[i].dtype();
    check(can_cast(from, to), names.function, ": Expected ", names.results[i], " to be safely castable from ",
          dtype_title(from), " dtype, but got ", names.results[i], " with dtype ", dtype_title(to));
  }
}

}  // namespace tabula
