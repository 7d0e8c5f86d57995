#include "autograd/saved.h"

#include "core/error.h"

namespace tabula::autograd {

SavedHooks saved_hooks;
std::string modified_text(const Tensor& t, const std::string& producer, uint32_t now, uint32_t expected);

void fail_released() {
  fail(ErrorKind::Runtime,
       "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate "
       "values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph "
       "a second time or if you need to access saved tensors after calling backward.");
}

namespace {

void share_tangents(const Tensor& to, const Tensor& from) {
  if (!(from.impl()->special & kDual)) [[likely]]
    return;
  meta(to).tangents = meta(from).tangents;
  to.impl()->special |= kDual;
}

// `t` as result `slot` of `node`, made anew each time: the node must never own a tensor that owns the node.
Tensor linked(const Tensor& t, const Ref<Node>& node, uint32_t slot) {
  Tensor result = Tensor::alias(t);
  Meta& m = meta(result);
  m.grad_fn = node;
  m.slot = slot;
  result.impl()->special |= kNeedsGrad;
  share_tangents(result, t);
  return result;
}

// An alias keeps the tensor's tangents for a derivative that is itself taken in forward mode.
Tensor alias_with_tangents(const Tensor& t) {
  Tensor result = Tensor::alias(t);
  share_tangents(result, t);
  return result;
}

}  // namespace

SavedTensor::SavedTensor(const Tensor& tensor, bool is_output) : version_(tensor.impl()->version()), is_output_(is_output) {
  check(!tensor.impl()->inference, "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
        "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use "
        "`torch.no_grad()` instead of `torch.inference_mode()`.");
  if (is_output) slot_ = meta_if_any(tensor) ? meta_if_any(tensor)->slot : 0;
  if (saved_hooks.active && saved_hooks.active()) [[unlikely]] {
    if (!is_output) {
      const Edge edge = gradient_edge(tensor);
      history_ = edge.node;
      slot_ = edge.slot;
    }
    packed_ = saved_hooks.pack(Tensor::alias(tensor));
    return;
  }
  tensor_ = is_output ? alias_with_tangents(tensor) : tensor;
}

void SavedTensor::pack_with(void* (*pack)(const Tensor&, void* context), void* context) {
  check(!packed_, "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is allowed at a time.");
  if (!tensor_.defined()) fail_released();
  packed_ = pack(Tensor::alias(tensor_), context);
  if (!is_output_) {
    const Edge edge = gradient_edge(tensor_);
    history_ = edge.node;
    slot_ = edge.slot;
  }
  tensor_ = Tensor();
}

SavedTensor& SavedTensor::operator=(SavedTensor&& other) noexcept {
  std::swap(tensor_, other.tensor_);
  std::swap(version_, other.version_);
  std::swap(slot_, other.slot_);
  std::swap(is_output_, other.is_output_);
  std::swap(packed_, other.packed_);
  std::swap(history_, other.history_);
  return *this;
}

void SavedTensor::reset() {
  tensor_ = Tensor();
  if (packed_) saved_hooks.drop(packed_);
  packed_ = nullptr;
  history_.reset();
}

Tensor SavedTensor::unpack(const Ref<Node>& owner) const {
  if (packed_) {
    const Tensor t = saved_hooks.unpack(packed_);
    const Ref<Node>& node = is_output_ ? owner : history_;
    return node ? linked(t, node, slot_) : t;
  }
  if (!tensor_.defined()) fail_released();
  const uint32_t now = tensor_.impl()->version();
  if (now != version_) [[unlikely]] {
    std::string producer;
    if (is_output_)
      producer = concat(", which is output ", slot_, " of ", operation_name(*owner), ",");
    else if (const Ref<Node> fn = grad_fn(tensor_))
      producer = concat(", which is output ", meta_if_any(tensor_)->slot, " of ", operation_name(*fn), ",");
    fail(ErrorKind::Runtime, modified_text(tensor_, producer, now, version_));
  }
  return is_output_ ? linked(tensor_, owner, slot_) : tensor_;
}

}  // namespace tabula::autograd
