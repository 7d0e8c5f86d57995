// bfloat16 in memory, float in registers.
#pragma once

#include "core/half.h"
#include "kernels/simd.h"

namespace tabula {
inline namespace TABULA_ISA {

// Vec<float>::size elements, widened.
TABULA_INLINE Vec<float> load_bf16(const BFloat16* p) {
  typedef uint16_t Narrow __attribute__((vector_size(TABULA_VECTOR_BYTES / 2)));
  typedef uint32_t Wide __attribute__((vector_size(TABULA_VECTOR_BYTES)));
  Narrow bits;
  std::memcpy(&bits, p, sizeof bits);
  return Vec<float>(Vec<float>::Raw(__builtin_convertvector(bits, Wide) << 16));
}
// Rounded to nearest even; NaN stays a quiet NaN.
TABULA_INLINE void store_bf16(BFloat16* p, Vec<float> x) {
  typedef uint16_t Narrow __attribute__((vector_size(TABULA_VECTOR_BYTES / 2)));
  typedef uint32_t Wide __attribute__((vector_size(TABULA_VECTOR_BYTES)));
  const Wide u = Wide(x.v);
  const Wide rounded = (u + 0x7FFF + ((u >> 16) & 1)) >> 16;
  const Narrow bits = __builtin_convertvector(Wide(x.v == x.v ? rounded : Wide{} + 0x7FC0), Narrow);
  std::memcpy(p, &bits, sizeof bits);
}

// How a kernel that computes in T reads and writes elements of type E.
template <class T, class E>
struct Elements {
  static TABULA_INLINE Vec<T> load(const E* p) { return Vec<T>::load(p); }
  static TABULA_INLINE Vec<T> load_partial(const E* p, int64_t count) { return Vec<T>::load_partial(p, count); }
  static TABULA_INLINE void store(E* p, Vec<T> v) { v.store(p); }
  static TABULA_INLINE void store_partial(E* p, Vec<T> v, int64_t count) { v.store_partial(p, count); }
};
template <>
struct Elements<float, BFloat16> {
  static TABULA_INLINE Vec<float> load(const BFloat16* p) { return load_bf16(p); }
  static TABULA_INLINE Vec<float> load_partial(const BFloat16* p, int64_t count) {
    BFloat16 all[Vec<float>::size];
    for (BFloat16& one : all) one.bits = 0x3F80;
    std::memcpy(all, p, size_t(count) * sizeof(BFloat16));
    return load_bf16(all);
  }
  static TABULA_INLINE void store(BFloat16* p, Vec<float> v) { store_bf16(p, v); }
  static TABULA_INLINE void store_partial(BFloat16* p, Vec<float> v, int64_t count) {
    BFloat16 all[Vec<float>::size];
    store_bf16(all, v);
    std::memcpy(p, all, size_t(count) * sizeof(BFloat16));
  }
};

}  // namespace TABULA_ISA
}  // namespace tabula
