// exp, log, tanh, erf and sigmoid of Vec<float> in float arithmetic, and the core of sin and cos: the functions that
// networks live on. All within 1.5 units in the last place.
#pragma once

#include "kernels/simd_exp.h"
#include "kernels/simd_pieces.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace detail {

// 1 / x for finite x of at least 2^-126, within one unit in the last place: Newton's iteration from an estimate. A
// division of 16 floats takes as long as 20 multiplications; of 8, four.
TABULA_INLINE Vec<float> reciprocal_moderate(Vec<float> x) {
#if TABULA_VECTOR_BYTES == 64
  const Vec<float> r((Vec<float>::Raw)_mm512_maskz_rcp14_ps(0xFFFF, (__m512)x.v));
  return fma(fma(-x, r, Vec<float>(1)), r, r);
#else
  return Vec<float>(1) / x;
#endif
}

#if TABULA_VECTOR_BYTES == 64
// f(a) for a >= 0 from one of 32 polynomials; past the last piece f is constant. Permutations of 32 floats fetch the
// coefficients, where other instruction sets would need a gather for each.
template <int rows>
TABULA_INLINE Vec<float> by_pieces(Vec<float> a, float width, const float (&table)[rows][32]) {
  using V = Vec<float>;
  a = at_most(a, V(width * 31.4375f));
  // the piece's number comes to the low bits, of which a permutation reads five
  const __m512i piece = (__m512i)fma(a, V(1 / width), V(Format<float>::magic)).v;
  const auto fetch = [&](int row) TABULA_ALWAYS {
    return V((V::Raw)_mm512_permutex2var_ps(_mm512_loadu_ps(table[row]), piece, _mm512_loadu_ps(table[row] + 16)));
  };
  const V d = a - fetch(0);
  V r = fetch(rows - 1);
  for (int row = rows - 2; row > 0; row--) r = fma(r, d, fetch(row));
  return r;
}
#endif

// |x| < 87: no overflow, nothing below the normal range, no NaN that matters
TABULA_INLINE Vec<float> exp_moderate(Vec<float> x) {
  using V = Vec<float>;
  const V magic(Format<float>::magic), shifted = fma(x, V(1.44269504f), magic), n = shifted - magic;
  const V r = fma(n, V(2.12194440e-4f), fma(n, V(-0.693359375f), x));
  const V e = fma(r, fma(r, polynomial(r, tables::kExpSingle), V(1)), V(1));
#if TABULA_VECTOR_BYTES == 64
  return scale_by_power(e, n);
#else
  return e * from_bits(bits_of(shifted).shift_left(Format<float>::mantissa) + bits_of(V(1)));
#endif
}

// sin(|x| + shift * pi/2) for |x| up to kReducibleSingle. pi/2 is cut in three: the first product is exact in fma, and
// so is its difference from x.
inline constexpr float kReducibleSingle = 6000.0f;
TABULA_INLINE Vec<float> sin_shifted(Vec<float> x, int shift, Vec<float> sign) {
  using V = Vec<float>;
  using I = Vec<int32_t>;
  const V magic(Format<float>::magic), shifted = fma(abs(x), V(0.636619772f), magic), n = shifted - magic;
  const V first = fma(n, V(-0x1.921fb4p+0f), abs(x));
  const V r = fma(n, V(-0x1.846988p-48f), fma(n, V(-0x1.4442d0p-24f), first)), z = r * r;
  const V sin = fma(r * z, polynomial(z, tables::kSinSingle), r);
  const V cos = fma(z, fma(z, polynomial(z, tables::kCosSingle), V(-0.5f)), V(1));
  const I quadrant = bits_of(shifted) + I(shift);
  const Mask<float> odd((quadrant & I(1)).v != 0);
  return flip_sign(select(odd, cos, sin), from_bits(quadrant.shift_left(30) ^ bits_of(sign)));
}

}  // namespace detail

// Results below the normal range go through double: making one in float costs a trap into microcode on many processors,
// and softmax meets them often.
TABULA_INLINE Vec<float> exp(Vec<float> input) {
  using V = Vec<float>;
  const V x = at_least(at_most(input, V(90.0f)), V(-87.0f));
  const V magic(detail::Format<float>::magic), n = fma(x, V(1.44269504f), magic) - magic;
  const V r = fma(n, V(2.12194440e-4f), fma(n, V(-0.693359375f), x));
  const V e = fma(r, fma(r, detail::polynomial(r, tables::kExpSingle), V(1)), V(1));
  const V result = detail::scale_by_power(e, n);
  if (any_above(V(-87.0f), input)) [[unlikely]] {
    const auto below_normal = input < V(-87.0f), zero = input < V(-104.0f);
    if (!any(below_normal & !zero)) return select(zero, V(0), result);
    return select(below_normal, detail::by_double(input, [](Vec<double> d) TABULA_ALWAYS {
                    return detail::exp_double<false>(d);
                  }), result);
  }
  return result;
}

// log(2^k (1 + f)) with -1/4 <= f < 1/2
TABULA_INLINE Vec<float> log(Vec<float> x) {
  using V = Vec<float>;
  const V unit(6.9313812256e-01f), rest(9.0580006145e-06f);
#if TABULA_VECTOR_BYTES == 64
  // These two instructions know subnormal numbers, and their values for 0, infinity and negative numbers lead to log's.
  const V m((V::Raw)_mm512_maskz_getmant_ps(0xFFFF, (__m512)x.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan));
  const V k = V((V::Raw)_mm512_maskz_getexp_ps(0xFFFF, (__m512)x.v)) -
              V((V::Raw)_mm512_maskz_getexp_ps(0xFFFF, (__m512)m.v));
#else
  const auto [m, k] = detail::decompose(x, 0.75f);
#endif
  const V f = m - V(1), z = f * f;
  const V low = fma(z, V(-0.5f), fma(z * f, detail::polynomial(f, tables::kLogSingle), k * rest));
  const V r = fma(k, unit, f + low);
#if TABULA_VECTOR_BYTES == 64
  return r;
#else
  return detail::log_special(x, r);
#endif
}

TABULA_INLINE Vec<float> tanh(Vec<float> x) {
#if TABULA_VECTOR_BYTES == 64
  return copysign(detail::by_pieces(abs(x), tables::kTanhWidth, tables::kTanhPieces), x);
#else
  using V = Vec<float>;
  const V a = abs(x), z = a * a;
  const V small = fma(a * z, detail::polynomial(z, tables::kTanhSingle), a);
  const V capped = at_most(a, V(10));  // tanh is one in float long before
  return copysign(select(a < V(0.55f), small, V(1) - V(2) / (detail::exp_moderate(capped + capped) + V(1))), x);
#endif
}

// Past 0.85: erfc(x) = exp(-x p(x)) after N. Juffa; past 4 the float result is one.
TABULA_INLINE Vec<float> erf(Vec<float> x) {
  using V = Vec<float>;
#if TABULA_VECTOR_BYTES == 64
  const V a = abs(x), r = detail::by_pieces(a, tables::kErfWidth, tables::kErfPieces);
  return copysign(r + select(a < V(tables::kErfWidth / 2), a, V(0)), x);
#else
  const V a = abs(x), z = a * a, capped = at_most(a, V(4));
  const V small = fma(a, detail::polynomial(z, tables::kErfSingle), a);
  const V large = V(1) - detail::exp_moderate(-(capped * detail::polynomial(capped, tables::kErfTailSingle)));
  return copysign(select(a < V(0.85f), small, large), x);
#endif
}

// 1 / (1 + exp(-x)); below the least argument exp would overflow
TABULA_INLINE Vec<float> logistic(Vec<float> x) {
  using V = Vec<float>;
  const V least(-88.72f), e = detail::exp_moderate(-at_least(at_most(x, V(87)), least));
  return select(x < least, V(0), detail::reciprocal_moderate(V(1) + e));
}

}  // namespace TABULA_ISA
}  // namespace tabula
