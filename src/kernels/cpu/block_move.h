// Moving blocks: conversion between dtypes on contiguous memory, and gathers and scatters between strided memory and a
// contiguous block.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace tabula::kernels {

using CastKernel = void (*)(void* dst, const void* src, int64_t n);
struct CastTable {
  CastKernel at[kDTypes][kDTypes];  // [to][from]
};
extern const CastTable& cast_table;

inline void cast_block(DType to, void* dst, DType from, const void* src, int64_t n) {
  cast_table.at[int(to)][int(from)](dst, src, n);
}

// A strided rectangle of elements of `bytes` bytes; a block holds it row after row. Strides are in elements.
struct Rectangle {
  int64_t rows, cols, row_stride, col_stride;
};
void gather_block(void* block, const void* src, const Rectangle& r, int64_t bytes);
void scatter_block(void* dst, const void* block, const Rectangle& r, int64_t bytes);

// dst[0..n) = the one element at value
void fill_block(void* dst, const void* value, int64_t n, int64_t bytes);

// A copy that does not read what it overwrites into the caches; for results that are larger than these. Such stores are
// ordered with no others: after the last one, before another thread may look, comes the fence.
void stream_block(void* dst, const void* block, int64_t bytes);
void stream_fence();
// Is that the way to write a result of so many bytes? At 64 MB, in the allocator's huge pages, relu then takes 2/3 of the
// time; at 16 MB it is no faster, and what reads the result slower. In small pages, memory of others, it never pays.
inline bool bypasses_cache(const void* dst, int64_t bytes) {
  return bytes >= 32 << 20 && reinterpret_cast<uintptr_t>(dst) % 4096 == 0;
}
// How far ahead of a loop over memory a block is asked for, in bytes: the hardware's own prefetching ends with each page
// of 4 KB.
inline constexpr int kPrefetchAhead = 2048;

}  // namespace tabula::kernels
