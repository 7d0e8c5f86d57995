// torch.Generator.
#include <memory>

#include "core/generator.h"

#include "bindings/helpers.h"

namespace tabula::py {
namespace {

struct PyGenerator {
  PyObject_HEAD
  std::shared_ptr<Generator> generator;
  PyObject* weakrefs;
};

PyTypeObject* generator_type;

Generator& generator_of(PyObject* o) { return *reinterpret_cast<PyGenerator*>(o)->generator; }

PyObject* make_generator(PyTypeObject* type, std::shared_ptr<Generator> generator) {
  PyObject* self = checked(type->tp_alloc(type, 0)).release();
  new (&reinterpret_cast<PyGenerator*>(self)->generator) std::shared_ptr<Generator>(std::move(generator));
  return self;
}

PyObject* generator_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&] {
    static constexpr const char* names[] = {"device"};
    PyObject* argument;
    bind_arguments({"Generator", names, 1, 0}, args, kwargs, &argument);
    const Device device = device_argument("Generator", argument).value_or(Device{});
    check(device.kind != DeviceKind::CUDA, "Cannot get CUDA generator without a CUDA back end");
    if (!device.is_cpu()) {
      std::string kind = device_kind_name(device.kind);
      for (char& c : kind) c = char(std::toupper(c));
      fail(ErrorKind::Runtime, kind, " device type not an accelerator.");
    }
    return make_generator(type, std::make_shared<Generator>(Device{}));
  });
}

void generator_dealloc(PyObject* self) {
  if (reinterpret_cast<PyGenerator*>(self)->weakrefs) PyObject_ClearWeakRefs(self);
  std::destroy_at(&reinterpret_cast<PyGenerator*>(self)->generator);
  free_object(self);
}

// Both signed and unsigned 64-bit seeds are taken.
uint64_t seed_argument(PyObject* o) {
  if (!PyLong_Check(o) && (PyFloat_Check(o) || !PyIndex_Check(o)))
    fail(ErrorKind::Runtime, "manual_seed expected a long, but got ", type_name(o));
  PyRef integer = checked(PyNumber_Index(o));
  int overflow;
  const long long value = PyLong_AsLongLongAndOverflow(integer.get(), &overflow);
  if (!overflow) {
    if (value == -1 && PyErr_Occurred()) throw PythonError{};
    return uint64_t(value);
  }
  if (overflow > 0) {
    const unsigned long long large = PyLong_AsUnsignedLongLong(integer.get());
    if (!PyErr_Occurred()) return large;
    PyErr_Clear();
  }
  fail(ErrorKind::Value, "Overflow when unpacking long long");
}

PyObject* generator_manual_seed(PyObject* self, PyObject* seed) {
  return guarded([&] {
    const uint64_t value = seed_argument(seed);
    const Generator::Drawing alone(generator_of(self));
    generator_of(self).manual_seed(value);
    return Py_NewRef(self);
  });
}

PyObject* generator_seed(PyObject* self, PyObject*) {
  return guarded([&] {
    const Generator::Drawing alone(generator_of(self));
    return PyLong_FromUnsignedLongLong(generator_of(self).seed());
  });
}

PyObject* generator_initial_seed(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLongLong(generator_of(self).initial_seed());
}

PyObject* generator_get_state(PyObject* self, PyObject*) {
  return guarded([&] {
    Tensor state = Tensor::empty({{Generator::kStateBytes}}, DType::UInt8);
    const Generator::Drawing alone(generator_of(self));
    generator_of(self).get_state(state.data_as<uint8_t>());
    return wrap(std::move(state));
  });
}

void set_state(PyObject* self, PyObject* state) {
  check_type(is_tensor(state), "expected a torch.ByteTensor, but got ", type_name(state));
  const Tensor& t = unwrap(state);
  const bool fits = t.dtype() == DType::UInt8 && t.device().is_cpu() && t.is_contiguous();
  check_type(fits, "RNG state must be a torch.ByteTensor");
  const Generator::Drawing alone(generator_of(self));
  generator_of(self).set_state(t.data_as<uint8_t>(), t.numel());
}

PyObject* generator_set_state(PyObject* self, PyObject* state) {
  return guarded([&] {
    set_state(self, state);
    return Py_NewRef(self);
  });
}

PyObject* generator_clone_state(PyObject* self, PyObject*) {
  return guarded([&] {
    auto copy = std::make_shared<Generator>(generator_of(self).device());
    const Generator::Drawing alone(generator_of(self));
    copy->copy_state(generator_of(self));
    return make_generator(generator_type, std::move(copy));
  });
}

PyObject* generator_offset(PyObject*, PyObject*) {
  PyErr_SetString(PyExc_RuntimeError, "CPU Generator does not use offset");
  return nullptr;
}

PyObject* generator_graphsafe_get(PyObject*, PyObject*) {
  PyErr_SetString(PyExc_NotImplementedError, "graphsafe_get_state is not supported in this Generator");
  return nullptr;
}
PyObject* generator_graphsafe_set(PyObject*, PyObject*) {
  PyErr_SetString(PyExc_NotImplementedError, "graphsafe_set_state is not supported in this Generator");
  return nullptr;
}

PyObject* generator_reduce(PyObject* self, PyObject*) {
  return guarded([&] {
    PyRef state = checked(generator_get_state(self, nullptr)), device = checked(wrap(generator_of(self).device()));
    return Py_BuildValue("(O(O)(KOO))", Py_TYPE(self), device.get(),
                         static_cast<unsigned long long>(generator_of(self).initial_seed()), Py_None, state.get());
  });
}

PyObject* generator_setstate(PyObject* self, PyObject* saved) {
  return guarded([&] {
    check_type(PyTuple_Check(saved) && PyTuple_GET_SIZE(saved) == 3, "Generator state must be a tuple of three items");
    const uint64_t seed = seed_argument(PyTuple_GET_ITEM(saved, 0));
    generator_of(self).manual_seed(seed);
    set_state(self, PyTuple_GET_ITEM(saved, 2));
    return Py_NewRef(Py_None);
  });
}

PyObject* generator_device(PyObject* self, void*) { return wrap(generator_of(self).device()); }
PyObject* generator_cdata(PyObject* self, void*) { return PyLong_FromVoidPtr(&generator_of(self)); }

}  // namespace

bool is_generator(PyObject* o) { return PyObject_TypeCheck(o, generator_type); }
Generator* unwrap_generator(PyObject* o) {
  check_type(is_generator(o), "expected torch.Generator, not ", type_name(o));
  return &generator_of(o);
}

void add_generator(PyObject* module) {
  static PyMethodDef methods[] = {
      {"manual_seed", generator_manual_seed, METH_O, "Starts the stream of this seed; returns the generator."},
      {"seed", generator_seed, METH_NOARGS, "Takes a seed from the operating system and returns it."},
      {"initial_seed", generator_initial_seed, METH_NOARGS, "The seed that the stream started from."},
      {"get_state", generator_get_state, METH_NOARGS, "The state as a tensor of bytes."},
      {"set_state", generator_set_state, METH_O, "Continues from a state that get_state returned."},
      {"clone_state", generator_clone_state, METH_NOARGS, "A new generator in the same state."},
      {"get_offset", generator_offset, METH_NOARGS, nullptr},
      {"set_offset", generator_offset, METH_O, nullptr},
      {"graphsafe_get_state", generator_graphsafe_get, METH_NOARGS, nullptr},
      {"graphsafe_set_state", generator_graphsafe_set, METH_O, nullptr},
      {"__reduce__", generator_reduce, METH_NOARGS, nullptr},
      {"__setstate__", generator_setstate, METH_O, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  static PyGetSetDef properties[] = {{"device", generator_device, nullptr, "the device it draws for", nullptr},
                                     {"_cdata", generator_cdata, nullptr, nullptr, nullptr},
                                     {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMemberDef members[] = {
      {"__weaklistoffset__", T_PYSSIZET, offsetof(PyGenerator, weakrefs), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_new, slot(generator_new)}, {Py_tp_doc, const_cast<char*>("Generator(device='cpu'): a stream of random numbers of its own (Mersenne Twister, Matsumoto and Nishimura, 1998).\n\n"
                         ">>> torch.Generator().manual_seed(5).initial_seed()\n5")}, {Py_tp_dealloc, slot(generator_dealloc)},
                         {Py_tp_methods, methods},         {Py_tp_getset, properties},
                         {Py_tp_members, members},         {0, nullptr}};
  PyType_Spec spec = {"torch._C.Generator", sizeof(PyGenerator), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  generator_type = add_type(module, spec);
  // the default generator lives as long as the process: nothing to delete
  std::shared_ptr<Generator> standard(&default_generator(), [](Generator*) {});
  PyRef object = checked(make_generator(generator_type, std::move(standard)));
  add_object(module, "default_generator", object.get());
}

}  // namespace tabula::py
