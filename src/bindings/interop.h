// Tensors from and to other data: Python sequences, NumPy, buffers, DLPack.
#pragma once

#include <optional>

#include "bindings/python.h"

namespace tabula::py {

// Recognised by name, without importing NumPy.
bool has_numpy_base(PyObject* o, const char* type_name);
bool is_numpy_array(PyObject* o);
bool is_numpy_scalar(PyObject* o);

// The element at `data` as a Python number; unlike a Scalar it keeps all of uint64.
PyObject* wrap_element(const char* data, DType dtype);
PyObject* wrap_item(const Tensor& t);  // the one element of a tensor

// Nested sequences, numbers, arrays, tensors. Without `copy` the memory is shared where dtype and device allow.
Tensor tensor_from_data(PyObject* data, std::optional<DType> dtype, Device device, bool copy);
// A copy of numbers in nested sequences (or a number alone).
Tensor tensor_from_sequence(PyObject* data, std::optional<DType> dtype);
// The dtype that tensor_from_sequence would choose.
DType infer_dtype(PyObject* data);
// The same values with this dtype on this device; the tensor itself if nothing changes. Not recorded by autograd.
Tensor moved(const Tensor& t, DType dtype, Device device);

PyObject* tensor_tolist(const Tensor& t);

// Throws for tensors that consist of others instead of having elements in memory.
inline void check_memory(const Tensor& t) {
  check(!(t.impl()->special & kParts), "Cannot access data pointer of Tensor that doesn't have storage");
}

// ---- NumPy (numpy.cpp) ----
PyObject* tensor_to_numpy(const Tensor& t, bool force);
// Shares the array's memory and keeps it alive.
Tensor tensor_from_numpy(PyObject* array, bool warn_read_only);
// The dtype of a NumPy scalar.
DType dtype_of_numpy_scalar(PyObject* scalar);

// ---- the buffer protocol (buffer.cpp) ----
int tensor_getbuffer(PyObject* tensor, Py_buffer* view, int flags);
void tensor_releasebuffer(Py_buffer* view);
// Takes over an acquired buffer, of which `bytes` from its start can be reached; the storage releases it in the end.
Ref<Storage> storage_over_buffer(const Py_buffer& view, size_t bytes);
// The dtype of a format as the struct module writes it; none for other types and for swapped bytes.
std::optional<DType> dtype_of_format(const char* format, Py_ssize_t item_size);
Tensor tensor_from_buffer(PyObject* buffer, DType dtype, int64_t count, int64_t offset);

// ---- DLPack (dlpack.cpp) ----
PyObject* tensor_to_dlpack(const Tensor& t, bool versioned);
Tensor tensor_from_dlpack(PyObject* capsule);
// A capsule, or an object with __dlpack__.
bool is_dlpack(PyObject* o);
Tensor tensor_from_dlpack_object(PyObject* o);
void add_dlpack(PyObject* module);

}  // namespace tabula::py
