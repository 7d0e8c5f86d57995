#include "kernels/cpu/recurrent_isa.h"
#include "kernels/formulas/recurrent.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

template <class T>
using Gates = formulas::LstmGates<Vec<T>>;

// Calls f(element, load, store) for vectors that cover `width` elements; the last one may be part of one.
template <class T, class F>
TABULA_INLINE void for_vectors(int64_t width, F&& f) {
  constexpr int64_t size = Vec<T>::size;
  int64_t j = 0;
  for (; j + size <= width; j += size)
    f(j, [](const T* p) TABULA_ALWAYS { return Vec<T>::load(p); }, [](Vec<T> v, T* p) TABULA_ALWAYS { v.store(p); });
  if (const int64_t rest = width - j; rest > 0)
    f(
        j, [rest](const T* p) TABULA_ALWAYS { return Vec<T>::load_partial(p, rest); },
        [rest](Vec<T> v, T* p) TABULA_ALWAYS { v.store_partial(p, rest); });
}

template <class T>
void forward(const LstmBlock& block) {
  const LstmCall& c = block.call;
  for (int64_t b = 0; b < c.batch; b++) {
    const int64_t row = block.step * c.batch + b, at = row * c.hidden + block.first;
    const int64_t gate = row * 4 * c.hidden + block.first;
    const T* const in = reinterpret_cast<const T*>(c.gates) + gate;
    const T* const product = reinterpret_cast<const T*>(block.product) + b * block.product_row;
    const T* const before = reinterpret_cast<const T*>(block.cell_before) + b * c.hidden + block.first;
    T* const activated = reinterpret_cast<T*>(c.activated) + gate;
    T* const cells = reinterpret_cast<T*>(c.cells) + at;
    T* const output = reinterpret_cast<T*>(c.output) + at;
    for_vectors<T>(block.width, [&](int64_t j, auto load, auto store) TABULA_ALWAYS {
      const auto sum = [&](int64_t k) TABULA_ALWAYS {
        return load(in + k * c.hidden + j) + load(product + k * block.product_gate + j);
      };
      const Gates<T> after = formulas::lstm_gates(Gates<T>{sum(0), sum(1), sum(2), sum(3)});
      const Vec<T> cell = formulas::lstm_cell(after, load(before + j));
      store(after.i, activated + j);
      store(after.f, activated + c.hidden + j);
      store(after.g, activated + 2 * c.hidden + j);
      store(after.o, activated + 3 * c.hidden + j);
      store(cell, cells + j);
      store(after.o * tanh(cell), output + j);
    });
  }
}

template <class T>
void backward(const LstmBlock& block) {
  const LstmCall& c = block.call;
  const auto add = [](Vec<T> sum, const T* more, auto load) TABULA_ALWAYS { return more ? sum + load(more) : sum; };
  const auto from = [](const char* base, int64_t offset) {
    return base ? reinterpret_cast<const T*>(base) + offset : nullptr;
  };
  for (int64_t b = 0; b < c.batch; b++) {
    const int64_t row = block.step * c.batch + b, at = row * c.hidden + block.first, own = b * c.hidden + block.first;
    const int64_t gate = row * 4 * c.hidden + block.first;
    const T* const activated = from(c.activated, gate);
    const T* const cells = from(c.cells, at);
    const T* const before = from(block.cell_before, own);
    const T* const product = from(block.product, b * block.product_row);
    const T* const grad_output = from(c.grad_output, at);
    const T* const grad_cells = from(c.grad_cells, at);
    const T* const grad_activated = from(c.grad_activated, gate);
    T* const grad_gates = reinterpret_cast<T*>(c.grad_gates) + gate;
    T* const grad_cell = reinterpret_cast<T*>(c.grad_first_cell) + own;
    for_vectors<T>(block.width, [&](int64_t j, auto load, auto store) TABULA_ALWAYS {
      const auto place = [j](const T* p) TABULA_ALWAYS { return p ? p + j : nullptr; };
      const auto part = [&](int64_t k) TABULA_ALWAYS { return load(activated + k * c.hidden + j); };
      const Gates<T> after{part(0), part(1), part(2), part(3)};
      const Vec<T> hidden = add(product ? load(product + j) : Vec<T>(T(0)), place(grad_output), load);
      const Vec<T> squashed = tanh(load(cells + j));
      const Vec<T> later = add(load(grad_cell + j), place(grad_cells), load);
      const Vec<T> cell = formulas::lstm_cell_grad(later, hidden, after.o, squashed);
      Gates<T> grad = formulas::lstm_after_grad(after, load(before + j), cell, hidden, squashed);
      if (grad_activated) {
        grad.i = grad.i + load(grad_activated + j);
        grad.f = grad.f + load(grad_activated + c.hidden + j);
        grad.g = grad.g + load(grad_activated + 2 * c.hidden + j);
        grad.o = grad.o + load(grad_activated + 3 * c.hidden + j);
      }
      grad = formulas::lstm_gates_grad(grad, after);
      store(grad.i, grad_gates + j);
      store(grad.f, grad_gates + c.hidden + j);
      store(grad.g, grad_gates + 2 * c.hidden + j);
      store(grad.o, grad_gates + 3 * c.hidden + j);
      store(cell * after.f, grad_cell + j);
    });
  }
}

}  // namespace

void lstm_step(const LstmBlock& block) {
  block.call.dtype == DType::Float64 ? forward<double>(block) : forward<float>(block);
}
void lstm_step_backward(const LstmBlock& block) {
  block.call.dtype == DType::Float64 ? backward<double>(block) : backward<float>(block);
}

}  // namespace tabula::kernels::TABULA_ISA
