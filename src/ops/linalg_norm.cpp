// Norms of matrices, and condition numbers.
#include <cmath>

#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/linalg.h"
#include "ops/linalg_common.h"
#include "ops/mask.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/reduce_norm.h"
#include "ops/scalar_range.h"
#include "ops/view.h"

namespace tabula {
namespace {

std::string joined(IntList items) {
  std::string text;
  for (int64_t item : items) text += (text.empty() ? "" : " ") + std::to_string(item);
  return text;
}
std::string order_text(const Scalar& ord) {
  const double p = ord.to_double();
  return std::isinf(p) ? p < 0 ? "-inf" : "inf" : concat(p);
}

void check_norm_dtype(const Tensor& a, std::optional<DType> dtype, const char* name) {
  if (!dtype) return;
  check(is_differentiable(*dtype), name, ": dtype should be floating point or complex, but got ", dtype_title(*dtype));
  const char* kind = is_complex(a.dtype()) ? "complex" : "real";
  check(is_complex(*dtype) == is_complex(a.dtype()), name, ": dtype should be ", kind, " for ", kind,
        " inputs, but got ", dtype_title(*dtype));
  check(promote_types(a.dtype(), *dtype) == *dtype, name, ": the dtype of the input (", dtype_title(a.dtype()),
        ") should be convertible without narrowing to the specified dtype (", dtype_title(*dtype), ")");
}

constexpr const char* kMatrixNorm = "linalg.matrix_norm";
struct MatrixDims {
  int64_t first, second;
};
MatrixDims matrix_dims(const Tensor& a, IntList dim) {
  check_matrix(a, kMatrixNorm);
  check(is_differentiable(a.dtype()), kMatrixNorm, ": Expected a floating point or complex tensor as input. Got ",
        dtype_title(a.dtype()));
  check(dim.size() == 2, kMatrixNorm, ": dim must be a 2-tuple. Got ", joined(dim));
  const MatrixDims dims{wrap_dim(dim[0], a.dim()), wrap_dim(dim[1], a.dim())};
  check(dims.first != dims.second, kMatrixNorm, ": dims must be different. Got (", dim[0], ", ", dim[1], ")");
  return dims;
}
Tensor singular_values(const Tensor& a, MatrixDims dims) {
  check_values(a, kMatrixNorm);
  const int64_t from[] = {dims.first, dims.second}, to[] = {-2, -1};
  const Tensor matrices = movedim(a, IntList(from, 2), IntList(to, 2));
  return linalg_svdvals(matrices);
}
Tensor kept(Tensor t, MatrixDims dims, bool keepdim) {
  if (!keepdim) return t;
  return unsqueeze(unsqueeze(t, std::min(dims.first, dims.second)), std::max(dims.first, dims.second));
}
// The largest of no norms is 0; there is no smallest.
Tensor largest(const Tensor& t, int64_t dim, bool keepdim) {
  if (t.size(dim) == 0) return sum_dim(t, IntList(&dim, 1), keepdim);
  return amax(t, IntList(&dim, 1), keepdim);
}

Tensor matrix_norm_number(const Tensor& input, const Scalar& ord, IntList dim, bool keepdim,
                          std::optional<DType> dtype) {
  const MatrixDims dims = matrix_dims(input, dim);
  check(!ord.is_complex(), kMatrixNorm, ": Expected a non-complex scalar as the order of norm.");
  const double p = ord.to_double(), size = std::abs(p);
  check(size == 1 || size == 2 || std::isinf(size), kMatrixNorm, ": Order ", order_text(ord), " not supported.");
  check_norm_dtype(input, dtype, kMatrixNorm);
  if (size == 2) check_values(input, kMatrixNorm);
  const Tensor a = dtype && *dtype != input.dtype() ? to_dtype(input, *dtype) : input;
  int64_t last = -1;
  if (size == 2) {
    const Tensor s = singular_values(a, dims);
    return kept(p > 0 ? largest(s, -1, false) : amin(s, IntList(&last, 1)), dims, keepdim);
  }
  int64_t summed = dims.first, compared = dims.second;
  if (std::isinf(p)) std::swap(summed, compared);
  if (!keepdim && summed < compared) compared--;
  const Tensor sums = linalg_vector_norm(a, Scalar(1.0), IntList(&summed, 1), keepdim);
  return p > 0 ? largest(sums, compared, keepdim) : amin(sums, IntList(&compared, 1), keepdim);
}
Tensor matrix_norm_name(const Tensor& input, std::string_view ord, IntList dim, bool keepdim,
                        std::optional<DType> dtype) {
  const MatrixDims dims = matrix_dims(input, dim);
  check(ord == "fro" || ord == "nuc", kMatrixNorm, ": Order ", ord, " not supported.");
  check_norm_dtype(input, dtype, kMatrixNorm);
  if (ord == "fro") {
    const int64_t both[] = {dims.first, dims.second};
    return dtype ? linalg_vector_norm(input, Scalar(2.0), IntList(both, 2), keepdim, *dtype)
                 : linalg_vector_norm(input, Scalar(2.0), IntList(both, 2), keepdim);
  }
  check_values(input, kMatrixNorm);
  const int64_t last = -1;
  return kept(sum_dim(singular_values(dtype && *dtype != input.dtype() ? to_dtype(input, *dtype) : input, dims),
                      IntList(&last, 1)),
              dims, keepdim);
}

// out= must have the very dtype.
template <auto F, const char* const* name>
void run_same_out(const Op& op, const Value* args, Out& out) {
  detail::Typed<F>::run(op, args, out);
  if (out.into)
    check(out[0].dtype() == out.into[0].dtype(), *name, " expected out tensor dtype ", dtype_title(out[0].dtype()),
          " but got: ", dtype_title(out.into[0].dtype()));
}
template <auto F, const char* const* name>
constexpr Implementation fn_same_out{&run_same_out<F, name>, detail::Typed<F>::params.data(), detail::Typed<F>::arity};

constexpr const char *const kMatrixNormName = kMatrixNorm, *const kNormName = "linalg.norm";

const Op linalg_matrix_norm{
    OpDef{.schema = "linalg_matrix_norm(Tensor input, Scalar ord, int[] dim=[-2, -1], bool keepdim=False, *, dtype? "
                    "dtype=None) -> Tensor",
          .run = fn_same_out<matrix_norm_number, &kMatrixNormName>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "A norm of the matrices that two dimensions span.\n\n"
                 "Args: input, floating or complex; ord: 'fro' (default), 'nuc' (sum of singular values), 1 or -1 "
                 "(largest or smallest sum of magnitudes of a column), inf or -inf (of a row), 2 or -2 "
                 "(largest or smallest singular value); dim: two dimensions; keepdim; dtype: computed in. Returns a "
                 "real tensor. Raises RuntimeError for other orders, dims and dtypes." TABULA_EXAMPLE(
                     "torch.linalg.matrix_norm(torch.tensor([[3., 0.], [0., 4.]]))", "tensor(5.)")}};
const Op linalg_matrix_norm_name{OpDef{.schema = "linalg_matrix_norm.str_ord(Tensor input, str ord='fro', int[] "
                                                 "dim=[-2, -1], bool keepdim=False, *, dtype? dtype=None) -> Tensor",
                                       .run = fn_same_out<matrix_norm_name, &kMatrixNormName>,
                                       .on = Linalg | OutForm | Internal,
                                       .composite = true}};

// ---- norm ----

void check_norm_dims(const Tensor& a, OptionalInts dim, bool ordered) {
  if (dim)
    check(dim->size() == 1 || dim->size() == 2, "linalg.norm: If dim is specified, it must be of length 1 or 2. Got ",
          shape_text(*dim));
  else if (ordered)
    check(a.dim() == 1 || a.dim() == 2,
          "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got ", a.dim(), "D.");
}
Tensor norm_number(const Tensor& a, std::optional<Scalar> ord, OptionalInts dim, bool keepdim,
                   std::optional<DType> dtype) {
  check_norm_dims(a, dim, ord.has_value());
  const int64_t both[] = {0, 1};
  if (ord && ((dim && dim->size() == 2) || (!dim && a.dim() == 2)))
    return matrix_norm_number(a, *ord, dim.value_or(IntList(both, 2)), keepdim, dtype);
  return linalg_vector_norm(a, ord.value_or(Scalar(2.0)), dim, keepdim, dtype);
}
Tensor norm_name(const Tensor& a, std::string_view ord, OptionalInts dim, bool keepdim, std::optional<DType> dtype) {
  check_norm_dims(a, dim, true);
  const int64_t both[] = {0, 1};
  return matrix_norm_name(a, ord, dim.value_or(IntList(both, 2)), keepdim, dtype);
}
const Op linalg_norm{OpDef{
    .schema = "linalg_norm(Tensor input, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, dtype? dtype=None) "
              "-> Tensor",
    .run = fn_same_out<norm_number, &kNormName>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .parts = true,
    .doc = "A vector norm or, for two dimensions and an order, a matrix norm; without an order the root of the sum of "
           "squares.\n\n"
           "Args: input, floating or complex; ord: as for torch.linalg.vector_norm or torch.linalg.matrix_norm; dim: "
           "None (all), one or two dimensions; keepdim; dtype: "
           "computed in. Returns a real tensor. Raises RuntimeError for other orders, dims and dtypes." TABULA_EXAMPLE(
               "torch.linalg.norm(torch.tensor([3., 4.]))", "tensor(5.)")}};
const Op linalg_norm_name{OpDef{.schema = "linalg_norm.ord_str(Tensor input, str ord, int[1]? dim=None, bool "
                                          "keepdim=False, *, dtype? dtype=None) -> Tensor",
                                .run = fn_same_out<norm_name, &kNormName>,
                                .on = Linalg | OutForm | Internal,
                                .composite = true}};

Tensor run_frobenius_norm(const Tensor& a, IntList dim, bool keepdim) {
  check(is_differentiable(a.dtype()), "norm(): input dtype should be either floating point or complex. Got ",
        dtype_title(a.dtype()), " instead.");
  check(dim.size() <= 2, "Expected at most 2 dimensions, but got ", int64_t(dim.size()), " dimensions instead.");
  return linalg_vector_norm(a, Scalar(2.0), dim, keepdim, std::nullopt);
}
const Op frobenius_norm{OpDef{.schema = "frobenius_norm(Tensor input, int[1] dim, bool keepdim=False) -> Tensor",
                              .run = fn<run_frobenius_norm>,
                              .on = Function | OutForm | Internal,
                              .composite = true,
                              .doc = "The root of the sum of squares over at most two dimensions." TABULA_EXAMPLE(
                                  "torch.frobenius_norm(torch.tensor([3., 4.]), 0)", "tensor(5.)")}};
Tensor run_nuclear_norm_dim(const Tensor& a, IntList dim, bool keepdim) {
  return matrix_norm_name(a, "nuc", dim, keepdim, std::nullopt);
}
Tensor run_nuclear_norm(const Tensor& a, bool keepdim) {
  const int64_t last[] = {-2, -1};
  return run_nuclear_norm_dim(a, IntList(last, 2), keepdim);
}
const Op nuclear_norm_dim{OpDef{
    .schema = "nuclear_norm.dim(Tensor input, int[2] dim, bool keepdim=False) -> Tensor",
    .run = fn<run_nuclear_norm_dim>,
    .on = Function | OutForm | Internal,
    .composite = true,
    .doc = "The sum of a matrix's singular values." TABULA_EXAMPLE("torch.nuclear_norm(torch.eye(2))", "tensor(2.)")}};
const Op nuclear_norm{OpDef{.schema = "nuclear_norm(Tensor input, bool keepdim=False) -> Tensor",
                            .run = fn<run_nuclear_norm>,
                            .on = Function | OutForm | Internal,
                            .composite = true}};

// ---- condition ----

Tensor no_condition(const Tensor& a) { return zeros_raw(batch_sizes(a), real_dtype(a.dtype()), a.device()); }
// Singular matrices have an infinite condition number (or none, by their nuclear norm); their inverses hold no numbers.
template <class Norm>
Tensor by_inverse(const Tensor& a, double singular, Norm&& norm) {
  const auto [inverse, info] = linalg_inv_ex.many<2>(a, false);
  const Tensor failed = ne(info, Scalar(int64_t(0)));
  const Tensor finite = masked_fill(inverse, unsqueeze(unsqueeze(failed, int64_t(-1)), int64_t(-1)), Scalar(0.0));
  return masked_fill(norm(a) * norm(finite), failed, Scalar(singular));
}
Tensor cond_number(const Tensor& a, std::optional<Scalar> p) {
  check(a.dim() >= 2, "linalg.cond: The input tensor must have at least 2 dimensions.");
  check(!p || !p->is_complex(), "value cannot be converted to type double without overflow");
  const double order = p ? p->to_double() : 2.0, size = std::abs(order);
  check(size == 1 || size == 2 || std::isinf(size), "linalg.cond got an invalid norm type: ", p ? order_text(*p) : "2");
  if (a.numel() == 0) return no_condition(a);
  if (size == 2) {
    const Tensor s = linalg_svdvals(a), high = select(s, int64_t(-1), int64_t(0)),
                 low = select(s, int64_t(-1), int64_t(-1));
    return order < 0 ? low / high : high / low;
  }
  check_square(a, concat("linalg.cond(ord=", order_text(*p), ")").c_str());
  const int64_t last[] = {-2, -1};
  return by_inverse(a, INFINITY,
                    [&](const Tensor& t) { return matrix_norm_number(t, *p, IntList(last, 2), false, std::nullopt); });
}
Tensor cond_name(const Tensor& a, std::string_view p) {
  check_square(a, concat("linalg.cond(ord=", p, ")").c_str());
  check(p == "fro" || p == "nuc", "linalg.cond got an invalid norm type: ", p);
  if (a.numel() == 0) return no_condition(a);
  const int64_t last[] = {-2, -1};
  return by_inverse(a, p == "nuc" ? NAN : INFINITY,
                    [&](const Tensor& t) { return matrix_norm_name(t, p, IntList(last, 2), false, std::nullopt); });
}
constexpr ResultNames kCond{"linalg.cond", {"result"}};
const Op linalg_cond{OpDef{.schema = "linalg_cond(Tensor input, Scalar? p=None) -> Tensor",
                           .run = fn_castable_out<cond_number, &kCond>,
                           .on = Linalg | OutForm | Internal,
                           .composite = true,
                           .doc = "The condition number: by how much a matrix can magnify relative errors.\n\n"
                                  "Args: input (..., m, n), floating or complex; p: the norm, 2 (default) or -2 for "
                                  "any matrix, 1, -1, inf, -inf, 'fro' or 'nuc' for square ones. Infinite for singular "
                                  "matrices. Raises RuntimeError for other norms, shapes and dtypes." TABULA_EXAMPLE(
                                      "torch.linalg.cond(torch.diag(torch.tensor([1., 4.])))", "tensor(4.)")}};
const Op linalg_cond_name{OpDef{.schema = "linalg_cond.p_str(Tensor input, str p) -> Tensor",
                                .run = fn_castable_out<cond_name, &kCond>,
                                .on = Linalg | OutForm | Internal,
                                .composite = true}};

}  // namespace
}  // namespace tabula
