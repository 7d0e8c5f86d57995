// What the normalisations share: data goes by in blocks that stay in the L1 cache, as values of the compute type.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/norm_isa.h"
#include "kernels/cpu/reduce_isa.h"

namespace tabula::kernels::TABULA_ISA {

inline constexpr int64_t kNormBlock = 2048;
inline constexpr int64_t kNormPiece = 32768;  // elements of a piece of parallel work
inline constexpr int64_t kPartials = 64;      // partial sums of weight gradients at most

// Elements [first, first + n) as values of C: in place where they are, else in `buffer`.
template <class C>
inline const C* block_of(DType dtype, const char* base, int64_t first, int64_t n, C* buffer) {
  if (dtype == dtype_of<C>) return reinterpret_cast<const C*>(base) + first;
  visit_floating(dtype, "norm", [&]<class S>() { read_block(reinterpret_cast<const S*>(base) + first, 1, n, buffer); });
  return buffer;
}

// Where to compute elements that commit() then brings to their place.
template <class C>
inline C* target(DType dtype, char* base, int64_t first, C* buffer) {
  return dtype == dtype_of<C> ? reinterpret_cast<C*>(base) + first : buffer;
}
template <class C>
inline void commit(DType dtype, char* base, int64_t first, int64_t n, const C* buffer) {
  if (dtype == dtype_of<C>) return;
  visit_floating(dtype, "norm", [&]<class S>() { write_block(buffer, n, reinterpret_cast<S*>(base) + first); });
}

// All n values of a weight, `fill` where it is null.
template <class C>
class Weights {
 public:
  Weights(DType dtype, const char* base, int64_t n, C fill) {
    if (base && dtype == dtype_of<C>) {
      data_ = reinterpret_cast<const C*>(base);
      return;
    }
    own_ = std::make_unique_for_overwrite<C[]>(size_t(n));
    if (base)
      block_of(dtype, base, 0, n, own_.get());
    else
      std::fill_n(own_.get(), n, fill);
    data_ = own_.get();
  }
  const C* data() const { return data_; }
  C operator[](int64_t i) const { return data_[i]; }

 private:
  std::unique_ptr<C[]> own_;
  const C* data_;
};

template <class C>
[[gnu::always_inline]] inline V<C> take(const C* p, int64_t left) {
  return left >= kLanes<C> ? load(p) : load_part(p, left, C(0));
}
template <class C>
[[gnu::always_inline]] inline void put(C* p, V<C> v, int64_t left) {
  if (left >= kLanes<C>)
    store(p, v);
  else
    std::memcpy(p, &v, size_t(left) * sizeof(C));
}

// Sums of f(i, left) over vectors, where f returns one vector.
template <class C, class F>
[[gnu::always_inline]] inline double sum_vectors(int64_t n, F f) {
  constexpr int L = kLanes<C>;
  V<C> a{}, b{}, c{}, d{};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a += f(i, L);
    b += f(i + L, L);
    c += f(i + 2 * L, L);
    d += f(i + 3 * L, L);
  }
  for (; i < n; i += L) a += f(i, n - i);
  return sum_lanes<C>((a + b) + (c + d));
}

struct Spread {
  double mean, squares;  // squares: sum of squared deviations
};

// Mean and deviations of a row: two passes per block, blocks merged as in reduce_moment.cpp.
template <class C>
Spread spread_of(DType dtype, const char* base, int64_t first, int64_t n) {
  C buffer[kNormBlock];
  Spread total{0, 0};
  for (int64_t i = 0; i < n; i += kNormBlock) {
    const int64_t m = std::min(kNormBlock, n - i);
    const C* x = block_of(dtype, base, first + i, m, buffer);
    const double mean = sum_vectors<C>(m, [&](int64_t k, int64_t left) {
      __builtin_prefetch(reinterpret_cast<const char*>(x + k) + kPrefetchAhead);
      return take(x + k, left);
    }) / double(m);
    const C centre = C(mean);
    const double squares = sum_vectors<C>(m, [&](int64_t k, int64_t left) {
      const V<C> d = (left >= kLanes<C> ? load(x + k) : load_part(x + k, left, centre)) - centre;
      return d * d;
    });
    const double delta = mean - total.mean, share = double(m) / double(i + m);
    total.mean += delta * share;
    total.squares += squares + delta * delta * double(i) * share;
  }
  return total;
}

}  // namespace tabula::kernels::TABULA_ISA
