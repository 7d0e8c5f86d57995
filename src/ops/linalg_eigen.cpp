// Eigenvalues.
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
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {
namespace {

// ---- Hermitian ----

std::tuple<Tensor, Tensor> run_eigh_raw(const Tensor& a, std::string_view uplo, bool vectors) {
  check_square(a, "linalg.eigh");
  const char letter = uplo.empty() ? ' ' : char(std::toupper(uplo[0]));
  check(uplo.size() == 1 && (letter == 'L' || letter == 'U'), "Expected UPLO argument to be 'L' or 'U', but got ",
        uplo);
  check_lapack_dtype(a, "linalg_eigh_cpu");
  const int64_t n = rows_of(a);
  const Tensor work = columns_copy(a),
               values = Tensor::empty(join(batch_sizes(a), {n}), real_dtype(a.dtype()), a.device());
  if (a.numel()) {
    const Tensor info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
    kernels::LapackCall call = lapack_call(work);
    call.b = values.data();
    call.info = info.data_as<int32_t>();
    call.upper = letter == 'U';
    call.vectors = vectors;
    kernels::eigh[a.device().kind](call);
    check_info(info, "linalg.eigh", a.dim() == 2);
  }
  return {values, vectors ? work : Tensor::empty(Dims{0}, a.dtype(), a.device())};
}

// Differences of eigenvalues, with ones on the diagonal.
Tensor gaps_of(const Tensor& values) {
  const int64_t n = values.sizes().back();
  return unsqueeze(values, int64_t(-2)) - unsqueeze(values, int64_t(-1)) +
         eye_raw(n, n, values.dtype(), values.device());
}
Tensor off_diagonal(const Tensor& t) { return t - diagonal_matrix(diagonal_of(t)); }

// Of the rotation of the eigenvectors only the skew part is free; this keeps the gradient Hermitian.
void eigh_vjp(Backward& b) {
  check(b.flag(2), "linalg_eigh_backward: torch.linalg.eigvalsh without eigenvectors is not differentiable");
  const Tensor &values = b.out(0), &vectors = b.out(1);
  if (!b.has_g(1)) {
    b.set(0, matmul(vectors * unsqueeze(b.g(0), int64_t(-2)), adjoint(vectors)));
    return;
  }
  const Tensor mixed = matmul(adjoint(vectors), b.g(1));
  if (is_complex(vectors.dtype()))
    check_gauge(diagonal_of(mixed), "linalg_eigh_backward", "eigenvectors", "this quantity, so it is ill-defined");
  Tensor inner = off_diagonal((mixed - adjoint(mixed)) * Scalar(0.5) / gaps_of(values));
  if (b.has_g(0)) inner = inner + diagonal_matrix(b.g(0));
  b.set(0, matmul(vectors, matmul(inner, adjoint(vectors))));
}
// A tangent counts as it is, Hermitian or not, as in PyTorch.
void eigh_jvp(Forward& f) {
  const Tensor &values = f.out(0), &vectors = f.out(1);
  check(f.flag(2), "linalg_eigh_jvp: torch.linalg.eigvalsh without eigenvectors is not differentiable");
  const Tensor rotated = matmul(adjoint(vectors), matmul(f.tangent(0), vectors));
  const Tensor slopes = diagonal_of(rotated);
  f.set(0, is_complex(slopes.dtype()) ? real(slopes) : slopes);
  f.set(1, matmul(vectors, off_diagonal(rotated) / gaps_of(values)));
}

#define EIGH_DOC                                                                                                   \
  "\n\nArgs: input (..., n, n), floating or complex; UPLO: which triangle is read. Raises RuntimeError for other " \
  "shapes and dtypes, torch.linalg.LinAlgError without convergence."
std::tuple<Tensor, Tensor> run_eigh(const Tensor& a, std::string_view uplo) {
  auto results = linalg_eigh_raw.many<2>(a, uplo, true);
  return {results[0], results[1]};
}
Tensor run_eigvalsh(const Tensor& a, std::string_view uplo) {
  return linalg_eigh_raw.many<2>(a, uplo, may_differentiate(a))[0];
}
const Op linalg_eigvalsh{OpDef{.schema = "linalg_eigvalsh(Tensor input, str UPLO='L') -> Tensor",
                               .run = fn_exact_out<run_eigvalsh>,
                               .on = Linalg | OutForm | Internal,
                               .composite = true,
                               .doc = "Eigenvalues of a Hermitian matrix in ascending order." EIGH_DOC TABULA_EXAMPLE(
                                   "torch.linalg.eigvalsh(torch.diag(torch.tensor([2., 1.])))", "tensor([1., 2.])")}};

// ---- general ----

void check_finite(const Tensor& a) {
  if (a.is_meta()) return;
  check(item(all(isfinite(a))).to_bool(), "torch.linalg.eig: input tensor should not contain infs or NaNs.");
}
DType eigen_dtype(DType d) {
  check(is_differentiable(d), "Unknown Complex ScalarType for ", dtype_title(d));
  return complex_dtype(d);
}
std::tuple<Tensor, Tensor> general(const Tensor& a, const char* name, bool want_vectors) {
  check_square(a, want_vectors ? "linalg.eig" : "linalg.eigvals");
  const DType dtype = eigen_dtype(a.dtype());
  check_lapack_dtype(a, "linalg_eig_out_cpu");
  check_finite(a);
  const int64_t n = rows_of(a);
  const Tensor values = Tensor::empty(join(batch_sizes(a), {n}), dtype, a.device());
  const Tensor vectors =
      want_vectors ? empty_columns(batch_sizes(a), n, n, dtype, a.device()) : Tensor::empty(Dims{0}, dtype, a.device());
  if (a.numel()) {
    // Eigenvectors amplify rounding errors: single precision is what the result is rounded to, not what it is computed
    // in.
    const bool single = real_dtype(a.dtype()) == DType::Float32;
    const Tensor work =
        columns_copy(single ? cast_raw(a, is_complex(a.dtype()) ? DType::Complex128 : DType::Float64) : a);
    const Tensor info = Tensor::empty(batch_sizes(a), DType::Int32, a.device());
    const Tensor found = single ? Tensor::empty(values.sizes(), DType::Complex128, a.device()) : values;
    const Tensor found_vectors =
        single && want_vectors ? empty_columns(batch_sizes(a), n, n, DType::Complex128, a.device()) : vectors;
    kernels::LapackCall call = lapack_call(work);
    call.b = found.data();
    call.c = found_vectors.data();
    call.info = info.data_as<int32_t>();
    call.vectors = want_vectors;
    kernels::eig[a.device().kind](call);
    check_info(info, name, a.dim() == 2);
    if (single) {
      copy_into(values, found);
      if (want_vectors) copy_into(vectors, found_vectors);
    }
  }
  return {values, vectors};
}
std::tuple<Tensor, Tensor> run_eig(const Tensor& a) { return general(a, "torch.linalg.eig", true); }
Tensor run_eigvals_raw(const Tensor& a) { return std::get<0>(general(a, "torch.linalg.eigvals", false)); }

// Boeddeker et al., "On the computation of complex-valued gradients with application to statistically optimum
// beamforming" (2017). Eigenvectors have unit norm: their component along themselves is taken out.
void eig_vjp(Backward& b) {
  const Tensor &values = b.out(0), &vectors = b.out(1), dual = adjoint(vectors);
  Tensor inner;
  if (b.has_g(1)) {
    Tensor mixed = matmul(dual, b.g(1));
    const Tensor own = diagonal_of(mixed);
    check_gauge(own, "linalg_eig_backward", "eigenvectors", "this quantity, so it is ill-defined");
    mixed = mixed - matmul(dual, vectors) * unsqueeze(real(own), int64_t(-2));
    inner = off_diagonal(mixed / conj_of(gaps_of(values)));
    if (b.has_g(0)) inner = inner + diagonal_matrix(b.g(0));
  } else {
    inner = diagonal_matrix(b.g(0));
  }
  const Tensor result = linalg_solve_ex(dual, matmul(inner, dual));
  b.set(0, is_complex(b.dtype(0)) ? result : real(result));
}

#define EIG_DOC                                                                                                        \
  "\n\nArgs: input (..., n, n), floating or complex. The results are complex. Raises RuntimeError for infinities and " \
  "NaN, other shapes and dtypes."
constexpr ResultNames kEig{"torch.linalg.eig", {"eigenvalues", "eigenvectors"}},
    kEigvals{"torch.linalg.eigvals", {"eigenvalues"}};
const Op linalg_eig{
    OpDef{.schema = "linalg_eig(Tensor input) -> (Tensor eigenvalues, Tensor eigenvectors)",
          .run = fn_castable_out<run_eig, &kEig>,
          .on = Linalg | OutForm | Internal,
          .vjp = eig_vjp,
          .save = out(0) | out(1) | shape(0),
          .batch = batch::decomposition,
          .doc = "Eigenvalues, and eigenvectors of unit length as columns, of a square matrix." EIG_DOC TABULA_EXAMPLE(
              "torch.linalg.eig(torch.diag(torch.tensor([2., 1.]))).eigenvalues", "tensor([2.+0.j, 1.+0.j])")}};
const Op eigvals_raw{OpDef{.schema = "_linalg_eigvals(Tensor input) -> Tensor",
                           .run = fn<run_eigvals_raw>,
                           .on = Linalg | Internal,
                           .batch = batch::decomposition,
                           .doc = "torch.linalg.eigvals without a derivative."}};
Tensor run_eigvals(const Tensor& a) {
  check_square(a, "linalg.eigvals");
  return may_differentiate(a) ? linalg_eig.many<2>(a)[0] : eigvals_raw(a);
}
const Op linalg_eigvals{
    OpDef{.schema = "linalg_eigvals(Tensor input) -> Tensor",
          .run = fn_castable_out<run_eigvals, &kEigvals>,
          .on = Linalg | OutForm | Internal,
          .composite = true,
          .doc = "Eigenvalues of a square matrix." EIG_DOC TABULA_EXAMPLE(
              "torch.linalg.eigvals(torch.diag(torch.tensor([2., 1.])))", "tensor([2.+0.j, 1.+0.j])")}};

}  // namespace

const Op linalg_eigh_raw{OpDef{
    .schema = "_linalg_eigh(Tensor A, str UPLO='L', bool compute_v=True) -> (Tensor eigenvalues, Tensor eigenvectors)",
    .run = fn_exact_out<run_eigh_raw>,
    .on = Function | OutForm | Internal,
    .jvp = eigh_jvp,
    .vjp = eigh_vjp,
    .save = out(0) | out(1),
    .node = "LinalgEighBackward0",
    .batch = batch::decomposition,
    .doc = "torch.linalg.eigh, with empty eigenvectors if compute_v is False."}};
const Op linalg_eigh{OpDef{
    .schema = "linalg_eigh(Tensor input, str UPLO='L') -> (Tensor eigenvalues, Tensor eigenvectors)",
    .run = fn_exact_out<run_eigh>,
    .on = Linalg | OutForm | Internal,
    .composite = true,
    .doc = "Eigenvalues in ascending order, and orthonormal eigenvectors as columns, of a Hermitian matrix." EIGH_DOC
        TABULA_EXAMPLE("torch.linalg.eigh(torch.diag(torch.tensor([2., 1.]))).eigenvalues", "tensor([1., 2.])")}};
#undef EIGH_DOC
#undef EIG_DOC

}  // namespace tabula
