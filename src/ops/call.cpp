// The choke point: every operation passes here, in one fixed order:
// active interpreters, then autograd, then lazy bits, then the implementation.
#include <algorithm>

#include "core/state.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/number_watch.h"
#include "ops/pointwise.h"

namespace tabula {

AutogradHooks autograd_hooks;
CallHooks call_hooks;

namespace {

constexpr uint8_t kAboveAutograd = uint8_t(~(kDispatchMode | kWatching));

// Did a layer above autograd, or below it, take the call?
inline bool taken_above(const Call& call, uint8_t bits) {
  if (!((bits & kParts) | (thread_state.interpreters & kAboveAutograd))) [[likely]]
    return false;
  return call_hooks.above_autograd && call_hooks.above_autograd(call, bits);
}
inline bool taken_below(const Call& call, uint8_t bits) {
  if (!((bits & kDispatch) | (thread_state.interpreters & (kDispatchMode | kWatching)))) [[likely]]
    return false;
  if ((thread_state.interpreters & kWatching) && number_watch.forward) {
    call_watched(call);
    return true;
  }
  return call_hooks.below_autograd && call_hooks.below_autograd(call, bits);
}

inline bool recorded(uint8_t bits) { return (bits & kNeedsGrad) && thread_state.grad_enabled && !thread_state.below_autograd; }
inline bool carries_tangents(uint8_t bits) {
  return (bits & kDual) && thread_state.forward_limit && !thread_state.below_autograd;
}

inline uint8_t special_bits(const Tensor& t) {
  const TensorImpl* impl = t.impl();
  uint8_t bits = impl->special;
  if (bits & kView) bits |= impl->view_base->special & (kNeedsGrad | kDual);
  return bits;
}

inline uint8_t special_bits(const Op& op, const Value* args) {
  uint8_t bits = 0;
  for (uint8_t i : op.schema.tensor_params) {
    const Value& v = args[i];
    if (v.tag() == Value::Tag::Tensor) {
      bits |= special_bits(v.tensor());
    } else if (v.tag() == Value::Tag::TensorList) {
      for (const Tensor& t : v.tensors())
        if (t.defined()) bits |= special_bits(t);
    }
  }
  return bits;
}

// Kernels trust that all pointers are of their device. `target`: the argument that is written to, or -1.
[[gnu::noinline]] void check_devices(const Op& op, const Value* args, int target, const Tensor* into, int count) {
  if (op.def.composite || op.def.devices == Devices::Any) return;
  const Tensor *on_cpu = nullptr, *elsewhere = nullptr, *guest_on_cpu = nullptr;
  const auto look = [&](const Tensor& t, bool guest) {
    if (!t.defined()) return;
    if (guest && t.device().is_cpu()) {
      guest_on_cpu = &t;
      return;
    }
    const Tensor*& seen = t.device().is_cpu() ? on_cpu : elsewhere;
    const Tensor* other = t.device().is_cpu() ? elsewhere : on_cpu;
    if (seen && seen->device() != t.device()) other = seen;
    check(!other, "Expected all tensors to be on the same device, but found at least two devices, ", other ? other->device().str() : "",
          " and ", t.device().str(), "!");
    seen = &t;
  };
  const bool numbers = op.def.run.run == run_pointwise;
  for (uint8_t i : op.schema.tensor_params) {
    const bool guest = i > 0 && op.def.devices == Devices::CpuGuests;
    if (args[i].tag() == Value::Tag::Tensor) {
      const Tensor& t = args[i].tensor();
      const bool number = int(i) != target && t.dim() == 0 && (numbers || op.schema.params[i].type.type == Type::Operand);
      look(t, guest || number);
    } else if (args[i].tag() == Value::Tag::TensorList) {
      for (const Tensor& t : args[i].tensors()) look(t, guest);
    }
  }
  for (int i = 0; i < count; i++) {
    const Tensor* other = into[i].device().is_cpu() ? elsewhere : on_cpu ? on_cpu : elsewhere ? nullptr : guest_on_cpu;
    check(!other, "Attempting to copy from device ", other ? other->device().str() : "", " to device ", into[i].device().str(),
          ", but cross-device copies are not allowed!");
  }
}

[[gnu::noinline]] void check_no_tangents(const Op& op, const Value* args, const Tensor* into, int count) {
  bool any = false;
  const auto look = [&](const Tensor& t) { any |= t.defined() && t.is_dual() && autograd_hooks.has_tangent(t); };
  for (uint8_t i : op.schema.tensor_params) {
    if (args[i].is_tensor()) look(args[i].tensor());
    if (args[i].tag() == Value::Tag::TensorList)
      for (const Tensor& t : args[i].tensors()) look(t);
  }
  for (int i = 0; i < count; i++) look(into[i]);
  if (any)
    fail(ErrorKind::NotImplemented, "Trying to use forward AD with ", op.schema.base_name, "_out that does not support it because it is an out= function");
}

// Runs with lazily conjugated or negated inputs replaced by plain ones.
void run_resolved(const Op& op, const Value* args, Out& out) {
  const size_t count = op.schema.params.size();
  Value resolved[kMaxParams];
  std::copy_n(args, count, resolved);
  Tensor plain[kMaxParams];
  std::vector<std::vector<Tensor>> lists;
  const auto lazy = [](const Tensor& t) { return t.defined() && (t.impl()->special & (kConj | kNeg)); };
  for (uint8_t i : op.schema.tensor_params) {
    if (int(i) == op.schema.mutated || (out.into && i == 0 && args[0].is_tensor() && out.into == &args[0].tensor())) continue;
    if (args[i].is_tensor() && lazy(args[i].tensor())) {
      plain[i] = resolved_copy(args[i].tensor());
      resolved[i] = Value(plain[i]);
    } else if (args[i].tag() == Value::Tag::TensorList) {
      const TensorList list = args[i].tensors();
      std::vector<Tensor>& copy = lists.emplace_back(list.begin(), list.end());
      for (Tensor& t : copy)
        if (lazy(t)) t = resolved_copy(t);
      resolved[i] = Value(TensorList(copy));
    }
  }
  op.def.run.run(op, resolved, out);
}

[[gnu::noinline]] void call_special(const Op& op, const Value* args, Out& out, uint8_t bits) {
  if (taken_above({op, args, out}, bits)) return;
  if ((bits & (kOffCpu | kDispatch)) == kOffCpu) check_devices(op, args, -1, nullptr, 0);
  if (!op.def.composite) {
    if (carries_tangents(bits)) return autograd_hooks.call_dual(op, args, out);
    if (recorded(bits)) return autograd_hooks.call(op, args, out);
  }
  if (!op.def.composite && taken_below({op, args, out}, bits)) return;
  if ((bits & (kConj | kNeg)) && !op.def.lazy_bits && !op.def.composite) return run_resolved(op, args, out);
  if ((thread_state.interpreters & kWatching) && !number_watch.outer) {
    const Restore<const Op*> outer(number_watch.outer, &op);
    return op.def.run.run(op, args, out);
  }
  op.def.run.run(op, args, out);
}

std::vector<const Op*>& registry() {
  static std::vector<const Op*> ops;
  return ops;
}

std::string camel_case(std::string_view name) {
  std::string text;
  bool upper = true;
  for (char c : name) {
    if (c == '_') {
      upper = true;
    } else {
      text += upper ? char(std::toupper(c)) : c;
      upper = false;
    }
  }
  return text;
}

}  // namespace

Op::Op(Row row) : def(row.def), schema(row.def.schema) {
  node_name = def.node ? def.node : camel_case(schema.base_name) + "Backward0";
  registry().push_back(this);
}

const std::vector<const Op*>& all_ops() { return registry(); }

void call(const Op& op, const Value* args, Out& out) {
  if (op.schema.mutated >= 0) return call_in_place(op, args, out);
  const uint8_t bits = special_bits(op, args) & ~kView;
  if (bits | thread_state.interpreters) [[unlikely]]
    call_special(op, args, out, bits);
  else
    op.def.run.run(op, args, out);
}

void run_below(const Op& op, const Value* args, Out& out) {
  BelowAutograd guard;
  const uint8_t bits = special_bits(op, args);
  if (taken_below({op, args, out}, bits)) return;
  if ((bits & (kConj | kNeg)) && !op.def.lazy_bits)
    run_resolved(op, args, out);
  else
    op.def.run.run(op, args, out);
}

namespace {

bool is_lazy(const Tensor& t) { return t.impl()->special & (kConj | kNeg); }

// Kernels write plain numbers. For a target that lies conjugated or negated in memory they write to a copy.
void run_in_place_on_copy(const Op& op, const Value* args, Out& out, int mutated) {
  const Tensor target = args[mutated].tensor(), plain = resolved_copy(target);
  Value on_plain[kMaxParams];
  std::copy_n(args, op.schema.params.size(), on_plain);
  on_plain[mutated] = Value(plain);
  run_in_place(op, on_plain, out);
  copy_into(target, plain);
  target.bump_version();
  out.tensors[0] = target;
}
void call_out_on_copies(const Op& op, const Value* args, Out& out, Tensor* into, int count) {
  std::vector<Tensor> plain(into, into + count);
  for (Tensor& t : plain)
    if (is_lazy(t)) t = resolved_copy(t);
  call_out(op, args, out, plain.data(), count);
  for (int i = 0; i < count; i++) {
    if (is_lazy(into[i])) {
      resize_raw(into[i], plain[size_t(i)].sizes());
      copy_into(into[i], plain[size_t(i)]);
      into[i].bump_version();
    }
    out[i] = into[i];
  }
}

}  // namespace

void run_in_place(const Op& op, const Value* args, Out& out) {
  const int mutated = op.schema.mutated >= 0 ? op.schema.mutated : 0;
  const Tensor& target = args[mutated].tensor();
  check(!(target.impl()->inference && !thread_state.inference && thread_state.grad_enabled && !thread_state.below_autograd),
        "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor "
        "before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.");
  const Tensor keep = target;
  if (op.schema.mutated < 0) out.into = const_cast<Tensor*>(&keep);
  const uint8_t bits = special_bits(op, args);
  if (!op.def.composite && taken_below({op, args, out, Form::InPlace}, bits)) {
    out.into = nullptr;
    return;
  }
  if (bits & kOffCpu) check_devices(op, args, mutated, nullptr, 0);
  if ((bits & (kConj | kNeg)) && !op.def.lazy_bits) {
    if (is_lazy(target)) {
      out.into = nullptr;
      return run_in_place_on_copy(op, args, out, mutated);
    }
    run_resolved(op, args, out);
  } else {
    op.def.run.run(op, args, out);
  }
  if (op.schema.mutated < 0 && !out.wrote_into) {
    check_cast_result(out[0], keep);
    check(same(out[0].sizes(), keep.sizes()), "output with shape ", shape_text(keep.sizes()),
          " doesn't match the broadcast shape ", shape_text(out[0].sizes()));
    copy_into(keep, out[0]);
  }
  out.into = nullptr;
  keep.bump_version();
  out.tensors[0] = keep;
  out.count = 1;
}

void call_in_place(const Op& op, const Value* args, Out& out) {
  const uint8_t bits = special_bits(op, args);
  if (taken_above({op, args, out, Form::InPlace}, bits)) return;
  const bool dual = carries_tangents(bits);
  if (!dual && !recorded(bits)) {
    run_in_place(op, args, out);
  } else if (!op.def.composite) {
    (dual ? autograd_hooks.in_place_dual : autograd_hooks.in_place)(op, args, out);
  } else if (op.schema.mutated >= 0) {
    op.def.run.run(op, args, out);
  } else {
    // A composite's parts are recorded, and so is the write of its result. The parts see a copy, since what they save
    // must outlive the write.
    const Tensor target = args[0].tensor(), copy = clone(target);
    Value on_copy[kMaxParams];
    std::copy_n(args, op.schema.params.size(), on_copy);
    on_copy[0] = Value(copy);
    op.def.run.run(op, on_copy, out);
    check_cast_result(out[0], target);
    check(same(out[0].sizes(), target.sizes()), "output with shape ", shape_text(target.sizes()),
          " doesn't match the broadcast shape ", shape_text(out[0].sizes()));
    copy_(target, out[0]);
    out.tensors[0] = target;
    out.count = 1;
  }
}

void call_out(const Op& op, const Value* args, Out& out, Tensor* into, int count) {
  uint8_t all_bits = special_bits(op, args);
  for (int i = 0; i < count; i++) all_bits |= special_bits(into[i]);
  if (taken_above({op, args, out, Form::Into, into, count}, all_bits)) return;
  if ((all_bits & (kOffCpu | kDispatch)) == kOffCpu) check_devices(op, args, -1, into, count);
  if (thread_state.grad_enabled && !thread_state.below_autograd && (op.def.vjp || op.def.composite)) {
    check(!(all_bits & kNeedsGrad), op.schema.base_name,
          "(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
  }
  if (carries_tangents(all_bits)) check_no_tangents(op, args, into, count);
  BelowAutograd guard;
  if (!op.def.composite && taken_below({op, args, out, Form::Into, into, count}, all_bits)) return;
  if ((all_bits & (kConj | kNeg)) && !op.def.lazy_bits && std::any_of(into, into + count, is_lazy)) [[unlikely]]
    return call_out_on_copies(op, args, out, into, count);
  out.into = into;
  const uint8_t bits = special_bits(op, args);
  if ((bits & (kConj | kNeg)) && !op.def.lazy_bits && !op.def.composite)
    run_resolved(op, args, out);
  else
    op.def.run.run(op, args, out);
  if (!out.wrote_into) {
    check(out.count == count, op.schema.base_name, "(): expected ", out.count, " out= tensors but got ", count);
    for (int i = 0; i < count; i++) {
      check_cast_result(out[i], into[i]);
      resize_output(into[i], out[i].sizes());
      copy_into(into[i], out[i]);
    }
  }
  out.into = nullptr;
  for (int i = 0; i < count; i++) {
    into[i].bump_version();
    out[i] = into[i];
  }
  out.count = count;
}

}  // namespace tabula
