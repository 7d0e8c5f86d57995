// The optimizer steps that are compiled per instruction set: elements [begin, end).
#pragma once

#include "kernels/optim.h"

namespace tabula::kernels {

#define TABULA_OPTIM(isa)                                            \
  namespace isa {                                                    \
  void sgd_range(const SgdCall& call, int64_t begin, int64_t end);   \
  void adam_range(const AdamCall& call, int64_t begin, int64_t end); \
  void rule_range(const RuleCall& call, int64_t begin, int64_t end); \
  }
TABULA_OPTIM(baseline)
TABULA_OPTIM(avx2)
TABULA_OPTIM(avx512)
#undef TABULA_OPTIM

}  // namespace tabula::kernels
