// torch.finfo and torch.iinfo: the numeric limits of a dtype.
#include <cmath>
#include <limits>

#include "bindings/helpers.h"
#include "core/state.h"

namespace tabula::py {
namespace {

struct Limits {
  PyObject_HEAD
  DType dtype;
};

DType dtype_of_limits(PyObject* self) { return reinterpret_cast<Limits*>(self)->dtype; }

struct FloatFormat {
  double min, max, eps, smallest_normal, resolution;
};

FloatFormat float_format(DType d) {
  // precision in bits with the hidden one, smallest and largest exponent of normal numbers, largest significand
  struct Shape {
    int precision, lowest, highest;
    double largest, resolution;
  } s{};
  switch (d) {
    case DType::Float16: s = {11, -14, 15, 2 - 0x1p-10, 1e-3}; break;
    case DType::BFloat16: s = {8, -126, 127, 2 - 0x1p-7, 1e-2}; break;
    case DType::Float64: s = {53, -1022, 1023, 2 - 0x1p-52, 1e-15}; break;
    case DType::Float8E4M3: s = {4, -6, 8, 1.75, 1}; break;  // 1.875 * 2^8 is the code of NaN
    case DType::Float8E5M2: s = {3, -14, 15, 1.75, 1}; break;
    case DType::Float8E4M3Fnuz: s = {4, -7, 7, 1.875, 1}; break;
    case DType::Float8E5M2Fnuz: s = {4, -15, 15, 1.75, 1}; break;  // PyTorch gives it the eps of the other format
    case DType::Float8E8M0: s = {1, -127, 127, 1, 1}; break;
    default: s = {24, -126, 127, 2 - 0x1p-23, 1e-6};
  }
  const double max = std::ldexp(s.largest, s.highest);
  return {d == DType::Float8E8M0 ? std::ldexp(1.0, s.lowest) : -max, max, std::ldexp(1.0, 1 - s.precision), std::ldexp(1.0, s.lowest), s.resolution};
}

struct IntFormat {
  int64_t min;
  uint64_t max;
};

IntFormat int_format(DType d) {
  const int bits = int(item_size(d)) * 8;
  if (is_unsigned(d)) return {0, UINT64_MAX >> (64 - bits)};
  return {INT64_MIN >> (64 - bits), uint64_t(INT64_MAX) >> (64 - bits)};
}

PyObject* new_limits(PyTypeObject* type, DType dtype) {
  PyObject* self = checked(type->tp_alloc(type, 0)).release();
  reinterpret_cast<Limits*>(self)->dtype = dtype;
  return self;
}

DType limits_argument(const char* function, PyObject* o) {
  if (!is_dtype(o))
    fail(ErrorKind::Type, function, "(): argument 'type' (position 1) must be torch.dtype, not ", type_name(o));
  return unwrap_dtype(o);
}

constexpr const char* kTypeParameter[] = {"type"};

PyObject* finfo_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    PyObject* argument;
    bind_arguments({"finfo", kTypeParameter, 1, 0}, args, kwargs, &argument);
    const DType d = argument ? limits_argument("finfo", argument) : default_dtype;
    check_type(is_floating(d) || is_complex(d),
               "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'");
    return new_limits(type, real_dtype(d));
  });
}

PyObject* iinfo_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    PyObject* argument;
    bind_arguments({"iinfo", kTypeParameter, 1, 1}, args, kwargs, &argument);
    const DType d = limits_argument("iinfo", argument);
    check_type(d != DType::Bool, "torch.bool is not supported by torch.iinfo");
    check_type(is_integral(d), "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'");
    return new_limits(type, d);
  });
}

PyObject* limits_compare(PyObject* a, PyObject* b, int op) {
  if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
  return PyBool_FromLong((dtype_of_limits(a) == dtype_of_limits(b)) == (op == Py_EQ));
}

PyObject* finfo_repr(PyObject* self) {
  return guarded([&] {
    const FloatFormat f = float_format(dtype_of_limits(self));
    return wrap_string(concat("finfo(resolution=", f.resolution, ", min=", f.min, ", max=", f.max, ", eps=", f.eps,
                              ", smallest_normal=", f.smallest_normal, ", tiny=", f.smallest_normal,
                              ", dtype=", dtype_name(dtype_of_limits(self)), ")"));
  });
}

PyObject* iinfo_repr(PyObject* self) {
  return guarded([&] {
    const IntFormat f = int_format(dtype_of_limits(self));
    return wrap_string(concat("iinfo(min=", double(f.min), ", max=", double(f.max),
                              ", dtype=", dtype_name(dtype_of_limits(self)), ")"));
  });
}

PyObject* limits_bits(PyObject* self, void*) { return PyLong_FromLongLong(item_size(dtype_of_limits(self)) * 8); }
PyObject* limits_dtype(PyObject* self, void*) { return PyUnicode_FromString(dtype_name(dtype_of_limits(self))); }
PyObject* iinfo_min(PyObject* self, void*) { return PyLong_FromLongLong(int_format(dtype_of_limits(self)).min); }
PyObject* iinfo_max(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(int_format(dtype_of_limits(self)).max);
}

template <double FloatFormat::*field>
PyObject* finfo_field(PyObject* self, void*) {
  return PyFloat_FromDouble(float_format(dtype_of_limits(self)).*field);
}

}  // namespace

void add_limit_types(PyObject* module) {
  static PyGetSetDef float_properties[] = {
      {"bits", limits_bits, nullptr, "bits per number", nullptr},
      {"eps", finfo_field<&FloatFormat::eps>, nullptr, "distance from 1 to the next number", nullptr},
      {"max", finfo_field<&FloatFormat::max>, nullptr, "largest finite number", nullptr},
      {"min", finfo_field<&FloatFormat::min>, nullptr, "smallest (most negative) finite number", nullptr},
      {"smallest_normal", finfo_field<&FloatFormat::smallest_normal>, nullptr, "smallest normal number", nullptr},
      {"tiny", finfo_field<&FloatFormat::smallest_normal>, nullptr, "the same as smallest_normal", nullptr},
      {"resolution", finfo_field<&FloatFormat::resolution>, nullptr, "decimal resolution", nullptr},
      {"dtype", limits_dtype, nullptr, "name of the dtype", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyGetSetDef int_properties[] = {{"bits", limits_bits, nullptr, "bits per number", nullptr},
                                         {"max", iinfo_max, nullptr, "largest number", nullptr},
                                         {"min", iinfo_min, nullptr, "smallest number", nullptr},
                                         {"dtype", limits_dtype, nullptr, "name of the dtype", nullptr},
                                         {nullptr, nullptr, nullptr, nullptr, nullptr}};
  auto make = [&](const char* name, newfunc construct, reprfunc repr, PyGetSetDef* properties, const char* doc) {
    PyType_Slot slots[] = {{Py_tp_new, slot(construct)},
                           {Py_tp_repr, slot(repr)},
                           {Py_tp_dealloc, slot(free_object)},
                           {Py_tp_richcompare, slot(limits_compare)},
                           {Py_tp_hash, slot(PyObject_HashNotImplemented)},
                           {Py_tp_getset, properties},
                           {Py_tp_doc, const_cast<char*>(doc)},
                           {0, nullptr}};
    PyType_Spec spec = {name, sizeof(Limits), 0, Py_TPFLAGS_DEFAULT, slots};
    add_type(module, spec);
  };
  make("torch.finfo", finfo_new, finfo_repr, float_properties,
       "finfo(type=None): the limits of a floating or complex dtype.\n\n>>> torch.finfo(torch.float32).bits\n32");
  make("torch.iinfo", iinfo_new, iinfo_repr, int_properties,
       "iinfo(type): the limits of an integer dtype.\n\n>>> torch.iinfo(torch.int8).max\n127");
}

}  // namespace tabula::py
