// torch.tensor, as_tensor, asarray, from_numpy, frombuffer and scalar_tensor.
#include "bindings/interop.h"

#include "autograd/node.h"
#include "bindings/device.h"
#include "bindings/helpers.h"
#include "bindings/storage.h"
#include "bindings/torch_function.h"
#include "core/state.h"
#include "ops/copy.h"
#include "ops/scalar_range.h"

namespace tabula::py {

Tensor moved(const Tensor& t, DType dtype, Device device) {
  if (t.device().kind == device.kind) {
    if (t.dtype() == dtype) return t;
    if (t.impl()->special & kParts) return to_dtype(detach(t), dtype);
    return t.is_meta() ? Tensor::empty_like(t, dtype) : cast_raw(t, dtype);
  }
  if (device.is_meta())
    return Tensor::empty_strided(t.sizes(), dense_strides_like(t.sizes(), t.strides()), dtype, device);
  check_device_available(device);
  fail(ErrorKind::NotImplemented, "Cannot copy out of meta tensor; no data!");
}

Tensor tensor_from_data(PyObject* data, std::optional<DType> dtype, Device device, bool copy) {
  if (!device.is_cpu()) check_device_available(device);
  Tensor source;
  const bool plain =
      PyList_CheckExact(data) || PyFloat_CheckExact(data) || PyLong_CheckExact(data) || PyTuple_CheckExact(data);
  if (!plain) {
    if (is_tensor(data))
      source = unwrap(data);
    else if (is_numpy_array(data))
      source = tensor_from_numpy(data, !copy);
    else if (!is_numpy_scalar(data) && is_dlpack(data))
      source = tensor_from_dlpack_object(data);
  }
  if (!source.defined()) {
    Tensor t = tensor_from_sequence(data, dtype);
    return device.is_cpu() ? t : moved(t, t.dtype(), device);
  }
  if (copy && (source.is_conj() || source.is_neg())) source = resolved_copy(source);
  Tensor result = moved(source, dtype.value_or(source.dtype()), device);
  if (!copy || !result.is(source)) return result;
  if (source.impl()->special & kParts) return clone(detach(source));
  return source.is_meta() ? Tensor::empty_like(source, source.dtype()) : clone_raw(source);
}

namespace {

void require_grad(const Tensor& t) {
  check(is_differentiable(t.dtype()), "Only Tensors of floating point and complex dtype can require gradients");
  autograd::set_requires_grad(t, true);
}

void refuse_pinning(const char* function, PyObject* flag) {
  check(!flag_argument(function, "pin_memory", flag, false),
        "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on this "
        "system.");
}

// Tensor.to(dtype=, device=, copy=), which autograd records.
PyRef converted(PyObject* tensor, DType dtype, Device device, bool copy) {
  PyRef to = checked(PyObject_GetAttrString(tensor, "to")), none = checked(PyTuple_New(0));
  PyRef dtype_object = checked(wrap(dtype)), device_object = checked(wrap(device));
  PyRef keywords = checked(Py_BuildValue("{sOsOsO}", "dtype", dtype_object.get(), "device", device_object.get(), "copy",
                                         copy ? Py_True : Py_False));
  return checked(PyObject_Call(to.get(), none.get(), keywords.get()));
}

bool on_device(const Tensor& t, std::optional<Device> device) { return !device || t.device().kind == device->kind; }

// A chosen default device counts as an argument.
std::optional<Device> device_or_default(std::optional<Device> device) {
  if (!device && current_default_device.chosen) return current_default_device.device;
  return device;
}

PyObject* tensor(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    PyObject* answer;
    if (torch_function_modes && mode_answers("tensor", {nullptr, args, count, kwnames}, &answer)) [[unlikely]]
      return answer;
    PyObject* data;
    std::optional<DType> dtype;
    std::optional<Device> device;
    bool requires_grad = false;
    if (count == 1 && !kwnames) {
      data = args[0];
    } else {
      static constexpr const char* names[] = {"data", "dtype", "device", "requires_grad", "pin_memory"};
      PyObject* bound[5];
      bind_arguments({"tensor", names, 1, 1}, args, count, kwnames, bound);
      data = bound[0];
      dtype = dtype_argument("tensor", bound[1]);
      device = device_argument("tensor", bound[2]);
      requires_grad = flag_argument("tensor", "requires_grad", bound[3], false);
      refuse_pinning("tensor", bound[4]);
    }
    if (is_tensor(data)) {
      warn_user(
          "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
          "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).");
      if (!device && !current_default_device.chosen) device = unwrap(data).device();
    }
    Tensor t = tensor_from_data(data, dtype, device.value_or(default_device()), true);
    if (thread_state.interpreters & kDispatchMode) t = lift_fresh(t);
    if (requires_grad) require_grad(t);
    return wrap(std::move(t));
  });
}

PyObject* as_tensor(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    PyObject* answer;
    if (torch_function_modes && mode_answers("as_tensor", {nullptr, args, count, kwnames}, &answer)) [[unlikely]]
      return answer;
    static constexpr const char* names[] = {"data", "dtype", "device"};
    PyObject* bound[3];
    bind_arguments({"as_tensor", names, 3, 1}, args, count, kwnames, bound);
    const std::optional<DType> dtype = dtype_argument("as_tensor", bound[1]);
    const std::optional<Device> device = device_or_default(device_argument("as_tensor", bound[2]));
    if (!is_tensor(bound[0])) return wrap(tensor_from_data(bound[0], dtype, device.value_or(Device{}), false));
    const Tensor& t = unwrap(bound[0]);
    if ((!dtype || *dtype == t.dtype()) && on_device(t, device)) return Py_NewRef(bound[0]);
    return converted(bound[0], dtype.value_or(t.dtype()), device.value_or(t.device()), false).release();
  });
}

// What asarray can take without copying; undefined for sequences and numbers.
Tensor aliased(PyObject* data, std::optional<DType> dtype, std::optional<bool> copy) {
  if (is_numpy_array(data)) return tensor_from_numpy(data, copy != true);
  if (is_numpy_scalar(data)) {
    check(copy != false, "can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray. ");
    return {};
  }
  if (is_dlpack(data)) return tensor_from_dlpack_object(data);
  if (is_storage(data) && !unwrap_storage(data)->bytes()) return Tensor::empty({{0}}, dtype.value_or(default_dtype));
  if (PyObject_CheckBuffer(data)) return tensor_from_buffer(data, dtype.value_or(default_dtype), -1, 0);
  return {};
}

PyObject* asarray(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    PyObject* answer;
    if (torch_function_modes && mode_answers("asarray", {nullptr, args, count, kwnames}, &answer)) [[unlikely]]
      return answer;
    static constexpr const char* names[] = {"obj", "dtype", "device", "copy", "requires_grad"};
    PyObject* bound[5];
    bind_arguments({"asarray", names, 1, 1}, args, count, kwnames, bound);
    const std::optional<DType> dtype = dtype_argument("asarray", bound[1]);
    const std::optional<Device> device = device_or_default(device_argument("asarray", bound[2]));
    std::optional<bool> copy, requires_grad;
    if (bound[3] && bound[3] != Py_None) copy = flag_argument("asarray", "copy", bound[3], false);
    if (bound[4] && bound[4] != Py_None) requires_grad = flag_argument("asarray", "requires_grad", bound[4], false);

    PyRef result;
    if (is_tensor(bound[0])) {
      result = PyRef::borrow(bound[0]);
    } else {
      Tensor t = aliased(bound[0], dtype, copy);
      if (t.defined()) result = checked(wrap(std::move(t)));
    }
    if (!result) {
      check_value(copy != false, "can't alias arbitrary sequence into a tensor.");
      result = checked(wrap(tensor_from_data(bound[0], dtype, device.value_or(Device{}), true)));
    } else {
      const Tensor& t = unwrap(result.get());
      const bool other_dtype = dtype && *dtype != t.dtype(), other_device = !on_device(t, device);
      if (copy == false) {
        check_value(!other_device, "can't alias tensor from device '", t.device().str(), "' to '",
                    device.value_or(Device{}).str(), "'.");
        check_value(!other_dtype, "can't alias tensor with dtype '", dtype_title(t.dtype()), "' into dtype '",
                    dtype_title(dtype.value_or(t.dtype())), "'.");
      }
      if (copy == true || other_dtype || other_device)
        result = converted(result.get(), dtype.value_or(t.dtype()), device.value_or(t.device()), copy == true);
    }
    const Tensor& t = unwrap(result.get());
    if (t.needs_grad()) {
      if (!requires_grad) {
        if (static bool warned = false; !std::exchange(warned, true))
          warn_user(
              "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass "
              "requires_grad=False explicitly to get the old behavior and silence this warning.");
      } else if (!*requires_grad) {
        return checked(PyObject_CallMethod(result.get(), "detach", nullptr)).release();
      }
    } else if (requires_grad == true) {
      require_grad(t);
    }
    return result.release();
  });
}

PyObject* from_numpy(PyObject*, PyObject* array) {
  return guarded([&] { return wrap(tensor_from_numpy(array, true)); });
}

PyObject* frombuffer(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    static constexpr const char* names[] = {"buffer", "dtype", "count", "offset", "requires_grad"};
    PyObject* bound[5];
    bind_arguments({"frombuffer", names, 1, 2}, args, count, kwnames, bound);
    const std::optional<DType> dtype = dtype_argument("frombuffer", bound[1]);
    if (!dtype) fail_argument("frombuffer", "dtype", "torch.dtype", bound[1]);
    const int64_t items = bound[2] ? unwrap_int(bound[2]) : -1, offset = bound[3] ? unwrap_int(bound[3]) : 0;
    Tensor t = tensor_from_buffer(bound[0], *dtype, items, offset);
    if (flag_argument("frombuffer", "requires_grad", bound[4], false)) require_grad(t);
    return wrap(std::move(t));
  });
}

PyObject* scalar_tensor(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&] {
    PyObject* answer;
    if (torch_function_modes && mode_answers("scalar_tensor", {nullptr, args, count, kwnames}, &answer)) [[unlikely]]
      return answer;
    static constexpr const char* names[] = {"s", "dtype", "layout", "device", "pin_memory", "requires_grad"};
    PyObject* bound[6];
    bind_arguments({"scalar_tensor", names, 1, 1}, args, count, kwnames, bound);
    PyObject* s = bound[0];
    check_type(is_number(s) || (is_tensor(s) && unwrap(s).dim() == 0),
               "scalar_tensor(): argument 's' (position 1) must be Number, not ", type_name(s));
    const DType dtype = dtype_argument("scalar_tensor", bound[1]).value_or(default_dtype);
    check(!bound[2] || bound[2] == Py_None || unwrap_layout(bound[2]) == Layout::Strided,
          "scalar_tensor() makes strided tensors only");
    const Device device = device_argument("scalar_tensor", bound[3]).value_or(default_device());
    check_device_available(device);
    refuse_pinning("scalar_tensor", bound[4]);
    const Scalar value = unwrap_scalar(s);
    check_fill(value, dtype);
    Tensor t = Tensor::empty({}, dtype, device);
    if (device.is_cpu()) store_scalar(t.data(), dtype, value);
    if (flag_argument("scalar_tensor", "requires_grad", bound[5], false)) require_grad(t);
    return wrap(std::move(t));
  });
}

}  // namespace

void add_interop(PyObject* module) {
  static PyMethodDef functions[] = {
      {"tensor", method(tensor), METH_FASTCALL | METH_KEYWORDS,
       "tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor\n\n"
       "A new tensor with a copy of the numbers in data: a number, nested sequences, an array or a tensor."},
      {"as_tensor", method(as_tensor), METH_FASTCALL | METH_KEYWORDS,
       "as_tensor(data, dtype=None, device=None) -> Tensor\n\n"
       "The data as a tensor, sharing memory with arrays and tensors where dtype and device allow."},
      {"asarray", method(asarray), METH_FASTCALL | METH_KEYWORDS,
       "asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None) -> Tensor\n\n"
       "Like as_tensor, and takes buffers and DLPack capsules; copy=True always copies, copy=False never."},
      {"from_numpy", from_numpy, METH_O, "from_numpy(ndarray) -> Tensor\n\nA tensor that shares the array's memory."},
      {"frombuffer", method(frombuffer), METH_FASTCALL | METH_KEYWORDS,
       "frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor\n\n"
       "A one-dimensional tensor that shares the memory of an object with a buffer."},
      {"scalar_tensor", method(scalar_tensor), METH_FASTCALL | METH_KEYWORDS,
       "scalar_tensor(s, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False) -> Tensor\n\n"
       "A tensor without dimensions that holds the number s."},
      {nullptr, nullptr, 0, nullptr}};
  add_functions(module, functions);
  add_dlpack(module);
}

}  // namespace tabula::py
