// Sliding windows of images as columns, and the sum of columns back into images.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// images [planes, height, width] and columns [planes, kernel h, kernel w, blocks h, blocks w], both contiguous.
struct FoldCall {
  int64_t planes = 0;
  int64_t image[2] = {}, kernel[2] = {}, blocks[2] = {};
  int64_t stride[2] = {}, padding[2] = {}, dilation[2] = {};
  DType dtype = DType::Float32;
  const char* from = nullptr;
  char* to = nullptr;
};

extern Kernel<void(const FoldCall&)> unfold_windows;  // images -> columns
extern Kernel<void(const FoldCall&)> fold_windows;    // columns -> images, overlaps added up

}  // namespace tabula::kernels
