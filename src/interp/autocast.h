// Mixed precision by context: while it is on, some operations get their arguments in a chosen precision.
// Source: Micikevicius et al., "Mixed precision training" (2018). State is per thread.
#pragma once

#include "core/dtype.h"

namespace tabula::autocast {

bool is_enabled();
void set_enabled(bool on);
DType low_precision();
void set_low_precision(DType dtype);
// Casts of float32 leaves that require grad, weights that is, are kept until the outermost context ends.
void set_cache_enabled(bool on);
bool is_cache_enabled();
void clear_cache();

}  // namespace tabula::autocast
