// torch.autograd.Function: the node of a custom function, and the wiring of its outputs.
#include "autograd/saved.h"
#include "bindings/autograd.h"
#include "core/state.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/view.h"

namespace tabula::py {

using autograd::Node;
using autograd::SavedTensor;

PyTypeObject* function_node_type = nullptr;

namespace {

PyObject* apply_backward_name = nullptr;
PyObject* release_name = nullptr;

// Its ctx's `apply_backward` is the derivative. While the graph lasts the node owns the ctx, which points back without
// owning; when the graph goes and Python still holds the ctx, the ctx becomes the owner of the node.
class FunctionNode final : public Node {
 public:
  FunctionNode(PyObject* ctx, bool materialize) : ctx_(PyRef::borrow(ctx)), materialize_(materialize) {
    python = ctx;
    reinterpret_cast<PyNode*>(ctx)->node = this;
  }

  std::string name() const override { return type_name(object().get()); }

  void apply(std::vector<Tensor>& grads, std::vector<Tensor>& out) override {
    PyRef args = checked(PyTuple_New(Py_ssize_t(results.size())));
    for (size_t i = 0; i < results.size(); i++) {
      Tensor grad = i < grads.size() ? grads[i] : Tensor();
      if (!grad.defined() && materialize_ && is_tensor_[i]) grad = zeros_raw(results[i].sizes, results[i].dtype, results[i].device);
      PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), wrap(std::move(grad)));
    }
    PyRef ctx = object(), function = checked(PyObject_GetAttr(ctx.get(), apply_backward_name));
    PyRef given = checked(PyObject_CallObject(function.get(), args.get()));
    check(PyTuple_Check(given.get()) && PyTuple_GET_SIZE(given.get()) == Py_ssize_t(next.size()), "function ", name(),
          " returned an incorrect number of gradients (expected ", next.size(), ", got ",
          PyTuple_Check(given.get()) ? PyTuple_GET_SIZE(given.get()) : 1, ")");
    for (size_t i = 0; i < next.size(); i++) {
      PyObject* grad = PyTuple_GET_ITEM(given.get(), Py_ssize_t(i));
      if (grad == Py_None) continue;
      check(is_tensor(grad), "expected Variable or None (got ", type_name(grad), ")");
      if (next[i].node) out[i] = unwrap(grad);
    }
  }

  void release_saved() override {
    PyRef ctx = object();
    checked(PyObject_CallMethodNoArgs(ctx.get(), release_name));
  }

  bool outlives_graph() override {
    if (!ctx_ || !Py_IsInitialized() || Py_REFCNT(ctx_.get()) == 1) return false;
    keep_alive();
    const PyRef ctx = std::move(ctx_);
    owner_ = ctx.get();
    return true;
  }
  void forget_owner() {
    owner_ = nullptr;
    python = nullptr;
  }

  PyObject* context() const { return ctx_.get(); }
  void add_output(const Tensor* t) {
    is_tensor_.push_back(t != nullptr);
    if (t)
      add_result(*this, *t);
    else
      results.push_back({});
  }
  void add_recorded(const Tensor& t) {
    is_tensor_.push_back(true);
    set_history(t, Ref<Node>(this));
  }
  void add_rebased(const Tensor& t) {
    is_tensor_.push_back(true);
    rebase_history(t, Ref<Node>(this));
  }

 private:
  ~FunctionNode() override {
    if (!ctx_) return;
    if (Py_IsInitialized())
      reinterpret_cast<PyNode*>(ctx_.get())->node = nullptr;
    else
      ctx_.release();
  }

  // The ctx, whoever owns whom.
  PyRef object() const {
    PyObject* ctx = ctx_ ? ctx_.get() : owner_;
    check(ctx, "the ctx of this custom function is gone");
    return PyRef::borrow(ctx);
  }

  PyRef ctx_;
  PyObject* owner_ = nullptr;
  bool materialize_;
  std::vector<bool> is_tensor_;  // other outputs never get gradients
};

// The node while its outputs are wired.
struct Wiring {
  FunctionNode& node;
  PyObject *inputs, *outputs, *dirty, *non_differentiable;

  bool holds(PyObject* set, PyObject* o) const {
    const int found = PySet_Contains(set, o);
    checked(found);
    return found;
  }
  bool is_input(PyObject* o) const {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs); i++)
      if (PyTuple_GET_ITEM(inputs, i) == o) return true;
    return false;
  }
  // An input that comes back as it is: a view, so that it can have a history of its own.
  static Tensor view_of(const Tensor& t) {
    NoGrad guard;
    Tensor result = alias_view(t);
    result.impl()->view_kind = ViewKind::CustomFunction;
    return result;
  }
  PyObject* wire(PyObject* output);
};

PyObject* Wiring::wire(PyObject* output) {
  if (!is_tensor(output)) {
    node.add_output(nullptr);
    return Py_NewRef(output);
  }
  const Tensor t = unwrap(output);
  const bool input = is_input(output), modified = holds(dirty, output);
  if (holds(non_differentiable, output) || !is_differentiable(t.dtype())) {
    node.add_output(&t);
    if (t.needs_grad() && input) return wrap(detach(t));
    if (t.needs_grad()) {
      if (autograd::Meta* m = autograd::meta_if_any(t)) m->grad_fn.reset();
      autograd::set_requires_grad(t, false);
    }
    return input && !modified ? wrap(view_of(t)) : Py_NewRef(output);
  }
  if (modified) {
    check(!(t.needs_grad() && autograd::is_leaf(t)), "a leaf Variable that requires grad has been used in an in-place operation.");
    if (!input)
      warn_user("Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an input, there is no need to pass it to mark_dirty().");
    if (t.impl()->special & kView) {
      check(PyTuple_GET_SIZE(outputs) == 1,
            "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than one Tensor. "
            "This is not supported by the current autograd engine. You should either make sure the input is not a view (using .clone() for "
            "example) or make your Function only return one Tensor (potentially splitting it into two Functions: one doing the inplace that "
            "returns a single Tensor and a second one that does the other operations). You can ask on the forum https://discuss.pytorch.org/ if "
            "you need help to do this change.");
      autograd::check_in_place(t);
    }
    t.bump_version();
    node.add_rebased(t);
    return Py_NewRef(output);
  }
  if (input) {
    const Tensor view = view_of(t);
    node.add_recorded(view);
    return wrap(view);
  }
  if (t.impl()->special & kView) t.impl()->view_kind = ViewKind::CustomFunction;
  node.add_recorded(t);
  return Py_NewRef(output);
}

void check_dirty_returned(PyObject* dirty, PyObject* outputs) {
  PyRef iterator = checked(PyObject_GetIter(dirty));
  while (PyRef one = PyRef::steal(PyIter_Next(iterator.get()))) {
    bool found = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(outputs); i++) found |= PyTuple_GET_ITEM(outputs, i) == one.get();
    check(found,
          "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace must all be "
          "outputs of the Function.");
  }
  if (PyErr_Occurred()) throw PythonError{};
}

// _function_wrap(ctx, cls, inputs, outputs, dirty, non_differentiable, materialize_grads): the outputs, recorded.
PyObject* function_wrap(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 7 && PyObject_TypeCheck(args[0], function_node_type) && PyTuple_Check(args[2]) && PyTuple_Check(args[3]) &&
                   PyAnySet_Check(args[4]) && PyAnySet_Check(args[5]),
               "_function_wrap(ctx, cls, inputs, outputs, dirty, non_differentiable, materialize_grads)");
    PyObject *ctx = args[0], *inputs = args[2], *outputs = args[3];
    check(!reinterpret_cast<PyNode*>(ctx)->node, "this ctx is already a part of the autograd graph");
    check_dirty_returned(args[4], outputs);
    const Ref<Node> owner(new FunctionNode(ctx, args[6] == Py_True));
    auto& node = static_cast<FunctionNode&>(*owner);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs); i++) {
      PyObject* input = PyTuple_GET_ITEM(inputs, i);
      check_type(is_tensor(input), "_function_wrap(): inputs must be tensors");
      node.next.push_back(unwrap(input).needs_grad() ? autograd::gradient_edge(unwrap(input)) : autograd::Edge{});
    }
    Wiring wiring{node, inputs, outputs, args[4], args[5]};
    PyRef result = checked(PyTuple_New(PyTuple_GET_SIZE(outputs)));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(outputs); i++)
      PyTuple_SET_ITEM(result.get(), i, checked(wiring.wire(PyTuple_GET_ITEM(outputs, i))).release());
    return result.release();
  });
}

// ---- what ctx.save_for_backward keeps ----

struct PySaved {
  PyObject_HEAD
  std::vector<std::pair<bool, SavedTensor>> items;  // is there a tensor?
};
PyTypeObject* saved_type = nullptr;

void saved_dealloc(PyObject* o) {
  auto& items = reinterpret_cast<PySaved*>(o)->items;
  items.~vector();
  free_object(o);
}

PyObject* saved_pack(PyObject*, PyObject* args) {
  PyObject *tensors, *ctx;
  if (!PyArg_ParseTuple(args, "O!O!:_saved_pack", &PyTuple_Type, &tensors, function_node_type, &ctx)) return nullptr;
  return guarded([&]() -> PyObject* {
    const Node* node = reinterpret_cast<PyNode*>(ctx)->node;
    std::vector<std::pair<bool, SavedTensor>> items;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tensors); i++) {
      PyObject* one = PyTuple_GET_ITEM(tensors, i);
      if (!is_tensor(one)) {
        items.emplace_back(false, SavedTensor());
        continue;
      }
      const Tensor& t = unwrap(one);
      items.emplace_back(true, SavedTensor(t, node && autograd::grad_fn(t).get() == node));
    }
    auto* self = PyObject_New(PySaved, saved_type);
    if (!self) throw PythonError{};
    new (&self->items) std::vector<std::pair<bool, SavedTensor>>(std::move(items));
    return reinterpret_cast<PyObject*>(self);
  });
}

PyObject* saved_unpack(PyObject*, PyObject* args) {
  PyObject *packed, *ctx;
  if (!PyArg_ParseTuple(args, "O!O!:_saved_unpack", saved_type, &packed, function_node_type, &ctx)) return nullptr;
  return guarded([&]() -> PyObject* {
    const Ref<Node> owner(reinterpret_cast<PyNode*>(ctx)->node);
    const auto& items = reinterpret_cast<PySaved*>(packed)->items;
    PyRef keep = PyRef::borrow(packed), result = checked(PyTuple_New(Py_ssize_t(items.size())));
    for (size_t i = 0; i < items.size(); i++)
      PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), checked(wrap(items[i].first ? items[i].second.unpack(owner) : Tensor())).release());
    return result.release();
  });
}

// ---- ctx ----

PyObject* context_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self) reinterpret_cast<PyNode*>(self)->node = nullptr;
  return self;
}
// A ctx that dies with a node owns it: the other way round the node would keep it alive.
void context_dealloc(PyObject* o) {
  if (Node* node = std::exchange(reinterpret_cast<PyNode*>(o)->node, nullptr)) {
    static_cast<FunctionNode*>(node)->forget_owner();
    const Ref<Node> owned = Ref<Node>::adopt(node);
  }
  free_object(o);
}

PyMethodDef functions[] = {{"_function_wrap", method(function_wrap), METH_FASTCALL, nullptr},
                           {"_saved_pack", saved_pack, METH_VARARGS, nullptr},
                           {"_saved_unpack", saved_unpack, METH_VARARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* function_context(Node& node) {
  auto* function = dynamic_cast<FunctionNode*>(&node);
  return function ? function->context() : nullptr;
}

void add_function_nodes(PyObject* module) {
  apply_backward_name = checked(PyUnicode_InternFromString("apply_backward")).release();
  release_name = checked(PyUnicode_InternFromString("release_variables")).release();
  static PyType_Slot context_slots[] = {{Py_tp_new, slot(context_new)}, {Py_tp_dealloc, slot(context_dealloc)}, {0, nullptr}};
  static PyType_Spec context_spec{"torch._C._FunctionBase", sizeof(PyNode), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, context_slots};
  function_node_type = add_type(module, context_spec, node_type);
  static PyType_Slot saved_slots[] = {{Py_tp_dealloc, slot(saved_dealloc)}, {0, nullptr}};
  static PyType_Spec saved_spec{"torch._C._SavedTensors", sizeof(PySaved), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, saved_slots};
  saved_type = add_type(module, saved_spec);
  add_functions(module, functions);
}

}  // namespace tabula::py
