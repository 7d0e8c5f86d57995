#include "kernels/special_math.h"

#include <cmath>
#include <limits>

#include "kernels/simd_tables.h"

namespace tabula::kernels {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Chebyshev coefficients, made by interpolation with 40 digits: exp(-x) I0(x) and exp(-x) I1(x) / x over [0, 8], and
// sqrt(x) exp(-x) I(x) as functions of 1/x over (0, 1/8].
constexpr double kI0Near[] = {
    0.33839763720473803, -0.3046826723431984, 0.17162090152220877, -0.09490109704804764, 0.04930528423967071,
    -0.02373741480589947, 0.010546460394594998, -0.004324309995050576, 0.0016394756169413357,
    -0.0005763755745385824, 0.00018850288509584165, -5.754195010082104e-05, 1.6448448070728896e-05,
    -4.4167383584587505e-06, 1.1173875391201037e-06, -2.670793853940612e-07, 6.046995022541919e-08,
    -1.300025009986248e-08, 2.6598237246823854e-09, -5.189795601635137e-10, 9.675809035361834e-11,
    -1.7268262913415504e-11, 2.9550526546050905e-12, -4.85644607740186e-13, 7.676128806824866e-14,
    -1.1680917536346972e-14, 1.6820833403669107e-15};
constexpr double kI0Far[] = {
    0.4022452055070544, 0.0033691164782556943, 6.889758346916825e-05, 2.8913705208347567e-06,
    2.0489185894690638e-07, 2.2666689904981784e-08, 3.3962320257083695e-09, 4.940602388225098e-10,
    1.1889147107907285e-11, -3.1499165279758775e-11, -1.3215811840598074e-11, -1.7941785307516848e-12,
    7.18012445125554e-13, 3.8527783458740196e-13, 1.5400865445919478e-14, -4.150567745322437e-14,
    -9.554875559431729e-15, 3.811616222861382e-15, 1.7727539756382845e-15, -3.422996909327199e-16,
    -2.8395604898118057e-16, 3.362008116164205e-17, 5.188939467786974e-17};
constexpr double kI1Near[] = {
    0.12629359322181682, -0.17641651835783406, 0.1026436586898471, -0.05294598120809499, 0.024726449030626516,
    -0.010564084894626197, 0.004156422944312888, -0.0015135724506312532, 0.0005122859561685758,
    -0.00016176081582589674, 4.781565107550054e-05, -1.3273163656039436e-05, 3.4702513081376785e-06,
    -8.568720264695455e-07, 2.0032947535521353e-07, -4.445059128796328e-08, 9.381537386495773e-09,
    -1.8872497517228294e-09, 3.625590281552116e-10, -6.663489723501946e-11, 1.1736186298883234e-11,
    -1.9839743976954342e-12, 3.2237933598152465e-13, -5.0421849790549133e-14, 7.60064050170784e-15,
    -1.105242789558132e-15, 1.52585281660859e-16};
constexpr double kI1Far[] = {
    0.38928811750914005, -0.009761097491361469, -0.00011058893876262371, -3.882564808877691e-06,
    -2.512236237870209e-07, -2.6314688468895196e-08, -3.83538038596422e-09, -5.589743462196723e-10,
    -1.8974958123566388e-11, 3.252603583028652e-11, 1.4125807436759235e-11, 2.0356285433709255e-12,
    -7.198551775665672e-13, -4.0835510735734356e-13, -2.1015421988511048e-14, 4.272438403858426e-14,
    1.0420307482356685e-14, -3.814339129854627e-15, -1.880557469873956e-15, 3.305788033595361e-16,
    2.975050930854977e-16, -3.116384136379235e-17, -5.402034998040459e-17};

// Clenshaw's recurrence for the series in T_k(u), |u| <= 1
template <int n>
double chebyshev(double u, const double (&c)[n]) {
  double b1 = 0, b2 = 0;
  for (int k = n - 1; k > 0; k--) {
    const double b0 = 2 * u * b1 - b2 + c[k];
    b2 = b1;
    b1 = b0;
  }
  return u * b1 - b2 + c[0];
}

// B_2k / (2k)!, for Euler and Maclaurin's sum of the zeta function
constexpr double kBernoulliOverFactorial[] = {1.0 / 12,
                                              -1.0 / 720,
                                              1.0 / 30240,
                                              -1.0 / 1209600,
                                              1.0 / 47900160,
                                              -691.0 / 1307674368000.0,
                                              1.0 / 74724249600.0,
                                              -3617.0 / 10670622842880000.0,
                                              43867.0 / 5109094217170944000.0};

// log(x) - 1/(2x) - sum B_2k / (2k x^2k) for x >= 10
double digamma_large(double x) {
  const double z = 1 / (x * x);
  const double series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 -
                        z * (691.0 / 32760 - z / 12))))));
  return std::log(x) - 0.5 / x - series;
}

// log(x / a) - (x - a) / a without cancellation
double log_ratio_minus(double x, double a) {
  const double m = (x - a) / a;
  if (std::fabs(m) > 0.3) return std::log(x / a) - m;
  // with s = m / (2 + m): log(1 + m) = 2 atanh(s), and m = 2 s / (1 - s)
  const double s = m / (2 + m), z = s * s;
  double sum = 0, power = 1;
  for (int k = 3; k < 40 && power > 1e-18; k += 2) {
    sum += power / k;
    power *= z;
  }
  return 2 * s * z * sum - m * s;
}

// lgamma(a + 1) - (a log a - a + log(2 pi a) / 2) for a >= 10
double stirling_rest(double a) {
  const double z = 1 / (a * a);
  return (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z * (1.0 / 1680 - z * (1.0 / 1188 - z * 691.0 / 360360))))) / a;
}

// x^a exp(-x) / gamma(a + 1)
double igamma_factor(double a, double x) {
  if (a < 10) return std::exp(a * std::log(x) - x - kernels::lgamma(a + 1));
  return std::exp(a * log_ratio_minus(x, a) - stirling_rest(a)) / std::sqrt(2 * kPi * a);
}

// The lower function by its power series, the upper by Lentz's evaluation of Legendre's continued fraction; both lose
// nothing on their own side of x = a + 1, and need of the order of sqrt(a) terms there.
double igamma_series(double a, double x) {
  double term = 1, sum = 1;
  for (double k = a + 1; term > sum * 1e-17; k += 1) {
    term *= x / k;
    sum += term;
  }
  return sum * igamma_factor(a, x);
}
double igammac_fraction(double a, double x) {
  constexpr double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
  for (int i = 1; i < 100000; i++) {
    const double an = -i * (i - a);
    b += 2;
    d = an * d + b;
    if (std::fabs(d) < tiny) d = tiny;
    c = b + an / c;
    if (std::fabs(c) < tiny) c = tiny;
    d = 1 / d;
    const double step = d * c;
    h *= step;
    if (std::fabs(step - 1) < 1e-16) break;
  }
  return h * a * igamma_factor(a, x);
}

// 1 - P for small x and a, from the alternating series for P with the leading one taken out
double igammac_small(double a, double x) {
  double term = 1, sum = 0;
  for (int n = 1; n < 200; n++) {
    term *= -x / n;
    sum += term / (a + n);
    if (std::fabs(term) < 1e-18) break;
  }
  const double log_factor = a * std::log(x) - kernels::lgamma(a + 1);
  return -std::expm1(log_factor) - a * std::exp(log_factor) * sum;
}

// Where both arguments are huge the two expansions above take too long; the chi-square quantity's cube root is then
// normal to within an error of order 1/a: E. B. Wilson and M. M. Hilferty (1931).
constexpr double kHugeShape = 1e9;
double igamma_normal(double a, double x, double sign) {
  const double deviate = (std::cbrt(x / a) - (1 - 1 / (9 * a))) * std::sqrt(9 * a);
  return 0.5 * std::erfc(-sign * deviate / std::sqrt(2.0));
}

double erfcx_positive(double x) {
  const double u = (x - 4) / (x + 4);
  constexpr int n = sizeof tables::kErfcx / sizeof tables::kErfcx[0];
  double p = tables::kErfcx[n - 1];
  for (int i = n - 2; i >= 0; i--) p = p * u + tables::kErfcx[i];
  return p / (1 + 2 * x);
}

// x >= 0 with erfc(x) = q, 0 < q <= 1: Winitzki's closed form, then Newton's steps on log(erfc), which is nearly a
// parabola, so that they converge from any start
double erfc_inverse(double q) {
  if (q > 0.5) return erfinv(1 - q);
  const double l = std::log(q) + std::log(2 - q), t = 2 / (kPi * 0.147) + l / 2;
  double x = std::sqrt(std::sqrt(t * t - l / 0.147) - t);
  const double target = std::log(q);
  for (int i = 0; i < 4; i++) {
    const double e = erfcx_positive(x);
    x += (std::log(e) - x * x - target) * e * 0.88622692545275801365;
  }
  return x;
}

}  // namespace

double lgamma(double x) {
  if (x == -kInf) return kInf;
  int sign;  // the plain function would write a global
  return ::lgamma_r(x, &sign);
}

double digamma(double x) {
  if (x == 0) return std::copysign(kInf, -x);
  if (x < 0) {
    if (x == std::trunc(x)) return kNaN;
    double whole;
    const double fraction = std::modf(x, &whole);
    return digamma(1 - x) - kPi / std::tan(kPi * fraction);
  }
  double shift = 0;
  while (x < 10) {
    shift += 1 / x;
    x += 1;
  }
  return digamma_large(x) - shift;
}

double zeta(double s, double q) {
  if (s == 1) return kInf;
  if (s < 1) return kNaN;
  if (q <= 0) {
    if (q == std::floor(q)) return kInf;
    if (s != std::floor(s)) return kNaN;  // a negative base to a fractional power
  }
  if (s != s || q != q) return kNaN;
  double sum = 0, term = 0, x = q;
  for (int k = 0; k < 9 || x <= 9; k++) {
    term = std::pow(x, -s);
    sum += term;
    x += 1;
    if (std::fabs(term) < 1e-17 * std::fabs(sum)) return sum;
  }
  // the tail from x on
  const double power = std::pow(x, -s);
  sum += power * x / (s - 1) + 0.5 * power;
  double factor = s, scale = power / x;
  for (int k = 0; k < 9; k++) {
    const double add = factor * scale * kBernoulliOverFactorial[k];
    sum += add;
    if (std::fabs(add) < 1e-17 * std::fabs(sum)) break;
    factor *= (s + 2 * k + 1) * (s + 2 * k + 2);
    scale /= x * x;
  }
  return sum;
}

double polygamma(double n, double x) {
  if (n == 0) return digamma(x);
  const double sign = std::fmod(n, 2) == 0 ? -1 : 1;
  return sign * std::tgamma(n + 1) * zeta(n + 1, x);
}

double erfinv(double y) {
  const double a = std::fabs(y);
  if (!(a <= 1)) return kNaN;
  if (a == 1) return std::copysign(kInf, y);
  if (a > 0.5) return std::copysign(erfc_inverse(1 - a), y);
  const double l = std::log1p(-a * a), t = 2 / (kPi * 0.147) + l / 2;
  double x = a < 1e-8 ? a * 0.88622692545275801365 : std::sqrt(std::sqrt(t * t - l / 0.147) - t);
  for (int i = 0; i < 2; i++) {  // Halley
    const double step = (std::erf(x) - a) / (1.12837916709551257390 * std::exp(-x * x));
    x -= step / (1 + x * step);
  }
  return std::copysign(x, y);
}

double erfcx(double x) {
  if (x >= 0) return x == kInf ? 0 : erfcx_positive(x);
  if (x != x) return x;
  return x < -27 ? kInf : 2 * std::exp(x * x) - erfcx_positive(-x);
}

double ndtri(double p) {
  if (p == 0) return -kInf;
  if (p == 1) return kInf;
  if (!(p > 0 && p < 1)) return kNaN;
  constexpr double root2 = 1.41421356237309504880;
  return p <= 0.5 ? 0 - root2 * erfc_inverse(2 * p) : root2 * erfc_inverse(2 * (1 - p));
}

double log_ndtr(double x) {
  const double t = x * 0.70710678118654752440;
  if (x < -1) return t == -kInf ? -kInf : std::log(erfcx_positive(-t) / 2) - t * t;
  return std::log1p(-std::erfc(t) / 2);
}

double i0e(double x) {
  x = std::fabs(x);
  if (x <= 8) return chebyshev(x / 4 - 1, kI0Near);
  return chebyshev(16 / x - 1, kI0Far) / std::sqrt(x);
}
double i0(double x) { return std::exp(std::fabs(x)) * i0e(x); }
double i1e(double x) {
  const double a = std::fabs(x);
  const double r = a <= 8 ? chebyshev(a / 4 - 1, kI1Near) * a : chebyshev(16 / a - 1, kI1Far) / std::sqrt(a);
  return x < 0 ? -r : r;
}
double i1(double x) { return std::exp(std::fabs(x)) * i1e(x); }

double igamma(double a, double x) {
  if (!(x >= 0) || !(a >= 0)) return kNaN;
  if (a == 0) return x > 0 ? 1 : kNaN;
  if (x == 0) return 0;
  if (std::isinf(a)) return std::isinf(x) ? kNaN : 0;
  if (std::isinf(x)) return 1;
  if (a > kHugeShape) return igamma_normal(a, x, 1);
  return x < a + 1 ? igamma_series(a, x) : 1 - igammac_fraction(a, x);
}
double igammac(double a, double x) {
  if (!(x >= 0) || !(a >= 0)) return kNaN;
  if (a == 0) return x > 0 ? 0 : kNaN;
  if (x == 0) return 1;
  if (std::isinf(a)) return std::isinf(x) ? kNaN : 1;
  if (std::isinf(x)) return 0;
  if (a > kHugeShape) return igamma_normal(a, x, -1);
  if (x > 1.1 && x >= a + 1) return igammac_fraction(a, x);
  const bool small = x <= 0.5 ? a < -0.4 / std::log(x) : x <= 1.1 && a < 0.75 * x;
  return small ? igammac_small(a, x) : 1 - igamma_series(a, x);
}

}  // namespace tabula::kernels
