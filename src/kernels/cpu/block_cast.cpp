// The conversions that mixed precision lives on, in vectors. Compiled once per instruction set; the rest of the table
// is in block_move.cpp.
#include "core/dtype.h"
#include "kernels/cpu/block_move.h"
#include "kernels/simd.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

void bf16_to_float(void* dst, const void* src, int64_t n) {
  uint32_t* const d = static_cast<uint32_t*>(dst);
  const uint16_t* const s = static_cast<const uint16_t*>(src);
  for (int64_t i = 0; i < n; i++) d[i] = uint32_t(s[i]) << 16;
}
void float_to_bf16(void* dst, const void* src, int64_t n) {
  uint16_t* const d = static_cast<uint16_t*>(dst);
  const uint32_t* const s = static_cast<const uint32_t*>(src);
  for (int64_t i = 0; i < n; i++) {
    const uint32_t u = s[i], rounded = (u + 0x7FFF + ((u >> 16) & 1)) >> 16;
    d[i] = (u & 0x7FFFFFFF) > 0x7F800000 ? uint16_t(0x7FC0) : uint16_t(rounded);
  }
}

#if defined(__F16C__)
void half_to_float(void* dst, const void* src, int64_t n) {
  float* const d = static_cast<float*>(dst);
  const uint16_t* const s = static_cast<const uint16_t*>(src);
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    _mm512_storeu_ps(d + i, _mm512_maskz_cvtph_ps(0xFFFF, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s + i))));
#endif
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(d + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(s + i))));
  for (; i < n; i++) d[i] = _cvtsh_ss(s[i]);
}
void float_to_half(void* dst, const void* src, int64_t n) {
  uint16_t* const d = static_cast<uint16_t*>(dst);
  const float* const s = static_cast<const float*>(src);
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(d + i), _mm512_maskz_cvtps_ph(0xFFFF, _mm512_loadu_ps(s + i), 0));
#endif
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(d + i), _mm256_cvtps_ph(_mm256_loadu_ps(s + i), 0));
  for (; i < n; i++) d[i] = uint16_t(_cvtss_sh(s[i], 0));
}
#endif

template <class To, class From>
void plain(void* dst, const void* src, int64_t n) {
  To* const d = static_cast<To*>(dst);
  const From* const s = static_cast<const From*>(src);
  for (int64_t i = 0; i < n; i++) d[i] = To(s[i]);
}
template <class To, class From>
void define_plain(CastTable& table) {
  table.at[int(dtype_of<To>)][int(dtype_of<From>)] = plain<To, From>;
}

}  // namespace

void define_casts(CastTable& table) {
  table.at[int(DType::Float32)][int(DType::BFloat16)] = bf16_to_float;
  table.at[int(DType::BFloat16)][int(DType::Float32)] = float_to_bf16;
#if defined(__F16C__)
  table.at[int(DType::Float32)][int(DType::Float16)] = half_to_float;
  table.at[int(DType::Float16)][int(DType::Float32)] = float_to_half;
#endif
  define_plain<float, double>(table);
  define_plain<double, float>(table);
  define_plain<float, int64_t>(table);
  define_plain<float, int32_t>(table);
  define_plain<float, uint8_t>(table);
  define_plain<float, bool>(table);
  define_plain<double, int64_t>(table);
  define_plain<double, int32_t>(table);
  define_plain<int64_t, int32_t>(table);
  define_plain<int32_t, int64_t>(table);
  define_plain<int32_t, int16_t>(table);
  define_plain<int16_t, int32_t>(table);
  define_plain<int32_t, int8_t>(table);
  define_plain<int8_t, int32_t>(table);
  define_plain<int64_t, bool>(table);
  define_plain<int32_t, bool>(table);
  define_plain<bool, float>(table);
  define_plain<bool, int64_t>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
