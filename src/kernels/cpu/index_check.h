// What the indexing kernels share.
#pragma once

#include <type_traits>

#include "kernels/cpu/index_walk.h"
#include "kernels/index.h"

namespace tabula::kernels {

constexpr bool wraps(IndexRule rule) { return rule == IndexRule::Indexing || rule == IndexRule::Take; }

// Fails, in the rule's words, if an index lies outside a dimension of `size`.
void check_indices(const int64_t* index, IntList sizes, IntList strides, int64_t size, int64_t dim, IndexRule rule);

inline bool any_zero(IntList sizes) {
  for (const int64_t size : sizes)
    if (size == 0) return true;
  return false;
}

// The elements of one parallel piece of cheap work.
inline constexpr int64_t kIndexGrain = 16384;

// A mean. Those of integers are rounded towards minus infinity.
template <class C>
inline C divide(C sum, int64_t count) {
  if constexpr (std::is_integral_v<C>) {
    if constexpr (std::is_signed_v<C>) {
      const int64_t wide = sum, quotient = wide / count;
      return C(quotient - (wide % count < 0 ? 1 : 0));
    } else {
      return C(uint64_t(sum) / uint64_t(count));
    }
  } else if constexpr (is_complex_v<C>) {
    return sum / typename C::value_type(count);
  } else {
    return sum / C(count);
  }
}

}  // namespace tabula::kernels
