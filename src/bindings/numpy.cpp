// NumPy arrays, by way of what NumPy offers to Python code: building needs no NumPy, and only use imports it.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "bindings/helpers.h"
#include "bindings/interop.h"
#include "bindings/storage.h"
#include "core/state.h"
#include "ops/copy.h"
#include "ops/sparse.h"

namespace tabula::py {
namespace {

struct NumpyApi {
  PyRef array_type;        // numpy.ndarray
  PyRef dtypes[kDTypes];   // null where NumPy has none
  PyRef argument_names;    // the keywords of numpy.ndarray()
};

// Looked up at the first conversion and kept: importing and looking up would take longer than converting.
const NumpyApi& numpy() {
  static std::atomic<const NumpyApi*> ready{nullptr};
  if (const NumpyApi* api = ready.load(std::memory_order_acquire)) return *api;
  PyRef module = PyRef::steal(PyImport_ImportModule("numpy"));
  if (!module) {
    PyErr_Clear();
    fail(ErrorKind::Runtime, "Numpy is not available");
  }
  auto api = std::make_unique<NumpyApi>();
  api->array_type = checked(PyObject_GetAttrString(module.get(), "ndarray"));
  PyRef dtype_type = checked(PyObject_GetAttrString(module.get(), "dtype"));
  for (int i = 0; i < kDTypes; i++) {
    const DType d = DType(i);
    if (is_float8(d) || d == DType::BFloat16 || d == DType::Complex32) continue;
    api->dtypes[i] = checked(PyObject_CallFunction(dtype_type.get(), "s", dtype_name(d)));
  }
  api->argument_names = checked(Py_BuildValue("(sss)", "buffer", "offset", "strides"));
  const NumpyApi* expected = nullptr;
  if (ready.compare_exchange_strong(expected, api.get())) return *api.release();
  return *expected;
}

PyRef tuple_of(IntList values, int64_t factor) {
  PyRef tuple = checked(PyTuple_New(Py_ssize_t(values.size())));
  for (size_t i = 0; i < values.size(); i++)
    PyTuple_SET_ITEM(tuple.get(), Py_ssize_t(i), checked(PyLong_FromLongLong(values[i] * factor)).release());
  return tuple;
}

[[noreturn]] void fail_unsupported(const char* type) {
  fail(ErrorKind::Type, "can't convert np.ndarray of type ", type,
       ". The only supported types are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
       "uint64, uint32, uint16, uint8, and bool.");
}

// The NumPy type of an array's elements, or why it has no buffer that we could take.
[[noreturn]] void fail_array(PyObject* array) {
  PyErr_Clear();
  PyRef dtype = checked(PyObject_GetAttrString(array, "dtype"));
  PyRef native = checked(PyObject_GetAttrString(dtype.get(), "isnative"));
  PyRef kind = checked(PyObject_GetAttrString(dtype.get(), "kind"));
  const char* letter = PyUnicode_AsUTF8(kind.get());
  if (native.get() == Py_False && letter && std::strchr("biufc", *letter))
    fail(ErrorKind::Value,
         "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
         "currently not supported.");
  PyRef type = checked(PyObject_GetAttrString(dtype.get(), "type"));
  const bool is_type = PyType_Check(type.get());
  fail_unsupported(is_type ? reinterpret_cast<PyTypeObject*>(type.get())->tp_name : type_name(type.get()));
}

struct BufferView {
  Py_buffer view;
  bool acquired = false;
  explicit BufferView(PyObject* o) { acquired = PyObject_GetBuffer(o, &view, PyBUF_RECORDS_RO) == 0; }
  ~BufferView() {
    if (acquired) PyBuffer_Release(&view);
  }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
};

void warn_read_only_array() {
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  warn_user(
      "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to "
      "this tensor will result in undefined behavior. You may want to copy the array to protect its data or make it "
      "writable before converting it to a tensor. This type of warning will be suppressed for the rest of this "
      "program.");
}

}  // namespace

DType dtype_of_numpy_scalar(PyObject* scalar) {
  const BufferView buffer(scalar);
  const auto dtype = buffer.acquired ? dtype_of_format(buffer.view.format, buffer.view.itemsize) : std::nullopt;
  if (dtype) return *dtype;
  PyErr_Clear();
  fail_unsupported(type_name(scalar));
}

Tensor tensor_from_numpy(PyObject* array, bool warn_read_only) {
  check_type(is_numpy_array(array), "expected np.ndarray (got ", type_name(array), ")");
  BufferView buffer(array);
  if (!buffer.acquired) fail_array(array);
  const Py_buffer& view = buffer.view;
  const std::optional<DType> dtype = dtype_of_format(view.format, view.itemsize);
  if (!dtype) fail_array(array);
  Geometry geometry{Dims(view.ndim), Dims(view.ndim), 0};
  const int64_t size = item_size(*dtype);
  bool empty = false, negative = false;
  for (int d = 0; d < view.ndim; d++) {
    geometry.sizes[d] = view.shape[d];
    empty |= view.shape[d] == 0;
    negative |= view.strides[d] < 0;
    check_value(view.strides[d] % size == 0,
                "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate "
                "the memory.");
    geometry.strides[d] = std::max<int64_t>(view.strides[d] / size, 0);
  }
  check_value(!negative || empty,
              "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
              "currently supported. (You can probably work around this by making a copy of your array  with "
              "array.copy().) ");
  if (warn_read_only && view.readonly) warn_read_only_array();
  const int64_t reach = empty ? 0 : span_elements(geometry.sizes, geometry.strides);
  Ref<Storage> storage = storage_over_buffer(view, size_t(reach * size));
  buffer.acquired = false;
  return Tensor::over(std::move(storage), *dtype, std::move(geometry));
}

PyObject* tensor_to_numpy(const Tensor& tensor, bool force) {
  Tensor t = tensor;
  check_type(layout_of(t) == Layout::Strided, "can't convert ", layout_title(layout_of(t)), " layout tensor to numpy. Use Tensor.to_dense() first.");
  check_memory(t);
  check_type(!t.is_meta(),
             "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
             "first.");
  if (!force) {
    check(!t.needs_grad() || !thread_state.grad_enabled, "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
    check(!t.is_conj(),
          "Can't call numpy() on Tensor that has conjugate bit set. Use tensor.resolve_conj().numpy() instead.");
    check(!t.is_neg(),
          "Can't call numpy() on Tensor that has negative bit set. Use tensor.resolve_neg().numpy() instead.");
  } else if (t.is_conj() || t.is_neg()) {
    t = resolved_copy(t);
  }
  const bool known = !is_float8(t.dtype()) && t.dtype() != DType::BFloat16 && t.dtype() != DType::Complex32;
  check_type(known, "Got unsupported ScalarType ", dtype_title(t.dtype()));
  const NumpyApi& api = numpy();
  const int64_t size = item_size(t.dtype());
  // NumPy takes only steps that stay inside the buffer, and an empty view's may point anywhere
  const bool empty = t.numel() == 0;
  PyRef shape = tuple_of(t.sizes(), 1),
        strides = tuple_of(empty ? IntList(contiguous_strides(t.sizes())) : t.strides(), size);
  t.storage().forbid_resize();
  // the storage's Python object becomes the array's base and so keeps the memory
  PyRef storage = checked(wrap_storage(t.impl()->storage)),
        offset = checked(PyLong_FromLongLong(empty ? 0 : t.offset() * size));
  PyObject* args[] = {shape.get(), api.dtypes[int(t.dtype())].get(), storage.get(), offset.get(), strides.get()};
  return PyObject_Vectorcall(api.array_type.get(), args, 2, api.argument_names.get());
}

}  // namespace tabula::py
