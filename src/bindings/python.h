// What every binding file shares: owned references, error translation, and the Python side of a tensor.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <string>
#include <utility>

#include "ops/value.h"

namespace tabula::py {

// An owned reference.
class PyRef {
 public:
  PyRef() = default;
  static PyRef steal(PyObject* object) {
    PyRef ref;
    ref.object_ = object;
    return ref;
  }
  static PyRef borrow(PyObject* object) {
    Py_XINCREF(object);
    return steal(object);
  }
  PyRef(const PyRef& other) : object_(other.object_) { Py_XINCREF(object_); }
  PyRef(PyRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  PyRef& operator=(PyRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~PyRef() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// Thrown when a C-API call has set a Python exception; `guarded` then just returns.
struct PythonError {};
inline PyRef checked(PyObject* object) {
  if (!object) throw PythonError{};
  return PyRef::steal(object);
}
inline void checked(int status) {
  if (status < 0) throw PythonError{};
}

// Sets the Python exception for the C++ one in flight (call inside catch (...)).
void set_python_error();

// Runs f and turns exceptions into Python's; the result on error is that type's "error" value (null or -1).
template <class F>
auto guarded(F&& f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    set_python_error();
    if constexpr (std::is_pointer_v<decltype(f())>)
      return nullptr;
    else
      return decltype(f())(-1);
  }
}

// ---- tensors ----

struct PyTensor {
  PyObject_HEAD
  Tensor tensor;
  PyObject* dict;
  PyObject* weakrefs;
};

extern PyTypeObject* tensor_type;     // torch.Tensor
extern PyTypeObject* parameter_type;  // torch.nn.Parameter once it is registered, else null

inline bool is_tensor(PyObject* o) { return Py_TYPE(o) == tensor_type || PyType_IsSubtype(Py_TYPE(o), tensor_type); }
inline const Tensor& unwrap(PyObject* o) { return reinterpret_cast<PyTensor*>(o)->tensor; }
// The Python object of a tensor (new reference); None for an undefined one.
PyObject* wrap(const Tensor& t);
PyObject* wrap(Tensor&& t);
// A new object of the given subclass for a tensor that has no Python object yet.
PyObject* wrap_as(PyTypeObject* type, Tensor t);
// An object that was reached without `wrap` (weak references do that) may be owned by its tensor; not so after this.
void hold_by_python(PyObject* object);
PyObject* wrap_list(TensorList list);   // list
PyObject* wrap_tuple(TensorList list);  // tuple

// ---- other types (types.cpp) ----

PyObject* wrap(DType d);               // torch.float32 ... (new reference to the singleton)
PyObject* wrap(Device d);
PyObject* wrap(Layout l);
PyObject* wrap(MemoryFormat f);
PyObject* wrap(const Scalar& s);       // bool, int, float or complex
PyObject* wrap_value(const Value& v);  // an argument of an operation; lists become tuples
PyObject* wrap_size(IntList sizes);    // torch.Size
inline PyObject* wrap_string(std::string_view s) { return PyUnicode_FromStringAndSize(s.data(), Py_ssize_t(s.size())); }

bool is_dtype(PyObject* o);
DType unwrap_dtype(PyObject* o);
bool is_device(PyObject* o);           // a torch.device
Device unwrap_device(PyObject* o);     // torch.device, str or int; throws PyTorch's errors for others
bool is_layout(PyObject* o);
Layout unwrap_layout(PyObject* o);
bool is_memory_format(PyObject* o);
MemoryFormat unwrap_memory_format(PyObject* o);
bool is_generator(PyObject* o);
Generator* unwrap_generator(PyObject* o);
PyObject* wrap_generator(Generator* generator);  // the object that it was unwrapped from
extern PyTypeObject* size_type;        // torch.Size

// A Python or NumPy number, or a one-element tensor, as a Scalar; throws TypeError for others.
Scalar unwrap_scalar(PyObject* o);
bool is_number(PyObject* o);           // int, float, complex, bool or a NumPy scalar
int64_t unwrap_int(PyObject* o);       // by __index__; OverflowError / TypeError as PyTorch

// Each binding file adds its types and functions to torch._C.
void add_types(PyObject* module);
void add_interop(PyObject* module);
void add_tensor_type(PyObject* module);
void add_operations(PyObject* module);
void add_autograd(PyObject* module);
void add_tensor_functions(PyObject* module);
void add_optim(PyObject* module);
void add_module_base(PyObject* module);
void add_generator(PyObject* module);
void add_gpu(PyObject* module);
void add_sparse(PyObject* module);
void add_autocast(PyObject* module);
void add_vmap(PyObject* module);
void add_storage(PyObject* module);
void add_functions(PyObject* module, PyMethodDef* methods);

}  // namespace tabula::py
