// Shared by all rows whose arithmetic is one pointwise kernel: promotion, broadcasting, allocation, in-place and out=.
#pragma once

#include "kernels/pointwise.h"
#include "ops/backward.h"

namespace tabula {

using kernels::Pointwise;

// How the dtypes of a pointwise operation follow from those of its operands.
enum Rule : uint16_t {
  kPromote = 0,       // computes in, and returns, the common dtype
  kFloating = 1,      // integers and bool first become the default floating dtype
  kCompare = 2,       // computes in the common dtype, returns bool
  kNoBool = 3,        // as kPromote, refusing bool with a subtraction's message
  kPromoteIntegers = 4,  // as kPromote; floating dtypes are refused
};

// The implementation behind such rows. The first tensor parameters of the schema are the kernel's inputs, its numeric
// parameters the kernel's parameters, in order.
void run_pointwise(const Op& op, const Value* args, Out& out);

// The same for C++ that has no row at hand: inputs are tensors or numbers.
Tensor pointwise_raw(Pointwise kernel, std::span<const Operand> inputs, std::span<const Scalar> params = {}, Rule rule = kPromote);

constexpr OpDef pointwise_row(const char* schema, Pointwise kernel, Rule rule, uint16_t on, Vjp vjp = nullptr, uint32_t save = 0) {
  OpDef row{.schema = schema, .run = boxed(&run_pointwise), .on = on, .vjp = vjp, .save = save};
  row.kernel = int16_t(kernel);
  row.rule = rule;
  return row;
}

}  // namespace tabula
