// The graph: nodes hold what an operation's derivative needs, edges lead towards the leaves.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "autograd/tangent.h"
#include "core/tensor.h"

namespace tabula {
class Value;
}

namespace tabula::autograd {

class Node;

struct Edge {
  Ref<Node> node;  // null: no gradient is wanted here
  uint32_t slot = 0;
};

// What a gradient that arrives for a result must look like.
struct ResultMeta {
  Dims sizes;
  DType dtype;
  Device device;
};

using TensorHook = std::function<Tensor(const Tensor& grad)>;                       // undefined: keep the gradient
using PreHook = std::function<void(std::vector<Tensor>& grad_outputs)>;
using PostHook = std::function<void(std::vector<Tensor>& grad_inputs, const std::vector<Tensor>& grad_outputs)>;

template <class F>
struct Hook {
  uint64_t id;
  F run;
};
template <class F>
using HookList = std::vector<Hook<F>>;
using AccumulatedHook = std::function<void(const Tensor& leaf)>;

struct NodeHooks {
  struct OnSlot {
    uint32_t slot;
    std::shared_ptr<HookList<TensorHook>> hooks;
  };
  std::vector<OnSlot> tensor_hooks;                          // of the tensors this node made
  std::vector<std::pair<uint32_t, TensorImpl*>> retain_grad;  // tensors unlink themselves when they go
  HookList<PreHook> pre;
  HookList<PostHook> post;
  std::shared_ptr<void> metadata;  // the dict that Python users attach to the node
};

class SavedTensor;

// Something a node keeps of the forward call, under its parameter's name.
struct SavedItem {
  std::string name;
  SavedTensor* tensor = nullptr;
  const Value* value = nullptr;  // of arguments that are no tensors
  bool in_list = false;          // one of a list's tensors, which follow each other
};

class Node : public RefCounted {
 public:
  Node();
  // Chains can be a million nodes long: destruction is a loop, not a recursion.
  static void destroy(Node*);

  virtual std::string name() const = 0;
  // grads: one per result of the forward operation, some undefined; results: one per edge, to be filled.
  virtual void apply(std::vector<Tensor>& grads, std::vector<Tensor>& results) = 0;
  virtual void release_saved() {}  // the graph is not kept
  // The last reference is gone. True: the node has found another owner (see keep_alive) and is not destroyed.
  virtual bool outlives_graph() { return false; }
  virtual std::vector<SavedItem> saved_items() { return {}; }

  NodeHooks& hooks() {
    if (!hooks_) hooks_ = std::make_shared<NodeHooks>();
    return *hooks_;
  }
  // For handles that remove a hook later, when the node may be gone.
  std::weak_ptr<NodeHooks> weak_hooks() { return hooks(), hooks_; }
  NodeHooks* hooks_if_any() { return hooks_.get(); }

  std::vector<Edge> next;
  std::vector<ResultMeta> results;
  uint64_t sequence;        // later operations run their derivative first
  void* python = nullptr;   // the Python object of this node, if any (not owned)
  std::string traceback;    // of the forward call, under anomaly detection

  // The engine's scratch of the run that owns it (see engine.cpp).
  uint64_t run_id = 0;
  uint32_t run_index = 0;

  uint32_t place = 0;  // the program's line of the forward call (core/source_place.h), under torch.utils.nan_guard

 protected:
  virtual ~Node() = default;
  // The one reference that a new owner then adopts.
  void keep_alive() { refs_.store(1, std::memory_order_release); }

 private:
  std::shared_ptr<NodeHooks> hooks_;
};

uint64_t next_hook_id();

// The sequence number that this thread's next node will have.
uint64_t next_sequence();
// An operation that is made of others shows its own name in the graph: `name`, which must outlive the graph, becomes that
// of the node behind `t`, if an operation made it and it is no older than `since`.
void show_as(const Tensor& t, const std::string& name, uint64_t since);

// ---- what autograd keeps per tensor ----

struct Meta : AutogradMeta {
  ~Meta() override;
  void unlink_retained();  // grad_fn is about to change: it must not write this tensor's gradient
  Tensor grad;
  Ref<Node> grad_fn;
  Node* accumulator = nullptr;  // not owned: it owns the tensor, and clears this when it goes
  uint32_t slot = 0;            // which result of grad_fn
  bool requires_grad = false;   // set by the user, on leaves
  bool retains_grad = false;
  bool hides_tangent = false;   // a view that has none where its base has one
  TensorImpl* owner = nullptr;
  Ref<Tangents> tangents;       // with kDual
  std::shared_ptr<HookList<TensorHook>> hooks;
  std::shared_ptr<HookList<AccumulatedHook>> post_accumulate;
};

// The tensor that has the history: `t` itself, or the whole behind a part of it.
inline const Tensor& recorded(const Tensor& t) {
  const Tensor* at = &t;
  while (at->impl()->special & kParts) [[unlikely]] {
    const Tensor* whole = at->impl()->parts->whole();
    if (!whole) break;
    at = whole;
  }
  return *at;
}
inline Meta* meta_if_any(const Tensor& t) { return static_cast<Meta*>(recorded(t).impl()->autograd.get()); }
Meta& meta(const Tensor& t);

// The forward operation's name, as messages about its results give it: "Mul" for MulBackward0.
std::string operation_name(const Node& node);

Ref<Node> grad_fn(const Tensor& t);  // regenerates that of a view whose base was written to
bool is_leaf(const Tensor& t);
Edge gradient_edge(const Tensor& t);
Ref<Node> accumulator(const Tensor& leaf);
void set_requires_grad(const Tensor& t, bool value);
// Makes `t` result number `slot` of `node`.
void set_history(const Tensor& t, const Ref<Node>& node);
void add_result(Node& node, const Tensor& t);

uint64_t add_tensor_hook(const Tensor& t, TensorHook hook);
uint64_t add_accumulated_hook(const Tensor& leaf, AccumulatedHook hook);
void retain_grad(const Tensor& t);

// Checks that `t` may be written to in place; throws PyTorch's error otherwise.
void check_in_place(const Tensor& t);
// After an in-place operation with derivative `node` (whose edge 0 is the target's old history).
void rebase_history(const Tensor& t, Ref<Node> node);

class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(Tensor variable);
  std::string name() const override { return "torch::autograd::AccumulateGrad"; }
  void apply(std::vector<Tensor>& grads, std::vector<Tensor>& results) override;
  Tensor variable;

 private:
  ~AccumulateGrad() override;
};

}  // namespace tabula::autograd
