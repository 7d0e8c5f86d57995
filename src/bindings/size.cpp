// torch.Size: a tuple of ints that stays one under +, * and slicing. A symbolic size (torch.SymInt) may stand for an int.
#include "bindings/helpers.h"

namespace tabula::py {

PyTypeObject* size_type = nullptr;

PyObject* wrap_size(IntList sizes) {
  const Py_ssize_t n = Py_ssize_t(sizes.size());
  PyObject* result = size_type->tp_alloc(size_type, n);
  if (!result) return nullptr;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* item = PyLong_FromLongLong(sizes[size_t(i)]);
    if (!item) {
      Py_DECREF(result);
      return nullptr;
    }
    PyTuple_SET_ITEM(result, i, item);
  }
  return result;
}

namespace {

bool is_size(PyObject* o) { return PyObject_TypeCheck(o, size_type); }

// Instances of torch.SymInt have a node, and nobody else among what a size may be made of.
bool is_symbolic(PyObject* o) { return !PyLong_Check(o) && !is_tensor(o) && PyObject_HasAttrString(o, "node"); }

// The items of a tuple, each turned into an int.
PyRef size_of(PyTypeObject* type, PyObject* tuple) {
  const Py_ssize_t n = PyTuple_GET_SIZE(tuple);
  PyRef result = checked(type->tp_alloc(type, n));
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* item = PyTuple_GET_ITEM(tuple, i);
    if (!PyLong_CheckExact(item) && !is_symbolic(item)) {
      check_type(is_tensor(item) ? unwrap(item).dim() == 0 : PyIndex_Check(item),
                 "torch.Size() takes an iterable of 'int' (item ", i, " is '", type_name(item), "')");
      PyTuple_SET_ITEM(result.get(), i, checked(PyLong_FromLongLong(unwrap_int(item))).release());
    } else {
      PyTuple_SET_ITEM(result.get(), i, Py_NewRef(item));
    }
  }
  return result;
}

PyObject* size_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    PyRef tuple = checked(PyTuple_Type.tp_new(&PyTuple_Type, args, kwargs));
    return size_of(type, tuple.get()).release();
  });
}

PyObject* size_repr(PyObject* self) {
  return guarded([&] {
    std::string text = "torch.Size([";
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); i++) {
      PyRef item = checked(PyObject_Repr(PyTuple_GET_ITEM(self, i)));
      const char* item_text = PyUnicode_AsUTF8(item.get());
      if (!item_text) throw PythonError{};
      text += concat(i ? ", " : "", item_text);
    }
    return wrap_string(text + "])");
  });
}

PyObject* size_add(PyObject* a, PyObject* b) {
  if (!PyTuple_Check(b) && is_size(a)) {
    // another type may know how to add itself to a tuple
    if (Py_TYPE(b)->tp_as_number && Py_TYPE(b)->tp_as_number->nb_add) Py_RETURN_NOTIMPLEMENTED;
    PyErr_Format(PyExc_TypeError, "can only concatenate tuple (not %s) to torch.Size", type_name(b));
    return nullptr;
  }
  if (!PyTuple_Check(a) || !PyTuple_Check(b)) Py_RETURN_NOTIMPLEMENTED;
  return guarded([&] {
    PyRef joined = checked(PyTuple_Type.tp_as_sequence->sq_concat(a, b));
    return size_of(size_type, joined.get()).release();
  });
}

PyObject* size_repeat(PyObject* self, Py_ssize_t count) {
  return guarded([&] {
    PyRef repeated = checked(PyTuple_Type.tp_as_sequence->sq_repeat(self, count));
    return size_of(size_type, repeated.get()).release();
  });
}

PyObject* size_subscript(PyObject* self, PyObject* key) {
  return guarded([&] {
    PyRef item = checked(PyTuple_Type.tp_as_mapping->mp_subscript(self, key));
    return PySlice_Check(key) ? size_of(size_type, item.get()).release() : item.release();
  });
}

PyObject* size_numel(PyObject* self, PyObject*) {
  return guarded([&] {
    PyRef numel = checked(PyLong_FromLong(1));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); i++) numel = checked(PyNumber_Multiply(numel.get(), PyTuple_GET_ITEM(self, i)));
    return numel.release();
  });
}

PyObject* size_reduce(PyObject* self, PyObject*) {
  PyObject* plain = PySequence_Tuple(self);
  // PySequence_Tuple returns exact tuples as they are; this one is of a subclass, so it is a new plain tuple
  return plain ? Py_BuildValue("(O(N))", Py_TYPE(self), plain) : nullptr;
}

}  // namespace

void add_size_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"numel", size_numel, METH_NOARGS, "The number of elements of a tensor of this size."},
      {"__reduce__", size_reduce, METH_NOARGS, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_new, slot(size_new)},        {Py_tp_doc, const_cast<char*>("Size(iterable=()): the sizes of a tensor's dimensions, a tuple of ints.\n\n>>> torch.zeros(2, 3).shape.numel()\n6")}, {Py_tp_repr, slot(size_repr)},
                         {Py_nb_add, slot(size_add)},        {Py_sq_repeat, slot(size_repeat)},
                         {Py_mp_subscript, slot(size_subscript)}, {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec = {"torch.Size", int(PyTuple_Type.tp_basicsize), int(PyTuple_Type.tp_itemsize),
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  size_type = add_type(module, spec, &PyTuple_Type);
}

}  // namespace tabula::py
