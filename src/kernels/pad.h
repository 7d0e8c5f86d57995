// Padding by an index map per dimension: reflection, replication, wrapping.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Contiguous in [outer, in[0], in[1], in[2]] and out [outer, out[0], out[1], out[2]]:
// out[o, i, j, k] = in[o, map[0][i], map[1][j], map[2][k]].
struct PadCall {
  int64_t outer = 1;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  const int64_t* map[3] = {};
  DType dtype = DType::Float32;
  const char* from = nullptr;
  char* to = nullptr;
};

extern Kernel<void(const PadCall&)> pad_map;
// The transpose: from is of the sizes `out`, to of the sizes `in`, and each element of `to` is the sum of those that the
// map takes from it.
extern Kernel<void(const PadCall&)> pad_map_backward;

}  // namespace tabula::kernels
