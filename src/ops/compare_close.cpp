// Whole tensors compared, and yes-or-no questions about them.
#include <cmath>

#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/opdef.h"
#include "ops/reduce.h"

namespace tabula {
namespace {

bool run_equal(const Tensor& input, const Tensor& other) {
  check(input.device() == other.device(), "Cannot compare two tensors on different devices. Got: ", input.device().str(), " and ", other.device().str());
  if (!same(input.sizes(), other.sizes())) return false;
  return input.numel() == 0 || item(all(eq(input, other))).to_bool();
}
const Op equal{OpDef{.schema = "equal(Tensor input, Tensor other) -> bool", .run = fn<run_equal>, .on = Both,
                     .batch = batch::refused, .doc = "True if both tensors have the same shape and the same elements. NaN differs from itself.\n\n"
                            "Example::\n\n    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))\n    True\n"}};

// |a - b| <= atol + rtol |b|, exactly equal values (infinities) included
Tensor run_isclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  check(input.dtype() == other.dtype(), dtype_title(input.dtype()), " did not match ", dtype_title(other.dtype()));
  check(rtol >= 0, "rtol must be greater than or equal to zero, but got ", rtol);
  check(atol >= 0, "atol must be greater than or equal to zero, but got ", atol);
  Tensor close = eq(input, other);
  if (equal_nan && is_differentiable(input.dtype())) close = logical_or(close, logical_and(isnan(input), isnan(other)));
  if (rtol == 0 && atol == 0) return close;
  const bool whole = is_integral_or_bool(input.dtype());
  const Tensor x = whole ? cast_raw(input, DType::Float64) : input, y = whole ? cast_raw(other, DType::Float64) : other;
  const Tensor allowed = abs(y) * Scalar(rtol) + Scalar(atol), actual = abs(x - y);
  return logical_or(close, logical_and(isfinite(actual), le(actual, allowed)));
}
#define CLOSE(name, result) name "(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> " result
const Op isclose{OpDef{.schema = CLOSE("isclose", "Tensor"), .run = fn<run_isclose>, .on = Both,
                       .batch = batch::aligned, .doc = "Where |input - other| <= atol + rtol |other|, as a bool tensor. With equal_nan NaNs are close to each other.\n\n"
                              "Example::\n\n    >>> torch.isclose(torch.tensor([1., 2.]), torch.tensor([1., 2.1]))\n    tensor([ True, False])\n"}};
bool run_allclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  return item(all(run_isclose(input, other, rtol, atol, equal_nan))).to_bool();
}
const Op allclose{OpDef{.schema = CLOSE("allclose", "bool"), .run = fn<run_allclose>, .on = Both,
                        .batch = batch::all_close, .doc = "True if torch.isclose holds for all elements.\n\n"
                               "Example::\n\n    >>> torch.allclose(torch.tensor([1.]), torch.tensor([1. + 1e-9]))\n    True\n"}};
#undef CLOSE

bool run_is_same_size(const Tensor& input, const Tensor& other) { return same(input.sizes(), other.sizes()); }
const Op is_same_size{OpDef{.schema = "is_same_size(Tensor input, Tensor other) -> bool", .run = fn<run_is_same_size>, .on = Both, .lazy_bits = true,
                            .batch = batch::same_size, .doc = "True if both tensors have the same shape.\n\nExample::\n\n    >>> torch.is_same_size(torch.zeros(2), torch.ones(2))\n    True\n"}};

// Tensor has these as methods of its own.
#define QUESTION(name, answer, text)                                          \
  bool run_##name(const Tensor& input) { return answer; }                     \
  const Op name##_question{OpDef{.schema = #name "(Tensor input) -> bool", .run = fn<run_##name>, .on = Function, .lazy_bits = true, .batch = batch::question, .doc = text}};
QUESTION(is_floating_point, is_floating(input.dtype()), "True if the dtype is a real floating-point one.\n\nExample::\n\n    >>> torch.is_floating_point(torch.zeros(1))\n    True\n")
QUESTION(is_complex, tabula::is_complex(input.dtype()), "True if the dtype is complex.\n\nExample::\n\n    >>> torch.is_complex(torch.zeros(1))\n    False\n")
QUESTION(is_signed, tabula::is_signed(input.dtype()), "True if the dtype has negative values.\n\nExample::\n\n    >>> torch.is_signed(torch.zeros(1))\n    True\n")
QUESTION(is_conj, input.is_conj(), "True if the tensor is lazily conjugated.\n\nExample::\n\n    >>> torch.is_conj(torch.zeros(1))\n    False\n")
QUESTION(is_neg, input.is_neg(), "True if the tensor is lazily negated.\n\nExample::\n\n    >>> torch.is_neg(torch.zeros(1))\n    False\n")
QUESTION(is_inference, input.impl()->inference, "True if the tensor was made in inference mode.\n\nExample::\n\n    >>> torch.is_inference(torch.zeros(1))\n    False\n")
#undef QUESTION
bool run_is_nonzero(const Tensor& input) {
  check(input.numel() != 0, "Boolean value of Tensor with no values is ambiguous");
  check(input.numel() == 1, "Boolean value of Tensor with more than one value is ambiguous");
  return item(input).to_bool();
}
const Op is_nonzero{OpDef{.schema = "is_nonzero(Tensor input) -> bool", .run = fn<run_is_nonzero>, .on = Function,
                          .batch = batch::no_branch, .doc = "True if the tensor's only element is not zero. Raises for another number of elements.\n\nExample::\n\n    >>> torch.is_nonzero(torch.tensor([2]))\n    True\n"}};

}  // namespace
}  // namespace tabula
