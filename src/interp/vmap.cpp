#include "interp/vmap.h"

#include <algorithm>

#include "autograd/tangent.h"
#include "core/state.h"
#include "interp/interp.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace tabula::vmap {
namespace {

struct Level {
  int64_t number, size;
  Randomness randomness;
};

thread_local std::vector<Level> levels;
thread_local size_t active = 0;  // those behind are off, since a rule of the next one is running
thread_local int64_t last_number = 0;
thread_local int64_t served = 0;  // the level whose rule is running

void set_active(size_t count) {
  active = count;
  if (count)
    thread_state.interpreters |= kVmapping;
  else
    thread_state.interpreters &= uint8_t(~kVmapping);
}

// Switches a level and those within it off while its rule runs.
class Outside {
 public:
  explicit Outside(size_t depth) : active_(active), served_(served) {
    served = levels[depth].number;
    set_active(std::min(active, depth));  // a rule of an outer level may meet tangents that an inner one has batched
  }
  ~Outside() {
    served = served_;
    set_active(active_);
  }
  Outside(const Outside&) = delete;

 private:
  size_t active_;
  int64_t served_;
};

Tensor moved(const Tensor& t, int64_t from, int64_t to) {
  if (from == to) return t;
  Dims order;
  for (int64_t d = 0; d < t.dim(); d++)
    if (d != from) order.push_back(d);
  order.insert(to, from);
  return permute(t, IntList(order));
}

// What the wrapper says about the tensor behind it.
void describe(TensorImpl& impl, const BatchParts& parts) {
  const TensorImpl& inner = *parts.inner.impl();
  Dims sizes(inner.sizes), strides(inner.strides);
  sizes.erase(parts.dim);
  strides.erase(parts.dim);
  impl.set_geometry(std::move(sizes), std::move(strides), inner.offset);
  constexpr uint8_t shown = kConj | kNeg | kOffCpu;
  impl.special = uint8_t((inner.special & shown) | kParts | (parts.inner.needs_grad() ? kNeedsGrad : 0));
}

int64_t level_of(const Tensor& t) {
  const BatchParts* parts = t.defined() ? parts_of(t) : nullptr;
  return parts ? parts->level : 0;
}
int64_t highest_level(const Call& call) {
  int64_t highest = 0;
  for (uint8_t i : call.op.schema.tensor_params) {
    const Value& v = call.args[i];
    if (v.is_tensor()) {
      highest = std::max(highest, level_of(v.tensor()));
    } else if (v.tag() == Value::Tag::TensorList) {
      for (const Tensor& t : v.tensors()) highest = std::max(highest, level_of(t));
    }
  }
  for (int k = 0; k < call.count; k++) highest = std::max(highest, level_of(call.into[k]));
  return highest;
}

void run_rule(const Call& call, size_t depth) {
  const Level level = levels[depth];
  const bool in_place = call.form == Form::InPlace || call.op.schema.mutated >= 0;
  const Tensor target = in_place ? call.args[std::max(call.op.schema.mutated, 0)].tensor() : Tensor();
  Out inner;
  uint32_t shared = 0;
  {
    const Outside outside(depth);
    Batched b({call.op, call.args, inner, call.form}, level.size, level.randomness);
    batch_rule(call.op)(b);
    if (BatchParts* parts = in_place ? parts_of(target) : nullptr; parts && b.written.defined()) {
      parts->inner = b.written;  // what is written to may have changed its shape
      parts->dim = 0;
    }
    for (int k = 0; k < inner.count && k < 32; k++) shared |= uint32_t(!b.result_batched(k)) << k;
  }
  if (in_place) {
    if (const BatchParts* parts = parts_of(target)) describe(*target.impl(), *parts);
    call.out.tensors[0] = target;
    call.out.count = 1;
    return;
  }
  call.out.resize(inner.count);
  call.out.is_list = inner.is_list;
  call.out.plain = inner.plain;
  for (int k = 0; k < inner.count; k++)
    call.out[k] = !inner[k].defined() || (k < 32 && (shared >> k & 1)) ? inner[k] : wrap(inner[k], 0, level.number);
}

// A composite in place: its result, written to the target.
void run_composite_in_place(const Call& call) {
  Out result;
  tabula::call(call.op, call.args, result);
  const Tensor target = call.args[0].tensor();
  copy_(target, result[0]);
  call.out.tensors[0] = target;
  call.out.count = 1;
}

bool above_autograd(const Call& call, uint8_t) {
  const int64_t highest = highest_level(call);
  if (highest == 0) {
    if (active == 0 || call.op.def.composite || !is_random(call.op)) return false;
    run_rule(call, active - 1);
    return true;
  }
  const int64_t depth = position(highest);
  check(depth > 0, "vmap: a tensor of one example was used after the vmap that it belongs to had ended");
  check(call.form != Form::Into, "Batching rule not implemented for aten::", call.op.schema.base_name,
        ".out; the fallback path doesn't work on out= or view ops.");
  if (call.op.def.composite && !call.op.def.batch) {
    if (call.form == Form::Plain || call.op.schema.mutated >= 0) return false;
    run_composite_in_place(call);
    return true;
  }
  run_rule(call, size_t(depth - 1));
  return true;
}

// ---- gradients ----

bool differs_at(const Tensor& t, int64_t level) {
  for (const BatchParts* parts = parts_of(t); parts; parts = parts_of(parts->inner))
    if (parts->level == level) return true;
  return false;
}

// The forward-mode levels at which the examples share `t`, but not its tangent.
std::vector<autograd::Level> own_tangents(const Tensor& t, int64_t level) {
  std::vector<autograd::Level> duals;
  if (!t.is_dual()) return duals;
  autograd::add_levels(t, duals);
  const auto differs = [&](autograd::Level dual) { return differs_at(autograd::tangent(t, dual), level); };
  return std::any_of(duals.begin(), duals.end(), differs) ? duals : std::vector<autograd::Level>();
}

// Makes the batch of `level` an ordinary dimension of `t`, at `dim`.
Tensor expose(const Tensor& t, int64_t level, int64_t size, int64_t dim) {
  const BatchParts* parts = parts_of(t);
  if (parts && parts->level == level) return moved(parts->inner, parts->dim, dim);
  if (parts && parts->level > level) return wrap(expose(moved(parts->inner, parts->dim, 0), level, size, dim + 1), 0, parts->level);
  Dims sizes(t.sizes());
  sizes.insert(dim, size);
  const std::vector<autograd::Level> duals = own_tangents(t, level);
  if (duals.empty()) return expand(unsqueeze(t, dim), IntList(sizes));
  Tensor result;
  {
    Restore limit(thread_state.forward_limit, uint64_t(0));
    result = expand(unsqueeze(t, dim), IntList(sizes));
  }
  for (const autograd::Level dual : duals) autograd::set_tangent(result, expose(autograd::tangent(t, dual), level, size, dim), dual);
  return result;
}
Tensor behind(const Tensor& t) {
  const BatchParts* parts = parts_of(t);
  if (!parts && !own_tangents(t, served).empty()) return expose(t, served, facts(served).first, 0);
  if (!parts || parts->level != served) return Tensor();
  return moved(parts->inner, parts->dim, 0);
}

// The reverse.
Tensor conceal(const Tensor& t, int64_t level, int64_t dim) {
  const BatchParts* parts = parts_of(t);
  if (parts && parts->level > level) return wrap(conceal(moved(parts->inner, parts->dim, 0), level, dim + 1), 0, parts->level);
  return wrap(t, dim, level);
}

const bool installed = [] {
  batch_behind = behind;
  interp::install(interp::Place::Batch, above_autograd);
  return true;
}();

}  // namespace

const char* BatchParts::no_item() const {
  return "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, please try to rewrite what "
         "you're doing with other operations. If error is occurring somewhere inside PyTorch internals, please file a bug report.";
}

BatchParts* parts_of(const Tensor& t) {
  return t.impl()->special & kParts ? dynamic_cast<BatchParts*>(t.impl()->parts.get()) : nullptr;
}

int64_t enter(int64_t size, Randomness randomness) {
  levels.insert(levels.begin() + int64_t(active), {++last_number, size, randomness});
  set_active(active + 1);
  return last_number;
}
void leave() {
  levels.erase(levels.begin() + int64_t(active) - 1);
  set_active(active - 1);
}
int64_t depth() { return int64_t(active); }
std::pair<int64_t, Randomness> facts(int64_t level) {
  const int64_t at = position(level);
  check(at > 0, "vmap: this level is over");
  return {levels[size_t(at - 1)].size, levels[size_t(at - 1)].randomness};
}
int64_t position(int64_t level) {
  for (size_t i = 0; i < levels.size(); i++)
    if (levels[i].number == level) return int64_t(i) + 1;
  return 0;
}

Tensor wrap(const Tensor& inner, int64_t dim, int64_t level) {
  Ref<TensorImpl> impl = TensorImpl::make(Storage::make(0, inner.device()), inner.dtype());
  impl->device = inner.device();
  auto parts = std::make_unique<BatchParts>(inner, wrap_dim(dim, inner.dim(), false), level);
  describe(*impl, *parts);
  impl->parts = std::move(parts);
  return Tensor(std::move(impl));
}

Tensor unwrap(const Tensor& t, int64_t dim, int64_t level, int64_t size) {
  dim = wrap_dim(dim, t.dim() + 1, false);
  return expose(t, level, size, dim);
}

namespace {
Tensor spread_over(const Tensor& t, const Level& level) {
  if (differs_at(t, level.number)) return t;
  return conceal(expose(t, level.number, level.size, 0), level.number, 0);
}
}  // namespace

Tensor spread(const Tensor& t) {
  Tensor result = t;
  for (size_t i = 0; i < active; i++) result = spread_over(result, levels[i]);
  return result;
}
Tensor spread_like(const Tensor& t, const Tensor& other) {
  Tensor result = t;
  for (const BatchParts* parts = parts_of(other); parts; parts = parts_of(parts->inner))
    result = spread_over(result, {parts->level, parts->inner.sizes()[size_t(parts->dim)], Randomness::Error});
  return result;
}

Tensor behind_all(const Tensor& gradient, const Tensor& shown) {
  Tensor result = gradient;
  const Tensor* at = &shown;
  while (const BatchParts* parts = parts_of(*at)) {
    result = expose(result, parts->level, parts->inner.sizes()[size_t(parts->dim)], parts->dim);
    at = &parts->inner;
  }
  return result;
}

Tensor shown_as(const Tensor& gradient, const Tensor& shown) {
  const BatchParts* parts = parts_of(shown);
  return parts ? conceal(shown_as(gradient, parts->inner), parts->level, parts->dim) : gradient;
}

}  // namespace tabula::vmap
