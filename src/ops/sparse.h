// Sparse tensors: indices and values as two or three dense tensors. Everything but taking them apart and putting them
// together is written in terms of those, in torch/sparse.
#pragma once

#include "ops/opdef.h"

namespace tabula {

struct SparseParts final : TensorParts {
  Layout layout = Layout::SparseCoo;
  Tensor indices;  // COO: [sparse dims, nnz]; else the compressed ones, [batch..., rows + 1]
  Tensor plain;    // not of COO: [batch..., nnz]
  Tensor values;   // COO: [nnz, dense dims...]; else [batch..., nnz, block..., dense dims...]
  bool coalesced = false;

  std::unique_ptr<TensorParts> copy() const override { return std::make_unique<SparseParts>(*this); }
  const char* kind() const override { return layout == Layout::SparseCoo ? "SparseTensorImpl" : "SparseCsrTensorImpl"; }
  bool compressed() const { return layout != Layout::SparseCoo; }
  bool blocks() const { return layout == Layout::SparseBsr || layout == Layout::SparseBsc; }
  int64_t nnz() const { return compressed() ? plain.sizes().back() : values.sizes()[0]; }
  int64_t sparse_dim() const { return compressed() ? 2 : indices.sizes()[0]; }
  int64_t dense_dim() const { return values.dim() - (compressed() ? indices.dim() + (blocks() ? 2 : 0) : 1); }
};

// Null for a tensor of another kind.
inline SparseParts* sparse_parts(const Tensor& t) {
  return t.impl()->special & kParts ? dynamic_cast<SparseParts*>(t.impl()->parts.get()) : nullptr;
}
inline Layout layout_of(const Tensor& t) {
  const SparseParts* parts = sparse_parts(t);
  return parts ? parts->layout : Layout::Strided;
}
// "Sparse", "SparseCsr", ..., as messages name it.
const char* layout_title(Layout layout);

// The implementation of rows whose rule in torch/sparse takes tensors of any layout.
void run_by_rule(const Op& op, const Value* args, Out& out);

// Gradients of look-ups, which hold what was looked up: of rows of a [rows, width] matrix by number, without those of
// `padding`; and of gather along `dim`.
Tensor sparse_rows(const Tensor& grad, const Tensor& index, IntList sizes, int64_t padding);
Tensor sparse_gathered(const Tensor& grad, int64_t dim, const Tensor& index, IntList sizes);

}  // namespace tabula
