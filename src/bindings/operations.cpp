// Every row as Python callables: torch.name, Tensor.name, the derived in-place and out= forms, and the operators.
#include "bindings/operations.h"

#include <algorithm>
#include <deque>
#include <map>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/compare.h"
#include "ops/factory.h"
#include "ops/matmul.h"

namespace tabula::py {

PyTypeObject* function_type = nullptr;
PyTypeObject* method_type = nullptr;

namespace {

// All overloads behind one Python name.
struct Group {
  std::string name;               // "add" or "add_"
  bool in_place = false;          // the derived form
  std::vector<Signature*> functions, methods;
  std::string doc;
};

struct PyOperation {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  Group* group;
  PyObject* module;  // __module__, as a string
};

std::map<std::string, PyTypeObject*>& result_types() {
  static std::map<std::string, PyTypeObject*> types;
  return types;
}

// One field per line, as tensors print over several.
PyObject* result_repr(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyRef text = checked(PyUnicode_FromFormat("%s(", type->tp_name));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); i++)
    text = checked(PyUnicode_FromFormat("%U%s\n%s=%R", text.get(), i ? "," : "", type->tp_members[i].name, PyTuple_GET_ITEM(self, i)));
  return PyUnicode_FromFormat("%U)", text.get());
}
PyMethodDef result_repr_method{"__repr__", [](PyObject* self, PyObject*) { return guarded([&] { return result_repr(self); }); }, METH_NOARGS, nullptr};

// Operations with named results return a torch.return_types class: "-> (Tensor values, Tensor indices)".
PyTypeObject* result_type(const Op& op) {
  if (!op.schema.returns.starts_with("(")) return nullptr;  // another overload of the name may have one
  auto& types = result_types();
  const std::string name(op.schema.base_name);
  if (const auto at = types.find(name); at != types.end()) return at->second;
  const std::string_view returns = op.schema.returns;
  PyTypeObject* type = nullptr;
  if (returns.starts_with("(") && returns.find(' ') != returns.npos) {
    static std::deque<std::string> texts;
    static std::deque<std::vector<PyStructSequence_Field>> all_fields;
    auto& fields = all_fields.emplace_back();
    std::string_view rest = returns.substr(1, returns.size() - 2);
    bool named = true;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      std::string_view one = rest.substr(0, comma);
      while (one.starts_with(" ")) one.remove_prefix(1);
      const size_t space = one.find(' ');
      if (space == one.npos) {
        named = false;
        break;
      }
      texts.emplace_back(one.substr(space + 1));
      fields.push_back({texts.back().c_str(), nullptr});
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    }
    if (named) {
      const int count = int(fields.size());
      fields.push_back({nullptr, nullptr});
      texts.push_back("torch.return_types." + name);
      PyStructSequence_Desc desc{texts.back().c_str(), nullptr, fields.data(), count};
      type = PyStructSequence_NewType(&desc);
      if (!type) throw PythonError{};
      PyRef repr = checked(PyDescr_NewMethod(type, &result_repr_method));
      checked(PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), "__repr__", repr.get()));
    }
  }
  types[name] = type;
  return type;
}

PyObject* wrap_out(const Op& op, Out& out) {
  if (out.count == 1 && !out.is_list) [[likely]]
    return wrap(std::move(out.tensors[0]));
  if (out.is_list) {
    // a view-producing split gives a tuple in PyTorch, as every Tensor[] result does
    return wrap_tuple(out.list());
  }
  if (out.count == 0) {
    if (out.plain.tag() == Value::Tag::DType) return wrap(out.plain.dtype());
    return out.plain.is_none() ? Py_NewRef(Py_None) : wrap(out.plain.scalar());
  }
  PyTypeObject* type = result_type(op);
  if (!type) return wrap_tuple(out.list());
  PyRef result = checked(PyStructSequence_New(type));
  for (int i = 0; i < out.count; i++) PyStructSequence_SET_ITEM(result.get(), i, wrap(out[i]));
  return result.release();
}

// How many tensors the operation gives; -1 for a list.
int result_count(const Op& op) {
  const std::string_view returns = op.schema.returns;
  if (returns.ends_with("[]")) return -1;
  return returns.starts_with("(") ? int(std::count(returns.begin(), returns.end(), ',')) + 1 : 1;
}

// A factory's dtype=, if given, is that of its out= tensor.
void check_factory_out(const Op& op, const Parsed& parsed, const Tensor& into) {
  for (size_t i = 0; i < op.schema.params.size(); i++) {
    const Value& given = parsed.values[i];
    if (given.tag() == Value::Tag::DType && op.schema.params[i].name == "dtype")
      check(given.dtype() == into.dtype(), "dtype ", dtype_title(given.dtype()), " does not match dtype of out parameter (", dtype_title(into.dtype()), ")");
  }
}

PyObject* call_into(const Op& op, Parsed& parsed, Out& out) {
  const int expected = result_count(op);
  if (is_tensor(parsed.out) && expected == 1) {
    Tensor into = unwrap(parsed.out);
    if (op.schema.tensor_params.empty()) check_factory_out(op, parsed, into);
    call_out(op, parsed.values, out, &into, 1);
    return Py_NewRef(parsed.out);
  }
  const bool sequence = expected != 1 && (PyTuple_Check(parsed.out) || PyList_Check(parsed.out));
  check_type(sequence, op.schema.base_name, "(): argument 'out' must be ", expected == 1 ? "Tensor" : "tuple of Tensors", ", not ",
             Py_TYPE(parsed.out)->tp_name);
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(parsed.out);
  check_type(expected < 0 || count == expected, "expected tuple of ", expected, " elements but got ", count);
  std::vector<Tensor> into;
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject* one = PySequence_Fast_GET_ITEM(parsed.out, i);
    check_type(is_tensor(one), "expected Tensor as element ", i, " in argument 'out', but got ", Py_TYPE(one)->tp_name);
    into.push_back(unwrap(one));
  }
  call_out(op, parsed.values, out, into.data(), int(count));
  return wrap_out(op, out);
}

PyObject* run(const Group& group, const Signature& signature, Parsed& parsed) {
  Out out;
  const Op& op = *signature.op;
  if (group.in_place) {
    check_type(!parsed.out, group.name, "() got an unexpected keyword argument 'out'");
    check_type(parsed.values[0].is_tensor(), group.name, "(): argument 'input' (position 1) must be Tensor, not a number");
    call_in_place(op, parsed.values, out);
    return wrap(out.tensors[0]);
  }
  if (parsed.out) [[unlikely]]
    return call_into(op, parsed, out);
  call(op, parsed.values, out);
  return wrap_out(op, out);
}

// torch.add(2, tensor): these take a number where others need a tensor. Null: not such a call.
PyObject* with_number_first(const Group& group, const std::vector<Signature*>& overloads, const Arguments& call) {
  static constexpr std::string_view names[] = {"add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "floor_divide"};
  if (call.self || call.count == 0 || !is_number(call.args[0]) || std::find(std::begin(names), std::end(names), group.name) == std::end(names)) return nullptr;
  const PyRef number = checked(wrap(Tensor::wrapped(unwrap_scalar(call.args[0]))));
  std::vector<PyObject*> args(call.args, call.args + call.count + (call.kwnames ? PyTuple_GET_SIZE(call.kwnames) : 0));
  args[0] = number.get();
  const Arguments changed{nullptr, args.data(), call.count, call.kwnames};
  for (const Signature* s : overloads) {
    Parsed parsed;
    if (parse(*s, changed, parsed, nullptr)) return run(group, *s, parsed);
  }
  return nullptr;
}

PyObject* dispatch(const Group& group, const std::vector<Signature*>& overloads, const Arguments& call, PyObject* callable) {
  PyObject* overridden = nullptr;
  if (torch_function_needed(call)) [[unlikely]] {
    if (call_torch_function(callable, call, &overridden)) return overridden;
  }
  if (overloads.size() == 1) {
    Parsed parsed;
    if (parse(*overloads[0], call, parsed, nullptr)) return run(group, *overloads[0], parsed);
  } else {
    for (const Signature* s : overloads) {
      Parsed parsed;
      if (parse(*s, call, parsed, nullptr)) return run(group, *s, parsed);
    }
  }
  if (PyObject* result = with_number_first(group, overloads, call)) return result;
  fail_no_overload(group.name.c_str(), overloads, call);
}

PyObject* function_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    const Group& group = *reinterpret_cast<PyOperation*>(self)->group;
    return dispatch(group, group.functions, {nullptr, args, PyVectorcall_NARGS(nargsf), kwnames}, self);
  });
}

PyObject* method_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    const Group& group = *reinterpret_cast<PyOperation*>(self)->group;
    const Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (n < 1 || !is_tensor(args[0]))
      fail(ErrorKind::Type, "descriptor '", group.name, "' for 'torch._C.TensorBase' objects doesn't apply to a '",
           n < 1 ? "nothing" : Py_TYPE(args[0])->tp_name, "' object");
    return dispatch(group, group.methods, {args[0], args + 1, n - 1, kwnames}, self);
  });
}

PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
  if (!object || object == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, object);
}

PyObject* operation_repr(PyObject* self) {
  auto* op = reinterpret_cast<PyOperation*>(self);
  if (Py_TYPE(self) == method_type) return PyUnicode_FromFormat("<method '%s' of 'torch._C.TensorBase' objects>", op->group->name.c_str());
  return PyUnicode_FromFormat("<built-in method %s of %U>", op->group->name.c_str(), op->module);
}

PyObject* operation_name(PyObject* self, void*) { return PyUnicode_FromString(reinterpret_cast<PyOperation*>(self)->group->name.c_str()); }
PyObject* operation_module(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<PyOperation*>(self)->module); }

// "add(input, other, *, alpha=1, out=None) -> Tensor", as a line of help() shows it.
std::string call_line(const Group& group, const Op& op, bool method) {
  std::string text = (method ? "Tensor." : "") + group.name + "(";
  const char* separator = "";
  bool starred = false;
  const auto append = [&](const std::string& parameter, bool keyword_only) {
    if (keyword_only && !starred) {
      text += separator + std::string("*");
      separator = ", ";
      starred = true;
    }
    text += separator + parameter;
    separator = ", ";
  };
  for (size_t i = method ? 1 : 0; i < op.schema.params.size(); i++) {
    const Param& p = op.schema.params[i];
    append(std::string(p.name) + (p.has_default ? "=" + std::string(p.default_text) : ""), p.keyword_only);
  }
  if (!method && !group.in_place && (op.def.on & OutForm)) append("out=None", true);
  const std::string_view returns = op.schema.returns;
  return text + ") -> " + std::string(returns.starts_with("Tensor(") ? "Tensor" : returns);
}

PyObject* operation_doc(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    const Group& group = *reinterpret_cast<PyOperation*>(self)->group;
    const bool method = Py_TYPE(self) == method_type;
    std::string text;
    for (const Signature* signature : method ? group.methods : group.functions) text += call_line(group, *signature->op, method) + "\n";
    if (!group.doc.empty()) text += "\n" + group.doc;
    return wrap_string(text);
  });
}

PyObject* operation_qualname(PyObject* self, void*) {
  auto* op = reinterpret_cast<PyOperation*>(self);
  return Py_TYPE(self) == method_type ? PyUnicode_FromFormat("Tensor.%s", op->group->name.c_str()) : PyUnicode_FromString(op->group->name.c_str());
}
PyObject* operation_schemas(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    auto* op = reinterpret_cast<PyOperation*>(self);
    const auto& list = Py_TYPE(self) == method_type ? op->group->methods : op->group->functions;
    PyRef result = checked(PyTuple_New(Py_ssize_t(list.size())));
    for (size_t i = 0; i < list.size(); i++) PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), wrap_string(list[i]->op->schema.text));
    return result.release();
  });
}
PyObject* operation_reduce(PyObject* self, PyObject*) {
  auto* op = reinterpret_cast<PyOperation*>(self);
  if (Py_TYPE(self) == method_type) {
    PyRef getattr = PyRef::steal(PyObject_GetAttrString(PyEval_GetBuiltins() ? PyImport_AddModule("builtins") : nullptr, "getattr"));
    if (!getattr) return nullptr;
    return Py_BuildValue("O(Os)", getattr.get(), reinterpret_cast<PyObject*>(tensor_type), op->group->name.c_str());
  }
  return PyUnicode_FromString(op->group->name.c_str());  // found by name in __module__
}

PyGetSetDef operation_getset[] = {
    {"__name__", operation_name, nullptr, nullptr, nullptr},
    {"__qualname__", operation_qualname, nullptr, nullptr, nullptr},
    {"__module__", operation_module, nullptr, nullptr, nullptr},
    {"__doc__", operation_doc, nullptr, nullptr, nullptr},
    {"_schemas", operation_schemas, nullptr, "schema texts of the overloads", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef operation_methods[] = {{"__reduce__", operation_reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyMemberDef operation_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(PyOperation, vectorcall), READONLY, nullptr},
                                   {nullptr, 0, 0, 0, nullptr}};

PyTypeObject* make_operation_type(const char* name, bool method) {
  static std::deque<std::vector<PyType_Slot>> keep;
  auto& slots = keep.emplace_back();
  slots = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
           {Py_tp_repr, reinterpret_cast<void*>(operation_repr)},
           {Py_tp_getset, operation_getset},
           {Py_tp_methods, operation_methods},
           {Py_tp_members, operation_members}};
  if (method) slots.push_back({Py_tp_descr_get, reinterpret_cast<void*>(method_get)});
  slots.push_back({0, nullptr});
  unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION;
  if (method) flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
  PyType_Spec spec{name, sizeof(PyOperation), 0, flags, slots.data()};
  return reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)).release());
}

PyObject* make_operation(Group* group, bool method, const char* module) {
  PyTypeObject* type = method ? method_type : function_type;
  auto* op = PyObject_New(PyOperation, type);
  if (!op) throw PythonError{};
  op->vectorcall = method ? method_call : function_call;
  op->group = group;
  op->module = PyUnicode_InternFromString(module);
  return reinterpret_cast<PyObject*>(op);
}

}  // namespace

namespace {

// _rows(name, in_place): one callable over all rows of an aten name, wherever they surface; None if there are none.
PyObject* rows_named(PyObject*, PyObject* args) {
  const char* text;
  int in_place;
  if (!PyArg_ParseTuple(args, "sp:_rows", &text, &in_place)) return nullptr;
  return guarded([&]() -> PyObject* {
    static constexpr std::pair<std::string_view, uint16_t> prefixes[] = {{"special_", Special}, {"linalg_", Linalg}, {"fft_", Fft}};
    const std::string_view name = text;
    auto group = std::make_unique<Group>();
    group->name = in_place ? concat(name, "_") : std::string(name);
    group->in_place = in_place;
    for (const Op* op : all_ops()) {
      const std::string_view base = op->schema.base_name;
      bool found = base == name;
      for (const auto& [prefix, surface] : prefixes) found |= name.starts_with(prefix) && (op->def.on & surface) && base == name.substr(prefix.size());
      if (!found || (in_place && !(op->def.on & (InPlace | InPlaceFunction)))) continue;
      // where a name is both a method and a function of nn, aten's is the method's
      const auto only_nn = [](const Op& one) { return (one.def.on & NN) && !(one.def.on & (Function | Method)); };
      if (!group->functions.empty() && only_nn(*op) && !only_nn(*group->functions.front()->op)) continue;
      if (!group->functions.empty() && !only_nn(*op) && only_nn(*group->functions.front()->op)) group->functions.clear();
      group->functions.push_back(new Signature(*op));  // as long as the process, like the callable's own group
      if (group->doc.empty()) group->doc = op->def.doc;
    }
    if (group->functions.empty()) Py_RETURN_NONE;
    return make_operation(group.release(), false, "torch.ops.aten");
  });
}

PyMethodDef row_functions[] = {{"_rows", rows_named, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* return_types_module_dict() {
  PyRef dict = checked(PyDict_New());
  for (const Op* op : all_ops())
    if (PyTypeObject* type = result_type(*op)) checked(PyDict_SetItemString(dict.get(), std::string(op->schema.base_name).c_str(), reinterpret_cast<PyObject*>(type)));
  return dict.release();
}

void add_operations(PyObject* module) {
  function_type = make_operation_type("torch._C.Function", false);
  method_type = make_operation_type("torch._C.Method", true);
  add_functions(module, row_functions);
  static std::map<std::string, std::unique_ptr<Group>> groups;  // one per (surface, name); lives with the process
  struct Place {
    uint16_t surface;
    const char* attribute;
    const char* path;
  };
  const Place places[] = {{Function, "_VariableFunctions", "torch"}, {NN, "_nn", "torch._C._nn"}, {Linalg, "_linalg", "torch._C._linalg"},
                          {Fft, "_fft", "torch._C._fft"}, {Special, "_special", "torch._C._special"}, {Internal, "_ops", "torch._C._ops"}};
  std::map<std::string, PyRef> modules;
  for (const Place& place : places) modules[place.attribute] = checked(PyModule_New(place.path));
  const auto group_of = [&](const std::string& key, const std::string& name, bool in_place) -> Group& {
    auto& slot = groups[key];
    if (!slot) {
      slot = std::make_unique<Group>();
      slot->name = name;
      slot->in_place = in_place;
    }
    return *slot;
  };
  for (const Op* op : all_ops()) {
    auto* signature = new Signature(*op);  // signatures live as long as the process
    const std::string name(op->schema.base_name);
    const uint16_t on = op->def.on;
    for (const Place& place : places) {
      if (!(on & place.surface)) continue;
      Group& group = group_of(std::string(place.path) + "." + name, name, false);
      group.functions.push_back(signature);
      if (group.doc.empty()) group.doc = op->def.doc;
    }
    if (on & InPlaceFunction) {
      Group& group = group_of(std::string(on & NN ? "torch._C._nn" : "torch") + "." + name + "_", name + "_", true);
      group.functions.push_back(signature);
      if (group.doc.empty()) group.doc = "In-place form of torch." + name + ": writes its result to the input itself and returns it.";
    }
    if (on & Method) {
      Group& group = group_of("Tensor." + name, name, false);
      group.methods.push_back(signature);
      if (group.doc.empty()) group.doc = op->def.doc;
    }
    if (on & InPlace) {
      Group& group = group_of("Tensor." + name + "_", name + "_", true);
      group.methods.push_back(signature);
      if (group.doc.empty()) group.doc = "In-place form of torch.Tensor." + name + ": writes its result to the tensor itself and returns it.";
    }
  }
  for (auto& [key, group] : groups) {
    const std::string path = key.substr(0, key.size() - group->name.size() - 1);
    if (path == "Tensor") {
      PyRef method = checked(make_operation(group.get(), true, "torch._C.TensorBase"));
      checked(PyObject_SetAttrString(reinterpret_cast<PyObject*>(tensor_type), group->name.c_str(), method.get()));
      continue;
    }
    for (const Place& place : places) {
      if (path != place.path) continue;
      PyRef function = checked(make_operation(group.get(), false, place.path));
      checked(PyObject_SetAttrString(modules[place.attribute].get(), group->name.c_str(), function.get()));
    }
  }
  for (auto& [attribute, sub] : modules) {
    checked(PyObject_SetAttrString(module, attribute.c_str(), sub.get()));
    // `from torch._C._nn import linear` finds a module that is no package member by its entry here
    checked(PyDict_SetItemString(PyImport_GetModuleDict(), ("torch._C." + attribute).c_str(), sub.get()));
  }
}

// ---- operators ----

namespace {

// A binary operator's operands as values; false: not ours to handle.
bool operand(PyObject* o, Value& value) {
  if (Py_TYPE(o) == tensor_type) {
    value = Value(unwrap(o));
    return true;
  }
  if (PyFloat_CheckExact(o)) {
    value = Value(PyFloat_AS_DOUBLE(o));
    return true;
  }
  if (PyLong_CheckExact(o)) {
    value = Value(unwrap_scalar(o));
    return true;
  }
  if (is_tensor(o)) {
    value = Value(unwrap(o));
    return true;
  }
  if (!is_number(o)) return false;
  value = Value(unwrap_scalar(o));
  return true;
}

}  // namespace

PyObject* binary_operator(const Op& op, PyObject* a, PyObject* b, const char* name, const char* reversed_name) {
  return guarded([&]() -> PyObject* {
    PyObject* const both[2] = {a, b};
    const Arguments call_args{nullptr, both, 2, nullptr};
    if (torch_function_needed(call_args)) [[unlikely]] {
      PyObject* result;
      const bool swapped = !is_tensor(a);
      PyObject* const ordered[2] = {swapped ? b : a, swapped ? a : b};
      PyRef callable = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), swapped ? reversed_name : name));
      if (call_torch_function(callable.get(), {nullptr, ordered, 2, nullptr}, &result)) return result;
    }
    Value values[6];
    if (!operand(a, values[0]) || !operand(b, values[1])) return Py_NewRef(Py_NotImplemented);
    for (int i = 0; i < 2; i++)
      if (!values[i].is_tensor() && op.def.kernel < 0 && op.schema.params[size_t(i)].type.type != Type::Operand) return Py_NewRef(Py_NotImplemented);
    for (size_t i = 2; i < op.schema.params.size(); i++) values[i] = op.schema.params[i].default_value;
    Out out;
    call(op, values, out);
    return wrap(std::move(out.tensors[0]));
  });
}

PyObject* divide_number(PyObject* number, PyObject* tensor) {
  return guarded([&]() -> PyObject* {
    PyObject* const ordered[2] = {tensor, number};
    if (torch_function_needed({nullptr, ordered, 2, nullptr})) [[unlikely]] {
      PyObject* result;
      PyRef callable = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), "__rtruediv__"));
      if (call_torch_function(callable.get(), {nullptr, ordered, 2, nullptr}, &result)) return result;
    }
    Value value;
    if (!operand(number, value)) return Py_NewRef(Py_NotImplemented);
    return wrap(mul(reciprocal(unwrap(tensor)), value.scalar()));
  });
}

PyObject* in_place_operator(const Op& op, PyObject* a, PyObject* b, const char* name) {
  return guarded([&]() -> PyObject* {
    PyObject* const both[2] = {a, b};
    if (torch_function_needed({nullptr, both, 2, nullptr})) [[unlikely]] {
      PyObject* result;
      PyRef callable = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name));
      if (call_torch_function(callable.get(), {nullptr, both, 2, nullptr}, &result)) return result;
    }
    Value values[6];
    values[0] = Value(unwrap(a));
    if (!operand(b, values[1])) return Py_NewRef(Py_NotImplemented);
    for (size_t i = 2; i < op.schema.params.size(); i++) values[i] = op.schema.params[i].default_value;
    Out out;
    call_in_place(op, values, out);
    return Py_NewRef(a);
  });
}

}  // namespace tabula::py
