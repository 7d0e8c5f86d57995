// Bytes that tensors on the meta device would have: what a model needs can be measured without any memory.
#pragma once

#include <cstddef>

namespace tabula {

void meta_allocate(size_t bytes);
void meta_free(size_t bytes);

struct MetaStats {
  size_t allocated, peak;  // bytes
};
MetaStats meta_stats();
void meta_reset_peak();

}  // namespace tabula
