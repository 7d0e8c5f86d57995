// Sparse tensors in Python: taking them apart, and the layer that hands operations on them to torch.sparse's rules.
#include <atomic>

#include "autograd/node.h"
#include "bindings/helpers.h"
#include "interp/interp.h"
#include "ops/pointwise.h"
#include "ops/sparse.h"

namespace tabula::py {
namespace {

class HoldGil {
 public:
  HoldGil() : state_(PyGILState_Ensure()) {}
  ~HoldGil() { PyGILState_Release(state_); }
  HoldGil(const HoldGil&) = delete;

 private:
  PyGILState_STATE state_;
};

bool holds_sparse(const Value& v) {
  if (v.tag() == Value::Tag::Tensor) return sparse_parts(v.tensor());
  if (v.tag() == Value::Tag::Layout) return v.layout() != Layout::Strided && v.layout() != Layout::Jagged;
  if (v.tag() != Value::Tag::TensorList) return false;
  for (const Tensor& t : v.tensors())
    if (t.defined() && sparse_parts(t)) return true;
  return false;
}

bool concerns_sparse(const Call& call) {
  if (call.op.def.run.run == run_by_rule) return true;
  for (size_t i = 0; i < call.op.schema.params.size(); i++)
    if (holds_sparse(call.args[i])) return true;
  for (int i = 0; i < call.count; i++)
    if (sparse_parts(call.into[i])) return true;
  return false;
}

void take_result(PyObject* result, const Call& call) {
  Out& out = call.out;
  if (is_tensor(result)) {
    out.tensors[0] = unwrap(result);
    out.count = 1;
  } else if (PyTuple_Check(result) || PyList_Check(result)) {
    out.resize(int(PySequence_Fast_GET_SIZE(result)));
    for (int i = 0; i < out.count; i++) {
      PyObject* item = PySequence_Fast_GET_ITEM(result, i);
      if (item != Py_None) out[i] = unwrap(item);
    }
    out.is_list = call.op.schema.returns_list;
  } else if (is_dtype(result)) {
    out.plain = Value(unwrap_dtype(result));
  } else if (result != Py_None) {
    out.plain = Value(unwrap_scalar(result));
  }
}

// torch.sparse._rules.call(overload, name, in_place, arguments, out, composite, pointwise) decides; NotImplemented lets
// a composite run its parts.
bool take(const Call& call, uint8_t bits) {
  if (call.op.def.parts || !(bits & kParts) || !concerns_sparse(call)) return false;
  const HoldGil gil;
  static std::atomic<PyObject*> kept{nullptr};  // no guarded initialisation: the import may let another thread run
  PyObject* rules = kept.load(std::memory_order_acquire);
  if (!rules) {
    PyRef module = checked(PyImport_ImportModule("torch.sparse._rules"));
    kept.store(rules = checked(PyObject_GetAttrString(module.get(), "call")).release(), std::memory_order_release);
  }
  const size_t count = call.op.schema.params.size();
  PyRef args = checked(PyTuple_New(Py_ssize_t(count))), into = PyRef::borrow(Py_None);
  for (size_t i = 0; i < count; i++)
    PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), checked(wrap_value(call.args[i])).release());
  if (call.form == Form::Into) into = checked(wrap_tuple({call.into, size_t(call.count)}));
  PyRef overload = checked(wrap_string(call.op.schema.name)), name = checked(wrap_string(call.op.schema.base_name));
  PyObject* const all[] = {overload.get(),
                           name.get(),
                           call.form == Form::InPlace ? Py_True : Py_False,
                           args.get(),
                           into.get(),
                           call.op.def.composite ? Py_True : Py_False,
                           call.op.def.run.run == run_pointwise ? Py_True : Py_False};
  const uint64_t since = autograd::next_sequence();
  PyRef result = checked(PyObject_Vectorcall(rules, all, std::size(all), nullptr));
  if (result.get() == Py_NotImplemented) return false;
  take_result(result.get(), call);
  // other composites are not seen in the graph: their parts are
  if (!call.op.def.composite || call.op.def.run.run == run_by_rule)
    for (const Tensor& t : call.out.list())
      if (t.defined() && t.needs_grad()) autograd::show_as(t, call.op.node_name, since);
  return true;
}

const SparseParts& parts_of(PyObject* o) {
  const SparseParts* parts = is_tensor(o) ? sparse_parts(unwrap(o)) : nullptr;
  check_type(parts, "expected a sparse Tensor, not ", type_name(o));
  return *parts;
}

// What the tensor holds, without history: (indices or compressed indices, plain indices or None).
PyObject* sparse_indices(PyObject*, PyObject* tensor) {
  return guarded([&] { return wrap(parts_of(tensor).indices); });
}
PyObject* sparse_plain(PyObject*, PyObject* tensor) {
  return guarded([&] { return wrap(parts_of(tensor).plain); });
}
PyObject* sparse_raw_values(PyObject*, PyObject* tensor) {
  return guarded([&] { return wrap(parts_of(tensor).values); });
}
PyObject* sparse_nnz(PyObject*, PyObject* tensor) {
  return guarded([&] { return PyLong_FromLongLong(parts_of(tensor).nnz()); });
}
PyObject* mark_coalesced(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&] {
    check_type(count == 2, "_sparse_mark_coalesced() takes 2 positional arguments but ", count, " were given");
    const_cast<SparseParts&>(parts_of(args[0])).coalesced = args[1] == Py_True;
    return Py_NewRef(args[0]);
  });
}

PyMethodDef functions[] = {
    {"_sparse_indices", sparse_indices, METH_O, "the indices, or the compressed ones, that a sparse tensor holds"},
    {"_sparse_plain", sparse_plain, METH_O, "the plain indices that a compressed sparse tensor holds"},
    {"_sparse_raw_values", sparse_raw_values, METH_O, "the values that a sparse tensor holds, without history"},
    {"_sparse_nnz", sparse_nnz, METH_O, "how many elements or blocks a sparse tensor holds"},
    {"_sparse_mark_coalesced", method(mark_coalesced), METH_FASTCALL, "sets whether a COO tensor counts as coalesced"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_sparse(PyObject* module) {
  add_functions(module, functions);
  interp::install(interp::Place::Sparse, take);
}

}  // namespace tabula::py
