// Implementations whose out= tensors must have the results' very dtypes, where others convert.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// "Expected out tensor to have dtype float, but got double instead"
void check_exact_out(Out& out);

namespace detail {
template <auto F>
void run_exact_out(const Op& op, const Value* args, Out& out) {
  Typed<F>::run(op, args, out);
  if (out.into) check_exact_out(out);
}
}  // namespace detail

template <auto F>
inline constexpr Implementation fn_exact_out{&detail::run_exact_out<F>, detail::Typed<F>::params.data(), detail::Typed<F>::arity};

}  // namespace tabula
