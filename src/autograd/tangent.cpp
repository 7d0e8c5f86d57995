#include "autograd/tangent.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_set>

#include "autograd/node.h"
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/view.h"

namespace tabula::autograd {

// One tangent, in the list of its level while that is open. `value` is gone afterwards.
struct TangentItem {
  Level level;
  Tensor value;
  TangentItem* next = nullptr;
  TangentItem** link = nullptr;  // what points to this item: the list's head or the one before
};

namespace {

// The lists are what threads share. No tensor is destroyed under the lock: that could come back here.
std::mutex lists_lock;
std::map<Level, TangentItem*>& open_lists() {
  static auto& lists = *new std::map<Level, TangentItem*>;  // outlives every tensor
  return lists;
}

void unlink(TangentItem& item) {
  if (!item.link) return;
  *item.link = item.next;
  if (item.next) item.next->link = item.link;
  item.link = nullptr;
}

bool same_layout(const Tensor& a, const Tensor& b) {
  if (!same(a.sizes(), b.sizes())) return false;
  for (size_t d = 0; d < a.sizes().size(); d++)
    if (a.sizes()[d] != 1 && a.strides()[d] != b.strides()[d]) return false;
  return true;
}

// The values of `value` in memory that is laid out as that of `t`.
Tensor laid_out_as(const Tensor& t, const Tensor& value) {
  if ((t.impl()->special | value.impl()->special) & (kParts | kDispatch)) return value;
  if (same_layout(t, value) || !is_non_overlapping_and_dense(t.sizes(), t.strides())) return value;
  const Tensor memory = Tensor::empty_strided(t.sizes(), t.strides(), value.dtype(), value.device());
  copy_.in_place(memory, value);
  return memory;
}

void put(const Tensor& t, Tensor value, Level level) {
  Meta& m = meta(t);
  if (!m.tangents) m.tangents = Ref<Tangents>(new Tangents);
  m.tangents->put(level, std::move(value));
  t.impl()->special |= kDual;
}

const Tangents* own_tangents(const Tensor& t) {
  if (!(t.impl()->special & kDual)) return nullptr;
  const Meta* m = meta_if_any(t);
  return m ? m->tangents.get() : nullptr;
}

// The base whose tangents are also those of the view `t`.
Tensor tangent_base(const Tensor& t) {
  if (!(t.impl()->special & kView)) return {};
  const Meta* m = meta_if_any(t);
  Tensor base(t.impl()->view_base);
  // bytes read as another type have no derivative
  if ((m && m->hides_tangent) || !is_differentiable(t.dtype()) || real_dtype(t.dtype()) != real_dtype(base.dtype())) return {};
  return base;
}

// The part of the base's tangent that belongs to a view of the base.
Tensor tangent_view(const Tensor& t, const Tensor& base, const Tensor& base_tangent) {
  Tensor from = base_tangent;
  int64_t start = t.offset() - base.offset();
  if (is_complex(base.dtype()) && !is_complex(t.dtype())) {
    from = view_as_real(from);
    start = t.offset() - 2 * base.offset();
  } else if (!is_complex(base.dtype()) && is_complex(t.dtype())) {
    from = view_as_complex(from);
    start = t.offset() - base.offset() / 2;
  }
  Tensor part = as_strided(from, t.sizes(), t.strides(), from.offset() + start);
  if (t.is_conj() != base.is_conj() && is_complex(t.dtype())) part = conj(part);
  return t.is_neg() != base.is_neg() ? neg(part) : part;
}

}  // namespace

Level open_level() {
  static std::atomic<Level> last{0};
  const Level level = last.fetch_add(1) + 1;
  const std::lock_guard guard(lists_lock);
  open_lists()[level] = nullptr;
  return level;
}

void close_level(Level level) {
  std::vector<Tensor> dropped;
  const std::lock_guard guard(lists_lock);
  const auto list = open_lists().find(level);
  if (list == open_lists().end()) return;
  for (TangentItem* item = list->second; item;) {
    TangentItem* next = item->next;
    dropped.push_back(std::move(item->value));
    item->link = nullptr;
    item = next;
  }
  open_lists().erase(list);
}

Tangents::Tangents() = default;

void Tangents::destroy(Tangents* tangents) { delete tangents; }

Tangents::~Tangents() {
  const std::lock_guard guard(lists_lock);
  for (const auto& item : items_) unlink(*item);
}

Tensor Tangents::find(Level level) const {
  for (const auto& item : items_)
    if (item->level == level) return item->value;
  return {};
}

void Tangents::put(Level level, Tensor value) {
  for (const auto& item : items_)
    if (item->level == level && item->value.defined()) {
      std::swap(item->value, value);
      return;
    }
  const std::lock_guard guard(lists_lock);
  const auto list = open_lists().find(level);
  if (list == open_lists().end()) return;
  std::erase_if(items_, [](const auto& item) { return !item->link; });
  TangentItem& item = *items_.emplace_back(std::make_unique<TangentItem>());
  item.level = level;
  item.value = std::move(value);
  item.next = list->second;
  item.link = &list->second;
  if (item.next) item.next->link = &item.next;
  list->second = &item;
}

bool Tangents::add_levels(std::vector<Level>& levels) const {
  const std::lock_guard guard(lists_lock);
  bool any = false;
  for (const auto& item : items_) {
    if (!item->link) continue;
    any = true;
    if (item->level >= thread_state.forward_limit) continue;
    if (std::find(levels.begin(), levels.end(), item->level) == levels.end()) levels.push_back(item->level);
  }
  return any;
}

void add_levels(const Tensor& t, std::vector<Level>& levels) {
  const auto look = [&](const Tensor& one) {
    const Tangents* tangents = own_tangents(one);
    if (!tangents || !tangents->add_levels(levels)) one.impl()->special &= uint8_t(~kDual);
  };
  look(t);
  if (const Tensor base = tangent_base(t); base.defined()) look(base);
  std::sort(levels.begin(), levels.end());
}

Tensor tangent(const Tensor& t, Level level) {
  if (const Tangents* own = own_tangents(t))
    if (Tensor value = own->find(level); value.defined()) return value;
  const Tensor base = tangent_base(t);
  if (!base.defined()) return {};
  const Tangents* of_base = own_tangents(base);
  const Tensor whole = of_base ? of_base->find(level) : Tensor();
  if (!whole.defined()) return {};
  put(t, tangent_view(t, base, whole), level);
  return meta(t).tangents->find(level);
}

void set_tangent(const Tensor& t, const Tensor& value, Level level) {
  put(t, t.impl()->special & kView ? value : laid_out_as(t, value), level);
}

void update_tangent(const Tensor& t, const Tensor& value, Level level) {
  Tensor current = tangent(t, level);
  if (!current.defined()) {
    const Tensor base = tangent_base(t);
    if (!base.defined()) {
      set_tangent(t, value, level);
      return;
    }
    set_tangent(base, zeros_like_raw(base), level);
    current = tangent(t, level);
  }
  const bool leaf = thread_state.grad_enabled && current.needs_grad() && is_leaf(current);
  if (leaf || !same_layout(current, t) || ((current.impl()->special | value.impl()->special) & kParts))
    set_tangent(t, value, level);
  else
    copy_(current, value);
}

Tensor primal(const Tensor& t, Level level, bool linked) {
  std::vector<Level> levels;
  if (t.is_dual()) add_levels(t, levels);
  const bool dual = !levels.empty() && levels.back() >= level;
  const bool history = t.needs_grad();
  if (!dual && (linked || !history) && !t.impl()->inference) return t;
  Tensor result;
  if (t.impl()->special & (kParts | kDispatch)) {
    Restore tangents(thread_state.forward_limit, uint64_t(0));
    Restore recording(thread_state.grad_enabled, linked);
    result = alias_view(t);
    meta(result).hides_tangent = true;
  } else {
    result = Tensor::alias(t);
    result.impl()->wrapped_number = t.impl()->wrapped_number;
    result.impl()->inference = false;
    if (linked && history) {
      const Edge edge = gradient_edge(t);
      Meta& m = meta(result);
      m.grad_fn = edge.node;
      m.slot = edge.slot;
      result.impl()->special |= kNeedsGrad;
    }
  }
  for (const Level lower : levels)
    if (lower < level) put(result, tangent(t, lower), lower);
  return result;
}

Tensor make_dual(const Tensor& t, const Tensor& value, Level level) {
  check(same(t.sizes(), value.sizes()),
        "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. Tensor is of size ",
        shape_text(t.sizes()), " while the given forward gradient is of size ", shape_text(value.sizes()), ".");
  const Tensor dual = alias_view(t);
  put(dual, laid_out_as(t, value), level);
  return dual;
}

Tensor without_tangent(const Tensor& t, Level level) {
  std::vector<Level> levels;
  if (t.is_dual()) add_levels(t, levels);
  Tensor result;
  {
    Restore tangents(thread_state.forward_limit, uint64_t(0));
    result = alias_view(t);
  }
  meta(result).hides_tangent = true;
  for (const Level lower : levels)
    if (lower < level) put(result, tangent(t, lower), lower);
  return result;
}

Tensor snapshot(const Tensor& t) {
  Tensor copy = clone_raw(t);
  std::vector<Level> levels;
  if (t.is_dual()) add_levels(t, levels);
  for (const Level level : levels) put(copy, clone(tangent(t, level)), level);
  return copy;
}

// The same elements without history or tangents.
static Tensor alone_over(const Tensor& t) { return t.impl()->special & (kParts | kDispatch) ? detach(t) : Tensor::alias(t); }

Tensor without_graph(const Tensor& t) {
  Tensor alone = alone_over(t);
  std::vector<Level> levels;
  if (t.is_dual()) add_levels(t, levels);
  for (const Level level : levels) put(alone, without_graph(tangent(t, level)), level);
  return alone;
}

Tensor fresh_leaf(const Tensor& t) {
  Tensor leaf = alone_over(t);
  std::vector<Level> levels;
  if (t.is_dual()) add_levels(t, levels);
  for (const Level level : levels) put(leaf, tangent(t, level), level);
  set_requires_grad(leaf, true);
  return leaf;
}

bool reaches_leaf(const std::vector<Tensor>& tensors, const std::vector<Tensor>& own) {
  std::unordered_set<const Node*> seen;
  for (const Tensor& t : own)
    if (t.needs_grad() && is_leaf(t)) seen.insert(gradient_edge(t).node.get());
  std::vector<Ref<Node>> stack;
  const auto visit = [&](const Ref<Node>& node) {
    if (node && seen.insert(node.get()).second) stack.push_back(node);
  };
  std::vector<Tensor> left = tensors;
  while (!left.empty()) {
    const Tensor t = recorded(left.back());
    left.pop_back();
    if (t.needs_grad()) visit(gradient_edge(t).node);
    std::vector<Level> levels;
    if (t.is_dual()) add_levels(t, levels);
    for (const Level level : levels) left.push_back(tangent(t, level));
  }
  while (!stack.empty()) {
    const Ref<Node> node = std::move(stack.back());
    stack.pop_back();
    if (dynamic_cast<const AccumulateGrad*>(node.get())) return true;
    for (const Edge& edge : node->next) visit(edge.node);
  }
  return false;
}

}  // namespace tabula::autograd
