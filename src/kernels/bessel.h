// Bessel functions, Airy's function and orthogonal polynomials: computed one by one in double.
#pragma once

#include <cstdint>

#include "core/device.h"

namespace tabula::kernels {

enum class Bessel : uint8_t { j0, j1, y0, y1, i0, i1, k0, k1, scaled_k0, scaled_k1, airy_ai, spherical_j0 };
enum class Polynomial : uint8_t {
  chebyshev_t, chebyshev_u, chebyshev_v, chebyshev_w, shifted_t, shifted_u, shifted_v, shifted_w, hermite_h, hermite_he, laguerre_l, legendre_p
};

// out[i] = f(x[i])
struct BesselCall {
  Bessel function;
  int64_t count;
  const double* x;
  double* out;
};
extern Kernel<void(const BesselCall&)> bessel;

// out[i] = the polynomial of degree trunc(n[i]) at x[i]; Hermite's are NaN above `hermite_limit`, where they overflow.
struct PolynomialCall {
  Polynomial family;
  int64_t count;
  const double *x, *n;
  double* out;
  int64_t hermite_limit;
};
extern Kernel<void(const PolynomialCall&)> polynomial;

}  // namespace tabula::kernels
