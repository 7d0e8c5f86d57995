// Forward mode: levels, and tensors that carry tangents. What a user sees of it is torch/autograd/forward_ad.py.
#include "bindings/autograd.h"
#include "core/state.h"
#include "interp/vmap.h"

namespace tabula::py {
namespace {

using autograd::Level;
using autograd::recorded;
using vmap::shown_as;

Level level_of(PyObject* o) {
  const unsigned long long level = PyLong_AsUnsignedLongLong(o);
  if (level == static_cast<unsigned long long>(-1) && PyErr_Occurred()) throw PythonError{};
  return Level(level);
}

const Tensor& tensor_argument(PyObject* o, const char* function) {
  check_type(is_tensor(o), function, "(): argument must be Tensor, not ", type_name(o));
  return unwrap(o);
}

// Tangents, like histories, belong to the tensors behind those that a function under vmap sees.

PyObject* enter_level(PyObject*, PyObject*) {
  return guarded([] { return PyLong_FromUnsignedLongLong(autograd::open_level()); });
}

PyObject* exit_level(PyObject*, PyObject* level) {
  return guarded([&]() -> PyObject* {
    autograd::close_level(level_of(level));
    Py_RETURN_NONE;
  });
}

// _make_dual(tensor, tangent, level)
PyObject* make_dual(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 3, "_make_dual(tensor, tangent, level)");
    const Tensor &t = tensor_argument(args[0], "_make_dual"), &tangent = tensor_argument(args[1], "_make_dual");
    if (!vmap::parts_of(t)) return wrap(autograd::make_dual(t, tangent, level_of(args[2])));
    const Tensor shown = vmap::spread_like(t, tangent);
    return wrap(shown_as(autograd::make_dual(recorded(shown), vmap::behind_all(tangent, shown), level_of(args[2])), shown));
  });
}

// _tangent(tensor, level): the tangent or None.
PyObject* get_tangent(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 2, "_tangent(tensor, level)");
    const Tensor& t = tensor_argument(args[0], "_tangent");
    const Level level = level_of(args[1]);
    if (level >= thread_state.forward_limit || !recorded(t).is_dual()) Py_RETURN_NONE;
    const Tensor tangent = autograd::tangent(recorded(t), level);
    return wrap(tangent.defined() ? shown_as(tangent, t) : tangent);
  });
}

// _set_tangent(tensor, tangent, level)
PyObject* set_tangent(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 3, "_set_tangent(tensor, tangent, level)");
    const Tensor &t = tensor_argument(args[0], "_set_tangent"), &tangent = tensor_argument(args[1], "_set_tangent");
    autograd::set_tangent(recorded(t), vmap::behind_all(tangent, t), level_of(args[2]));
    Py_RETURN_NONE;
  });
}

// _primal(tensor, level): a view that lacks the tangents of this level and of those above.
PyObject* get_primal(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 2, "_primal(tensor, level)");
    const Tensor& t = tensor_argument(args[0], "_primal");
    return wrap(shown_as(autograd::without_tangent(recorded(t), level_of(args[1])), t));
  });
}

// _dual_levels(arguments): the levels at which the tensors of a tuple have tangents, in ascending order.
PyObject* dual_levels(PyObject*, PyObject* arguments) {
  return guarded([&]() -> PyObject* {
    check_type(PyTuple_Check(arguments), "_dual_levels(arguments)");
    std::vector<Level> levels;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments); i++) {
      PyObject* o = PyTuple_GET_ITEM(arguments, i);
      if (is_tensor(o) && recorded(unwrap(o)).is_dual()) autograd::add_levels(recorded(unwrap(o)), levels);
    }
    if (levels.empty()) Py_RETURN_NONE;
    PyRef result = checked(PyTuple_New(Py_ssize_t(levels.size())));
    for (size_t i = 0; i < levels.size(); i++) PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), checked(PyLong_FromUnsignedLongLong(levels[i])).release());
    return result.release();
  });
}

// _reaches_leaf(tensors, own): does the history of a tensor, or of its tangents, lead to a leaf that is not in `own`?
PyObject* reaches_leaf(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    check_type(n == 2 && PyTuple_Check(args[0]) && PyTuple_Check(args[1]), "_reaches_leaf(tensors, own)");
    const auto tensors_of = [](PyObject* tuple) {
      std::vector<Tensor> tensors;
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++)
        if (is_tensor(PyTuple_GET_ITEM(tuple, i))) tensors.push_back(unwrap(PyTuple_GET_ITEM(tuple, i)));
      return tensors;
    };
    return PyBool_FromLong(autograd::reaches_leaf(tensors_of(args[0]), tensors_of(args[1])));
  });
}

PyObject* fresh_leaf(PyObject*, PyObject* o) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = tensor_argument(o, "_fresh_leaf");
    return wrap(shown_as(autograd::fresh_leaf(recorded(t)), t));
  });
}

PyObject* without_graph(PyObject*, PyObject* o) {
  return guarded([&]() -> PyObject* {
    const Tensor& t = tensor_argument(o, "_without_graph");
    return wrap(shown_as(autograd::without_graph(recorded(t)), t));
  });
}

// _set_forward_limit(limit): tangents of levels below it are seen; returns the limit before.
PyObject* set_forward_limit(PyObject*, PyObject* limit) {
  return guarded([&] { return PyLong_FromUnsignedLongLong(std::exchange(thread_state.forward_limit, level_of(limit))); });
}

PyObject* forward_enabled(PyObject*, PyObject*) { return PyBool_FromLong(thread_state.forward_limit != 0); }

PyMethodDef functions[] = {
    {"_enter_dual_level", enter_level, METH_NOARGS, nullptr},
    {"_exit_dual_level", exit_level, METH_O, nullptr},
    {"_make_dual", method(make_dual), METH_FASTCALL, nullptr},
    {"_tangent", method(get_tangent), METH_FASTCALL, nullptr},
    {"_set_tangent", method(set_tangent), METH_FASTCALL, nullptr},
    {"_primal", method(get_primal), METH_FASTCALL, nullptr},
    {"_dual_levels", dual_levels, METH_O, nullptr},
    {"_fresh_leaf", fresh_leaf, METH_O, "a leaf over the tensor's memory that requires a gradient and keeps its tangents"},
    {"_without_graph", without_graph, METH_O, "the tensor without its history, but with its tangents"},
    {"_reaches_leaf", method(reaches_leaf), METH_FASTCALL, nullptr},
    {"_set_forward_limit", set_forward_limit, METH_O, nullptr},
    {"_is_fwd_grad_enabled", forward_enabled, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_forward_mode(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
