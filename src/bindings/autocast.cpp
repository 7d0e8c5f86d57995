// What torch.amp switches.
#include "interp/autocast.h"

#include "bindings/python.h"

namespace tabula::py {
namespace {

PyObject* is_enabled(PyObject*, PyObject*) { return PyBool_FromLong(autocast::is_enabled()); }
PyObject* set_enabled(PyObject*, PyObject* on) {
  return guarded([&]() -> PyObject* {
    autocast::set_enabled(PyObject_IsTrue(on) == 1);
    Py_RETURN_NONE;
  });
}
PyObject* get_dtype(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* { return wrap(autocast::low_precision()); });
}
PyObject* set_dtype(PyObject*, PyObject* dtype) {
  return guarded([&]() -> PyObject* {
    autocast::set_low_precision(unwrap_dtype(dtype));
    Py_RETURN_NONE;
  });
}
PyObject* is_cache_enabled(PyObject*, PyObject*) { return PyBool_FromLong(autocast::is_cache_enabled()); }
PyObject* set_cache_enabled(PyObject*, PyObject* on) {
  autocast::set_cache_enabled(PyObject_IsTrue(on) == 1);
  Py_RETURN_NONE;
}
PyObject* clear_cache(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    autocast::clear_cache();
    Py_RETURN_NONE;
  });
}

PyMethodDef functions[] = {{"_autocast_is_enabled", is_enabled, METH_NOARGS, nullptr},
                           {"_autocast_set_enabled", set_enabled, METH_O, nullptr},
                           {"_autocast_get_dtype", get_dtype, METH_NOARGS, nullptr},
                           {"_autocast_set_dtype", set_dtype, METH_O, nullptr},
                           {"_autocast_is_cache_enabled", is_cache_enabled, METH_NOARGS, nullptr},
                           {"_autocast_set_cache_enabled", set_cache_enabled, METH_O, nullptr},
                           {"_autocast_clear_cache", clear_cache, METH_NOARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_autocast(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
