// Maxima of sliding windows: a row of windows goes through the places of the kernel together, in vectors. Rows of the
// input are staged between elements that never win, so that neither padding nor what lies beyond the last window
// matters.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/pool_isa.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int64_t kChunk = 64;  // windows of a row at a time

// The first place of window `o` inside dimension d, as a position.
int64_t first_inside(const PoolCall& c, int d, int64_t o) {
  const int64_t begin = o * c.stride[d] - c.padding[d], step = c.dilation[d];
  return begin < 0 ? begin + (-begin + step - 1) / step * step : begin;
}

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// Numbers and their positions, which are as wide.
template <class C>
struct Line {
  using Position = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;
  static constexpr int64_t size = kVectorBytes / int64_t(sizeof(C));
  typedef C Numbers __attribute__((vector_size(kVectorBytes)));
  typedef Position Positions __attribute__((vector_size(kVectorBytes)));
};

template <class C>
inline void load_every(const C* from, int64_t stride, typename Line<C>::Numbers& to) {
  constexpr int64_t size = Line<C>::size;
  if (stride == 1) {
    std::memcpy(&to, from, sizeof to);
  } else if (stride == 2) {
    typename Line<C>::Numbers near, far;
    typename Line<C>::Positions even;
    std::memcpy(&near, from, sizeof near);
    std::memcpy(&far, from + size, sizeof far);
    for (int64_t i = 0; i < size; i++) even[i] = typename Line<C>::Position(2 * i);
    to = __builtin_shuffle(near, far, even);
  } else {
    for (int64_t i = 0; i < size; i++) to[i] = from[i * stride];
  }
}

template <class T>
void planes(const PoolCall& c, int64_t begin, int64_t end) {
  using C = compute_t<T>;
  using P = typename Line<C>::Position;
  using Numbers = typename Line<C>::Numbers;
  using Positions = typename Line<C>::Positions;
  constexpr int64_t lanes = Line<C>::size;
  using Limits = std::numeric_limits<C>;
  const C least = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  const int64_t height = c.in_size[1], width = c.in_size[2], stride = c.stride[2], row = c.out_size[2];
  const int64_t in_plane = c.in_size[0] * height * width, kernel_span = (c.kernel[2] - 1) * c.dilation[2] + 1;
  Numbers best[kChunk / lanes];
  Positions where[kChunk / lanes], first_where[kChunk / lanes], steps;
  for (int64_t i = 0; i < lanes; i++) steps[i] = P(i * stride);
  for (int64_t first = 0; first < row; first += kChunk) {
    const int64_t n = std::min(kChunk, row - first), vectors = (n + lanes - 1) / lanes;
    const int64_t start = first * stride - c.padding[2], span = (vectors * lanes - 1) * stride + kernel_span;
    const int64_t low = std::clamp<int64_t>(-start, 0, span), high = std::clamp<int64_t>(width - start, low, span);
    std::vector<C> staged(size_t(span + lanes), least);  // vectors of every second element read one more
    for (int64_t i = 0; i < vectors * lanes; i++) first_where[i / lanes][i % lanes] = P(first_inside(c, 2, first + i));
    for (int64_t line = begin * c.out_size[0] * c.out_size[1]; line < end * c.out_size[0] * c.out_size[1]; line++) {
      const int64_t oy = line % c.out_size[1], oz = line / c.out_size[1] % c.out_size[0];
      const T* const in = reinterpret_cast<const T*>(c.in) + line / (c.out_size[0] * c.out_size[1]) * in_plane;
      const P corner = P((first_inside(c, 0, oz) * height + first_inside(c, 1, oy)) * width);
      for (int64_t v = 0; v < vectors; v++) {
        best[v] = Numbers{} + least;
        where[v] = first_where[v] + corner;
      }
      for (int64_t kz = 0; kz < c.kernel[0]; kz++)
        for (int64_t ky = 0; ky < c.kernel[1]; ky++) {
          const int64_t z = oz * c.stride[0] - c.padding[0] + kz * c.dilation[0];
          const int64_t y = oy * c.stride[1] - c.padding[1] + ky * c.dilation[1];
          if (z < 0 || z >= c.in_size[0] || y < 0 || y >= height) continue;
          const int64_t at = (z * height + y) * width + start;
          for (int64_t j = low; j < high; j++) staged[size_t(j)] = C(in[at + j]);
          for (int64_t kx = 0; kx < c.kernel[2]; kx++)
            for (int64_t v = 0; v < vectors; v++) {
              // a later NaN, or a greater element, takes a window's place
              const int64_t shift = kx * c.dilation[2] + v * lanes * stride;
              Numbers value;
              load_every(staged.data() + shift, stride, value);
              const auto wins = (value > best[v]) | (value != value);
              best[v] = wins ? value : best[v];
              where[v] = wins ? steps + P(at + shift) : where[v];
            }
        }
      T* const out = reinterpret_cast<T*>(c.out) + line * row + first;
      for (int64_t i = 0; i < n; i++) out[i] = T(best[i / lanes][i % lanes]);
      if (c.indices)
        for (int64_t i = 0; i < n; i++) c.indices[line * row + first + i] = where[i / lanes][i % lanes];
    }
  }
}

}  // namespace

void max_pool_planes(const PoolCall& call, int64_t begin, int64_t end) {
  if (call.dtype == DType::Int64) return planes<int64_t>(call, begin, end);
  visit_floating(call.dtype, "max_pool2d", [&]<class T>() { planes<T>(call, begin, end); });
}

}  // namespace tabula::kernels::TABULA_ISA
