// x[...] and x[...] = value: basic indices become views at once; tensors, lists and masks are left to `index`.
#include "bindings/interop.h"
#include "bindings/operations.h"
#include "bindings/tensor_type.h"
#include "core/hint.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_advanced.h"
#include "ops/view.h"
#include "ops/scalar_range.h"

namespace tabula::py {
namespace {

// The view that the basic indices take, and the tensors that index what is left.
struct Parts {
  Tensor view;
  std::vector<Tensor> tensors;  // undefined: the whole dimension
  bool advanced = false;
};

bool is_index_int(PyObject* o) { return PyLong_Check(o) && !PyBool_Check(o); }

int64_t slice_bound(PyObject* o) {
  if (PyLong_Check(o)) {
    int overflow;
    const int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
    return overflow ? (overflow > 0 ? INT64_MAX : INT64_MIN) : v;
  }
  check_type(PyIndex_Check(o), "slice indices must be integers or None or have an __index__ method");
  return unwrap_int(o);
}

Tensor take_slice(const Tensor& t, int64_t dim, PyObject* object) {
  auto* s = reinterpret_cast<PySliceObject*>(object);
  const int64_t step = s->step == Py_None ? 1 : slice_bound(s->step);
  check_value(step != 0, "slice step cannot be zero");
  check_value(step > 0, "step must be greater than zero");
  check_index(dim < t.dim(), "too many indices for tensor of dimension ", t.dim());
  if (s->start == Py_None && s->stop == Py_None && step == 1) return t;
  const int64_t size = t.sizes()[size_t(dim)];
  int64_t start = s->start == Py_None ? 0 : slice_bound(s->start), stop = s->stop == Py_None ? size : slice_bound(s->stop);
  if (start < 0) start = start == INT64_MIN ? 0 : start + size;
  if (stop < 0) stop = stop == INT64_MIN ? 0 : stop + size;
  return slice(t, dim, std::max<int64_t>(start, 0), std::max<int64_t>(stop, 0), step);
}

Tensor take_int(const Tensor& t, int64_t dim, PyObject* o) {
  const int64_t index = unwrap_int(o);
  check_index(t.dim() > 0, "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
  check_index(dim < t.dim(), "too many indices for tensor of dimension ", t.dim());
  const int64_t size = t.sizes()[size_t(dim)];
  check_index(index >= -size && index < size, "index ", index, " is out of bounds for dimension ", dim, " with size ", size, index_hint(t.sizes(), dim));
  return select(t, dim, index);
}

// An index that is no int, slice, None or Ellipsis, as a tensor.
Tensor index_tensor(PyObject* o) {
  if (is_tensor(o)) return unwrap(o);
  Tensor t = tensor_from_data(o, std::nullopt, Device{}, true);
  if (t.numel() == 0 && is_floating(t.dtype())) t = cast_raw(t, DType::Int64);
  return t;
}

// How many dimensions of the tensor an index uses up.
int64_t consumed(PyObject* o) {
  if (is_index_int(o) || PySlice_Check(o)) return 1;
  if (o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) return 0;
  if (is_tensor(o)) {
    const Tensor& t = unwrap(o);
    return t.dtype() == DType::Bool || t.dtype() == DType::UInt8 ? t.dim() : 1;
  }
  if (!PyUnicode_Check(o) && (PySequence_Check(o) || PyObject_HasAttrString(o, "__array__"))) {
    const Tensor t = index_tensor(o);
    return t.dtype() == DType::Bool ? t.dim() : 1;
  }
  return 1;
}

Parts split_index(const Tensor& t, PyObject* const* items, Py_ssize_t count) {
  Parts parts{t, {}, false};
  int64_t used = 0;
  for (Py_ssize_t i = 0; i < count; i++) used += consumed(items[i]);
  check_index(used <= t.dim(), "too many indices for tensor of dimension ", t.dim());
  int64_t dim = 0;
  int64_t folded = 0;  // dimensions behind masks beyond the one entry each mask takes in the list
  const auto put = [&](Tensor index) {
    while (int64_t(parts.tensors.size()) < dim - folded) parts.tensors.emplace_back();
    parts.tensors.push_back(std::move(index));
    parts.advanced = true;
  };
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject* o = items[i];
    if (is_index_int(o)) {
      parts.view = take_int(parts.view, dim, o);
    } else if (PySlice_Check(o)) {
      parts.view = take_slice(parts.view, dim, o);
      dim++;
    } else if (o == Py_Ellipsis) {
      dim += t.dim() - used;
    } else if (o == Py_None) {
      parts.view = unsqueeze(parts.view, dim);
      dim++;
    } else if (PyBool_Check(o)) {
      // a new dimension of size one, kept or dropped
      parts.view = unsqueeze(parts.view, dim);
      put(full_raw(Dims{1}, Scalar(o == Py_True), DType::Bool));
      dim++;
    } else if (is_tensor(o) && unwrap(o).dim() == 0 && !unwrap(o).impl()->parts && is_integral_or_bool(unwrap(o).dtype()) && unwrap(o).dtype() != DType::UInt8) {
      const Tensor& index = unwrap(o);
      if (index.dtype() == DType::Bool) {
        parts.view = unsqueeze(parts.view, dim);
        put(unsqueeze(index, 0));
        dim++;
      } else {
        PyRef number = checked(PyLong_FromLongLong(item(index).to_int()));
        parts.view = take_int(parts.view, dim, number.get());
      }
    } else {
      if (!is_tensor(o) && !PySequence_Check(o) && PyIndex_Check(o)) {
        PyRef number = checked(PyNumber_Index(o));
        parts.view = take_int(parts.view, dim, number.get());
        continue;
      }
      if (!is_tensor(o) && !PySequence_Check(o) && !PyObject_HasAttrString(o, "__array__"))
        fail(ErrorKind::Index, "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got ", Py_TYPE(o)->tp_name, ")");
      check_type(!PyUnicode_Check(o), "new(): invalid data type 'str'");
      Tensor index = index_tensor(o);
      const bool mask = index.dtype() == DType::Bool || index.dtype() == DType::UInt8;
      const int64_t covers = mask ? index.dim() : 1;
      put(std::move(index));
      dim += covers;
      folded += covers - 1;
    }
  }
  return parts;
}

// Old habit: x[[0, slice(1)]] with a list holding anything but numbers means a tuple.
bool list_as_tuple(PyObject* o) {
  if (!PyList_Check(o)) return false;
  const Py_ssize_t n = PyList_GET_SIZE(o);
  if (n >= 32) return false;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* item = PyList_GET_ITEM(o, i);
    if (PySlice_Check(item) || item == Py_Ellipsis || item == Py_None || PyUnicode_Check(item)) return true;
  }
  return false;
}

struct Items {
  PyObject* const* items;
  Py_ssize_t count;
  PyRef copy;  // of a list, which an item's __index__ could change
};
Items items_of(PyObject*& index) {
  if (PyTuple_Check(index)) return {PySequence_Fast_ITEMS(index), PyTuple_GET_SIZE(index), {}};
  if (list_as_tuple(index)) {
    PyRef copy = checked(PyList_AsTuple(index));
    return {PySequence_Fast_ITEMS(copy.get()), PyTuple_GET_SIZE(copy.get()), copy};
  }
  return {&index, 1, {}};
}

bool overridden(PyObject* self, PyObject* index, PyObject* value, const char* name, PyObject** result) {
  PyObject* args[3] = {self, index, value};
  const Arguments call_args{nullptr, args, value ? 3 : 2, nullptr};
  if (!torch_function_needed(call_args)) return false;
  PyRef callable = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name));
  return call_torch_function(callable.get(), call_args, result);
}

// The value as a tensor of the target's dtype.
Tensor value_tensor(PyObject* value, const Tensor& target) {
  if (is_tensor(value)) return unwrap(value);
  if (is_number(value)) {
    const Scalar s = unwrap_scalar(value);
    check(!(s.is_complex() && !is_complex(target.dtype())), "value cannot be converted to type ", dtype_name(target.dtype()), " without overflow");
    return full_raw({}, s, target.dtype(), target.device());
  }
  if (is_numpy_array(value) || PyObject_HasAttrString(value, "__array__")) return tensor_from_data(value, std::nullopt, Device{}, true);
  if (PySequence_Check(value) && !PyUnicode_Check(value)) return tensor_from_data(value, target.dtype(), Device{}, true);
  fail(ErrorKind::Type, "can't assign a ", Py_TYPE(value)->tp_name, " to a ", concat("torch.", dtype_title(target.dtype()), "Tensor"));
}

// Leading dimensions of size one do not count.
Tensor trimmed(const Tensor& value, int64_t dims) {
  Tensor v = value;
  while (v.dim() > dims && v.sizes()[0] == 1) v = squeeze_dims(v, Dims{0});
  return v;
}

}  // namespace

PyObject* tensor_subscript(PyObject* self, PyObject* index) {
  return guarded([&]() -> PyObject* {
    PyObject* result;
    if (overridden(self, index, nullptr, "__getitem__", &result)) return result;
    const Tensor& t = unwrap(self);
    if (is_index_int(index)) return wrap(take_int(t, 0, index));
    const Items items = items_of(index);
    Parts parts = split_index(t, items.items, items.count);
    if (parts.advanced) return wrap(tabula::index(parts.view, TensorList(parts.tensors)));
    // an index that takes everything still gives a new tensor
    if (parts.view.is(t)) return wrap(alias_view(t));
    return wrap(std::move(parts.view));
  });
}

int tensor_assign_subscript(PyObject* self, PyObject* index, PyObject* value) {
  return guarded([&]() -> int {
    check_type(value != nullptr, "Tensor does not support deleting items");
    PyObject* result;
    if (overridden(self, index, value, "__setitem__", &result)) {
      Py_XDECREF(result);
      return result ? 0 : -1;
    }
    const Tensor& t = unwrap(self);
    const Items items = items_of(index);
    // a view to write through; without gradients to track it needs no history
    Parts parts = split_index(t, items.items, items.count);
    if (parts.advanced) {
      Tensor v = value_tensor(value, t);
      if (v.dtype() != t.dtype() && v.dim() == 0) v = to_dtype(v, t.dtype());
      index_put_(parts.view, TensorList(parts.tensors), trimmed(v, 64), false);
      return 0;
    }
    if (!is_tensor(value) && is_number(value)) {
      const Scalar s = unwrap_scalar(value);
      check_fill(s, parts.view.dtype());
      fill_(parts.view, s);
      return 0;
    }
    const Tensor v = value_tensor(value, t);
    const Tensor source = trimmed(v, parts.view.dim());
    if (source.numel() && source.dim() > parts.view.dim()) (void)expanded(Geometry{Dims(source.sizes()), Dims(source.strides()), 0}, parts.view.sizes());
    if (source.numel() && !expandable_to(source.sizes(), parts.view.sizes()))
      fail(ErrorKind::Runtime, "The expanded size of the tensor (", parts.view.dim() ? parts.view.sizes().back() : 1, ") must match the existing size (",
           source.dim() ? source.sizes().back() : 1, ") at non-singleton dimension ", std::max<int64_t>(parts.view.dim() - 1, 0), ".  Target sizes: ",
           shape_text(parts.view.sizes()), ".  Tensor sizes: ", shape_text(source.sizes()));
    copy_(parts.view, source);
    return 0;
  });
}

}  // namespace tabula::py
