#include "bindings/operations.h"
#include "bindings/tensor_type.h"
namespace tabula::py {
#define WEAK __attribute__((weak))
WEAK void add_optim(PyObject*) {}
WEAK void add_autograd(PyObject*) {}
WEAK bool torch_function_needed(const Arguments&) { return false; }
WEAK bool call_torch_function(PyObject*, const Arguments&, PyObject**) { return false; }
WEAK PyObject* node_object(const void*) { return Py_NewRef(Py_None); }
WEAK int visit_autograd(const Tensor&, visitproc, void*) { return 0; }
WEAK void clear_autograd(const Tensor&) {}
WEAK PyMethodDef* autograd_methods() { static PyMethodDef none[] = {{nullptr, nullptr, 0, nullptr}}; return none; }
}
