// __torch_function__ for what Tensor has besides rows: its own methods, attributes and unary operators. Each is put
// behind a function that costs a plain tensor one comparison.
#include <array>
#include <cstring>

#include "bindings/helpers.h"
#include "bindings/tensor_type.h"
#include "bindings/torch_function.h"

namespace tabula::py {
namespace {

// Asks the overrides of Tensor.name; false: none applies. Throws what they raise.
bool overridden(const char* name, const Arguments& call, PyObject** result) {
  if (!torch_function_needed(call)) return false;
  PyRef callable = checked(PyObject_GetAttrString(as_object(tensor_type), name));
  return call_torch_function(callable.get(), call, result);
}

// The same for a slot or a method. True: `result` is set, or null with an error.
bool answered(const char* name, const Arguments& call, PyObject** result) {
  bool done = true;
  *result = guarded([&]() -> PyObject* {
    PyObject* given = nullptr;
    done = overridden(name, call, &given);
    return given;
  });
  return done;
}

// ---- attributes ----

// Getters and setters of Tensor, behind ones that look for overrides first; as the row's closure.
struct Attribute {
  PyGetSetDef plain;
};

PyRef accessor(const Attribute& attribute, const char* which) {
  PyRef descriptor = checked(PyObject_GetAttrString(as_object(tensor_type), attribute.plain.name));
  return checked(PyObject_GetAttrString(descriptor.get(), which));
}

PyObject* get_attribute(PyObject* self, void* closure) {
  const Attribute& attribute = *static_cast<const Attribute*>(closure);
  const Arguments call{self, nullptr, 0, nullptr};
  if (needs_look(self) && torch_function_needed(call)) [[unlikely]] {
    PyObject* result = nullptr;
    PyObject* status = guarded([&]() -> PyObject* {
      return call_torch_function(accessor(attribute, "__get__").get(), call, &result) ? result : Py_NotImplemented;
    });
    if (status != Py_NotImplemented || result) return status;
  }
  return attribute.plain.get(self, attribute.plain.closure);
}

int set_attribute(PyObject* self, PyObject* value, void* closure) {
  const Attribute& attribute = *static_cast<const Attribute*>(closure);
  if (value) {
    const Arguments call{self, &value, 1, nullptr};
    if ((needs_look(self) || needs_look(value)) && torch_function_needed(call)) [[unlikely]] {
      const int status = guarded([&]() -> int {
        PyObject* result;
        if (!call_torch_function(accessor(attribute, "__set__").get(), call, &result)) return 1;
        Py_DECREF(result);
        return 0;
      });
      if (status != 1) return status;
    }
  }
  return attribute.plain.set(self, value, attribute.plain.closure);
}

// The descriptors read this table, so the type need not be made anew.
void intercept_attributes(PyGetSetDef* table) {
  for (PyGetSetDef* row = table; row->name; row++) {
    if (!std::strcmp(row->name, "__dict__")) continue;  // no attribute of the tensor, and nobody's to answer
    row->closure = new Attribute{*row};  // for the life of the process, like the type
    row->get = get_attribute;
    if (row->set) row->set = set_attribute;
  }
}

// ---- methods ----

// The C functions know neither their name nor their row, so each row gets a function of its own.
constexpr size_t kMaxMethods = 112;
std::array<PyMethodDef, kMaxMethods> plain_methods;

template <size_t row>
PyObject* no_arguments(PyObject* self, PyObject* none) {
  PyObject* result;
  if (needs_look(self) && answered(plain_methods[row].ml_name, {self, nullptr, 0, nullptr}, &result)) return result;
  return plain_methods[row].ml_meth(self, none);
}

template <size_t row>
PyObject* one_argument(PyObject* self, PyObject* argument) {
  PyObject* result;
  if (needs_look(self) && answered(plain_methods[row].ml_name, {self, &argument, 1, nullptr}, &result)) return result;
  return plain_methods[row].ml_meth(self, argument);
}

template <size_t row>
PyObject* fast_arguments(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* kwnames) {
  PyObject* result;
  if (needs_look(self) && answered(plain_methods[row].ml_name, {self, args, n, kwnames}, &result)) return result;
  return reinterpret_cast<_PyCFunctionFastWithKeywords>(reinterpret_cast<void (*)()>(plain_methods[row].ml_meth))(self, args, n, kwnames);
}

template <size_t row>
PyObject* tuple_arguments(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* result;
  // overrides by keyword arguments alone are not looked for: none of these methods takes a tensor that way
  if (needs_look(self) && (!kwargs || PyDict_GET_SIZE(kwargs) == 0) &&
      answered(plain_methods[row].ml_name, {self, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args), nullptr}, &result))
    return result;
  return reinterpret_cast<PyCFunctionWithKeywords>(reinterpret_cast<void (*)()>(plain_methods[row].ml_meth))(self, args, kwargs);
}

template <size_t row>
void intercept_method(PyMethodDef* table) {
  PyMethodDef& m = table[row];
  // what handles overrides itself, or is about classes rather than values
  for (const char* name : {"backward", "as_subclass", "_make_subclass", "_make_wrapper_subclass", "new", "__torch_function__"})
    if (std::strcmp(m.ml_name, name) == 0) return;
  plain_methods[row] = m;
  switch (m.ml_flags) {
    case METH_NOARGS: m.ml_meth = no_arguments<row>; break;
    case METH_O: m.ml_meth = one_argument<row>; break;
    case METH_FASTCALL | METH_KEYWORDS: m.ml_meth = method(fast_arguments<row>); break;
    case METH_VARARGS | METH_KEYWORDS: m.ml_meth = method(tuple_arguments<row>); break;
    default: break;
  }
}

// The method descriptors read this table at every call, so the type need not be made anew.
void intercept_methods(PyMethodDef* table) {
  size_t count = 0;
  while (table[count].ml_name) count++;
  check(count <= kMaxMethods, "internal: Tensor has more methods than overrides can see");
  [&]<size_t... row>(std::index_sequence<row...>) {
    ((row < count ? intercept_method<row>(table) : void()), ...);
  }(std::make_index_sequence<kMaxMethods>());
}

// ---- operators ----

PyNumberMethods plain_number;
lenfunc plain_length;
getiterfunc plain_iter;

template <unaryfunc PyNumberMethods::*slot_of>
constexpr const char* kUnaryName = nullptr;
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_negative> = "neg";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_positive> = "positive";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_absolute> = "abs";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_invert> = "__invert__";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_int> = "__int__";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_float> = "__float__";
template <> constexpr const char* kUnaryName<&PyNumberMethods::nb_index> = "__index__";

template <unaryfunc PyNumberMethods::*slot_of>
PyObject* unary(PyObject* self) {
  PyObject* result;
  if (needs_look(self) && answered(kUnaryName<slot_of>, {self, nullptr, 0, nullptr}, &result)) return result;
  return (plain_number.*slot_of)(self);
}

int truth(PyObject* self) {
  PyObject* result;
  if (!needs_look(self) || !answered("__bool__", {self, nullptr, 0, nullptr}, &result)) return plain_number.nb_bool(self);
  if (!result) return -1;
  PyRef owned = PyRef::steal(result);
  return PyObject_IsTrue(result);
}

Py_ssize_t length(PyObject* self) {
  PyObject* result;
  if (!needs_look(self) || !answered("__len__", {self, nullptr, 0, nullptr}, &result)) return plain_length(self);
  if (!result) return -1;
  PyRef owned = PyRef::steal(result);
  return PyNumber_AsSsize_t(result, PyExc_OverflowError);
}

PyObject* iterate(PyObject* self) {
  PyObject* result;
  if (!needs_look(self) || unwrap(self).dim() == 0 || !answered("unbind", {self, nullptr, 0, nullptr}, &result)) return plain_iter(self);
  if (!result) return nullptr;
  PyRef owned = PyRef::steal(result);
  return PyObject_GetIter(result);
}

// Puts `function` into a slot of Tensor, and into the method that stands for it: subclasses take it from there.
template <class F>
F put(F& slot_of_tensor, F function, const char* dunder) {
  PyRef descriptor = checked(PyObject_GetAttrString(as_object(tensor_type), dunder));
  if (Py_TYPE(descriptor.get()) == &PyWrapperDescr_Type)
    reinterpret_cast<PyWrapperDescrObject*>(descriptor.get())->d_wrapped = slot(function);
  return std::exchange(slot_of_tensor, function);
}

}  // namespace

void intercept_tensor_methods() {
  intercept_attributes(tensor_getset());
  intercept_methods(tensor_methods());
  PyNumberMethods& number = *tensor_type->tp_as_number;
  plain_number = number;
  put(number.nb_negative, unary<&PyNumberMethods::nb_negative>, "__neg__");
  put(number.nb_positive, unary<&PyNumberMethods::nb_positive>, "__pos__");
  put(number.nb_absolute, unary<&PyNumberMethods::nb_absolute>, "__abs__");
  put(number.nb_invert, unary<&PyNumberMethods::nb_invert>, "__invert__");
  put(number.nb_int, unary<&PyNumberMethods::nb_int>, "__int__");
  put(number.nb_float, unary<&PyNumberMethods::nb_float>, "__float__");
  put(number.nb_index, unary<&PyNumberMethods::nb_index>, "__index__");
  put(number.nb_bool, truth, "__bool__");
  plain_length = put(tensor_type->tp_as_mapping->mp_length, length, "__len__");
  plain_iter = put(tensor_type->tp_iter, iterate, "__iter__");
}

}  // namespace tabula::py
