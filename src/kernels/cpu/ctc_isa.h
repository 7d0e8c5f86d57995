// The kernel of CTC that is compiled per instruction set: sequences [begin, end).
#pragma once

#include "kernels/ctc.h"

namespace tabula::kernels {

#define TABULA_CTC(isa)                                                \
  namespace isa {                                                      \
  void ctc_sequences(const CtcCall& call, int64_t begin, int64_t end); \
  }
TABULA_CTC(baseline)
TABULA_CTC(avx2)
TABULA_CTC(avx512)
#undef TABULA_CTC

}  // namespace tabula::kernels
