// Tensors from nested Python sequences, and back to nested lists.
#include <limits>

#include "bindings/helpers.h"
#include "bindings/interop.h"
#include "core/state.h"
#include "ops/promote.h"

namespace tabula::py {
namespace {

constexpr int64_t kMaxDims = 128;

// ---- which shape and dtype ----

// Follows the first item at every depth; deeper ones that disagree are found when values are stored.
Dims shape_of(PyObject* data) {
  Dims sizes;
  PyRef current = PyRef::borrow(data);
  while (!is_tensor(current.get()) && PySequence_Check(current.get())) {
    const Py_ssize_t length = PySequence_Size(current.get());
    if (length < 0) throw PythonError{};
    sizes.push_back(length);
    // the first letter of a string is a string again
    check_value(sizes.size() <= kMaxDims && !PyUnicode_Check(current.get()), "too many dimensions '",
                PyUnicode_Check(current.get()) ? "str" : type_name(current.get()), "'");
    if (length == 0) break;
    PyObject* first = PySequence_GetItem(current.get(), 0);
    if (!first) {
      PyErr_Clear();
      fail(ErrorKind::Value, "could not determine the shape of object type '", type_name(current.get()), "'");
    }
    current = PyRef::steal(first);
  }
  return sizes;
}

struct Depth {
  Depth() { checked(Py_EnterRecursiveCall(" while reading nested data") ? -1 : 0); }
  ~Depth() { Py_LeaveRecursiveCall(); }
};

DType infer_items(PyObject* sequence) {
  const Depth depth;
  const Py_ssize_t n = PySequence_Size(sequence);
  if (n < 0) throw PythonError{};
  if (n == 0) return default_dtype;
  const bool direct = PyList_Check(sequence) || PyTuple_Check(sequence);
  bool any_float = false, any_int = false, any_bool = false;
  std::optional<DType> result;
  auto add = [&](DType d) { result = result ? promote_types(*result, d) : d; };
  for (Py_ssize_t i = 0; i < n; i++) {
    PyRef item;
    if (direct) {
      if (i >= PySequence_Fast_GET_SIZE(sequence)) break;
      PyObject* o = PySequence_Fast_GET_ITEM(sequence, i);
      if (PyFloat_CheckExact(o)) {
        any_float = true;
        continue;
      }
      if (PyLong_CheckExact(o)) {
        any_int = true;
        continue;
      }
      if (PyBool_Check(o)) {
        any_bool = true;
        continue;
      }
      item = PyRef::borrow(o);
    } else {
      item = checked(PySequence_GetItem(sequence, i));
    }
    check_type(item.get() != sequence, "new(): self-referential lists are incompatible");
    add(infer_dtype(item.get()));
  }
  if (any_float) add(default_dtype);
  if (any_int) add(DType::Int64);
  if (any_bool) add(DType::Bool);
  return *result;
}

// ---- values ----

double to_double(PyObject* o) {
  if (PyFloat_CheckExact(o)) return PyFloat_AS_DOUBLE(o);
  if (is_tensor(o)) {
    const Tensor& t = unwrap(o);
    check_value(t.numel() == 1, "only one element tensors can be converted to Python scalars");
    if (t.needs_grad())
      warn_user(
          "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
          "Consider using tensor.detach() first.");
    return item(t).to_double();
  }
  const double value = PyFloat_AsDouble(o);
  if (value == -1 && PyErr_Occurred()) throw PythonError{};
  return value;
}

[[noreturn]] void fail_overflow(DType dtype) {
  fail(ErrorKind::Runtime, "value cannot be converted to type ", dtype_name(dtype), " without overflow");
}

uint64_t to_uint64(PyObject* o) {
  check_type(!PyFloat_Check(o), "an integer is required");
  PyRef integer = is_tensor(o) ? checked(PyLong_FromLongLong(unwrap_int(o))) : checked(PyNumber_Index(o));
  const unsigned long long value = PyLong_AsUnsignedLongLong(integer.get());
  if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred()) throw PythonError{};
  return value;
}

template <class T>
T to_integer(PyObject* o) {
  using Limits = std::numeric_limits<T>;
  if (PyFloat_Check(o)) {
    const double value = PyFloat_AS_DOUBLE(o);
    // the bound above is a power of two, exact as a double even where the largest T is not
    const double above = std::ldexp(1.0, Limits::digits);
    const bool inside = sizeof(T) == 8 ? value < above : value <= double(Limits::max());
    if (!(value >= double(Limits::lowest()) && inside)) fail_overflow(dtype_of<T>);
    return T(value);
  }
  const int64_t value = unwrap_int(o);
  // PyTorch lets unsigned types take negative numbers whose magnitude they can hold
  const int64_t lowest = std::is_signed_v<T> ? int64_t(Limits::lowest()) : -int64_t(Limits::max());
  if (value < lowest || value > int64_t(Limits::max())) fail_overflow(dtype_of<T>);
  return T(value);
}

c128 to_complex(PyObject* o) {
  if (is_tensor(o)) {
    check_value(unwrap(o).numel() == 1, "only one element tensors can be converted to Python scalars");
    return item(unwrap(o)).to_complex();
  }
  const Py_complex value = PyComplex_AsCComplex(o);
  if (value.real == -1 && PyErr_Occurred()) throw PythonError{};
  return {value.real, value.imag};
}

template <class T>
T element(PyObject* o) {
  if constexpr (std::is_same_v<T, bool>) {
    if (is_tensor(o)) return item(unwrap(o)).to_bool();
    const int truth = PyObject_IsTrue(o);
    checked(truth);
    return truth != 0;
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return to_uint64(o);
  } else if constexpr (std::is_integral_v<T>) {
    return to_integer<T>(o);
  } else if constexpr (is_complex_v<T> || std::is_same_v<T, ComplexHalf>) {
    return convert<T>(to_complex(o));
  } else {
    return convert<T>(to_double(o));
  }
}

// Stores the values in order; returns where the next one goes.
template <class T>
T* store(PyObject* data, const Dims& sizes, int64_t dim, T* out) {
  if (dim == sizes.size()) {
    *out = element<T>(data);
    return out + 1;
  }
  PyRef items = checked(PySequence_Fast(data, "not a sequence"));
  const int64_t n = PySequence_Fast_GET_SIZE(items.get());
  check_value(n == sizes[dim], "expected sequence of length ", sizes[dim], " at dim ", dim, " (got ", n, ")");
  const bool last = dim + 1 == sizes.size();
  for (int64_t i = 0; i < n; i++) {
    // converting an item may run Python code that shortens the list
    check_value(i < PySequence_Fast_GET_SIZE(items.get()), "the sequence changed its length while it was read");
    PyObject* o = PySequence_Fast_GET_ITEM(items.get(), i);
    if constexpr (std::is_floating_point_v<T>) {
      if (last && PyFloat_CheckExact(o)) {
        *out++ = T(PyFloat_AS_DOUBLE(o));
        continue;
      }
    }
    PyRef item = PyRef::borrow(o);
    out = store(item.get(), sizes, dim + 1, out);
  }
  return out;
}

void warn_about_arrays(PyObject* data) {
  if (!PyList_Check(data) && !PyTuple_Check(data)) return;
  if (PySequence_Fast_GET_SIZE(data) == 0 || !is_numpy_array(PySequence_Fast_GET_ITEM(data, 0))) return;
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  warn_user(
      "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting the list to a "
      "single numpy.ndarray with numpy.array() before converting to a tensor.");
}

// A flat list of floats, or of ints, in one pass. Undefined if there is anything else in it.
template <class T>
Tensor flat_floats(PyObject* const* items, int64_t n) {
  Tensor t = Tensor::empty({{n}}, dtype_of<T>);
  T* out = t.data_as<T>();
  for (int64_t i = 0; i < n; i++) {
    if (!PyFloat_CheckExact(items[i])) return {};
    out[i] = T(PyFloat_AS_DOUBLE(items[i]));
  }
  return t;
}

Tensor flat_ints(PyObject* const* items, int64_t n) {
  Tensor t = Tensor::empty({{n}}, DType::Int64);
  int64_t* out = t.data_as<int64_t>();
  for (int64_t i = 0; i < n; i++) {
    if (!PyLong_CheckExact(items[i])) return {};
    int overflow;
    out[i] = PyLong_AsLongLongAndOverflow(items[i], &overflow);
    if (overflow) return {};
  }
  return t;
}

Tensor flat(PyObject* list, std::optional<DType> dtype) {
  const int64_t n = PyList_GET_SIZE(list);
  if (n == 0) return {};
  PyObject* const* items = PySequence_Fast_ITEMS(list);
  if (PyFloat_CheckExact(items[0])) {
    const DType wanted = dtype.value_or(default_dtype);
    if (wanted == DType::Float32) return flat_floats<float>(items, n);
    if (wanted == DType::Float64) return flat_floats<double>(items, n);
  } else if (PyLong_CheckExact(items[0]) && dtype.value_or(DType::Int64) == DType::Int64) {
    return flat_ints(items, n);
  }
  return {};
}

template <class T>
PyObject* python_element(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return PyBool_FromLong(value);
  else if constexpr (std::is_same_v<T, uint64_t>)
    return PyLong_FromUnsignedLongLong(value);
  else if constexpr (std::is_integral_v<T>)
    return PyLong_FromLongLong(value);
  else if constexpr (std::is_same_v<T, ComplexHalf>)
    return python_element(c64(value));
  else if constexpr (is_complex_v<T>)
    return PyComplex_FromDoubles(value.real(), value.imag());
  else
    return PyFloat_FromDouble(double(value));
}

struct Resolve {
  bool conj, neg;
  template <class T>
  T operator()(T value) const {
    if constexpr (is_complex_v<T>) {
      if (conj) value = std::conj(value);
      return neg ? -value : value;
    } else if constexpr (std::is_floating_point_v<T>) {
      return neg ? -value : value;
    } else {
      return value;
    }
  }
};

template <class T>
PyRef to_list(const T* data, IntList sizes, IntList strides, Resolve resolve) {
  if constexpr (std::is_same_v<T, bool>) {  // a view of other bytes as bool may hold anything
    if (sizes.empty()) return checked(python_element(resolve(*reinterpret_cast<const uint8_t*>(data) != 0)));
  } else {
    if (sizes.empty()) return checked(python_element(resolve(*data)));
  }
  PyRef list = checked(PyList_New(sizes[0]));
  for (int64_t i = 0; i < sizes[0]; i++, data += strides[0])
    PyList_SET_ITEM(list.get(), i, to_list(data, sizes.subspan(1), strides.subspan(1), resolve).release());
  return list;
}

}  // namespace

DType infer_dtype(PyObject* data) {
  if (PyFloat_CheckExact(data)) return default_dtype;
  if (PyBool_Check(data)) return DType::Bool;
  if (PyLong_CheckExact(data)) return DType::Int64;
  if (is_tensor(data)) return unwrap(data).dtype();
  check_type(!PyUnicode_Check(data) && !PyBytes_Check(data), "new(): invalid data type '", type_name(data), "'");
  if (is_numpy_array(data)) return tensor_from_numpy(data, false).dtype();
  if (is_numpy_scalar(data)) return dtype_of_numpy_scalar(data);
  if (PyFloat_Check(data)) return default_dtype;
  if (PyLong_Check(data)) return DType::Int64;
  if (PyComplex_Check(data)) return complex_dtype(default_dtype);
  if (PySequence_Check(data)) return infer_items(data);
  fail(ErrorKind::Runtime, "Could not infer dtype of ", type_name(data));
}

Tensor tensor_from_sequence(PyObject* data, std::optional<DType> dtype) {
  if (PyList_CheckExact(data)) {
    Tensor t = flat(data, dtype);
    if (t.defined()) return t;
  }
  check_type(!PyUnicode_Check(data) && !PyBytes_Check(data), "new(): invalid data type '", type_name(data), "'");
  const Dims sizes = shape_of(data);
  warn_about_arrays(data);
  Tensor t = Tensor::empty(sizes, dtype ? *dtype : infer_dtype(data));
  // PyTorch does not look further into data without elements, whatever shapes are left there
  if (t.numel()) visit_all(t.dtype(), "tensor", [&]<class T>() { store(data, sizes, 0, t.data_as<T>()); });
  return t;
}

PyObject* tensor_tolist(const Tensor& t) {
  check_implemented(!t.is_meta(), "Cannot copy out of meta tensor; no data!");
  const Resolve resolve{t.is_conj(), t.is_neg()};
  return visit_all(t.dtype(), "tensor", [&]<class T>() {
    return to_list(t.data_as<T>(), t.sizes(), t.strides(), resolve).release();
  });
}

}  // namespace tabula::py
