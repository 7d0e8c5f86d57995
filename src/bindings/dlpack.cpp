// DLPack (https://dmlc.github.io/dlpack), both the first capsules and the versioned ones of 1.0.
#include <cstring>
#include <memory>

#include "bindings/helpers.h"
#include "bindings/interop.h"

namespace tabula::py {
namespace {

// ---- the binary interface, as the standard lays it out ----

struct DLDevice {
  int32_t kind, index;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManaged {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManaged*);
};
struct DLManagedVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedVersioned*);
  uint64_t flags;
  DLTensor tensor;
};
constexpr int32_t kCpu = 1;
constexpr uint32_t kMajor = 1, kMinor = 1;

// Names of the capsules: before and after somebody took the tensor.
template <class Managed>
struct Names;
template <>
struct Names<DLManaged> {
  static constexpr const char *fresh = "dltensor", *used = "used_dltensor";
};
template <>
struct Names<DLManagedVersioned> {
  static constexpr const char *fresh = "dltensor_versioned", *used = "used_dltensor_versioned";
};

struct Code {
  DType dtype;
  uint8_t code, bits;
};
constexpr Code kCodes[] = {
    {DType::Int8, 0, 8},       {DType::Int16, 0, 16},       {DType::Int32, 0, 32},       {DType::Int64, 0, 64},
    {DType::UInt8, 1, 8},      {DType::UInt16, 1, 16},      {DType::UInt32, 1, 32},      {DType::UInt64, 1, 64},
    {DType::Float16, 2, 16},   {DType::Float32, 2, 32},     {DType::Float64, 2, 64},     {DType::BFloat16, 4, 16},
    {DType::Complex32, 5, 32}, {DType::Complex64, 5, 64},   {DType::Complex128, 5, 128}, {DType::Bool, 6, 8},
    {DType::Float8E4M3, 10, 8}, {DType::Float8E5M2, 12, 8},
    {DType::Float8E4M3Fnuz, 11, 8}, {DType::Float8E5M2Fnuz, 13, 8}, {DType::Float8E8M0, 14, 8}};

DLDataType type_of(DType dtype) {
  for (const Code& c : kCodes)
    if (c.dtype == dtype) return {c.code, c.bits, 1};
  fail(ErrorKind::Buffer, "DLPack has no type for ", dtype_name(dtype));
}

DType dtype_of(const DLDataType& type) {
  if (type.lanes != 1) fail(ErrorKind::Buffer, "ATen does not support lanes != 1");
  for (const Code& c : kCodes)
    if (c.code == type.code && c.bits == type.bits) return c.dtype;
  fail(ErrorKind::Buffer, "Unsupported DLPack type: code ", int(type.code), ", ", int(type.bits), " bits");
}

// ---- out ----

template <class Managed>
struct Export {
  Managed managed{};
  Ref<Storage> storage;  // rather than the tensor: it can go on any thread, without the interpreter
  Dims sizes, strides;
};

template <class Managed>
void delete_export(Managed* managed) {
  delete static_cast<Export<Managed>*>(managed->context);
}

template <class Managed>
void drop_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Names<Managed>::fresh)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Names<Managed>::fresh));
  if (managed->deleter) managed->deleter(managed);
}

template <class Managed>
PyObject* make_capsule(const Tensor& t) {
  auto owned = std::make_unique<Export<Managed>>();
  owned->storage = t.impl()->storage;
  owned->storage->forbid_resize();
  owned->sizes = t.sizes();
  owned->strides = t.strides();
  Managed& managed = owned->managed;
  managed.context = owned.get();
  managed.deleter = delete_export<Managed>;
  if constexpr (std::is_same_v<Managed, DLManagedVersioned>) {
    managed.major = kMajor;
    managed.minor = kMinor;
  }
  managed.tensor = {t.data(),           {kCpu, 0}, int32_t(t.dim()), type_of(t.dtype()), owned->sizes.data(),
                    owned->strides.data(), 0};
  PyObject* capsule = PyCapsule_New(&managed, Names<Managed>::fresh, drop_capsule<Managed>);
  if (capsule) static_cast<void>(owned.release());
  return capsule;
}

// ---- in ----

template <class Managed>
void release_import(void* context) {
  auto* managed = static_cast<Managed*>(context);
  if (!managed->deleter || !Py_IsInitialized()) return;
  // producers written in Python release their objects here
  const PyGILState_STATE state = PyGILState_Ensure();
  managed->deleter(managed);
  PyGILState_Release(state);
}

template <class Managed>
Tensor take(PyObject* capsule) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Names<Managed>::fresh));
  if (!managed) throw PythonError{};
  if constexpr (std::is_same_v<Managed, DLManagedVersioned>) {
    if (managed->major > kMajor)
      fail(ErrorKind::Buffer, "Unsupported DLPack version: ", managed->major, ".", managed->minor);
  }
  const DLTensor& t = managed->tensor;
  if (t.device.kind != kCpu) fail(ErrorKind::Buffer, "Unsupported DLPack device type: ", t.device.kind);
  const DType dtype = dtype_of(t.dtype);
  Geometry geometry{Dims(t.shape, t.shape + t.ndim), Dims(), 0};
  check_sizes(geometry.sizes);
  const bool empty = count_elements(geometry.sizes) == 0;
  geometry.strides = t.strides && !empty ? Dims(t.strides, t.strides + t.ndim) : contiguous_strides(geometry.sizes);
  for (int64_t stride : IntList(geometry.strides))
    check_value(stride >= 0, "DLPack tensors with negative strides are not supported");
  const int64_t reach = empty ? 0 : span_elements(geometry.sizes, geometry.strides);
  checked(PyCapsule_SetName(capsule, Names<Managed>::used));
  Ref<Storage> storage = Storage::borrow(static_cast<char*>(t.data) + t.byte_offset,
                                         size_t(reach * item_size(dtype)), {}, release_import<Managed>, managed);
  return Tensor::over(std::move(storage), dtype, std::move(geometry));
}

PyObject* to_dlpack(PyObject*, PyObject* tensor) {
  return guarded([&] {
    check_type(is_tensor(tensor), "_to_dlpack(): argument must be Tensor, not ", type_name(tensor));
    return tensor_to_dlpack(unwrap(tensor), false);
  });
}

PyObject* to_dlpack_versioned(PyObject*, PyObject* tensor) {
  return guarded([&] {
    check_type(is_tensor(tensor), "_to_dlpack_versioned(): argument must be Tensor, not ", type_name(tensor));
    return tensor_to_dlpack(unwrap(tensor), true);
  });
}

PyObject* from_capsule(PyObject*, PyObject* capsule) {
  return guarded([&] { return wrap(tensor_from_dlpack(capsule)); });
}

PyObject* from_dlpack(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    static constexpr const char* names[] = {"ext_tensor", "device", "copy"};
    PyObject* bound[3];
    bind_arguments({"from_dlpack", names, 1, 1}, args, count, kwnames, bound);
    const std::optional<Device> device = device_argument("from_dlpack", bound[1]);
    const bool copy = flag_argument("from_dlpack", "copy", bound[2], false);
    const Tensor t = tensor_from_dlpack_object(bound[0]);
    PyRef shared = checked(wrap(t));
    if (!copy && !(device && device->kind != t.device().kind)) return shared.release();
    return wrap(tensor_from_data(shared.get(), std::nullopt, device.value_or(t.device()), true));
  });
}

}  // namespace

PyObject* tensor_to_dlpack(const Tensor& t, bool versioned) {
  if (t.impl()->special & kParts) fail(ErrorKind::Buffer, "Can't export tensors with layout other than torch.strided");
  if (t.needs_grad()) fail(ErrorKind::Buffer, "Can't export tensors that require gradient, use tensor.detach()");
  if (t.is_conj()) fail(ErrorKind::Buffer, "Can't export tensors with the conjugate bit set");
  if (t.is_neg()) fail(ErrorKind::Buffer, "Can't export tensors with the negative bit set");
  if (!t.device().is_cpu()) fail(ErrorKind::Buffer, "Cannot pack tensors on ", t.device().str());
  return versioned ? make_capsule<DLManagedVersioned>(t) : make_capsule<DLManaged>(t);
}

Tensor tensor_from_dlpack(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, Names<DLManagedVersioned>::fresh)) return take<DLManagedVersioned>(capsule);
  if (PyCapsule_IsValid(capsule, Names<DLManaged>::fresh)) return take<DLManaged>(capsule);
  fail(ErrorKind::Runtime,
       "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might "
       "have already constructed a tensor from it once.");
}

bool is_dlpack(PyObject* o) {
  return PyCapsule_CheckExact(o) || (!PyType_Check(o) && PyObject_HasAttrString(o, "__dlpack__"));
}

Tensor tensor_from_dlpack_object(PyObject* o) {
  if (PyCapsule_CheckExact(o) || !PyObject_HasAttrString(o, "__dlpack__")) return tensor_from_dlpack(o);
  PyRef export_method = checked(PyObject_GetAttrString(o, "__dlpack__"));
  PyRef keywords = checked(Py_BuildValue("{s(ii)}", "max_version", int(kMajor), 0)), none = checked(PyTuple_New(0));
  PyRef capsule = PyRef::steal(PyObject_Call(export_method.get(), none.get(), keywords.get()));
  if (!capsule) {
    // producers older than DLPack 1.0 do not know the argument
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
    PyErr_Clear();
    capsule = checked(PyObject_CallNoArgs(export_method.get()));
  }
  return tensor_from_dlpack(capsule.get());
}

void add_dlpack(PyObject* module) {
  static PyMethodDef functions[] = {
      {"_to_dlpack", to_dlpack, METH_O, nullptr},
      {"_to_dlpack_versioned", to_dlpack_versioned, METH_O, nullptr},
      {"_from_dlpack", from_capsule, METH_O, nullptr},
      {"from_dlpack", method(from_dlpack), METH_FASTCALL | METH_KEYWORDS,
       "from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor\n\n"
       "A tensor over the memory of another library's array, given by the array or its DLPack capsule."},
      {nullptr, nullptr, 0, nullptr}};
  add_functions(module, functions);
}

}  // namespace tabula::py
