// Hooks on what the graph saves (torch.autograd.graph.saved_tensors_hooks), and anomaly detection.
#include "autograd/saved.h"
#include "bindings/autograd.h"
#include "core/state.h"

namespace tabula::py {
namespace {

using autograd::anomaly;
using autograd::Node;

struct Packed {
  PyRef value, unpack;
};

struct HookStack {
  std::vector<std::pair<PyRef, PyRef>> hooks;  // pack, unpack
  std::string disabled;                        // why they may not be used
  bool is_disabled = false;
};
thread_local HookStack stack;

bool hooks_active() { return !stack.hooks.empty(); }

void* pack_by_default(const Tensor& t) {
  const auto hooks = stack.hooks.back();
  return pack_saved(t, hooks.first.get(), hooks.second.get());
}

Tensor unpack(void* handle) {
  const auto* packed = static_cast<Packed*>(handle);
  NoGrad guard;  // what comes back is linked into the graph by its owner
  PyRef result = checked(PyObject_CallOneArg(packed->unpack.get(), packed->value.get()));
  check_type(is_tensor(result.get()), "Output of saved tensor unpack_hook expected to be a Tensor but got result of type ", type_name(result.get()));
  return unwrap(result.get());
}

void drop(void* handle) {
  auto* packed = static_cast<Packed*>(handle);
  if (!Py_IsInitialized()) {
    packed->value.release();
    packed->unpack.release();
  }
  delete packed;
}

void check_enabled() { check(!stack.is_disabled, stack.disabled); }

PyObject* push_hooks(PyObject*, PyObject* args) {
  PyObject *pack, *unpack_hook;
  if (!PyArg_ParseTuple(args, "OO:_push_saved_tensors_hooks", &pack, &unpack_hook)) return nullptr;
  return guarded([&]() -> PyObject* {
    check_enabled();
    stack.hooks.emplace_back(PyRef::borrow(pack), PyRef::borrow(unpack_hook));
    Py_RETURN_NONE;
  });
}

PyObject* pop_hooks(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    check(hooks_active(), "there are no saved tensor hooks to remove");
    const auto last = std::move(stack.hooks.back());  // their destructors may run Python code
    stack.hooks.pop_back();
    Py_RETURN_NONE;
  });
}

PyObject* disable_hooks(PyObject*, PyObject* message) {
  return guarded([&]() -> PyObject* {
    const char* text = PyUnicode_AsUTF8(message);
    if (!text) throw PythonError{};
    stack.disabled = text;
    stack.is_disabled = true;
    if (hooks_active()) check_enabled();
    Py_RETURN_NONE;
  });
}

PyObject* enable_hooks(PyObject*, PyObject*) {
  stack.is_disabled = false;
  Py_RETURN_NONE;
}

PyObject* hooks_are_enabled(PyObject*, PyObject*) { return PyBool_FromLong(!stack.is_disabled); }

PyObject* disabled_message(PyObject*, PyObject*) {
  return stack.is_disabled ? wrap_string(stack.disabled) : Py_NewRef(Py_None);
}

PyObject* top_hooks(PyObject*, PyObject*) {
  if (!hooks_active()) Py_RETURN_NONE;
  return PyTuple_Pack(2, stack.hooks.back().first.get(), stack.hooks.back().second.get());
}

// ---- anomaly detection ----

std::string python_traceback() {
  PyRef module = checked(PyImport_ImportModule("traceback"));
  PyRef lines = checked(PyObject_CallMethod(module.get(), "format_stack", nullptr));
  PyRef empty = checked(PyUnicode_FromString(""));
  PyRef text = checked(PyUnicode_Join(empty.get(), lines.get()));
  const char* utf8 = PyUnicode_AsUTF8(text.get());
  if (!utf8) throw PythonError{};
  return utf8;
}

// Called while an error is on its way: that one must survive, whatever becomes of the warning.
void report_anomaly(const Node& node, const std::string& traceback) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  const std::string text =
      traceback.empty() ? concat("Error detected in ", node.name(), ". No forward pass information available. Enable detect anomaly during forward "
                                 "pass for more information.")
                        : concat("Error detected in ", node.name(), ". Traceback of forward call that caused the error:\n", traceback);
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) PyErr_Clear();
  PyErr_Restore(type, value, trace);
}

PyObject* set_anomaly(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"enabled", "check_nan", nullptr};
  int enabled, check_nan = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "p|p:set_anomaly_enabled", const_cast<char**>(names), &enabled, &check_nan)) return nullptr;
  anomaly.enabled = enabled;
  anomaly.check_nan = check_nan;
  Py_RETURN_NONE;
}
PyObject* anomaly_enabled(PyObject*, PyObject*) { return PyBool_FromLong(anomaly.enabled); }
PyObject* anomaly_check_nan(PyObject*, PyObject*) { return PyBool_FromLong(anomaly.check_nan); }

PyMethodDef functions[] = {
    {"_push_saved_tensors_hooks", push_hooks, METH_VARARGS, nullptr},
    {"_pop_saved_tensors_hooks", pop_hooks, METH_NOARGS, nullptr},
    {"_disable_saved_tensors_hooks", disable_hooks, METH_O, nullptr},
    {"_enable_saved_tensors_hooks", enable_hooks, METH_NOARGS, nullptr},
    {"_saved_tensors_hooks_is_enabled", hooks_are_enabled, METH_NOARGS, nullptr},
    {"_saved_tensors_hooks_disabled_message", disabled_message, METH_NOARGS, nullptr},
    {"_top_saved_tensors_default_hooks", top_hooks, METH_VARARGS, nullptr},
    {"_set_anomaly_enabled", method(set_anomaly), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"is_anomaly_enabled", anomaly_enabled, METH_NOARGS, "whether backward looks for anomalies"},
    {"is_anomaly_check_nan_enabled", anomaly_check_nan, METH_NOARGS, "whether anomaly detection looks for NaNs"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void* pack_saved(const Tensor& t, PyObject* pack, PyObject* unpack_hook) {
  NoGrad guard;
  // recording nothing, the hook's own operations save nothing and cannot come back here
  PyRef hook = PyRef::borrow(pack), keep = PyRef::borrow(unpack_hook);
  const uint32_t version = t.impl()->version();
  PyRef given = checked(wrap(t));
  PyRef value = checked(PyObject_CallOneArg(hook.get(), given.get()));
  check(t.impl()->version() == version,
        "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified by in-place "
        "operations as this can lead to unexpected side-effects. Please open an issue if you need to perform in-place operations on the input "
        "to a pack hook.");
  return new Packed{std::move(value), std::move(keep)};
}

void add_saved_hooks(PyObject* module) {
  autograd::saved_hooks = {hooks_active, pack_by_default, unpack, drop};
  anomaly.traceback = python_traceback;
  anomaly.report = report_anomaly;
  add_functions(module, functions);
}

}  // namespace tabula::py
