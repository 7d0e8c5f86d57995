// torch._C: the one shared object. Each binding file adds its own part.
#include "bindings/device.h"
#include "bindings/libraries.h"
#include "bindings/number_watch.h"
#include "bindings/operations.h"
#include "bindings/profile.h"
#include "bindings/python.h"
#include "bindings/source_place.h"
#include "bindings/tensor_type.h"
#include "bindings/torch_dispatch.h"
#include "core/allocator.h"
#include "core/meta_memory.h"
#include "core/parallel.h"
#include "core/state.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/promote.h"
#include "ops/sparse.h"

namespace tabula::py {

void add_functions(PyObject* module, PyMethodDef* methods) { checked(PyModule_AddFunctions(module, methods)); }

namespace {

PyObject* exception_class(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Type: return PyExc_TypeError;
    case ErrorKind::Value: return PyExc_ValueError;
    case ErrorKind::Index: return PyExc_IndexError;
    case ErrorKind::NotImplemented: return PyExc_NotImplementedError;
    case ErrorKind::Overflow: return PyExc_OverflowError;
    case ErrorKind::ZeroDivision: return PyExc_ZeroDivisionError;
    case ErrorKind::Attribute: return PyExc_AttributeError;
    case ErrorKind::Buffer: return PyExc_BufferError;
    case ErrorKind::Assertion: return PyExc_AssertionError;
    default: return PyExc_RuntimeError;
  }
}

// Subclasses of RuntimeError that torch names itself.
PyObject* out_of_memory_error = nullptr;
PyObject* lin_alg_error = nullptr;

PyObject* get_num_threads(PyObject*, PyObject*) { return PyLong_FromLong(num_threads()); }
PyObject* set_num_threads_py(PyObject*, PyObject* arg) {
  return guarded([&]() -> PyObject* {
    check(PyLong_Check(arg), "set_num_threads expects an int, but got ", Py_TYPE(arg)->tp_name);
    const int64_t n = unwrap_int(arg);
    check(n > 0, "set_num_threads expects a positive integer");
    set_num_threads(int(n));
    Py_RETURN_NONE;
  });
}
PyObject* get_default_dtype(PyObject*, PyObject*) { return wrap(default_dtype); }
PyObject* set_default_dtype(PyObject*, PyObject* arg) {
  return guarded([&]() -> PyObject* {
    check_type(is_dtype(arg), "invalid dtype object: only floating-point types are supported as the default type");
    const DType d = unwrap_dtype(arg);
    check_type(is_floating(d) && !is_float8(d), "only floating-point types are supported as the default type");
    default_dtype = d;
    Py_RETURN_NONE;
  });
}
void check_dtype_argument(PyObject* o, const char* function, const char* name, int position) {
  check_type(is_dtype(o), function, "(): argument '", name, "' (position ", position, ") must be torch.dtype, not ", Py_TYPE(o)->tp_name);
}
PyObject* promote(PyObject*, PyObject* args) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "OO:promote_types", &a, &b)) return nullptr;
  return guarded([&]() -> PyObject* {
    check_dtype_argument(a, "promote_types", "type1", 1);
    check_dtype_argument(b, "promote_types", "type2", 2);
    return wrap(promote_types(unwrap_dtype(a), unwrap_dtype(b)));
  });
}
PyObject* can_cast_py(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"from_", "to", nullptr};
  PyObject *a, *b;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:can_cast", const_cast<char**>(names), &a, &b)) return nullptr;
  return guarded([&]() -> PyObject* {
    check_dtype_argument(a, "can_cast", "from_", 1);
    check_dtype_argument(b, "can_cast", "to", 2);
    return PyBool_FromLong(can_cast(unwrap_dtype(a), unwrap_dtype(b)));
  });
}
PyObject* result_type(PyObject*, PyObject* args) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "OO:result_type", &a, &b)) return nullptr;
  return guarded([&]() -> PyObject* {
    ResultType type;
    for (PyObject* o : {a, b}) {
      if (is_tensor(o))
        type.add(unwrap(o));
      else
        type.add(unwrap_scalar(o));
    }
    return wrap(type.get());
  });
}
// May `t.data = other` keep t's object?
PyObject* compatible(PyObject*, PyObject* args) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "OO:_has_compatible_shallow_copy_type", &a, &b)) return nullptr;
  const auto elsewhere = [](PyObject* o) { return unwrap(o).impl()->special & kDispatch; };  // its class knows where
  return PyBool_FromLong(is_tensor(a) && is_tensor(b) && layout_of(unwrap(a)) == layout_of(unwrap(b)) && !elsewhere(a) && !elsewhere(b));
}
PyObject* empty_cache(PyObject*, PyObject*) {
  cpu_empty_cache();
  Py_RETURN_NONE;
}
PyObject* memory_stats(PyObject*, PyObject*) {
  const AllocatorStats s = cpu_allocator_stats();
  const MetaStats meta = meta_stats();
  return Py_BuildValue("{s:n,s:n,s:n,s:n,s:n}", "allocated", Py_ssize_t(s.allocated), "cached", Py_ssize_t(s.cached),
                       "peak", Py_ssize_t(s.peak), "meta_allocated", Py_ssize_t(meta.allocated), "meta_peak",
                       Py_ssize_t(meta.peak));
}
PyObject* reset_peak_memory(PyObject*, PyObject*) {
  cpu_reset_peak();
  meta_reset_peak();
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"get_num_threads", get_num_threads, METH_NOARGS, "number of threads operations may use"},
    {"set_num_threads", set_num_threads_py, METH_O, "sets the number of threads operations may use"},
    {"get_default_dtype", get_default_dtype, METH_NOARGS, "the floating dtype that Python floats become"},
    {"_set_default_dtype", set_default_dtype, METH_O, nullptr},
    {"promote_types", promote, METH_VARARGS, "the smallest dtype both fit in"},
    {"can_cast", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(can_cast_py)), METH_VARARGS | METH_KEYWORDS,
     "may results of one dtype be written to another?"},
    {"result_type", result_type, METH_VARARGS, "the dtype that arithmetic on both gives"},
    {"_has_compatible_shallow_copy_type", compatible, METH_VARARGS, nullptr},
    {"_empty_cache", empty_cache, METH_NOARGS, "returns cached memory to the system"},
    {"_memory_stats", memory_stats, METH_NOARGS,
     "bytes held by tensors and by the cache, and what tensors on the meta device would hold"},
    {"_reset_peak_memory", reset_peak_memory, METH_NOARGS, "peaks are those from now on"},
    {nullptr, nullptr, 0, nullptr}};

void python_warning(const std::string& message) { checked(PyErr_WarnEx(PyExc_UserWarning, message.c_str(), 1)); }

void add_exceptions(PyObject* module) {
  out_of_memory_error = checked(PyErr_NewExceptionWithDoc("torch.OutOfMemoryError", "There is not enough memory for a tensor.", PyExc_RuntimeError, nullptr)).release();
  lin_alg_error = checked(PyErr_NewException("torch._C._LinAlgError", PyExc_RuntimeError, nullptr)).release();
  checked(PyModule_AddObjectRef(module, "OutOfMemoryError", out_of_memory_error));
  checked(PyModule_AddObjectRef(module, "_LinAlgError", lin_alg_error));
}

PyModuleDef definition{PyModuleDef_HEAD_INIT, "torch._C", "The compiled core of Tabula.", -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace

void set_python_error() {
  try {
    throw;
  } catch (const PythonError&) {
  } catch (const Error& e) {
    if (e.kind == ErrorKind::Python) return;
    PyObject* type = e.kind == ErrorKind::OutOfMemory ? out_of_memory_error : e.kind == ErrorKind::LinAlg ? lin_alg_error : exception_class(e.kind);
    PyErr_SetString(type, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "out of memory");
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

}  // namespace tabula::py

extern "C" __attribute__((visibility("default"))) PyObject* PyInit__C() {
  using namespace tabula;
  using namespace tabula::py;
  return guarded([&]() -> PyObject* {
    PyRef module = checked(PyModule_Create(&definition));
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module.get(), Py_MOD_GIL_NOT_USED);
#endif
    PyObject* m = module.get();
    add_exceptions(m);
    add_types(m);
    add_tensor_type(m);
    add_tensor_functions(m);
    add_storage(m);
    add_libraries();
    add_generator(m);
    add_interop(m);
    add_operations(m);
    add_torch_dispatch(m);
    add_autograd(m);
    checked(PyModule_AddObjectRef(m, "_return_types", checked(return_types_module_dict()).get()));
    add_optim(m);
    add_gpu(m);
    add_sparse(m);
    add_vmap(m);
    add_autocast(m);
    add_module_base(m);
    add_profile(m);
    add_source_places(m);
    add_number_watch(m);
    warn_hook = python_warning;
    interpreter_lock = {[]() -> void* { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; },
                        [](void* thread) { PyEval_RestoreThread(static_cast<PyThreadState*>(thread)); }};
    default_device_hook = [] { return default_device(); };
    return module.release();
  });
}
