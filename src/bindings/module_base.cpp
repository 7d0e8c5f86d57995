// Base type of torch.nn.Module: finds parameters, buffers and submodules without the AttributeError that Python's
// __getattr__ protocol would first raise and discard.
#include "bindings/python.h"

namespace tabula::py {
namespace {

PyObject* table_names[3];

PyObject* module_getattro(PyObject* self, PyObject* name) {
  // anything the class knows follows Python's own rules (data descriptors, then the instance, then the class)
  if (_PyType_Lookup(Py_TYPE(self), name)) return PyObject_GenericGetAttr(self, name);
  PyRef dict = PyRef::steal(PyObject_GenericGetDict(self, nullptr));
  if (!dict) return nullptr;
  if (PyObject* value = PyDict_GetItemWithError(dict.get(), name)) return Py_NewRef(value);
  if (PyErr_Occurred()) return nullptr;
  for (PyObject* table_name : table_names) {
    PyObject* table = PyDict_GetItemWithError(dict.get(), table_name);
    if (!table && PyErr_Occurred()) return nullptr;
    if (!table || !PyDict_Check(table)) continue;
    if (PyObject* value = PyDict_GetItemWithError(table, name)) return Py_NewRef(value);
    if (PyErr_Occurred()) return nullptr;
  }
  PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%U'", Py_TYPE(self)->tp_name, name);
  return nullptr;
}

}  // namespace

void add_module_base(PyObject* module) {
  const char* names[] = {"_parameters", "_buffers", "_modules"};
  for (int i = 0; i < 3; i++) table_names[i] = checked(PyUnicode_InternFromString(names[i])).release();
  static PyType_Slot slots[] = {{Py_tp_getattro, reinterpret_cast<void*>(module_getattro)}, {0, nullptr}};
  PyType_Spec spec{"torch._C._ModuleBase", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  checked(PyModule_AddObjectRef(module, "_ModuleBase", checked(PyType_FromSpec(&spec)).get()));
}

}  // namespace tabula::py
