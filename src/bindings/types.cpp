// torch.dtype, torch.layout and torch.memory_format: fixed sets of named objects.
#include <cstring>

#include "bindings/helpers.h"

namespace tabula::py {
namespace {

// One Python object of a fixed set. `repr` is "torch." followed by the name it is pickled by.
struct Named {
  PyObject_HEAD
  const char* name;
  int value;
};

Named* named(PyObject* o) { return reinterpret_cast<Named*>(o); }
PyObject* named_repr(PyObject* self) { return PyUnicode_FromFormat("torch.%s", named(self)->name); }
PyObject* named_reduce(PyObject* self, PyObject*) { return PyUnicode_FromString(named(self)->name); }

constexpr int kLayouts = 8, kMemoryFormats = 4;
constexpr const char* kLayoutNames[kLayouts] = {"strided",    "sparse_coo", "sparse_csr", "sparse_csc",
                                                "sparse_bsr", "sparse_bsc", "jagged",     "_mkldnn"};
constexpr const char* kMemoryFormatNames[kMemoryFormats] = {"contiguous_format", "preserve_format", "channels_last",
                                                            "channels_last_3d"};
// Spellings that PyTorch's compiler stack uses.
constexpr const char* kAbbreviations[kDTypes] = {"u8",   "i8",  "i16",  "i32",      "i64",    "f16",
                                                 "f32",  "f64", "c32",  "c64",      "c128",   "b8",
                                                 "bf16", "f8e4m3fn", "f8e5m2", "u16", "u32", "u64",
                                                 "f8e5m2fnuz", "f8e4m3fnuz", "f8e8m0fnu"};

// Formats that have a name, for programs that ask for it, but no tensors: Named::value is kDTypes and up.
enum class Shell : uint8_t { Signed, Unsigned, Bits, Quantized, Float };
struct ShellDType {
  const char *name, *title, *abbreviation;
  Shell kind;
  int item_size = 1;
};
constexpr ShellDType kShells[] = {
    {"int1", "Int1", "int1", Shell::Signed},         {"int2", "Int2", "int2", Shell::Signed},
    {"int3", "Int3", "int3", Shell::Signed},         {"int4", "Int4", "int4", Shell::Signed},
    {"int5", "Int5", "int5", Shell::Signed},         {"int6", "Int6", "int6", Shell::Signed},
    {"int7", "Int7", "int7", Shell::Signed},         {"uint1", "UInt1", "uint1", Shell::Unsigned},
    {"uint2", "UInt2", "uint2", Shell::Unsigned},    {"uint3", "UInt3", "uint3", Shell::Unsigned},
    {"uint4", "UInt4", "uint4", Shell::Unsigned},    {"uint5", "UInt5", "uint5", Shell::Unsigned},
    {"uint6", "UInt6", "uint6", Shell::Unsigned},    {"uint7", "UInt7", "uint7", Shell::Unsigned},
    {"bits1x8", "Bits1x8", "b1x8", Shell::Bits},     {"bits2x4", "Bits2x4", "b2x4", Shell::Bits},
    {"bits4x2", "Bits4x2", "b4x2", Shell::Bits},     {"bits8", "Bits8", "b8x1", Shell::Bits},
    {"bits16", "Bits16", "b16x1", Shell::Bits, 2},   {"qint8", "QInt8", "qint8", Shell::Quantized},
    {"quint8", "QUInt8", "quint8", Shell::Quantized}, {"qint32", "QInt32", "qint32", Shell::Quantized, 4},
    {"quint4x2", "QUInt4x2", "quint4x2", Shell::Quantized}, {"quint2x4", "QUInt2x4", "quint2x4", Shell::Quantized},
    {"float4_e2m1fn_x2", "Float4_e2m1fn_x2", "f4e2m1fnx2", Shell::Float}};

const ShellDType* shell_of(PyObject* self) { return named(self)->value < kDTypes ? nullptr : &kShells[named(self)->value - kDTypes]; }

// The objects exist once per process and are compared by identity.
PyTypeObject *dtype_type, *layout_type, *memory_format_type;
PyObject *dtypes[kDTypes], *layouts[kLayouts], *memory_formats[kMemoryFormats];

PyMethodDef named_methods[] = {{"__reduce__", named_reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};

DType dtype_of_object(PyObject* self) {
  if (const ShellDType* shell = shell_of(self))
    fail(ErrorKind::NotImplemented, "tensors of torch.", shell->name, " are not part of Tabula yet: ",
         shell->kind == Shell::Quantized ? "quantised tensors are made by torch.quantize_per_tensor" : "the dtype only names a format that no operation computes with");
  return DType(named(self)->value);
}

template <bool (*predicate)(DType)>
PyObject* dtype_flag(PyObject* self, void*) {
  return PyBool_FromLong(predicate(dtype_of_object(self)));
}
PyObject* dtype_is_floating(PyObject* self, void* closure) {
  const ShellDType* shell = shell_of(self);
  return shell ? PyBool_FromLong(shell->kind == Shell::Float) : dtype_flag<is_floating>(self, closure);
}
PyObject* dtype_is_complex(PyObject* self, void* closure) { return shell_of(self) ? Py_NewRef(Py_False) : dtype_flag<is_complex>(self, closure); }
PyObject* dtype_is_signed(PyObject* self, void* closure) {
  return guarded([&] {
    const ShellDType* shell = shell_of(self);
    if (!shell) return dtype_flag<is_signed>(self, closure);
    check(shell->kind != Shell::Bits, "Bits types are undefined");
    check(shell->kind != Shell::Quantized, "isSignedType not supported for quantized types");
    return PyBool_FromLong(shell->kind != Shell::Unsigned);
  });
}
PyObject* dtype_itemsize(PyObject* self, void*) {
  const ShellDType* shell = shell_of(self);
  return PyLong_FromLongLong(shell ? shell->item_size : item_size(dtype_of_object(self)));
}
PyObject* dtype_abbreviation(PyObject* self, void*) {
  const ShellDType* shell = shell_of(self);
  return PyUnicode_FromString(shell ? shell->abbreviation : kAbbreviations[named(self)->value]);
}
PyObject* dtype_to_complex(PyObject* self, PyObject*) {
  return guarded([&] {
    if (const ShellDType* shell = shell_of(self)) fail(ErrorKind::Runtime, "Unknown Complex ScalarType for ", shell->title);
    const DType d = dtype_of_object(self);
    check((is_floating(d) && !is_float8(d)) || is_complex(d), "Unknown Complex ScalarType for ", dtype_title(d));
    return wrap(complex_dtype(d));
  });
}
PyObject* dtype_to_real(PyObject* self, PyObject*) { return shell_of(self) ? Py_NewRef(self) : wrap(real_dtype(dtype_of_object(self))); }

PyGetSetDef dtype_properties[] = {
    {"is_floating_point", dtype_is_floating, nullptr, "whether values are real floating-point numbers", nullptr},
    {"is_complex", dtype_is_complex, nullptr, "whether values are complex numbers", nullptr},
    {"is_signed", dtype_is_signed, nullptr, "whether values can be negative", nullptr},
    {"itemsize", dtype_itemsize, nullptr, "bytes per element", nullptr},
    {"abbr", dtype_abbreviation, nullptr, "a short name, such as f32", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef dtype_methods[] = {
    {"__reduce__", named_reduce, METH_NOARGS, nullptr},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype whose parts have this dtype."},
    {"to_real", dtype_to_real, METH_NOARGS, "The dtype of the real part."},
    {nullptr, nullptr, 0, nullptr}};

PyTypeObject* add_named_type(PyObject* module, const char* name, PyMethodDef* methods, PyGetSetDef* properties, const char* doc) {
  PyType_Slot slots[] = {{Py_tp_repr, slot(named_repr)},
                         {Py_tp_dealloc, slot(free_object)},
                         {Py_tp_methods, methods},
                         {Py_tp_doc, const_cast<char*>(doc)},
                         {properties ? Py_tp_getset : 0, properties},
                         {0, nullptr}};
  PyType_Spec spec = {name, sizeof(Named), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return add_type(module, spec);
}

PyObject* make_named(PyObject* module, PyTypeObject* type, const char* name, int value) {
  PyObject* object = checked(type->tp_alloc(type, 0)).release();
  named(object)->name = name;
  named(object)->value = value;
  add_object(module, name, object);
  return object;
}

}  // namespace

PyObject* wrap(DType d) { return Py_NewRef(dtypes[int(d)]); }
PyObject* wrap(Layout l) { return Py_NewRef(layouts[int(l)]); }
PyObject* wrap(MemoryFormat f) { return Py_NewRef(memory_formats[int(f)]); }

bool is_dtype(PyObject* o) { return Py_TYPE(o) == dtype_type; }
bool is_layout(PyObject* o) { return Py_TYPE(o) == layout_type; }
bool is_memory_format(PyObject* o) { return Py_TYPE(o) == memory_format_type; }

DType unwrap_dtype(PyObject* o) {
  check_type(is_dtype(o), "expected torch.dtype, not ", type_name(o));
  return dtype_of_object(o);
}
Layout unwrap_layout(PyObject* o) {
  check_type(is_layout(o), "expected torch.layout, not ", type_name(o));
  return Layout(named(o)->value);
}
MemoryFormat unwrap_memory_format(PyObject* o) {
  check_type(is_memory_format(o), "expected torch.memory_format, not ", type_name(o));
  return MemoryFormat(named(o)->value);
}

void add_dtype_types(PyObject* module) {
  dtype_type = add_named_type(module, "torch.dtype", dtype_methods, dtype_properties,
                              "The type of a tensor's elements, such as torch.float32.\n\n>>> torch.float32.itemsize\n4");
  layout_type = add_named_type(module, "torch.layout", named_methods, nullptr, "How a tensor keeps its elements: torch.strided, or one of the sparse layouts.");
  memory_format_type = add_named_type(module, "torch.memory_format", named_methods, nullptr,
                                      "The order of dimensions in memory, such as torch.channels_last.");
  for (int i = 0; i < kDTypes; i++) dtypes[i] = make_named(module, dtype_type, dtype_name(DType(i)), i);
  for (int i = kDTypes; const ShellDType& shell : kShells) make_named(module, dtype_type, shell.name, i++);
  for (int i = 0; i < kLayouts; i++) layouts[i] = make_named(module, layout_type, kLayoutNames[i], i);
  for (int i = 0; i < kMemoryFormats; i++)
    memory_formats[i] = make_named(module, memory_format_type, kMemoryFormatNames[i], i);
}

PyObject* wrap_value(const Value& v) {
  const auto tuple_of = [](const auto& list, auto&& convert) -> PyObject* {
    PyRef result = checked(PyTuple_New(Py_ssize_t(list.size())));
    for (size_t i = 0; i < list.size(); i++) PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), checked(convert(list[i])).release());
    return result.release();
  };
  switch (v.tag()) {
    case Value::Tag::Tensor: return wrap(v.tensor());
    case Value::Tag::TensorList: return wrap_tuple(v.tensors());
    case Value::Tag::Scalar: return wrap(v.scalar());
    case Value::Tag::Ints: return tuple_of(v.ints(), [](int64_t i) { return PyLong_FromLongLong(i); });
    case Value::Tag::Floats: return tuple_of(v.floats(), [](double d) { return PyFloat_FromDouble(d); });
    case Value::Tag::Bools: return tuple_of(v.bools(), [](bool b) { return PyBool_FromLong(b); });
    case Value::Tag::Str: return wrap_string(v.str());
    case Value::Tag::DType: return wrap(v.dtype());
    case Value::Tag::Device: return wrap(v.device());
    case Value::Tag::Layout: return wrap(v.layout());
    case Value::Tag::MemoryFormat: return wrap(v.memory_format());
    default: return Py_NewRef(Py_None);
  }
}

void add_types(PyObject* module) {
  add_dtype_types(module);
  add_size_type(module);
  add_limit_types(module);
  add_device_type(module);
}

}  // namespace tabula::py
