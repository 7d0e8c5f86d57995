// Long short-term memory over a sequence: one row with one derivative where the kernels can do it, step by step
// elsewhere.
#include "kernels/recurrent.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/matmul.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

// Of the gates one after the other along the last dimension.
Tensor gate_of(const Tensor& all, int64_t number) {
  const int64_t size = all.size(-1) / 4;
  return narrow(all, int64_t(-1), number * size, size);
}
int64_t step_at(int64_t s, int64_t steps, bool reverse) { return reverse ? steps - 1 - s : s; }
Tensor at_step(const Tensor& t, int64_t step) { return select(t, int64_t(0), step); }
Tensor stacked(const std::vector<Tensor>& parts) { return stack(TensorList(parts), int64_t(0)); }

std::tuple<Tensor, Tensor, Tensor> run_steps(const Tensor& gates, const Tensor& hidden, const Tensor& cell,
                                             const Tensor& weight, bool reverse) {
  const int64_t steps = gates.size(0);
  auto outputs = std::vector<Tensor>(size_t(steps));
  Tensor h = hidden, c = cell;
  for (int64_t s = 0; s < steps; s++) {
    const int64_t step = step_at(s, steps, reverse);
    const Tensor sums = at_step(gates, step) + linear(h, weight);
    c = sigmoid(gate_of(sums, 1)) * c + sigmoid(gate_of(sums, 0)) * tanh(gate_of(sums, 2));
    h = sigmoid(gate_of(sums, 3)) * tanh(c);
    outputs[size_t(step)] = h;
  }
  return {stacked(outputs), h, c};
}

kernels::LstmCall call_for(const Tensor& gates, const Tensor& weight, const Tensor& hidden, const Tensor& cell,
                           bool reverse) {
  kernels::LstmCall call{};
  call.steps = gates.size(0);
  call.batch = gates.size(1);
  call.hidden = hidden.size(-1);
  call.reverse = reverse;
  call.dtype = gates.dtype();
  call.weight = weight.data();
  call.first_hidden = hidden.data();
  call.first_cell = cell.data();
  return call;
}

// Neither this row nor its derivative meets vmap, under which a layer goes step by step, as its derivative does.
// Results: the hidden states, the cells and the gates after their functions, of all steps.
std::tuple<Tensor, Tensor, Tensor> run_sequence(const Tensor& gates, const Tensor& hidden, const Tensor& cell,
                                                const Tensor& weight, bool reverse) {
  const Tensor x = contiguous_raw(gates), h = contiguous_raw(hidden), c = contiguous_raw(cell),
               w = contiguous_raw(weight);
  const Dims sizes{gates.size(0), gates.size(1), hidden.size(-1)};
  const Tensor output = Tensor::empty(sizes, gates.dtype(), gates.device()),
               cells = Tensor::empty(sizes, gates.dtype(), gates.device());
  const Tensor activated = Tensor::empty(gates.sizes(), gates.dtype(), gates.device());
  kernels::LstmCall call = call_for(x, w, h, c, reverse);
  call.gates = x.data();
  call.output = output.data();
  call.cells = cells.data();
  call.activated = activated.data();
  kernels::lstm_forward[gates.device().kind](call);
  return {output, cells, activated};
}

// The gradients of the gates and of the first state.
std::tuple<Tensor, Tensor, Tensor> run_sequence_backward(const Tensor& grad_output, const Tensor& grad_cells,
                                                         const Tensor& grad_activated, const Tensor& hidden,
                                                         const Tensor& cell, const Tensor& weight, const Tensor& cells,
                                                         const Tensor& activated, bool reverse) {
  const auto plain = [](const Tensor& t) { return t.defined() ? contiguous_raw(t) : t; };
  const Tensor h = contiguous_raw(hidden), c = contiguous_raw(cell), w = contiguous_raw(weight),
               states = contiguous_raw(cells), after = contiguous_raw(activated);
  const Tensor from_output = plain(grad_output), from_cells = plain(grad_cells), from_gates = plain(grad_activated);
  const Tensor gates = Tensor::empty(activated.sizes(), activated.dtype(), activated.device());
  const Tensor first_hidden = Tensor::empty(hidden.sizes(), hidden.dtype(), hidden.device()),
               first_cell = Tensor::empty(cell.sizes(), cell.dtype(), cell.device());
  kernels::LstmCall call = call_for(gates, w, h, c, reverse);
  call.cells = states.data();
  call.activated = after.data();
  if (from_output.defined()) call.grad_output = from_output.data();
  if (from_cells.defined()) call.grad_cells = from_cells.data();
  if (from_gates.defined()) call.grad_activated = from_gates.data();
  call.grad_gates = gates.data();
  call.grad_first_hidden = first_hidden.data();
  call.grad_first_cell = first_cell.data();
  kernels::lstm_backward[gates.device().kind](call);
  return {gates, first_hidden, first_cell};
}
const Op lstm_sequence_backward{OpDef{.schema =
                                          "_lstm_sequence_backward(Tensor? grad_output, Tensor? grad_cells, Tensor? "
                                          "grad_activated, Tensor hidden, Tensor cell, Tensor weight, Tensor cells, "
                                          "Tensor activated, bool reverse) -> (Tensor, Tensor, Tensor)",
                                      .run = fn<run_sequence_backward>,
                                      .on = Hidden,
                                      .batch = batch::refused}};

// The same of differentiable operations, for derivatives of higher order and under vmap.
std::array<Tensor, 3> differentiable_backward(Backward& b) {
  const Tensor &hidden = b.in(1), &cell = b.in(2), &weight = b.in(3), &cells = b.out(1), &activated = b.out(2);
  const bool reverse = b.flag(4);
  const int64_t steps = cells.size(0);
  auto gates = std::vector<Tensor>(size_t(steps));
  Tensor grad_hidden = zeros_raw(hidden.sizes(), hidden.dtype(), hidden.device()),
         grad_cell = zeros_raw(cell.sizes(), cell.dtype(), cell.device());
  for (int64_t s = steps - 1; s >= 0; s--) {
    const int64_t step = step_at(s, steps, reverse);
    const Tensor after = at_step(activated, step), squashed = tanh(at_step(cells, step));
    const Tensor i = gate_of(after, 0), f = gate_of(after, 1), g = gate_of(after, 2), o = gate_of(after, 3);
    if (b.has_g(0)) grad_hidden = grad_hidden + at_step(b.g(0), step);
    if (b.has_g(1)) grad_cell = grad_cell + at_step(b.g(1), step);
    grad_cell = grad_cell + grad_hidden * o * (Scalar(1) - squashed * squashed);
    const Tensor before = s ? at_step(cells, step_at(s - 1, steps, reverse)) : cell;
    const std::vector<Tensor> parts{grad_cell * g, grad_cell * before, grad_cell * i, grad_hidden * squashed};
    Tensor grad = cat(TensorList(parts), int64_t(-1));
    if (b.has_g(2)) grad = grad + at_step(b.g(2), step);
    const std::vector<Tensor> slopes{i * (Scalar(1) - i), f * (Scalar(1) - f), Scalar(1) - g * g, o * (Scalar(1) - o)};
    grad = grad * cat(TensorList(slopes), int64_t(-1));
    gates[size_t(step)] = grad;
    grad_cell = grad_cell * f;
    grad_hidden = matmul(grad, weight);
  }
  return {stacked(gates), grad_hidden, grad_cell};
}

void sequence_vjp(Backward& b) {
  std::array<Tensor, 3> grads;
  if (thread_state.grad_enabled || calls_may_be_taken()) {
    grads = differentiable_backward(b);
  } else {
    const auto given = [&](int i) { return b.has_g(i) ? Value(b.g(i)) : Value(); };
    grads = lstm_sequence_backward.many<3>(given(0), given(1), given(2), b.in(1), b.in(2), b.in(3), b.out(1), b.out(2),
                                           b.flag(4));
  }
  const auto& [gates, hidden, cell] = grads;
  if (b.needs(0)) b.set(0, gates);
  if (b.needs(1)) b.set(1, hidden);
  if (b.needs(2)) b.set(2, cell);
  if (!b.needs(3)) return;
  // one product for all steps: each step's gates with the hidden state that it started from
  const int64_t steps = gates.size(0), rows = steps * gates.size(1);
  const bool reverse = b.flag(4);
  const Tensor first = unsqueeze(b.in(1), int64_t(0)),
               later = narrow(b.out(0), int64_t(0), int64_t(reverse), steps - 1);
  const std::vector<Tensor> states = reverse ? std::vector{later, first} : std::vector{first, later};
  const Dims gate_rows{rows, gates.size(-1)}, state_rows{rows, gates.size(-1) / 4};
  b.set(3, mm(t(reshape(gates, gate_rows)), reshape(cat(TensorList(states), int64_t(0)), state_rows)));
}
const Op lstm_sequence{OpDef{.schema = "_lstm_sequence(Tensor gates, Tensor hidden, Tensor cell, Tensor weight, bool "
                                       "reverse) -> (Tensor, Tensor, Tensor)",
                             .run = fn<run_sequence>,
                             .on = Hidden,
                             .vjp = sequence_vjp,
                             .save = in(1) | in(2) | in(3) | out(0) | out(1) | out(2),
                             .batch = batch::refused}};

// Whether the kernels do it, and packing the weight for them pays.
bool suits_kernels(const Tensor& gates, const Tensor& hidden, const Tensor& cell, const Tensor& weight) {
  if (calls_may_be_taken() || (gates.dtype() != DType::Float32 && gates.dtype() != DType::Float64)) return false;
  for (const Tensor* t : {&gates, &hidden, &cell, &weight})
    if (t->dtype() != gates.dtype() || (t->impl()->special & (kDispatch | kParts)) || t->is_dual() ||
        t->device() != gates.device())
      return false;
  return gates.numel() > 0 && gates.size(0) * gates.size(1) >= 16;
}

std::tuple<Tensor, Tensor, Tensor> run_layer(const Tensor& gates, const Tensor& hidden, const Tensor& cell,
                                             const Tensor& weight, bool reverse) {
  const bool fits = gates.dim() == 3 && hidden.dim() == 2 && gates.size(0) > 0 && same(hidden.sizes(), cell.sizes()) &&
                    hidden.size(0) == gates.size(1) && 4 * hidden.size(1) == gates.size(2) &&
                    same(weight.sizes(), Dims{gates.size(2), hidden.size(1)});
  if (!fits || !suits_kernels(gates, hidden, cell, weight)) return run_steps(gates, hidden, cell, weight, reverse);
  auto [output, cells, activated] = lstm_sequence.many<3>(gates, hidden, cell, weight, reverse);
  const int64_t last = step_at(gates.size(0) - 1, gates.size(0), reverse);
  return {output, at_step(output, last), at_step(cells, last)};
}

}  // namespace

static const Op lstm_layer{
    OpDef{.schema = "_lstm_layer(Tensor gates, Tensor hidden, Tensor cell, Tensor weight, bool reverse) -> (Tensor, "
                    "Tensor, Tensor)",
          .run = fn<run_layer>,
          .on = Internal,
          .composite = true,
          .doc = "One direction of one layer of long short-term memory, for torch.nn.LSTM.\n\nArgs: gates (steps, "
                 "batch, 4 * hidden), what the inputs and the biases add to the gates "
                 "i, f, g and o; the first hidden state and cell (batch, hidden); the weight (4 * hidden, hidden) of "
                 "the hidden state; reverse, to go from the last step to the first. "
                 "Returns the hidden states of all steps, and the last hidden state and cell. Source: Hochreiter and "
                 "Schmidhuber, 1997."}};

}  // namespace tabula
