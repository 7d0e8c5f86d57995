// Bool and integer operations. Compiled once per instruction set, with -fwrapv: integers wrap.
#include <limits>

#include "core/error.h"
#include "kernels/cpu/pointwise_block.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
TABULA_INLINE T divide(T x, T y) {
  // the one overflowing quotient wraps instead of trapping
  if constexpr (std::is_signed_v<T>) return y == T(-1) ? T(-x) : T(x / y);
  return T(x / y);
}
template <class T>
TABULA_INLINE T modulo(T x, T y) {
  if constexpr (std::is_signed_v<T>) return y == T(-1) ? T(0) : T(x % y);
  return T(x % y);
}
template <class T>
TABULA_INLINE T floor_quotient(T x, T y) {
  const T q = divide(x, y);
  if constexpr (std::is_signed_v<T>) return (x < 0) != (y < 0) && modulo(x, y) != 0 ? T(q - 1) : q;
  return q;
}
template <class T>
TABULA_INLINE T floor_modulo(T x, T y) {
  const T r = modulo(x, y);
  if constexpr (std::is_signed_v<T>) return r != 0 && (r < 0) != (y < 0) ? T(r + y) : r;
  return r;
}
template <class T>
TABULA_INLINE T power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < 0) return base == 1 ? T(1) : base == T(-1) ? (exponent & 1 ? T(-1) : T(1)) : T(0);
  }
  T result = 1;
  for (auto e = std::make_unsigned_t<T>(exponent); e; e >>= 1) {
    if (e & 1) result = T(result * base);
    base = T(base * base);
  }
  return result;
}
template <class T>
TABULA_INLINE T magnitude(T x) {
  return x < T(0) ? T(-x) : x;
}
template <class T>
TABULA_INLINE T common_divisor(T x, T y) {
  x = magnitude(x);
  y = magnitude(y);
  while (y != 0) {
    const T r = modulo(x, y);
    x = y;
    y = r;
  }
  return x;
}
template <class T>
TABULA_INLINE T common_multiple(T x, T y) {
  const T g = common_divisor(x, y);
  return g == 0 ? T(0) : magnitude(T(divide(x, g) * y));
}
// Counts past the width, and negative ones, shift everything out.
template <class T>
TABULA_INLINE T shift_left(T x, T by) {
  constexpr T bits = std::numeric_limits<std::make_unsigned_t<T>>::digits;
  return by < T(0) || by >= bits ? T(0) : T(std::make_unsigned_t<T>(x) << by);
}
template <class T>
TABULA_INLINE T shift_right(T x, T by) {
  constexpr T most = std::numeric_limits<std::make_unsigned_t<T>>::digits - (std::is_signed_v<T> ? 1 : 0);
  if constexpr (std::is_signed_v<T>)
    return T(x >> (by < 0 || by > most ? most : by));
  else
    return by >= most ? T(0) : T(x >> by);
}

template <class T, class F>
void division_block(int64_t n, char* const* out, const char* const* in, const double* params, const int64_t* iparams,
                    uint32_t repeated) {
  const T* const divisor = reinterpret_cast<const T*>(in[1]);
  bool zero = false;
  for (int64_t i = 0; i < n; i++) zero |= divisor[i] == 0;
  check(!zero, "ZeroDivisionError");
  scalar_block<T, T, 2, F>(n, out, in, params, iparams, repeated);
}
template <class T, class F>
void define_division(BlockTable& table, Pointwise op, F) {
  table.at[int(op)][int(dtype_of<T>)] = division_block<T, F>;
}

// What bool and the integers share.
template <class T>
void define_common(BlockTable& table) {
  define_moves<T>(table);
  TABULA_ROW1(positive, x);
  TABULA_ROW1(conj_physical, x);
  TABULA_ROW2(add, x + p[0] * y);
  TABULA_ROW2(mul, x * y);
  TABULA_ROW2(maximum, x < y ? y : x);
  TABULA_ROW2(minimum, y < x ? y : x);
  TABULA_ROW2(fmax, x < y ? y : x);
  TABULA_ROW2(fmin, y < x ? y : x);
  TABULA_ROW2(bitwise_and, T(x & y));
  TABULA_ROW2(bitwise_or, T(x | y));
  TABULA_ROW2(bitwise_xor, T(x ^ y));
  TABULA_ROW1_TO(bool, isnan, x != x);
  TABULA_ROW1_TO(bool, isinf, x != x);
  TABULA_ROW1_TO(bool, isposinf, x != x);
  TABULA_ROW1_TO(bool, isneginf, x != x);
  TABULA_ROW1_TO(bool, isfinite, x == x);
  TABULA_ROW1_TO(bool, signbit, x < T(0));
  TABULA_ROW1_TO(bool, logical_not, x == T(0));
  TABULA_ROW2_TO(bool, logical_and, (x != T(0)) & (y != T(0)));
  TABULA_ROW2_TO(bool, logical_or, (x != T(0)) | (y != T(0)));
  TABULA_ROW2_TO(bool, logical_xor, (x != T(0)) ^ (y != T(0)));
  TABULA_ROW2_TO(bool, eq, x == y);
  TABULA_ROW2_TO(bool, ne, x != y);
  TABULA_ROW2_TO(bool, lt, x < y);
  TABULA_ROW2_TO(bool, le, x <= y);
  TABULA_ROW2_TO(bool, gt, x > y);
  TABULA_ROW2_TO(bool, ge, x >= y);
  TABULA_ROW2(heaviside, x == T(0) ? y : x > T(0) ? T(1) : T(0));
  TABULA_ROW1(nan_to_num, x);
}

template <class T>
void define_integer(BlockTable& table) {
  define_common<T>(table);
  TABULA_ROW1(abs, magnitude(x));
  TABULA_ROW1(neg, T(-x));
  TABULA_ROW1(sign, T(T(x > T(0)) - T(x < T(0))));
  TABULA_ROW1(sgn, T(T(x > T(0)) - T(x < T(0))));
  TABULA_ROW1(ceil, x);
  TABULA_ROW1(floor, x);
  TABULA_ROW1(trunc, x);
  TABULA_ROW1(round, x);
  TABULA_ROW1(square, T(x * x));
  TABULA_ROW1(cube, T(x * x * x));
  TABULA_ROW1(bitwise_not, T(~x));
  TABULA_ROW1(relu, x < T(0) ? T(0) : x);
  TABULA_ROW1(relu6, x < T(0) ? T(0) : x > T(6) ? T(6) : x);
  TABULA_ROW1(threshold, x <= p[0] ? p[1] : x);
  TABULA_ROW2(threshold_grad, y <= p[0] ? T(0) : x);
  TABULA_ROW1(hardtanh, x < p[0] ? p[0] : x > p[1] ? p[1] : x);
  TABULA_ROW1(clamp_min, x < p[0] ? p[0] : x);
  TABULA_ROW1(clamp_max, x > p[0] ? p[0] : x);
  define<T, 1>(table, Pointwise::clamp, [](const auto& p, auto x) TABULA_ALWAYS {
    const T raised = x < p[0] ? p[0] : x;
    return raised > p[1] ? p[1] : raised;
  });
  define<T, 3>(table, Pointwise::clamp_tensor, [](const auto&, auto x, auto low, auto high) TABULA_ALWAYS {
    const T raised = x < low ? low : x;
    return raised > high ? high : raised;
  });
  TABULA_ROW2(sub, T(x - p[0] * y));
  TABULA_ROW2(rsub, T(y - p[0] * x));
  TABULA_ROW2(pow, power(x, y));
  TABULA_ROW2(gcd, common_divisor(x, y));
  TABULA_ROW2(lcm, common_multiple(x, y));
  TABULA_ROW2(left_shift, shift_left(x, y));
  TABULA_ROW2(right_shift, shift_right(x, y));
  TABULA_ROW3(addcmul, T(x + p[0] * y * z));
  TABULA_ROW2(mse, T((x - y) * (x - y)));
  define_division<T>(table, Pointwise::div_trunc, [](const auto&, T x, T y) TABULA_ALWAYS { return divide(x, y); });
  define_division<T>(table, Pointwise::fmod, [](const auto&, T x, T y) TABULA_ALWAYS { return modulo(x, y); });
  define_division<T>(table, Pointwise::floor_divide,
                     [](const auto&, T x, T y) TABULA_ALWAYS { return floor_quotient(x, y); });
  define_division<T>(table, Pointwise::remainder,
                     [](const auto&, T x, T y) TABULA_ALWAYS { return floor_modulo(x, y); });
}

void define_bool(BlockTable& table) {
  using T = bool;
  define_common<bool>(table);
  TABULA_ROW1(abs, x);
  TABULA_ROW1(sgn, x);
  TABULA_ROW1(sign, x);
  TABULA_ROW1(bitwise_not, !x);
}

}  // namespace

void define_integers(BlockTable& table) {
  define_bool(table);
  define_integer<uint8_t>(table);
  define_integer<int32_t>(table);
  define_integer<int64_t>(table);
  define_integer<uint64_t>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
