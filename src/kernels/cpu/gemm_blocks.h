// What the blocked drivers (products, convolutions) share: choosing the compute type and cutting work.
#pragma once

#include <algorithm>

#include "kernels/cpu/gemm_isa.h"

namespace tabula::kernels {

// The length of k that one pass over a block covers. A shorter one would keep a panel of b in the L1 cache, but c would be
// read and written more often: 1024 x 1024 x 1024 takes 7 % longer with 256.
inline constexpr int64_t kPassLength = 512;

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// What one dtype multiplies with: the compute type T, in `parts` real numbers per element.
template <class T>
struct TileType {
  const TileKernels<T>& tiles;
  int parts;
  const TileKernels<T>& real;  // T's own: `tiles` unless complex
};

// Calls f(TileType<T>) for the dtype's compute type.
template <class F>
void visit_tiles(const GemmIsa& isa, DType dtype, const char* what, F&& f) {
  switch (dtype) {
    case DType::Float32:
    case DType::Float16:
    case DType::BFloat16: return f(TileType<float>{isa.f32, 1, isa.f32});
    case DType::Float64: return f(TileType<double>{isa.f64, 1, isa.f64});
    case DType::UInt8:
    case DType::Int8:
    case DType::Int16:
    case DType::UInt16: return f(TileType<uint16_t>{isa.u16, 1, isa.u16});
    case DType::Int32:
    case DType::UInt32: return f(TileType<uint32_t>{isa.u32, 1, isa.u32});
    case DType::Int64:
    case DType::UInt64: return f(TileType<uint64_t>{isa.u64, 1, isa.u64});
    case DType::Complex64: return f(TileType<float>{isa.complex64, 2, isa.f32});
    case DType::Complex128: return f(TileType<double>{isa.complex128, 2, isa.f64});
    default: fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(dtype), "'");
  }
}

// Whether elements are stored in the type they are computed in.
inline bool stored_as_computed(DType dtype) {
  return !is_complex(dtype) && !is_reduced_float(dtype) && item_size(dtype) > 1;
}

// Rows of k that are packed together where lines lie side by side: neighbouring panels then share cache lines while
// they are at hand, also where the rows lie a page apart and fall into one set of the cache.
inline constexpr int64_t kRowsTogether = 8;

// A whole block of a, packed as TileKernels::packed reads it.
template <class T>
void pack_rows(const StorageKernels& storage, const TileType<T>& type, const char* a, int64_t item, int64_t row,
               int64_t col, int64_t m, int64_t k, bool conj, T* to) {
  const int64_t run = row == 1 ? kRowsTogether : k;
  for (int64_t p = 0; p < k; p += run) {
    for (int64_t i = 0; i < m;) {
      const int64_t height = panel_rows(m - i, type.tiles.rows);
      storage.pack(a + (i * row + p * col) * item, row, col, height, height, std::min(run, k - p),
                   to + (i * k + p * height) * type.parts, conj);
      i += height;
    }
  }
}

}  // namespace tabula::kernels
