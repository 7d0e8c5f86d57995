// What torch.utils.nan_guard switches, and how it is told of numbers that are not finite.
#include "bindings/number_watch.h"

#include "bindings/autograd.h"
#include "bindings/source_place.h"
#include "core/source_place.h"
#include "core/state.h"
#include "ops/number_watch.h"

namespace tabula::py {
namespace {

using autograd::GradientFinding;

thread_local PyObject* handler = nullptr;  // owned; with kWatching

// Of what vmap's functions see, the batch behind it: that has numbers to look at.
PyRef wrap_all(TensorList list) {
  PyRef result = checked(PyTuple_New(Py_ssize_t(list.size())));
  for (size_t i = 0; i < list.size(); i++) {
    PyObject* one = list[i].defined() ? wrap(autograd::recorded(list[i])) : Py_NewRef(Py_None);
    PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), checked(one).release());
  }
  return result;
}

void report(PyObject* kind_and_more) {
  PyRef args = checked(kind_and_more), keep = PyRef::borrow(handler);
  checked(PyObject_CallObject(keep.get(), args.get()));
}

// handler("result", operation, the composite around it or "", place, ((name, value), ...), results, before, index of
// the target or -1)
void report_result(const Call& call, uint8_t before) {
  if (!handler) return;
  const Schema& schema = call.op.schema;
  const size_t count = schema.params.size();
  PyRef named = checked(PyTuple_New(Py_ssize_t(count)));
  for (size_t i = 0; i < count; i++) {
    const Value& v = call.args[i];
    PyRef value = v.tag() == Value::Tag::TensorList ? wrap_all(v.tensors())
                  : v.tag() == Value::Tag::Tensor   ? checked(wrap(autograd::recorded(v.tensor())))
                  : v.tag() == Value::Tag::Scalar   ? checked(wrap(v.scalar()))
                                                    : PyRef::borrow(Py_None);
    PyRef name = checked(wrap_string(schema.params[i].name));
    PyTuple_SET_ITEM(named.get(), Py_ssize_t(i), checked(PyTuple_Pack(2, name.get(), value.get())).release());
  }
  const int target = call.form == Form::InPlace ? std::max(int(schema.mutated), 0) : -1;
  std::string name(schema.base_name);
  if (call.form == Form::InPlace && !name.ends_with('_')) name += '_';
  PyRef operation = checked(wrap_string(name)),
        outer = checked(wrap_string(number_watch.outer ? number_watch.outer->schema.base_name : "")),
        place = checked(wrap_place(current_place())), results = wrap_all(call.out.list());
  report(Py_BuildValue("(sOOOOOii)", "result", operation.get(), outer.get(), place.get(), named.get(), results.get(),
                       int(before), target));
}

// handler(kind, node's name, place, gradients that came in, gradients made, is it a root)
void report_gradient(const GradientFinding& finding) {
  if (!handler) return;
  static constexpr const char* kinds[] = {"derivative", "sum", "accumulated"};
  PyRef name = checked(wrap_string(finding.node.name())), place = checked(wrap_place(finding.node.place)),
        came_in = wrap_all(finding.came_in), made = wrap_all(finding.made);
  report(Py_BuildValue("(sOOOOi)", kinds[int(finding.kind)], name.get(), place.get(), came_in.get(), made.get(),
                       int(finding.root)));
}

// _watch_numbers(handler or None, forward, backward): in this thread; what it was before, as such a tuple.
PyObject* watch_numbers(PyObject*, PyObject* args) {
  PyObject* given;
  int forward, backward;
  if (!PyArg_ParseTuple(args, "Opp:_watch_numbers", &given, &forward, &backward)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyRef before =
        checked(Py_BuildValue("(OOO)", handler ? handler : Py_None, number_watch.forward ? Py_True : Py_False,
                              number_watch.backward ? Py_True : Py_False));
    PyRef old = PyRef::steal(std::exchange(handler, given == Py_None ? nullptr : Py_NewRef(given)));
    number_watch.forward = forward != 0;
    number_watch.backward = backward != 0;
    number_watch.result = report_result;
    uint8_t& active = thread_state.interpreters;
    active = uint8_t(handler ? active | kWatching : active & ~kWatching);
    return before.release();
  });
}

// _non_finite(tensor): 1 for a NaN among the elements, plus 2 for an infinity.
PyObject* non_finite_of(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    check_type(is_tensor(tensor), "_non_finite(): argument must be Tensor, not ", type_name(tensor));
    return PyLong_FromLong(non_finite(unwrap(tensor)));
  });
}

PyMethodDef functions[] = {{"_watch_numbers", watch_numbers, METH_VARARGS, nullptr},
                           {"_non_finite", non_finite_of, METH_O, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_number_watch(PyObject* module) {
  autograd::gradient_watch.found = report_gradient;
  add_functions(module, functions);
}

}  // namespace tabula::py
