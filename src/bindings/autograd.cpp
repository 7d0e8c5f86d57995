// The engine's Python entry points, autograd's methods of Tensor, and its share of garbage collection.
#include "bindings/autograd.h"

#include "bindings/operations.h"
#include "core/state.h"
#include "interp/vmap.h"
#include "ops/factory.h"

namespace tabula::py {

using autograd::BackwardRequest;
using autograd::Edge;
using autograd::Node;

namespace {

// A torch.autograd.graph.GradientEdge: a named tuple (node, output number, ...).
bool is_gradient_edge(PyObject* o) {
  return PyTuple_Check(o) && PyTuple_GET_SIZE(o) >= 2 && PyObject_TypeCheck(PyTuple_GET_ITEM(o, 0), node_type);
}
Edge unwrap_edge(PyObject* o) {
  const int64_t slot = unwrap_int(PyTuple_GET_ITEM(o, 1));
  check(slot >= 0, "GradientEdge: the output number must not be negative");
  return {Ref<Node>(&unwrap_node(PyTuple_GET_ITEM(o, 0))), uint32_t(slot)};
}

void warn_about_cycle() {
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  warn_user(
      "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which can cause a memory "
      "leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use this function, make sure to reset the "
      ".grad fields of your parameters to None after use to break the cycle and avoid the leak.");
}

void add_roots(BackwardRequest& request, PyObject* tensors, PyObject* grads) {
  const Py_ssize_t n = PyTuple_GET_SIZE(tensors);
  check(PyTuple_GET_SIZE(grads) == n, "got ", n, " tensors and ", PyTuple_GET_SIZE(grads), " gradients");
  request.roots.reserve(size_t(n));
  request.root_grads.reserve(size_t(n));
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject *root = PyTuple_GET_ITEM(tensors, i), *grad = PyTuple_GET_ITEM(grads, i);
    const bool edge = is_gradient_edge(root);
    check_type(edge || is_tensor(root), "element ", i, " of tensors tuple is not a Tensor or a GradientEdge");
    Edge at = edge ? unwrap_edge(root) : autograd::gradient_edge(unwrap(root));
    check(bool(at.node), "element ", i, " of tensors does not require grad and does not have a grad_fn");
    check(grad != Py_None, "element ", i, " of gradients tuple is None, but the corresponding Tensor requires grad");
    check_type(is_tensor(grad), "element ", i, " of gradients tuple is not a Tensor or None");
    request.roots.push_back(std::move(at));
    request.root_grads.push_back(edge ? unwrap(grad) : vmap::behind_all(unwrap(grad), unwrap(root)));
  }
}

void add_captures(BackwardRequest& request, PyObject* inputs) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs); i++) {
    PyObject* input = PyTuple_GET_ITEM(inputs, i);
    if (is_gradient_edge(input)) {
      request.captures.push_back(unwrap_edge(input));
      continue;
    }
    check_type(is_tensor(input), "all inputs have to be Tensors or GradientEdges, but got ", type_name(input));
    const Tensor& t = unwrap(input);
    check(autograd::recorded(t).needs_grad(), "One of the differentiated Tensors does not require grad");
    if (request.accumulate && !autograd::is_leaf(t)) autograd::retain_grad(t);
    const autograd::Meta* m = autograd::meta_if_any(t);
    // a leaf without an accumulator is in no graph
    const bool unused = autograd::is_leaf(t) && !(m && m->accumulator);
    request.captures.push_back(unused ? Edge{} : autograd::gradient_edge(t));
  }
}

// A gradient by what all examples share would be the sum over them, which none of them may see.
void check_own_examples(PyObject* outputs, PyObject* inputs) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(outputs); i++) {
    if (!is_tensor(PyTuple_GET_ITEM(outputs, i))) continue;
    const Tensor& output = unwrap(PyTuple_GET_ITEM(outputs, i));
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(inputs); k++)
      check(!is_tensor(PyTuple_GET_ITEM(inputs, k)) || vmap::spread_like(unwrap(PyTuple_GET_ITEM(inputs, k)), output).is(unwrap(PyTuple_GET_ITEM(inputs, k))),
            "element ", i, " of tensors does not require grad and does not have a grad_fn\nHint: inside vmap, the tensor that is differentiated by is shared by "
            "all examples. torch.func.grad, vjp and jacrev give each example a derivative of its own.");
  }
}

// _engine_run_backward(tensors, grads, retain_graph, create_graph, inputs, allow_unused, accumulate)
PyObject* engine_run(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 7 && PyTuple_Check(args[0]) && PyTuple_Check(args[1]) && PyTuple_Check(args[4]),
               "_engine_run_backward(tensors, grads, retain_graph, create_graph, inputs, allow_unused, accumulate)");
    const auto flag = [&](int i) {
      const int value = PyObject_IsTrue(args[i]);
      checked(value);
      return value != 0;
    };
    BackwardRequest request;
    request.keep_graph = flag(2);
    request.create_graph = flag(3);
    request.accumulate = flag(6);
    check(!request.accumulate || vmap::depth() == 0,
          "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp instead or call backward() outside of "
          "functorch transforms.");
    const bool allow_unused = flag(5);
    add_roots(request, args[0], args[1]);
    add_captures(request, args[4]);
    check_own_examples(args[0], args[4]);
    if (request.accumulate && request.create_graph) warn_about_cycle();
    std::vector<Tensor> grads = run_backward(std::move(request));
    for (size_t i = 0; i < grads.size(); i++) {
      PyObject* input = PyTuple_GET_ITEM(args[4], Py_ssize_t(i));
      if (grads[i].defined() && is_tensor(input)) grads[i] = vmap::shown_as(grads[i], unwrap(input));
    }
    if (!allow_unused)
      for (size_t i = 0; i < grads.size(); i++)
        check(grads[i].defined(), "The differentiated Tensor at index ", i, " appears to not have been used in the graph. Set allow_unused=True if this is the "
              "desired behavior.");
    return wrap_tuple(grads);
  });
}

// ---- Tensor.backward ----

// The plain call `loss.backward()`, and with a gradient that needs no look; others go through torch.autograd.backward.
bool plain_backward(const Tensor& t, PyObject* gradient, PyObject* inputs, Tensor& grad) {
  if (inputs || !t.needs_grad()) return false;
  if (gradient) {
    if (!is_tensor(gradient)) return false;
    grad = unwrap(gradient);
    return same(grad.sizes(), t.sizes()) && is_complex(grad.dtype()) == is_complex(t.dtype());
  }
  if (t.numel() != 1 || !is_floating(t.dtype()) || (t.impl()->special & kDispatch) || calls_may_be_taken()) return false;
  grad = full_raw(t.sizes(), Scalar(1.0), t.dtype(), t.device());
  return true;
}

PyObject* python_backward(PyObject* const* bound, PyObject* self) {
  PyRef module = checked(PyImport_ImportModule("torch.autograd"));
  PyRef function = checked(PyObject_GetAttrString(module.get(), "backward"));
  const auto or_none = [](PyObject* o) { return o ? o : Py_None; };
  PyRef args = checked(PyTuple_Pack(4, self, or_none(bound[0]), or_none(bound[1]), bound[2] ? bound[2] : Py_False));
  PyRef kwargs = checked(Py_BuildValue("{sO}", "inputs", or_none(bound[3])));
  return PyObject_Call(function.get(), args.get(), kwargs.get());
}

PyObject* tensor_backward(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* names[] = {"gradient", "retain_graph", "create_graph", "inputs"};
    const Arguments call{self, args, n, kwnames};
    if (torch_function_needed(call)) [[unlikely]] {
      PyRef callable = checked(PyObject_GetAttrString(as_object(tensor_type), "backward"));
      PyObject* result;
      if (call_torch_function(callable.get(), call, &result)) return result;
    }
    PyObject* bound[4] = {};
    if (n || kwnames) {
      bind_arguments({"Tensor.backward", names, 4, 0}, args, n, kwnames, bound);
      for (PyObject*& one : bound)
        if (one == Py_None) one = nullptr;
    }
    const int create = bound[2] ? PyObject_IsTrue(bound[2]) : 0;
    checked(create);
    const int keep = bound[1] ? PyObject_IsTrue(bound[1]) : create;
    checked(keep);
    const Tensor t = unwrap(self);
    Tensor grad;
    if (create || vmap::depth() > 0 || !plain_backward(t, bound[0], bound[3], grad)) return python_backward(bound, self);
    BackwardRequest request;
    request.keep_graph = keep;
    request.roots.push_back(autograd::gradient_edge(t));
    request.root_grads.push_back(std::move(grad));
    run_backward(std::move(request));
    Py_RETURN_NONE;
  });
}

// ---- hooks ----

PyObject* register_hook(PyObject* self, PyObject* callable) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check(t.needs_grad(), "cannot register a hook on a tensor that doesn't require gradient");
    const uint64_t id = autograd::add_tensor_hook(t, TensorHookCall{PyRef::borrow(callable)});
    return make_hook_handle(id, hook_remover<autograd::TensorHook>(autograd::meta(t).hooks, id));
  });
}

PyObject* register_accumulated_hook(PyObject* self, PyObject* callable) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check(t.needs_grad(), "cannot register a hook on a tensor that doesn't require gradient");
    check(autograd::is_leaf(t), "post accumulate grad hooks cannot be registered on non-leaf tensors");
    const uint64_t id = autograd::add_accumulated_hook(t, AccumulatedHookCall{PyRef::borrow(callable)});
    return make_hook_handle(id, hook_remover<autograd::AccumulatedHook>(autograd::meta(t).post_accumulate, id));
  });
}

PyObject* retain_grad_py(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    autograd::retain_grad(unwrap(self));
    Py_RETURN_NONE;
  });
}

PyObject* requires_grad_(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* names[] = {"requires_grad"};
    PyObject* value = nullptr;
    bind_arguments({"requires_grad_", names, 1, 0}, args, n, kwnames, &value);
    if (value && !PyBool_Check(value)) fail_argument("requires_grad_", "requires_grad", "bool", value);
    const bool wanted = value != Py_False;
    const Tensor& t = unwrap(self);
    check(vmap::depth() == 0,
          "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.* APIs) inside of a function being transformed by a "
          "functorch transform. This is unsupported, please attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call "
          "requires_grad_() outside of a function being transformed instead.");
    check(wanted || autograd::is_leaf(t),
          "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require "
          "differentiation use var_no_grad = var.detach().");
    autograd::set_requires_grad(t, wanted);
    return Py_NewRef(self);
  });
}

PyObject* detach_(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check(!(t.impl()->special & kView),
          "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and "
          "gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called on these gradients. To "
          "fix this error, please refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution.");
    if (autograd::Meta* m = autograd::meta_if_any(t)) {
      m->unlink_retained();
      m->grad_fn.reset();
      m->slot = 0;
    }
    autograd::set_requires_grad(t, false);
    return Py_NewRef(self);
  });
}

PyMethodDef methods[] = {
    {"backward", method(tensor_backward), METH_FASTCALL | METH_KEYWORDS,
     "backward(gradient=None, retain_graph=None, create_graph=False, inputs=None)\n\nAdds this tensor's gradients to the `grad` of the graph's leaves."},
    {"register_hook", register_hook, METH_O, "calls hook(grad) whenever the gradient of this tensor is computed; a result replaces it"},
    {"register_post_accumulate_grad_hook", register_accumulated_hook, METH_O, "calls hook(tensor) after a gradient was added to its grad"},
    {"retain_grad", retain_grad_py, METH_NOARGS, "makes backward keep this non-leaf's gradient in `grad`"},
    {"requires_grad_", method(requires_grad_), METH_FASTCALL | METH_KEYWORDS, "sets requires_grad and returns the tensor"},
    {"detach_", detach_, METH_NOARGS, "takes the tensor out of the graph that made it, making it a leaf"},
    {nullptr, nullptr, 0, nullptr},
    {nullptr, nullptr, 0, nullptr}};

// ---- functions ----

PyObject* get_accumulator(PyObject*, PyObject* o) {
  return guarded([&]() -> PyObject* {
    check_type(is_tensor(o), "_get_grad_accumulator(): argument must be Tensor, not ", type_name(o));
    const Tensor& t = unwrap(o);
    check(t.needs_grad() && autograd::is_leaf(t), "only leaf tensors that require grad have a gradient accumulator");
    return node_object(autograd::accumulator(t).get());
  });
}

PyObject* increment_version(PyObject*, PyObject* o) {
  return guarded([&]() -> PyObject* {
    PyRef items = is_tensor(o) ? checked(PyTuple_Pack(1, o)) : checked(PySequence_Tuple(o));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); i++) {
      PyObject* one = PyTuple_GET_ITEM(items.get(), i);
      check_type(is_tensor(one), "increment_version(): expected a Tensor, but got ", type_name(one));
      check(!unwrap(one).impl()->inference, "increment_version on an inference tensor is not allowed");
      unwrap(one).bump_version();
    }
    Py_RETURN_NONE;
  });
}

PyObject* will_execute(PyObject*, PyObject* o) {
  return guarded([&]() -> PyObject* { return PyBool_FromLong(autograd::will_execute(unwrap_node(o))); });
}

PyObject* is_checkpoint_valid(PyObject*, PyObject*) { return PyBool_FromLong(!autograd::runs_for_inputs()); }
PyObject* current_task(PyObject*, PyObject*) { return PyLong_FromLongLong(autograd::current_run()); }

// Exchanges everything but identity: each object becomes the Python side of the other's tensor.
PyObject* swap_tensors(PyObject*, PyObject* args) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "O!O!:_swap_tensors", tensor_type, &a, tensor_type, &b)) return nullptr;
  auto &ta = reinterpret_cast<PyTensor*>(a)->tensor, &tb = reinterpret_cast<PyTensor*>(b)->tensor;
  hold_by_python(a);
  hold_by_python(b);
  std::swap(ta, tb);
  ta.impl()->python = a;
  tb.impl()->python = b;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"_engine_run_backward", method(engine_run), METH_FASTCALL, nullptr},
    {"_get_grad_accumulator", get_accumulator, METH_O, nullptr},
    {"_increment_version", increment_version, METH_O, nullptr},
    {"_will_engine_execute_node", will_execute, METH_O, nullptr},
    {"_is_checkpoint_valid", is_checkpoint_valid, METH_NOARGS, "false inside a backward pass that was asked for some gradients only"},
    {"_current_graph_task_id", current_task, METH_NOARGS, nullptr},
    {"_swap_tensors", swap_tensors, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

template <class Call, class F>
int visit_hooks(const autograd::HookList<F>& hooks, visitproc visit, void* arg) {
  for (const auto& hook : hooks)
    if (const Call* call = hook.run.template target<Call>()) Py_VISIT(call->callable.get());
  return 0;
}

// The list is also in its node, so it is the tensor's alone if the node is.
bool owns_hooks(const autograd::Meta& m, bool sole_node) { return m.hooks && m.hooks.use_count() <= 1 + (sole_node ? 1 : 0); }

bool owns_node(const autograd::Meta& m) { return m.grad_fn && m.grad_fn->use_count() == 1; }

int visit_node(Node& node, visitproc visit, void* arg) {
  Py_VISIT(function_context(node));
  const autograd::NodeHooks* hooks = node.hooks_if_any();
  if (!hooks) return 0;
  if (int status = visit_hooks<PreHookCall>(hooks->pre, visit, arg)) return status;
  if (int status = visit_hooks<PostHookCall>(hooks->post, visit, arg)) return status;
  Py_VISIT(static_cast<PyObject*>(hooks->metadata.get()));
  return 0;
}

}  // namespace

PyMethodDef* autograd_methods() {
  constexpr size_t count = sizeof methods / sizeof *methods;
  methods[count - 2] = torch_function_method();
  return methods;
}

// The caller has checked that only its own object holds the tensor. What is reported here must be the tensor's alone
// too, or the collector would take it for garbage that others still use.
int visit_autograd(const Tensor& t, visitproc visit, void* arg) {
  const autograd::Meta* m = autograd::meta_if_any(t);
  if (!m) return 0;
  const bool sole_node = owns_node(*m);
  if (owns_hooks(*m, sole_node))
    if (int status = visit_hooks<TensorHookCall>(*m->hooks, visit, arg)) return status;
  if (m->post_accumulate && m->post_accumulate.use_count() == 1)
    if (int status = visit_hooks<AccumulatedHookCall>(*m->post_accumulate, visit, arg)) return status;
  return sole_node ? visit_node(*m->grad_fn, visit, arg) : 0;
}

void clear_autograd(const Tensor& t) {
  autograd::Meta* m = autograd::meta_if_any(t);
  if (!m) return;
  const bool sole_node = owns_node(*m);
  const auto hooks = owns_hooks(*m, sole_node) ? std::exchange(m->hooks, nullptr) : nullptr;
  const auto accumulated = m->post_accumulate && m->post_accumulate.use_count() == 1 ? std::exchange(m->post_accumulate, nullptr) : nullptr;
  if (!sole_node) return;
  m->unlink_retained();
  const Ref<Node> node = std::exchange(m->grad_fn, Ref<Node>());
}

void add_autograd(PyObject* module) {
  add_node_types(module);
  add_function_nodes(module);
  add_saved_hooks(module);
  add_grad_modes(module);
  add_torch_function(module);
  add_forward_mode(module);
  add_functions(module, functions);
}

}  // namespace tabula::py
