// torch.device, and the stack of default devices.
#include "bindings/device.h"

#include <charconv>
#include <vector>

#include "bindings/helpers.h"
#include "ops/factory.h"

namespace tabula::py {

thread_local constinit DefaultDevice current_default_device;

namespace {

struct PyDevice {
  PyObject_HEAD
  Device device;
};

PyTypeObject* device_type;
// Most device objects that a program sees are one of these.
PyObject *cpu_object, *meta_object;

Device device_of(PyObject* o) { return reinterpret_cast<PyDevice*>(o)->device; }

PyObject* make_device(PyTypeObject* type, Device device) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self) reinterpret_cast<PyDevice*>(self)->device = device;
  return self;
}

DeviceKind parse_kind(std::string_view name) {
  for (int i = 0; i < int(DeviceKind::Count); i++)
    if (name == device_kind_name(DeviceKind(i))) return DeviceKind(i);
  fail(ErrorKind::Runtime,
       "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, "
       "mps, meta, hpu, mtia, privateuseone device type at start of device string: ",
       name);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// KIND or KIND:INDEX, the index without leading zeros.
Device parse_device(std::string_view text) {
  check(!text.empty(), "Device string must not be empty");
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  bool valid = !name.empty();
  for (char c : name) valid &= is_letter(c) || is_digit(c);
  if (colon == std::string_view::npos) {
    check(valid, "Invalid device string: '", text, "'");
    return {parse_kind(name), -1};
  }
  const std::string_view digits = text.substr(colon + 1);
  valid &= !digits.empty() && (digits.size() == 1 || digits[0] != '0');
  for (char c : digits) valid &= is_digit(c);
  check(valid, "Invalid device string: '", text, "'");
  const DeviceKind kind = parse_kind(name);
  int index;
  const bool parsed = std::from_chars(digits.data(), digits.data() + digits.size(), index).ec == std::errc();
  check(parsed, "Could not parse device index '", digits, "' in device string '", text, "'");
  return {kind, int8_t(index)};
}

// A bare index means the machine's accelerator.
Device accelerator(int64_t index) {
  check(index >= 0, "Device index must not be negative");
  fail(ErrorKind::Runtime, "Cannot access accelerator device when none is available.");
}

std::string_view text_of(PyObject* o) {
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(o, &size);
  if (!text) throw PythonError{};
  return {text, size_t(size)};
}

bool is_index(PyObject* o) { return PyLong_Check(o) && !PyBool_Check(o); }

[[noreturn]] void fail_construction(PyObject* args, PyObject* kwargs) {
  std::string got;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++)
    got += concat(i ? ", " : "", type_name(PyTuple_GET_ITEM(args, i)));
  PyObject *name, *value;
  Py_ssize_t at = 0;
  while (kwargs && PyDict_Next(kwargs, &at, &name, &value))
    got += concat(got.empty() ? "" : ", ", text_of(name), "=", type_name(value));
  // PyTorch explains itself further where one overload takes as many arguments
  const std::string reason =
      PyTuple_GET_SIZE(args) == 1 && !kwargs
          ? concat("      didn't match because some of the arguments have invalid types: (!", got, "!)\n")
          : "";
  fail(ErrorKind::Type, "device() received an invalid combination of arguments - got (", got,
       "), but expected one of:\n * (torch.device device)\n", reason, " * (str type, int index = -1)\n");
}

PyObject* device_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* names[] = {"type", "index", "device"};
    PyObject* bound[3] = {};
    const Py_ssize_t count = PyTuple_GET_SIZE(args);
    bool fits = count <= 2;
    for (Py_ssize_t i = 0; fits && i < count; i++) bound[i] = PyTuple_GET_ITEM(args, i);
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (fits && kwargs && PyDict_Next(kwargs, &at, &name, &value)) {
      fits = false;
      for (int i = 0; i < 3; i++) {
        if (bound[i] || PyUnicode_CompareWithASCIIString(name, names[i]) != 0) continue;
        bound[i] = value;
        fits = true;
      }
    }
    PyObject* what = bound[2] ? bound[2] : bound[0];
    if (fits && bound[1] && bound[1] != Py_None && what && PyUnicode_Check(what) && !is_index(bound[1]))
      fail(ErrorKind::Type, "device(): argument 'index' (position 2) must be int, not ", type_name(bound[1]));
    fits = fits && what && !(bound[2] && (bound[0] || bound[1])) && (count > 0 || bound[2] || PyUnicode_Check(what)) &&
           (is_device(what) || PyUnicode_Check(what) || is_index(what)) &&
           (!bound[1] || bound[1] == Py_None || (is_index(bound[1]) && PyUnicode_Check(what)));
    if (!fits) fail_construction(args, kwargs);
    Device device = unwrap_device(what);
    if (bound[1] && bound[1] != Py_None) {
      check(device.index < 0, "type (string) must not include an index because index was passed explicitly: ",
            text_of(what));
      const int64_t index = unwrap_int(bound[1]);
      check(index >= 0, "Device index must not be negative");
      device.index = int8_t(index);
    }
    return make_device(type, device);
  });
}

PyObject* device_repr(PyObject* self) {
  const Device d = device_of(self);
  const char* kind = device_kind_name(d.kind);
  return d.index < 0 ? PyUnicode_FromFormat("device(type='%s')", kind)
                     : PyUnicode_FromFormat("device(type='%s', index=%d)", kind, int(d.index));
}

PyObject* device_str(PyObject* self) {
  return guarded([&] { return wrap_string(device_of(self).str()); });
}

Py_hash_t device_hash(PyObject* self) {
  const Device d = device_of(self);
  return Py_hash_t(d.kind) << 16 | uint8_t(d.index);
}

PyObject* device_compare(PyObject* a, PyObject* b, int op) {
  if (!is_device(a) || !is_device(b)) Py_RETURN_NOTIMPLEMENTED;
  if (op != Py_EQ && op != Py_NE) {
    PyErr_SetString(PyExc_TypeError, "comparison not implemented");
    return nullptr;
  }
  return PyBool_FromLong((device_of(a) == device_of(b)) == (op == Py_EQ));
}

PyObject* device_kind(PyObject* self, void*) { return PyUnicode_FromString(device_kind_name(device_of(self).kind)); }
PyObject* device_index(PyObject* self, void*) {
  const int index = device_of(self).index;
  if (index < 0) Py_RETURN_NONE;
  return PyLong_FromLong(index);
}

PyObject* device_reduce(PyObject* self, PyObject*) {
  const Device d = device_of(self);
  const char* kind = device_kind_name(d.kind);
  return d.index < 0 ? Py_BuildValue("(O(s))", Py_TYPE(self), kind)
                     : Py_BuildValue("(O(si))", Py_TYPE(self), kind, int(d.index));
}

// What `with torch.device(...)` will restore, innermost last.
thread_local std::vector<DefaultDevice> outer_defaults;

PyObject* device_enter(PyObject* self, PyObject*) {
  return guarded([&] {
    outer_defaults.push_back(current_default_device);
    current_default_device = {device_of(self), true};
    return Py_NewRef(self);
  });
}

PyObject* device_exit(PyObject*, PyObject*) {
  if (!outer_defaults.empty()) {
    current_default_device = outer_defaults.back();
    outer_defaults.pop_back();
  }
  Py_RETURN_NONE;
}

PyObject* get_default_device(PyObject*, PyObject*) { return wrap(default_device()); }

PyObject* set_default_device(PyObject*, PyObject* device) {
  return guarded([&] {
    if (device == Py_None)
      current_default_device = {};
    else
      current_default_device = {unwrap_device(device), true};
    return Py_NewRef(Py_None);
  });
}

}  // namespace

void check_device_available(Device device) {
  if (device.is_cpu() || device.is_meta()) return;
  if (device.kind == DeviceKind::CUDA) fail(ErrorKind::Assertion, "Torch not compiled with CUDA enabled");
  fail(ErrorKind::NotImplemented, "Could not run 'aten::empty.memory_format' with arguments from the '",
       device_kind_name(device.kind), "' backend: this build has no such backend.");
}

bool is_device(PyObject* o) { return Py_TYPE(o) == device_type; }

Device unwrap_device(PyObject* o) {
  if (is_device(o)) return device_of(o);
  if (PyUnicode_Check(o)) return parse_device(text_of(o));
  if (is_index(o)) return accelerator(unwrap_int(o));
  fail(ErrorKind::Type, "argument 'device' must be torch.device, not ", type_name(o));
}

PyObject* wrap(Device d) {
  if (d == Device{}) return Py_NewRef(cpu_object);
  if (d == Device{DeviceKind::Meta}) return Py_NewRef(meta_object);
  return make_device(device_type, d);
}

void add_device_type(PyObject* module) {
  static PyGetSetDef properties[] = {{"type", device_kind, nullptr, "the kind of device, such as 'cpu'", nullptr},
                                     {"index", device_index, nullptr, "which of that kind, or None", nullptr},
                                     {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMethodDef methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr},
                                  {"__enter__", device_enter, METH_NOARGS, nullptr},
                                  {"__exit__", device_exit, METH_VARARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_new, slot(device_new)},
                         {Py_tp_doc, const_cast<char*>("device(type, index=None): where the memory of a tensor is, such as torch.device('cpu') or torch.device('cuda', 0).\n\n"
                                    ">>> torch.device('cuda:1').index\n1")}, {Py_tp_dealloc, slot(free_object)},
                         {Py_tp_repr, slot(device_repr)},
                         {Py_tp_str, slot(device_str)},
                         {Py_tp_hash, slot(device_hash)},
                         {Py_tp_richcompare, slot(device_compare)},
                         {Py_tp_getset, properties},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec = {"torch.device", sizeof(PyDevice), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
  device_type = add_type(module, spec);
  cpu_object = checked(make_device(device_type, {})).release();
  meta_object = checked(make_device(device_type, {DeviceKind::Meta})).release();
  static PyMethodDef functions[] = {{"_get_default_device", get_default_device, METH_NOARGS, nullptr},
                                    {"_set_default_device", set_default_device, METH_O, nullptr},
                                    {nullptr, nullptr, 0, nullptr}};
  add_functions(module, functions);
  default_device_hook = default_device;
}

}  // namespace tabula::py
