// The products of recurrent layers. The weight is packed once for all steps. A piece of work is a block of hidden
// units, one vector pair wide: it multiplies, applies the gates while the products are in the cache, and packs what the
// next step multiplies. So a step needs no more than one parallel loop, and no sum depends on how many threads run it.
#include "kernels/recurrent.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/recurrent_isa.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

using Step = void (*)(const LstmBlock&);

#if defined(__x86_64__)
#define PICK(name)                                                                                        \
  [] {                                                                                                    \
    Step step = nullptr;                                                                                  \
    choose_isa([&] { step = baseline::name; }, [&] { step = avx2::name; }, [&] { step = avx512::name; }); \
    return step;                                                                                          \
  }()
#else
#define PICK(name) baseline::name
#endif

// What is multiplied in every step: `parts` times [batch, hidden], in panels of rows, of which each block packs its own
// columns.
template <class T>
class PackedRows {
 public:
  PackedRows(const LstmCall& call, int64_t parts, const StorageKernels& storage, int rows)
      : batch_(call.batch),
        hidden_(call.hidden),
        parts_(parts),
        rows_(rows),
        storage_(storage),
        memory_(size_t(2 * parts * batch_ * hidden_) * sizeof(T)) {}

  const T* now(int64_t part) const { return half(turn_, part); }
  void turn() { turn_ = 1 - turn_; }
  // Columns [first, first + n) of what comes next; its rows lie `row` apart from `source` on.
  void pack(const T* source, int64_t row, int64_t part, int64_t first, int64_t n) const {
    for (int64_t i = 0; i < batch_;) {
      const int64_t height = panel_rows(batch_ - i, rows_);
      storage_.pack(reinterpret_cast<const char*>(source + i * row), row, 1, height, height, n,
                    half(1 - turn_, part) + i * hidden_ + first * height, false);
      i += height;
    }
  }

 private:
  T* half(int turn, int64_t part) const { return memory_.as<T>() + (turn * parts_ + part) * batch_ * hidden_; }

  const int64_t batch_, hidden_, parts_;
  const int rows_;
  const StorageKernels& storage_;
  const Scratch memory_;
  int turn_ = 0;
};

// Multiply-adds that are worth a piece of their own.
constexpr int64_t kPieceProducts = 131072;

template <class T>
struct Driver {
  const LstmCall& call;
  const TileType<T>& type;
  const StorageKernels& storage;
  const int64_t panel = type.tiles.cols, hidden = call.hidden, batch = call.batch;
  const int64_t blocks = (hidden + panel - 1) / panel;

  const T* array(const char* base) const { return reinterpret_cast<const T*>(base); }
  int64_t step_at(int64_t s) const { return call.reverse ? call.steps - 1 - s : s; }

  template <class F>
  void for_blocks(int64_t products, F&& f) const {
    parallel_for(blocks, std::max<int64_t>(1, kPieceProducts / std::max<int64_t>(1, products)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t block = begin; block < end; block++)
                     f(block, block * panel, std::min(panel, hidden - block * panel));
                 });
  }

  // Four panels of the packed weight for each block of units.
  T* panel_at(const Scratch& weights, int64_t block, int64_t gate) const {
    return weights.as<T>() + (block * 4 + gate) * hidden * panel;
  }
  template <class F>
  void pack_weight(const Scratch& weights, int64_t line_stride, int64_t k_stride, F&& start) const {
    for_blocks(4 * hidden * panel, [&](int64_t block, int64_t first, int64_t width) {
      for (int64_t gate = 0; gate < 4; gate++)
        storage.pack(reinterpret_cast<const char*>(array(call.weight) + start(gate, first)), line_stride, k_stride,
                     width, panel, hidden, panel_at(weights, block, gate), false);
    });
  }

  void forward() const {
    static const Step forward_step = PICK(lstm_step);
    const Scratch weights(size_t(blocks * 4 * hidden * panel) * sizeof(T));
    pack_weight(weights, hidden, 1, [&](int64_t gate, int64_t first) { return (gate * hidden + first) * hidden; });
    PackedRows<T> rows(call, 1, storage, type.tiles.rows);
    rows.pack(array(call.first_hidden), hidden, 0, 0, hidden);
    const char* cell = call.first_cell;
    for (int64_t s = 0; s < call.steps; s++) {
      rows.turn();
      const int64_t step = step_at(s), state = step * batch * hidden;
      for_blocks(4 * batch * hidden * panel, [&](int64_t block, int64_t first, int64_t width) {
        const Scratch product(size_t(batch * 4 * panel) * sizeof(T));
        for (int64_t gate = 0; gate < 4; gate++)
          type.tiles.packed(batch, width, hidden, rows.now(0), panel_at(weights, block, gate),
                            product.as<T>() + gate * panel, 4 * panel, Finish<T>());
        forward_step({call, step, cell, first, width, product.as<char>(), 4 * panel, panel});
        if (s + 1 < call.steps) rows.pack(array(call.output) + state + first, hidden, 0, first, width);
      });
      cell = call.cells + state * int64_t(sizeof(T));
    }
  }

  void backward() const {
    static const Step backward_step = PICK(lstm_step_backward);
    const Scratch weights(size_t(blocks * 4 * hidden * panel) * sizeof(T));
    pack_weight(weights, 1, hidden, [&](int64_t gate, int64_t first) { return gate * hidden * hidden + first; });
    PackedRows<T> rows(call, 4, storage, type.tiles.rows);
    const auto multiply = [&](int64_t block, int64_t width, T* to, int64_t row) {
      for (int64_t gate = 0; gate < 4; gate++) {
        Finish<T> finish;
        finish.beta = gate ? T(1) : T(0);
        type.tiles.packed(batch, width, hidden, rows.now(gate), panel_at(weights, block, gate), to, row, finish);
      }
    };
    std::memset(call.grad_first_cell, 0, size_t(batch * hidden) * sizeof(T));
    for (int64_t s = call.steps - 1; s >= 0; s--) {
      const int64_t step = step_at(s), state = batch * hidden * int64_t(sizeof(T));
      const char* const before = s ? call.cells + step_at(s - 1) * state : call.first_cell;
      const bool last = s == call.steps - 1;
      for_blocks(4 * batch * hidden * panel, [&](int64_t block, int64_t first, int64_t width) {
        const Scratch product(size_t(batch * panel) * sizeof(T));
        if (!last) multiply(block, width, product.as<T>(), panel);
        backward_step({call, step, before, first, width, last ? nullptr : product.as<char>(), panel, 0});
        for (int64_t gate = 0; gate < 4; gate++)
          rows.pack(array(call.grad_gates) + (step * batch * 4 + gate) * hidden + first, 4 * hidden, gate, first,
                    width);
      });
      rows.turn();
    }
    for_blocks(4 * batch * hidden * panel, [&](int64_t block, int64_t first, int64_t width) {
      multiply(block, width, reinterpret_cast<T*>(call.grad_first_hidden) + first, hidden);
    });
  }
};

template <class F>
void drive(const LstmCall& call, F&& f) {
  const GemmIsa& isa = gemm_isa();
  const StorageKernels& storage = isa.storage[int(call.dtype)];
  if (call.dtype == DType::Float64)
    f(Driver<double>{call, {isa.f64, 1, isa.f64}, storage});
  else
    f(Driver<float>{call, {isa.f32, 1, isa.f32}, storage});
}

void forward_cpu(const LstmCall& call) {
  drive(call, [](const auto& driver) { driver.forward(); });
}
void backward_cpu(const LstmCall& call) {
  drive(call, [](const auto& driver) { driver.backward(); });
}

}  // namespace

Kernel<void(const LstmCall&)> lstm_forward("lstm_forward", forward_cpu);
Kernel<void(const LstmCall&)> lstm_backward("lstm_backward", backward_cpu);

}  // namespace tabula::kernels
