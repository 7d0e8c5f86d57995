// Norms of vectors along dimensions.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op linalg_vector_norm;

}  // namespace tabula
