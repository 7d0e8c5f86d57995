// Methods of torch.Tensor that are no operations: facts about it, conversion, and plumbing.
#include "bindings/device.h"
#include "bindings/helpers.h"
#include "bindings/interop.h"
#include "bindings/operations.h"
#include "bindings/storage.h"
#include "bindings/tensor_type.h"
#include "core/state.h"
#include "interp/vmap.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/sparse.h"
#include "ops/view.h"

namespace tabula::py {
namespace {

// ---- facts ----

// Compressed sparse tensors refuse what COO ones, which have no use for it either, answer.
void check_strided(const Tensor& t, const char* fact) {
  const SparseParts* parts = sparse_parts(t);
  if (!parts || !parts->compressed()) return;
  std::string name = layout_title(parts->layout) + std::string_view("Sparse").size();
  for (char& c : name) c = char(std::toupper(c));
  fail(ErrorKind::Runtime, "Sparse ", name, " tensors do not have ", fact);
}
const Tensor& with_memory(const Tensor& t) {
  check_memory(t);
  return t;
}

// The value of the one parameter that a method has, null if it was not given; `positional`: may it come without its
// name?
PyObject* only_argument(const char* method, const char* name, bool positional, PyObject* const* args, Py_ssize_t n,
                        PyObject* kwnames) {
  check_type(n <= positional, method,
             positional ? "() takes from 0 to 1 positional arguments but " : "() takes 0 positional arguments but ", n,
             n == 1 ? " was given" : " were given");
  PyObject* value = n ? args[0] : nullptr;
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); k++) {
    PyObject* given = PyTuple_GET_ITEM(kwnames, k);
    check_type(PyUnicode_CompareWithASCIIString(given, name) == 0, method, "() got an unexpected keyword argument '",
               PyUnicode_AsUTF8(given), "'");
    check_type(!value, method, "() got multiple values for argument '", name, "'");
    value = args[n + k];
  }
  return value == Py_None ? nullptr : value;
}

std::optional<MemoryFormat> only_memory_format(const char* method, PyObject* const* args, Py_ssize_t n,
                                               PyObject* kwnames) {
  PyObject* format = only_argument(method, "memory_format", false, args, n, kwnames);
  if (!format) return std::nullopt;
  check_type(is_memory_format(format), method, "(): argument 'memory_format' must be torch.memory_format, not ",
             Py_TYPE(format)->tp_name);
  return unwrap_memory_format(format);
}

PyObject* sized(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames, bool strides) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    if (strides) check_strided(t, "strides");
    const char* method = strides ? "stride" : "size";
    PyObject* given = only_argument(method, "dim", true, args, n, kwnames);
    if (!given) {
      if (!strides) return wrap_size(t.sizes());
      PyRef tuple = checked(PyTuple_New(Py_ssize_t(t.dim())));
      for (int64_t d = 0; d < t.dim(); d++) PyTuple_SET_ITEM(tuple.get(), Py_ssize_t(d), PyLong_FromLongLong(t.strides()[size_t(d)]));
      return tuple.release();
    }
    check_type(PyLong_Check(given) || PyIndex_Check(given), method, "(): argument 'dim' ", n ? "(position 1) " : "",
               "must be int, not ", Py_TYPE(given)->tp_name);
    const int64_t dim = unwrap_int(given);
    return PyLong_FromLongLong(strides ? t.stride(dim) : t.size(dim));
  });
}
PyObject* size(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) { return sized(self, args, n, kwnames, false); }
PyObject* stride(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) { return sized(self, args, n, kwnames, true); }

// Memory is not where the elements of a subclass with __torch_dispatch__ are looked for.
void refuse_dispatching(const Tensor& t, PyObject* self, const char* method) {
  if (!(t.impl()->special & kDispatch)) return;
  PyRef name = checked(PyObject_GetAttrString(as_object(Py_TYPE(self)), "__name__"));
  fail(ErrorKind::Runtime, ".", method, "() is not supported for tensor subclasses", *method == 't' ? concat(", got ", PyUnicode_AsUTF8(name.get())) : std::string("."));
}

#define FACT(name, expression)                                 \
  PyObject* name(PyObject* self, PyObject*) {                  \
    return guarded([&]() -> PyObject* {                        \
      [[maybe_unused]] const Tensor& t = unwrap(self);         \
      return expression;                                       \
    });                                                        \
  }
FACT(dim, PyLong_FromLongLong(t.dim()))
FACT(numel, PyLong_FromLongLong(t.numel()))
FACT(element_size, PyLong_FromLongLong(item_size(t.dtype())))
FACT(storage_offset, PyLong_FromLongLong(t.offset()))
FACT(data_ptr, PyLong_FromVoidPtr(with_memory(t).is_meta() || t.storage().bytes() == 0 ? nullptr : t.data()))
FACT(is_floating, PyBool_FromLong(is_floating(t.dtype())))
FACT(is_complex_dtype, PyBool_FromLong(is_complex(t.dtype())))
FACT(is_signed_dtype, PyBool_FromLong(is_signed(t.dtype())))
FACT(is_conj, PyBool_FromLong(t.is_conj()))
FACT(is_neg, PyBool_FromLong(t.is_neg()))
FACT(is_inference, PyBool_FromLong(t.impl()->inference))
FACT(is_view, PyBool_FromLong(t.impl()->special & kView ? 1 : 0))
FACT(is_pinned, Py_NewRef(Py_False))
FACT(get_device, PyLong_FromLong(t.device().is_cpu() ? -1 : std::max<int>(t.device().index, 0)))
FACT(get_item, wrap_item(t))
FACT(tolist, (refuse_dispatching(t, self, "tolist"), tensor_tolist(with_memory(t))))
FACT(untyped_storage, (check_elements(t), wrap_storage(t.impl()->storage)))
FACT(dense_dim, PyLong_FromLongLong(sparse_parts(t) ? sparse_parts(t)->dense_dim() : t.dim()))
FACT(sparse_dim, PyLong_FromLongLong(sparse_parts(t) ? sparse_parts(t)->sparse_dim() : 0))
FACT(is_coalesced, PyBool_FromLong((check(layout_of(t) == Layout::SparseCoo, "is_coalesced expected sparse coordinate tensor layout but got ", layout_title(layout_of(t))),
                                    sparse_parts(t)->coalesced)))
FACT(is_nonzero, PyBool_FromLong((vmap::parts_of(t) ? fail_branch() : void(), check(t.numel() != 0, "Boolean value of Tensor with no values is ambiguous"),
                                  check(t.numel() == 1, "Boolean value of Tensor with more than one value is ambiguous"), item(t).to_bool())))
FACT(is_zerotensor, Py_NewRef(Py_False))
#undef FACT

PyObject* is_contiguous(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    check_strided(t, "is_contiguous");
    switch (only_memory_format("is_contiguous", args, n, kwnames).value_or(MemoryFormat::Contiguous)) {
      case MemoryFormat::ChannelsLast: return PyBool_FromLong(t.dim() == 4 && is_channels_last(t.sizes(), t.strides()));
      case MemoryFormat::ChannelsLast3d: return PyBool_FromLong(t.dim() == 5 && is_channels_last(t.sizes(), t.strides()));
      case MemoryFormat::Preserve: fail(ErrorKind::Runtime, "preserve memory format is unsupported by the is_contiguous operator");
      default: return PyBool_FromLong(t.is_contiguous());
    }
  });
}

PyObject* numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"force", nullptr};
  int force = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:numpy", const_cast<char**>(names), &force)) return nullptr;
  return guarded([&]() -> PyObject* {
    refuse_dispatching(unwrap(self), self, "numpy");
    return tensor_to_numpy(unwrap(self), force);
  });
}

PyObject* array(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:__array__", const_cast<char**>(names), &dtype, &copy)) return nullptr;
  return guarded([&]() -> PyObject* {
    refuse_dispatching(unwrap(self), self, "numpy");
    PyRef result = checked(tensor_to_numpy(unwrap(self), false));
    if (dtype != Py_None) return PyObject_CallMethod(result.get(), "astype", "O", dtype);
    if (copy == Py_True) return PyObject_CallMethod(result.get(), "copy", nullptr);
    return result.release();
  });
}

// ---- conversion ----

struct Target {
  std::optional<DType> dtype;
  std::optional<Device> device;
  std::optional<MemoryFormat> format;
  bool copy = false;
};

Tensor converted(const Tensor& t, const Target& to) {
  const DType dtype = to.dtype.value_or(t.dtype());
  // a subclass may be on devices that nothing else can be on
  const bool dispatched = (t.impl()->special & kDispatch) || (thread_state.interpreters & kDispatchMode);
  const Device device = !to.device ? t.device() : dispatched ? *to.device : device_or_default(to.device);
  const bool same_place = dtype == t.dtype() && device.kind == t.device().kind;
  const bool same_format = !to.format || *to.format == MemoryFormat::Preserve || (t.impl()->special & kParts) ||
                           (*to.format == MemoryFormat::Contiguous ? t.is_contiguous() : is_channels_last(t.sizes(), t.strides()));
  if (same_place && same_format && !to.copy) return t;
  const auto format = to.format == MemoryFormat::Preserve ? std::nullopt : to.format;
  return to_dtype(t, dtype == t.dtype() ? std::nullopt : std::optional(dtype), device.kind == t.device().kind ? std::nullopt : std::optional(device), format);
}

// x.to(dtype), x.to(device), x.to(device, dtype), x.to(other), each with non_blocking=, copy=, memory_format=
PyObject* to(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    PyObject* overridden;
    const Arguments call_args{self, args, n, kwnames};
    if (torch_function_needed(call_args)) {
      PyRef callable = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), "to"));
      if (call_torch_function(callable.get(), call_args, &overridden)) return overridden;
    }
    Target target;
    const auto bad = [&]() { fail(ErrorKind::Type, "to() received an invalid combination of arguments - got (", n ? Py_TYPE(args[0])->tp_name : "",
                                  "), but expected one of:\n * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False, *, torch.memory_format "
                                  "memory_format = None)\n * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = None)\n * (Tensor tensor, "
                                  "bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = None)"); };
    int flags = 0;
    bool any = false;
    const auto take = [&](PyObject* o, const char* name) {
      if (o == Py_None) return;
      if (is_tensor(o)) {
        target.dtype = unwrap(o).dtype();
        target.device = unwrap(o).device();
      } else if (is_dtype(o)) {
        target.dtype = unwrap_dtype(o);
      } else if (PyBool_Check(o) && any) {
        if (name ? std::string_view(name) == "copy" : flags == 1) target.copy = o == Py_True;
        if (!name) flags++;
      } else if (is_device(o) || PyUnicode_Check(o) || (PyLong_Check(o) && !PyBool_Check(o))) {
        target.device = unwrap_device(o);
      } else if (is_memory_format(o)) {
        target.format = unwrap_memory_format(o);
      } else {
        bad();
      }
      any = true;
    };
    for (Py_ssize_t i = 0; i < n; i++) take(args[i], nullptr);
    any = true;
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); k++) {
      const char* name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, k));
      const std::string_view text = name;
      if (text != "dtype" && text != "device" && text != "copy" && text != "non_blocking" && text != "memory_format" && text != "other" && text != "tensor") bad();
      take(args[n + k], name);
    }
    return wrap(converted(unwrap(self), target));
  });
}

constexpr const char* cast_name(DType dtype) {
  switch (dtype) {
    case DType::Float32: return "float";
    case DType::Float64: return "double";
    case DType::Float16: return "half";
    case DType::BFloat16: return "bfloat16";
    case DType::Int32: return "int";
    case DType::Int64: return "long";
    case DType::Int16: return "short";
    case DType::Int8: return "char";
    case DType::UInt8: return "byte";
    case DType::Bool: return "bool";
    case DType::Complex32: return "chalf";
    case DType::Complex64: return "cfloat";
    default: return "cdouble";
  }
}
template <DType dtype>
PyObject* cast(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    return wrap(
        converted(unwrap(self), {.dtype = dtype, .format = only_memory_format(cast_name(dtype), args, n, kwnames)}));
  });
}

PyObject* cpu(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    return wrap(converted(unwrap(self), {.device = Device{}, .format = only_memory_format("cpu", args, n, kwnames)}));
  });
}
PyObject* cuda(PyObject*, PyObject* const*, Py_ssize_t, PyObject*) {
  return guarded([&]() -> PyObject* { fail(ErrorKind::Assertion, "Torch not compiled with CUDA enabled"); });
}

std::string legacy_name(const Tensor& t) {
  const SparseParts* parts = sparse_parts(t);
  check(!parts || !parts->compressed(), "Unimplemented backend SparseCsr", t.device().is_cpu() ? "CPU" : "Meta");
  return concat(parts ? "torch.sparse." : "torch.", t.device().is_cpu() ? "" : concat(device_kind_name(t.device().kind), "."), dtype_title(t.dtype()), "Tensor");
}

// x.type() names the legacy class; x.type(torch.float64), x.type('torch.DoubleTensor') converts
PyObject* type(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    PyObject* wanted = n || (kwnames && PyTuple_GET_SIZE(kwnames)) ? args[0] : Py_None;
    if (wanted == Py_None) return wrap_string(legacy_name(t));
    if (is_dtype(wanted)) return wrap(converted(t, {.dtype = unwrap_dtype(wanted)}));
    std::string name;
    if (PyUnicode_Check(wanted)) {
      name = PyUnicode_AsUTF8(wanted);
    } else {
      PyRef module = checked(PyObject_GetAttrString(wanted, "__module__")), own = checked(PyObject_GetAttrString(wanted, "__name__"));
      name = concat(PyUnicode_AsUTF8(module.get()), ".", PyUnicode_AsUTF8(own.get()));
    }
    for (int d = 0; d < kDTypes; d++)
      if (name == concat(sparse_parts(t) ? "torch.sparse." : "torch.", dtype_title(DType(d)), "Tensor")) return wrap(converted(t, {.dtype = DType(d)}));
    if (name == "torch.Tensor") return wrap(converted(t, {.dtype = default_dtype}));
    fail(ErrorKind::Value, "invalid type: '", name, "'");
  });
}

PyObject* new_tensor(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"data", "dtype", "device", "requires_grad", "layout", "pin_memory", nullptr};
  PyObject *data, *dtype = Py_None, *device = Py_None, *layout = Py_None;
  int requires_grad = 0, pin = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOpOp:new_tensor", const_cast<char**>(names), &data, &dtype, &device, &requires_grad, &layout, &pin)) return nullptr;
  return guarded([&]() -> PyObject* {
    const Tensor& t = unwrap(self);
    const DType d = dtype == Py_None ? t.dtype() : unwrap_dtype(dtype);
    Tensor result = tensor_from_data(data, d, device == Py_None ? t.device() : unwrap_device(device), true);
    if (requires_grad) autograd_hooks.set_requires_grad(result, true);
    return wrap(std::move(result));
  });
}
PyObject* new_legacy(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* { return wrap(legacy_new(unwrap(self).dtype(), unwrap(self).device(), args, kwargs)); });
}

// ---- plumbing ----

PyObject* make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"cls", "data", "require_grad", nullptr};
  PyObject *cls, *data;
  int requires_grad = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|p:_make_subclass", const_cast<char**>(names), &cls, &data, &requires_grad)) return nullptr;
  return guarded([&]() -> PyObject* {
    check_type(PyType_Check(cls) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(cls), tensor_type), "cls must be a type (got ", Py_TYPE(cls)->tp_name, ")");
    check_type(is_tensor(data), "_make_subclass(): argument 'data' (position 2) must be Tensor, not ", Py_TYPE(data)->tp_name);
    Tensor t = Tensor::alias(unwrap(data));
    if (requires_grad) autograd_hooks.set_requires_grad(t, true);
    return wrap_as(reinterpret_cast<PyTypeObject*>(cls), std::move(t));
  });
}

PyObject* as_subclass(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject*) {
  return guarded([&]() -> PyObject* {
    check_type(n == 1 && PyType_Check(args[0]) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[0]), tensor_type), "cls must be a type (got ",
               n ? Py_TYPE(args[0])->tp_name : "nothing", ")");
    return wrap_as(reinterpret_cast<PyTypeObject*>(args[0]), alias_view(unwrap(self)));
  });
}

PyObject* register_parameter_type(PyObject*, PyObject* type) {
  parameter_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  Py_RETURN_NONE;
}

PyObject* legacy(PyObject*, PyObject* args) {
  PyObject *dtype, *inner, *kwargs;
  if (!PyArg_ParseTuple(args, "OOO:_legacy_tensor_new", &dtype, &inner, &kwargs)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(legacy_new(unwrap_dtype(dtype), Device{}, inner, kwargs == Py_None ? nullptr : kwargs)); });
}

#define FAST(function) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function))
PyMethodDef own_methods[] = {
    {"size", FAST(size), METH_FASTCALL | METH_KEYWORDS, "torch.Size of the tensor, or the size of one dimension"},
    {"stride", FAST(stride), METH_FASTCALL | METH_KEYWORDS, "steps in elements from one index to the next, per dimension"},
    {"dim", dim, METH_NOARGS, "number of dimensions"},
    {"ndimension", dim, METH_NOARGS, "number of dimensions"},
    {"numel", numel, METH_NOARGS, "number of elements"},
    {"nelement", numel, METH_NOARGS, "number of elements"},
    {"element_size", element_size, METH_NOARGS, "bytes of one element"},
    {"storage_offset", storage_offset, METH_NOARGS, "elements before the first one in the storage"},
    {"data_ptr", data_ptr, METH_NOARGS, "address of the first element"},
    {"is_floating_point", is_floating, METH_NOARGS, "True for a floating dtype"},
    {"is_complex", is_complex_dtype, METH_NOARGS, "True for a complex dtype"},
    {"is_signed", is_signed_dtype, METH_NOARGS, "True for a dtype with negative numbers"},
    {"is_conj", is_conj, METH_NOARGS, "True if a conjugation is pending: the memory holds the conjugates"},
    {"is_neg", is_neg, METH_NOARGS, "True if a negation is pending: the memory holds the negated elements"},
    {"is_inference", is_inference, METH_NOARGS, "True for a tensor made in inference mode"},
    {"_is_view", is_view, METH_NOARGS, "True if the tensor shares the memory of another as its view"},
    {"_is_zerotensor", is_zerotensor, METH_NOARGS, "False: no tensor is known to be zero without memory"},
    {"is_pinned", is_pinned, METH_NOARGS, "True if the memory is page-locked for copies to a GPU"},
    {"is_nonzero", is_nonzero, METH_NOARGS, "True if the only element is not zero; a RuntimeError for several elements"},
    {"get_device", get_device, METH_NOARGS, "index of the device, -1 on the CPU"},
    {"item", get_item, METH_NOARGS, "the only element as a Python number"},
    {"tolist", tolist, METH_NOARGS, "the elements as nested lists of Python numbers"},
    {"untyped_storage", untyped_storage, METH_NOARGS, "the memory of the tensor"},
    {"dense_dim", dense_dim, METH_NOARGS, "number of dimensions of the elements that a sparse tensor keeps; all of a strided one"},
    {"sparse_dim", sparse_dim, METH_NOARGS, "number of sparse dimensions; 0 of a strided tensor"},
    {"is_coalesced", is_coalesced, METH_NOARGS, "True if a sparse tensor has no repeated index; a RuntimeError for others"},
    {"is_contiguous", FAST(is_contiguous), METH_FASTCALL | METH_KEYWORDS, "True if the elements lie in row-major order, or in the given memory format"},
    {"numpy", FAST(numpy), METH_VARARGS | METH_KEYWORDS, "NumPy array over the same memory"},
    {"__array__", FAST(array), METH_VARARGS | METH_KEYWORDS, "the elements as a NumPy array"},
    {"to", FAST(to), METH_FASTCALL | METH_KEYWORDS, "the tensor converted to a dtype, device or memory format; itself if nothing changes"},
    {"float", FAST(cast<DType::Float32>), METH_FASTCALL | METH_KEYWORDS, "the tensor as float32; itself if it is"},
    {"double", FAST(cast<DType::Float64>), METH_FASTCALL | METH_KEYWORDS, "the tensor as float64; itself if it is"},
    {"half", FAST(cast<DType::Float16>), METH_FASTCALL | METH_KEYWORDS, "the tensor as float16; itself if it is"},
    {"bfloat16", FAST(cast<DType::BFloat16>), METH_FASTCALL | METH_KEYWORDS, "the tensor as bfloat16; itself if it is"},
    {"int", FAST(cast<DType::Int32>), METH_FASTCALL | METH_KEYWORDS, "the tensor as int32; itself if it is"},
    {"long", FAST(cast<DType::Int64>), METH_FASTCALL | METH_KEYWORDS, "the tensor as int64; itself if it is"},
    {"short", FAST(cast<DType::Int16>), METH_FASTCALL | METH_KEYWORDS, "the tensor as int16; itself if it is"},
    {"char", FAST(cast<DType::Int8>), METH_FASTCALL | METH_KEYWORDS, "the tensor as int8; itself if it is"},
    {"byte", FAST(cast<DType::UInt8>), METH_FASTCALL | METH_KEYWORDS, "the tensor as uint8; itself if it is"},
    {"bool", FAST(cast<DType::Bool>), METH_FASTCALL | METH_KEYWORDS, "the tensor as bool: whether elements are nonzero"},
    {"cfloat", FAST(cast<DType::Complex64>), METH_FASTCALL | METH_KEYWORDS, "the tensor as complex64; itself if it is"},
    {"cdouble", FAST(cast<DType::Complex128>), METH_FASTCALL | METH_KEYWORDS, "the tensor as complex128; itself if it is"},
    {"chalf", FAST(cast<DType::Complex32>), METH_FASTCALL | METH_KEYWORDS, "the tensor as complex32; itself if it is"},
    {"cpu", FAST(cpu), METH_FASTCALL | METH_KEYWORDS, "the tensor in the memory of the CPU; itself if it is there"},
    {"cuda", FAST(cuda), METH_FASTCALL | METH_KEYWORDS, "the tensor in the memory of a GPU; itself if it is there"},
    {"type", FAST(type), METH_FASTCALL | METH_KEYWORDS, "the name of the tensor class, such as torch.FloatTensor; with a class or dtype: the tensor converted to it"},
    {"new_tensor", FAST(new_tensor), METH_VARARGS | METH_KEYWORDS, "a copy of data (numbers, lists, arrays), with the dtype and device of this tensor unless told otherwise"},
    {"new", FAST(new_legacy), METH_VARARGS | METH_KEYWORDS, "torch.Tensor(...) with the dtype and device of this tensor: deprecated, see new_tensor and new_empty"},
    {"_make_subclass", FAST(make_subclass), METH_VARARGS | METH_KEYWORDS | METH_STATIC, "a tensor of class cls that shares the memory of data"},
    {"as_subclass", FAST(as_subclass), METH_FASTCALL | METH_KEYWORDS, "the tensor as one of a subclass, over the same memory and with its history"},
    {nullptr, nullptr, 0, nullptr}};

PyMethodDef functions[] = {{"_register_parameter_type", register_parameter_type, METH_O, nullptr},
                           {"_legacy_tensor_new", legacy, METH_VARARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};
#undef FAST

}  // namespace

// torch.Tensor(2, 3): uninitialised sizes; torch.Tensor([..]), (array), (tensor), (storage): data
Tensor legacy_new(DType dtype, Device device, PyObject* args, PyObject* kwargs) {
  if (kwargs && PyDict_GET_SIZE(kwargs)) {
    PyObject* named = PyDict_GetItemString(kwargs, "device");
    if (named && named != Py_None) device = unwrap_device(named);
    check_type(named && PyDict_GET_SIZE(kwargs) == 1, "new() received an unexpected keyword argument");
    check(device.is_cpu() || device.is_meta(), "legacy constructor expects device type: cpu but device type: ", device_kind_name(device.kind), " was passed");
  }
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  if (n == 0) {
    const int64_t none = 0;
    return Tensor::empty(IntList(&none, 1), dtype, device);
  }
  PyObject* first = PyTuple_GET_ITEM(args, 0);
  bool sizes = true;
  for (Py_ssize_t i = 0; i < n; i++) sizes &= PyLong_Check(PyTuple_GET_ITEM(args, i)) && !PyBool_Check(PyTuple_GET_ITEM(args, i));
  if (sizes || (n == 1 && Py_TYPE(first) == size_type)) {
    PyObject* list = sizes ? args : first;
    Dims dims;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list); i++) dims.push_back(unwrap_int(PyTuple_GET_ITEM(list, i)));
    return Tensor::empty(dims, dtype, device);
  }
  check_type(n == 1, "new() received an invalid combination of arguments - got (", Py_TYPE(first)->tp_name, ", ...), but expected one of:\n * (*, torch.device device = None)\n * (torch.Storage storage)\n"
             " * (Tensor other)\n * (tuple of ints size, *, torch.device device = None)\n * (object data, *, torch.device device = None)\n");
  if (is_tensor(first)) {
    const Tensor& other = unwrap(first);
    check_type(other.dtype() == dtype, "expected ", dtype_title(dtype), " (got ", dtype_title(other.dtype()), ")");
    return alias_view(other);
  }
  check_type(PySequence_Check(first) || PyObject_CheckBuffer(first) || PyObject_HasAttrString(first, "__array__"), "new(): data must be a sequence (got ", Py_TYPE(first)->tp_name, ")");
  return tensor_from_data(first, dtype, device, true);
}

PyMethodDef* tensor_methods() {
  static std::vector<PyMethodDef> all = [] {
    std::vector<PyMethodDef> list;
    for (PyMethodDef* table : {own_methods, autograd_methods()})
      for (PyMethodDef* m = table; m->ml_name; m++) list.push_back(*m);
    list.push_back({nullptr, nullptr, 0, nullptr});
    return list;
  }();
  return all.data();
}

void add_tensor_functions(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
