#include "kernels/resample.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/parallel.h"

namespace tabula::kernels {
namespace {

// Calls row(o, i) for every line of `inner` elements of the result.
template <class F>
void each_row(const ResampleCall& c, F&& row) {
  parallel_for(c.outer * c.out, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, c.inner)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) row(r / c.out, r % c.out);
  });
}

// Calls line(o) for every o where the resampled dimension is the innermost.
template <class F>
void each_line(const ResampleCall& c, F&& line) {
  parallel_for(c.outer, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, c.out)), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; o++) line(o);
  });
}

template <class Item>
void copy_taps(const ResampleCall& c) {
  const Item* from = reinterpret_cast<const Item*>(c.from);
  Item* to = reinterpret_cast<Item*>(c.to);
  if (c.inner == 1) {
    // one tap each: the taps are in the order of the output
    each_line(c, [&](int64_t o) {
      const Item* source = from + o * c.in;
      Item* target = to + o * c.out;
      for (int64_t i = 0; i < c.out; i++) target[i] = source[c.index[i]];
    });
    return;
  }
  each_row(c, [&](int64_t o, int64_t i) {
    const Item* source = from + (o * c.in + c.index[c.start[i]]) * c.inner;
    Item* target = to + (o * c.out + i) * c.inner;
    std::memcpy(static_cast<void*>(target), source, size_t(c.inner) * sizeof(Item));
  });
}

// A line of weighted sums, with the same number of taps for each where `count` is not 0.
template <int count, class Sum, class T, class Weight>
void sum_line(const ResampleCall& c, const T* source, const Weight* weight, T* target) {
  const int64_t* index = c.index;
  for (int64_t i = 0; i < c.out; i++) {
    Sum sum(0);
    if constexpr (count > 0) {
#pragma GCC unroll 4
      for (int t = 0; t < count; t++) sum += Sum(source[*index++]) * *weight++;
    } else {
      for (int64_t left = c.start[i + 1] - c.start[i]; left > 0; left--) sum += Sum(source[*index++]) * *weight++;
    }
    target[i] = T(sum);
  }
}

// The number of taps that every element has; 0 where it varies.
int64_t common_count(const ResampleCall& c) {
  for (int64_t i = 1; i < c.out; i++)
    if (c.start[i + 1] - c.start[i] != c.start[1]) return 0;
  return c.start[1];
}

template <class T>
void weighted(const ResampleCall& c) {
  using Sum = std::conditional_t<is_reduced_float(dtype_of<T>), float, T>;
  using Weight = std::conditional_t<is_complex(dtype_of<T>), decltype(std::real(Sum())), Sum>;
  const int64_t taps = c.start[c.out];
  std::vector<Weight> weights(c.weight, c.weight + taps);
  const T* from = reinterpret_cast<const T*>(c.from);
  T* to = reinterpret_cast<T*>(c.to);
  if (c.inner == 1) {
    const int64_t count = common_count(c);
    each_line(c, [&](int64_t o) {
      const T* source = from + o * c.in;
      T* target = to + o * c.out;
      if (count == 2)
        sum_line<2, Sum>(c, source, weights.data(), target);
      else if (count == 4)
        sum_line<4, Sum>(c, source, weights.data(), target);
      else
        sum_line<0, Sum>(c, source, weights.data(), target);
    });
    return;
  }
  each_row(c, [&](int64_t o, int64_t i) {
    T* target = to + (o * c.out + i) * c.inner;
    const int64_t first = c.start[i], behind = c.start[i + 1];
    const T* base = from + o * c.in * c.inner;
    constexpr int64_t kBlock = 256;
    Sum sums[kBlock];
    for (int64_t b = 0; b < c.inner; b += kBlock) {
      const int64_t n = std::min(kBlock, c.inner - b);
      std::fill_n(sums, n, Sum(0));
      for (int64_t t = first; t < behind; t++) {
        const T* source = base + c.index[t] * c.inner + b;
        const Weight w = weights[size_t(t)];
        for (int64_t k = 0; k < n; k++) sums[k] += Sum(source[k]) * w;
      }
      for (int64_t k = 0; k < n; k++) target[b + k] = T(sums[k]);
    }
  });
}

// As many bits as the largest weight leaves of 15; products and sums are exact in 32.
void weighted_bytes(const ResampleCall& c) {
  const int64_t taps = c.start[c.out];
  const double most = taps ? *std::max_element(c.weight, c.weight + taps) : 1;
  int bits = 0;
  while (bits < 22 && int(0.5 + most * (1 << (bits + 1))) < (1 << 15)) bits++;
  std::vector<int32_t> weights(static_cast<size_t>(taps));
  for (int64_t t = 0; t < taps; t++) {
    const double w = c.weight[t] * (1 << bits);
    weights[size_t(t)] = int32_t(w < 0 ? w - 0.5 : w + 0.5);
  }
  const auto* from = reinterpret_cast<const uint8_t*>(c.from);
  auto* to = reinterpret_cast<uint8_t*>(c.to);
  each_row(c, [&](int64_t o, int64_t i) {
    for (int64_t k = 0; k < c.inner; k++) {
      int32_t sum = bits ? 1 << (bits - 1) : 0;
      for (int64_t t = c.start[i]; t < c.start[i + 1]; t++) sum += from[(o * c.in + c.index[t]) * c.inner + k] * weights[size_t(t)];
      to[(o * c.out + i) * c.inner + k] = uint8_t(std::clamp(sum >> bits, 0, 255));
    }
  });
}

void resample_cpu(const ResampleCall& c) {
  struct Wide {
    uint64_t part[2];
  };
  if (!c.weight) switch (item_size(c.dtype)) {
      case 1: return copy_taps<uint8_t>(c);
      case 2: return copy_taps<uint16_t>(c);
      case 4: return copy_taps<uint32_t>(c);
      case 8: return copy_taps<uint64_t>(c);
      default: return copy_taps<Wide>(c);
    }
  switch (c.dtype) {
    case DType::Float32: return weighted<float>(c);
    case DType::Float64: return weighted<double>(c);
    case DType::Float16: return weighted<Half>(c);
    case DType::BFloat16: return weighted<BFloat16>(c);
    case DType::Complex64: return weighted<c64>(c);
    case DType::Complex128: return weighted<c128>(c);
    case DType::UInt8: return weighted_bytes(c);
    default: fail(ErrorKind::NotImplemented, "\"compute_indices_weights\" not implemented for '", dtype_title(c.dtype), "'");
  }
}

}  // namespace

Kernel<void(const ResampleCall&)> resample("resample", resample_cpu);

}  // namespace tabula::kernels
