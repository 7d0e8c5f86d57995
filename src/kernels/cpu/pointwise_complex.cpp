// Complex operations, element by element. Compiled for the baseline only, with -fcx-fortran-rules.
#include "kernels/complex_math.h"
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/activation.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
void define_for(BlockTable& table) {
  using R = typename T::value_type;
  define_moves<T>(table);
  TABULA_ROW1(positive, x);
  TABULA_ROW1(conj_physical, conj(x));
  TABULA_ROW1(neg, -x);
  TABULA_ROW1(sgn, sgn(x));
  TABULA_ROW1(reciprocal, formulas::reciprocal(x));
  TABULA_ROW1(sqrt, sqrt(x));
  TABULA_ROW1(rsqrt, formulas::rsqrt(x));
  TABULA_ROW1(square, formulas::square(x));
  TABULA_ROW1(exp, exp(x));
  TABULA_ROW1(exp2, exp2(x));
  TABULA_ROW1(expm1, expm1(x));
  TABULA_ROW1(log, log(x));
  TABULA_ROW1(log2, log2(x));
  TABULA_ROW1(log10, log10(x));
  TABULA_ROW1(log1p, log1p(x));
  TABULA_ROW1(sin, sin(x));
  TABULA_ROW1(cos, cos(x));
  TABULA_ROW1(tan, tan(x));
  TABULA_ROW1(asin, asin(x));
  TABULA_ROW1(acos, acos(x));
  TABULA_ROW1(atan, atan(x));
  TABULA_ROW1(sinh, sinh(x));
  TABULA_ROW1(cosh, cosh(x));
  TABULA_ROW1(tanh, tanh(x));
  TABULA_ROW1(asinh, asinh(x));
  TABULA_ROW1(acosh, acosh(x));
  TABULA_ROW1(atanh, atanh(x));
  TABULA_ROW1(sigmoid, formulas::sigmoid(x));
  TABULA_ROW1(silu, formulas::silu(x));
  TABULA_ROW1(sinc, x == T(0) ? T(1) : sin(x * R(3.14159265358979323846)) / (x * R(3.14159265358979323846)));
  TABULA_ROW1_TO(R, abs, abs(x));
  TABULA_ROW1_TO(R, angle, tabula::angle(x));
  TABULA_ROW1_TO(bool, isnan, isnan(x));
  TABULA_ROW1_TO(bool, isinf, isinf(x));
  TABULA_ROW1_TO(bool, isfinite, isfinite(x));
  TABULA_ROW1_TO(bool, logical_not, x == T(0));

  TABULA_ROW2(add, x + p[0] * y);
  TABULA_ROW2(sub, x - p[0] * y);
  TABULA_ROW2(rsub, y - p[0] * x);
  TABULA_ROW2(mul, x * y);
  TABULA_ROW2(div, x / y);
  TABULA_ROW2(pow, pow(x, y));
  TABULA_ROW2(logaddexp, logaddexp(x, y));
  TABULA_ROW2(ldexp, formulas::ldexp(x, y));
  TABULA_ROW2_TO(bool, logical_and, (x != T(0)) & (y != T(0)));
  TABULA_ROW2_TO(bool, logical_or, (x != T(0)) | (y != T(0)));
  TABULA_ROW2_TO(bool, logical_xor, (x != T(0)) ^ (y != T(0)));
  TABULA_ROW2_TO(bool, eq, x == y);
  TABULA_ROW2_TO(bool, ne, x != y);
  TABULA_ROW3(lerp, abs(z) < R(0.5) ? x + z * (y - x) : y - (y - x) * (T(1) - z));
  TABULA_ROW3(addcmul, x + p[0] * y * z);
  TABULA_ROW3(addcdiv, formulas::addcdiv(x, y, z, p[0]));

  TABULA_ROW2(tanh_grad, formulas::tanh_grad(x, y));
  TABULA_ROW2(sigmoid_grad, formulas::sigmoid_grad(x, y));
  TABULA_ROW2(mse, formulas::mse(x, y));
}

// Makes complex numbers: the inputs are real.
template <class R>
void define_makers(BlockTable& table) {
  define_to<R, std::complex<R>, 2>(table, Pointwise::complex,
                                   [](const auto&, R re, R im) { return std::complex<R>(re, im); });
  define_to<R, std::complex<R>, 2>(table, Pointwise::polar, [](const auto&, R modulus, R angle) {
    return std::complex<R>(modulus * std::cos(angle), modulus * std::sin(angle));
  });
}

}  // namespace

void define_complex(BlockTable& table) {
  define_for<c64>(table);
  define_for<c128>(table);
  define_makers<float>(table);
  define_makers<double>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
