// What the optimizer steps share; compiled per instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/cpu/optim_isa.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

// a * b + c; PyTorch's vectorised add with alpha fuses where the processor can.
template <class T>
inline T madd(T a, T b, T c) {
#ifdef __FMA__
  if constexpr (std::is_same_v<T, float>)
    return __builtin_fmaf(a, b, c);
  else
    return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

// ---- half dtypes ----

// A value that every operation rounds to H, as PyTorch's sequence of operations does. Numbers beside it stay float, save in
// sums.
template <class H>
struct Rounded {
  float value;
  Rounded() = default;
  Rounded(float v) : value(float(H(v))) {}
  Rounded& operator+=(Rounded o) { return *this = value + o.value; }
  Rounded& operator-=(Rounded o) { return *this = value - o.value; }
  friend Rounded operator+(Rounded a, Rounded b) { return a.value + b.value; }
  friend Rounded operator-(Rounded a, Rounded b) { return a.value - b.value; }
  friend Rounded operator*(Rounded a, Rounded b) { return a.value * b.value; }
  friend Rounded operator/(Rounded a, Rounded b) { return a.value / b.value; }
  friend Rounded operator+(Rounded a, float b) { return a.value + float(H(b)); }
  friend Rounded operator*(Rounded a, float b) { return a.value * b; }
  friend Rounded operator*(float a, Rounded b) { return a * b.value; }
  friend Rounded operator/(Rounded a, float b) { return a.value / b; }
  friend Rounded operator/(float a, Rounded b) { return a / b.value; }
  friend bool operator<(Rounded a, Rounded b) { return a.value < b.value; }
  friend bool operator>(Rounded a, Rounded b) { return a.value > b.value; }
  friend bool operator!=(Rounded a, Rounded b) { return a.value != b.value; }
};

// What an optimizer's numbers are computed in beside arrays of T.
template <class T>
struct NumberOf {
  using type = T;
};
template <class H>
struct NumberOf<Rounded<H>> {
  using type = float;
};
template <class T>
using Number = typename NumberOf<T>::type;

template <class T>
inline T root(T a) {
  return std::sqrt(a);
}
template <class H>
inline Rounded<H> root(Rounded<H> a) {
  return std::sqrt(a.value);
}
template <class T>
inline T magnitude(T a) {
  return std::abs(a);
}
template <class H>
inline Rounded<H> magnitude(Rounded<H> a) {
  return std::abs(a.value);
}
// a * b + c, a + number * x * y and a + number * x / y: one operation each, so rounded once. The first is add(alpha=),
// which rounds its number too.
template <class H>
inline Rounded<H> madd(Rounded<H> a, float b, Rounded<H> c) {
  return madd(a.value, float(H(b)), c.value);
}
template <class T>
inline T plus_product(T a, T number, T x, T y) {
  return madd(number * x, y, a);
}
template <class H>
inline Rounded<H> plus_product(Rounded<H> a, float number, Rounded<H> x, Rounded<H> y) {
  return plus_product(a.value, number, x.value, y.value);
}
template <class T>
inline T plus_quotient(T a, T number, T x, T y) {
  return a + number * x / y;
}
template <class H>
inline Rounded<H> plus_quotient(Rounded<H> a, float number, Rounded<H> x, Rounded<H> y) {
  return plus_quotient(a.value, number, x.value, y.value);
}

// a moved towards b, from the nearer end, as lerp does.
template <class T>
inline T moved(T a, T b, T blend) {
  return std::abs(blend) < T(0.5) ? madd(blend, b - a, a) : madd(blend - T(1), b - a, b);
}
template <class H>
inline Rounded<H> moved(Rounded<H> a, Rounded<H> b, float blend) {
  return moved(a.value, b.value, blend);
}
// kept * old + fresh * d * d
template <class T>
inline T with_square(T old, Number<T> kept, Number<T> fresh, T d) {
  return plus_product(T(old * kept), fresh, d, d);
}

// Arrays of H, a block at a time as T: Rounded<H>, or float to round only what is stored.
constexpr int64_t kBlock = 512;

template <class H, class T>
struct Staged {
  alignas(64) T block[kBlock];
  H* at;
  int64_t n;
  Staged(H* first, int64_t count) : at(first), n(first ? count : 0) {
    for (int64_t i = 0; i < n; i++) block[i] = T(float(at[i]));
  }
  T* data() { return at ? block : nullptr; }
  void store() {
    for (int64_t i = 0; i < n; i++) at[i] = H(plain(block[i]));
  }
  static float plain(float v) { return v; }
  static float plain(Rounded<H> v) { return v.value; }
};

template <class T>
T* offset(char* base, int64_t i) {
  return base ? reinterpret_cast<T*>(base) + i : nullptr;
}
template <class T>
T* offset(const char* base, int64_t i) {
  return offset<T>(const_cast<char*>(base), i);
}

}  // namespace
}  // namespace tabula::kernels::TABULA_ISA
