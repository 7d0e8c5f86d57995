// How a formula becomes a block kernel, and how a family of them enters the table.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/cpu/block_move.h"
#include "kernels/cpu/block_table.h"
#include "kernels/simd_bf16.h"
#include "kernels/scalar_math.h"

namespace tabula::kernels {

inline namespace TABULA_ISA {

inline constexpr int kMaxParams = 3;
inline constexpr int64_t kAlignFrom = 512;  // elements from which on aligning the stores pays

// The parameters in the type that a formula computes in.
template <class V>
struct Params {
  V at[kMaxParams];
  TABULA_INLINE Params(const double* params, const int64_t* iparams) {
    for (int k = 0; k < kMaxParams; k++) {
      if constexpr (std::is_integral_v<V>)
        at[k] = V(iparams[k]);
      else if constexpr (is_complex_v<V>)
        at[k] = V(typename V::value_type(params[2 * k]), typename V::value_type(params[2 * k + 1]));
      else
        at[k] = V(params[k]);
    }
  }
  TABULA_INLINE V operator[](int k) const { return at[k]; }
};

// f(parameters, vectors...) over floats that lie in memory as E: one call site, so that long formulas are still expanded
// in place
template <class T, int inputs, class F, class E = T>
void vector_block(int64_t n, char* const* out, const char* const* in, const double* params, const int64_t* iparams,
                  uint32_t repeated) {
  using V = Vec<T>;
  using Memory = Elements<T, E>;
  const F f{};
  const Params<V> p(params, iparams);
  E* const o = reinterpret_cast<E*>(out[0]);
  const E* x[inputs];
  int64_t moves[inputs];  // all ones, or zero for an input that stays where it is
  for (int k = 0; k < inputs; k++) {
    x[k] = reinterpret_cast<const E*>(in[k]);
    moves[k] = inputs > 1 && (repeated >> k & 1) ? 0 : -1;
  }
  // Stores that straddle cache lines are dear: a long block begins with what is missing to the next line.
  const int64_t beyond = int64_t(reinterpret_cast<uintptr_t>(o) / sizeof(E) % V::size);
  int64_t step = n > kAlignFrom && beyond ? V::size - beyond : V::size;
  for (int64_t i = 0; i < n; i += step, step = V::size) {
    const int64_t left = std::min(n - i, step);
    V v[inputs], r;
    if (left == V::size) [[likely]] {
      __builtin_prefetch(reinterpret_cast<const char*>(o + i) + kPrefetchAhead, 1);
      for (int k = 0; k < inputs; k++) {
        const E* const at = x[k] + (i & moves[k]);
        __builtin_prefetch(reinterpret_cast<const char*>(at) + kPrefetchAhead);
        v[k] = Memory::load(at);
      }
    } else {
      for (int k = 0; k < inputs; k++) v[k] = Memory::load_partial(x[k] + (i & moves[k]), left);
    }
    if constexpr (inputs == 1)
      r = f(p, v[0]);
    else if constexpr (inputs == 2)
      r = f(p, v[0], v[1]);
    else
      r = f(p, v[0], v[1], v[2]);
    if (left == V::size) [[likely]]
      Memory::store(o + i, r);
    else
      Memory::store_partial(o + i, r, left);
  }
}

// The same one element at a time; the compiler vectorises it where it pays. An output that is also an input is no
// obstacle to that: each element is read before it is written.
template <class T, class R, int inputs, class F>
void scalar_block(int64_t n, char* const* out, const char* const* in, const double* params, const int64_t* iparams,
                  uint32_t) {
  const F f{};
  const Params<T> p(params, iparams);
  R* const o = reinterpret_cast<R*>(out[0]);
  const T* const a = reinterpret_cast<const T*>(in[0]);
  if constexpr (inputs == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) o[i] = R(f(p, a[i]));
  } else if constexpr (inputs == 2) {
    const T* const b = reinterpret_cast<const T*>(in[1]);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) o[i] = R(f(p, a[i], b[i]));
  } else {
    const T* const b = reinterpret_cast<const T*>(in[1]);
    const T* const c = reinterpret_cast<const T*>(in[2]);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) o[i] = R(f(p, a[i], b[i], c[i]));
  }
}

// Enters one formula into the table: as vectors for T = float or double, else element by element.
template <class T, int inputs, class F>
void define(BlockTable& table, Pointwise op, F) {
  table.takes_repeated[int(op)][int(dtype_of<T>)] = LaneFloat<T> && inputs > 1;
  if constexpr (LaneFloat<T>)
    table.at[int(op)][int(dtype_of<T>)] = vector_block<T, inputs, F>;
  else
    table.at[int(op)][int(dtype_of<T>)] = scalar_block<T, T, inputs, F>;
}
template <class T, class R, int inputs, class F>
void define_to(BlockTable& table, Pointwise op, F) {
  table.at[int(op)][int(dtype_of<T>)] = scalar_block<T, R, inputs, F>;
}

// Reads the rows of kernels/formulas/rows.h into the table.
template <class T>
struct Definer {
  BlockTable& table;
  template <int inputs, class F>
  void operator()(Pointwise op, std::integral_constant<int, inputs>, F f) const {
    define<T, inputs>(table, op, f);
  }
};
struct DefinerBFloat16 {
  BlockTable& table;
  template <int inputs, class F>
  void operator()(Pointwise op, std::integral_constant<int, inputs>, F) const {
    table.bfloat16[int(op)] = vector_block<float, inputs, F, BFloat16>;
  }
};

// Rows of a family's definition, inside a function that has `table` and the type T.
#define TABULA_ROW1(op, expression) \
  define<T, 1>(table, Pointwise::op, []([[maybe_unused]] const auto& p, auto x) TABULA_ALWAYS { return expression; })
#define TABULA_ROW2(op, expression)                                                                   \
  define<T, 2>(table, Pointwise::op,                                                                  \
               []([[maybe_unused]] const auto& p, auto x, auto y) TABULA_ALWAYS { return expression; })
#define TABULA_ROW3(op, expression)                                                                           \
  define<T, 3>(table, Pointwise::op,                                                                          \
               []([[maybe_unused]] const auto& p, auto x, auto y, auto z) TABULA_ALWAYS { return expression; })
#define TABULA_ROW1_TO(R, op, expression) \
  define_to<T, R, 1>(table, Pointwise::op, \
                     []([[maybe_unused]] const auto& p, auto x) TABULA_ALWAYS { return expression; })
#define TABULA_ROW2_TO(R, op, expression)                                                                   \
  define_to<T, R, 2>(table, Pointwise::op,                                                                  \
                     []([[maybe_unused]] const auto& p, auto x, auto y) TABULA_ALWAYS { return expression; })

// where and masked_fill only move values
template <class T>
void where_block(int64_t n, char* const* out, const char* const* in, const double*, const int64_t*, uint32_t) {
  T* const o = reinterpret_cast<T*>(out[0]);
  const uint8_t* const c = reinterpret_cast<const uint8_t*>(in[0]);
  const T* const x = reinterpret_cast<const T*>(in[1]);
  const T* const y = reinterpret_cast<const T*>(in[2]);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    const T yes = x[i], no = y[i];  // both are read, so that the loop has no branch
    o[i] = c[i] ? yes : no;
  }
}
template <class T>
void masked_fill_block(int64_t n, char* const* out, const char* const* in, const double* params,
                       const int64_t* iparams, uint32_t) {
  const T value = Params<T>(params, iparams)[0];
  T* const o = reinterpret_cast<T*>(out[0]);
  const T* const x = reinterpret_cast<const T*>(in[0]);
  const uint8_t* const c = reinterpret_cast<const uint8_t*>(in[1]);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    const T old = x[i];
    o[i] = c[i] ? value : old;
  }
}
template <class T>
void define_moves(BlockTable& table) {
  table.at[int(Pointwise::where)][int(dtype_of<T>)] = where_block<T>;
  table.at[int(Pointwise::masked_fill)][int(dtype_of<T>)] = masked_fill_block<T>;
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
