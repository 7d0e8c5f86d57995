// A tensor kept for the derivative, with the check that nobody has written to it since.
#pragma once

#include "autograd/node.h"

namespace tabula::autograd {

// torch.autograd.graph.saved_tensors_hooks: installed by the bindings.
struct SavedHooks {
  bool (*active)() = nullptr;                   // is a pack hook in force?
  void* (*pack)(const Tensor&) = nullptr;       // returns an owned handle (with its unpack hook)
  Tensor (*unpack)(void*) = nullptr;
  void (*drop)(void*) = nullptr;
};
extern SavedHooks saved_hooks;

class SavedTensor {
 public:
  SavedTensor() = default;
  // is_output: the tensor is made by the node that saves it, so a plain reference would be a cycle
  SavedTensor(const Tensor& tensor, bool is_output);
  SavedTensor(SavedTensor&& other) noexcept { *this = std::move(other); }
  SavedTensor& operator=(SavedTensor&& other) noexcept;
  ~SavedTensor() { reset(); }
  Tensor unpack(const Ref<Node>& owner) const;
  // Packs a tensor that is held as it is; `pack` returns a handle as saved_hooks.pack does.
  void pack_with(void* (*pack)(const Tensor&, void* context), void* context);
  bool packed() const { return packed_ != nullptr; }
  void reset();

 private:
  Tensor tensor_;
  uint32_t version_ = 0, slot_ = 0;
  bool is_output_ = false;
  void* packed_ = nullptr;
  Ref<Node> history_;  // of a packed input: what comes back from unpacking has lost it
};

[[noreturn]] void fail_released();

}  // namespace tabula::autograd
