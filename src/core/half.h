// Storage types that C++20 lacks. Each converts to and from float; arithmetic happens in float.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>

namespace tabula {

struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  explicit BFloat16(float value) {
    uint32_t u = std::bit_cast<uint32_t>(value);
    // round to nearest even; NaN stays a quiet NaN
    bits = value != value ? uint16_t(0x7FC0) : uint16_t((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

struct Half {
  uint16_t bits;
  Half() = default;
  explicit Half(float value) : bits(std::bit_cast<uint16_t>(_Float16(value))) {}
  operator float() const { return float(std::bit_cast<_Float16>(bits)); }
};

namespace detail {

// One 8-bit float format: 1 sign bit, E exponent bits, M mantissa bits. `finite` formats (the OCP
// "fn" ones) have no infinity and a single NaN code per sign.
template <int E, int M, int Bias, bool finite>
inline float float8_decode(uint8_t bits) {
  const int exponent = (bits >> M) & ((1 << E) - 1);
  const int mantissa = bits & ((1 << M) - 1);
  float value;
  if (finite ? (bits & 0x7F) == 0x7F : exponent == (1 << E) - 1 && mantissa != 0)
    value = std::nanf("");
  else if (!finite && exponent == (1 << E) - 1)
    value = HUGE_VALF;
  else if (exponent == 0)
    value = std::ldexp(float(mantissa), 1 - Bias - M);
  else
    value = std::ldexp(float(mantissa + (1 << M)), exponent - Bias - M);
  return bits & 0x80 ? -value : value;
}

template <int E, int M, int Bias, bool finite>
inline uint8_t float8_encode(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const uint8_t nan = finite ? 0x7F : 0x7E | ((1 << E) - 1) << M;
  if (value != value) return sign | nan;
  const float magnitude = std::fabs(value);
  int exponent;
  std::frexp(magnitude, &exponent);
  // the exponent of the last bit kept; below the normal range it stays at that of subnormals
  const int unit = std::max(exponent - 1, 1 - Bias) - M;
  const float steps = std::nearbyint(std::ldexp(magnitude, -unit));
  const float rounded = std::ldexp(steps, unit);
  const int top_exponent = finite ? (1 << E) - 1 - Bias : (1 << E) - 2 - Bias;
  const float largest = std::ldexp(float((2 << M) - (finite ? 2 : 1)), top_exponent - M);
  if (!(rounded <= largest)) return sign | (finite ? nan : ((1 << E) - 1) << M);
  if (rounded == 0) return sign;
  std::frexp(rounded, &exponent);
  exponent -= 1;
  if (exponent < 1 - Bias) return sign | uint8_t(std::ldexp(rounded, M + Bias - 1));
  const int mantissa = int(std::ldexp(rounded, M - exponent)) - (1 << M);
  return sign | uint8_t((exponent + Bias) << M | mantissa);
}

}  // namespace detail

struct Float8E4M3 {
  uint8_t bits;
  Float8E4M3() = default;
  explicit Float8E4M3(float value) : bits(detail::float8_encode<4, 3, 7, true>(value)) {}
  operator float() const { return detail::float8_decode<4, 3, 7, true>(bits); }
};

struct Float8E5M2 {
  uint8_t bits;
  Float8E5M2() = default;
  explicit Float8E5M2(float value) : bits(detail::float8_encode<5, 2, 15, false>(value)) {}
  operator float() const { return detail::float8_decode<5, 2, 15, false>(bits); }
};

struct ComplexHalf {
  Half re, im;
  ComplexHalf() = default;
  explicit ComplexHalf(std::complex<float> value) : re(value.real()), im(value.imag()) {}
  operator std::complex<float>() const { return {float(re), float(im)}; }
};

}  // namespace tabula
