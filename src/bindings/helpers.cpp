#include "bindings/helpers.h"

#include <cstring>

namespace tabula::py {

PyTypeObject* add_type(PyObject* module, PyType_Spec& spec, PyTypeObject* base) {
  PyObject* type = PyType_FromSpecWithBases(&spec, base ? as_object(base) : nullptr);
  if (!type) throw PythonError{};
  const char* dot = std::strrchr(spec.name, '.');
  add_object(module, dot ? dot + 1 : spec.name, type);
  return reinterpret_cast<PyTypeObject*>(type);
}

void add_object(PyObject* module, const char* name, PyObject* object) {
  checked(PyModule_AddObjectRef(module, name, object));
}

namespace {

void check_count(const Parameters& p, Py_ssize_t count) {
  check_type(count <= p.positional, p.function, "() takes ", p.positional, " positional argument",
             p.positional == 1 ? "" : "s", " but ", count, count == 1 ? " was" : " were", " given");
}

void bind_keyword(const Parameters& p, PyObject* name, PyObject* value, PyObject** bound) {
  for (size_t i = 0; i < p.names.size(); i++) {
    if (PyUnicode_CompareWithASCIIString(name, p.names[i]) != 0) continue;
    check_type(!bound[i], p.function, "() got multiple values for argument '", p.names[i], "'");
    bound[i] = value;
    return;
  }
  PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", p.function, name);
  throw PythonError{};
}

void check_required(const Parameters& p, PyObject** bound) {
  int missing = 0;
  std::string names;
  for (int i = 0; i < p.required; i++) {
    if (bound[i]) continue;
    names += concat(missing++ ? ", \"" : "\"", p.names[size_t(i)], "\"");
  }
  check_type(missing == 0, p.function, "() missing ", missing, " required positional arguments: ", names);
}

}  // namespace

void bind_arguments(const Parameters& p, PyObject* const* args, Py_ssize_t count, PyObject* kwnames, PyObject** bound) {
  std::fill_n(bound, p.names.size(), nullptr);
  check_count(p, count);
  std::copy_n(args, count, bound);
  const Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  for (Py_ssize_t i = 0; i < keywords; i++) bind_keyword(p, PyTuple_GET_ITEM(kwnames, i), args[count + i], bound);
  if (count < p.required) check_required(p, bound);
}

void bind_arguments(const Parameters& p, PyObject* args, PyObject* kwargs, PyObject** bound) {
  std::fill_n(bound, p.names.size(), nullptr);
  check_count(p, PyTuple_GET_SIZE(args));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) bound[i] = PyTuple_GET_ITEM(args, i);
  PyObject *name, *value;
  Py_ssize_t at = 0;
  while (kwargs && PyDict_Next(kwargs, &at, &name, &value)) bind_keyword(p, name, value, bound);
  check_required(p, bound);
}

void fail_argument(const char* function, const char* argument, const char* expected, PyObject* got) {
  fail(ErrorKind::Type, function, "(): argument '", argument, "' must be ", expected, ", not ", type_name(got));
}

std::optional<DType> dtype_argument(const char* function, PyObject* o) {
  if (!o || o == Py_None) return std::nullopt;
  if (is_dtype(o)) return unwrap_dtype(o);
  if (o == as_object(&PyFloat_Type)) return DType::Float64;
  if (o == as_object(&PyLong_Type)) return DType::Int64;
  if (o == as_object(&PyBool_Type)) return DType::Bool;
  if (o == as_object(&PyComplex_Type)) return DType::Complex128;
  fail_argument(function, "dtype", "torch.dtype", o);
}

std::optional<Device> device_argument(const char* function, PyObject* o) {
  if (!o || o == Py_None) return std::nullopt;
  if (!is_device(o) && !PyUnicode_Check(o) && !(PyLong_Check(o) && !PyBool_Check(o)))
    fail_argument(function, "device", "torch.device", o);
  return unwrap_device(o);
}

bool flag_argument(const char* function, const char* name, PyObject* o, bool missing) {
  if (!o || o == Py_None) return missing;
  if (!PyBool_Check(o)) fail_argument(function, name, "bool", o);
  return o == Py_True;
}

void warn_user(const char* text) { checked(PyErr_WarnEx(PyExc_UserWarning, text, 1)); }

}  // namespace tabula::py
