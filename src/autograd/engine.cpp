#include "autograd/engine.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/number_watch.h"
#include "ops/reduce.h"

namespace tabula::autograd {

NodeWatch node_watch;

namespace {

struct Task {
  Ref<Node> node;
  int dependencies = 0;
  bool needed = true;
  bool summed = false;  // a gradient among the inputs is a sum of several
  std::vector<Tensor> inputs;
  SmallVec<int32_t, 2> captures;  // indices into the request's captures
};

class Timed {
 public:
  Timed(const Node& node, bool whole) {
    if (thread_state.interpreters & kProfiling) [[unlikely]]
      which_ = node_watch.begin(node, whole);
  }
  ~Timed() {
    if (which_ >= 0) [[unlikely]]
      node_watch.end(which_);
  }
  Timed(const Timed&) = delete;

 private:
  int64_t which_ = -1;
};

std::atomic<uint64_t> run_counter{0};
std::atomic<int> active_runs{0};

class Run;
thread_local Run* innermost = nullptr;

class Run {
 public:
  explicit Run(BackwardRequest& request)
      : request_(request), id_(run_counter.fetch_add(1) + 1), owns_scratch_(active_runs.fetch_add(1) == 0) {}
  ~Run() { active_runs.fetch_sub(1); }

  std::vector<Tensor> execute();
  int64_t number() const { return int64_t(id_) - 1; }
  bool for_inputs() const { return !request_.captures.empty(); }
  bool will_execute(const Node& node) const {
    if (!known(&node)) return false;
    const Task& task = tasks_[find(&node)];
    return task.needed || !task.captures.empty();
  }

 private:
  // Only one run at a time may keep its task numbers in the nodes; one that starts inside another (a hook that calls
  // backward) or beside it keeps them in a map.
  uint32_t task_of(const Ref<Node>& node, bool& fresh) {
    fresh = false;
    if (owns_scratch_) {
      if (node->run_id == id_) return node->run_index;
      node->run_id = id_;
      node->run_index = uint32_t(tasks_.size());
    } else {
      const auto [at, added] = map_.try_emplace(node.get(), uint32_t(tasks_.size()));
      if (!added) return at->second;
    }
    fresh = true;
    tasks_.emplace_back().node = node;
    return uint32_t(tasks_.size() - 1);
  }
  uint32_t find(const Node* node) const { return owns_scratch_ ? node->run_index : map_.at(node); }
  bool known(const Node* node) const { return owns_scratch_ ? node->run_id == id_ : map_.count(node) != 0; }

  // Where the caller knows that the captures are newer than what lies behind an edge.
  bool followed(const Edge& edge) const { return edge.node && edge.node->sequence >= request_.since; }
  void discover();
  void mark_needed();
  void run_task(uint32_t index);
  bool is_root(const Node& node) const {
    return std::any_of(request_.roots.begin(), request_.roots.end(),
                       [&](const Edge& root) { return root.node.get() == &node; });
  }
  void deliver(const Edge& edge, Tensor grad, const Node& from, size_t position);

  BackwardRequest& request_;
  const uint64_t id_;
  const bool owns_scratch_;
  bool watching_ = false;  // for numbers that are not finite
  std::vector<Task> tasks_;
  std::unordered_map<const Node*, uint32_t> map_;
  std::vector<Tensor> captured_;
  using Entry = std::pair<uint64_t, uint32_t>;
  std::priority_queue<Entry> ready_;
};

void Run::discover() {
  bool fresh;
  std::vector<uint32_t> stack;
  for (const Edge& root : request_.roots) {
    const uint32_t index = task_of(root.node, fresh);
    if (fresh) stack.push_back(index);
  }
  while (!stack.empty()) {
    const uint32_t index = stack.back();
    stack.pop_back();
    const Node& node = *tasks_[index].node;
    for (const Edge& edge : node.next) {
      if (!followed(edge)) continue;
      const uint32_t child = task_of(edge.node, fresh);
      tasks_[child].dependencies++;
      if (fresh) stack.push_back(child);
    }
  }
}

// With captures, only nodes on a path to one of them run.
void Run::mark_needed() {
  for (Task& task : tasks_) task.needed = false;
  for (size_t i = 0; i < request_.captures.size(); i++) {
    const Edge& edge = request_.captures[i];
    if (edge.node && known(edge.node.get())) tasks_[find(edge.node.get())].captures.push_back(int32_t(i));
  }
  // reverse order of completion: a task is decided when all tasks behind it are
  std::vector<uint8_t> state(tasks_.size(), 0);
  std::vector<std::pair<uint32_t, size_t>> stack;
  for (const Edge& root : request_.roots) {
    const uint32_t start = find(root.node.get());
    if (state[start]) continue;
    stack.push_back({start, 0});
    state[start] = 1;
    while (!stack.empty()) {
      auto& [index, position] = stack.back();
      const auto& next = tasks_[index].node->next;
      if (position < next.size()) {
        const Edge& edge = next[position++];
        if (!followed(edge)) continue;
        const uint32_t child = find(edge.node.get());
        if (!state[child]) {
          state[child] = 1;
          stack.push_back({child, 0});
        }
      } else {
        Task& task = tasks_[index];
        for (const Edge& edge : next) {
          if (!followed(edge)) continue;
          const Task& child = tasks_[find(edge.node.get())];
          task.needed |= child.needed || !child.captures.empty();
        }
        stack.pop_back();
      }
    }
  }
  if (request_.accumulate)  // backward(inputs=...): the captured leaves themselves run
    for (Task& task : tasks_)
      if (!task.captures.empty() && dynamic_cast<AccumulateGrad*>(task.node.get())) task.needed = true;
}

// A gradient must have its tensor's shape and dtype; one of a broadcast operand is summed down to it.
Tensor fitted(Tensor grad, const ResultMeta& meta, const Node& from, size_t position) {
  if (!same(grad.sizes(), meta.sizes)) {
    check(expandable_to(meta.sizes, grad.sizes()), "Function ", from.name(), " returned an invalid gradient at index ", position, " - got ",
          shape_text(grad.sizes()), " but expected shape compatible with ", shape_text(meta.sizes));
    grad = sum_to(grad, meta.sizes);
  }
  if (grad.dtype() != meta.dtype) {
    if (is_complex(grad.dtype()) && !is_complex(meta.dtype)) grad = real_part(grad);
    if (grad.dtype() != meta.dtype) grad = to_dtype(grad, meta.dtype);
  }
  return grad;
}

void accumulate(Tensor& slot, Tensor grad) {
  if (!slot.defined()) {
    slot = std::move(grad);
    return;
  }
  const TensorImpl& impl = *slot.impl();
  const bool examples = (impl.special | grad.impl()->special) & kParts;  // perhaps only one of them is batched
  // nobody else sees the buffer: add into it
  const bool own = impl.use_count() == 1 && impl.storage->use_count() == 1 && impl.contiguous && !(impl.special & (kConj | kNeg | kDispatch));
  if (impl.special & kParts && !(grad.impl()->special & kParts))
    slot = add(grad, slot);  // the sum of a sparse and a dense one is dense
  else if (!examples && !thread_state.grad_enabled && own)
    add.in_place(slot, grad);
  else
    slot = add(slot, grad);
}

void Run::deliver(const Edge& edge, Tensor grad, const Node& from, size_t position) {
  const uint32_t index = find(edge.node.get());
  Task& task = tasks_[index];
  if (task.needed || !task.captures.empty()) {
    if (task.inputs.empty()) task.inputs.resize(std::max<size_t>(edge.node->results.size(), size_t(edge.slot) + 1));
    if (grad.defined()) {
      if (edge.slot < edge.node->results.size()) grad = fitted(std::move(grad), edge.node->results[edge.slot], from, position);
      task.summed |= task.inputs[edge.slot].defined();
      accumulate(task.inputs[edge.slot], std::move(grad));
    }
  }
}

bool any_not_finite(TensorList tensors) {
  return !std::all_of(tensors.begin(), tensors.end(), [](const Tensor& t) { return all_finite(t); });
}

// As `apply`, with a look at what it makes. Operations inside are not looked at: an infinity in a formula need not
// reach the result.
void apply_watched(Node& node, std::vector<Tensor>& grads, std::vector<Tensor>& out, bool summed, bool root) {
  Restore place(inherited_place, node.place);
  if (!number_watch.backward) return node.apply(grads, out);
  using Kind = GradientFinding::Kind;
  if (summed && any_not_finite(grads)) gradient_watch.found({Kind::Sum, node, {}, grads});
  if (auto* leaf = dynamic_cast<AccumulateGrad*>(&node)) {
    // no copy of the gradient: the leaf keeps one that nobody else holds
    const bool adds = meta(leaf->variable).grad.defined() && !any_not_finite(grads);
    node.apply(grads, out);
    const Tensor& grad = meta(leaf->variable).grad;
    if (adds && !all_finite(grad)) gradient_watch.found({Kind::Accumulated, node, {}, TensorList(&grad, 1)});
    return;
  }
  const std::vector<Tensor> came_in = grads;
  node.apply(grads, out);
  for (const Tensor& t : out) {
    if (std::any_of(came_in.begin(), came_in.end(), [&](const Tensor& c) { return t.is(c); }) && !root) continue;
    if (!all_finite(t)) return gradient_watch.found({Kind::Derivative, node, came_in, out, root});
  }
}

void Run::run_task(uint32_t index) {
  Ref<Node> node = tasks_[index].node;
  const Timed whole(*node, true);
  std::vector<Tensor> grads = std::move(tasks_[index].inputs);
  const bool needed = tasks_[index].needed;
  if (grads.empty()) grads.resize(std::max<size_t>(node->results.size(), 1));

  NodeHooks* hooks = node->hooks_if_any();
  if (hooks) {
    for (const auto& on : std::vector<NodeHooks::OnSlot>(hooks->tensor_hooks)) {
      Tensor& grad = grads[on.slot];
      if (!grad.defined()) continue;
      const HookList<TensorHook> list = *on.hooks;
      for (const auto& hook : list) {
        Tensor replaced = hook.run(grad);
        if (replaced.defined()) grad = std::move(replaced);
      }
    }
    for (const auto& [slot, impl] : hooks->retain_grad) {
      if (!grads[slot].defined()) continue;
      const Tensor t{Ref<TensorImpl>(impl)};
      Meta& m = meta(t);
      m.grad = m.grad.defined() ? add(m.grad, grads[slot]) : clone(grads[slot]);
    }
    const HookList<PreHook> pre = hooks->pre;
    for (const auto& hook : pre) hook.run(grads);
  }
  for (int32_t capture : tasks_[index].captures) {
    const Edge& edge = request_.captures[size_t(capture)];
    // a leaf's own hooks run on what is captured, as they would on what is accumulated
    Tensor grad = grads[edge.slot];
    if (!request_.accumulate) {
      if (auto* leaf = dynamic_cast<AccumulateGrad*>(node.get()); leaf && grad.defined()) {
        if (const Meta* m = meta_if_any(leaf->variable); m && m->hooks) {
          const HookList<TensorHook> list = *m->hooks;
          for (const auto& hook : list) {
            Tensor replaced = hook.run(grad);
            if (replaced.defined()) grad = std::move(replaced);
          }
        }
      }
    }
    captured_[size_t(capture)] = grad;
  }
  std::vector<Tensor> out(node->next.size());
  if (needed) {
    std::vector<Tensor> grads_for_hooks;
    if (hooks && !hooks->post.empty()) grads_for_hooks = grads;
    try {
      const Timed derivative(*node, false);
      if (watching_) [[unlikely]]
        apply_watched(*node, grads, out, tasks_[index].summed, is_root(*node));
      else
        node->apply(grads, out);
    } catch (...) {
      if (anomaly.enabled && anomaly.report) anomaly.report(*node, node->traceback);
      throw;
    }
    if (anomaly.enabled && anomaly.check_nan) {
      for (size_t i = 0; i < out.size(); i++) {
        if (!out[i].defined() || !has_nan(out[i])) continue;
        if (anomaly.report) anomaly.report(*node, node->traceback);
        fail(ErrorKind::Runtime, "Function '", node->name(), "' returned nan values in its ", i, "th output.");
      }
    }
    if (hooks) {
      const HookList<PostHook> post = hooks->post;
      for (const auto& hook : post) hook.run(out, grads_for_hooks);
    }
    if (!request_.keep_graph) node->release_saved();
  }
  grads.clear();
  for (size_t i = 0; i < out.size(); i++) {
    const Edge& edge = node->next[i];
    if (!followed(edge)) continue;
    deliver(edge, std::move(out[i]), *node, i);
    const uint32_t child = find(edge.node.get());
    Task& task = tasks_[child];
    if (--task.dependencies == 0) ready_.push({task.node->sequence, child});
  }
}

std::vector<Tensor> Run::execute() {
  watching_ = gradient_watch.found && ((thread_state.interpreters & kWatching) || (innermost && innermost->watching_));
  Restore watch(thread_state.interpreters, uint8_t(thread_state.interpreters & ~kWatching));
  tasks_.reserve(32);  // small graphs then never move their tasks
  discover();
  captured_.resize(request_.captures.size());
  if (!request_.captures.empty()) mark_needed();
  for (size_t i = 0; i < request_.roots.size(); i++) {
    const Edge& root = request_.roots[i];
    Task& task = tasks_[find(root.node.get())];
    if (task.inputs.empty()) task.inputs.resize(std::max<size_t>(root.node->results.size(), size_t(root.slot) + 1));
    Tensor grad = request_.root_grads[i];
    if (!grad.defined()) continue;
    if (root.slot < root.node->results.size()) grad = fitted(std::move(grad), root.node->results[root.slot], *root.node, i);
    task.summed |= task.inputs[root.slot].defined();
    accumulate(task.inputs[root.slot], std::move(grad));
  }
  for (uint32_t i = 0; i < tasks_.size(); i++)
    if (tasks_[i].dependencies == 0) ready_.push({tasks_[i].node->sequence, i});
  Restore run(innermost, this);
  Restore mode(thread_state.grad_enabled, request_.create_graph);
  Restore recording(thread_state.below_autograd, false);
  while (!ready_.empty()) {
    const uint32_t index = ready_.top().second;
    ready_.pop();
    run_task(index);
  }
  return std::move(captured_);
}

}  // namespace

int64_t current_run() { return innermost ? innermost->number() : -1; }

bool runs_for_inputs() { return innermost && innermost->for_inputs(); }

bool will_execute(const Node& node) {
  check(innermost, "_get_should_execute_nodes should only be called during the backward pass");
  return innermost->will_execute(node);
}

std::vector<Tensor> run_backward(BackwardRequest request) {
  // roots without history contribute nothing
  BackwardRequest kept = std::move(request);
  std::vector<Edge> roots;
  std::vector<Tensor> grads;
  for (size_t i = 0; i < kept.roots.size(); i++) {
    if (!kept.roots[i].node || kept.roots[i].node->sequence < kept.since) continue;
    roots.push_back(std::move(kept.roots[i]));
    grads.push_back(std::move(kept.root_grads[i]));
  }
  kept.roots = std::move(roots);
  kept.root_grads = std::move(grads);
  Run run(kept);
  return run.execute();
}

}  // namespace tabula::autograd
