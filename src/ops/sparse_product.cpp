// Products of a compressed sparse matrix, given by its parts, with dense matrices; each is the other's derivative.
#include "kernels/sparse.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/sparse.h"
#include "ops/view.h"

namespace tabula {

static kernels::CompressedMatrix matrix_of(const Tensor& pointers, const Tensor& indices, int64_t width) {
  const bool index =
      pointers.dtype() == indices.dtype() && (indices.dtype() == DType::Int64 || indices.dtype() == DType::Int32);
  check(index, "the indices of a sparse tensor must both be int32 or both int64 to multiply with it");
  check(pointers.dim() == 1 && indices.dim() == 1 && pointers.numel() > 0,
        "only matrices can be multiplied, not batches of them");
  return {indices.dtype(), pointers.data(), indices.data(), pointers.numel() - 1, indices.numel(), width};
}

// The matrices of a batch that share a pattern, as the blocks of one: pointers and indices of that.
static std::array<Tensor, 2> block_diagonal(const Batched& b, int64_t width) {
  static constexpr int64_t flat[] = {-1}, column[] = {-1, 1};
  const Tensor &pointers = b.in(0), &indices = b.in(1);
  const int64_t lines = pointers.numel() - 1;
  const Tensor number = to_dtype(reshape(arange_raw(b.size), IntList(column)), pointers.dtype());
  const Tensor ends = add(narrow(pointers, int64_t(0), int64_t(1), lines), mul(number, Scalar(indices.numel())));
  const Tensor parts[] = {narrow(pointers, int64_t(0), int64_t(0), int64_t(1)), reshape(ends, IntList(flat))};
  return {cat(TensorList(parts), int64_t(0)), reshape(add(indices, mul(number, Scalar(width))), IntList(flat))};
}
static Tensor rows_joined(const Batched& b, int i) {
  const Tensor t = b.spread(i);
  const int64_t sizes[] = {t.sizes()[0] * t.sizes()[1], t.sizes()[2]};
  return reshape(t, IntList(sizes));
}
static void batch_rows_times(Batched& b);
static void batch_row_products(Batched& b);

static Tensor run_rows_times(const Tensor& given_pointers, const Tensor& given_indices, const Tensor& given_values,
                             const Tensor& given_dense, int64_t rows, bool scatter) {
  const Tensor pointers = contiguous_raw(given_pointers), indices = contiguous_raw(given_indices),
               values = contiguous_raw(given_values), dense = contiguous_raw(given_dense);
  check(values.dim() == 1 && values.numel() == indices.numel(),
        "only sparse matrices without dense dimensions can be multiplied");
  check(dense.dim() == 2 && values.dtype() == dense.dtype(), "expected scalar type ", dtype_title(values.dtype()),
        " but found ", dtype_title(dense.dtype()));
  Tensor result = Tensor::empty(Dims{rows, dense.sizes()[1]}, dense.dtype(), dense.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const kernels::CompressedMatrix matrix = matrix_of(pointers, indices, scatter ? rows : dense.sizes()[0]);
  check(matrix.lines == (scatter ? dense.sizes()[0] : rows), "a sparse matrix of ", matrix.lines,
        " lines does not fit matrices of ", dense.sizes()[0], " and ", rows, " rows");
  kernels::sparse_times_dense[dense.device().kind](
      {dense.dtype(), matrix, scatter, values.data(), dense.data(), dense.sizes()[1], result.data()});
  return result;
}
extern const Op sparse_row_products;
static void rows_times_vjp(Backward& b);
static const Op sparse_rows_times{OpDef{.schema = "_sparse_rows_times(Tensor compressed, Tensor plain, Tensor values, "
                                                  "Tensor dense, int rows, bool scatter) -> Tensor",
                                        .run = fn<run_rows_times>,
                                        .on = Internal,
                                        .vjp = rows_times_vjp,
                                        .save = in(0) | in(1) | in(2) | in(3),
                                        .node = "SparseMmBackward0",
                                        .batch = batch_rows_times}};
static void batch_rows_times(Batched& b) {
  if (b.batched(0) || b.batched(1)) return batch::refused(b);
  const int64_t rows = b.args[4].integer(), size = b.size, columns = b.in(3).sizes().back();
  const bool scatter = b.args[5].flag();
  if (b.batched(2)) {
    const auto [pointers, indices] = block_diagonal(b, scatter ? rows : b.sizes(3)[0]);
    static constexpr int64_t flat[] = {-1};
    const Tensor values = reshape(b.in(2), IntList(flat));
    const int64_t sizes[] = {size, rows, columns};
    return b.give(0, reshape(sparse_rows_times(pointers, indices, values, rows_joined(b, 3), size * rows, scatter),
                             IntList(sizes)));
  }
  // one matrix: the examples' columns lie side by side
  static constexpr int64_t order[] = {1, 0, 2};
  const int64_t wide[] = {b.in(3).sizes()[1], size * columns}, sizes[] = {rows, size, columns};
  const Tensor dense = reshape(permute(b.in(3), IntList(order)), IntList(wide));
  const Tensor product = sparse_rows_times(b.in(0), b.in(1), b.in(2), dense, rows, scatter);
  b.give(0, permute(reshape(product, IntList(sizes)), IntList(order)));
}
static void rows_times_vjp(Backward& b) {
  const Tensor &pointers = b.in(0), &indices = b.in(1), &values = b.in(2), &dense = b.in(3);
  const bool scatter = b.flag(5);
  if (b.needs(2)) b.set(2, sparse_row_products(pointers, indices, b.g(), conj(dense), scatter));
  if (b.needs(3)) b.set(3, sparse_rows_times(pointers, indices, conj(values), b.g(), dense.sizes()[0], !scatter));
}

static Tensor run_row_products(const Tensor& given_pointers, const Tensor& given_indices, const Tensor& given_first,
                               const Tensor& given_second, bool scatter) {
  const Tensor pointers = contiguous_raw(given_pointers), indices = contiguous_raw(given_indices),
               first = contiguous_raw(given_first), second = contiguous_raw(given_second);
  check(
      first.dim() == 2 && second.dim() == 2 && first.dtype() == second.dtype() && first.sizes()[1] == second.sizes()[1],
      "the rows of matrices of shapes ", shape_text(first.sizes()), " and ", shape_text(second.sizes()),
      " have no products");
  const Tensor &by_line = scatter ? second : first, &by_index = scatter ? first : second;
  Tensor result = Tensor::empty(indices.sizes(), first.dtype(), first.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const kernels::CompressedMatrix matrix = matrix_of(pointers, indices, by_index.sizes()[0]);
  check(matrix.lines == by_line.sizes()[0], "a sparse matrix of ", matrix.lines, " lines does not fit one of ",
        by_line.sizes()[0], " rows");
  kernels::sparse_row_products[first.device().kind](
      {first.dtype(), matrix, by_line.data(), by_index.data(), first.sizes()[1], result.data()});
  return result;
}
static void row_products_vjp(Backward& b) {
  const Tensor &pointers = b.in(0), &indices = b.in(1), &first = b.in(2), &second = b.in(3);
  const bool scatter = b.flag(4);
  if (b.needs(2)) b.set(2, sparse_rows_times(pointers, indices, b.g(), conj(second), first.sizes()[0], scatter));
  if (b.needs(3)) b.set(3, sparse_rows_times(pointers, indices, b.g(), conj(first), second.sizes()[0], !scatter));
}
const Op sparse_row_products{OpDef{
    .schema =
        "_sparse_row_products(Tensor compressed, Tensor plain, Tensor first, Tensor second, bool scatter) -> Tensor",
    .run = fn<run_row_products>,
    .on = Internal,
    .vjp = row_products_vjp,
    .save = in(0) | in(1) | in(2) | in(3),
    .node = "SparseSampledMmBackward0",
    .batch = batch_row_products}};
static void batch_row_products(Batched& b) {
  if (b.batched(0) || b.batched(1)) return batch::refused(b);
  const bool scatter = b.args[4].flag();
  const auto [pointers, indices] = block_diagonal(b, b.sizes(scatter ? 2 : 3)[0]);
  const int64_t sizes[] = {b.size, b.in(1).numel()};
  b.give(0, reshape(sparse_row_products(pointers, indices, rows_joined(b, 2), rows_joined(b, 3), scatter),
                    IntList(sizes)));
}

}  // namespace tabula
