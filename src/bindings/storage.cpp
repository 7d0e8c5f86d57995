// torch.UntypedStorage: the bytes behind tensors.
#include "bindings/storage.h"

#include <cstring>

#include "bindings/device.h"
#include "bindings/helpers.h"
#include "bindings/interop.h"

namespace tabula::py {
namespace {

struct PyStorage {
  PyObject_HEAD
  Ref<Storage> storage;
  PyObject* dict;
  PyObject* weakrefs;
};

PyTypeObject* storage_type;

PyStorage* fields(PyObject* o) { return reinterpret_cast<PyStorage*>(o); }
Storage& storage_of(PyObject* o) { return *fields(o)->storage; }

PyObject* make_storage(PyTypeObject* type, const Ref<Storage>& storage) {
  PyObject* self = checked(type->tp_alloc(type, 0)).release();
  new (&fields(self)->storage) Ref<Storage>(storage);
  storage->python = self;
  return self;
}

// The bytes, for those who look at them.
char* bytes_of(PyObject* self) {
  check_implemented(!storage_of(self).device().is_meta(), "Not available for 'meta' device type");
  return storage_of(self).data();
}

Ref<Storage> new_bytes(int64_t size, Device device) {
  check(size >= 0, "Trying to create a storage with negative number of bytes: ", size);
  check_device_available(device);
  Ref<Storage> storage = Storage::make(size_t(size), device);
  if (storage->data()) std::memset(storage->data(), 0, storage->bytes());
  return storage;
}

// Python ints become bytes modulo 256.
char byte_of(PyObject* o) {
  const unsigned long value = PyLong_AsUnsignedLongMask(o);
  if (value == static_cast<unsigned long>(-1) && PyErr_Occurred()) throw PythonError{};
  return char(value);
}

Ref<Storage> storage_of_sequence(PyObject* sequence, Device device) {
  check(PySequence_Check(sequence), "torch.UntypedStorage(): Expected a sequence type, but got ", type_name(sequence));
  PyRef items = checked(PySequence_Fast(sequence, "expected a sequence"));
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.get());
  Ref<Storage> storage = new_bytes(n, device);
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
    check(PyLong_Check(item), "torch.UntypedStorage(): tried to construct a storage from a sequence (",
          type_name(sequence), "), but one of the items was of type ", type_name(item), " instead of int");
    if (storage->data()) storage->data()[i] = byte_of(item);
  }
  return storage;
}

PyObject* storage_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static constexpr const char* names[] = {"nbytes", "device", "allocator"};
    PyObject* bound[3];
    bind_arguments({"UntypedStorage", names, 1, 0}, args, kwargs, bound);
    const Device device = device_argument("UntypedStorage", bound[1]).value_or(Device{});
    check(!bound[2] || bound[2] == Py_None, "torch.UntypedStorage(): allocator is not supported");
    if (!bound[0]) return make_storage(type, new_bytes(0, device));
    const bool is_count = PyIndex_Check(bound[0]) && !PyBool_Check(bound[0]);
    return make_storage(type,
                        is_count ? new_bytes(unwrap_int(bound[0]), device) : storage_of_sequence(bound[0], device));
  });
}

void storage_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  if (fields(self)->weakrefs) PyObject_ClearWeakRefs(self);
  Py_CLEAR(fields(self)->dict);
  if (Ref<Storage>& storage = fields(self)->storage) storage->python = nullptr;
  std::destroy_at(&fields(self)->storage);
  free_object(self);
}

int storage_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(fields(self)->dict);
  return 0;
}

int storage_clear(PyObject* self) {
  Py_CLEAR(fields(self)->dict);
  return 0;
}

Py_ssize_t storage_length(PyObject* self) { return Py_ssize_t(storage_of(self).bytes()); }
PyObject* storage_nbytes(PyObject* self, PyObject*) { return PyLong_FromSize_t(storage_of(self).bytes()); }

// Start and length of a slice; only steps of one make sense for shared bytes.
std::pair<Py_ssize_t, Py_ssize_t> slice_of(PyObject* self, PyObject* key) {
  Py_ssize_t start, stop, step;
  checked(PySlice_Unpack(key, &start, &stop, &step));
  const Py_ssize_t count = PySlice_AdjustIndices(storage_length(self), &start, &stop, step);
  check(step == 1, "Trying to slice with a step of ", step, ", but only a step of 1 is supported");
  return {start, count};
}

void release_storage_ref(void* storage) { Ref<Storage>::adopt(static_cast<Storage*>(storage)).reset(); }

PyObject* storage_item(PyObject* self, Py_ssize_t index) {
  return guarded([&] {
    const char* data = bytes_of(self);
    check_index(index >= 0 && index < storage_length(self), "index ", index, " out of range for storage of size ",
                storage_length(self));
    return PyLong_FromLong(uint8_t(data[index]));
  });
}

PyObject* storage_subscript(PyObject* self, PyObject* key) {
  return guarded([&]() -> PyObject* {
    char* data = bytes_of(self);
    if (PySlice_Check(key)) {
      const auto [start, count] = slice_of(self, key);
      // shares the memory, so it holds on to the whole
      Ref<Storage> whole = fields(self)->storage;
      const Device device = whole->device();
      return wrap_storage(Storage::borrow(data + start, size_t(count), device, release_storage_ref, whole.release()));
    }
    check_type(PyIndex_Check(key), "can't index a torch.UntypedStorage with ", type_name(key));
    const int64_t index = unwrap_int(key), size = storage_length(self);
    check_index(index >= -size && index < size, "index ", index, " out of range for storage of size ", size);
    return PyLong_FromLong(uint8_t(data[index < 0 ? index + size : index]));
  });
}

void check_assigned(PyObject* value) {
  check(PyLong_Check(value), "can only set storage content with a int types, but got ", type_name(value), " instead");
}

int storage_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded([&] {
    check_type(value, "storage elements cannot be deleted");
    char* data = bytes_of(self);
    if (PySlice_Check(key)) {
      const auto [start, count] = slice_of(self, key);
      if (PyObject_CheckBuffer(value)) {
        Py_buffer view;
        checked(PyObject_GetBuffer(value, &view, PyBUF_SIMPLE));
        const bool fits = view.len == count;
        if (fits) std::memmove(data + start, view.buf, size_t(count));
        PyBuffer_Release(&view);
        check_value(fits, "the slice has ", count, " bytes, the value another number");
        return 0;
      }
      check_assigned(value);
      std::memset(data + start, byte_of(value), size_t(count));
      return 0;
    }
    check_assigned(value);
    check_type(PyIndex_Check(key), "can't index a torch.UntypedStorage with ", type_name(key));
    const int64_t index = unwrap_int(key), size = storage_length(self);
    check(index >= -size && index < size, "out of bounds");
    data[index < 0 ? index + size : index] = byte_of(value);
    return 0;
  });
}

PyObject* storage_data_ptr(PyObject* self, PyObject*) { return PyLong_FromVoidPtr(storage_of(self).data()); }
PyObject* storage_device(PyObject* self, void*) { return wrap(storage_of(self).device()); }
PyObject* storage_cdata(PyObject* self, void*) { return PyLong_FromVoidPtr(&storage_of(self)); }

PyObject* storage_resize(PyObject* self, PyObject* size) {
  return guarded([&] {
    check(PyLong_Check(size), "resize_ expects an int, but got ", type_name(size));
    const int64_t bytes = unwrap_int(size);
    check(bytes >= 0, "Trying to resize a storage to a negative number of bytes: ", bytes);
    storage_of(self).resize(size_t(bytes));
    return Py_NewRef(self);
  });
}

PyObject* storage_resizable(PyObject* self, PyObject*) { return PyBool_FromLong(storage_of(self).resizable()); }

PyObject* storage_clone(PyObject* self, PyObject*) {
  return guarded([&] {
    const Storage& from = storage_of(self);
    Ref<Storage> copy = Storage::make(from.bytes(), from.device());
    if (from.data() && copy->data()) std::memcpy(copy->data(), from.data(), from.bytes());
    return wrap_storage(copy);
  });
}

PyObject* storage_tolist(PyObject* self, PyObject*) {
  return guarded([&] {
    const char* data = bytes_of(self);
    const Py_ssize_t n = storage_length(self);
    PyRef list = checked(PyList_New(n));
    for (Py_ssize_t i = 0; i < n; i++)
      PyList_SET_ITEM(list.get(), i, checked(PyLong_FromLong(uint8_t(data[i]))).release());
    return list.release();
  });
}

PyObject* storage_copy(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    static constexpr const char* names[] = {"source", "non_blocking"};
    PyObject* bound[2];
    bind_arguments({"copy_", names, 2, 1}, args, count, kwnames, bound);
    PyRef source = PyRef::borrow(bound[0]);
    if (!is_storage(source.get())) source = checked(PyObject_GetAttrString(source.get(), "_untyped_storage"));
    const Storage &from = *unwrap_storage(source.get()), &to = storage_of(self);
    check(from.bytes() == to.bytes(), "size does not match, self was ", to.bytes(), " bytes but src was ", from.bytes(),
          " bytes");
    if (!to.device().is_meta()) {
      check_implemented(!from.device().is_meta(), "Cannot copy out of meta tensor; no data!");
      std::memmove(to.data(), from.data(), to.bytes());
    }
    return Py_NewRef(self);
  });
}

PyObject* storage_fill(PyObject* self, PyObject* value) {
  return guarded([&] {
    check(PyLong_Check(value), "fill_ expects int, but got ", type_name(value));
    const char byte = byte_of(value);
    if (storage_of(self).data()) std::memset(storage_of(self).data(), byte, storage_of(self).bytes());
    return Py_NewRef(self);
  });
}

PyObject* storage_cpu(PyObject* self, PyObject*) {
  return guarded([&] {
    check_implemented(storage_of(self).device().is_cpu(), "Cannot copy out of meta tensor; no data!");
    return Py_NewRef(self);
  });
}

PyObject* storage_is_shared(PyObject*, PyObject*) { Py_RETURN_FALSE; }
PyObject* storage_element_size(PyObject*, PyObject*) { return PyLong_FromLong(1); }

int storage_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded([&] {
    if (!storage_of(self).device().is_cpu()) fail(ErrorKind::Buffer, "only storages in CPU memory have a buffer");
    storage_of(self).forbid_resize();
    return PyBuffer_FillInfo(view, self, storage_of(self).data(), storage_length(self), 0, flags);
  });
}

// ---- module functions ----

// Shares the memory of a writable buffer; copies a read-only one, since tensors may be written to.
PyObject* storage_from_bytes(PyObject*, PyObject* buffer) {
  return guarded([&] {
    Py_buffer view;
    checked(PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE));
    if (!view.readonly) return wrap_storage(storage_over_buffer(view, size_t(view.len)));
    Ref<Storage> storage = Storage::make(size_t(view.len), {});
    std::memcpy(storage->data(), view.buf, size_t(view.len));
    PyBuffer_Release(&view);
    return wrap_storage(storage);
  });
}

Dims dims_argument(const char* name, PyObject* o) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) fail_argument("_tensor_from_storage", name, "tuple of ints", o);
  Dims dims(int64_t(PySequence_Fast_GET_SIZE(o)));
  for (int64_t i = 0; i < dims.size(); i++) dims[i] = unwrap_int(PySequence_Fast_GET_ITEM(o, i));
  return dims;
}

// Elements from the storage's start to behind the last one that is reached; throws where that cannot be counted.
int64_t reach(IntList sizes, IntList strides, int64_t offset) {
  bool overflow = false;
  int64_t last = offset;
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == 0) return 0;
    int64_t step;
    overflow |= __builtin_mul_overflow(sizes[i] - 1, strides[i], &step);
    overflow |= __builtin_add_overflow(last, step, &last);
  }
  overflow |= __builtin_add_overflow(last, 1, &last);
  check(!overflow, "Storage size calculation overflowed with sizes=", shape_text(sizes), " and strides=",
        shape_text(strides));
  return last;
}

PyObject* tensor_from_storage(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&] {
    check_type(count == 5, "_tensor_from_storage() takes 5 positional arguments but ", count, " were given");
    const Ref<Storage>& storage = unwrap_storage(args[0]);
    const DType dtype = unwrap_dtype(args[1]);
    const int64_t offset = unwrap_int(args[2]), size = item_size(dtype);
    Geometry geometry{dims_argument("size", args[3]), dims_argument("stride", args[4]), offset};
    const IntList sizes = geometry.sizes, strides = geometry.strides;
    check(sizes.size() == strides.size(), "mismatch in length of strides and shape");
    check_sizes(sizes);
    for (int64_t stride : strides)
      check(stride >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ",
            shape_text(strides));
    check(offset >= 0, "Tensor: invalid storage offset ", offset);
    const int64_t needed = reach(sizes, strides, offset);
    check(needed <= int64_t(storage->bytes()) / size, "setStorage: sizes ", shape_text(sizes), ", strides ",
          shape_text(strides), ", storage offset ", offset, ", and itemsize ", size, " requiring a storage size of ",
          needed * size, " are out of bounds for storage of size ", storage->bytes());
    return wrap(Tensor::over(storage, dtype, std::move(geometry)));
  });
}

}  // namespace

bool is_storage(PyObject* o) { return PyObject_TypeCheck(o, storage_type); }

const Ref<Storage>& unwrap_storage(PyObject* o) {
  check_type(is_storage(o), "expected torch.UntypedStorage, not ", type_name(o));
  return fields(o)->storage;
}

PyObject* wrap_storage(const Ref<Storage>& storage) {
  if (storage->python) return Py_NewRef(static_cast<PyObject*>(storage->python));
  return make_storage(storage_type, storage);
}

void add_storage(PyObject* module) {
  static PyMethodDef methods[] = {
      {"nbytes", storage_nbytes, METH_NOARGS, "The number of bytes."},
      {"size", storage_nbytes, METH_NOARGS, "The number of bytes."},
      {"element_size", storage_element_size, METH_NOARGS, "One: elements are bytes."},
      {"data_ptr", storage_data_ptr, METH_NOARGS, "The address of the first byte."},
      {"resize_", storage_resize, METH_O, "Changes the number of bytes, keeping those in common."},
      {"resizable", storage_resizable, METH_NOARGS, "Whether resize_ is possible."},
      {"clone", storage_clone, METH_NOARGS, "A copy."},
      {"tolist", storage_tolist, METH_NOARGS, "The bytes as a list of ints."},
      {"copy_", method(storage_copy), METH_FASTCALL | METH_KEYWORDS, "Copies another storage's bytes."},
      {"fill_", storage_fill, METH_O, "Sets all bytes to a value."},
      {"cpu", storage_cpu, METH_NOARGS, "The storage itself if it is in CPU memory."},
      {"is_shared", storage_is_shared, METH_NOARGS, "Whether the memory is shared between processes."},
      {nullptr, nullptr, 0, nullptr}};
  static PyGetSetDef properties[] = {{"device", storage_device, nullptr, "where the bytes are", nullptr},
                                     {"_cdata", storage_cdata, nullptr, nullptr, nullptr},
                                     {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                                     {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMemberDef members[] = {
      {"__dictoffset__", T_PYSSIZET, offsetof(PyStorage, dict), READONLY, nullptr},
      {"__weaklistoffset__", T_PYSSIZET, offsetof(PyStorage, weakrefs), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_new, slot(storage_new)},
                         {Py_tp_doc, const_cast<char*>("UntypedStorage(size_or_bytes=0): the bytes behind tensors; several tensors may be views of one.")}, {Py_tp_dealloc, slot(storage_dealloc)},
                         {Py_tp_traverse, slot(storage_traverse)},
                         {Py_tp_clear, slot(storage_clear)},
                         {Py_sq_length, slot(storage_length)},
                         {Py_sq_item, slot(storage_item)},
                         {Py_mp_length, slot(storage_length)},
                         {Py_mp_subscript, slot(storage_subscript)},
                         {Py_mp_ass_subscript, slot(storage_assign)},
                         {Py_bf_getbuffer, slot(storage_getbuffer)},
                         {Py_tp_methods, methods},
                         {Py_tp_getset, properties},
                         {Py_tp_members, members},
                         {0, nullptr}};
  PyType_Spec spec = {"torch.storage.UntypedStorage", sizeof(PyStorage), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  storage_type = add_type(module, spec);
  static PyMethodDef functions[] = {
      {"_storage_from_bytes", storage_from_bytes, METH_O, nullptr},
      {"_tensor_from_storage", method(tensor_from_storage), METH_FASTCALL, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  add_functions(module, functions);
}

}  // namespace tabula::py
