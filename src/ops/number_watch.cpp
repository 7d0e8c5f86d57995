#include "ops/number_watch.h"

#include <algorithm>
#include <unordered_set>

#include "core/state.h"
#include "kernels/finite.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/reduce.h"

namespace tabula {

thread_local NumberWatch number_watch;

namespace {

bool looked_at(const Tensor& t) {
  return t.defined() && is_differentiable(t.dtype()) && t.numel() && t.device().is_cpu() &&
         !(t.impl()->special & (kParts | kDispatch));
}

// Rows whose results nobody has written yet.
bool leaves_unwritten(const Op& op) {
  static const std::unordered_set<const Op*> rows = [] {
    std::unordered_set<const Op*> found;
    for (const Op* one : all_ops())
      for (std::string_view name : {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize",
                                    "resize_", "resize_as_", "set_"})
        if (one->schema.base_name == name) found.insert(one);
    return found;
  }();
  return rows.contains(&op);
}

}  // namespace

bool all_finite(const Tensor& t) {
  if (t.defined() && (t.impl()->special & kParts)) {
    const Tensor* whole = t.impl()->parts->whole();
    return !whole || all_finite(*whole);
  }
  if (!looked_at(t)) return true;
  Dims sizes, strides;
  for (size_t d = 0; d < size_t(t.dim()); d++) {
    if (t.sizes()[d] == 1 || t.strides()[d] == 0) continue;
    sizes.push_back(t.sizes()[d]);
    strides.push_back(t.strides()[d]);
  }
  if (is_non_overlapping_and_dense(sizes, strides))
    return kernels::all_finite(t.data(), count_elements(sizes), t.dtype());
  // lines along the dimension whose elements lie closest
  const int64_t inner = std::min_element(strides.begin(), strides.end()) - strides.begin();
  const int64_t step = strides[inner] * item_size(t.dtype()), length = sizes[inner];
  Dims index(int64_t(sizes.size()), 0);
  const char* line = t.data();
  for (;;) {
    if (strides[inner] == 1) {
      if (!kernels::all_finite(line, length, t.dtype())) return false;
    } else {
      for (int64_t i = 0; i < length; i++)
        if (!kernels::all_finite(line + i * step, 1, t.dtype())) return false;
    }
    int64_t d = int64_t(sizes.size()) - 1;
    for (; d >= 0; d--) {
      if (d == inner) continue;
      const int64_t bytes = strides[d] * item_size(t.dtype());
      line += bytes;
      if (++index[d] < sizes[d]) break;
      line -= bytes * sizes[d];
      index[d] = 0;
    }
    if (d < 0) return true;
  }
}

uint8_t non_finite(const Tensor& t) {
  if (all_finite(t)) return 0;
  if (t.impl()->special & kParts) return non_finite(*t.impl()->parts->whole());
  Restore off(thread_state.interpreters, uint8_t(0));
  BelowAutograd guard;
  const Tensor numbers = is_float8(t.dtype()) ? to_dtype(t, DType::Float32) : t;
  return uint8_t((item(any(isnan(numbers))).to_bool() ? kNan : 0) | (item(any(isinf(numbers))).to_bool() ? kInf : 0));
}

void call_watched(const Call& call) {
  Restore off(thread_state.interpreters, uint8_t(thread_state.interpreters & ~kWatching));
  Out& out = call.out;
  uint8_t before = 0;
  switch (call.form) {
    case Form::Plain: run_below(call.op, call.args, out); break;
    case Form::InPlace: {
      const Tensor& target = call.args[call.op.schema.mutated >= 0 ? call.op.schema.mutated : 0].tensor();
      before = non_finite(target);
      run_in_place(call.op, call.args, out);
      break;
    }
    case Form::Into: call_out(call.op, call.args, out, call.into, call.count); break;
  }
  if (call.op.def.view || leaves_unwritten(call.op)) return;
  bool finite = true;
  for (int i = 0; i < out.count; i++) finite = finite && all_finite(out[i]);
  if (!finite && number_watch.result) number_watch.result(call, before);
}

}  // namespace tabula
