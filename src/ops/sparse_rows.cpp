// What concerns sparse tensors only, or makes them: rows whose implementation is a rule in torch/sparse, for tensors of
// any layout.
#include "ops/backward.h"
#include "ops/doc.h"
#include "ops/sparse.h"

namespace tabula {

void run_by_rule(const Op& op, const Value* args, Out& out) {
  const bool done = call_hooks.above_autograd && call_hooks.above_autograd({op, args, out}, kParts);
  check(done, "no rule for ", op.schema.name);
}

#define NAMED_BY_RULE(symbol, text, where, node_name, help)                                                     \
  static const Op symbol {                                                                                      \
    OpDef {                                                                                                     \
      .schema = text, .run = boxed(run_by_rule), .on = where, .composite = true, .node = node_name, .doc = help \
    }                                                                                                           \
  }
#define BY_RULE(symbol, text, where, help) NAMED_BY_RULE(symbol, text, where, nullptr, help)

// ---- conversions ----

BY_RULE(to_dense, "to_dense(Tensor input, dtype? dtype=None, *, bool? masked_grad=None) -> Tensor", Method,
        "The strided tensor with the same elements; itself if it is strided. The gradient to a sparse tensor has its "
        "pattern, unless masked_grad=False asks for all of it. A RuntimeError for a dtype with a sparse "
        "tensor." TABULA_EXAMPLE("torch.sparse_coo_tensor([[1]], [2.0], (3,)).to_dense()", "tensor([0., 2., 0.])"));
BY_RULE(to_sparse_dim, "to_sparse.sparse_dim(Tensor input, int sparse_dim) -> Tensor", Method, "");
NAMED_BY_RULE(
    to_sparse, "to_sparse(Tensor input, *, Layout? layout=None, int[2]? blocksize=None, int? dense_dim=None) -> Tensor",
    Method, "ToSparseBackward1",
    "The tensor in a sparse layout, COO unless told otherwise; gradients flow back to the elements that it holds.\n\n"
    "Args: sparse_dim (of COO, how many of the first dimensions are sparse; all by default), layout, blocksize (rows "
    "and columns of the blocks of BSR and BSC), dense_dim (of the compressed layouts, how many of the last "
    "dimensions are dense). A RuntimeError for numbers of dimensions or blocks that do not fit." TABULA_EXAMPLE(
        "torch.tensor([[0, 2], [3, 0]]).to_sparse().values()", "tensor([2, 3])"));
BY_RULE(to_sparse_csr, "to_sparse_csr(Tensor input, int? dense_dim=None) -> Tensor", Method,
        "The tensor as compressed rows. A RuntimeError for less than two dimensions." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse_csr().crow_indices()", "tensor([0, 1, 2])"));
BY_RULE(to_sparse_csc, "to_sparse_csc(Tensor input, int? dense_dim=None) -> Tensor", Method,
        "The tensor as compressed columns. A RuntimeError for less than two dimensions." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse_csc().ccol_indices()", "tensor([0, 1, 2])"));
BY_RULE(to_sparse_bsr, "to_sparse_bsr(Tensor input, int[2] blocksize, int? dense_dim=None) -> Tensor", Method,
        "The tensor as compressed rows of blocks. A RuntimeError for blocks that do not divide it." TABULA_EXAMPLE(
            "torch.eye(4).to_sparse_bsr((2, 2)).values().shape", "torch.Size([2, 2, 2])"));
BY_RULE(to_sparse_bsc, "to_sparse_bsc(Tensor input, int[2] blocksize, int? dense_dim=None) -> Tensor", Method,
        "The tensor as compressed columns of blocks. A RuntimeError for blocks that do not divide it." TABULA_EXAMPLE(
            "torch.eye(4).to_sparse_bsc((2, 2)).values().shape", "torch.Size([2, 2, 2])"));
BY_RULE(
    sparse_mask, "sparse_mask(Tensor input, Tensor mask) -> Tensor", Method,
    "The elements of this tensor at the places that the sparse tensor mask holds, in its layout. A RuntimeError for "
    "another size than the mask's." TABULA_EXAMPLE("torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse()).values()",
                                                   "tensor([1., 1.])"));

// ---- parts ----

BY_RULE(coalesce, "coalesce(Tensor input) -> Tensor", Method,
        "COO with sorted, distinct indices: the values of equal ones are added up. Itself if it is so "
        "already." TABULA_EXAMPLE("torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (3,)).coalesce().values()",
                                  "tensor([5.])"));
BY_RULE(indices, "indices(Tensor input) -> Tensor", Method,
        "[sparse dimensions, nnz]: the indices of a coalesced COO tensor. A RuntimeError for others." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse().indices().tolist()", "[[0, 1], [0, 1]]"));
BY_RULE(
    values, "values(Tensor input) -> Tensor", Method,
    "The values of a sparse tensor, over the same memory. A RuntimeError for an uncoalesced COO tensor." TABULA_EXAMPLE(
        "torch.eye(2).to_sparse_csr().values()", "tensor([1., 1.])"));
BY_RULE(raw_indices, "_indices(Tensor input) -> Tensor", Method, "The indices of a COO tensor, coalesced or not.");
BY_RULE(raw_values, "_values(Tensor input) -> Tensor", Method,
        "The values of a COO tensor, coalesced or not, without history.");
BY_RULE(nnz, "_nnz(Tensor input) -> int", Method,
        "How many elements (of the compressed layouts: in each batch) a sparse tensor holds.");
BY_RULE(sparse_dims, "_dimI(Tensor input) -> int", Method, "As sparse_dim().");
BY_RULE(dense_dims, "_dimV(Tensor input) -> int", Method, "As dense_dim().");
#define COPY(name, layout, result)                                                \
  BY_RULE(name##_copy, #name "_copy(Tensor input) -> Tensor", Function | OutForm, \
          "A copy of what the method " #name                                      \
          " gives." TABULA_EXAMPLE("torch." #name "_copy(torch.eye(2)." layout "())", result))
#define PART(name, lines, layout, result)                                                 \
  BY_RULE(name, #name "(Tensor input) -> Tensor", Method,                                 \
          "Indices of a " lines "-compressed tensor; a RuntimeError for other layouts."); \
  COPY(name, layout, result)
PART(crow_indices, "row", "to_sparse_csr", "tensor([0, 1, 2])");
PART(col_indices, "row", "to_sparse_csr", "tensor([0, 1])");
PART(ccol_indices, "column", "to_sparse_csc", "tensor([0, 1, 2])");
PART(row_indices, "column", "to_sparse_csc", "tensor([0, 1])");
COPY(indices, "to_sparse", "tensor([[0, 1],\n            [0, 1]])");
COPY(values, "to_sparse", "tensor([1., 1.])");
#undef PART
#undef COPY
BY_RULE(mark_coalesced, "_coalesced_(Tensor(a!) input, bool coalesced) -> Tensor(a!)", Method,
        "Declares a COO tensor coalesced, or not.");
BY_RULE(resize, "sparse_resize_(Tensor(a!) input, int[] size, int sparse_dim, int dense_dim) -> Tensor(a!)", Method,
        "Another size with the elements kept, which must stay inside it; otherwise a RuntimeError." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse().sparse_resize_((3, 4), 2, 0).shape", "torch.Size([3, 4])"));
BY_RULE(resize_and_clear,
        "sparse_resize_and_clear_(Tensor(a!) input, int[] size, int sparse_dim, int dense_dim) -> Tensor(a!)", Method,
        "Another size, and no elements." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse().sparse_resize_and_clear_((1, 4), 1, 1)._nnz()", "0"));
BY_RULE(resize_as, "resize_as_sparse_(Tensor(a!) input, Tensor the_template) -> Tensor(a!)", Both,
        "The size and the numbers of sparse and dense dimensions of another sparse tensor." TABULA_EXAMPLE(
            "torch.eye(2).to_sparse().resize_as_sparse_(torch.eye(3).to_sparse()).shape", "torch.Size([3, 3])"));

// ---- products ----

BY_RULE(smm, "smm(Tensor input, Tensor mat2) -> Tensor", Both,
        "The product of a COO matrix and a dense one, as COO. A RuntimeError for other layouts." TABULA_EXAMPLE(
            "torch.smm(torch.eye(2).to_sparse(), torch.ones(2, 2)).to_dense()",
            "tensor([[1., 1.],\n            [1., 1.]])"));
#define MM_NAMED(name)                                                                                                 \
  BY_RULE(name, #name "(Tensor input, Tensor mat2) -> Tensor", Function,                                               \
          "torch.mm under another name." TABULA_EXAMPLE("torch." #name "(torch.eye(2).to_sparse(), torch.ones(2, 1))", \
                                                        "tensor([[1.],\n            [1.]])"))
MM_NAMED(spmm);
MM_NAMED(dsmm);
#undef MM_NAMED
#define HYBRID_PRODUCT(name, first)                                                                               \
  BY_RULE(name, #name "(Tensor " first ", Tensor mat2) -> Tensor", Function | OutForm,                            \
          "The product of a COO matrix and a dense one as a COO tensor of rows: only rows that are not zero are " \
          "there. A RuntimeError for sizes that do not fit, a NotImplementedError for a dense first "             \
          "matrix." TABULA_EXAMPLE("torch." #name "(torch.eye(2).to_sparse(), torch.ones(2, 3)).values()",        \
                                   "tensor([[1., 1., 1.],\n            [1., 1., 1.]])"))
HYBRID_PRODUCT(hspmm, "mat1");
HYBRID_PRODUCT(hsmm, "input");
#undef HYBRID_PRODUCT
#define SPARSE_SUM(name, where)                                                                                      \
  BY_RULE(name, #name "(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", where, \
          "beta * input + alpha * (mat1 @ mat2) with COO input and mat1 and a dense mat2; the result is COO. A "     \
          "RuntimeError for other layouts and for sizes that do not fit." TABULA_EXAMPLE(                            \
              "torch." #name "(torch.eye(2).to_sparse(), torch.eye(2).to_sparse(), torch.ones(2, 2)).to_dense()",    \
              "tensor([[2., 1.],\n            [1., 2.]])"))
SPARSE_SUM(sspaddmm, Usual);
SPARSE_SUM(saddmm, Function | OutForm);
#undef SPARSE_SUM

// ---- behind torch.sparse ----

NAMED_BY_RULE(sparse_mm, "_sparse_mm(Tensor sparse, Tensor dense) -> Tensor", Internal, "SparseAddmmBackward0", "");
BY_RULE(sparse_mm_reduce, "_sparse_mm.reduce(Tensor sparse, Tensor dense, str reduce) -> Tensor", Internal, "");
NAMED_BY_RULE(sparse_addmm,
              "_sparse_addmm(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
              Internal, "SparseAddmmBackward0", "");
BY_RULE(sampled_addmm,
        "sparse_sampled_addmm(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        Internal | OutForm, "");
BY_RULE(softmax, "_sparse_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", Internal, "");
BY_RULE(log_softmax, "_sparse_log_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", Internal, "");
BY_RULE(sum, "_sparse_sum(Tensor input, *, dtype? dtype=None) -> Tensor", Internal, "");
BY_RULE(sum_dim, "_sparse_sum.dim(Tensor input, int[1] dim, *, dtype? dtype=None) -> Tensor", Internal, "");
BY_RULE(spdiags, "_spdiags(Tensor diagonals, Tensor offsets, int[] shape, Layout? layout=None) -> Tensor", Internal,
        "");
BY_RULE(spsolve, "_spsolve(Tensor A, Tensor B, *, bool left=True) -> Tensor", Internal, "");

#undef BY_RULE
#undef NAMED_BY_RULE

}  // namespace tabula
