// Implementations whose out= tensors must have the results' very dtypes, where others convert.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// "Expected out tensor to have dtype float, but got double instead"
void check_exact_out(Out& out);

// "expected scalar_type Float but found Double"
void refuse_scan_out(DType result, DType given);

namespace detail {
template <auto F>
void run_exact_out(const Op& op, const Value* args, Out& out) {
  Typed<F>::run(op, args, out);
  if (out.into) check_exact_out(out);
}
template <auto F, void (*refuse)(DType result, DType given)>
void run_out_of(const Op& op, const Value* args, Out& out) {
  Typed<F>::run(op, args, out);
  if (out.into && out[0].dtype() != out.into[0].dtype()) refuse(out[0].dtype(), out.into[0].dtype());
}
template <void (*F)(const Op&, const Value*, Out&)>
void run_boxed_exact_out(const Op& op, const Value* args, Out& out) {
  F(op, args, out);
  if (out.into) check_exact_out(out);
}
}  // namespace detail

template <void (*F)(const Op&, const Value*, Out&)>
inline constexpr Implementation boxed_exact_out = boxed(&detail::run_boxed_exact_out<F>);
// The same for the first result, with words of the operation's own.
template <auto F, void (*refuse)(DType result, DType given)>
inline constexpr Implementation fn_exact_out_as{&detail::run_out_of<F, refuse>, detail::Typed<F>::params.data(), detail::Typed<F>::arity};
template <auto F>
inline constexpr Implementation fn_exact_out{&detail::run_exact_out<F>, detail::Typed<F>::params.data(), detail::Typed<F>::arity};

}  // namespace tabula
