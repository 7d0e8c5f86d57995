// Graph nodes as Python objects: one class per node name, one object per node.
#include <map>
#include <string>

#include "autograd/saved.h"
#include "bindings/autograd.h"
#include "ops/value.h"

namespace tabula::py {

using autograd::Edge;
using autograd::Node;
using autograd::SavedItem;
using autograd::SavedTensor;

PyTypeObject* node_type = nullptr;

namespace {

PyTypeObject* metadata_type = nullptr;
PyTypeObject* saved_tensor_type = nullptr;
PyTypeObject* handle_type = nullptr;

PyNode* as_node(PyObject* o) { return reinterpret_cast<PyNode*>(o); }

// ---- handles ----

struct PyHandle {
  PyObject_HEAD
  uint64_t id;
  std::function<void()> remove;
};

void handle_dealloc(PyObject* o) {
  reinterpret_cast<PyHandle*>(o)->remove.~function();
  free_object(o);
}
PyObject* handle_remove(PyObject* o, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (auto remove = std::exchange(reinterpret_cast<PyHandle*>(o)->remove, nullptr)) remove();
    Py_RETURN_NONE;
  });
}
PyObject* handle_enter(PyObject* o, PyObject*) { return Py_NewRef(o); }
PyObject* handle_exit(PyObject* o, PyObject*) { return handle_remove(o, nullptr); }

PyMethodDef handle_methods[] = {{"remove", handle_remove, METH_NOARGS, "removes the hook"},
                                {"__enter__", handle_enter, METH_NOARGS, nullptr},
                                {"__exit__", handle_exit, METH_VARARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};
PyObject* handle_id(PyObject* o, void*) { return PyLong_FromUnsignedLongLong(reinterpret_cast<PyHandle*>(o)->id); }
PyGetSetDef handle_getset[] = {{"id", handle_id, nullptr, "number of the hook", nullptr}, {nullptr, nullptr, nullptr, nullptr, nullptr}};

// ---- what a node expects of its gradients ----

struct PyInputMetadata {
  PyObject_HEAD
  autograd::ResultMeta meta;
};

const autograd::ResultMeta& result_meta(PyObject* o) { return reinterpret_cast<PyInputMetadata*>(o)->meta; }
void metadata_dealloc(PyObject* o) {
  reinterpret_cast<PyInputMetadata*>(o)->meta.~ResultMeta();
  free_object(o);
}
PyObject* metadata_shape(PyObject* o, void*) { return wrap_size(result_meta(o).sizes); }
PyObject* metadata_dtype(PyObject* o, void*) { return wrap(result_meta(o).dtype); }
PyObject* metadata_device(PyObject* o, void*) { return wrap(result_meta(o).device); }
PyObject* metadata_false(PyObject*, void*) { return Py_NewRef(Py_False); }

PyGetSetDef metadata_getset[] = {{"shape", metadata_shape, nullptr, nullptr, nullptr},
                                 {"dtype", metadata_dtype, nullptr, nullptr, nullptr},
                                 {"device", metadata_device, nullptr, nullptr, nullptr},
                                 {"is_nested_tensor", metadata_false, nullptr, nullptr, nullptr},
                                 {"is_cpp_nested_tensor", metadata_false, nullptr, nullptr, nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};

// ---- saved tensors, as objects to register hooks on ----

struct PySavedTensor {
  PyObject_HEAD
  Ref<Node> owner;
  SavedTensor* saved;  // lives in owner
};

void saved_dealloc(PyObject* o) {
  reinterpret_cast<PySavedTensor*>(o)->owner.~Ref();
  free_object(o);
}

PyObject* wrap_saved(Node& node, SavedTensor* saved) {
  auto* self = PyObject_New(PySavedTensor, saved_tensor_type);
  if (!self) throw PythonError{};
  new (&self->owner) Ref<Node>(&node);
  self->saved = saved;
  return reinterpret_cast<PyObject*>(self);
}

// `_saved_NAME` and `_raw_saved_NAME`; null without an error if the node keeps nothing of that name.
PyObject* saved_attribute(Node& node, std::string_view name, bool raw) {
  const Ref<Node> owner(&node);
  PyRef list;
  for (const SavedItem& item : node.saved_items()) {
    if (item.name != name) continue;
    if (!item.tensor) return raw ? nullptr : wrap_value(*item.value);
    PyRef one = checked(raw ? wrap_saved(node, item.tensor) : wrap(item.tensor->unpack(owner)));
    if (!item.in_list) return one.release();
    if (!list) list = checked(PyList_New(0));
    checked(PyList_Append(list.get(), one.get()));
  }
  return list ? PyList_AsTuple(list.get()) : nullptr;
}

// ---- nodes ----

void node_dealloc(PyObject* o) {
  PyNode* self = as_node(o);
  if (Node* node = std::exchange(self->node, nullptr)) {
    node->python = nullptr;
    const Ref<Node> owned = Ref<Node>::adopt(node);
  }
  free_object(o);
}

PyObject* node_getattro(PyObject* o, PyObject* name) {
  PyObject* found = PyObject_GenericGetAttr(o, name);
  if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(name, &size);
  const std::string_view wanted(text ? text : "", text ? size_t(size) : 0);
  constexpr std::string_view kSaved = "_saved_", kRaw = "_raw_saved_";
  const bool raw = wanted.starts_with(kRaw);
  if ((!raw && !wanted.starts_with(kSaved) && wanted != "variable") || !as_node(o)->node) return nullptr;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyObject* result = guarded([&]() -> PyObject* {
    Node& node = *as_node(o)->node;
    if (wanted == "variable") {
      auto* leaf = dynamic_cast<autograd::AccumulateGrad*>(&node);
      return leaf ? wrap(leaf->variable) : nullptr;
    }
    return saved_attribute(node, wanted.substr(raw ? kRaw.size() : kSaved.size()), raw);
  });
  if (result || PyErr_Occurred()) {
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return result;
  }
  PyErr_Restore(type, value, traceback);
  return nullptr;
}

PyObject* node_dir(PyObject* o, PyObject*) {
  return guarded([&]() -> PyObject* {
    PyRef base = checked(PyObject_GetAttrString(as_object(&PyBaseObject_Type), "__dir__"));
    PyRef names = checked(PyObject_CallOneArg(base.get(), o));
    const auto append = [&](const std::string& name) {
      PyRef text = checked(wrap_string(name));
      const int there = PySequence_Contains(names.get(), text.get());
      checked(there);
      if (!there) checked(PyList_Append(names.get(), text.get()));
    };
    Node& node = unwrap_node(o);
    for (const SavedItem& item : node.saved_items()) {
      append("_saved_" + item.name);
      if (item.tensor) append("_raw_saved_" + item.name);
    }
    if (dynamic_cast<autograd::AccumulateGrad*>(&node)) append("variable");
    return names.release();
  });
}

PyObject* node_name(PyObject* o, PyObject*) {
  return guarded([&]() -> PyObject* { return wrap_string(unwrap_node(o).name()); });
}
PyObject* node_sequence(PyObject* o, PyObject*) {
  return guarded([&]() -> PyObject* { return PyLong_FromUnsignedLongLong(unwrap_node(o).sequence); });
}
PyObject* node_set_sequence(PyObject* o, PyObject* number) {
  return guarded([&]() -> PyObject* {
    unwrap_node(o).sequence = uint64_t(unwrap_int(number));
    Py_RETURN_NONE;
  });
}

PyObject* node_next(PyObject* o, void*) {
  return guarded([&]() -> PyObject* {
    const std::vector<Edge>& next = unwrap_node(o).next;
    PyRef result = checked(PyTuple_New(Py_ssize_t(next.size())));
    for (size_t i = 0; i < next.size(); i++) {
      PyRef child = checked(node_object(next[i].node.get()));
      PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), checked(Py_BuildValue("(OI)", child.get(), next[i].slot)).release());
    }
    return result.release();
  });
}

PyObject* node_input_metadata(PyObject* o, void*) {
  return guarded([&]() -> PyObject* {
    const auto& results = unwrap_node(o).results;
    PyRef result = checked(PyTuple_New(Py_ssize_t(results.size())));
    for (size_t i = 0; i < results.size(); i++) {
      auto* one = PyObject_New(PyInputMetadata, metadata_type);
      if (!one) throw PythonError{};
      new (&one->meta) autograd::ResultMeta(results[i]);
      PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), reinterpret_cast<PyObject*>(one));
    }
    return result.release();
  });
}

PyObject* node_metadata(PyObject* o, void*) {
  return guarded([&]() -> PyObject* {
    autograd::NodeHooks& hooks = unwrap_node(o).hooks();
    if (!hooks.metadata) {
      PyObject* dict = checked(PyDict_New()).release();
      hooks.metadata = std::shared_ptr<void>(dict, [](void* p) {
        if (Py_IsInitialized()) Py_DECREF(static_cast<PyObject*>(p));
      });
    }
    return Py_NewRef(static_cast<PyObject*>(hooks.metadata.get()));
  });
}

PyObject* node_requires_grad(PyObject*, void*) { return Py_NewRef(Py_True); }

// ---- hooks on nodes ----

PyObject* callable_name(PyObject* callable) {
  PyObject* name = PyObject_GetAttrString(callable, "__name__");
  if (name) return name;
  PyErr_Clear();
  return PyUnicode_FromString(Py_TYPE(callable)->tp_name);
}

[[noreturn]] void fail_hook(PyObject* callable, const std::string& text) {
  PyRef name = checked(callable_name(callable));
  PyErr_Format(PyExc_RuntimeError, text.c_str(), name.get());
  throw PythonError{};
}

// A hook's replacement must look like the gradient it replaces.
void check_replacement(const Tensor& before, PyObject* now, PyObject* callable) {
  check_type(is_tensor(now), "expected Variable, but hook returned '", type_name(now), "'");
  if (!before.defined()) fail(ErrorKind::Runtime, "can't replace a None gradient with a non-None value");
  const Tensor& after = unwrap(now);
  if (after.dtype() != before.dtype() || !(after.device() == before.device())) {
    const auto text = [](const Tensor& t) {
      return concat("torch.", t.device().is_cpu() ? "" : concat(device_kind_name(t.device().kind), "."), dtype_title(t.dtype()), "Tensor");
    };
    fail_hook(callable, concat("hook '%U' has changed the type of value (was ", text(before), " got ", text(after), ")"));
  }
  if (!same(after.sizes(), before.sizes())) fail_hook(callable, "hook '%U' has changed the size of value");
}

void replace_gradients(std::vector<Tensor>& grads, PyObject* given, PyObject* callable) {
  if (given == Py_None) return;
  check_type(PyTuple_Check(given), "expected tuple, but hook returned '", is_tensor(given) ? "Tensor" : Py_TYPE(given)->tp_name, "'");
  if (PyTuple_GET_SIZE(given) != Py_ssize_t(grads.size()))
    fail_hook(callable, concat("hook '%U' has returned an incorrect number of values (got ", PyTuple_GET_SIZE(given), ", but expected ",
                               grads.size(), ")"));
  for (size_t i = 0; i < grads.size(); i++) {
    PyObject* one = PyTuple_GET_ITEM(given, Py_ssize_t(i));
    if (one != Py_None) check_replacement(grads[i], one, callable);
    grads[i] = one == Py_None ? Tensor() : unwrap(one);
  }
}

PyObject* register_node_hook(PyObject* o, PyObject* callable) {
  return guarded([&]() -> PyObject* {
    Node& node = unwrap_node(o);
    const uint64_t id = autograd::next_hook_id();
    node.hooks().post.push_back({id, PostHookCall{PyRef::borrow(callable)}});
    return make_hook_handle(id, [weak = node.weak_hooks(), id] {
      if (auto hooks = weak.lock()) std::erase_if(hooks->post, [&](const auto& hook) { return hook.id == id; });
    });
  });
}

PyObject* register_node_prehook(PyObject* o, PyObject* callable) {
  return guarded([&]() -> PyObject* {
    Node& node = unwrap_node(o);
    const uint64_t id = autograd::next_hook_id();
    node.hooks().pre.push_back({id, PreHookCall{PyRef::borrow(callable)}});
    return make_hook_handle(id, [weak = node.weak_hooks(), id] {
      if (auto hooks = weak.lock()) std::erase_if(hooks->pre, [&](const auto& hook) { return hook.id == id; });
    });
  });
}

PyMethodDef node_methods[] = {
    {"name", node_name, METH_NOARGS, "name of the derivative"},
    {"register_hook", register_node_hook, METH_O, "calls hook(grad_inputs, grad_outputs) after the node has run"},
    {"register_prehook", register_node_prehook, METH_O, "calls hook(grad_outputs) before the node runs"},
    {"_sequence_nr", node_sequence, METH_NOARGS, nullptr},
    {"_set_sequence_nr", node_set_sequence, METH_O, nullptr},
    {"__dir__", node_dir, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef node_getset[] = {
    {"next_functions", node_next, nullptr, "(node, result number) for each input of the forward operation", nullptr},
    {"metadata", node_metadata, nullptr, "dict for notes about the node", nullptr},
    {"requires_grad", node_requires_grad, nullptr, nullptr, nullptr},
    {"_input_metadata", node_input_metadata, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

// The class of the nodes of that name: "torch::autograd::CopySlices" shows as CopySlices.
PyTypeObject* class_named(const std::string& name) {
  static std::map<std::string, PyTypeObject*> classes;
  PyTypeObject*& type = classes[name];
  if (!type) {
    const size_t colon = name.rfind(':');
    static PyType_Slot slots[] = {{0, nullptr}};
    PyType_Spec spec{nullptr, sizeof(PyNode), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    static std::map<std::string, std::string> titles;  // type objects keep pointing at their names
    std::string& title = titles[name];
    title = "builtins." + (colon == name.npos ? name : name.substr(colon + 1));
    spec.name = title.c_str();
    type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpecWithBases(&spec, as_object(node_type))).release());
    type->tp_name = title.c_str() + title.find('.') + 1;  // the module is for the type to know, not for repr to show
  }
  return type;
}

// ---- SavedTensor ----

struct HookPair {
  PyObject *pack, *unpack;
};

PyObject* register_saved_hooks(PyObject* o, PyObject* args) {
  PyObject *pack, *unpack;
  if (!PyArg_ParseTuple(args, "OO:register_hooks", &pack, &unpack)) return nullptr;
  return guarded([&]() -> PyObject* {
    HookPair pair{pack, unpack};
    reinterpret_cast<PySavedTensor*>(o)->saved->pack_with(
        [](const Tensor& t, void* context) {
          auto* hooks = static_cast<HookPair*>(context);
          return pack_saved(t, hooks->pack, hooks->unpack);
        },
        &pair);
    Py_RETURN_NONE;
  });
}

PyMethodDef saved_methods[] = {{"register_hooks", register_saved_hooks, METH_VARARGS, "packs the saved tensor with pack(tensor), and unpacks it with unpack(packed)"},
                               {nullptr, nullptr, 0, nullptr}};

}  // namespace

Node& unwrap_node(PyObject* o) {
  check_type(PyObject_TypeCheck(o, node_type), "expected a graph node, but got ", type_name(o));
  Node* node = as_node(o)->node;
  check(node,
        "This object belongs to a custom Function and is not, or no longer, a part of the autograd graph. Accessing its graph attributes "
        "directly on an instance of autograd.Function is a legacy access pattern that is no longer supported.");
  return *node;
}

PyObject* make_hook_handle(uint64_t id, std::function<void()> remove) {
  auto* self = PyObject_New(PyHandle, handle_type);
  if (!self) throw PythonError{};
  self->id = id;
  new (&self->remove) std::function<void()>(std::move(remove));
  return reinterpret_cast<PyObject*>(self);
}

PyObject* node_object(const void* pointer) {
  if (!pointer) return Py_NewRef(Py_None);
  auto* node = const_cast<Node*>(static_cast<const Node*>(pointer));
  if (node->python) return Py_NewRef(static_cast<PyObject*>(node->python));
  return guarded([&]() -> PyObject* {
    auto* self = PyObject_New(PyNode, class_named(node->name()));
    if (!self) throw PythonError{};
    self->node = Ref<Node>(node).release();
    node->python = self;
    return reinterpret_cast<PyObject*>(self);
  });
}

Tensor TensorHookCall::operator()(const Tensor& grad) const {
  PyRef given = checked(wrap(grad));
  PyRef result = checked(PyObject_CallOneArg(callable.get(), given.get()));
  if (result.get() == Py_None) return Tensor();
  check_replacement(grad, result.get(), callable.get());
  return unwrap(result.get());
}

void AccumulatedHookCall::operator()(const Tensor& leaf) const {
  PyRef given = checked(wrap(leaf));
  PyRef result = checked(PyObject_CallOneArg(callable.get(), given.get()));
  check(result.get() == Py_None, "Tensor post accumulate grad hooks should return None.");
}

void PreHookCall::operator()(std::vector<Tensor>& grad_outputs) const {
  PyRef outputs = checked(wrap_tuple(grad_outputs));
  PyRef given = checked(PyObject_CallOneArg(callable.get(), outputs.get()));
  replace_gradients(grad_outputs, given.get(), callable.get());
}

void PostHookCall::operator()(std::vector<Tensor>& grad_inputs, const std::vector<Tensor>& grad_outputs) const {
  PyRef inputs = checked(wrap_tuple(grad_inputs)), outputs = checked(wrap_tuple(grad_outputs));
  PyRef given = checked(PyObject_CallFunctionObjArgs(callable.get(), inputs.get(), outputs.get(), nullptr));
  replace_gradients(grad_inputs, given.get(), callable.get());
}

void add_node_types(PyObject* module) {
  static PyType_Slot handle_slots[] = {{Py_tp_dealloc, slot(handle_dealloc)}, {Py_tp_methods, handle_methods}, {Py_tp_getset, handle_getset}, {0, nullptr}};
  static PyType_Spec handle_spec{"torch._C._HookHandle", sizeof(PyHandle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, handle_slots};
  handle_type = add_type(module, handle_spec);
  static PyType_Slot metadata_slots[] = {{Py_tp_dealloc, slot(metadata_dealloc)}, {Py_tp_getset, metadata_getset}, {0, nullptr}};
  static PyType_Spec metadata_spec{"torch._C._InputMetadata", sizeof(PyInputMetadata), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, metadata_slots};
  metadata_type = add_type(module, metadata_spec);
  static PyType_Slot saved_slots[] = {{Py_tp_dealloc, slot(saved_dealloc)}, {Py_tp_methods, saved_methods}, {0, nullptr}};
  static PyType_Spec saved_spec{"torch._C._SavedTensor", sizeof(PySavedTensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, saved_slots};
  saved_tensor_type = add_type(module, saved_spec);
  static PyType_Slot node_slots[] = {{Py_tp_dealloc, slot(node_dealloc)}, {Py_tp_methods, node_methods}, {Py_tp_getset, node_getset}, {Py_tp_getattro, slot(node_getattro)}, {0, nullptr}};
  static PyType_Spec node_spec{"torch._C._NodeBase", sizeof(PyNode), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, node_slots};
  node_type = add_type(module, node_spec);
}

}  // namespace tabula::py
