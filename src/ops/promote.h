// Which dtype an operation on several dtypes computes in: PyTorch's promotion rules.
#pragma once

#include "core/state.h"
#include "ops/value.h"

namespace tabula {

// The smallest dtype that both fit in.
DType promote_types(DType a, DType b);
// May a result of dtype `from` be written to a tensor of dtype `to`? (complex > float > integer > bool)
bool can_cast(DType from, DType to);

// Collects operands: tensors with dimensions outrank 0-d tensors, which outrank Python numbers, unless a lower-ranking
// operand is of a higher category.
class ResultType {
 public:
  void add(const Tensor& t) {
    if (t.impl()->wrapped_number)
      merge(wrapped_, has_wrapped_, is_complex(t.dtype()) ? complex_dtype(default_dtype) : is_floating(t.dtype()) ? default_dtype : t.dtype());
    else if (t.dim() == 0)
      merge(zero_, has_zero_, t.dtype());
    else
      merge(dim_, has_dim_, t.dtype());
  }
  void add(DType dtype, bool without_dims) {
    if (without_dims)
      merge(zero_, has_zero_, dtype);
    else
      merge(dim_, has_dim_, dtype);
  }
  void add(const Scalar& s) { merge(wrapped_, has_wrapped_, s.dtype(default_dtype)); }
  void add(const Operand& o) {
    if (o.is_tensor())
      add(o.tensor());
    else
      add(o.scalar());
  }
  DType get() const {
    DType type = DType::Count;
    type = combine(type, has_dim_, dim_);
    type = combine(type, has_zero_, zero_);
    return combine(type, has_wrapped_, wrapped_);
  }

 private:
  static int category(DType d) { return is_complex(d) ? 3 : is_floating(d) ? 2 : d == DType::Bool ? 0 : 1; }
  static void merge(DType& into, bool& has, DType d) {
    into = has ? promote_types(into, d) : d;
    has = true;
  }
  static DType combine(DType higher, bool has, DType lower) {
    if (!has) return higher;
    if (higher == DType::Count) return lower;
    return category(lower) > category(higher) ? promote_types(higher, lower) : higher;
  }
  DType dim_{}, zero_{}, wrapped_{};
  bool has_dim_ = false, has_zero_ = false, has_wrapped_ = false;
};

}  // namespace tabula
