#include "autograd/forward.h"

#include <algorithm>

#include "autograd/engine.h"
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/pointwise.h"
#include "ops/view.h"

namespace tabula::autograd {

namespace {

// Calls f(parameter, index in its list, tensor) for each tensor among the arguments.
template <class F>
void each_tensor(const Op& op, const Value* args, F&& f) {
  for (uint8_t p : op.schema.tensor_params) {
    if (args[p].is_tensor()) {
      f(int(p), 0, args[p].tensor());
    } else if (args[p].tag() == Value::Tag::TensorList) {
      int k = 0;
      for (const Tensor& t : args[p].tensors()) f(int(p), k++, t);
    }
  }
}

bool is_list(const Value& v) { return v.tag() == Value::Tag::TensorList; }

bool differentiable_result(const Op& op, Out& out, int i) {
  return out[i].defined() && is_differentiable(out[i].dtype()) && !(i < 8 && (op.def.nondiff >> i & 1));
}

// The adjoint of what the engine does to a gradient that arrives broadcast or in another dtype.
Tensor fitted_to(const Tensor& result, Tensor tangent) {
  if (is_complex(tangent.dtype()) && !is_complex(result.dtype())) tangent = real_part(tangent);
  if (tangent.dtype() != result.dtype()) tangent = to_dtype(tangent, result.dtype());
  return same(tangent.sizes(), result.sizes()) ? tangent : expand(tangent, result.sizes());
}

}  // namespace

// A call's arguments as a level sees them: primals that carry lower levels' tangents alone, and the tangents.
class ArgumentsAtLevel {
 public:
  struct Entry {
    int param, index;
    Tensor primal, tangent;
  };

  ArgumentsAtLevel(const Op& op, const Value* args, Level level, int written) : level(level) {
    size_t count = 0;
    bool history = false;
    each_tensor(op, args, [&](int, int, const Tensor& t) {
      count++;
      if (!t.defined()) return;
      const Tensor along = t.is_dual() ? autograd::tangent(t, level) : Tensor();
      history |= t.needs_grad() || (along.defined() && along.needs_grad());
    });
    linked = history && thread_state.grad_enabled;
    entries.reserve(count);
    const Tensor* target = written >= 0 ? &args[written].tensor() : nullptr;
    each_tensor(op, args, [&](int param, int index, const Tensor& t) {
      Entry& entry = entries.emplace_back(Entry{param, index, {}, {}});
      if (!t.defined()) return;
      entry.tangent = t.is_dual() ? autograd::tangent(t, level) : Tensor();
      entry.primal = primal(t, level, linked);
      if (!target || !t.is(*target)) return;
      // the call writes to both
      Restore recording(thread_state.grad_enabled, linked);
      if (op.def.save & in(param)) entry.primal = clone(entry.primal);
      if (linked && entry.tangent.defined()) entry.tangent = clone(entry.tangent);
    });
    const size_t params = op.schema.params.size();
    std::copy_n(args, params, values);
    for (uint8_t p : op.schema.tensor_params) {
      if (is_list(args[p])) {
        std::vector<Tensor>& list = lists.emplace_back(std::make_unique<std::vector<Tensor>>()).operator*();
        for (const Entry& entry : entries)
          if (entry.param == p) list.push_back(entry.primal);
        values[p] = Value(TensorList(list));
      } else if (args[p].is_tensor()) {
        values[p] = Value(at(p, 0)->primal);
      }
    }
  }

  const Entry* at(int param, int index) const {
    for (const Entry& entry : entries)
      if (entry.param == param && entry.index == index) return &entry;
    return nullptr;
  }

  const Level level;
  bool linked;
  std::vector<Entry> entries;
  std::vector<std::unique_ptr<std::vector<Tensor>>> lists;
  Value values[kMaxParams];
};

namespace {

// A row's derivative formula, read over the arguments of the call itself.
class FormulaAtLevel final : public Backward {
 public:
  FormulaAtLevel(const Op& op, const ArgumentsAtLevel& args, std::vector<Tensor> grads, std::vector<Tensor> outputs)
      : op_(op), args_(args), grads_(std::move(grads)), outputs_(std::move(outputs)), gradients_(args.entries.size()) {}

  const Tensor& g(int i) override {
    Tensor& grad = grads_[size_t(i)];
    if (!grad.defined()) grad = zeros_like_raw(outputs_[size_t(i)]);
    return grad;
  }
  bool has_g(int i) override { return grads_[size_t(i)].defined(); }
  const Tensor& in(int i) override { return in(i, 0); }
  const Tensor& in(int i, int k) override {
    static const Tensor undefined;
    const auto* entry = args_.at(i, k);
    return entry ? entry->primal : undefined;
  }
  const Tensor& out(int i) override { return outputs_[size_t(i)]; }
  IntList sizes(int i) override { return in(i, 0).sizes(); }
  DType dtype(int i) override { return in(i, 0).dtype(); }
  IntList list_sizes(int i, int k) override { return in(i, k).sizes(); }
  const Value& arg(int i) override {
    static const Value none;
    const Value& v = args_.values[i];
    return v.is_tensor() || is_list(v) ? none : v;
  }
  bool needs(int i) override {
    return std::any_of(args_.entries.begin(), args_.entries.end(),
                       [&](const auto& entry) { return entry.param == i && wanted(entry); });
  }
  bool needs(int i, int k) override {
    const auto* entry = args_.at(i, k);
    return entry && wanted(*entry);
  }
  int list_size(int i) override {
    return int(std::count_if(args_.entries.begin(), args_.entries.end(), [&](const auto& entry) { return entry.param == i; }));
  }
  void set(int i, Tensor gradient) override { set(i, 0, std::move(gradient)); }
  void set(int i, int k, Tensor gradient) override {
    for (size_t e = 0; e < args_.entries.size(); e++)
      if (args_.entries[e].param == i && args_.entries[e].index == k) gradients_[e] = std::move(gradient);
  }

  void want_only(const ArgumentsAtLevel::Entry* entry) { only_ = entry; }
  void set_g(Tensor grad) { grads_[0] = std::move(grad); }
  std::vector<Tensor>& gradients() { return gradients_; }

 private:
  bool wanted(const ArgumentsAtLevel::Entry& entry) const { return only_ ? &entry == only_ : entry.tangent.defined(); }

  const Op& op_;
  const ArgumentsAtLevel& args_;
  std::vector<Tensor> grads_, outputs_, gradients_;
  const ArgumentsAtLevel::Entry* only_ = nullptr;
};

// The arguments of the call for a row's formula for tangents.
class TangentsAtLevel final : public Forward {
 public:
  TangentsAtLevel(const ArgumentsAtLevel& args, const std::vector<Tensor>& outputs, std::vector<Tensor>& tangents)
      : args_(args), outputs_(outputs), tangents_(tangents) {}
  const Tensor& in(int i) override { return args_.at(i, 0)->primal; }
  const Tensor& tangent(int i) override { return args_.at(i, 0)->tangent; }
  const Tensor& out(int i) override { return outputs_[size_t(i)]; }
  const Value& arg(int i) override { return args_.values[i]; }
  void set(int i, Tensor tangent) override { tangents_[size_t(i)] = std::move(tangent); }

 private:
  const ArgumentsAtLevel& args_;
  const std::vector<Tensor>& outputs_;
  std::vector<Tensor>& tangents_;
};

// Element by element and real, the Jacobian is diagonal, so that it is its own transpose: the formula for gradients
// maps tangents. False where the formula's results are not of the result's shape.
bool push_diagonal(const Op& op, const ArgumentsAtLevel& args, const Tensor& output, std::vector<Tensor>& tangents) {
  if (op.def.run.run != run_pointwise || !is_floating(output.dtype())) return false;
  for (const auto& entry : args.entries)
    if (entry.tangent.defined() && (is_complex(entry.primal.dtype()) || is_complex(entry.tangent.dtype()))) return false;
  FormulaAtLevel formula(op, args, {Tensor()}, {output});
  Tensor total;
  for (size_t e = 0; e < args.entries.size(); e++) {
    const auto& entry = args.entries[e];
    if (!entry.tangent.defined()) continue;
    formula.want_only(&entry);
    formula.set_g(fitted_to(output, entry.tangent));
    op.def.vjp(formula);
    Tensor part = std::move(formula.gradients()[e]);
    if (!part.defined()) continue;
    if (!same(part.sizes(), output.sizes())) return false;
    total = total.defined() ? add(total, part) : part;
  }
  tangents[0] = total;
  return true;
}

// A tangent as an argument in the place of its primal.
Tensor in_place_of(const ArgumentsAtLevel::Entry& entry) {
  if (!entry.tangent.defined()) return zeros_like_raw(entry.primal);
  return entry.tangent.dtype() == entry.primal.dtype() ? entry.tangent : to_dtype(entry.tangent, entry.primal.dtype());
}

void call_for_tangents(const Op& op, const Value* values, std::vector<Tensor>& tangents) {
  Out moved;
  call(op, values, moved);
  for (size_t i = 0; i < tangents.size(); i++) tangents[i] = tangents[i].defined() ? add(tangents[i], moved[int(i)]) : moved[int(i)];
}

// Linear in all arguments together: the operation itself maps the tangents. Integers are indices, unless they stand in a
// list among numbers.
void push_jointly(const Op& op, const ArgumentsAtLevel& args, std::vector<Tensor>& tangents) {
  Value values[kMaxParams];
  std::copy_n(args.values, op.schema.params.size(), values);
  std::vector<Tensor> singles, list;
  singles.reserve(args.entries.size());
  for (uint8_t p : op.schema.tensor_params) {
    if (is_list(values[p])) {
      const auto number = [](const Tensor& t) { return t.defined() && is_differentiable(t.dtype()); };
      const TensorList given = values[p].tensors();
      if (std::none_of(given.begin(), given.end(), number)) continue;
      for (const auto& entry : args.entries)
        if (entry.param == p) list.push_back(in_place_of(entry));
      values[p] = Value(TensorList(list));
    } else if (values[p].is_tensor() && is_differentiable(values[p].tensor().dtype())) {
      values[p] = Value(singles.emplace_back(in_place_of(*args.at(p, 0))));
    }
  }
  call_for_tangents(op, values, tangents);
}

// Linear in each argument. False where an optional one has a tangent.
bool push_one_by_one(const Op& op, const ArgumentsAtLevel& args, std::vector<Tensor>& tangents) {
  const auto optional = [&](int param) { return op.schema.params[size_t(param)].type.optional; };
  for (const auto& entry : args.entries)
    if (entry.tangent.defined() && optional(entry.param)) return false;
  for (const auto& entry : args.entries) {
    if (!entry.tangent.defined()) continue;
    Value values[kMaxParams];
    std::copy_n(args.values, op.schema.params.size(), values);
    for (uint8_t p : op.schema.tensor_params)
      if (optional(p)) values[p] = Value();
    const Tensor along = in_place_of(entry);
    values[entry.param] = Value(along);
    call_for_tangents(op, values, tangents);
  }
  return true;
}

// The formula for gradients, u -> J^T u, is linear in u, and the gradient of <J^T u, t> by u is J t. Gradients are
// adjoints with respect to the real inner product, so that complex numbers need nothing else.
void push_by_transposition(const Op& op, const ArgumentsAtLevel& args, const std::vector<Tensor>& outputs, const std::vector<bool>& differentiable,
                           std::vector<Tensor>& tangents) {
  const uint64_t begun = next_sequence();
  std::vector<Tensor> weights(outputs.size()), wanted, pulled, directions;
  {
    Restore recording(thread_state.grad_enabled, true);
    Restore inference(thread_state.inference, false);
    for (size_t i = 0; i < outputs.size(); i++) {
      if (!differentiable[i]) continue;
      weights[i] = zeros_like_raw(outputs[i]);
      set_requires_grad(weights[i], true);
    }
    FormulaAtLevel formula(op, args, weights, outputs);
    op.def.vjp(formula);
    for (size_t e = 0; e < args.entries.size(); e++) {
      const Tensor& gradient = formula.gradients()[e];
      if (!args.entries[e].tangent.defined() || !gradient.defined() || !gradient.needs_grad()) continue;
      pulled.push_back(gradient);
      directions.push_back(fitted_to(gradient, args.entries[e].tangent));
    }
  }
  if (pulled.empty()) return;
  for (const Tensor& weight : weights)
    if (weight.defined()) wanted.push_back(weight);
  Restore recording(thread_state.grad_enabled, args.linked);
  const std::vector<Tensor> found = autograd_hooks.grad(pulled, wanted, directions, begun);
  size_t next = 0;
  for (size_t i = 0; i < outputs.size(); i++)
    if (differentiable[i]) tangents[i] = found[next++];
}

}  // namespace

Push::Push(const Op& op, const Value* args, int written) : op_(op), written_(written) {
  std::vector<Level> levels;
  each_tensor(op, args, [&](int, int, const Tensor& t) {
    if (t.defined() && t.is_dual()) add_levels(t, levels);
  });
  for (const Level level : levels) levels_.push_back(std::make_unique<ArgumentsAtLevel>(op, args, level, written));
}
Push::~Push() = default;

void Push::push(const ArgumentsAtLevel& args, const std::vector<Tensor>& outputs, const std::vector<bool>& differentiable, std::vector<Tensor>& tangents) const {
  if (op_.def.jvp) {
    TangentsAtLevel formula(args, outputs, tangents);
    return op_.def.jvp(formula);
  }
  if (op_.schema.mutated < 0) {
    if (op_.def.view || op_.def.linear == Linear::Joint) return push_jointly(op_, args, tangents);
    if (op_.def.linear == Linear::Each && push_one_by_one(op_, args, tangents)) return;
  }
  if (outputs.size() == 1 && push_diagonal(op_, args, outputs[0], tangents)) return;
  push_by_transposition(op_, args, outputs, differentiable, tangents);
}

void Push::results(Out& out) {
  for (const auto& args : levels_) {
    std::vector<Tensor> outputs(size_t(out.count)), tangents(size_t(out.count));
    std::vector<bool> differentiable;
    for (int i = 0; i < out.count; i++) {
      differentiable.push_back(differentiable_result(op_, out, i));
      outputs[size_t(i)] = differentiable.back() ? primal(out[i], args->level, args->linked) : out[i];
    }
    if (std::find(differentiable.begin(), differentiable.end(), true) == differentiable.end()) continue;
    if (op_.def.vjp) push(*args, outputs, differentiable, tangents);
    for (int i = 0; i < out.count; i++) {
      const Tensor& output = outputs[size_t(i)];
      if (!differentiable[size_t(i)] || (!op_.def.vjp && !tangent(out[i], args->level).defined())) continue;
      Tensor along = std::move(tangents[size_t(i)]);
      along = along.defined() ? fitted_to(output, along) : zeros_like_raw(output);
      const auto shares = [&](const ArgumentsAtLevel::Entry& entry) {
        return entry.tangent.defined() && entry.tangent.impl()->storage == along.impl()->storage && !(written_ >= 0 && entry.param == written_);
      };
      // two tensors that don't share memory must not do so in their tangents: one may be written to
      if (!op_.def.view && std::any_of(args->entries.begin(), args->entries.end(), shares)) along = clone(along);
      if (written_ >= 0)
        update_tangent(out[i], along, args->level);
      else
        set_tangent(out[i], along, args->level);
    }
  }
}

namespace {

void call_dual(const Op& op, const Value* args, Out& out) {
  Push push(op, args, -1);
  const bool pushed = op.def.vjp && push.any();
  bool recorded = false;
  if (thread_state.grad_enabled)
    each_tensor(op, args, [&](int, int, const Tensor& t) { recorded |= t.defined() && t.needs_grad(); });
  if (recorded) return record_call(op, args, out, pushed ? &push : nullptr);
  run_below(op, args, out);
  if (pushed) push.results(out);
}

void in_place_dual(const Op& op, const Value* args, Out& out) {
  const int written = op.schema.mutated >= 0 ? op.schema.mutated : 0;
  Push push(op, args, written);
  bool recorded = false;
  if (thread_state.grad_enabled)
    each_tensor(op, args, [&](int, int, const Tensor& t) { recorded |= t.defined() && t.needs_grad(); });
  if (recorded) return record_in_place(op, args, out, &push);
  {
    BelowAutograd guard;
    run_in_place(op, args, out);
  }
  push.results(out);
}

bool has_tangent(const Tensor& t) {
  std::vector<Level> levels;
  add_levels(t, levels);
  return !levels.empty();
}

Tensor own_variable(const Tensor& t, bool further) {
  if (further && t.needs_grad()) return alias_view(t);
  return is_differentiable(t.dtype()) ? fresh_leaf(t) : Tensor::alias(t);
}

const bool installed = [] {
  autograd_hooks.call_dual = call_dual;
  autograd_hooks.in_place_dual = in_place_dual;
  autograd_hooks.has_tangent = has_tangent;
  autograd_hooks.own_variable = own_variable;
  return true;
}();

}  // namespace
}  // namespace tabula::autograd
