// The batch rules that many rows share.
#include <unordered_map>

#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula::batch {
namespace {

bool is_mask(const Op& op, int i) {
  if (op.def.run.run == run_pointwise) {
    const auto& params = op.schema.tensor_params;
    const auto at = std::find(params.begin(), params.end(), uint8_t(i)) - params.begin();
    return kernels::kPointwise[op.def.kernel].masks >> at & 1;
  }
  const std::string_view name = op.schema.params[size_t(i)].name;
  return name == "mask" || name == "condition";
}

// Among tensors with dimensions those without yield in the choice of a dtype. Behind a batch none is without, so the
// dtype is settled before.
void settle_dtype(Batched& b) {
  ResultType type;
  DType first = DType::Count;
  bool differ = false, scalar = false;
  for (uint8_t i : b.op.schema.tensor_params) {
    if (is_mask(b.op, i) || b.args[i].is_none()) continue;
    if (!b.is_tensor(i)) {
      if (b.args[i].is_scalar()) type.add(b.args[i].scalar());
      continue;
    }
    const Tensor& t = b.in(i);
    if (first == DType::Count) first = t.dtype();
    differ |= t.dtype() != first || t.impl()->wrapped_number;
    scalar |= b.rank(i) == 0;
    if (b.batched(i))
      type.add(t.dtype(), b.rank(i) == 0);
    else
      type.add(t);
  }
  if (!differ && !(scalar && first != DType::Count)) return;
  const DType common = type.get();
  for (uint8_t i : b.op.schema.tensor_params) {
    if (!b.is_tensor(i) || is_mask(b.op, i) || int(i) == b.target() || b.in(i).dtype() == common) continue;
    b.set(i, to_dtype(b.in(i), common));
  }
}

bool names_dims(std::string_view name) {
  for (std::string_view one : {"dim", "dims", "dim0", "dim1", "dim2", "axis0", "axis1", "dimension"})
    if (name == one) return true;
  return false;
}

int64_t elements(IntList sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

Tensor flattened(Batched& b, int i) {
  const Dims sizes{b.size, elements(b.sizes(i))};
  return reshape(b.in(i), IntList(sizes));
}

void spread_tensors(Batched& b) {
  for (uint8_t i : b.op.schema.tensor_params)
    if (b.is_tensor(i)) b.spread_in(i);
}

void prepend_size(Batched& b) {
  for (size_t i = 0; i < b.op.schema.params.size(); i++) {
    const Param& p = b.op.schema.params[i];
    if (!p.type.list || (p.name != "size" && p.name != "sizes" && p.name != "input_sizes" && p.name != "input_size")) continue;
    Dims sizes(b.args[i].ints());
    sizes.insert(0, b.size);
    b.set(int(i), IntList(sizes));
  }
}

constexpr const char* kErrorMode =
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap or perform the "
    "randomness operation out of vmap";
constexpr const char* kSameBatched = "Vmap does not currently support same randomness with a batched tensor input. Please file an issue with functorch";

}  // namespace

void same(Batched& b) {
  spread_tensors(b);
  b.run();
}

void aligned(Batched& b) {
  int64_t rank = 0;
  for (uint8_t i : b.op.schema.tensor_params)
    if (b.is_tensor(i)) rank = std::max(rank, b.rank(i));
  settle_dtype(b);
  for (uint8_t i : b.op.schema.tensor_params)
    if (b.is_tensor(i) && b.batched(i) && int(i) != b.target()) b.set(i, b.padded(i, rank));
  b.run();
}

void dims(Batched& b) {
  spread_tensors(b);
  const int first = b.op.schema.tensor_params[0], sizes = b.find("input_sizes");
  // where the input's sizes are given, dimensions number those
  const bool gathers = b.op.schema.base_name == "gather";  // its result has the index's shape
  const bool lifted = sizes < 0 && b.rank(gathers ? 2 : first) == 0;
  for (uint8_t i : b.op.schema.tensor_params)
    if (sizes < 0 && b.is_tensor(i) && b.rank(i) == 0) b.set(i, tabula::unsqueeze(b.in(i), int64_t(1)));
  const int64_t rank = sizes < 0 ? b.rank(first) : int64_t(b.args[sizes].ints().size());
  const bool scalar = sizes >= 0 && rank == 0;  // of a tensor without dimensions: its elements are a row
  if (sizes >= 0) prepend_size(b);
  if (scalar) {
    b.set(sizes, IntList(Dims{b.size, 1}));
    b.set(first, tabula::unsqueeze(b.in(first), int64_t(1)));
  }
  bool joined = false;
  const bool reduces = b.find("keepdim") >= 0 || b.op.schema.base_name == "count_nonzero";  // no dimensions stand for all
  for (size_t i = 0; i < b.op.schema.params.size(); i++) {
    const Param& p = b.op.schema.params[i];
    if (!names_dims(p.name)) continue;
    const Value& v = b.args[i];
    if (p.type.list) {
      Dims moved;
      if (v.is_none() || (v.ints().empty() && reduces))
        for (int64_t d = 0; d < rank; d++) moved.push_back(d + 1);
      else
        for (int64_t d : v.ints()) moved.push_back(wrap_dim(d, rank) + 1);
      b.set(int(i), IntList(moved));
    } else if (v.is_none()) {
      b.set(first, flattened(b, first));
      b.set(int(i), Value(int64_t(1)));
      joined = true;
    } else {
      b.set(int(i), Value(wrap_dim(v.integer(), rank) + 1));
    }
  }
  b.run();
  if (b.form == Form::InPlace) return;
  for (int k = 0; k < b.out.count; k++) {
    Tensor& result = b.out[k];
    if (!result.defined()) continue;
    if ((lifted || scalar) && result.dim() > 1 && result.sizes()[1] == 1) {
      result = squeeze_dims(result, IntList(Dims{1}));
    } else if (joined && !lifted && result.dim() > 1) {  // keepdim
      Dims ones(rank + 1, 1);
      ones[0] = b.size;
      result = reshape(result, IntList(ones));
    }
  }
}

void strict_dims(Batched& b) {
  const int first = b.op.schema.tensor_params[0];
  if (b.batched(first) && b.rank(first) == 0) b.try_example();
  dims(b);
}

void strict(Batched& b) {
  const int first = b.op.schema.tensor_params[0];
  if (b.batched(first) && b.rank(first) < 2) b.try_example();
  same(b);
}

void strict_bytes(Batched& b) {
  if (b.rank(0) == 0) b.try_example();
  b.run();
}

void extremum(Batched& b) {
  if (elements(b.sizes(0)) == 0) b.try_example();
  const Dims one{1};
  b.give(0, (b.op.schema.base_name == "max" ? amax : amin)(flattened(b, 0), IntList(one)));
}

// About the dtype and the like, which all examples share.
void question(Batched& b) { b.run(); }

void loss(Batched& b) {
  const int how = b.find("reduction");
  const int64_t reduction = b.args[how].integer();
  b.set(how, Value(int64_t(0)));
  b.spread_in(0);
  b.spread_in(1);
  aligned(b);
  const Tensor each = b.out[0];
  if (reduction == 0 || each.dim() == 1) return;
  const Dims rows{b.size, -1}, one{1};
  const Tensor flat = b.size ? reshape(each, IntList(rows)) : flatten(each, int64_t(1), int64_t(-1));
  b.give(0, reduction == 1 ? mean_dim(flat, IntList(one)) : sum_dim(flat, IntList(one)));
}

namespace {
// The overload with `dim`, preferably a list, of a reduction of everything.
const Op& by_dim_of(const Op& op) {
  static thread_local std::unordered_map<const Op*, const Op*> known;
  const Op*& found = known[&op];
  if (found) return *found;
  for (const Op* other : all_ops()) {
    if (other->schema.base_name != op.schema.base_name || other->schema.params[0].type.type != Type::Tensor) continue;
    for (const Param& p : other->schema.params)
      if (p.name == "dim" && (!found || p.type.list)) found = other;
  }
  return *found;
}
}  // namespace

void whole(Batched& b) {
  const Op* by_dim = &by_dim_of(b.op);
  Value values[kMaxParams];
  for (size_t k = 0; k < by_dim->schema.params.size(); k++) {
    const int own = b.find(by_dim->schema.params[k].name);
    values[k] = own >= 0 ? b.args[own] : by_dim->schema.params[k].default_value;
  }
  const Tensor flat = flattened(b, 0);
  const Dims one{1};
  values[0] = Value(flat);
  for (size_t k = 0; k < by_dim->schema.params.size(); k++)
    if (by_dim->schema.params[k].name == "dim") values[k] = by_dim->schema.params[k].type.list ? Value(IntList(one)) : Value(int64_t(1));
  Out result;
  tabula::call(*by_dim, values, result);
  b.give(0, result[0]);
}

void sized(Batched& b) {
  spread_tensors(b);
  prepend_size(b);
  b.run();
}

// ---- rows with a batch dimension of their own ----

namespace {
void joined_first(Batched& b) {
  spread_tensors(b);
  int64_t own = -1;
  for (uint8_t i : b.op.schema.tensor_params) {
    if (!b.is_tensor(i)) continue;
    own = b.in(i).sizes()[1];
    Dims sizes(b.in(i).sizes());
    sizes.erase(0);
    sizes[0] = b.size * own;
    b.set(i, reshape(b.in(i), IntList(sizes)));
  }
  for (size_t i = 0; i < b.op.schema.params.size(); i++) {
    const std::string_view name = b.op.schema.params[i].name;
    if (name != "input_sizes" && name != "input_size") continue;
    Dims sizes(b.args[i].ints());
    sizes[0] *= b.size;
    b.set(int(i), IntList(sizes));
  }
  b.run();
  for (int k = 0; k < b.out.count; k++) {
    Dims sizes(b.out[k].sizes());
    sizes[0] = own;
    sizes.insert(0, b.size);
    b.out[k] = reshape(b.out[k], IntList(sizes));
  }
}
}  // namespace

template <int spatial>
void fold(Batched& b) {
  if (b.rank(b.op.schema.tensor_params[0]) == spatial + 1)
    sized(b);
  else
    joined_first(b);
}
template void fold<1>(Batched&);
template void fold<2>(Batched&);
template void fold<3>(Batched&);

void fold_all(Batched& b) { joined_first(b); }

// ---- random ----

void draw_sized(Batched& b) {
  check(b.randomness != Randomness::Error, kErrorMode);
  const int size = b.find("size");
  if (b.randomness == Randomness::Same) {
    b.run();
    b.give(0, b.out[0], false);
    return;
  }
  if (size < 0) return b.run_each();
  prepend_size(b);
  b.run();
}

void draw_like(Batched& b) {
  check(b.randomness != Randomness::Error, kErrorMode);
  if (b.randomness == Randomness::Different) return same(b);
  if (b.batched(0)) b.set(0, zeros_raw(b.sizes(0), b.in(0).dtype(), b.in(0).device()), false);
  b.run();
  for (int k = 0; k < b.out.count; k++) b.give(k, b.out[k], false);
}

void draw_given(Batched& b) {
  check(b.randomness != Randomness::Error, kErrorMode);
  if (b.randomness == Randomness::Different) {
    spread_tensors(b);
    return aligned(b);
  }
  check(!b.any_batched(), kSameBatched);
  b.run();
  for (int k = 0; k < b.out.count; k++) b.give(k, b.out[k], false);
}

void draw_in_place(Batched& b) {
  check(b.randomness != Randomness::Error, kErrorMode);
  const bool given = b.op.schema.tensor_params.size() > 1 && b.is_tensor(1);
  if (b.randomness == Randomness::Same) {
    check(!given || !b.batched(1), kSameBatched);
    if (!b.batched(0)) return b.run();
    const Tensor target = b.in(0), one = zeros_raw(b.sizes(0), target.dtype(), target.device());
    b.set(0, one, false);
    b.run();
    copy_(target, one);
    return;
  }
  check(b.batched(0), "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness. If this is necessary for "
        "your usage, please file an issue with functorch.");
  if (given) b.set(1, b.padded(1, b.rank(0)), true);
  b.run();
}

// ---- refused ----

void dynamic_shape(Batched& b) {
  fail(ErrorKind::Runtime, "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over aten::", b.op.schema.base_name,
       ". Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature.");
}

void refused(Batched& b) {
  fail(ErrorKind::Runtime, "Batching rule not implemented for aten::", b.op.schema.base_name, ". We could not generate a fallback.");
}

void all_close(Batched&) {
  fail(ErrorKind::Runtime, "vmap over torch.allclose isn't supported yet. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature.");
}

void no_branch(Batched&) { fail_branch(); }

void each(Batched& b) { b.run_each(); }

}  // namespace tabula::batch

namespace tabula {

void fail_branch() {
  fail(ErrorKind::Runtime, "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that yet, please file an "
       "issue at https://github.com/pytorch/pytorch/issues .");
}

}  // namespace tabula
