// The buffer protocol in both directions.
#include <cstring>
#include <memory>

#include "bindings/helpers.h"
#include "bindings/interop.h"

namespace tabula::py {
namespace {

const char* format_of(DType dtype) {
  switch (dtype) {
    case DType::Bool: return "?";
    case DType::UInt8: return "B";
    case DType::Int8: return "b";
    case DType::UInt16: return "H";
    case DType::Int16: return "h";
    case DType::UInt32: return "I";
    case DType::Int32: return "i";
    case DType::UInt64: return "Q";
    case DType::Int64: return "q";
    case DType::Float16: return "e";
    case DType::Float32: return "f";
    case DType::Float64: return "d";
    case DType::Complex64: return "Zf";
    case DType::Complex128: return "Zd";
    default: return nullptr;
  }
}

// The last user may be a worker thread, or the interpreter may be gone.
void release_buffer(void* context) {
  std::unique_ptr<Py_buffer> view(static_cast<Py_buffer*>(context));
  if (!Py_IsInitialized()) return;
  const PyGILState_STATE state = PyGILState_Ensure();
  PyBuffer_Release(view.get());
  PyGILState_Release(state);
}

}  // namespace

Ref<Storage> storage_over_buffer(const Py_buffer& view, size_t bytes) {
  auto owned = std::make_unique<Py_buffer>(view);
  Ref<Storage> storage = Storage::borrow(view.buf, bytes, {}, release_buffer, owned.get());
  static_cast<void>(owned.release());
  return storage;
}

std::optional<DType> dtype_of_format(const char* format, Py_ssize_t item_size) {
  if (!format) return DType::UInt8;
  if (*format == '@' || *format == '=' || *format == '<') format++;
  if (*format == 'Z') {
    if (std::strcmp(format, "Zf") == 0) return DType::Complex64;
    if (std::strcmp(format, "Zd") == 0) return DType::Complex128;
    return std::nullopt;
  }
  if (!*format || format[1]) return std::nullopt;
  switch (*format) {
    case '?': return DType::Bool;
    case 'e': return DType::Float16;
    case 'f': return DType::Float32;
    case 'd': return DType::Float64;
    default: break;
  }
  const int width = item_size == 1 ? 0 : item_size == 2 ? 1 : item_size == 4 ? 2 : 3;
  constexpr DType signed_types[] = {DType::Int8, DType::Int16, DType::Int32, DType::Int64};
  constexpr DType unsigned_types[] = {DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64};
  if (std::strchr("bhilqn", *format)) return signed_types[width];
  if (std::strchr("BHILQN", *format)) return unsigned_types[width];
  return std::nullopt;
}

int tensor_getbuffer(PyObject* tensor, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded([&] {
    const Tensor& t = unwrap(tensor);
    auto require = [](bool holds, const char* text) {
      if (!holds) fail(ErrorKind::Buffer, text);
    };
    const char* format = format_of(t.dtype());
    require(!(t.impl()->special & kParts), "only tensors with elements in memory have a buffer");
    require(t.device().is_cpu(), "only tensors in CPU memory have a buffer");
    require(!t.needs_grad(), "tensors that require grad have no buffer: use tensor.detach()");
    require(!t.is_conj() && !t.is_neg(), "tensors with the conjugate or negative bit set have no buffer");
    require(format, "tensors of this dtype have no buffer");
    const bool wants_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    require(t.is_contiguous() || wants_strides, "the tensor is not contiguous");
    require(t.is_contiguous() || (flags & PyBUF_C_CONTIGUOUS) != PyBUF_C_CONTIGUOUS, "the tensor is not contiguous");
    require((flags & PyBUF_F_CONTIGUOUS) != PyBUF_F_CONTIGUOUS || t.dim() < 2, "the tensor is not Fortran-contiguous");
    t.storage().forbid_resize();
    const int64_t dims = t.dim(), size = item_size(t.dtype());
    auto extents = std::make_unique<Py_ssize_t[]>(size_t(2 * dims) + 1);
    for (int64_t d = 0; d < dims; d++) {
      extents[size_t(d)] = t.sizes()[size_t(d)];
      extents[size_t(dims + d)] = t.strides()[size_t(d)] * size;
    }
    view->buf = t.data();
    view->len = t.numel() * size;
    view->readonly = 0;
    view->itemsize = size;
    view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
    view->ndim = int(dims);
    view->shape = flags & PyBUF_ND ? extents.get() : nullptr;
    view->strides = wants_strides ? extents.get() + dims : nullptr;
    view->suboffsets = nullptr;
    view->internal = extents.release();
    view->obj = Py_NewRef(tensor);
    return 0;
  });
}

void tensor_releasebuffer(Py_buffer* view) { delete[] static_cast<Py_ssize_t*>(view->internal); }

Tensor tensor_from_buffer(PyObject* buffer, DType dtype, int64_t count, int64_t offset) {
  check_value(PyObject_CheckBuffer(buffer), "object does not implement Python buffer protocol.");
  Py_buffer view;
  bool writable = true;
  if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
    PyErr_Clear();
    checked(PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE));
    writable = false;
  }
  const int64_t size = item_size(dtype), length = view.len;
  Ref<Storage> storage = storage_over_buffer(view, size_t(length));
  check_value(length > 0 && count != 0, "both buffer length (", length, ") and count (", count, ") must not be 0");
  check_value(offset >= 0 && offset < length, "offset (", offset,
              " bytes) must be non-negative and no greater than buffer length (", length, " bytes) minus 1");
  if (count < 0) {
    check_value((length - offset) % size == 0, "buffer length (", length - offset, " bytes) after offset (", offset,
                " bytes) must be a multiple of element size (", size, ")");
    count = (length - offset) / size;
  }
  check_value(count <= (length - offset) / size, "requested buffer length (", count, " * ", size,
              " bytes) after offset (", offset, " bytes) must not be greater than actual buffer length (", length,
              " bytes)");
  if (static bool warned = false; !writable && !std::exchange(warned, true))
    warn_user(
        "The given buffer is not writable, and PyTorch does not support non-writable tensors. This means you can "
        "write to the underlying (supposedly non-writable) buffer using the tensor. You may want to copy the buffer to "
        "protect its data or make it writable before converting it to a tensor. This type of warning will be "
        "suppressed for the rest of this program.");
  if (reinterpret_cast<uintptr_t>(storage->data() + offset) % size_t(std::min<int64_t>(size, 8))) {
    // processors other than x86 trap on such an address, and compilers may assume that there is none
    if (static bool warned = false; writable && !std::exchange(warned, true))
      warn_user("The given buffer does not start at a multiple of the element size in memory, so its data is copied: writes to the tensor do not reach it.");
    Tensor copy = Tensor::empty({{count}}, dtype);
    std::memcpy(copy.data(), storage->data() + offset, size_t(count * size));
    return copy;
  }
  if (offset % size == 0) return Tensor::over(std::move(storage), dtype, {Dims{count}, Dims{1}, offset / size});
  // offsets of tensors count elements, so one that falls between them moves the storage's start
  Storage* whole = storage.release();
  auto release = [](void* context) { Ref<Storage>::adopt(static_cast<Storage*>(context)).reset(); };
  return Tensor::over(Storage::borrow(whole->data() + offset, size_t(length - offset), {}, release, whole), dtype,
                      {Dims{count}, Dims{1}, 0});
}

}  // namespace tabula::py
