// The exponential of a matrix.
#include <cmath>

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg_common.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

// Degree of the Taylor polynomial, and the largest 1-norm for which it is exact to rounding; after Bader, Blanes and
// Casas, "Computing the matrix exponential with an optimized Taylor polynomial approximation" (2019).
constexpr int kDegree = 18, kBlock = 6;
double reach(DType d) { return real_dtype(d) == DType::Float64 ? 1.090863719290036 : 3.010066362817634; }

// How often each matrix is halved before, and squared after the polynomial.
std::vector<int> squarings_of(const Tensor& a) {
  const int64_t rows = -2, columns = -1;
  const Tensor norms =
      contiguous_raw(cast_raw(amax(sum_dim(abs(a), IntList(&rows, 1)), IntList(&columns, 1)), DType::Float64));
  std::vector<int> counts(size_t(norms.numel()));
  for (size_t i = 0; i < counts.size(); i++) {
    const double norm = norms.data_as<double>()[i];
    if (std::isfinite(norm) && norm > reach(a.dtype())) counts[i] = int(std::ceil(std::log2(norm / reach(a.dtype()))));
  }
  return counts;
}

// One number for each matrix, to be broadcast over it.
template <class F>
Tensor per_matrix(const Tensor& a, const std::vector<int>& counts, F&& value) {
  const Tensor values = Tensor::empty(join(batch_sizes(a), {1, 1}), DType::Float64, a.device());
  for (size_t i = 0; i < counts.size(); i++) values.data_as<double>()[i] = value(counts[i]);
  return values;
}

// Paterson and Stockmeyer: powers up to the sixth, then Horner's rule in the sixth.
Tensor polynomial(const Tensor& x) {
  const int64_t n = rows_of(x);
  std::vector<Tensor> powers{eye_raw(n, n, x.dtype(), x.device()), x};
  for (int i = 2; i <= kBlock; i++) powers.push_back(matmul(powers[size_t(i / 2)], powers[size_t(i - i / 2)]));
  double factorial[kDegree + 1] = {1.0};
  for (int i = 1; i <= kDegree; i++) factorial[i] = factorial[i - 1] * i;
  Tensor result = powers[kBlock] * Scalar(1 / factorial[kDegree]);
  for (int block = kDegree / kBlock - 1; block >= 0; block--) {
    Tensor part = powers[0] * Scalar(1 / factorial[kBlock * block]);
    for (int j = 1; j < kBlock; j++) part = part + powers[size_t(j)] * Scalar(1 / factorial[kBlock * block + j]);
    result = block == kDegree / kBlock - 1 ? part + result : part + matmul(powers[kBlock], result);
  }
  return result;
}

Tensor run_matrix_exp(const Tensor& input) {
  check_square(input, "linalg.matrix_exp");
  check_values(input, "linalg.matrix_exp", true);
  if (input.numel() == 0 || input.is_meta()) return Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (is_reduced_float(input.dtype())) return cast_raw(run_matrix_exp(cast_raw(input, DType::Float32)), input.dtype());
  if (rows_of(input) == 1) return contiguous_raw(exp(input));
  const std::vector<int> counts = squarings_of(input);
  const int most = *std::max_element(counts.begin(), counts.end());
  const DType real = real_dtype(input.dtype());
  const Tensor x =
      most ? input * cast_raw(per_matrix(input, counts, [](int count) { return std::ldexp(1.0, -count); }), real)
           : input;
  Tensor result = polynomial(x);
  for (int step = 0; step < most; step++) {
    const Tensor squared = matmul(result, result);
    const bool all = std::all_of(counts.begin(), counts.end(), [step](int count) { return count > step; });
    result = all ? squared
                 : where(cast_raw(per_matrix(input, counts, [step](int count) { return double(count > step); }),
                                  DType::Bool),
                         squared, result);
  }
  return contiguous_raw(result);
}

// The derivative in direction E is the upper right block of exp([[A, E], [0, A]]): Mathias, "A chain rule for matrix
// functions and applications" (1996). Its adjoint takes A^H.
void matrix_exp_vjp(Backward& b);
const Op matrix_exp{
    OpDef{.schema = "matrix_exp(Tensor input) -> Tensor",
          .run = fn<run_matrix_exp>,
          .on = Both,
          .vjp = matrix_exp_vjp,
          .save = in(0),
          .batch = batch::decomposition,
          .doc = "The exponential of a square matrix (..., n, n), floating or complex, by scaling, a Taylor polynomial "
                 "and squaring." TABULA_EXAMPLE("torch.matrix_exp(torch.zeros(2, 2))",
                                                "tensor([[1., 0.],\n            [0., 1.]])")}};
void matrix_exp_vjp(Backward& b) {
  const Tensor a = adjoint(b.in(0));
  const int64_t n = rows_of(a);
  const Tensor upper_row[] = {a, b.g()}, lower_row[] = {zeros_raw(a.sizes(), a.dtype(), a.device()), a};
  const Tensor rows[] = {cat(TensorList(upper_row), int64_t(-1)), cat(TensorList(lower_row), int64_t(-1))};
  b.set(0,
        narrow(narrow(matrix_exp(cat(TensorList(rows), int64_t(-2))), int64_t(-2), int64_t(0), n), int64_t(-1), n, n));
}
Tensor run_linalg_matrix_exp(const Tensor& a) { return matrix_exp(a); }
const Op linalg_matrix_exp{
    OpDef{.schema = "linalg_matrix_exp(Tensor input) -> Tensor",
          .run = fn<run_linalg_matrix_exp>,
          .on = Linalg | Internal,
          .composite = true,
          .doc = "torch.matrix_exp." TABULA_EXAMPLE("torch.linalg.matrix_exp(torch.zeros(1, 1))", "tensor([[1.]])")}};

}  // namespace
}  // namespace tabula
