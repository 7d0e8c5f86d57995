// The elementwise part of recurrent steps, compiled per instruction set.
#pragma once

#include "kernels/recurrent.h"

namespace tabula::kernels {

// Of one step the units [first, first + width) of all sequences.
struct LstmBlock {
  const LstmCall& call;
  int64_t step;             // where it lies in the arrays
  const char* cell_before;  // [batch, hidden]
  int64_t first, width;
  const char* product;  // forward: W h, gate after gate; backward: the gradient of h' from later steps, or null
  int64_t product_row, product_gate;  // how far rows, and the gates within one, lie apart in it
};

#define TABULA_RECURRENT(isa)                      \
  namespace isa {                                  \
  void lstm_step(const LstmBlock& block);          \
  void lstm_step_backward(const LstmBlock& block); \
  }
TABULA_RECURRENT(baseline)
TABULA_RECURRENT(avx2)
TABULA_RECURRENT(avx512)
#undef TABULA_RECURRENT

}  // namespace tabula::kernels
