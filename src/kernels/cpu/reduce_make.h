// Makes a ReduceOps from a class Op with
//   C, State, Result, Result2; group; identity(); merge(State&, const State&);
//   absorb(State&, const C*, n, base, params); tile(const C*, rows, row_stride, width, base, State*, params);
//   finish(const State&, n, params, Result*, Result2*).
#pragma once

#include "kernels/cpu/reduce_isa.h"
#include "kernels/cpu/reduce_ops.h"

namespace tabula::kernels::TABULA_ISA {

template <class Op>
ReduceOps make_ops() {
  using C = typename Op::C;
  using State = typename Op::State;
  using Result = typename Op::Result;
  using Result2 = typename Op::Result2;
  static_assert(sizeof(State) <= kStateBytes);
  ReduceOps ops;
  ops.state_size = sizeof(State);
  ops.group = Op::group;
  ops.result = dtype_of<Result>;
  ops.result2 = dtype_of<Result2>;
  ops.init = [](void* states, int64_t count) {
    for (int64_t i = 0; i < count; i++) static_cast<State*>(states)[i] = Op::identity();
  };
  ops.rows = [](const void* data, int64_t rows, int64_t row_stride, int64_t n, int64_t base, void* states,
                const double* params) {
    const C* p = static_cast<const C*>(data);
    for (int64_t r = 0; r < rows; r++) Op::absorb(static_cast<State*>(states)[r], p + r * row_stride, n, base, params);
  };
  if constexpr (requires(State& state, const BFloat16* p) { Op::absorb_elements(state, p, int64_t(0)); })
    ops.bfloat16_row = [](const void* data, int64_t n, void* state) {
      Op::absorb_elements(*static_cast<State*>(state), static_cast<const BFloat16*>(data), n);
    };
  ops.tile = [](const void* data, int64_t rows, int64_t row_stride, int64_t width, int64_t base, void* states,
                const double* params) {
    Op::tile(static_cast<const C*>(data), rows, row_stride, width, base, static_cast<State*>(states), params);
  };
  ops.merge = [](void* states, const void* later, int64_t count) {
    for (int64_t i = 0; i < count; i++) Op::merge(static_cast<State*>(states)[i], static_cast<const State*>(later)[i]);
  };
  ops.finish = [](const void* states, int64_t count, int64_t n, const double* params, void* out, void* out2) {
    for (int64_t i = 0; i < count; i++)
      Op::finish(static_cast<const State*>(states)[i], n, params, static_cast<Result*>(out) + i,
                 out2 ? static_cast<Result2*>(out2) + i : nullptr);
  };
  return ops;
}

// Calls f(j, count, whole) for each vector of columns; the last one may be partial.
template <class T, class F>
[[gnu::always_inline]] inline void each_vector(int64_t width, F f) {
  int64_t j = 0;
  for (; j + kLanes<T> <= width; j += kLanes<T>) f(j, std::true_type());
  if (j < width) f(j, std::false_type());
}
template <class T, bool whole>
[[gnu::always_inline]] inline V<T> load_columns(const T* p, int64_t count, T fill, std::bool_constant<whole>) {
  if constexpr (whole)
    return load(p);
  else
    return load_part(p, count, fill);
}

}  // namespace tabula::kernels::TABULA_ISA
