// Attributes of torch.Tensor.
#include "autograd/node.h"
#include "bindings/storage.h"
#include "bindings/tensor_type.h"
#include "core/state.h"
#include "interp/vmap.h"
#include "ops/copy.h"
#include "ops/sparse.h"
#include "ops/view.h"

namespace tabula::py {
namespace {

using autograd::meta;
using autograd::meta_if_any;

#define GET(name, expression)                                             \
  PyObject* name(PyObject* self, void*) {                                 \
    return guarded([&]() -> PyObject* {                                   \
      [[maybe_unused]] const Tensor& t = unwrap(self);                    \
      return expression;                                                  \
    });                                                                   \
  }
GET(get_shape, wrap_size(t.sizes()))
GET(get_dtype, wrap(t.dtype()))
GET(get_device, wrap(t.device()))
GET(get_layout, wrap(layout_of(t)))
GET(get_ndim, PyLong_FromLongLong(t.dim()))
GET(get_itemsize, PyLong_FromLongLong(item_size(t.dtype())))
GET(get_nbytes, (check(layout_of(t) != Layout::SparseCoo,
                       "nbytes is not defined for sparse tensors.  If you want the size of the constituent tensors, add the nbytes of the indices and values.  "
                       "If you want the size of the  equivalent dense tensor, multiply numel() by element_size()"),
                 PyLong_FromLongLong(t.numel() * item_size(t.dtype()))))
GET(get_is_sparse, PyBool_FromLong(layout_of(t) == Layout::SparseCoo))
GET(get_is_sparse_csr, PyBool_FromLong(layout_of(t) == Layout::SparseCsr))
GET(get_requires_grad, PyBool_FromLong(autograd::recorded(t).needs_grad()))
GET(get_is_leaf, PyBool_FromLong(autograd::is_leaf(t)))
GET(get_grad_fn, node_object(autograd::grad_fn(t).get()))
GET(get_output_nr, PyLong_FromLong(autograd::grad_fn(t) ? long(meta(t).slot) : 0))
GET(get_retains_grad, PyBool_FromLong(meta_if_any(t) && meta_if_any(t)->retains_grad))
GET(get_version, PyLong_FromUnsignedLong(t.impl()->version()))
GET(get_base, wrap(t.impl()->special & kView ? Tensor(t.impl()->view_base) : Tensor()))
GET(get_false, Py_NewRef(Py_False))
GET(get_is_cuda, PyBool_FromLong(t.device().kind == DeviceKind::CUDA))
GET(get_is_cpu, PyBool_FromLong(t.device().is_cpu()))
GET(get_is_meta, PyBool_FromLong(t.is_meta()))
GET(get_data, (check(!vmap::parts_of(t), "accessing `data` under vmap transform is not allowed"), wrap(detached_data(t))))
GET(get_t, wrap(numpy_T(t)))
GET(get_mt, wrap(matrix_T(t)))
GET(get_h, wrap(matrix_H(t)))
GET(get_mh, wrap(adjoint(t)))
GET(get_real, wrap(real(t)))
GET(get_imag, wrap(imag(t)))
GET(get_cdata, PyLong_FromVoidPtr(t.impl()))
GET(get_none, Py_NewRef(Py_None))
#undef GET

PyObject* get_names(PyObject* self, void*) {
  const Py_ssize_t n = Py_ssize_t(unwrap(self).dim());
  PyObject* names = PyTuple_New(n);
  for (Py_ssize_t i = 0; names && i < n; i++) PyTuple_SET_ITEM(names, i, Py_NewRef(Py_None));
  return names;
}

PyObject* get_grad(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    const autograd::Meta* m = meta_if_any(t);
    if (m && m->grad.defined()) return wrap(m->grad);
    if (t.needs_grad() && !autograd::is_leaf(t) && !(m && m->retains_grad))
      checked(PyErr_WarnEx(PyExc_UserWarning,
                           "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
                           "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
                           "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead. See "
                           "github.com/pytorch/pytorch/pull/30531 for more informations.",
                           1));
    return Py_NewRef(Py_None);
  });
}

int set_grad(PyObject* self, PyObject* value, void*) {
  return guarded([&]() -> int {
    const Tensor& t = unwrap(self);
    if (!value || value == Py_None) {
      if (autograd::Meta* m = meta_if_any(t)) m->grad = Tensor();
      return 0;
    }
    check_type(is_tensor(value), "assigned grad expected to be a Tensor or None but got grad of type ", Py_TYPE(value)->tp_name);
    check(value != self, "can't assign Variable as its own grad");
    const Tensor& grad = unwrap(value);
    check(grad.dtype() == t.dtype(), "attempting to assign a gradient with dtype '", dtype_name(grad.dtype()),
          "' to a tensor with grad_dtype '", dtype_name(t.dtype()), "'. The gradient must match the tensor's grad_dtype (defaults to the tensor's dtype).");
    check(grad.device() == t.device(), "attempting to assign a gradient with device type '", device_kind_name(grad.device().kind),
          "' to a tensor with device type '", device_kind_name(t.device().kind), "'. Please ensure that the gradient and the tensor are on the same device");
    check(same(grad.sizes(), t.sizes()), "attempting to assign a gradient of size '", shape_text(grad.sizes()), "' to a tensor of size '",
          shape_text(t.sizes()), "'. Please ensure that the gradient and the tensor are the same size");
    meta(t).grad = grad;
    return 0;
  });
}

int set_requires_grad(PyObject* self, PyObject* value, void*) {
  return guarded([&]() -> int {
    check(value && PyBool_Check(value), "requires_grad must be a bool");
    autograd::set_requires_grad(unwrap(self), value == Py_True);
    return 0;
  });
}

int set_data(PyObject* self, PyObject* value, void*) {
  return guarded([&]() -> int {
    check_type(value && is_tensor(value), "Variable data has to be a tensor, but got ", value ? Py_TYPE(value)->tp_name : "nothing");
    check(!lacks_data(unwrap(self)) && !lacks_data(unwrap(value)),
          "`.data` of a tensor subclass without memory cannot be replaced: what it holds is known to its class alone. Use torch.utils.swap_tensors.");
    set_tensor_data(unwrap(self), unwrap(value));
    return 0;
  });
}

int set_grad_fn(PyObject* self, PyObject* value, void*) {
  return guarded([&]() -> int {
    check(!value || value == Py_None, "_grad_fn can be only set to None");
    if (autograd::Meta* m = meta_if_any(unwrap(self))) m->grad_fn.reset();
    return 0;
  });
}

int set_real(PyObject* self, PyObject* value, void* which) {
  return guarded([&]() -> int {
    const Tensor part = which ? imag(unwrap(self)) : real(unwrap(self));
    if (is_tensor(value))
      copy_(part, unwrap(value));
    else
      fill_(part, unwrap_scalar(value));
    return 0;
  });
}

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "torch.Size of the dimensions", nullptr},
    {"dtype", get_dtype, nullptr, "torch.dtype of the elements", nullptr},
    {"device", get_device, nullptr, "torch.device that holds the elements", nullptr},
    {"layout", get_layout, nullptr, "torch.strided, or the sparse layout", nullptr},
    {"ndim", get_ndim, nullptr, "number of dimensions", nullptr},
    {"itemsize", get_itemsize, nullptr, "bytes of one element", nullptr},
    {"nbytes", get_nbytes, nullptr, "bytes of all elements", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad, "True if gradients are computed for this tensor", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "True if the tensor was not made by a recorded operation", nullptr},
    {"grad", get_grad, set_grad, "gradient accumulated by backward(), or None", nullptr},
    {"_grad", get_grad, set_grad, "as grad", nullptr},
    {"grad_fn", get_grad_fn, nullptr, "graph node that made the tensor, or None", nullptr},
    {"_grad_fn", get_grad_fn, set_grad_fn, "as grad_fn, and writable", nullptr},
    {"output_nr", get_output_nr, nullptr, "which result of grad_fn this is", nullptr},
    {"retains_grad", get_retains_grad, nullptr, "True for a non-leaf whose gradient is kept", nullptr},
    {"_version", get_version, nullptr, "count of in-place writes to the memory", nullptr},
    {"_base", get_base, nullptr, "tensor of which this is a view, or None", nullptr},
    {"_cdata", get_cdata, nullptr, "address of the native tensor", nullptr},
    {"data", get_data, set_data, "the same memory without history and with its own version counter", nullptr},
    {"T", get_t, nullptr, "the dimensions reversed", nullptr},
    {"mT", get_mt, nullptr, "the last two dimensions exchanged", nullptr},
    {"H", get_h, nullptr, "conjugate transpose of a matrix", nullptr},
    {"mH", get_mh, nullptr, "the last two dimensions exchanged, and conjugated", nullptr},
    {"real", get_real, set_real, "real part, as a view", nullptr},
    {"imag", get_imag, set_real, "imaginary part, as a view", const_cast<char*>("imag")},
    {"names", get_names, nullptr, "None for each dimension: dimensions are not named", nullptr},
    {"is_cuda", get_is_cuda, nullptr, "True if a CUDA device holds the elements", nullptr},
    {"is_cpu", get_is_cpu, nullptr, "True if the memory of the CPU holds the elements", nullptr},
    {"is_meta", get_is_meta, nullptr, "True on the meta device: a shape and dtype without elements", nullptr},
    {"is_sparse", get_is_sparse, nullptr, "True for the layout torch.sparse_coo", nullptr},
    {"is_sparse_csr", get_is_sparse_csr, nullptr, "True for the layout torch.sparse_csr", nullptr},
    {"is_quantized", get_false, nullptr, "False: there are no quantized dtypes", nullptr},
    {"is_nested", get_false, nullptr, "False: there are no nested tensors", nullptr},
    {"is_mkldnn", get_false, nullptr, "False: not in an MKL-DNN layout", nullptr},
    {"is_mps", get_false, nullptr, "False: not on an Apple GPU", nullptr},
    {"is_mtia", get_false, nullptr, "False: not on an MTIA device", nullptr},
    {"is_vulkan", get_false, nullptr, "False: not on a Vulkan device", nullptr},
    {"is_xpu", get_false, nullptr, "False: not on an Intel GPU", nullptr},
    {"is_ipu", get_false, nullptr, "False: not on an IPU", nullptr},
    {"is_xla", get_false, nullptr, "False: not on an XLA device", nullptr},
    {"is_maia", get_false, nullptr, "False: not on a MAIA device", nullptr},
    {"volatile", get_false, nullptr, "False: replaced by torch.no_grad", nullptr},
    {"_has_symbolic_sizes_strides", get_false, nullptr, "False: sizes are plain numbers", nullptr},
    {"_backward_hooks", get_none, nullptr, "None: hooks are kept elsewhere", nullptr},
    {"name", get_none, nullptr, "None: tensors have no name", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

PyGetSetDef* tensor_getset() { return getset; }

}  // namespace tabula::py
