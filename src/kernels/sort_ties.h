// The order of equal elements that PyTorch's unstable sort leaves behind.
#pragma once

#include "kernels/sort.h"

namespace tabula::kernels {

// After `sort`: lines of more than 16 elements in which some are equal are sorted again by introsort, as PyTorch does
// unless asked for a stable order, so that the indices agree with its. Other lines stay as they are.
extern Kernel<void(const SortCall&, bool descending)> reorder_ties;

}  // namespace tabula::kernels
