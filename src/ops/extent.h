// How much of a storage a caller's geometry needs; every number may be nonsense.
#pragma once

#include "core/dtype.h"
#include "core/error.h"
#include "core/geometry.h"

namespace tabula {

// Bytes up to the end of the last element; 0 for a tensor without elements.
inline int64_t bytes_reached(IntList sizes, IntList strides, int64_t offset, DType dtype) {
  check_sizes(sizes);
  for (int64_t s : strides) check(s >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", shape_text(strides));
  check(offset >= 0, "Tensor: invalid storage offset ", offset);
  const bool any = count_elements(sizes) != 0;
  int64_t bytes;
  check(!__builtin_add_overflow(offset, any ? span_elements(sizes, strides) : 0, &bytes) && !__builtin_mul_overflow(bytes, item_size(dtype), &bytes),
        "Storage size calculation overflowed with sizes=", shape_text(sizes), " and strides=", shape_text(strides));
  return any ? bytes : 0;
}

}  // namespace tabula
