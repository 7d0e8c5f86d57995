// What the autograd binding files share.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "autograd/engine.h"
#include "autograd/node.h"
#include "bindings/helpers.h"
#include "bindings/tensor_type.h"

namespace tabula::py {

// The Python object of a graph node. That of an operation's node owns the node; of a custom function it is the `ctx`
// object, which the node owns, and `node` is null before the node is made and after it is gone.
struct PyNode {
  PyObject_HEAD
  autograd::Node* node;
};

extern PyTypeObject* node_type;           // torch._C._NodeBase, base of all node classes
extern PyTypeObject* function_node_type;  // torch._C._FunctionBase, base of ctx classes

autograd::Node& unwrap_node(PyObject* o);

// Python callables as hooks: named types, so that the collector can find them inside a std::function.
struct TensorHookCall {
  PyRef callable;
  Tensor operator()(const Tensor& grad) const;
};
struct AccumulatedHookCall {
  PyRef callable;
  void operator()(const Tensor& leaf) const;
};
struct PreHookCall {
  PyRef callable;
  void operator()(std::vector<Tensor>& grad_outputs) const;
};
struct PostHookCall {
  PyRef callable;
  void operator()(std::vector<Tensor>& grad_inputs, const std::vector<Tensor>& grad_outputs) const;
};

// What register_hook and the like return: removes the hook once, on remove() or at the end of a with block.
PyObject* make_hook_handle(uint64_t id, std::function<void()> remove);

template <class F>
std::function<void()> hook_remover(std::weak_ptr<autograd::HookList<F>> list, uint64_t id) {
  return [list, id] {
    if (auto hooks = list.lock()) std::erase_if(*hooks, [&](const auto& hook) { return hook.id == id; });
  };
}

// The ctx that a custom function's node owns, or null for other nodes.
PyObject* function_context(autograd::Node& node);

// Calls pack(tensor); the handle that the saved tensor then owns, as autograd::saved_hooks.pack returns.
void* pack_saved(const Tensor& t, PyObject* pack, PyObject* unpack);

// Parts of add_autograd.
void add_node_types(PyObject* module);
void add_function_nodes(PyObject* module);
void add_saved_hooks(PyObject* module);
void add_grad_modes(PyObject* module);
void add_torch_function(PyObject* module);
void add_forward_mode(PyObject* module);
PyMethodDef torch_function_method();  // Tensor.__torch_function__

}  // namespace tabula::py
