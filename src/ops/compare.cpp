#include "ops/compare.h"

#include "ops/doc.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"

namespace tabula {

#define COMPARISON(name, alias, doc_text, alias_doc)                                                             \
  const Op name{documented(                                                                                      \
      pointwise_row(#name "(Tensor input, Operand other) -> Tensor", Pointwise::name, kCompare, Pointwise_),    \
      doc_text)};                                                                                                \
  static const Op alias##_alias{documented(                                                                      \
      pointwise_row(#alias "(Tensor input, Operand other) -> Tensor", Pointwise::name, kCompare, Pointwise_),   \
      alias_doc)};

COMPARISON(ne, not_equal,
           "Whether elements differ, as a bool tensor; other may be a number. NaN differs from everything."
           TABULA_EXAMPLE("torch.ne(torch.tensor([1, 2]), torch.tensor([1, 3]))", "tensor([False,  True])"),
           "Another name of torch.ne."
           TABULA_EXAMPLE("torch.not_equal(torch.tensor([1, 2]), 2)", "tensor([ True, False])"))
COMPARISON(lt, less,
           "Whether input < other, element by element, as a bool tensor. Real dtypes only."
           TABULA_EXAMPLE("torch.lt(torch.tensor([1, 2]), 2)", "tensor([ True, False])"),
           "Another name of torch.lt."
           TABULA_EXAMPLE("torch.less(torch.tensor([1, 2]), 2)", "tensor([ True, False])"))
COMPARISON(le, less_equal,
           "Whether input <= other, element by element, as a bool tensor. Real dtypes only."
           TABULA_EXAMPLE("torch.le(torch.tensor([1, 2, 3]), 2)", "tensor([ True,  True, False])"),
           "Another name of torch.le."
           TABULA_EXAMPLE("torch.less_equal(torch.tensor([1, 2]), 1)", "tensor([ True, False])"))
COMPARISON(gt, greater,
           "Whether input > other, element by element, as a bool tensor. Real dtypes only."
           TABULA_EXAMPLE("torch.gt(torch.tensor([1, 2, 3]), 2)", "tensor([False, False,  True])"),
           "Another name of torch.gt."
           TABULA_EXAMPLE("torch.greater(torch.tensor([1, 2]), 1)", "tensor([False,  True])"))
COMPARISON(ge, greater_equal,
           "Whether input >= other, element by element, as a bool tensor. Real dtypes only."
           TABULA_EXAMPLE("torch.ge(torch.tensor([1, 2, 3]), 2)", "tensor([False,  True,  True])"),
           "Another name of torch.ge."
           TABULA_EXAMPLE("torch.greater_equal(torch.tensor([1, 2]), 2)", "tensor([False,  True])"))
#undef COMPARISON
const Op eq{documented(pointwise_row("eq(Tensor input, Operand other) -> Tensor", Pointwise::eq, kCompare, Pointwise_),
    "Whether elements are equal, as a bool tensor; other may be a number."
    TABULA_EXAMPLE("torch.eq(torch.tensor([1, 2]), torch.tensor([1, 3]))", "tensor([ True, False])"))};

const Op logical_not{documented(pointwise_row("logical_not(Tensor input) -> Tensor", Pointwise::logical_not, kPromote, Pointwise_),
    "Whether elements are zero, as a bool tensor."
    TABULA_EXAMPLE("torch.logical_not(torch.tensor([0, 1, -2]))", "tensor([ True, False, False])"))};
const Op logical_and{documented(pointwise_row("logical_and(Tensor input, Tensor other) -> Tensor", Pointwise::logical_and, kCompare, Pointwise_),
    "Whether both elements are nonzero, as a bool tensor."
    TABULA_EXAMPLE("torch.logical_and(torch.tensor([0, 1]), torch.tensor([3, 4]))", "tensor([False,  True])"))};
const Op logical_or{documented(pointwise_row("logical_or(Tensor input, Tensor other) -> Tensor", Pointwise::logical_or, kCompare, Pointwise_),
    "Whether either element is nonzero, as a bool tensor."
    TABULA_EXAMPLE("torch.logical_or(torch.tensor([0, 1]), torch.tensor([0, 4]))", "tensor([False,  True])"))};
const Op logical_xor{documented(pointwise_row("logical_xor(Tensor input, Tensor other) -> Tensor", Pointwise::logical_xor, kCompare, Pointwise_),
    "Whether exactly one of two elements is nonzero, as a bool tensor."
    TABULA_EXAMPLE("torch.logical_xor(torch.tensor([0, 1]), torch.tensor([3, 4]))", "tensor([ True, False])"))};
const Op isnan{documented(pointwise_row("isnan(Tensor input) -> Tensor", Pointwise::isnan, kPromote, Both),
    "Whether elements are NaN; a complex number is if either part is."
    TABULA_EXAMPLE("torch.isnan(torch.tensor([1., float('nan')]))", "tensor([False,  True])"))};
const Op isinf{documented(pointwise_row("isinf(Tensor input) -> Tensor", Pointwise::isinf, kPromote, Both),
    "Whether elements are infinite, of either sign."
    TABULA_EXAMPLE("torch.isinf(torch.tensor([1., float('-inf')]))", "tensor([False,  True])"))};
const Op isfinite{documented(pointwise_row("isfinite(Tensor input) -> Tensor", Pointwise::isfinite, kPromote, Both),
    "Whether elements are neither infinite nor NaN."
    TABULA_EXAMPLE("torch.isfinite(torch.tensor([1., float('inf'), float('nan')]))", "tensor([ True, False, False])"))};
static const Op isposinf{documented(pointwise_row("isposinf(Tensor input) -> Tensor", Pointwise::isposinf, kPromote, Usual),
    "Whether elements are +infinity."
    TABULA_EXAMPLE("torch.isposinf(torch.tensor([float('inf'), float('-inf')]))", "tensor([ True, False])"))};
static const Op isneginf{documented(pointwise_row("isneginf(Tensor input) -> Tensor", Pointwise::isneginf, kPromote, Usual),
    "Whether elements are -infinity."
    TABULA_EXAMPLE("torch.isneginf(torch.tensor([float('inf'), float('-inf')]))", "tensor([False,  True])"))};
static const Op signbit{documented(pointwise_row("signbit(Tensor input) -> Tensor", Pointwise::signbit, kPromote, Usual),
    "Whether the sign bit is set: for negative numbers and -0.0."
    TABULA_EXAMPLE("torch.signbit(torch.tensor([-0., 0., -1.]))", "tensor([ True, False,  True])"))};

bool has_nan(const Tensor& t) {
  if (!is_differentiable(t.dtype()) || t.numel() == 0 || t.is_meta()) return false;
  return item(any(isnan(t))).to_bool();
}

}  // namespace tabula
