// What torch.func.vmap is made of: levels, and tensors of one example.
#include "interp/vmap.h"

#include "bindings/python.h"

namespace tabula::py {
namespace {

Randomness randomness_named(const char* name) {
  const std::string_view text = name;
  return text == "different" ? Randomness::Different : text == "same" ? Randomness::Same : Randomness::Error;
}

const Tensor& tensor_argument(PyObject* o) {
  check_type(is_tensor(o), "expected a Tensor, but got ", Py_TYPE(o)->tp_name);
  return unwrap(o);
}

PyObject* enter(PyObject*, PyObject* args) {
  long long size;
  const char* randomness;
  if (!PyArg_ParseTuple(args, "Ls:_vmap_enter", &size, &randomness)) return nullptr;
  return guarded([&]() -> PyObject* { return PyLong_FromLongLong(vmap::enter(size, randomness_named(randomness))); });
}

PyObject* leave(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    check(vmap::depth() > 0, "_vmap_leave: no vmap is running");
    vmap::leave();
    Py_RETURN_NONE;
  });
}

PyObject* depth(PyObject*, PyObject*) { return PyLong_FromLongLong(vmap::depth()); }

PyObject* level_facts(PyObject*, PyObject* level) {
  return guarded([&]() -> PyObject* {
    const auto [size, randomness] = vmap::facts(unwrap_int(level));
    constexpr const char* names[] = {"error", "different", "same"};
    return Py_BuildValue("Ls", static_cast<long long>(size), names[int(randomness)]);
  });
}

PyObject* example(PyObject*, PyObject* args) {
  PyObject* tensor;
  long long dim, level;
  if (!PyArg_ParseTuple(args, "OLL:_vmap_example", &tensor, &dim, &level)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(vmap::wrap(tensor_argument(tensor), dim, level)); });
}

PyObject* batch(PyObject*, PyObject* args) {
  PyObject* tensor;
  long long dim, level, size;
  if (!PyArg_ParseTuple(args, "OLLL:_vmap_batch", &tensor, &dim, &level, &size)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(vmap::unwrap(tensor_argument(tensor), dim, level, size)); });
}

PyObject* spread(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* { return wrap(vmap::spread(tensor_argument(tensor))); });
}

PyObject* spread_like(PyObject*, PyObject* args) {
  PyObject *tensor, *other;
  if (!PyArg_ParseTuple(args, "OO:_vmap_spread_like", &tensor, &other)) return nullptr;
  return guarded([&]() -> PyObject* { return wrap(vmap::spread_like(tensor_argument(tensor), tensor_argument(other))); });
}

// (the tensor behind, its batch dimension, the level, the level's position); None for tensors that are no examples.
PyObject* parts(PyObject*, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    const vmap::BatchParts* found = vmap::parts_of(tensor_argument(tensor));
    if (!found) Py_RETURN_NONE;
    PyRef inner = checked(wrap(found->inner));
    return Py_BuildValue("OLLL", inner.get(), static_cast<long long>(found->dim), static_cast<long long>(found->level),
                         static_cast<long long>(vmap::position(found->level)));
  });
}

const char* kind_of(const Op& op) {
  const BatchRule rule = batch_rule(op);
  if (op.schema.tensor_params.empty() && !is_random(op)) return "no tensors";
  if (!rule) return "composite";
  if (rule == batch::each) return op.def.batch ? "one by one" : "missing";
  if (rule == batch::dynamic_shape || rule == batch::refused) return "refused";
  return "rule";
}

// The operations by schema, and how each acts on a batch.
PyObject* rules(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    PyRef result = checked(PyDict_New());
    for (const Op* op : all_ops()) {
      PyRef key = checked(wrap_string(op->schema.text)), kind = checked(PyUnicode_FromString(kind_of(*op)));
      checked(PyDict_SetItem(result.get(), key.get(), kind.get()));
    }
    return result.release();
  });
}

PyMethodDef functions[] = {{"_vmap_enter", enter, METH_VARARGS, nullptr},     {"_vmap_leave", leave, METH_NOARGS, nullptr},
                           {"_vmap_depth", depth, METH_NOARGS, nullptr},      {"_vmap_example", example, METH_VARARGS, nullptr},
                           {"_vmap_batch", batch, METH_VARARGS, nullptr},     {"_vmap_spread", spread, METH_O, nullptr},
                           {"_vmap_parts", parts, METH_O, nullptr},           {"_vmap_rules", rules, METH_NOARGS, nullptr},
                           {"_vmap_spread_like", spread_like, METH_VARARGS, nullptr},
                           {"_vmap_level", level_facts, METH_O, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_vmap(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
