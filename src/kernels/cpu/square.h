// Squares of elements transposed in registers.
//
// A square of L x L elements takes log2(L) steps: step k exchanges the off-diagonal parts of each 2k x 2k square
// (Eklundh, IEEE Transactions on Computers C-21, 1972). All is inlined, so that each instruction set keeps its own.
#pragma once

#include <utility>

namespace tabula::kernels {

// Lanes with bit `step` clear keep a's element and the others get b's from `step` lanes before; and the reverse.
template <int step, class V, int... lane>
[[gnu::always_inline]] inline void exchange(V& a, V& b, std::integer_sequence<int, lane...>) {
  constexpr int L = int(sizeof...(lane));
  const V low = __builtin_shufflevector(a, b, (lane & step ? L + lane - step : lane)...);
  const V high = __builtin_shufflevector(a, b, (lane & step ? L + lane : lane + step)...);
  a = low;
  b = high;
}
template <int step, int L, class V>
[[gnu::always_inline]] inline void exchange_rows(V (&rows)[L]) {
  if constexpr (step < L) {
#pragma GCC unroll 16
    for (int i = 0; i < L; i++)
      if (!(i & step)) exchange<step>(rows[i], rows[i + step], std::make_integer_sequence<int, L>());
    exchange_rows<2 * step>(rows);
  }
}
template <int L, class V>
[[gnu::always_inline]] inline void transpose_square(V (&rows)[L]) {
  exchange_rows<1>(rows);
}

}  // namespace tabula::kernels
