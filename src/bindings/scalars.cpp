// Python and NumPy numbers to C++ and back.
#include <cmath>
#include <cstring>
#include <limits>

#include "bindings/helpers.h"
#include "bindings/interop.h"

namespace tabula::py {

// NumPy's types are known by their names, so that recognising them needs no import of NumPy.
bool has_numpy_base(PyObject* o, const char* name) {
  for (PyTypeObject* type = Py_TYPE(o); type; type = type->tp_base)
    if (std::strcmp(type->tp_name, name) == 0) return true;
  return false;
}

bool is_numpy_array(PyObject* o) { return has_numpy_base(o, "numpy.ndarray"); }
bool is_numpy_scalar(PyObject* o) { return has_numpy_base(o, "numpy.generic"); }

bool is_number(PyObject* o) {
  if (PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o)) return true;
  if (has_numpy_base(o, "numpy.number")) return !has_numpy_base(o, "numpy.timedelta64");
  return has_numpy_base(o, "numpy.bool") || has_numpy_base(o, "numpy.bool_");
}

int64_t unwrap_int(PyObject* o) {
  PyRef converted;
  if (!PyLong_Check(o)) {
    if (is_tensor(o)) {
      const Tensor& t = unwrap(o);
      check_type(t.numel() == 1 && is_integral_or_bool(t.dtype()),
                 "only integer tensors of a single element can be converted to an index");
      return item(t).to_int();
    }
    converted = checked(PyNumber_Index(o));
    o = converted.get();
  }
  int overflow;
  const long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
  check_value(!overflow, "Overflow when unpacking long long");
  if (value == -1 && PyErr_Occurred()) throw PythonError{};
  return value;
}

namespace {

Scalar scalar_of_int(PyObject* o) {
  int overflow;
  const long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (!overflow) {
    if (value == -1 && PyErr_Occurred()) throw PythonError{};
    return Scalar(int64_t(value));
  }
  // The upper half of uint64 has no integer Scalar; a double keeps its size and sign.
  if (overflow > 0) {
    const unsigned long long large = PyLong_AsUnsignedLongLong(o);
    if (!PyErr_Occurred()) return Scalar(double(large));
    PyErr_Clear();
  }
  fail(ErrorKind::Overflow, "int too big to convert");
}

}  // namespace

Scalar unwrap_scalar(PyObject* o) {
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyBool_Check(o)) return Scalar(o == Py_True);
  if (PyLong_Check(o)) return scalar_of_int(o);
  if (is_tensor(o)) return item(unwrap(o));
  if (PyComplex_Check(o)) {
    const Py_complex value = PyComplex_AsCComplex(o);
    return Scalar(c128(value.real, value.imag));
  }
  check_type(is_number(o), "must be Number, not ", type_name(o));
  if (has_numpy_base(o, "numpy.integer")) {
    PyRef integer = checked(PyNumber_Index(o));
    return scalar_of_int(integer.get());
  }
  if (has_numpy_base(o, "numpy.complexfloating")) {
    const Py_complex value = PyComplex_AsCComplex(o);
    if (value.real == -1 && PyErr_Occurred()) throw PythonError{};
    return Scalar(c128(value.real, value.imag));
  }
  if (has_numpy_base(o, "numpy.floating")) {
    const double value = PyFloat_AsDouble(o);
    if (value == -1 && PyErr_Occurred()) throw PythonError{};
    return Scalar(value);
  }
  const int truth = PyObject_IsTrue(o);
  checked(truth);
  return Scalar(truth != 0);
}

PyObject* wrap(const Scalar& s) {
  switch (s.kind()) {
    case Scalar::Kind::Bool: return PyBool_FromLong(s.to_bool());
    case Scalar::Kind::Int: return PyLong_FromLongLong(s.to_int());
    case Scalar::Kind::Float: return PyFloat_FromDouble(s.real());
    default: return PyComplex_FromDoubles(s.real(), s.imag());
  }
}

PyObject* wrap_element(const char* data, DType dtype) {
  if (dtype == DType::UInt64) return PyLong_FromUnsignedLongLong(*reinterpret_cast<const uint64_t*>(data));
  return wrap(load_scalar(data, dtype));
}
PyObject* wrap_item(const Tensor& t) {
  const Scalar value = item(t);
  return t.dtype() == DType::UInt64 ? PyLong_FromUnsignedLongLong(uint64_t(value.to_int())) : wrap(value);
}

}  // namespace tabula::py
