// How the arrays of an optimizer step lie, and its count.
#pragma once

#include "ops/copy.h"

namespace tabula {

inline bool is_plain(const Tensor& t) { return !(t.impl()->special & (kConj | kNeg)); }

// The parameter's memory in the order in which all its arrays are walked: its own if that is dense, else row by row.
struct StepLayout {
  const Tensor& param;
  bool own;
  explicit StepLayout(const Tensor& p) : param(p), own(p.is_contiguous() || is_non_overlapping_and_dense(p.sizes(), p.strides())) { own &= is_plain(p); }
  bool fits(const Tensor& t) const {
    if (t.dtype() != param.dtype() || !same(t.sizes(), param.sizes()) || !is_plain(t)) return false;
    if (!own) return t.is_contiguous();
    return t.is_contiguous() && param.is_contiguous() ? true : same(t.strides(), param.strides());
  }
  Tensor empty() const { return own ? Tensor::empty_like(param, param.dtype()) : Tensor::empty(param.sizes(), param.dtype(), param.device()); }
};

// An array of a step: the tensor itself where it lies as the layout says, otherwise a copy that is written back.
class Array {
 public:
  Array(const Tensor& t, const StepLayout& layout) : tensor_(t) {
    if (!t.defined() || layout.fits(t)) return;
    copy_ = layout.empty();
    copy_into(copy_, t);
  }
  char* data() const { return tensor_.defined() ? (copy_.defined() ? copy_ : tensor_).data() : nullptr; }
  void written() const {
    if (!tensor_.defined()) return;
    if (copy_.defined()) copy_into(tensor_, copy_);
    tensor_.bump_version();
  }

 private:
  const Tensor& tensor_;
  Tensor copy_;
};

// The steps are the same for the parts of complex numbers, which are walked as so many real ones.
template <class Call>
Call make_call(const Tensor& param) {
  const DType d = param.dtype();
  check_implemented(is_floating(d) ? !is_float8(d) : d == DType::Complex64 || d == DType::Complex128, "optimizer steps are not implemented for '", dtype_title(d), "'");
  Call call;
  call.n = is_complex(d) ? 2 * param.numel() : param.numel();
  call.dtype = real_dtype(d);
  return call;
}

inline double count_up(const Tensor& step) {
  if (step.dtype() == DType::Float32 && step.numel() == 1 && step.device().is_cpu() && !lacks_data(step)) {
    const float count = *step.data_as<float>() += 1;
    step.bump_version();
    return double(count);
  }
  const double count = item(step).to_double() + 1;
  fill_into(step, Scalar(count));
  step.bump_version();
  return count;
}

}  // namespace tabula
