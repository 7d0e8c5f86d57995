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

// ---- half dtypes: staged through blocks of float32 ----

constexpr int64_t kBlock = 512;

template <class H>
struct Staged {
  alignas(64) float block[kBlock];
  H* at;
  int64_t n;
  Staged(H* first, int64_t count) : at(first), n(first ? count : 0) {
    for (int64_t i = 0; i < n; i++) block[i] = float(at[i]);
  }
  float* data() { return at ? block : nullptr; }
  void store() {
    for (int64_t i = 0; i < n; i++) at[i] = H(block[i]);
  }
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
