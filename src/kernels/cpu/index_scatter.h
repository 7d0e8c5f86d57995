// What the two ways of scattering share.
#pragma once

#include <limits>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace tabula::kernels {

template <ScatterOp op, class C>
inline C combine(C a, C b) {
  if constexpr (op == ScatterOp::Assign)
    return b;
  else if constexpr (op == ScatterOp::Multiply)
    return C(a * b);
  else if constexpr (op == ScatterOp::Add || op == ScatterOp::Mean)
    return C(a + b);
  else if constexpr (op == ScatterOp::Max)
    return a != a ? a : (b > a || b != b ? b : a);
  else
    return a != a ? a : (b < a || b != b ? b : a);
}

// What an accumulator starts from when the cell's own value does not count.
template <ScatterOp op, class C>
inline C neutral() {
  if constexpr (op == ScatterOp::Multiply)
    return C(1);
  else if constexpr (op == ScatterOp::Max && !is_complex_v<C>)
    return std::numeric_limits<C>::has_infinity ? C(-std::numeric_limits<C>::infinity())
                                                : std::numeric_limits<C>::lowest();
  else if constexpr (op == ScatterOp::Min && !is_complex_v<C>)
    return std::numeric_limits<C>::has_infinity ? std::numeric_limits<C>::infinity() : std::numeric_limits<C>::max();
  else
    return C(0);
}

// The dimension that is written along, and the others.
struct ScatterPlan {
  int64_t length;                        // along dim
  int64_t self_dim, index_dim, src_dim;  // strides there
  int64_t wrap;                          // what is added to negative indices
  Walk<3> others;                        // self, index, src
};

inline ScatterPlan make_plan(const ScatterCall& call) {
  Dims sizes, self, index, src;
  int64_t length = 1, self_dim = 1, index_dim = 0, src_dim = 0;
  for (int64_t d = 0; d < int64_t(call.sizes.size()); d++) {
    const size_t at = size_t(d);
    if (d == call.dim) {
      length = call.sizes[at];
      self_dim = call.self_strides[at];
      index_dim = call.index_strides[at];
      src_dim = call.src_strides[at];
      continue;
    }
    sizes.push_back(call.sizes[at]);
    self.push_back(call.self_strides[at]);
    index.push_back(call.index_strides[at]);
    src.push_back(call.src_strides[at]);
  }
  const int64_t wrap = wraps(call.rule) ? call.self_size : 0;
  return {length, self_dim, index_dim, src_dim, wrap, Walk<3>(sizes, {self, index, src})};
}

// Without the wide unsigned types, for which PyTorch has no reductions either: a fifth of the code.
template <class F>
void visit_numbers(DType dtype, const char* what, F&& f) {
  visit(dtype, what, [&]<class T>() {
    if constexpr (std::is_same_v<T, uint16_t> || std::is_same_v<T, uint32_t> || std::is_same_v<T, uint64_t>)
      fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(dtype), "'");
    else
      f.template operator()<T>();
  });
}

template <class F>
void visit_scatter_op(ScatterOp op, F&& f) {
  switch (op) {
    case ScatterOp::Add: return f.template operator()<ScatterOp::Add>();
    case ScatterOp::Multiply: return f.template operator()<ScatterOp::Multiply>();
    case ScatterOp::Mean: return f.template operator()<ScatterOp::Mean>();
    case ScatterOp::Max: return f.template operator()<ScatterOp::Max>();
    case ScatterOp::Min: return f.template operator()<ScatterOp::Min>();
    case ScatterOp::Assign: return;
  }
}

template <class T, ScatterOp op>
inline constexpr bool reducible = !((op == ScatterOp::Max || op == ScatterOp::Min) && is_complex_v<T>) &&
                                  !(op == ScatterOp::Mean && std::is_same_v<T, bool>);

[[noreturn]] inline void fail_reduction(ScatterOp op, DType dtype) {
  fail(ErrorKind::NotImplemented, "\"scatter_gather_tensor_cpu_reduce_",
       op == ScatterOp::Mean ? "mean" : op == ScatterOp::Max ? "amax" : "amin", "\" not implemented for '",
       dtype_title(dtype), "'");
}

// Means, half types and whatever does not start from self or has a factor.
void scatter_buffered(const ScatterCall& call, const ScatterPlan& plan);

}  // namespace tabula::kernels
