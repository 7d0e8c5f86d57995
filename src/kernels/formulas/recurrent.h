// Steps of recurrent layers behind their matrix products.
#pragma once

#include "kernels/formulas/activation.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace formulas {

// The gates of long short-term memory, or their gradients.
template <class V>
struct LstmGates {
  V i, f, g, o;
};

// Before their functions -> after them.
template <class V>
LstmGates<V> lstm_gates(const LstmGates<V>& x) {
  return {sigmoid(x.i), sigmoid(x.f), tanh(x.g), sigmoid(x.o)};
}
template <class V>
V lstm_cell(const LstmGates<V>& after, V cell) {
  return after.f * cell + after.i * after.g;
}
// The gradient of the cell from those of the step's results; `squashed` is tanh of the new cell.
template <class V>
V lstm_cell_grad(V grad_cell, V grad_hidden, V o, V squashed) {
  return grad_cell + tanh_grad(grad_hidden * o, squashed);
}
// Of the gates after their functions.
template <class V>
LstmGates<V> lstm_after_grad(const LstmGates<V>& after, V cell, V grad_cell, V grad_hidden, V squashed) {
  return {grad_cell * after.g, grad_cell * cell, grad_cell * after.i, grad_hidden * squashed};
}
// Of the gates before them.
template <class V>
LstmGates<V> lstm_gates_grad(const LstmGates<V>& grad, const LstmGates<V>& after) {
  return {sigmoid_grad(grad.i, after.i), sigmoid_grad(grad.f, after.f), tanh_grad(grad.g, after.g),
          sigmoid_grad(grad.o, after.o)};
}

}  // namespace formulas
}  // namespace TABULA_ISA
}  // namespace tabula
