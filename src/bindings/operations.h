// Python callables made from the rows, and what the tensor type's operators share with them.
#pragma once

#include "bindings/parse.h"

namespace tabula::py {

extern PyTypeObject* function_type;  // of torch.add and the like
extern PyTypeObject* method_type;    // of Tensor.add and the like

// number / tensor
PyObject* divide_number(PyObject* number, PyObject* tensor);
PyObject* binary_operator(const Op& op, PyObject* a, PyObject* b, const char* name, const char* reversed_name);
PyObject* in_place_operator(const Op& op, PyObject* a, PyObject* b, const char* name);
PyObject* return_types_module_dict();

// __torch_function__ (torch_function.cpp): does any argument, or an active mode, want to see this call?
bool torch_function_needed(const Arguments& call);
// Calls the overrides in PyTorch's order; false: none applied, go on with the operation itself.
bool call_torch_function(PyObject* callable, const Arguments& call, PyObject** result);

}  // namespace tabula::py
