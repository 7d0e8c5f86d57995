// no_grad, enable_grad, set_grad_enabled and inference_mode, as cheap native types. What decorating a function means is
// written in torch/autograd/grad_mode.py.
#include "bindings/autograd.h"
#include "core/state.h"

namespace tabula::py {
namespace {

struct PyGradMode {
  PyObject_HEAD
  bool mode;
  bool prev;            // recording before
  bool prev_inference;  // of inference_mode
};
PyGradMode* as_mode(PyObject* o) { return reinterpret_cast<PyGradMode*>(o); }

PyTypeObject *no_grad_type, *enable_grad_type, *set_grad_type, *inference_type;

// Calls torch.autograd.grad_mode._decorate(make, function): `make` gives a fresh context for each call.
PyObject* decorate(PyObject* make, PyObject* function) {
  PyRef module = checked(PyImport_ImportModule("torch.autograd.grad_mode"));
  PyRef decorator = checked(PyObject_GetAttrString(module.get(), "_decorate"));
  return PyObject_CallFunctionObjArgs(decorator.get(), make, function, nullptr);
}

PyObject* make_mode(PyTypeObject* type, bool mode) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self) *as_mode(self) = {as_mode(self)->ob_base, mode, thread_state.grad_enabled, thread_state.inference};
  return self;
}

// The only argument of a constructor, given by position or by this name; null if there is none.
PyObject* only_argument(const char* function, const char* name, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  if (n == 0 && !kwnames) return nullptr;
  PyObject* value = nullptr;
  const char* const names[] = {name};
  bind_arguments({function, names, 1, 0}, args, n, kwnames, &value);
  return value;
}

// tp_new of subclasses, over the same code as the direct call.
template <vectorcallfunc call>
PyObject* new_by(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  if (!kwargs || PyDict_GET_SIZE(kwargs) == 0)
    return call(as_object(type), PySequence_Fast_ITEMS(args), size_t(PyTuple_GET_SIZE(args)), nullptr);
  return guarded([&]() -> PyObject* {
    PyRef names = checked(PyTuple_New(PyDict_GET_SIZE(kwargs)));
    std::vector<PyObject*> all(PySequence_Fast_ITEMS(args), PySequence_Fast_ITEMS(args) + PyTuple_GET_SIZE(args));
    PyObject *key, *value;
    Py_ssize_t at = 0;
    for (Py_ssize_t i = 0; PyDict_Next(kwargs, &at, &key, &value); i++) {
      PyTuple_SET_ITEM(names.get(), i, Py_NewRef(key));
      all.push_back(value);
    }
    return call(as_object(type), all.data(), size_t(PyTuple_GET_SIZE(args)), names.get());
  });
}

PyObject* fixed_call(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    PyObject* function = only_argument("no_grad", "orig_func", args, PyVectorcall_NARGS(nargsf), kwnames);
    auto* cls = reinterpret_cast<PyTypeObject*>(type);
    if (function && function != Py_None) return decorate(type, function);
    return make_mode(cls, PyType_IsSubtype(cls, enable_grad_type));
  });
}

bool mode_argument(PyObject* value) {
  if (!PyBool_Check(value)) fail(ErrorKind::Type, "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not ", type_name(value));
  return value == Py_True;
}

// Subclasses and unpickling make the object first; only __init__ switches the mode.
PyObject* set_grad_new(PyTypeObject* type, PyObject*, PyObject*) { return make_mode(type, thread_state.grad_enabled); }
int set_grad_init(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> int {
    static constexpr const char* names[] = {"mode"};
    PyObject* value;
    bind_arguments({"set_grad_enabled.__init__", names, 1, 1}, args, kwargs, &value);
    as_mode(self)->mode = mode_argument(value);
    as_mode(self)->prev = std::exchange(thread_state.grad_enabled, as_mode(self)->mode);
    return 0;
  });
}
PyObject* set_grad_call(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    PyObject* value = only_argument("set_grad_enabled.__init__", "mode", args, PyVectorcall_NARGS(nargsf), kwnames);
    check_type(value, "set_grad_enabled.__init__() missing 1 required positional argument: 'mode'");
    const bool mode = mode_argument(value);
    PyObject* self = make_mode(reinterpret_cast<PyTypeObject*>(type), mode);
    thread_state.grad_enabled = mode;
    return self;
  });
}

PyObject* inference_call(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    PyObject* value = only_argument("inference_mode", "mode", args, PyVectorcall_NARGS(nargsf), kwnames);
    if (value && !PyBool_Check(value)) return decorate(type, value);
    return make_mode(reinterpret_cast<PyTypeObject*>(type), value != Py_False);
  });
}

PyObject* enter(PyObject* self, PyObject*) {
  as_mode(self)->prev = std::exchange(thread_state.grad_enabled, as_mode(self)->mode);
  Py_RETURN_NONE;
}
PyObject* enter_set(PyObject* self, PyObject*) {
  thread_state.grad_enabled = as_mode(self)->mode;  // `prev` is from before the object was made
  Py_RETURN_NONE;
}
PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t) {
  thread_state.grad_enabled = as_mode(self)->prev;
  Py_RETURN_NONE;
}
PyObject* enter_inference(PyObject* self, PyObject*) {
  PyGradMode& m = *as_mode(self);
  m.prev = std::exchange(thread_state.grad_enabled, !m.mode);
  m.prev_inference = std::exchange(thread_state.inference, m.mode);
  Py_RETURN_NONE;
}
PyObject* leave_inference(PyObject* self, PyObject* const*, Py_ssize_t) {
  thread_state.grad_enabled = as_mode(self)->prev;
  thread_state.inference = as_mode(self)->prev_inference;
  Py_RETURN_NONE;
}

PyObject* clone_fixed(PyObject* self, PyObject*) { return PyObject_CallNoArgs(as_object(Py_TYPE(self))); }
PyObject* clone_with_mode(PyObject* self, PyObject*) {
  return PyObject_CallOneArg(as_object(Py_TYPE(self)), as_mode(self)->mode ? Py_True : Py_False);
}

PyObject* call_argument(PyObject* args, PyObject* kwargs) {
  static constexpr const char* names[] = {"func"};
  PyObject* function;
  bind_arguments({"__call__", names, 1, 1}, args, kwargs, &function);
  return function;
}
PyObject* call_fixed(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* { return decorate(as_object(Py_TYPE(self)), call_argument(args, kwargs)); });
}
PyObject* call_with_mode(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    PyObject* function = call_argument(args, kwargs);
    // making the object switched the mode, but a decorator must only do so when the function runs
    if (PyType_IsSubtype(Py_TYPE(self), set_grad_type)) thread_state.grad_enabled = as_mode(self)->prev;
    PyRef make = checked(PyObject_GetAttrString(self, "clone"));
    return decorate(make.get(), function);
  });
}

PyObject* set_grad_repr(PyObject* self) {
  return PyUnicode_FromFormat("torch.autograd.grad_mode.set_grad_enabled(mode=%s)", as_mode(self)->mode ? "True" : "False");
}

PyObject* reduce_fixed(PyObject* self, PyObject*) { return Py_BuildValue("O()", as_object(Py_TYPE(self))); }
PyObject* reduce_inference(PyObject* self, PyObject*) {
  return Py_BuildValue("O(O)", as_object(Py_TYPE(self)), as_mode(self)->mode ? Py_True : Py_False);
}
PyObject* reduce_set(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    PyRef copyreg = checked(PyImport_ImportModule("copyreg"));
    PyRef make = checked(PyObject_GetAttrString(copyreg.get(), "__newobj__"));
    const PyGradMode& m = *as_mode(self);
    return Py_BuildValue("O(O)(OO)", make.get(), as_object(Py_TYPE(self)), m.mode ? Py_True : Py_False, m.prev ? Py_True : Py_False);
  });
}
PyObject* set_state(PyObject* self, PyObject* state) {
  int mode, prev;
  if (!PyArg_ParseTuple(state, "pp:__setstate__", &mode, &prev)) return nullptr;
  as_mode(self)->mode = mode;
  as_mode(self)->prev = prev;
  Py_RETURN_NONE;
}

PyMethodDef fixed_methods[] = {{"__enter__", enter, METH_NOARGS, nullptr},
                               {"__exit__", method(leave), METH_FASTCALL, nullptr},
                               {"clone", clone_fixed, METH_NOARGS, "another context of this kind"},
                               {"__reduce__", reduce_fixed, METH_NOARGS, nullptr},
                               {nullptr, nullptr, 0, nullptr}};
PyMethodDef set_methods[] = {{"__enter__", enter_set, METH_NOARGS, nullptr},
                             {"__exit__", method(leave), METH_FASTCALL, nullptr},
                             {"clone", clone_with_mode, METH_NOARGS, "another context of this kind"},
                             {"__reduce__", reduce_set, METH_NOARGS, nullptr},
                             {"__setstate__", set_state, METH_O, nullptr},
                             {nullptr, nullptr, 0, nullptr}};
PyMethodDef inference_methods[] = {{"__enter__", enter_inference, METH_NOARGS, nullptr},
                                   {"__exit__", method(leave_inference), METH_FASTCALL, nullptr},
                                   {"clone", clone_with_mode, METH_NOARGS, "another context of this kind"},
                                   {"__reduce__", reduce_inference, METH_NOARGS, nullptr},
                                   {nullptr, nullptr, 0, nullptr}};
PyMemberDef members[] = {{"prev", T_BOOL, offsetof(PyGradMode, prev), 0, "whether operations were recorded before"},
                         {"mode", T_BOOL, offsetof(PyGradMode, mode), 0, "the mode inside the block"},
                         {nullptr, 0, 0, 0, nullptr}};

int no_init(PyObject*, PyObject*, PyObject*) { return 0; }

struct ModeType {
  const char* name;
  const char* doc;
  void* create;
  void* init;
  void* call;
  void* repr;
  PyMethodDef* methods;
  vectorcallfunc vectorcall;
};

PyTypeObject* add_mode(PyObject* module, const ModeType& m) {
  PyType_Slot slots[] = {{Py_tp_new, m.create},       {Py_tp_init, m.init},       {Py_tp_call, m.call},
                         {Py_tp_methods, m.methods},  {Py_tp_members, members},   {Py_tp_doc, const_cast<char*>(m.doc)},
                         {Py_tp_dealloc, slot(free_object)}, {m.repr ? Py_tp_repr : 0, m.repr}, {0, nullptr}};
  PyType_Spec spec{m.name, sizeof(PyGradMode), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  PyTypeObject* type = add_type(module, spec);
  type->tp_vectorcall = m.vectorcall;  // not inherited: Python subclasses go through tp_new
  return type;
}

PyObject* set_enabled(PyObject*, PyObject* value) {
  return guarded([&]() -> PyObject* {
    thread_state.grad_enabled = mode_argument(value);
    Py_RETURN_NONE;
  });
}
// Whether `grad` must be laid out as its tensor; returns what it was.
PyObject* set_layout_enforced(PyObject*, PyObject* value) {
  return guarded([&]() -> PyObject* {
    const bool before = !thread_state.any_grad_layout;
    thread_state.any_grad_layout = !PyObject_IsTrue(value);
    return PyBool_FromLong(before);
  });
}
PyObject* is_enabled(PyObject*, PyObject*) { return PyBool_FromLong(thread_state.grad_enabled); }
PyObject* is_inference(PyObject*, PyObject*) { return PyBool_FromLong(thread_state.inference); }

PyMethodDef functions[] = {{"_set_grad_enabled", set_enabled, METH_O, nullptr},
                           {"_set_grad_layout_enforced", set_layout_enforced, METH_O, nullptr},
                           {"is_grad_enabled", is_enabled, METH_NOARGS, "whether operations are recorded for backward"},
                           {"is_inference_mode_enabled", is_inference, METH_NOARGS, "whether inference mode is on"},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_grad_modes(PyObject* module) {
  add_functions(module, functions);
  no_grad_type = add_mode(module, {"torch.autograd.grad_mode.no_grad",
                                   "no_grad(orig_func=None)\n--\n\nInside the block, or the decorated function, operations record nothing for backward.\n\n"
                                   "Works as ``with torch.no_grad():``, ``@torch.no_grad()`` and ``@torch.no_grad``.",
                                   slot(new_by<fixed_call>), slot(no_init), slot(call_fixed), nullptr, fixed_methods, fixed_call});
  enable_grad_type = add_mode(module, {"torch.autograd.grad_mode.enable_grad",
                                       "enable_grad(orig_func=None)\n--\n\nInside the block, or the decorated function, operations are recorded even if "
                                       "recording was switched off.",
                                       slot(new_by<fixed_call>), slot(no_init), slot(call_fixed), nullptr, fixed_methods, fixed_call});
  set_grad_type = add_mode(module, {"torch.autograd.grad_mode.set_grad_enabled",
                                    "set_grad_enabled(mode)\n--\n\nSwitches recording on or off at once; as a context manager, until the end of the block.",
                                    slot(set_grad_new), slot(set_grad_init), slot(call_with_mode), slot(set_grad_repr), set_methods, set_grad_call});
  inference_type = add_mode(module, {"torch.autograd.grad_mode.inference_mode",
                                     "inference_mode(mode=True)\n--\n\nLike no_grad, and tensors made inside can never enter a graph.",
                                     slot(new_by<inference_call>), slot(no_init), slot(call_with_mode), nullptr, inference_methods, inference_call});
  add_object(module, "_InferenceMode", as_object(inference_type));
}

}  // namespace tabula::py
