// __torch_function__: overrides of operations by Tensor subclasses, by other classes, and by active modes.
#include "bindings/autograd.h"
#include "bindings/operations.h"
#include "bindings/overloaded.h"
#include "bindings/torch_dispatch.h"
#include "bindings/torch_function.h"
#include "core/state.h"
#include "ops/view.h"

namespace tabula::py {

thread_local constinit int torch_function_modes = 0;

namespace {

// Levels of thread_state.torch_function_disabled.
enum Disabled : uint8_t { kNone, kSubclasses, kAll };

thread_local std::vector<PyRef> modes;

PyObject* attribute = nullptr;      // "__torch_function__"
PyObject* disabled_impl = nullptr;  // what a class sets to opt out
PyObject* default_impl = nullptr;   // what torch.Tensor has

// Does this class override? Remembered by the class's version tag, which changes with the class and is never reused.
struct Remembered {
  unsigned version;
  bool overrides;
};
#ifdef Py_GIL_DISABLED
thread_local Remembered remembered[64];
#else
Remembered remembered[64];
#endif

bool look_up(PyTypeObject* type) {
  PyObject* found = _PyType_Lookup(type, attribute);
  if (!found || found == disabled_impl) return false;
  // a class that dispatches below autograd leaves Tensor's own handler out
  return found != default_impl || !dispatches(type);
}

bool class_overrides(PyTypeObject* type) {
  const unsigned version = type->tp_version_tag;
  bool valid = version != 0;
#if PY_VERSION_HEX < 0x030C0000
  valid = valid && PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG);
#endif
  if (!valid) return look_up(type);
  Remembered& slot = remembered[version % 64];
  if (slot.version != version) slot = {version, look_up(type)};
  return slot.overrides;
}

inline bool overrides(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  if (type == tensor_type || type == parameter_type || type == &PyLong_Type || type == &PyFloat_Type || type == &PyBool_Type || o == Py_None ||
      type == &PyUnicode_Type || type == &PySlice_Type || type == &PyTuple_Type || type == &PyList_Type)
    return false;
  return class_overrides(type);
}

inline bool is_plain_sequence(PyObject* o) { return PyTuple_CheckExact(o) || PyList_CheckExact(o); }

inline bool argument_overrides(PyObject* o) {
  if (!is_plain_sequence(o)) return overrides(o);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); i++)
    if (overrides(PySequence_Fast_GET_ITEM(o, i))) return true;
  return false;
}

Py_ssize_t argument_count(const Arguments& call) { return call.count + (call.kwnames ? PyTuple_GET_SIZE(call.kwnames) : 0); }

void add_overriding(Overloaded& overloaded, PyObject* o) {
  if (overrides(o)) overloaded.add(o);
}
void add_argument(Overloaded& overloaded, PyObject* o) {
  if (!is_plain_sequence(o)) return add_overriding(overloaded, o);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); i++) add_overriding(overloaded, PySequence_Fast_GET_ITEM(o, i));
}

// Takes the innermost mode away while its handler runs, so that the handler's own calls reach the next one.
class Stash {
 public:
  Stash() : mode_(std::move(modes.back())) {
    modes.pop_back();
    torch_function_modes--;
  }
  ~Stash() {
    modes.push_back(std::move(mode_));
    torch_function_modes++;
  }
  Stash(const Stash&) = delete;
  PyObject* mode() const { return mode_.get(); }

 private:
  PyRef mode_;
};

PyObject* python_args(const Arguments& call) {
  const Py_ssize_t first = call.self ? 1 : 0;
  PyObject* args = PyTuple_New(call.count + first);
  if (!args) throw PythonError{};
  if (first) PyTuple_SET_ITEM(args, 0, Py_NewRef(call.self));
  for (Py_ssize_t i = 0; i < call.count; i++) PyTuple_SET_ITEM(args, first + i, Py_NewRef(call.args[i]));
  return args;
}

PyRef python_kwargs(const Arguments& call) {
  if (!call.kwnames || PyTuple_GET_SIZE(call.kwnames) == 0) return PyRef();
  PyRef kwargs = checked(PyDict_New());
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(call.kwnames); i++)
    checked(PyDict_SetItem(kwargs.get(), PyTuple_GET_ITEM(call.kwnames, i), call.args[call.count + i]));
  return kwargs;
}

PyRef call_handler(PyObject* object, PyObject* function, PyObject* types, PyObject* args, PyObject* kwargs) {
  PyRef handler = checked(PyObject_GetAttr(object, attribute));
  if (PyMethod_Check(handler.get()) && PyMethod_GET_SELF(handler.get()) == object && !PyType_Check(object) && is_tensor(object))
    checked(PyErr_WarnEx(PyExc_DeprecationWarning,
                         "Defining your `__torch_function__` as a plain method is deprecated and will be an error in future, please define it as a "
                         "classmethod.",
                         1));
  return checked(PyObject_CallFunctionObjArgs(handler.get(), function, types, args, kwargs, nullptr));
}

std::string text_of(PyObject* o) {
  PyRef repr = checked(PyObject_Repr(o));
  const char* text = PyUnicode_AsUTF8(repr.get());
  if (!text) throw PythonError{};
  return text;
}

[[noreturn]] void fail_unhandled(PyObject* function, PyObject* mode, const Overloaded& overloaded) {
  PyRef name = PyRef::steal(PyObject_GetAttrString(function, "__name__"));
  PyErr_Clear();
  const bool method = Py_TYPE(function) == method_type;
  fail_all_refused(name && PyUnicode_Check(name.get()) ? concat(method ? "torch.Tensor." : "torch.", PyUnicode_AsUTF8(name.get())) : text_of(function),
                   "__torch_function__", mode, overloaded);
}

// ---- contexts ----

struct PyDisable {
  PyObject_HEAD
  uint8_t before;
};
template <Disabled level>
PyObject* disable(PyObject* self, PyObject*) {
  uint8_t& state = thread_state.torch_function_disabled;
  reinterpret_cast<PyDisable*>(self)->before = state;
  state = level == kNone ? uint8_t(kNone) : std::max<uint8_t>(state, level);
  Py_RETURN_NONE;
}
PyObject* restore(PyObject* self, PyObject*) {
  thread_state.torch_function_disabled = reinterpret_cast<PyDisable*>(self)->before;
  Py_RETURN_NONE;
}
template <Disabled level>
void add_disable(PyObject* module, const char* name) {
  static PyMethodDef methods[] = {{"__enter__", disable<level>, METH_NOARGS, nullptr},
                                  {"__exit__", restore, METH_VARARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("A context in which __torch_function__ is not called: for subclasses, or for modes as well.")}, {Py_tp_methods, methods}, {Py_tp_new, slot(PyType_GenericNew)}, {Py_tp_dealloc, slot(free_object)}, {0, nullptr}};
  PyType_Spec spec{name, sizeof(PyDisable), 0, Py_TPFLAGS_DEFAULT, slots};
  add_type(module, spec);
}

// ---- the default handler: Tensor.__torch_function__ ----

// A plain tensor becomes one of the class; a fresh one, held by nobody else, gives up its object for a new one.
PyObject* converted(PyObject* result, PyTypeObject* cls) {
  if (is_tensor(result)) {
    if (PyType_IsSubtype(Py_TYPE(result), cls)) return Py_NewRef(result);
    auto* plain = reinterpret_cast<PyTensor*>(result);
    if (Py_REFCNT(result) == 1 && Py_TYPE(result) == tensor_type && !plain->dict && !plain->weakrefs) {
      Tensor t = std::move(plain->tensor);
      t.impl()->python = nullptr;
      return wrap_as(cls, std::move(t));
    }
    return wrap_as(cls, alias_view(plain->tensor));
  }
  if (!PyTuple_Check(result) && !PyList_Check(result)) return Py_NewRef(result);
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(result);
  PyRef items = checked(PyList_New(n));
  for (Py_ssize_t i = 0; i < n; i++) PyList_SET_ITEM(items.get(), i, checked(converted(PySequence_Fast_GET_ITEM(result, i), cls)).release());
  if (PyList_CheckExact(result)) return items.release();
  if (PyTuple_CheckExact(result)) return PyList_AsTuple(items.get());
  // named tuples of Python take their fields one by one, torch.return_types a sequence
  if (PyObject_HasAttrString(as_object(Py_TYPE(result)), "_fields")) {
    PyRef fields = checked(PyList_AsTuple(items.get()));
    return PyObject_CallObject(as_object(Py_TYPE(result)), fields.get());
  }
  return PyObject_CallOneArg(as_object(Py_TYPE(result)), items.get());
}

bool keeps_plain_results(PyObject* function) {
  if (Py_TYPE(function) == function_type || Py_TYPE(function) == method_type) return false;
  PyRef module = checked(PyImport_ImportModule("torch.overrides"));
  PyRef functions = checked(PyObject_CallMethod(module.get(), "get_default_nowrap_functions", nullptr));
  const int found = PySequence_Contains(functions.get(), function);
  checked(found);
  return found;
}

PyObject* default_handler(PyObject* cls, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* names[] = {"func", "types", "args", "kwargs"};
    PyObject* bound[4];
    bind_arguments({"__torch_function__", names, 4, 2}, args, n, kwnames, bound);
    PyRef types = checked(PySequence_Tuple(bound[1]));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(types.get()); i++) {
      const int fits = PyObject_IsSubclass(cls, PyTuple_GET_ITEM(types.get(), i));
      checked(fits);
      if (!fits) return Py_NewRef(Py_NotImplemented);
    }
    PyRef positional = bound[2] ? checked(PySequence_Tuple(bound[2])) : checked(PyTuple_New(0));
    PyObject* keywords = bound[3] == Py_None ? nullptr : bound[3];
    uint8_t& state = thread_state.torch_function_disabled;
    Restore guard(state, std::max<uint8_t>(state, kSubclasses));
    PyRef result = checked(PyObject_Call(bound[0], positional.get(), keywords));
    if (cls == as_object(tensor_type) || keeps_plain_results(bound[0])) return result.release();
    return converted(result.get(), reinterpret_cast<PyTypeObject*>(cls));
  });
}

// ---- functions ----

PyObject* disabled_handler(PyObject*, PyObject* args) {
  PyObject *function, *types, *positional = nullptr, *keywords = nullptr;
  if (!PyArg_ParseTuple(args, "OO|OO:_disabled_torch_function_impl", &function, &types, &positional, &keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyRef tuple = positional ? checked(PySequence_Tuple(positional)) : checked(PyTuple_New(0));
    uint8_t& state = thread_state.torch_function_disabled;
    Restore guard(state, std::max<uint8_t>(state, kSubclasses));
    return PyObject_Call(function, tuple.get(), keywords == Py_None ? nullptr : keywords);
  });
}

bool subclasses_enabled() { return thread_state.torch_function_disabled == kNone; }
bool modes_active() { return torch_function_modes > 0 && thread_state.torch_function_disabled != kAll; }

PyObject* has_any(PyObject* const* args, Py_ssize_t n) {
  if (modes_active()) Py_RETURN_TRUE;
  if (subclasses_enabled())
    for (Py_ssize_t i = 0; i < n; i++)
      if (overrides(args[i])) Py_RETURN_TRUE;
  Py_RETURN_FALSE;
}
PyObject* has_torch_function(PyObject*, PyObject* sequence) {
  return guarded([&]() -> PyObject* {
    PyRef items = checked(PySequence_Fast(sequence, "expected a sequence"));
    return has_any(PySequence_Fast_ITEMS(items.get()), PySequence_Fast_GET_SIZE(items.get()));
  });
}
// Of a call that nothing overrides: False, or 2 for a look at what autocast does with the function.
PyObject* not_overridden() {
  if (!(thread_state.interpreters & kAutocast)) Py_RETURN_FALSE;
  return PyLong_FromLong(2);
}
// _override_needed(args, kwargs): has_torch_function for a whole call, lists among its arguments included.
PyObject* override_needed(PyObject*, PyObject* const* call, Py_ssize_t n) {
  if (modes_active()) Py_RETURN_TRUE;
  if (n != 2 || !PyTuple_Check(call[0]) || !PyDict_Check(call[1]) || !subclasses_enabled()) return not_overridden();
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(call[0]); i++)
    if (argument_overrides(PyTuple_GET_ITEM(call[0], i))) Py_RETURN_TRUE;
  PyObject *key, *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(call[1], &at, &key, &value))
    if (argument_overrides(value)) Py_RETURN_TRUE;
  return not_overridden();
}
PyObject* has_unary(PyObject*, PyObject* o) { return has_any(&o, 1); }
PyObject* has_variadic(PyObject*, PyObject* const* args, Py_ssize_t n) { return has_any(args, n); }

// Overriding objects among these, in the order they are asked.
PyObject* overloaded_args(PyObject*, PyObject* sequence) {
  return guarded([&]() -> PyObject* {
    PyRef items = checked(PySequence_Fast(sequence, "expected a sequence"));
    Overloaded overloaded;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); i++) add_overriding(overloaded, PySequence_Fast_GET_ITEM(items.get(), i));
    PyRef result = checked(PyList_New(0));
    for (const PyRef& one : overloaded.objects()) checked(PyList_Append(result.get(), one.get()));
    return result.release();
  });
}

PyObject* push_mode(PyObject*, PyObject* mode) {
  modes.push_back(PyRef::borrow(mode));
  torch_function_modes++;
  Py_RETURN_NONE;
}
PyObject* pop_mode(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    check(torch_function_modes > 0, "the torch function mode stack is empty");
    PyRef mode = std::move(modes.back());
    modes.pop_back();
    torch_function_modes--;
    return mode.release();
  });
}
PyObject* mode_depth(PyObject*, PyObject*) { return PyLong_FromLong(torch_function_modes); }
PyObject* mode_at(PyObject*, PyObject* index) {
  return guarded([&]() -> PyObject* {
    const int64_t i = unwrap_int(index);
    if (i < 0 || i >= torch_function_modes) fail(ErrorKind::Index, "torch function mode stack index ", i, " is out of range");
    return Py_NewRef(modes[size_t(i)].get());
  });
}
PyObject* is_enabled(PyObject*, PyObject*) { return PyBool_FromLong(subclasses_enabled()); }
PyObject* is_all_disabled(PyObject*, PyObject*) { return PyBool_FromLong(thread_state.torch_function_disabled == kAll); }
PyObject* is_mode_enabled(PyObject*, PyObject*) { return PyBool_FromLong(modes_active()); }

PyMethodDef functions[] = {
    {"_disabled_torch_function_impl", disabled_handler, METH_VARARGS, "as a class's __torch_function__: no override"},
    {"_has_torch_function", has_torch_function, METH_O, nullptr},
    {"_override_needed", method(override_needed), METH_FASTCALL, nullptr},
    {"_has_torch_function_unary", has_unary, METH_O, nullptr},
    {"_has_torch_function_variadic", method(has_variadic), METH_FASTCALL, nullptr},
    {"_overloaded_args", overloaded_args, METH_O, nullptr},
    {"_push_on_torch_function_stack", push_mode, METH_O, nullptr},
    {"_pop_torch_function_stack", pop_mode, METH_NOARGS, nullptr},
    {"_len_torch_function_stack", mode_depth, METH_NOARGS, nullptr},
    {"_get_function_stack_at", mode_at, METH_O, nullptr},
    {"_is_torch_function_enabled", is_enabled, METH_NOARGS, nullptr},
    {"_is_torch_function_all_disabled", is_all_disabled, METH_NOARGS, nullptr},
    {"_is_torch_function_mode_enabled", is_mode_enabled, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void fail_all_refused(const std::string& function, const char* protocol, PyObject* mode, const Overloaded& overloaded) {
  std::string text = concat("Multiple dispatch failed for '", function, "'; all ", protocol, " handlers returned NotImplemented:\n\n");
  if (mode) text += concat("  - mode object ", text_of(mode), "\n");
  for (const PyRef& one : overloaded.objects()) text += concat("  - tensor subclass ", text_of(as_object(Py_TYPE(one.get()))), "\n");
  fail(ErrorKind::Type, text, "\nFor more information, try re-running with TORCH_LOGS=not_implemented");
}

bool torch_function_needed(const Arguments& call) {
  if (torch_function_modes) [[unlikely]]
    if (modes_active()) return true;
  if (call.self && Py_TYPE(call.self) != tensor_type && Py_TYPE(call.self) != parameter_type && subclasses_enabled() && overrides(call.self)) return true;
  const Py_ssize_t n = argument_count(call);
  for (Py_ssize_t i = 0; i < n; i++)
    if (argument_overrides(call.args[i])) [[unlikely]]
      return subclasses_enabled();
  return false;
}

// Operators are known to handlers by the method they stand for, where there is one.
static PyRef operation_behind(PyObject* callable) {
  static constexpr std::pair<const char*, const char*> methods[] = {
      {"__add__", "add"},         {"__radd__", "add"},   {"__iadd__", "add_"},      {"__sub__", "sub"},     {"__isub__", "sub_"},
      {"__mul__", "mul"},         {"__rmul__", "mul"},   {"__imul__", "mul_"},      {"__truediv__", "div"}, {"__itruediv__", "div_"},
      {"__rtruediv__", "__rdiv__"}, {"__mod__", "remainder"}, {"__imod__", "remainder_"}, {"__matmul__", "matmul"}, {"__pow__", "pow"},
      {"__ipow__", "pow_"},       {"__lt__", "lt"},      {"__le__", "le"},          {"__gt__", "gt"},       {"__ge__", "ge"}};
  if (Py_TYPE(callable) == &PyWrapperDescr_Type) {
    PyObject* name = reinterpret_cast<PyDescrObject*>(callable)->d_name;
    for (const auto& [dunder, method] : methods)
      if (PyUnicode_CompareWithASCIIString(name, dunder) == 0)
        if (PyObject* found = PyObject_GetAttrString(as_object(tensor_type), method)) return PyRef::steal(found);
    PyErr_Clear();
  }
  return PyRef::borrow(callable);
}

bool mode_answers(const char* name, const Arguments& call, PyObject** result) {
  if (!modes_active()) return false;
  PyRef module = checked(PyImport_ImportModule("torch")), callable = checked(PyObject_GetAttrString(module.get(), name));
  return call_torch_function(callable.get(), call, result);
}

bool call_torch_function(PyObject* callable_or_operator, const Arguments& call, PyObject** result) {
  Overloaded overloaded;
  if (subclasses_enabled()) {
    if (call.self) add_overriding(overloaded, call.self);
    for (Py_ssize_t i = 0; i < argument_count(call); i++) add_argument(overloaded, call.args[i]);
  }
  const bool by_mode = modes_active();
  if (!by_mode && overloaded.objects().empty()) return false;
  PyRef operation = operation_behind(callable_or_operator);
  PyObject* callable = operation.get();
  PyRef types = overloaded.types(), args = PyRef::steal(python_args(call)), kwargs = python_kwargs(call);
  PyRef given, mode;
  if (by_mode) {
    Stash stash;
    mode = PyRef::borrow(stash.mode());
    given = call_handler(mode.get(), callable, types.get(), args.get(), kwargs.get());
  }
  for (const PyRef& one : overloaded.objects()) {
    if (given && given.get() != Py_NotImplemented) break;
    given = call_handler(one.get(), callable, types.get(), args.get(), kwargs.get());
  }
  if (given.get() == Py_NotImplemented) fail_unhandled(callable, mode.get(), overloaded);
  *result = given.release();
  return true;
}

PyMethodDef torch_function_method() {
  return {"__torch_function__", method(default_handler), METH_FASTCALL | METH_KEYWORDS | METH_CLASS,
          "__torch_function__(func, types, args=(), kwargs=None)\n\nRuns the operation, and gives its tensors the subclass it was called for."};
}

void add_torch_function(PyObject* module) {
  attribute = checked(PyUnicode_InternFromString("__torch_function__")).release();
  add_functions(module, functions);
  disabled_impl = checked(PyObject_GetAttrString(module, "_disabled_torch_function_impl")).release();
  default_impl = _PyType_Lookup(tensor_type, attribute);  // borrowed: the type lives as long as the process
  intercept_tensor_methods();
  add_disable<kSubclasses>(module, "torch._C.DisableTorchFunctionSubclass");
  add_disable<kAll>(module, "torch._C.DisableTorchFunction");
  add_disable<kNone>(module, "torch._C._EnableTorchFunction");
}

}  // namespace tabula::py
