#include "autograd/node.h"

#include <algorithm>

#include "autograd/engine.h"
#include "core/source_place.h"
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace tabula::autograd {
namespace {

thread_local uint64_t sequence_counter = 0;
thread_local bool draining = false;
thread_local std::vector<Node*> doomed;

constexpr const char* kBaseWritten =
    " and its base or another view of its base has been modified inplace with grad mode enabled. Given that this use case is "
    "ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either both "
    "inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).";

constexpr const char* kCustomView =
    "This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to handle "
    "view+inplace would override the custom backward associated with the custom Function, leading to incorrect gradients. This "
    "behavior is forbidden. You can fix this by cloning the output of the custom Function.";

// Gradient of a strided view: scatter back into the base's shape.
class AsStridedNode final : public Node {
 public:
  AsStridedNode(const Tensor& base, const Tensor& view) : base_(base.geometry()), view_(view.geometry()) {
    next.push_back(gradient_edge(base));
  }
  std::string name() const override { return "AsStridedBackward0"; }
  void apply(std::vector<Tensor>& grads, std::vector<Tensor>& out) override {
    if (grads[0].defined()) out[0] = as_strided_backward(grads[0], base_, view_);
  }

 private:
  Geometry base_, view_;
};

// Gradient of a base whose view was written to: the written part goes through the operation's own derivative.
class CopySlices final : public Node {
 public:
  CopySlices(const Tensor& base, const Tensor& view, Ref<Node> inner)
      : base_(base.geometry()), view_(view.geometry()), inner_(std::move(inner)) {
    next.push_back(gradient_edge(base));
    for (size_t i = 1; i < inner_->next.size(); i++) next.push_back(inner_->next[i]);
  }
  std::string name() const override { return "torch::autograd::CopySlices"; }
  void apply(std::vector<Tensor>& grads, std::vector<Tensor>& out) override {
    if (!grads[0].defined()) return;
    check(bool(inner_), "Trying to backward through the graph a second time");
    std::vector<Tensor> slice{as_strided_of(grads[0], base_, view_)}, inner_out(inner_->next.size());
    inner_->apply(slice, inner_out);
    // the slice's own gradient replaces that part; undefined means zeros
    out[0] = as_strided_replace(grads[0], base_, view_, inner_out[0]);
    for (size_t i = 1; i < inner_out.size(); i++) out[i] = std::move(inner_out[i]);
  }
  void release_saved() override {
    if (inner_) inner_->release_saved();
  }

 private:
  Geometry base_, view_;
  Ref<Node> inner_;
};

std::string type_text(const Tensor& t) {
  return concat("torch.", t.device().is_cpu() ? "" : concat(device_kind_name(t.device().kind), "."), dtype_title(t.dtype()), "Tensor ", shape_text(t.sizes()));
}

}  // namespace

Anomaly anomaly;
GradientWatch gradient_watch;
thread_local constinit uint32_t inherited_place = 0;

uint64_t next_sequence() { return sequence_counter; }

Node::Node() : sequence(sequence_counter++) {
  place = thread_state.interpreters & kWatching ? current_place() : inherited_place;
  if (anomaly.enabled && anomaly.traceback) traceback = anomaly.traceback();
}

void Node::destroy(Node* node) {
  if (node->outlives_graph()) return;
  doomed.push_back(node);
  if (draining) return;
  draining = true;
  while (!doomed.empty()) {
    Node* one = doomed.back();
    doomed.pop_back();
    delete one;
  }
  draining = false;
}

uint64_t next_hook_id() {
  static std::atomic<uint64_t> counter{0};
  return counter.fetch_add(1);
}

Meta::~Meta() { unlink_retained(); }

void Meta::unlink_retained() {
  if (retains_grad && grad_fn && grad_fn->hooks_if_any())
    std::erase_if(grad_fn->hooks().retain_grad, [&](auto& entry) { return entry.second == owner; });
  retains_grad = false;
}

Meta& meta(const Tensor& of) {
  const Tensor& t = recorded(of);
  if (!t.impl()->autograd) {
    t.impl()->autograd = std::make_unique<Meta>();
    meta_if_any(t)->owner = t.impl();
  }
  return *meta_if_any(t);
}

std::string operation_name(const Node& node) {
  std::string name = node.name();
  const size_t end = name.find_last_not_of("0123456789") + 1;
  constexpr std::string_view kSuffix = "Backward";
  if (end > kSuffix.size() && std::string_view(name).substr(0, end).ends_with(kSuffix)) name.resize(end - kSuffix.size());
  return name;
}

Ref<Node> grad_fn(const Tensor& of) {
  const Tensor& t = recorded(of);
  TensorImpl& impl = *t.impl();
  if ((impl.special & kView) && (impl.view_base->special & kNeedsGrad) && impl.version() != impl.view_version) {
    const Tensor base(impl.view_base);
    if (!is_leaf(base)) {
      check(impl.view_kind != ViewKind::NoGrad, "A view was created in no_grad mode", kBaseWritten);
      check(impl.view_kind != ViewKind::MultiOutput,
            "Output ", meta_if_any(t) ? meta_if_any(t)->slot : 0, " of ",
            meta_if_any(t) && meta_if_any(t)->grad_fn ? operation_name(*meta_if_any(t)->grad_fn) : "a function",
            " is a view and its base or another view of its base has been modified inplace. This view is the output of a function "
            "that returns multiple views. Such functions do not allow the output views to be modified inplace. You should replace "
            "the inplace operation by an out-of-place one.");
      check(impl.view_kind != ViewKind::CustomFunction, "Output ", meta(t).slot, " of ", meta(t).grad_fn ? operation_name(*meta(t).grad_fn) : "a function",
            " is a view and its base or another view of its base has been modified inplace. ", kCustomView);
      Ref<Node> node(new AsStridedNode(base, t));
      Meta& m = meta(t);
      m.grad_fn = node;
      m.slot = 0;
      add_result(*node, t);
      impl.special |= kNeedsGrad;
    }
    impl.view_version = impl.version();
  }
  const Meta* m = meta_if_any(t);
  return m ? m->grad_fn : Ref<Node>();
}

bool is_leaf(const Tensor& t) { return !grad_fn(t); }

Ref<Node> accumulator(const Tensor& of) {
  const Tensor& leaf = recorded(of);
  Meta& m = meta(leaf);
  if (m.accumulator) return Ref<Node>(m.accumulator);
  Ref<Node> node(new AccumulateGrad(leaf));
  m.accumulator = node.get();
  return node;
}

Edge gradient_edge(const Tensor& t) {
  if (Ref<Node> fn = grad_fn(t)) return {fn, meta_if_any(t)->slot};
  return recorded(t).needs_grad() ? Edge{accumulator(t), 0} : Edge{};
}

void set_requires_grad(const Tensor& of, bool value) {
  const Tensor& t = recorded(of);
  check(!value || is_differentiable(t.dtype()), "only Tensors of floating point dtype can require gradients");
  check(is_leaf(t) || value, "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't "
        "require differentiation use var_no_grad = var.detach().");
  if (!is_leaf(t)) return;
  check(!value || !t.impl()->inference || thread_state.inference, "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  meta(t).requires_grad = value;
  for (TensorImpl* impl : {t.impl(), of.impl()})
    impl->special = uint8_t(value ? impl->special | kNeedsGrad : impl->special & ~kNeedsGrad);
}

void add_result(Node& node, const Tensor& t) { node.results.push_back({Dims(t.sizes()), t.dtype(), t.device()}); }

void set_history(const Tensor& t, const Ref<Node>& node) {
  Meta& m = meta(t);
  m.grad_fn = node;
  m.slot = uint32_t(node->results.size());
  add_result(*node, t);
  t.impl()->special |= kNeedsGrad;
  if (t.impl()->special & kView) t.impl()->view_version = t.impl()->version();
}

uint64_t add_tensor_hook(const Tensor& t, TensorHook hook) {
  Meta& m = meta(t);
  const bool first = !m.hooks;
  if (first) m.hooks = std::make_shared<HookList<TensorHook>>();
  const uint64_t id = next_hook_id();
  m.hooks->push_back({id, std::move(hook)});
  if (first)
    if (Ref<Node> fn = grad_fn(t)) fn->hooks().tensor_hooks.push_back({m.slot, m.hooks});
  return id;
}

uint64_t add_accumulated_hook(const Tensor& leaf, AccumulatedHook hook) {
  Meta& m = meta(leaf);
  if (!m.post_accumulate) m.post_accumulate = std::make_shared<HookList<AccumulatedHook>>();
  const uint64_t id = next_hook_id();
  m.post_accumulate->push_back({id, std::move(hook)});
  return id;
}

void retain_grad(const Tensor& of) {
  const Tensor& t = recorded(of);
  check(t.needs_grad(), "can't retain_grad on Tensor that has requires_grad=False");
  Ref<Node> fn = grad_fn(t);
  if (!fn || meta(t).retains_grad) return;
  meta(t).retains_grad = true;
  fn->hooks().retain_grad.push_back({meta(t).slot, t.impl()});
}

void check_in_place(const Tensor& t) {
  const TensorImpl& impl = *t.impl();
  if (impl.special & kView) {
    const Tensor base(impl.view_base);
    if (impl.view_kind != ViewKind::Plain) {
      const Meta* m = meta_if_any(t);
      const std::string who = m && m->grad_fn ? concat("Output ", m->slot, " of ", operation_name(*m->grad_fn), " is a view and is being modified inplace. ")
                                              : std::string("A view was created in no_grad mode and is being modified inplace with grad mode enabled. ");
      if (impl.view_kind == ViewKind::MultiOutput)
        fail(ErrorKind::Runtime, who, "This view is the output of a function that returns multiple views. Such functions do not allow the output "
             "views to be modified inplace. You should replace the inplace operation by an out-of-place one.");
      if (impl.view_kind == ViewKind::CustomFunction)
        fail(ErrorKind::Runtime, who, kCustomView);
      if (impl.view_kind == ViewKind::NoGrad && base.needs_grad())
        fail(ErrorKind::Runtime, "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this use case is "
             "ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either both inside the "
             "no_grad block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).");
    }
    check(!(base.needs_grad() && is_leaf(base)), "a view of a leaf Variable that requires grad is being used in an in-place operation.");
  }
  check(!(t.needs_grad() && is_leaf(t)), "a leaf Variable that requires grad is being used in an in-place operation.");
}

void rebase_history(const Tensor& t, Ref<Node> node) {
  TensorImpl& impl = *t.impl();
  if (impl.special & kView) {
    const Tensor base(impl.view_base);
    if (node->results.empty()) add_result(*node, t);
    Ref<Node> slices(new CopySlices(base, t, std::move(node)));
    Meta& bm = meta(base);
    bm.grad_fn = slices;
    bm.slot = 0;
    bm.requires_grad = false;
    bm.hooks.reset();
    add_result(*slices, base);
    base.impl()->special |= kNeedsGrad;
    if (base.impl()->special & kView) base.impl()->view_version = base.impl()->version();
    impl.view_version = impl.version() - 1;  // forces this view's grad_fn to be made from the base's new one
    (void)grad_fn(t);
    return;
  }
  Meta& m = meta(t);
  const bool retained = m.retains_grad;
  m.unlink_retained();
  m.requires_grad = false;
  m.hooks.reset();
  set_history(t, node);
  if (retained) retain_grad(t);
}

AccumulateGrad::AccumulateGrad(Tensor leaf) : variable(std::move(leaf)) {
  sequence = UINT64_MAX;
  add_result(*this, variable);
}

AccumulateGrad::~AccumulateGrad() {
  if (Meta* m = meta_if_any(variable)) m->accumulator = nullptr;
}

void AccumulateGrad::apply(std::vector<Tensor>& grads, std::vector<Tensor>&) {
  // two backward passes may meet here: none may come between another's reading and writing of the sum
  Restore alone(thread_state.keeps_interpreter, true);
  Tensor grad = std::move(grads[0]);
  if (!grad.defined()) return;
  Meta& m = meta(variable);
  if (m.hooks) {
    const HookList<TensorHook> hooks = *m.hooks;
    for (const auto& hook : hooks) {
      Tensor replaced = hook.run(grad);
      if (replaced.defined()) grad = std::move(replaced);
    }
  }
  if (!m.grad.defined() && (grad.impl()->special & kDispatch)) {
    m.grad = thread_state.grad_enabled ? clone(grad) : detach(grad);
  } else if (!m.grad.defined()) {
    const bool same_layout = thread_state.any_grad_layout || same(grad.strides(), variable.strides()) || (grad.is_contiguous() && variable.is_contiguous());
    const bool sole = grad.impl()->use_count() == 1 && grad.impl()->storage->use_count() == 1 && !grad.impl()->wrapped_number;
    if (grad.impl()->special & kParts)
      m.grad = thread_state.grad_enabled ? grad : clone(detach(grad));
    else if (thread_state.grad_enabled)
      m.grad = sole && same_layout ? grad : clone(grad);
    else if (sole && same_layout && !(grad.impl()->special & (kConj | kNeg | kView)))
      m.grad = std::move(grad);
    else if (grad.is_dual())
      m.grad = clone(grad);
    else {
      BelowAutograd guard;
      m.grad = is_non_overlapping_and_dense(variable.sizes(), variable.strides())
                   ? Tensor::empty_strided(variable.sizes(), variable.strides(), grad.dtype(), grad.device())
                   : Tensor::empty(variable.sizes(), grad.dtype(), grad.device());
      copy_into(m.grad, grad.impl()->special & (kConj | kNeg) ? resolved_copy(grad) : grad);
    }
  } else if ((m.grad.impl()->special & kParts) && !(grad.impl()->special & kParts)) {
    m.grad = add(grad, m.grad);  // the sum of a sparse and a dense one is dense
  } else if (thread_state.grad_enabled) {
    m.grad = add(m.grad, grad);
  } else {
    add.in_place(m.grad, grad);
  }
  if (!m.post_accumulate) return;
  const HookList<AccumulatedHook> hooks = *m.post_accumulate;
  for (const auto& hook : hooks) hook.run(variable);
}

std::string modified_text(const Tensor& t, const std::string& producer, uint32_t now, uint32_t expected) {
  return concat("one of the variables needed for gradient computation has been modified by an inplace operation: [", type_text(t), "]", producer,
                " is at version ", now, "; expected version ", expected, " instead.", anomaly.enabled
                    ? " Hint: the backtrace further above shows the operation that failed to compute its gradient. The variable in question was changed in there or anywhere later. Good luck!"
                    : " Hint: enable anomaly detection to find the operation that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False).");
}

}  // namespace tabula::autograd
