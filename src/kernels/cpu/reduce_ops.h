// What the reduction driver (reduce.cpp) knows of one reduction on one compute type: functions over blocks in the L1
// cache, with states it treats as opaque bytes.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "kernels/cpu/reduce_dispatch.h"

namespace tabula::kernels {

inline constexpr int64_t kTileWidth = 1024;  // columns of a tile at most
inline constexpr int kStateBytes = 32;       // largest state

struct ReduceOps {
  int state_size = 0;
  int group = 0;                  // rows of a tile at most
  DType result = DType::Float32;  // what finish writes: a compute type
  DType result2 = DType::Float32;

  void (*init)(void* states, int64_t count) = nullptr;
  // states[r] absorbs the n contiguous elements at data + r * row_stride; `base` is the index of the first one.
  void (*rows)(const void* data, int64_t rows, int64_t row_stride, int64_t n, int64_t base, void* states,
               const double* params) = nullptr;
  // One state absorbs n contiguous bfloat16 elements, without a block of floats between; null where there is no such way.
  void (*bfloat16_row)(const void* data, int64_t n, void* state) = nullptr;
  // states[j] absorbs column j of a tile; `base` is the index of its first row.
  void (*tile)(const void* data, int64_t rows, int64_t row_stride, int64_t width, int64_t base, void* states,
               const double* params) = nullptr;
  void (*merge)(void* states, const void* later, int64_t count) = nullptr;
  void (*finish)(const void* states, int64_t count, int64_t n, const double* params, void* out, void* out2) = nullptr;
};

// The reductions that have kernels of their own; the others differ from one of these by a parameter.
enum class Core : uint8_t {
  sum, nansum, prod, mean, norm1, norm2, norm_p, nonzero, all, any,                   // sum_ops
  max, min, abs_max, abs_min, arg_max, arg_min, max_with_index, min_with_index, both,  // order_ops
  var, std, logsumexp,                                                                // moment_ops
  Count
};

// An empty ReduceOps (init == nullptr) means that there is no such kernel. Core::nonzero, all and any take bytes
// (compute type Bool, any value but 0 being true) and nothing else.
TABULA_PER_ISA(ReduceOps, sum_ops, Core op, DType compute)
TABULA_PER_ISA(ReduceOps, order_ops, Core op, DType compute)
TABULA_PER_ISA(ReduceOps, moment_ops, Core op, DType compute)

// Converts n elements of dtype `from`, `stride` elements apart, to contiguous ones of a compute type. `absolute`: a
// complex input becomes its absolute values.
TABULA_PER_ISA(void, stage, DType from, const char* src, int64_t stride, int64_t n, DType compute, bool absolute,
               void* dst)

}  // namespace tabula::kernels
