#include "kernels/bessel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "kernels/special_math.h"

namespace tabula::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kPi = 3.14159265358979323846;
constexpr int64_t kPiece = 256;

double finite_only(double x, double (*f)(double)) { return std::isfinite(x) ? f(x) : kNaN; }

// Bessel functions of the second kind, which have a logarithmic pole at 0 and no value below.
double second_kind(double x, double (*f)(double)) {
  if (x == 0) return -HUGE_VAL;
  return x > 0 && std::isfinite(x) ? f(x) : kNaN;
}

// exp(x) K_nu(x): the asymptotic series (Abramowitz and Stegun, 9.7.2) has converged to double where K itself is tiny.
double scaled_k(double nu, double x) {
  if (x == 0) return HUGE_VAL;
  if (!(x > 0)) return kNaN;
  if (std::isinf(x)) return 0;
  if (x < 40) return std::exp(x) * std::cyl_bessel_k(nu, x);
  double term = 1, total = 1;
  for (int k = 1; k <= 20; k++) {
    term *= (4 * nu * nu - (2.0 * k - 1) * (2.0 * k - 1)) / (8 * k * x);
    total += term;
  }
  return std::sqrt(kPi / (2 * x)) * total;
}
double modified_k(double nu, double x) {
  if (x == 0) return HUGE_VAL;
  if (!(x > 0)) return kNaN;
  return std::exp(-x) * scaled_k(nu, x);
}

// Near 0 the Maclaurin series, elsewhere by Bessel functions of order 1/3 (Abramowitz and Stegun, 10.4.2, .14, .15).
double airy_ai(double x) {
  if (!std::isfinite(x)) return kNaN;
  if (std::fabs(x) <= 1) {
    const double cube = x * x * x;
    double f = 1, g = x, even = 1, odd = x;
    for (int k = 1; k < 12; k++) {
      even *= cube / ((3.0 * k - 1) * (3.0 * k));
      odd *= cube / ((3.0 * k) * (3.0 * k + 1));
      f += even;
      g += odd;
    }
    return 0.35502805388781723926 * f - 0.25881940379280679840 * g;
  }
  const double size = std::fabs(x), zeta = 2.0 / 3 * size * std::sqrt(size);
  if (x > 0) return std::sqrt(x / 3) / kPi * modified_k(1.0 / 3, zeta);
  return std::sqrt(size) / 2 * (std::cyl_bessel_j(1.0 / 3, zeta) - std::cyl_neumann(1.0 / 3, zeta) / std::sqrt(3.0));
}

double spherical_j0(double x) {
  if (std::isinf(x)) return 0;
  if (std::fabs(x) > 0.5) return std::sin(x) / x;
  double term = 1, total = 1;
  for (int k = 1; k <= 8; k++) {
    term *= -x * x / (2 * k * (2 * k + 1));
    total += term;
  }
  return total;
}

double value_of(Bessel f, double x) {
  switch (f) {
    case Bessel::j0: return finite_only(x, ::j0);
    case Bessel::j1: return finite_only(x, ::j1);
    case Bessel::y0: return second_kind(x, ::y0);
    case Bessel::y1: return second_kind(x, ::y1);
    case Bessel::i0: return finite_only(x, kernels::i0);
    case Bessel::i1: return finite_only(x, kernels::i1);
    case Bessel::k0: return modified_k(0, x);
    case Bessel::k1: return modified_k(1, x);
    case Bessel::scaled_k0: return scaled_k(0, x);
    case Bessel::scaled_k1: return scaled_k(1, x);
    case Bessel::airy_ai: return airy_ai(x);
    default: return spherical_j0(x);
  }
}

constexpr int64_t kMostSteps = int64_t(1) << 28;  // about a second

// p_0 = 1, p_1 = first, then p_{k+1} = next(k, p_k, p_{k-1}).
template <class F>
double recur(int64_t n, double first, F next) {
  if (n == 0) return 1;
  double before = 1, now = first;
  for (int64_t k = 1; k < n && now == now; k++) {  // once it has overflowed it stays NaN
    check(k < kMostSteps, "a polynomial of degree ", n, " takes as many steps: degrees above ", kMostSteps, " are not supported");
    const double after = next(double(k), now, before);
    before = now;
    now = after;
  }
  return now;
}

// The four kinds share a recurrence. Inside (-1, 1) they are quotients of sines and cosines of multiples of acos(x),
// which serves high degrees; at the ends they are small integers.
double chebyshev(Polynomial kind, double x, int64_t n) {
  const bool even = n % 2 == 0;
  const double size = double(n);
  if (std::fabs(x) == 1) {
    const double sign = x > 0 || even ? 1 : -1;
    switch (kind) {
      case Polynomial::chebyshev_t: return sign;
      case Polynomial::chebyshev_u: return sign * (size + 1);
      case Polynomial::chebyshev_v: return x > 0 ? 1 : sign * (2 * size + 1);
      default: return x > 0 ? 2 * size + 1 : sign;
    }
  }
  if (n > 8 && std::fabs(x) < 1) {
    const double t = std::acos(x);
    switch (kind) {
      case Polynomial::chebyshev_t: return std::cos(size * t);
      case Polynomial::chebyshev_u: return std::sin((size + 1) * t) / std::sin(t);
      case Polynomial::chebyshev_v: return std::cos((size + 0.5) * t) / std::cos(t / 2);
      default: return std::sin((size + 0.5) * t) / std::sin(t / 2);
    }
  }
  const double first = kind == Polynomial::chebyshev_t ? x : kind == Polynomial::chebyshev_u ? 2 * x : kind == Polynomial::chebyshev_v ? 2 * x - 1 : 2 * x + 1;
  return recur(n, first, [x](double, double p, double q) { return 2 * x * p - q; });
}

double value_of(const PolynomialCall& call, double x, double degree) {
  if (!(degree > -1)) return 0;
  const int64_t n = int64_t(std::min(degree, 0x1p62));
  switch (call.family) {
    case Polynomial::chebyshev_t:
    case Polynomial::chebyshev_u:
    case Polynomial::chebyshev_v:
    case Polynomial::chebyshev_w: return chebyshev(call.family, x, n);
    case Polynomial::shifted_t:
    case Polynomial::shifted_u:
    case Polynomial::shifted_v:
    case Polynomial::shifted_w: return chebyshev(Polynomial(int(call.family) - int(Polynomial::shifted_t)), 2 * x - 1, n);
    case Polynomial::hermite_h:
      if (n > call.hermite_limit) return kNaN;
      return recur(n, 2 * x, [x](double k, double p, double q) { return 2 * (x * p - k * q); });
    case Polynomial::hermite_he:
      if (n > call.hermite_limit) return kNaN;
      return recur(n, x, [x](double k, double p, double q) { return x * p - k * q; });
    case Polynomial::laguerre_l: return x == 0 ? 1 : recur(n, 1 - x, [x](double k, double p, double q) { return ((2 * k + 1 - x) * p - k * q) / (k + 1); });
    default:
      if (std::fabs(x) == 1) return x > 0 || n % 2 == 0 ? 1 : -1;
      return recur(n, x, [x](double k, double p, double q) { return ((2 * k + 1) * x * p - k * q) / (k + 1); });
  }
}

void bessel_cpu(const BesselCall& call) {
  parallel_for(call.count, kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) call.out[i] = value_of(call.function, call.x[i]);
  });
}
void polynomial_cpu(const PolynomialCall& call) {
  parallel_for(call.count, kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) call.out[i] = value_of(call, call.x[i], call.n[i]);
  });
}

}  // namespace

Kernel<void(const BesselCall&)> bessel("bessel", bessel_cpu);
Kernel<void(const PolynomialCall&)> polynomial("polynomial", polynomial_cpu);

}  // namespace tabula::kernels
