// Recording: one node type serves every operation, driven by its row.
#include <algorithm>

#include "autograd/engine.h"
#include "autograd/forward.h"
#include "autograd/saved.h"
#include "core/allocator.h"
#include "core/state.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"

namespace tabula::autograd {
namespace {

class OpNode final : public Node {
 public:
  explicit OpNode(const Op& op) : op(op) {}
  static void* operator new(size_t) { return Recycler<OpNode>::take(); }
  static void operator delete(void* memory) { Recycler<OpNode>::give(memory); }

  std::string name() const override { return *shown; }
  void apply(std::vector<Tensor>& grads, std::vector<Tensor>& results) override;
  void release_saved() override {
    for (Item& item : saved) item.tensor.reset();
    released = true;
  }
  std::vector<SavedItem> saved_items() override;

  // Edges, and copies of what the derivative needs, from the arguments of the call.
  void record(const Value* call_args, bool in_place);
  void save_results(Out& out);

  struct Item {
    uint8_t param, index;  // for results: kResult and the result's number
    SavedTensor tensor;
  };
  struct Shape {
    uint8_t param, index;
    Dims sizes;
    DType dtype;
  };
  static constexpr uint8_t kResult = 255;

  const Op& op;
  const std::string* shown = &op.node_name;
  std::vector<Item> saved;
  std::vector<Shape> shapes;
  std::vector<Value> args;               // everything but tensors; lists and texts point into `arena`
  std::unique_ptr<char[]> arena;
  std::vector<uint16_t> list_sizes;      // per tensor parameter; empty when none is a list
  bool released = false;
};

// Where the edges of tensor parameter number `which` (in schema order) begin.
int edge_start(const OpNode& node, int param) {
  int edge = 0, which = 0;
  for (uint8_t p : node.op.schema.tensor_params) {
    if (p == param) return edge;
    edge += node.list_sizes.empty() ? 1 : node.list_sizes[size_t(which)];
    which++;
  }
  fail(ErrorKind::Runtime, "internal: argument ", param, " of ", node.op.schema.name, " is no tensor");
}

size_t payload_bytes(const Value& v) {
  switch (v.tag()) {
    case Value::Tag::Ints: return v.ints().size_bytes();
    case Value::Tag::Floats: return v.floats().size_bytes();
    case Value::Tag::Bools: return v.bools().size_bytes();
    case Value::Tag::Str: return v.str().size();
    default: return 0;
  }
}

Value owned_value(const Value& v, char*& at) {
  const auto place = [&](const void* data, size_t bytes) {
    char* here = at;
    if (bytes) std::memcpy(here, data, bytes);
    at += (bytes + 7) / 8 * 8;
    return here;
  };
  switch (v.tag()) {
    case Value::Tag::Ints: return Value(IntList(reinterpret_cast<int64_t*>(place(v.ints().data(), v.ints().size_bytes())), v.ints().size()));
    case Value::Tag::Floats: return Value(std::span<const double>(reinterpret_cast<double*>(place(v.floats().data(), v.floats().size_bytes())), v.floats().size()));
    case Value::Tag::Bools: return Value(std::span<const bool>(reinterpret_cast<bool*>(place(v.bools().data(), v.bools().size_bytes())), v.bools().size()));
    case Value::Tag::Str: return Value(std::string_view(place(v.str().data(), v.str().size()), v.str().size()));
    default: return v;
  }
}

void OpNode::record(const Value* call_args, bool in_place) {
  const Schema& schema = op.schema;
  const OpDef& def = op.def;
  const auto list_of = [](const Value& v) { return v.tag() == Value::Tag::TensorList; };
  for (uint8_t p : schema.tensor_params) {
    if (!list_of(call_args[p])) continue;
    for (uint8_t q : schema.tensor_params) list_sizes.push_back(uint16_t(list_of(call_args[q]) ? call_args[q].tensors().size() : 1));
    break;
  }
  next.reserve(schema.tensor_params.size());
  const auto edge_to = [&](const Tensor& t) {
    next.push_back(t.defined() && t.needs_grad() ? gradient_edge(t) : Edge{});
  };
  for (uint8_t p : schema.tensor_params) {
    const Value& v = call_args[p];
    if (list_of(v)) {
      for (const Tensor& t : v.tensors()) edge_to(t);
    } else if (v.is_tensor()) {
      edge_to(v.tensor());
    } else {
      next.push_back({});
    }
  }
  if (schema.params.size() > schema.tensor_params.size() || def.cross_save || schema.params.size() > 1) {
    size_t bytes = 0;
    for (size_t i = 0; i < schema.params.size(); i++) bytes += (payload_bytes(call_args[i]) + 7) / 8 * 8;
    if (bytes) arena = std::make_unique<char[]>(bytes);
    char* at = arena.get();
    args.reserve(schema.params.size());
    for (size_t i = 0; i < schema.params.size(); i++) {
      const Value& v = call_args[i];
      args.push_back(v.is_tensor() || list_of(v) ? Value() : owned_value(v, at));
    }
  }
  if (!(def.save & ~(0x3Fu << 12))) return;
  for (uint8_t p : schema.tensor_params) {
    const Value& v = call_args[p];
    const bool keep_shape = def.save & shape(p);
    bool keep = def.save & in(p);
    if (keep && def.cross_save) {
      // a bilinear operation needs each factor only for the other's gradient
      bool other = false;
      for (uint8_t q : schema.tensor_params)
        if (q != p && call_args[q].is_tensor()) other |= call_args[q].tensor().needs_grad();
      keep = other;
    }
    if (v.is_tensor()) {
      const Tensor& t = v.tensor();
      if (keep) saved.push_back({p, 0, SavedTensor(in_place && (p == 0 || t.is(call_args[0].tensor())) ? snapshot(t) : t, false)});
      if (keep_shape) shapes.push_back({p, 0, Dims(t.sizes()), t.dtype()});
    } else if (list_of(v)) {
      uint8_t k = 0;
      for (const Tensor& t : v.tensors()) {
        if (keep && t.defined()) saved.push_back({p, k, SavedTensor(t, false)});
        if (keep_shape && t.defined()) shapes.push_back({p, k, Dims(t.sizes()), t.dtype()});
        k++;
      }
    }
  }
}

void OpNode::save_results(Out& result) {
  for (int i = 0; i < result.count && i < 6; i++)
    if ((op.def.save & out(i)) && result[i].defined()) {
      // a result without a gradient must not come back as one of this node's outputs
      const bool output = is_differentiable(result[i].dtype()) && !(i < 8 && (op.def.nondiff >> i & 1));
      saved.push_back({kResult, uint8_t(i), SavedTensor(result[i], output)});
    }
}

std::vector<SavedItem> OpNode::saved_items() {
  const auto name_of = [&](size_t param) {
    const std::string_view name = op.schema.params[param].name;
    return std::string(name == "input" ? "self" : name);
  };
  std::vector<SavedItem> items;
  for (Item& item : saved) {
    SavedItem& one = items.emplace_back();
    one.tensor = &item.tensor;
    if (item.param == kResult) {
      one.name = results.size() > 1 ? concat("result", int(item.index)) : "result";
    } else {
      one.name = name_of(item.param);
      one.in_list = op.schema.params[item.param].type.list;
    }
  }
  for (size_t i = 0; i < args.size(); i++) {
    const auto& tensors = op.schema.tensor_params;
    if (args[i].is_none() && std::find(tensors.begin(), tensors.end(), uint8_t(i)) != tensors.end()) continue;
    SavedItem& one = items.emplace_back();
    one.name = name_of(i);
    one.value = &args[i];
  }
  return items;
}

// Presents a node's saved state to its row's derivative formula.
class Formula final : public Backward {
 public:
  Formula(OpNode& node, std::vector<Tensor>& grads, std::vector<Tensor>& results)
      : node_(node), grads_(grads), results_(results), self_(&node) {
    cache_.reserve(node.saved.size());
  }

  const Tensor& g(int i) override {
    Tensor& grad = grads_[size_t(i)];
    if (!grad.defined()) {
      const ResultMeta& like = node_.results[size_t(i)];
      grad = zeros_raw(like.sizes, like.dtype, like.device);
    }
    return grad;
  }
  bool has_g(int i) override { return grads_[size_t(i)].defined(); }
  const Tensor& in(int i) override { return find(uint8_t(i), 0); }
  const Tensor& in(int i, int k) override { return find(uint8_t(i), uint8_t(k)); }
  const Tensor& out(int i) override { return find(OpNode::kResult, uint8_t(i)); }
  IntList sizes(int i) override { return shape_of(i, 0).sizes; }
  DType dtype(int i) override { return shape_of(i, 0).dtype; }
  IntList list_sizes(int i, int k) override { return shape_of(i, k).sizes; }
  const Value& arg(int i) override { return node_.args[size_t(i)]; }
  bool needs(int i) override { return needs(i, 0) || (list_size(i) > 1 && any_needed(i)); }
  bool needs(int i, int k) override {
    const size_t e = size_t(edge_start(node_, i) + k);
    return e < node_.next.size() && node_.next[e].node;
  }
  int list_size(int i) override {
    if (node_.list_sizes.empty()) return 1;
    int which = 0;
    for (uint8_t p : node_.op.schema.tensor_params) {
      if (p == i) return node_.list_sizes[size_t(which)];
      which++;
    }
    return 0;
  }
  void set(int i, Tensor gradient) override { results_[size_t(edge_start(node_, i))] = std::move(gradient); }
  void set(int i, int k, Tensor gradient) override { results_[size_t(edge_start(node_, i) + k)] = std::move(gradient); }

 private:
  bool any_needed(int i) {
    for (int k = 0; k < list_size(i); k++)
      if (needs(i, k)) return true;
    return false;
  }
  const Tensor& find(uint8_t param, uint8_t index) {
    for (const auto& [p, k, tensor] : cache_)
      if (p == param && k == index) return tensor;
    for (const OpNode::Item& item : node_.saved) {
      if (item.param != param || item.index != index) continue;
      cache_.push_back({param, index, item.tensor.unpack(self_)});
      return cache_.back().tensor;
    }
    static const Tensor undefined;
    return undefined;
  }
  const OpNode::Shape& shape_of(int i, int k) {
    for (const OpNode::Shape& s : node_.shapes)
      if (s.param == i && s.index == k) return s;
    fail(ErrorKind::Runtime, "internal: ", node_.op.schema.name, " saved no shape of argument ", i);
  }

  struct Unpacked {
    uint8_t param, index;
    Tensor tensor;
  };
  OpNode& node_;
  std::vector<Tensor>& grads_;
  std::vector<Tensor>& results_;
  Ref<Node> self_;
  std::vector<Unpacked> cache_;  // never grows past its reservation: references into it stay valid
};

void OpNode::apply(std::vector<Tensor>& grads, std::vector<Tensor>& results) {
  if (!op.def.vjp) return;
  bool any = false;
  for (const Tensor& g : grads) any |= g.defined();
  if (!any) return;
  // a number that multiplies is a saved tensor to PyTorch
  if (released && (!saved.empty() || op.schema.base_name == "mul")) fail_released();
  Formula formula(*this, grads, results);
  op.def.vjp(formula);
}

}  // namespace

void record_call(const Op& op, const Value* args, Out& result, Push* push) {
  if (!op.def.vjp) {
    run_below(op, args, result);
    return;
  }
  Ref<OpNode> node(new OpNode(op));
  node->record(args, false);
  run_below(op, args, result);
  const Ref<Node> base(node.get());
  for (int i = 0; i < result.count; i++) {
    Tensor& t = result[i];
    if (t.defined() && is_differentiable(t.dtype()) && !(i < 8 && (op.def.nondiff >> i & 1))) {
      set_history(t, base);
      meta(t).slot = uint32_t(i);
    } else if (t.defined()) {
      add_result(*node, t);
    } else {
      node->results.push_back({});
    }
  }
  if (push) push->results(result);
  node->save_results(result);
}

void record_in_place(const Op& op, const Value* args, Out& result, Push* push) {
  const int written = op.schema.mutated >= 0 ? op.schema.mutated : 0;
  const Tensor target = args[written].tensor();
  check_in_place(target);
  Ref<OpNode> node(new OpNode(op));
  node->record(args, true);
  {
    BelowAutograd guard;
    run_in_place(op, args, result);
  }
  if (!is_differentiable(target.dtype())) return;
  if (written != 0) std::swap(node->next[0], node->next[size_t(edge_start(*node, written))]);
  rebase_history(target, Ref<Node>(node.get()));
  if (push) push->results(result);
  node->save_results(result);
}

namespace {

void call_recorded(const Op& op, const Value* args, Out& result) { record_call(op, args, result, nullptr); }
void in_place_recorded(const Op& op, const Value* args, Out& result) { record_in_place(op, args, result, nullptr); }

std::vector<Tensor> grad_of(TensorList outputs, TensorList inputs, TensorList grad_outputs, uint64_t since) {
  BackwardRequest request;
  request.since = since;
  request.keep_graph = request.create_graph = thread_state.grad_enabled;
  request.accumulate = false;
  for (size_t i = 0; i < outputs.size(); i++) {
    request.roots.push_back(gradient_edge(outputs[i]));
    request.root_grads.push_back(grad_outputs[i]);
  }
  for (const Tensor& t : inputs) request.captures.push_back(gradient_edge(t));
  return run_backward(std::move(request));
}

const bool installed = [] {
  autograd_hooks.call = call_recorded;
  autograd_hooks.in_place = in_place_recorded;
  autograd_hooks.grad = grad_of;
  autograd_hooks.now = next_sequence;
  autograd_hooks.set_requires_grad = set_requires_grad;
  return true;
}();

}  // namespace

void show_as(const Tensor& t, const std::string& name, uint64_t since) {
  const Meta* m = meta_if_any(t);
  auto* node = m ? dynamic_cast<OpNode*>(m->grad_fn.get()) : nullptr;
  if (node && node->sequence >= since) node->shown = &name;
}

}  // namespace tabula::autograd
