// What the rows of linear algebra share: PyTorch's checks, and matrices in LAPACK's order.
#pragma once

#include "kernels/lapack.h"
#include "ops/opdef.h"

namespace tabula {

// "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"; without a name, no prefix.
void check_matrix(const Tensor& a, const char* name, const char* argument = "A");
void check_square(const Tensor& a, const char* name, const char* argument = "A");
// "linalg.solve: Incompatible shapes of A and B for the equation AX = B (3x3 and 2x2)"
void check_sides(const Tensor& a, const Tensor& b, bool left, const char* name);
// Refuses integers, and half precision too unless that is left to the kernel.
void check_values(const Tensor& a, const char* name, bool low_precision = false);
// NotImplementedError: "lu_cpu" not implemented for 'Half'
void check_lapack_dtype(const Tensor& a, const char* kernel);
bool has_lapack_dtype(const Tensor& a);

inline int64_t rows_of(const Tensor& a) { return a.sizes()[size_t(a.dim() - 2)]; }
inline int64_t columns_of(const Tensor& a) { return a.sizes()[size_t(a.dim() - 1)]; }
inline IntList batch_sizes(const Tensor& a) { return a.sizes().first(size_t(a.dim() - 2)); }
// `front` and then these.
Dims join(IntList front, std::initializer_list<int64_t> back);

// Fresh matrices that lie column by column.
Tensor empty_columns(IntList batch, int64_t rows, int64_t columns, DType dtype, Device device);
// The same with a's values; of `rows` rows, of which a gives the first ones.
Tensor columns_copy(const Tensor& a);
Tensor columns_copy(const Tensor& a, int64_t rows);
// A tensor in that order already, or a copy.
Tensor as_columns(const Tensor& a);
// A contiguous tensor: a itself where it is.
inline int64_t batch_count(const Tensor& a) { return count_elements(batch_sizes(a)); }

// a's matrices repeated over the batch dimensions `batch`, below autograd and above it.
Tensor expand_batch(const Tensor& a, IntList batch);
Tensor expand_batch_raw(const Tensor& a, IntList batch);

// Identity matrices, and zeros with ones on the diagonal of rectangular ones.
Tensor eye_raw(int64_t rows, int64_t columns, DType dtype, Device device);
Tensor diagonal_of(const Tensor& a);           // of the last two dimensions
Tensor diagonal_matrix(const Tensor& values);  // the reverse

// Throws LinAlgError for the first matrix whose info is not 0, in the words of the operation that `name` is of.
// On the meta device nothing is known.
void check_info(const Tensor& info, std::string_view name, bool is_matrix);
// The same by way of an operation, for composites.
void raise_errors(const Tensor& info, std::string_view name, bool is_matrix);

// A call over all matrices of `a`, which lie column by column.
kernels::LapackCall lapack_call(const Tensor& a);

// Will a derivative be asked for?
bool may_differentiate(const Tensor& a);

// Implementations whose out= tensors may have other dtypes that the results fit in, and what they are called if not.
struct ResultNames {
  const char* function;
  const char* results[4];
};
void check_castable_out(const ResultNames& names, Out& out);
namespace detail {
template <auto F, const ResultNames* names>
void run_castable_out(const Op& op, const Value* args, Out& out) {
  Typed<F>::run(op, args, out);
  if (out.into) check_castable_out(*names, out);
}
}  // namespace detail
template <auto F, const ResultNames* names>
inline constexpr Implementation fn_castable_out{&detail::run_castable_out<F, names>, detail::Typed<F>::params.data(),
                                                detail::Typed<F>::arity};

}  // namespace tabula
