// What the files that define Python types and functions share: making types, and binding arguments by name.
#pragma once

#include <optional>
#include <span>

#include "bindings/python.h"

namespace tabula::py {

// As messages name it: what is a native type here is a Python class, without its module, in PyTorch.
inline const char* type_name(PyObject* o) { return Py_TYPE(o) == tensor_type ? "Tensor" : Py_TYPE(o)->tp_name; }
inline PyObject* as_object(PyTypeObject* type) { return reinterpret_cast<PyObject*>(type); }

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}
// Functions of every calling convention are stored as PyCFunction; the detour tells the compiler it is meant.
template <class F>
PyCFunction method(F* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// The end of every tp_dealloc of a heap type.
inline void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// Makes the type and adds it to the module under the last part of its name. The reference is kept for good.
PyTypeObject* add_type(PyObject* module, PyType_Spec& spec, PyTypeObject* base = nullptr);
void add_object(PyObject* module, const char* name, PyObject* object);

struct Parameters {
  const char* function;                // with "()" appended in messages
  std::span<const char* const> names;
  int positional;                      // how many may be given by position
  int required;                        // how many of the first must be given
};
// Sorts the arguments of a call into `bound` (borrowed; null where none was given).
void bind_arguments(const Parameters& parameters, PyObject* const* args, Py_ssize_t count, PyObject* kwnames,
                    PyObject** bound);
void bind_arguments(const Parameters& parameters, PyObject* args, PyObject* kwargs, PyObject** bound);

[[noreturn]] void fail_argument(const char* function, const char* argument, const char* expected, PyObject* got);

// Arguments that may be missing or None.
std::optional<DType> dtype_argument(const char* function, PyObject* o);    // also float, int, bool, complex
std::optional<Device> device_argument(const char* function, PyObject* o);
bool flag_argument(const char* function, const char* name, PyObject* o, bool missing);

// UserWarning at the caller's line.
void warn_user(const char* text);

// Parts of add_types.
void add_dtype_types(PyObject* module);
void add_size_type(PyObject* module);
void add_limit_types(PyObject* module);
void add_device_type(PyObject* module);

}  // namespace tabula::py
