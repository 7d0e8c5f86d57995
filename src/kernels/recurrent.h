// Recurrent layers over whole sequences.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Long short-term memory (Hochreiter and Schmidhuber, 1997), one direction of one layer, float32 or float64. Every
// array is contiguous. The gates i, f, g, o of a sequence lie one after the other; `gates` has the input's part of
// them:
//   i, f, o = sigmoid(gates + W h), g = tanh(gates + W h), c' = f c + i g, h' = o tanh(c')
struct LstmCall {
  int64_t steps, batch, hidden;
  bool reverse;  // from the last step to the first
  DType dtype;
  const char* weight;                     // W [4 hidden, hidden]
  const char *first_hidden, *first_cell;  // [batch, hidden]
  const char* gates;                      // [steps, batch, 4 hidden]
  // Results of the forward pass, read by the backward pass: h' and c' [steps, batch, hidden], and i, f, g, o after
  // their functions [steps, batch, 4 hidden].
  char *output, *cells, *activated;
  // Gradients of those three, or null.
  const char *grad_output = nullptr, *grad_cells = nullptr, *grad_activated = nullptr;
  // Results of the backward pass.
  char *grad_gates = nullptr, *grad_first_hidden = nullptr, *grad_first_cell = nullptr;
};

extern Kernel<void(const LstmCall&)> lstm_forward;
extern Kernel<void(const LstmCall&)> lstm_backward;

}  // namespace tabula::kernels
