// torch.Tensor: the Python object of a tensor, its life, and its protocols (number, sequence, comparison, buffer).
#include "bindings/tensor_type.h"
#include "bindings/interpreter_end.h"

#include "autograd/node.h"
#include "bindings/interop.h"
#include "bindings/operations.h"
#include "bindings/torch_dispatch.h"
#include "core/allocator.h"
#include "core/state.h"
#include "interp/vmap.h"
#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/matmul.h"
#include "ops/view.h"

namespace tabula::py {

PyTypeObject* tensor_type = nullptr;
PyTypeObject* parameter_type = nullptr;

namespace {

// Dead objects of exactly torch.Tensor, ready for reuse: cheaper than the collector's allocator.
struct FreeList {
  static constexpr int kMax = 128;
  PyTensor* items[kMax];
  int count = 0;
};
#ifdef Py_GIL_DISABLED
thread_local FreeList free_list;
#else
FreeList free_list;
#endif

PyTensor* allocate(PyTypeObject* type) {
  if (type == tensor_type && free_list.count) {
    PyTensor* self = free_list.items[--free_list.count];
    PyObject_Init(reinterpret_cast<PyObject*>(self), type);
    return self;
  }
  auto* self = reinterpret_cast<PyTensor*>(type->tp_alloc(type, 0));
  if (!self) throw PythonError{};
  if (PyObject_GC_IsTracked(reinterpret_cast<PyObject*>(self))) PyObject_GC_UnTrack(self);
  return self;
}

PyObject* attach(PyTypeObject* type, Tensor&& t) {
  PyTensor* self = allocate(type);
  TensorImpl* impl = t.impl();
  new (&self->tensor) Tensor(std::move(t));
  self->dict = nullptr;
  self->weakrefs = nullptr;
  impl->python = self;
  if (type != tensor_type && type != parameter_type && dispatches(type)) impl->special |= kDispatch;
  PyObject_GC_Track(self);
  return reinterpret_cast<PyObject*>(self);
}

// The graph or another container still holds the tensor, and the object has something to lose: a class of its own,
// attributes, or weak references to it. So it lives on, owned by the tensor.
void keep_in_tensor(PyObject* object) {
  TensorImpl* impl = reinterpret_cast<PyTensor*>(object)->tensor.impl();
  Py_SET_REFCNT(object, 1);
  PyObject_GC_Track(object);
  impl->owns_python = true;
  Ref<TensorImpl>::adopt(impl).reset();  // the object's share of the tensor
}

// The reverse. The tensor's reference to the object becomes the caller's.
PyObject* take_from_tensor(TensorImpl* impl) {
  impl->owns_python = false;
  static_cast<void>(Ref<TensorImpl>(impl).release());
  return static_cast<PyObject*>(impl->python);
}

bool object_of_dying(TensorImpl* impl) {
  // an object that stays behind without its tensor would be met by the collector
  const bool runs = running_thread() != nullptr;
  if (!runs && !Py_IsInitialized()) return true;
  const PyGILState_STATE state = runs ? PyGILState_LOCKED : PyGILState_Ensure();
  auto* object = static_cast<PyObject*>(impl->python);
  impl->owns_python = false;
  const bool unused = Py_REFCNT(object) == 1;
  if (unused) {
    static_cast<void>(reinterpret_cast<PyTensor*>(object)->tensor.release());
    impl->python = nullptr;
  }
  Py_DECREF(object);
  if (!runs) PyGILState_Release(state);
  return unused;
}

void tensor_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<PyTensor*>(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(self);
  if (TensorImpl* impl = self->tensor.impl()) {
    if (impl->use_count() > 1 && (type != tensor_type || self->dict || self->weakrefs)) return keep_in_tensor(object);
    impl->python = nullptr;
  }
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  Py_CLEAR(self->dict);
  self->tensor.~Tensor();
  if (kRecycle && type == tensor_type && free_list.count < FreeList::kMax) {
    free_list.items[free_list.count++] = self;
  } else {
    type->tp_free(object);
  }
  Py_DECREF(type);
}

int tensor_traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<PyTensor*>(object);
  Py_VISIT(Py_TYPE(object));
  // while the graph holds the tensor, its attributes are held as well: they must come back with it
  if (self->tensor.defined() && self->tensor.impl()->use_count() > 1) return 0;
  Py_VISIT(self->dict);
  // hooks and custom functions' nodes can close cycles through a tensor nobody else holds
  return self->tensor.defined() ? visit_autograd(self->tensor, visit, arg) : 0;
}

int tensor_clear(PyObject* object) {
  auto* self = reinterpret_cast<PyTensor*>(object);
  if (self->tensor.defined() && self->tensor.impl()->use_count() > 1) return 0;
  Py_CLEAR(self->dict);
  if (self->tensor.defined()) clear_autograd(self->tensor);
  return 0;
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    return wrap_as(type, legacy_new(default_dtype, Device{}, args, kwargs));
  });
}

int tensor_init(PyObject*, PyObject*, PyObject*) { return 0; }

// ---- number protocol ----

#define BINARY(function, op, dunder)                                              \
  PyObject* function(PyObject* a, PyObject* b) {                                  \
    return binary_operator(op, a, b, "__" dunder "__", "__r" dunder "__");        \
  }
BINARY(nb_add, add, "add")
BINARY(nb_sub, sub, "sub")
BINARY(nb_mul, mul, "mul")
BINARY(nb_floordiv, floor_divide, "floordiv")
BINARY(nb_mod, remainder, "mod")
// A number over a tensor is the number times the tensor's reciprocal, roundings included.
PyObject* nb_div(PyObject* a, PyObject* b) {
  if (is_tensor(a)) return binary_operator(div, a, b, "__truediv__", "__rtruediv__");
  return divide_number(a, b);
}
BINARY(nb_and, bitwise_and, "and")
BINARY(nb_or, bitwise_or, "or")
BINARY(nb_xor, bitwise_xor, "xor")
BINARY(nb_lshift, bitwise_left_shift, "lshift")
BINARY(nb_rshift, bitwise_right_shift, "rshift")
BINARY(nb_matmul, matmul, "matmul")
#undef BINARY

#define IN_PLACE(function, op, dunder) \
  PyObject* function(PyObject* a, PyObject* b) { return in_place_operator(op, a, b, "__i" dunder "__"); }
IN_PLACE(nb_iadd, add, "add")
IN_PLACE(nb_isub, sub, "sub")
IN_PLACE(nb_imul, mul, "mul")
IN_PLACE(nb_idiv, div, "truediv")
IN_PLACE(nb_ifloordiv, floor_divide, "floordiv")
IN_PLACE(nb_imod, remainder, "mod")
IN_PLACE(nb_iand, bitwise_and, "and")
IN_PLACE(nb_ior, bitwise_or, "or")
IN_PLACE(nb_ixor, bitwise_xor, "xor")
IN_PLACE(nb_ilshift, bitwise_left_shift, "lshift")
IN_PLACE(nb_irshift, bitwise_right_shift, "rshift")
#undef IN_PLACE

PyObject* nb_pow(PyObject* a, PyObject* b, PyObject*) { return binary_operator(pow, a, b, "__pow__", "__rpow__"); }
PyObject* nb_ipow(PyObject* a, PyObject* b, PyObject*) { return in_place_operator(pow, a, b, "__ipow__"); }

PyObject* unary(PyObject* self, const Op& op) {
  return guarded([&]() -> PyObject* { return wrap(op(unwrap(self))); });
}
PyObject* nb_neg(PyObject* self) { return unary(self, neg); }
PyObject* nb_pos(PyObject* self) { return unary(self, positive); }
PyObject* nb_abs(PyObject* self) { return unary(self, abs); }
PyObject* nb_invert(PyObject* self) {
  return guarded([&]() -> PyObject* {
    check_type(is_integral_or_bool(unwrap(self).dtype()), "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
    return wrap(bitwise_not(unwrap(self)));
  });
}

const Tensor& only_item_of(PyObject* self) {
  check_value(unwrap(self).numel() == 1, "only one element tensors can be converted to Python scalars");
  return unwrap(self);
}
Scalar only_item(PyObject* self) { return item(only_item_of(self)); }

int nb_bool(PyObject* self) {
  return guarded([&]() -> int {
    const Tensor& t = unwrap(self);
    check(t.numel() != 0, "Boolean value of Tensor with no values is ambiguous");
    check(t.numel() == 1, "Boolean value of Tensor with more than one value is ambiguous");
    if (vmap::parts_of(t)) fail_branch();
    return only_item(self).to_bool();
  });
}
PyObject* nb_int(PyObject* self) {
  return guarded([&]() -> PyObject* {
    PyRef value = checked(wrap_item(only_item_of(self)));
    if (PyComplex_Check(value.get())) {
      check(only_item(self).imag() == 0, "value cannot be converted to type int64_t without overflow");
      return PyLong_FromDouble(only_item(self).real());
    }
    return PyNumber_Long(value.get());
  });
}
PyObject* nb_float(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Scalar s = only_item(self);
    check(s.imag() == 0, "value cannot be converted to type double without overflow");
    return PyFloat_FromDouble(unwrap(self).dtype() == DType::UInt64 ? double(uint64_t(s.to_int())) : s.to_double());
  });
}
PyObject* nb_index(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check_type(is_integral_or_bool(t.dtype()) && t.numel() == 1, "only integer tensors of a single element can be converted to an index");
    return wrap_item(t);
  });
}

PyObject* rich_compare(PyObject* a, PyObject* b, int how) {
  switch (how) {
    case Py_LT: return binary_operator(lt, a, b, "__lt__", "__gt__");
    case Py_LE: return binary_operator(le, a, b, "__le__", "__ge__");
    case Py_EQ: {
      const char* name = is_tensor(a) && is_tensor(b) ? "__eq__" : "eq";  // as overrides see it in PyTorch
      return binary_operator(eq, a, b, name, name);
    }
    case Py_NE: return binary_operator(ne, a, b, "ne", "ne");
    case Py_GT: return binary_operator(gt, a, b, "__gt__", "__lt__");
    default: return binary_operator(ge, a, b, "__ge__", "__le__");
  }
}

// by identity: == compares elements
Py_hash_t hash(PyObject* self) { return Py_hash_t(reinterpret_cast<uintptr_t>(self)); }

Py_ssize_t length(PyObject* self) {
  return guarded([&]() -> Py_ssize_t {
    const Tensor& t = unwrap(self);
    check_type(t.dim() > 0, "len() of a 0-d tensor");
    return t.sizes()[0];
  });
}

PyObject* iterate(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check_type(t.dim() > 0, "iteration over a 0-d tensor");
    PyRef parts = checked(wrap_tuple(unbind.list(t, int64_t(0))));
    return PyObject_GetIter(parts.get());
  });
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) { return tensor_getbuffer(self, view, flags); }
void release_buffer(PyObject*, Py_buffer* view) { tensor_releasebuffer(view); }

PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(PyTensor, dict), READONLY, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(PyTensor, weakrefs), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

constexpr const char* kDoc =
    "An n-dimensional array of one dtype on one device.\n\n"
    "Tensors are made by torch.tensor, the factories (torch.zeros, torch.arange, ...) or from NumPy by torch.from_numpy.\n\n"
    "Example::\n\n    >>> torch.Tensor([[1, 2], [3, 4]])\n    tensor([[1., 2.],\n            [3., 4.]])\n";

}  // namespace

PyObject* wrap(Tensor&& t) {
  if (!t.defined()) return Py_NewRef(Py_None);
  TensorImpl* impl = t.impl();
  if (impl->python) return impl->owns_python ? take_from_tensor(impl) : Py_NewRef(static_cast<PyObject*>(impl->python));
  return attach(tensor_type, std::move(t));
}

PyObject* wrap(const Tensor& t) { return wrap(Tensor(t)); }

PyObject* wrap_as(PyTypeObject* type, Tensor t) {
  if (t.impl()->python) t = Tensor::alias(t);
  return attach(type, std::move(t));
}

void hold_by_python(PyObject* object) {
  TensorImpl* impl = unwrap(object).impl();
  if (impl->owns_python) Py_DECREF(take_from_tensor(impl));
}

PyObject* wrap_list(TensorList list) {
  PyRef result = checked(PyList_New(Py_ssize_t(list.size())));
  for (size_t i = 0; i < list.size(); i++) PyList_SET_ITEM(result.get(), Py_ssize_t(i), wrap(list[i]));
  return result.release();
}

PyObject* wrap_tuple(TensorList list) {
  PyRef result = checked(PyTuple_New(Py_ssize_t(list.size())));
  for (size_t i = 0; i < list.size(); i++) PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), wrap(list[i]));
  return result.release();
}

void add_tensor_type(PyObject* module) {
  release_python = object_of_dying;
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>(kDoc)},
      {Py_tp_new, reinterpret_cast<void*>(tensor_new)},
      {Py_tp_init, reinterpret_cast<void*>(tensor_init)},
      {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
      {Py_tp_members, members},
      {Py_tp_methods, tensor_methods()},
      {Py_tp_getset, tensor_getset()},
      {Py_tp_hash, reinterpret_cast<void*>(hash)},
      {Py_tp_richcompare, reinterpret_cast<void*>(rich_compare)},
      {Py_tp_iter, reinterpret_cast<void*>(iterate)},
      {Py_mp_length, reinterpret_cast<void*>(length)},
      {Py_mp_subscript, reinterpret_cast<void*>(tensor_subscript)},
      {Py_mp_ass_subscript, reinterpret_cast<void*>(tensor_assign_subscript)},
      {Py_nb_add, reinterpret_cast<void*>(nb_add)},
      {Py_nb_subtract, reinterpret_cast<void*>(nb_sub)},
      {Py_nb_multiply, reinterpret_cast<void*>(nb_mul)},
      {Py_nb_true_divide, reinterpret_cast<void*>(nb_div)},
      {Py_nb_floor_divide, reinterpret_cast<void*>(nb_floordiv)},
      {Py_nb_remainder, reinterpret_cast<void*>(nb_mod)},
      {Py_nb_power, reinterpret_cast<void*>(nb_pow)},
      {Py_nb_and, reinterpret_cast<void*>(nb_and)},
      {Py_nb_or, reinterpret_cast<void*>(nb_or)},
      {Py_nb_xor, reinterpret_cast<void*>(nb_xor)},
      {Py_nb_lshift, reinterpret_cast<void*>(nb_lshift)},
      {Py_nb_rshift, reinterpret_cast<void*>(nb_rshift)},
      {Py_nb_matrix_multiply, reinterpret_cast<void*>(nb_matmul)},
      {Py_nb_inplace_add, reinterpret_cast<void*>(nb_iadd)},
      {Py_nb_inplace_subtract, reinterpret_cast<void*>(nb_isub)},
      {Py_nb_inplace_multiply, reinterpret_cast<void*>(nb_imul)},
      {Py_nb_inplace_true_divide, reinterpret_cast<void*>(nb_idiv)},
      {Py_nb_inplace_floor_divide, reinterpret_cast<void*>(nb_ifloordiv)},
      {Py_nb_inplace_remainder, reinterpret_cast<void*>(nb_imod)},
      {Py_nb_inplace_power, reinterpret_cast<void*>(nb_ipow)},
      {Py_nb_inplace_and, reinterpret_cast<void*>(nb_iand)},
      {Py_nb_inplace_or, reinterpret_cast<void*>(nb_ior)},
      {Py_nb_inplace_xor, reinterpret_cast<void*>(nb_ixor)},
      {Py_nb_inplace_lshift, reinterpret_cast<void*>(nb_ilshift)},
      {Py_nb_inplace_rshift, reinterpret_cast<void*>(nb_irshift)},
      {Py_nb_negative, reinterpret_cast<void*>(nb_neg)},
      {Py_nb_positive, reinterpret_cast<void*>(nb_pos)},
      {Py_nb_absolute, reinterpret_cast<void*>(nb_abs)},
      {Py_nb_invert, reinterpret_cast<void*>(nb_invert)},
      {Py_nb_bool, reinterpret_cast<void*>(nb_bool)},
      {Py_nb_int, reinterpret_cast<void*>(nb_int)},
      {Py_nb_float, reinterpret_cast<void*>(nb_float)},
      {Py_nb_index, reinterpret_cast<void*>(nb_index)},
      {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
      {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
      {0, nullptr}};
  PyType_Spec spec{"torch.Tensor", sizeof(PyTensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  tensor_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)).release());
  checked(PyModule_AddObjectRef(module, "TensorBase", reinterpret_cast<PyObject*>(tensor_type)));
}

}  // namespace tabula::py
