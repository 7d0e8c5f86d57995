#include "ops/compare.h"

#include "ops/pointwise.h"
#include "ops/reduce.h"

namespace tabula {

#define COMPARISON(name, alias)                                                                                                             \
  const Op name{pointwise_row(#name "(Operand input, Operand other) -> Tensor", Pointwise::name, kCompare, Pointwise_)};                    \
  static const Op alias##_alias{pointwise_row(#alias "(Operand input, Operand other) -> Tensor", Pointwise::name, kCompare, Pointwise_)};

COMPARISON(ne, not_equal)
COMPARISON(lt, less)
COMPARISON(le, less_equal)
COMPARISON(gt, greater)
COMPARISON(ge, greater_equal)
#undef COMPARISON
const Op eq{pointwise_row("eq(Operand input, Operand other) -> Tensor", Pointwise::eq, kCompare, Pointwise_)};

const Op logical_not{pointwise_row("logical_not(Tensor input) -> Tensor", Pointwise::logical_not, kPromote, Pointwise_)};
const Op logical_and{pointwise_row("logical_and(Tensor input, Tensor other) -> Tensor", Pointwise::logical_and, kCompare, Pointwise_)};
const Op logical_or{pointwise_row("logical_or(Tensor input, Tensor other) -> Tensor", Pointwise::logical_or, kCompare, Pointwise_)};
const Op logical_xor{pointwise_row("logical_xor(Tensor input, Tensor other) -> Tensor", Pointwise::logical_xor, kCompare, Pointwise_)};
const Op isnan{pointwise_row("isnan(Tensor input) -> Tensor", Pointwise::isnan, kPromote, Both)};
const Op isinf{pointwise_row("isinf(Tensor input) -> Tensor", Pointwise::isinf, kPromote, Both)};
const Op isfinite{pointwise_row("isfinite(Tensor input) -> Tensor", Pointwise::isfinite, kPromote, Both)};
static const Op isposinf{pointwise_row("isposinf(Tensor input) -> Tensor", Pointwise::isposinf, kPromote, Usual)};
static const Op isneginf{pointwise_row("isneginf(Tensor input) -> Tensor", Pointwise::isneginf, kPromote, Usual)};
static const Op signbit{pointwise_row("signbit(Tensor input) -> Tensor", Pointwise::signbit, kPromote, Usual)};

bool has_nan(const Tensor& t) {
  if (!is_differentiable(t.dtype()) || t.numel() == 0 || t.is_meta()) return false;
  return item(any(isnan(t))).to_bool();
}

}  // namespace tabula
