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

// What the codes with the largest exponent, and that of a negative zero, stand for.
enum class Float8 : uint8_t {
  Ieee,    // infinity and NaN, as in the wider formats
  Finite,  // "fn" of OCP: numbers; no infinity and a single NaN code per sign
  Unsigned // "fnuz": numbers; the code of the negative zero is the only NaN
};

// One 8-bit float format: 1 sign bit, E exponent bits, M mantissa bits.
template <int E, int M, int Bias, Float8 kind>
inline float float8_decode(uint8_t bits) {
  if (kind == Float8::Unsigned && bits == 0x80) return std::nanf("");
  const int exponent = (bits >> M) & ((1 << E) - 1);
  const int mantissa = bits & ((1 << M) - 1);
  float value;
  if (kind == Float8::Finite ? (bits & 0x7F) == 0x7F : kind == Float8::Ieee && exponent == (1 << E) - 1 && mantissa != 0)
    value = std::nanf("");
  else if (kind == Float8::Ieee && exponent == (1 << E) - 1)
    value = HUGE_VALF;
  else if (exponent == 0)
    value = std::ldexp(float(mantissa), 1 - Bias - M);
  else
    value = std::ldexp(float(mantissa + (1 << M)), exponent - Bias - M);
  return bits & 0x80 ? -value : value;
}

template <int E, int M, int Bias, Float8 kind>
inline uint8_t float8_encode(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (value != value) return kind == Float8::Unsigned ? 0x80 : sign | 0x7F;
  const float magnitude = std::fabs(value);
  int exponent;
  std::frexp(magnitude, &exponent);
  // the exponent of the last bit kept; below the normal range it stays at that of subnormals
  const int unit = std::max(exponent - 1, 1 - Bias) - M;
  const float steps = std::nearbyint(std::ldexp(magnitude, -unit));
  const float rounded = std::ldexp(steps, unit);
  const int top_exponent = (1 << E) - (kind == Float8::Ieee ? 2 : 1) - Bias;
  const float largest = std::ldexp(float((2 << M) - (kind == Float8::Finite ? 2 : 1)), top_exponent - M);
  // what is too large: NaN, infinity, or the largest number where there is no infinity
  if (!(rounded <= largest)) return kind == Float8::Unsigned ? 0x80 : sign | (kind == Float8::Finite ? 0x7E : ((1 << E) - 1) << M);
  if (rounded == 0) return kind == Float8::Unsigned ? 0 : sign;
  std::frexp(rounded, &exponent);
  exponent -= 1;
  if (exponent < 1 - Bias) return sign | uint8_t(std::ldexp(rounded, M + Bias - 1));
  const int mantissa = int(std::ldexp(rounded, M - exponent)) - (1 << M);
  return sign | uint8_t((exponent + Bias) << M | mantissa);
}

}  // namespace detail

template <int E, int M, int Bias, detail::Float8 kind>
struct Float8 {
  uint8_t bits;
  Float8() = default;
  explicit Float8(float value) : bits(detail::float8_encode<E, M, Bias, kind>(value)) {}
  operator float() const { return detail::float8_decode<E, M, Bias, kind>(bits); }
};
using Float8E4M3 = Float8<4, 3, 7, detail::Float8::Finite>;
using Float8E5M2 = Float8<5, 2, 15, detail::Float8::Ieee>;
using Float8E4M3Fnuz = Float8<4, 3, 8, detail::Float8::Unsigned>;
using Float8E5M2Fnuz = Float8<5, 2, 16, detail::Float8::Unsigned>;

// A scale: a float's exponent alone, without sign.
struct Float8E8M0 {
  uint8_t bits;
  Float8E8M0() = default;
  explicit Float8E8M0(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value), exponent = (u >> 23) & 0xFF, mantissa = u & 0x7FFFFF;
    // the nearer power of two, ties to the even exponent's successor as for a mantissa of no bits; 255 is NaN
    const bool up = mantissa > 0x400000 || (mantissa == 0x400000 && exponent > 0);
    bits = uint8_t(exponent == 255 ? 255 : exponent + up);
  }
  operator float() const {
    if (bits == 255) return std::nanf("");
    return bits ? std::bit_cast<float>(uint32_t(bits) << 23) : 0x1p-127f;
  }
};

struct ComplexHalf {
  Half re, im;
  ComplexHalf() = default;
  explicit ComplexHalf(std::complex<float> value) : re(value.real()), im(value.imag()) {}
  operator std::complex<float>() const { return {float(re), float(im)}; }
};

}  // namespace tabula
