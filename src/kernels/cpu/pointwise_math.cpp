// Exponentials, logarithms, trigonometry. Compiled once per instruction set.
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/special.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
void define_for(BlockTable& table) {
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
  TABULA_ROW1(erf, erf(x));
  TABULA_ROW1(erfc, erfc(x));
  TABULA_ROW1(sinc, formulas::sinc(x));
  TABULA_ROW1(logit, formulas::logit(x, p[0]));
  TABULA_ROW1(entr, formulas::entr(x));
  TABULA_ROW2(pow, pow(x, y));
  TABULA_ROW2(atan2, atan2(x, y));
  TABULA_ROW2(logaddexp, formulas::logaddexp(x, y));
  TABULA_ROW2(logaddexp2, formulas::logaddexp2(x, y));
  TABULA_ROW2(xlogy, formulas::xlogy(x, y));
  TABULA_ROW2(xlog1py, formulas::xlog1py(x, y));
  TABULA_ROW2(ldexp, formulas::ldexp(x, y));
}

}  // namespace

void define_math(BlockTable& table) {
  define_for<float>(table);
  define_for<double>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
