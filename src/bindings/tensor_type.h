// The pieces the tensor type is assembled from.
#pragma once

#include "bindings/python.h"

namespace tabula::py {

PyMethodDef* tensor_methods();  // tensor_methods.cpp
PyGetSetDef* tensor_getset();   // tensor_attributes.cpp
PyMethodDef* autograd_methods();  // autograd.cpp

PyObject* tensor_subscript(PyObject* self, PyObject* index);                     // indexing.cpp
int tensor_assign_subscript(PyObject* self, PyObject* index, PyObject* value);

// torch.Tensor(2, 3), torch.FloatTensor([1, 2]) and the like.
Tensor legacy_new(DType dtype, Device device, PyObject* args, PyObject* kwargs);

// The collector's view of what a tensor reaches through its graph (autograd.cpp).
int visit_autograd(const Tensor& t, visitproc visit, void* arg);
void clear_autograd(const Tensor& t);

PyObject* node_object(const void* node);  // the Python object of a graph node, or None for null

}  // namespace tabula::py
