// What the random kernels share: runs of draws, conversion of draws to numbers, and blocks of doubles on their way to
// and from memory of any dtype.
#pragma once

#include <array>
#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/index_walk.h"
#include "kernels/random.h"

// Compiled once per instruction set and chosen when the library is loaded. All versions give the same bits: fused
// multiply-adds are written out, nothing is contracted or reordered.
#if defined(__x86_64__) && defined(__GLIBC__)
#define TABULA_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TABULA_CLONES
#endif

namespace tabula::kernels {

inline constexpr int64_t kDrawBlock = 1024;

// The next n draws.
void draw_u32(Generator& gen, uint32_t* out, int64_t n);
// The next n doubles in [0, 1), of two draws each.
void draw_d53(Generator& gen, double* out, int64_t n);
// The next n floats in [0, 1), of one draw each.
void draw_f24(Generator& gen, float* out, int64_t n);

void load_doubles(DType dtype, const void* from, int64_t stride, double* to, int64_t n);
void store_doubles(DType dtype, const double* from, void* to, int64_t stride, int64_t n);

inline void* advance(void* data, int64_t elements, DType dtype) {
  return static_cast<char*>(data) + elements * item_size(dtype);
}
inline const void* advance(const void* data, int64_t elements, DType dtype) {
  return static_cast<const char*>(data) + elements * item_size(dtype);
}

// A complex destination as one of reals, with one dimension more.
struct RealView {
  Dims sizes, strides;
  RandomOut out;
  explicit RealView(const RandomOut& given) : sizes(given.sizes), strides(given.strides), out(given) {
    if (!is_complex(given.dtype)) return;
    for (auto& stride : strides) stride *= 2;
    sizes.push_back(2);
    strides.push_back(1);
    out = {real_dtype(given.dtype), given.data, sizes, strides};
  }
  RealView(const RealView&) = delete;
  RealView& operator=(const RealView&) = delete;
};

inline bool is_contiguous(const RandomOut& out) {
  int64_t expected = 1;
  for (int64_t d = int64_t(out.sizes.size()) - 1; d >= 0; d--) {
    if (out.sizes[size_t(d)] == 1) continue;
    if (out.strides[size_t(d)] != expected) return false;
    expected *= out.sizes[size_t(d)];
  }
  return true;
}

// Calls f(T* run, n) for the destination's elements in memory order, a staging buffer standing in for strided rows.
template <class T, class F>
void fill_runs(const RandomOut& out, F&& f) {
  const Walk<1> walk(out.sizes, {out.strides});
  T* const data = static_cast<T*>(out.data);
  walk.all([&](const Walk<1>::Offsets& at, int64_t n) {
    T* row = data + at[0];
    const int64_t stride = walk.stride(0);
    if (stride == 1 || n == 1) {
      f(row, n);
      return;
    }
    T staged[kDrawBlock];
    for (int64_t done = 0; done < n; done += kDrawBlock) {
      const int64_t part = std::min(kDrawBlock, n - done);
      f(staged, part);
      for (int64_t i = 0; i < part; i++) row[(done + i) * stride] = staged[i];
    }
  });
}

// Calls f(block, inputs, n) with up to kStage elements in memory order: f fills the block of doubles from the inputs'
// blocks, and the block is then converted and stored.
inline constexpr int64_t kStage = 16384;
template <int Inputs, class F>
void fill_doubles(const RandomOut& out, const std::array<RandomIn, Inputs>& in, F&& f) {
  std::array<IntList, Inputs + 1> strides;
  strides[0] = out.strides;
  for (int k = 0; k < Inputs; k++) strides[size_t(k) + 1] = in[size_t(k)].strides;
  const Walk<Inputs + 1> walk(out.sizes, strides);
  if (walk.numel() == 0) return;
  const int64_t room = std::min(kStage, walk.inner());
  const auto scratch = std::make_unique_for_overwrite<double[]>(size_t(room * (Inputs + 1)));
  std::array<const double*, Inputs> blocks;
  for (int k = 0; k < Inputs; k++) blocks[size_t(k)] = scratch.get() + room * (k + 1);
  walk.all([&](const typename Walk<Inputs + 1>::Offsets& at, int64_t n) {
    for (int64_t done = 0; done < n; done += room) {
      const int64_t part = std::min(room, n - done);
      for (int k = 0; k < Inputs; k++) {
        const RandomIn& source = in[size_t(k)];
        const int64_t stride = walk.stride(k + 1);
        load_doubles(source.dtype, advance(source.data, at[size_t(k) + 1] + done * stride, source.dtype), stride,
                     scratch.get() + room * (k + 1), part);
      }
      f(scratch.get(), blocks, part);
      const int64_t stride = walk.stride(0);
      store_doubles(out.dtype, scratch.get(), advance(out.data, at[0] + done * stride, out.dtype), stride, part);
    }
  });
}

// value = f(u), u one double in [0, 1) per element.
template <class F>
void fill_from_d53(Generator& gen, const RandomOut& out, F&& f) {
  fill_doubles<0>(out, {}, [&](double* block, const auto&, int64_t n) {
    draw_d53(gen, block, n);
    parallel_for(n, 2048, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) block[i] = f(block[i]);
    });
  });
}

}  // namespace tabula::kernels
