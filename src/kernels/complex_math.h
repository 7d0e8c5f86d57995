// The names that formulas call, for complex numbers. Compiled for the baseline only; files that include this are built
// with -fcx-fortran-rules, so that products are the plain formula and quotients are scaled.
#pragma once

#include <cmath>
#include <complex>

#include "core/dtype.h"
#include "kernels/scalar_math.h"

namespace tabula {
inline namespace TABULA_ISA {

#define TABULA_FOR_BOTH(X) X(float) X(double)

#define X(R)                                                                                              \
  inline std::complex<R> exp(std::complex<R> z) { return std::exp(z); }                                   \
  inline std::complex<R> log(std::complex<R> z) { return std::log(z); }                                   \
  inline std::complex<R> sin(std::complex<R> z) { return std::sin(z); }                                   \
  inline std::complex<R> cos(std::complex<R> z) { return std::cos(z); }                                   \
  inline std::complex<R> tan(std::complex<R> z) { return std::tan(z); }                                   \
  inline std::complex<R> asin(std::complex<R> z) { return std::asin(z); }                                 \
  inline std::complex<R> acos(std::complex<R> z) { return std::acos(z); }                                 \
  inline std::complex<R> atan(std::complex<R> z) { return std::atan(z); }                                 \
  inline std::complex<R> sinh(std::complex<R> z) { return std::sinh(z); }                                 \
  inline std::complex<R> cosh(std::complex<R> z) { return std::cosh(z); }                                 \
  inline std::complex<R> tanh(std::complex<R> z) { return std::tanh(z); }                                 \
  inline std::complex<R> asinh(std::complex<R> z) { return std::asinh(z); }                               \
  inline std::complex<R> acosh(std::complex<R> z) { return std::acosh(z); }                               \
  inline std::complex<R> atanh(std::complex<R> z) { return std::atanh(z); }                               \
  inline std::complex<R> sqrt(std::complex<R> z) { return std::sqrt(z); }                                 \
  inline std::complex<R> conj(std::complex<R> z) { return std::conj(z); }                                 \
  inline R abs(std::complex<R> z) { return std::abs(z); }                                                 \
  inline R angle(std::complex<R> z) { return std::arg(z); }                                               \
  inline std::complex<R> exp2(std::complex<R> z) { return std::exp(z * R(0.69314718055994530942)); }      \
  inline std::complex<R> log2(std::complex<R> z) { return std::log(z) * R(1.44269504088896340736); }      \
  inline std::complex<R> log10(std::complex<R> z) { return std::log10(z); }                               \
  /* Re(log(1 + z)) = log1p(x (x + 2) + y^2) / 2 keeps small arguments */                                 \
  inline std::complex<R> log1p(std::complex<R> z) {                                                       \
    const R x = z.real(), y = z.imag(), modulus = std::hypot(x + 1, y);                                   \
    const R real = modulus > R(0.5) && modulus < R(2) ? std::log1p(x * (x + 2) + y * y) / 2 : std::log(modulus); \
    return {real, std::atan2(y, x + 1)};                                                                  \
  }                                                                                                       \
  /* exp(z) - 1 = expm1(x) cos(y) - 2 sin(y/2)^2 + i exp(x) sin(y) */                                     \
  inline std::complex<R> expm1(std::complex<R> z) {                                                       \
    const R x = z.real(), y = z.imag(), half = std::sin(y / 2);                                           \
    return {std::expm1(x) * std::cos(y) - 2 * half * half, std::exp(x) * std::sin(y)};                    \
  }                                                                                                       \
  /* the larger real part is taken out, and the imaginary part is not brought back to (-pi, pi] */         \
  inline std::complex<R> logaddexp(std::complex<R> z, std::complex<R> w) {                                \
    if (z.real() < w.real()) std::swap(z, w);                                                             \
    if (std::isinf(z.real()) && z.real() == w.real()) return z.real() < 0 ? w : std::log(std::exp(w) + std::exp(z)); \
    return log1p(std::exp(w - z)) + z;                                                                    \
  }                                                                                                       \
  inline std::complex<R> pow(std::complex<R> z, std::complex<R> w) { return std::pow(z, w); }             \
  inline bool isnan(std::complex<R> z) { return isnan(z.real()) || isnan(z.imag()); }                     \
  inline bool isinf(std::complex<R> z) { return isinf(z.real()) || isinf(z.imag()); }                     \
  inline bool isfinite(std::complex<R> z) { return isfinite(z.real()) && isfinite(z.imag()); }            \
  inline std::complex<R> sgn(std::complex<R> z) {                                                         \
    const R modulus = std::abs(z);                                                                        \
    return modulus == 0 ? std::complex<R>(0) : z / modulus;                                               \
  }                                                                                                       \
  inline std::complex<R> select(bool condition, std::complex<R> yes, std::complex<R> no) {                \
    return condition ? yes : no;                                                                          \
  }
TABULA_FOR_BOTH(X)
#undef X

}  // namespace TABULA_ISA
}  // namespace tabula
