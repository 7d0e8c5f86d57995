#include "kernels/cpu/block_move.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/block_transpose.h"
#include "kernels/cpu/isa.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tabula::kernels {

// What has a vector form of its own, per instruction set: block_cast.cpp and block_transpose.cpp.
namespace baseline {
void define_casts(CastTable& table);
void define_transposes(TransposeTable& table);
}
namespace avx2 {
void define_casts(CastTable& table);
void define_transposes(TransposeTable& table);
}
namespace avx512 {
void define_casts(CastTable& table);
void define_transposes(TransposeTable& table);
}

namespace {

template <class To, class From>
void cast_kernel(void* dst, const void* src, int64_t n) {
  if constexpr (std::is_same_v<To, From>) {
    std::memcpy(dst, src, size_t(n) * sizeof(To));
  } else {
    To* const d = static_cast<To*>(dst);
    const From* const s = static_cast<const From*>(src);
    for (int64_t i = 0; i < n; i++) d[i] = convert<To>(s[i]);
  }
}

template <class To>
void define_row(CastKernel (&row)[kDTypes]) {
#define X(name, type, python, title) row[int(DType::name)] = cast_kernel<To, type>;
  TABULA_DTYPES(X)
#undef X
}

CastTable make_table() {
  CastTable table;
#define X(name, type, python, title) define_row<type>(table.at[int(DType::name)]);
  TABULA_DTYPES(X)
#undef X
  choose_isa([&] { baseline::define_casts(table); }, [&] { avx2::define_casts(table); },
             [&] { avx512::define_casts(table); });
  return table;
}

const TransposeTable transposes = [] {
  TransposeTable table;
  choose_isa([&] { baseline::define_transposes(table); }, [&] { avx2::define_transposes(table); },
             [&] { avx512::define_transposes(table); });
  return table;
}();

// Asks for n elements of the block that most often comes next: rows and columns of a block are too short for the
// hardware to see their pattern.
template <class T>
inline void prefetch_run(const T* p, int64_t n, bool write) {
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  if (write)
    for (int64_t i = 0; i < n; i += line) __builtin_prefetch(p + i, 1);
  else
    for (int64_t i = 0; i < n; i += line) __builtin_prefetch(p + i, 0);
}

// The C library's copy has wider vectors than this file, which is compiled for every processor.
template <class T>
void fill_run(T* dst, T value, int64_t n) {
  int64_t done = std::min<int64_t>(n, 64);
  for (int64_t i = 0; i < done; i++) dst[i] = value;
  for (; done < n; done *= 2) std::memcpy(dst + done, dst, size_t(std::min(done, n - done)) * sizeof(T));
}

// The rectangle's longer walk goes along its shorter stride, so that every cache line of the source is used up.
template <class T, bool gather>
void move_block(void* block, void* strided, const Rectangle& r) {
  T* b = static_cast<T*>(block);
  T* const s = static_cast<T*>(strided);
  const auto move = [](T& in_block, T& outside) {
    if constexpr (gather)
      in_block = outside;
    else
      outside = in_block;
  };
  if (r.col_stride == 1 || r.cols == 1) {
    for (int64_t i = 0; i < r.rows; i++, b += r.cols) {
      T* const row = s + i * r.row_stride;
      if (r.rows > 1) prefetch_run(row + r.cols, r.cols, !gather);
      if constexpr (gather)
        std::memcpy(b, row, size_t(r.cols) * sizeof(T));
      else
        std::memcpy(row, b, size_t(r.cols) * sizeof(T));
    }
  } else if (gather && r.col_stride == 0) {
    for (int64_t i = 0; i < r.rows; i++, b += r.cols) fill_run(b, s[i * r.row_stride], r.cols);
  } else if (gather && r.row_stride == 1 && (sizeof(T) == 4 || sizeof(T) == 8)) {
    (sizeof(T) == 4 ? transposes.four : transposes.eight)(block, strided, r);
  } else if (r.rows > 1 && r.row_stride < r.col_stride) {
    for (int64_t j = 0; j < r.cols; j++) {
      T* const column = s + j * r.col_stride;
      prefetch_run(column + r.cols * r.col_stride, r.row_stride == 1 ? r.rows : 0, !gather);
      for (int64_t i = 0; i < r.rows; i++) move(b[i * r.cols + j], column[i * r.row_stride]);
    }
  } else {
    for (int64_t i = 0; i < r.rows; i++, b += r.cols) {
      T* const row = s + i * r.row_stride;
      for (int64_t j = 0; j < r.cols; j++) move(b[j], row[j * r.col_stride]);
    }
  }
}

}  // namespace

const CastTable& cast_table = *new CastTable(make_table());

void gather_block(void* block, const void* src, const Rectangle& r, int64_t bytes) {
  visit_size(bytes, [&]<class T> { move_block<T, true>(block, const_cast<void*>(src), r); });
}
void scatter_block(void* dst, const void* block, const Rectangle& r, int64_t bytes) {
  visit_size(bytes, [&]<class T> { move_block<T, false>(const_cast<void*>(block), dst, r); });
}

void fill_block(void* dst, const void* value, int64_t n, int64_t bytes) {
  visit_size(bytes, [&]<class T> {
    T v;
    std::memcpy(&v, value, sizeof v);
    fill_run(static_cast<T*>(dst), v, n);
  });
}

void stream_block(void* dst, const void* block, int64_t bytes) {
#if defined(__SSE2__)
  char* d = static_cast<char*>(dst);
  const char* s = static_cast<const char*>(block);
  const int64_t head = -int64_t(reinterpret_cast<uintptr_t>(d)) & 63;
  if (head >= bytes) {
    std::memcpy(d, s, size_t(bytes));
    return;
  }
  std::memcpy(d, s, size_t(head));
  d += head;
  s += head;
  bytes -= head;
  for (; bytes >= 64; bytes -= 64, d += 64, s += 64) {
    __builtin_prefetch(s + kPrefetchAhead);
    for (int k = 0; k < 4; k++)
      _mm_stream_si128(reinterpret_cast<__m128i*>(d) + k, _mm_loadu_si128(reinterpret_cast<const __m128i*>(s) + k));
  }
  std::memcpy(d, s, size_t(bytes));
#else
  std::memcpy(dst, block, size_t(bytes));
#endif
}

void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace tabula::kernels
