// Uniform and normal numbers, integers and permutations.
#include <bit>
#include <cmath>

#include "kernels/cpu/random_block.h"

namespace tabula::kernels {

namespace {

TABULA_CLONES void scale_floats(float* x, int64_t n, float scale, float base) {
  for (int64_t i = 0; i < n; i++) x[i] = __builtin_fmaf(x[i], scale, base);
}
TABULA_CLONES void scale_doubles(double* x, int64_t n, double scale, double base) {
  for (int64_t i = 0; i < n; i++) x[i] = __builtin_fma(x[i], scale, base);
}

template <class T>
void uniform_run(Generator& gen, T* out, int64_t n, double from, double to) {
  if constexpr (std::is_same_v<T, double>) {
    draw_d53(gen, out, n);
    if (from != 0 || to != 1) scale_doubles(out, n, to - from, from);
  } else if constexpr (std::is_same_v<T, float>) {
    draw_f24(gen, out, n);
    if (from != 0 || to != 1) scale_floats(out, n, float(to) - float(from), float(from));
  } else {
    const T low{float(from)}, high{float(to)};
    float staged[kDrawBlock];
    for (int64_t done = 0; done < n; done += kDrawBlock) {
      const int64_t part = std::min(kDrawBlock, n - done);
      draw_f24(gen, staged, part);
      if (from != 0 || to != 1) scale_floats(staged, part, float(to) - float(from), float(from));
      // rounding can reach the upper bound, which is not part of the range
      for (int64_t i = 0; i < part; i++) {
        const T value(staged[i]);
        out[done + i] = value.bits == high.bits ? low : value;
      }
    }
  }
}

void uniform_cpu(Generator& gen, const RandomOut& given, double from, double to) {
  const RealView view(given);
  visit_floating(view.out.dtype, "uniform", [&]<class T>() {
    fill_runs<T>(view.out, [&](T* run, int64_t n) { uniform_run(gen, run, n, from, to); });
  });
}

// Single-precision logarithm and sine of the Cephes library (S. Moshier), as they come in PyTorch's vectorised normal:
// the polynomials, the order of the steps and the places of the fused ones decide the last bit. x is in (0, 1].
[[gnu::always_inline]] inline float log_f32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  float e = float(int32_t(bits >> 23) - 126);
  float m = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);
  const bool small = m < 0.707106781186547524f;
  const float shifted = m - 1.0f;
  e = small ? e - 1.0f : e;
  m = small ? shifted + m : shifted;
  const float z = m * m;
  float y = 7.0376836292e-2f;
  y = __builtin_fmaf(y, m, -1.1514610310e-1f);
  y = __builtin_fmaf(y, m, 1.1676998740e-1f);
  y = __builtin_fmaf(y, m, -1.2420140846e-1f);
  y = __builtin_fmaf(y, m, 1.4249322787e-1f);
  y = __builtin_fmaf(y, m, -1.6668057665e-1f);
  y = __builtin_fmaf(y, m, 2.0000714765e-1f);
  y = __builtin_fmaf(y, m, -2.4999993993e-1f);
  y = __builtin_fmaf(y, m, 3.3333331174e-1f);
  y = y * m;
  y = __builtin_fmaf(y, z, e * -2.12194440e-4f);
  y = __builtin_fmaf(-z, 0.5f, y);
  return __builtin_fmaf(e, 0.693359375f, m + y);
}

[[gnu::always_inline]] inline void sincos_f32(float x, float& sine, float& cosine) {
  const int32_t j = (int32_t(x * 1.27323954473516f) + 1) & ~1;
  const float y = float(j);
  x = __builtin_fmaf(y, -0.78515625f, x);
  x = __builtin_fmaf(y, -2.4187564849853515625e-4f, x);
  x = __builtin_fmaf(y, -3.77489497744594108e-8f, x);
  const float z = x * x;
  float p = __builtin_fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  p = __builtin_fmaf(p, z, 4.166664568298827e-2f);
  p = p * z;
  p = __builtin_fmaf(p, z, -(z * 0.5f));
  p = p + 1.0f;
  float q = __builtin_fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
  q = __builtin_fmaf(q, z, -1.6666654611e-1f);
  q = q * z;
  q = __builtin_fmaf(q, x, x);
  const bool straight = (j & 2) == 0;
  const float s = straight ? q : p, c = straight ? p : q;
  sine = (j & 4) != 0 ? -s : s;
  cosine = ((j - 2) & 4) == 0 ? -c : c;
}

// Box-Muller over blocks of 16 uniforms: the first eight make radii, the last eight angles.
TABULA_CLONES void normal_blocks(float* data, int64_t blocks, float mean, float std) {
  for (int64_t i = 0; i < blocks; i++) {
    float* const b = data + 16 * i;
    float first[8], second[8];
    for (int j = 0; j < 8; j++) {
      const float radius = std::sqrt(-2.0f * log_f32(1.0f - b[j]));
      float sine, cosine;
      sincos_f32(6.283185307179586f * b[j + 8], sine, cosine);
      first[j] = __builtin_fmaf(radius * cosine, std, mean);
      second[j] = __builtin_fmaf(radius * sine, std, mean);
    }
    for (int j = 0; j < 8; j++) b[j] = first[j];
    for (int j = 0; j < 8; j++) b[j + 8] = second[j];
  }
}

void normal_blocks(double* data, int64_t blocks, double mean, double std) {
  for (int64_t i = 0; i < blocks; i++) {
    double* const b = data + 16 * i;
    for (int j = 0; j < 8; j++) {
      const double radius = std::sqrt(-2.0 * std::log(1.0 - b[j])), angle = 2.0 * M_PI * b[j + 8];
      b[j] = std::fma(radius * std::cos(angle), std, mean);
      b[j + 8] = std::fma(radius * std::sin(angle), std, mean);
    }
  }
}

template <class T>
void normal_dense(Generator& gen, T* out, int64_t n, T mean, T std) {
  constexpr int64_t kPart = 1 << 18;
  constexpr int64_t kGrain = sizeof(T) == 4 ? 1024 : 128;  // blocks
  for (int64_t done = 0; done < n; done += kPart) {
    const int64_t part = std::min(kPart, n - done);
    T* const run = out + done;
    if constexpr (sizeof(T) == 4)
      draw_f24(gen, run, part);
    else
      draw_d53(gen, run, part);
    parallel_for(part / 16, kGrain,
                 [&](int64_t begin, int64_t end) { normal_blocks(run + 16 * begin, end - begin, mean, std); });
  }
  if (n % 16 != 0) {
    T* const tail = out + n - 16;
    if constexpr (sizeof(T) == 4)
      draw_f24(gen, tail, 16);
    else
      draw_d53(gen, tail, 16);
    normal_blocks(tail, 1, mean, std);
  }
}

// Half types: a block is drawn, transformed in float and rounded, and the last block is done again in full.
template <class T>
void normal_dense_reduced(Generator& gen, T* out, int64_t n, float mean, float std) {
  constexpr int64_t kPart = 1 << 14;
  const auto staged = std::make_unique_for_overwrite<float[]>(size_t(std::min(kPart, n)));
  const int64_t whole = n / 16 * 16;
  for (int64_t done = 0; done < whole; done += kPart) {
    const int64_t part = std::min(kPart, whole - done);
    draw_f24(gen, staged.get(), part);
    parallel_for(part / 16, 256, [&](int64_t begin, int64_t end) {
      normal_blocks(staged.get() + 16 * begin, end - begin, mean, std);
      for (int64_t i = 16 * begin; i < 16 * end; i++) out[done + i] = T(staged[size_t(i)]);
    });
  }
  if (whole != n) {
    draw_f24(gen, staged.get(), 16);
    normal_blocks(staged.get(), 1, mean, std);
    for (int i = 0; i < 16; i++) out[n - 16 + i] = T(staged[size_t(i)]);
  }
}

void normal_cpu(Generator& gen, const RandomOut& given, double mean, double std) {
  const RealView view(given);
  const RandomOut& out = view.out;
  if (is_complex(given.dtype)) std /= std::sqrt(2.0);
  const int64_t n = product(out.sizes);
  visit_floating(out.dtype, "normal", [&]<class T>() {
    T* const data = static_cast<T*>(out.data);
    if (n < 16 || !is_contiguous(out)) {
      fill_doubles<0>(out, {}, [&](double* block, const auto&, int64_t count) {
        for (int64_t i = 0; i < count; i++) block[i] = std::fma(gen.normal(), std, mean);
      });
    } else if constexpr (sizeof(T) == 2) {
      normal_dense_reduced(gen, data, n, float(mean), float(std));
    } else {
      normal_dense<T>(gen, data, n, T(mean), T(std));
    }
  });
}

// x % divisor by two multiplications (Lemire, Kaser and Kurz, "Faster remainder by direct computation", 2019).
struct Remainder32 {
  uint64_t inverse;
  uint32_t divisor;
  explicit Remainder32(uint32_t d) : inverse(UINT64_MAX / d + 1), divisor(d) {}
  uint32_t operator()(uint32_t x) const {
    return uint32_t((static_cast<unsigned __int128>(inverse * x) * divisor) >> 64);
  }
};

template <class T, class F>
void fill_from_u32(Generator& gen, const RandomOut& out, F&& f) {
  fill_runs<T>(out, [&](T* run, int64_t n) {
    uint32_t draws[kDrawBlock];
    for (int64_t done = 0; done < n; done += kDrawBlock) {
      const int64_t part = std::min(kDrawBlock, n - done);
      draw_u32(gen, draws, part);
      for (int64_t i = 0; i < part; i++) run[done + i] = convert<T>(f(draws[i]));
    }
  });
}
template <class T, class F>
void fill_from_u64(Generator& gen, const RandomOut& out, F&& f) {
  fill_runs<T>(out, [&](T* run, int64_t n) {
    for (int64_t i = 0; i < n; i++) run[i] = convert<T>(f(gen.u64()));
  });
}

void range_cpu(Generator& gen, const RandomOut& out, int64_t base, uint64_t range) {
  visit(out.dtype, "random_from_to", [&]<class T>() {
    if constexpr (is_complex_v<T>) {
      fail(ErrorKind::NotImplemented, "\"random_from_to\" not implemented for '", dtype_title(out.dtype), "'");
    } else if (range == 0) {
      fill_from_u64<T>(gen, out, [&](uint64_t x) { return int64_t(x + uint64_t(base)); });
    } else if (range >= uint64_t(1) << 28) {
      fill_from_u64<T>(gen, out, [&](uint64_t x) { return int64_t(x % range + uint64_t(base)); });
    } else {
      const Remainder32 remainder{uint32_t(range)};
      fill_from_u32<T>(gen, out, [&](uint32_t x) { return int64_t(remainder(x)) + base; });
    }
  });
}

void full_cpu(Generator& gen, const RandomOut& out) {
  visit(out.dtype, "random", [&]<class T>() {
    if constexpr (is_complex_v<T>) {
      fail(ErrorKind::NotImplemented, "\"random\" not implemented for '", dtype_title(out.dtype), "'");
    } else if constexpr (std::is_same_v<T, double>) {
      fill_from_u64<T>(gen, out, [](uint64_t x) { return x % ((uint64_t(1) << 53) + 1); });
    } else if constexpr (std::is_same_v<T, int64_t>) {
      fill_from_u64<T>(gen, out, [](uint64_t x) { return int64_t(x & INT64_MAX); });
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      fill_from_u64<T>(gen, out, [](uint64_t x) { return x; });
    } else if constexpr (std::is_integral_v<T>) {
      // the maximum of an integer type is a mask
      constexpr uint32_t mask = std::is_same_v<T, bool> ? 1u : uint32_t(std::numeric_limits<T>::max());
      fill_from_u32<T>(gen, out, [](uint32_t x) { return x & mask; });
    } else {
      constexpr int digits = std::is_same_v<T, float> ? 24 : std::is_same_v<T, Half> ? 11 : 8;
      constexpr uint32_t modulus = (1u << digits) + 1;
      fill_from_u32<T>(gen, out, [](uint32_t x) { return x % modulus; });
    }
  });
}

void permutation_cpu(Generator& gen, DType dtype, void* out, int64_t n, int64_t stride) {
  visit(dtype, "randperm", [&]<class T>() {
    if constexpr (is_complex_v<T>) {
      fail(ErrorKind::NotImplemented, "\"randperm\" not implemented for '", dtype_title(dtype), "'");
    } else {
      T* const p = static_cast<T*>(out);
      for (int64_t i = 0; i < n; i++) p[i * stride] = convert<T>(i);
      // beyond this length the remainder of a 32-bit draw would favour small values
      const bool wide = uint64_t(n) >= std::numeric_limits<uint32_t>::max() / 20;
      for (int64_t i = 0; i + 1 < n; i++) {
        const int64_t rest = n - i;
        const int64_t z = wide ? int64_t(gen.u64() % uint64_t(rest)) : int64_t(gen.u32() % uint32_t(rest));
        std::swap(p[i * stride], p[(i + z) * stride]);
      }
    }
  });
}

}  // namespace

Kernel<void(Generator&, const RandomOut&, double, double)> random_uniform{"uniform_", uniform_cpu};
Kernel<void(Generator&, const RandomOut&, double, double)> random_normal{"normal_", normal_cpu};
Kernel<void(Generator&, const RandomOut&, int64_t, uint64_t)> random_range{"random_", range_cpu};
Kernel<void(Generator&, const RandomOut&)> random_full{"random_", full_cpu};
Kernel<void(Generator&, DType, void*, int64_t, int64_t)> random_permutation{"randperm", permutation_cpu};

}  // namespace tabula::kernels
