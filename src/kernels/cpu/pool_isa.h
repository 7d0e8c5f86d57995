// The pooling kernels that are compiled per instruction set: planes [begin, end).
#pragma once

#include "kernels/pool.h"

namespace tabula::kernels {

#define TABULA_POOL(isa)                                                  \
  namespace isa {                                                         \
  void max_pool_planes(const PoolCall& call, int64_t begin, int64_t end); \
  }
TABULA_POOL(baseline)
TABULA_POOL(avx2)
TABULA_POOL(avx512)
#undef TABULA_POOL

}  // namespace tabula::kernels
