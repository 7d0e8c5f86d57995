// __torch_dispatch__: what tensor subclasses and active modes see of each operation, below autograd.
#include "bindings/torch_dispatch.h"

#include <unordered_map>

#include "bindings/operations.h"
#include "bindings/overloaded.h"
#include "core/state.h"
#include "ops/backward.h"
#include "ops/factory.h"
#include "ops/view.h"

namespace tabula::py {
namespace {

PyObject* attribute = nullptr;      // "__torch_dispatch__"
PyObject* disabled_impl = nullptr;  // what torch.Tensor has there
PyObject* resolver = nullptr;       // torch._dispatch.resolve, found at the first call

thread_local std::vector<PyRef> modes;
thread_local int subclasses_disabled = 0;

void modes_changed() {
  uint8_t& active = thread_state.interpreters;
  active = uint8_t(modes.empty() ? active & ~kDispatchMode : active | kDispatchMode);
}

// Takes the innermost mode away while its handler runs, so that the handler's own calls reach the next one.
class Stash {
 public:
  Stash() : mode_(std::move(modes.back())) {
    modes.pop_back();
    modes_changed();
  }
  ~Stash() {
    modes.push_back(std::move(mode_));
    modes_changed();
  }
  Stash(const Stash&) = delete;
  PyObject* mode() const { return mode_.get(); }

 private:
  PyRef mode_;
};

// ---- how a row's call looks to a handler: the overload's own arguments, in its order ----

struct Argument {
  int index;       // of the row's parameter; -1: `constant`
  PyRef constant;  // also in the place of a row's parameter that is None
  PyRef name;      // of keyword arguments
};
struct Plan {
  PyRef overload;
  std::vector<Argument> positional, keyword;
  std::vector<PyRef> into;  // keyword names of the out= tensors
};

bool is_default(const Value& v, const Value& d) {
  if (v.tag() != d.tag()) return false;
  switch (v.tag()) {
    case Value::Tag::None: return true;
    case Value::Tag::Scalar:
      return v.scalar().is_complex() ? v.scalar().to_complex() == d.scalar().to_complex() : v.scalar().dtype(DType::Float64) == d.scalar().dtype(DType::Float64) && v.number() == d.number();
    case Value::Tag::Ints: return same(v.ints(), d.ints());
    case Value::Tag::Bools: return std::equal(v.bools().begin(), v.bools().end(), d.bools().begin(), d.bools().end());
    case Value::Tag::Floats: return std::equal(v.floats().begin(), v.floats().end(), d.floats().begin(), d.floats().end());
    case Value::Tag::Str: return v.str() == d.str();
    case Value::Tag::DType: return v.dtype() == d.dtype();
    case Value::Tag::Device: return v.device() == d.device();
    case Value::Tag::Layout: return v.layout() == d.layout();
    case Value::Tag::MemoryFormat: return v.memory_format() == d.memory_format();
    default: return false;
  }
}

char kind_letter(const Value& v) {
  switch (v.tag()) {
    case Value::Tag::None: return 'n';
    case Value::Tag::Tensor: return 't';
    case Value::Tag::TensorList: return 'l';
    case Value::Tag::Scalar: {
      const DType d = v.scalar().dtype(DType::Float64);
      return d == DType::Bool ? (v.flag() ? 'T' : 'b') : is_complex(d) ? 'c' : is_floating(d) ? 'f' : 'i';
    }
    case Value::Tag::Ints: return 'I';
    case Value::Tag::Floats: return 'F';
    case Value::Tag::Bools: return 'B';
    case Value::Tag::Str: return 's';
    case Value::Tag::DType: return 'd';
    case Value::Tag::Device: return 'v';
    case Value::Tag::Layout: return 'y';
    case Value::Tag::MemoryFormat: return 'm';
    case Value::Tag::Generator: return 'g';
  }
  return '?';
}

// One letter per argument for its kind; a capital place mark where it is the row's default.
std::string kinds_of(const Call& call) {
  std::string kinds;
  const auto& params = call.op.schema.params;
  for (size_t i = 0; i < params.size(); i++) {
    kinds += kind_letter(call.args[i]);
    kinds += params[i].has_default && is_default(call.args[i], params[i].default_value) ? '-' : '+';
  }
  return kinds;
}

std::vector<Argument> arguments_of(PyObject* rows, bool named) {
  std::vector<Argument> list;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(rows); i++) {
    PyObject* row = PyTuple_GET_ITEM(rows, i);
    Argument& one = list.emplace_back();
    one.index = int(PyLong_AsLong(PyTuple_GET_ITEM(row, 0)));
    one.constant = PyRef::borrow(PyTuple_GET_ITEM(row, 1));
    if (named) one.name = PyRef::borrow(PyTuple_GET_ITEM(row, 2));
  }
  return list;
}

const Plan& plan_of(const Call& call) {
  static auto& plans = *new std::unordered_map<std::string, Plan>;  // outlives the interpreter's own end
  const std::string kinds = kinds_of(call);
  const Op* op = &call.op;
  std::string key(reinterpret_cast<const char*>(&op), sizeof op);
  key += char('0' + int(call.form));
  key += kinds;
  if (const auto at = plans.find(key); at != plans.end()) return at->second;
  if (!resolver) {
    PyRef module = checked(PyImport_ImportModule("torch._dispatch"));
    resolver = checked(PyObject_GetAttrString(module.get(), "resolve")).release();
  }
  PyRef schema = checked(wrap_string(call.op.schema.text));
  PyRef found = checked(PyObject_CallFunction(resolver, "Oiiis", schema.get(), int(call.form), int(call.op.def.on), call.count, kinds.c_str()));
  Plan plan;
  plan.overload = PyRef::borrow(PyTuple_GET_ITEM(found.get(), 0));
  plan.positional = arguments_of(PyTuple_GET_ITEM(found.get(), 1), false);
  plan.keyword = arguments_of(PyTuple_GET_ITEM(found.get(), 2), true);
  PyObject* into = PyTuple_GET_ITEM(found.get(), 3);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(into); i++) plan.into.push_back(PyRef::borrow(PyTuple_GET_ITEM(into, i)));
  return plans.emplace(std::move(key), std::move(plan)).first->second;
}

PyObject* list_of(size_t count, auto&& item) {
  PyRef result = checked(PyList_New(Py_ssize_t(count)));
  for (size_t i = 0; i < count; i++) PyList_SET_ITEM(result.get(), Py_ssize_t(i), checked(item(i)).release());
  return result.release();
}

PyObject* python_value(const Value& v) {
  switch (v.tag()) {
    case Value::Tag::None: return Py_NewRef(Py_None);
    case Value::Tag::Tensor: return wrap(v.tensor());
    case Value::Tag::TensorList: return wrap_list(v.tensors());
    case Value::Tag::Scalar: return wrap(v.scalar());
    case Value::Tag::Ints: return list_of(v.ints().size(), [&](size_t i) { return PyLong_FromLongLong(v.ints()[i]); });
    case Value::Tag::Floats: return list_of(v.floats().size(), [&](size_t i) { return PyFloat_FromDouble(v.floats()[i]); });
    case Value::Tag::Bools: return list_of(v.bools().size(), [&](size_t i) { return PyBool_FromLong(v.bools()[i]); });
    case Value::Tag::Str: return wrap_string(v.str());
    case Value::Tag::DType: return wrap(v.dtype());
    case Value::Tag::Device: return wrap(v.device());
    case Value::Tag::Layout: return wrap(v.layout());
    case Value::Tag::MemoryFormat: return wrap(v.memory_format());
    case Value::Tag::Generator: return wrap_generator(v.generator());
  }
  return nullptr;
}

PyRef value_of(const Argument& argument, const Call& call) {
  if (argument.index < 0) return argument.constant;
  const Value& v = call.args[argument.index];
  if (v.is_none() && argument.constant.get() != Py_None) {
    // a factory's device is where it will be
    if (call.op.schema.params[size_t(argument.index)].type.type == Type::Device) return checked(wrap(device_or_default(std::nullopt)));
    return argument.constant;
  }
  return checked(python_value(v));
}

// ---- who is asked ----

bool class_dispatches(PyTypeObject* type) {
  PyObject* found = _PyType_Lookup(type, attribute);
  return found && found != disabled_impl;
}

void add_tensor(Overloaded& overloaded, const Tensor& t) {
  if (!t.defined() || !(t.impl()->special & kDispatch)) return;
  PyRef object = checked(wrap(t));
  if (class_dispatches(Py_TYPE(object.get()))) overloaded.add(object.get());
}

Overloaded overloaded_of(const Call& call) {
  Overloaded overloaded;
  for (uint8_t i : call.op.schema.tensor_params) {
    const Value& v = call.args[i];
    if (v.is_tensor()) {
      add_tensor(overloaded, v.tensor());
    } else if (v.tag() == Value::Tag::TensorList) {
      for (const Tensor& t : v.tensors()) add_tensor(overloaded, t);
    }
  }
  for (int i = 0; i < call.count; i++) add_tensor(overloaded, call.into[i]);
  return overloaded;
}

void check_has_data(const Tensor& t) {
  check(!t.defined() || !lacks_data(t),
        "The tensor has a non-zero number of elements, but its data is not allocated yet.\nIt is a wrapper subclass: its __torch_dispatch__, "
        "which is not active here, must handle the operation.");
}
void check_all_have_data(const Call& call) {
  for (uint8_t i : call.op.schema.tensor_params) {
    if (call.args[i].is_tensor()) {
      check_has_data(call.args[i].tensor());
    } else if (call.args[i].tag() == Value::Tag::TensorList) {
      for (const Tensor& t : call.args[i].tensors()) check_has_data(t);
    }
  }
  for (int i = 0; i < call.count; i++) check_has_data(call.into[i]);
}

// ---- results ----

Tensor result_tensor(PyObject* o) {
  if (o == Py_None) return Tensor();
  if (is_tensor(o)) return unwrap(o);
  PyRef text = checked(PyObject_Repr(o));
  fail(ErrorKind::Runtime, "Unable to cast ", PyUnicode_AsUTF8(text.get()), " to Tensor");
}

// The views' places in their base, by the row itself on a tensor of the base's geometry. Nothing where it refuses.
void run_on_geometry(const Call& call, const Tensor& base, Out& out) {
  const size_t bytes = size_t((base.offset() + span_elements(base.sizes(), base.strides())) * item_size(base.dtype()));
  const Tensor shadow = Tensor::over(Storage::make(bytes, Device{DeviceKind::Meta}), base.dtype(), base.geometry());
  Value args[kMaxParams];
  std::copy_n(call.args, call.op.schema.params.size(), args);
  args[0] = Value(shadow);
  const Restore modes_off(thread_state.interpreters, uint8_t(thread_state.interpreters & ~kDispatchMode));
  const BelowAutograd guard;
  try {
    call.op.def.run.run(call.op, args, out);
  } catch (const Error&) {
    out.count = 0;
  }
}

// What a handler returns for a view shares its base's memory and versions, as far as autograd can know. A write to the
// view finds its elements in the base by the two geometries, so they must belong together.
void link_views(const Call& call) {
  const Schema& schema = call.op.schema;
  if (schema.params.empty() || !schema.params[0].type.alias || !call.args[0].is_tensor()) return;
  const Tensor& base = call.args[0].tensor();
  if (!lacks_data(base)) return;
  Out places;
  if (call.op.def.view) run_on_geometry(call, base, places);
  for (int i = 0; i < call.out.count; i++) {
    const Tensor& result = call.out[i];
    if (!result.defined() || result.is(base) || !lacks_data(result)) continue;
    result.impl()->storage = base.impl()->storage;
    if (!call.op.def.view || (result.impl()->special & kView) || i >= places.count || !same(places[i].sizes(), result.sizes())) continue;
    result.impl()->set_geometry(Dims(places[i].sizes()), Dims(places[i].strides()), places[i].offset());
    mark_view(result, base);
  }
}

void store_result(const Call& call, PyObject* given) {
  Out& out = call.out;
  if (call.form == Form::InPlace) {
    out.tensors[0] = call.args[call.op.schema.mutated >= 0 ? call.op.schema.mutated : 0].tensor();
    out.count = 1;
    return;
  }
  if (call.form == Form::Into) {
    for (int i = 0; i < call.count; i++) out[i] = call.into[i];
    out.count = call.count;
    return;
  }
  const std::string_view returns = call.op.schema.returns;
  if (returns == "()") return;
  const bool one = returns.starts_with("Tensor") && !returns.starts_with("Tensor[") && returns.find("[]") == returns.npos;
  if (one && !PyTuple_Check(given) && !PyList_Check(given)) {
    out.tensors[0] = result_tensor(given);
    out.count = 1;
    link_views(call);
    return;
  }
  if (returns.starts_with("(") || returns.starts_with("Tensor")) {
    check(PyTuple_Check(given) || PyList_Check(given), "Object of type '", Py_TYPE(given)->tp_name, "' is not an instance of 'sequence'");
    out.resize(int(PySequence_Fast_GET_SIZE(given)));
    out.is_list = !returns.starts_with("(");
    for (int i = 0; i < out.count; i++) out[i] = result_tensor(PySequence_Fast_GET_ITEM(given, i));
    link_views(call);
    return;
  }
  if (is_dtype(given))
    out.plain = Value(unwrap_dtype(given));
  else if (given != Py_None)
    out.plain = Value(unwrap_scalar(given));
}

// ---- the hook ----

PyRef call_handler(PyObject* object, PyObject* function, PyObject* types, PyObject* args, PyObject* kwargs) {
  PyRef handler = checked(PyObject_GetAttr(object, attribute));
  return checked(PyObject_CallFunctionObjArgs(handler.get(), function, types, args, kwargs, nullptr));
}

uint32_t version_of(const Tensor& t) { return t.impl()->version(); }

// The first answer of the innermost mode, then of the subclasses.
PyRef ask(PyObject* function, const Overloaded& overloaded, PyObject* args, PyObject* kwargs) {
  PyRef types = overloaded.types(), given, mode;
  BelowAutograd guard;
  if (!modes.empty()) {
    Stash stash;
    mode = PyRef::borrow(stash.mode());
    given = call_handler(mode.get(), function, types.get(), args, kwargs);
  }
  for (const PyRef& one : overloaded.objects()) {
    if (given && given.get() != Py_NotImplemented) break;
    given = call_handler(one.get(), function, types.get(), args, kwargs);
  }
  if (given.get() == Py_NotImplemented) {
    PyRef name = checked(PyObject_Str(function));
    fail_all_refused(concat("torch._ops.", PyUnicode_AsUTF8(name.get())), "__torch_dispatch__", mode.get(), overloaded);
  }
  return given;
}

bool dispatch(const Call& call, uint8_t bits) {
  Overloaded overloaded;
  if ((bits & kDispatch) && !subclasses_disabled) overloaded = overloaded_of(call);
  if (modes.empty() && overloaded.objects().empty()) {
    if (bits & kDispatch) check_all_have_data(call);
    return false;
  }
  const Plan& plan = plan_of(call);
  PyRef args = checked(PyTuple_New(Py_ssize_t(plan.positional.size()))), kwargs = checked(PyDict_New());
  for (size_t i = 0; i < plan.positional.size(); i++) PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), value_of(plan.positional[i], call).release());
  for (const Argument& a : plan.keyword) checked(PyDict_SetItem(kwargs.get(), a.name.get(), value_of(a, call).get()));
  for (size_t i = 0; i < plan.into.size() && int(i) < call.count; i++)
    checked(PyDict_SetItem(kwargs.get(), plan.into[i].get(), checked(wrap(call.into[i])).get()));
  const Tensor* target = call.form == Form::InPlace ? &call.args[call.op.schema.mutated >= 0 ? call.op.schema.mutated : 0].tensor() : nullptr;
  const uint32_t version = target ? version_of(*target) : 0;
  PyRef given = ask(plan.overload.get(), overloaded, args.get(), kwargs.get());
  store_result(call, given.get());
  if (target && version_of(*target) == version) target->bump_version();
  for (int i = 0; i < call.count; i++) call.into[i].bump_version();
  return true;
}

// ---- functions ----

// _dispatch(func, tensors, args, kwargs): what modes and subclasses answer for an operation written in Python, in a
// tuple of one; None where nobody is to be asked.
PyObject* dispatch_python(PyObject*, PyObject* arguments) {
  PyObject *function, *tensors, *args, *kwargs;
  if (!PyArg_ParseTuple(arguments, "OO!O!O!:_dispatch", &function, &PyTuple_Type, &tensors, &PyTuple_Type, &args, &PyDict_Type, &kwargs)) return nullptr;
  return guarded([&]() -> PyObject* {
    Overloaded overloaded;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tensors) && !subclasses_disabled; i++)
      if (is_tensor(PyTuple_GET_ITEM(tensors, i))) add_tensor(overloaded, unwrap(PyTuple_GET_ITEM(tensors, i)));
    if (modes.empty() && overloaded.objects().empty()) Py_RETURN_NONE;
    return PyTuple_Pack(1, ask(function, overloaded, args, kwargs).get());
  });
}

// _disabled_torch_dispatch_impl(cls, func, types, args, kwargs): the operation itself, on the memory of its arguments.
PyObject* disabled_handler(PyObject*, PyObject* args) {
  PyObject *function, *types, *positional = nullptr, *keywords = nullptr;
  if (!PyArg_ParseTuple(args, "OO|OO:_disabled_torch_dispatch_impl", &function, &types, &positional, &keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyRef tuple = positional ? checked(PySequence_Tuple(positional)) : checked(PyTuple_New(0));
    Restore guard(subclasses_disabled, subclasses_disabled + 1);
    return PyObject_Call(function, tuple.get(), keywords == Py_None ? nullptr : keywords);
  });
}

PyObject* push_mode(PyObject*, PyObject* mode) {
  modes.push_back(PyRef::borrow(mode));
  modes_changed();
  Py_RETURN_NONE;
}
PyObject* pop_mode(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    check(!modes.empty(), "trying to pop from empty mode stack");
    PyRef mode = std::move(modes.back());
    modes.pop_back();
    modes_changed();
    return mode.release();
  });
}
PyObject* mode_depth(PyObject*, PyObject*) { return PyLong_FromSize_t(modes.size()); }
PyObject* mode_at(PyObject*, PyObject* index) {
  return guarded([&]() -> PyObject* {
    const int64_t i = unwrap_int(index);
    check_index(i >= 0 && i < int64_t(modes.size()), "torch dispatch mode stack index ", i, " is out of range");
    return Py_NewRef(modes[size_t(i)].get());
  });
}

PyObject* below_autograd(PyObject*, PyObject*) { return PyBool_FromLong(thread_state.below_autograd); }

// _take_geometry(wrapper, like): after an operation that changes sizes in place.
PyObject* take_geometry(PyObject*, PyObject* args) {
  PyObject *wrapper, *like;
  if (!PyArg_ParseTuple(args, "O!O!:_take_geometry", tensor_type, &wrapper, tensor_type, &like)) return nullptr;
  return guarded([&]() -> PyObject* {
    const Tensor &t = unwrap(wrapper), &from = unwrap(like);
    check((t.impl()->special & kDispatch) && !t.storage().bytes(), "_take_geometry(): the first tensor has memory of its own");
    t.impl()->set_geometry(Dims(from.sizes()), Dims(from.strides()), from.offset());
    Py_RETURN_NONE;
  });
}

struct PyDisable {
  PyObject_HEAD
  int before;
};
PyObject* disable_enter(PyObject* self, PyObject*) {
  reinterpret_cast<PyDisable*>(self)->before = subclasses_disabled;
  subclasses_disabled++;
  Py_RETURN_NONE;
}
PyObject* disable_exit(PyObject* self, PyObject*) {
  subclasses_disabled = reinterpret_cast<PyDisable*>(self)->before;
  Py_RETURN_NONE;
}

// torch._C._AutoDispatchBelowAutograd: nothing inside is recorded, as inside an operation's own implementation.
PyObject* below_enter(PyObject* self, PyObject*) {
  reinterpret_cast<PyDisable*>(self)->before = thread_state.below_autograd;
  thread_state.below_autograd = true;
  Py_RETURN_NONE;
}
PyObject* below_exit(PyObject* self, PyObject*) {
  thread_state.below_autograd = reinterpret_cast<PyDisable*>(self)->before != 0;
  Py_RETURN_NONE;
}

template <PyCFunction enter, PyCFunction exit>
void add_guard(PyObject* module, const char* name, const char* doc) {
  static PyMethodDef methods[] = {{"__enter__", enter, METH_NOARGS, nullptr}, {"__exit__", exit, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(doc)}, {Py_tp_methods, methods}, {Py_tp_new, slot(PyType_GenericNew)}, {Py_tp_dealloc, slot(free_object)}, {0, nullptr}};
  PyType_Spec spec{name, sizeof(PyDisable), 0, Py_TPFLAGS_DEFAULT, slots};
  add_type(module, spec);
}

// _make_wrapper_subclass(cls, size, *, strides=None, ...)
PyObject* make_wrapper(PyObject*, PyObject* args, PyObject* kwargs) {
  static constexpr const char* names[] = {"cls", "size", "strides", "storage_offset", "memory_format", "dtype", "layout", "device", "pin_memory", "requires_grad",
                                          "dispatch_sizes_strides_policy", "dispatch_device", "dispatch_layout", "_extra_dispatch_keys", "storage_size"};
  return guarded([&]() -> PyObject* {
    PyObject* bound[std::size(names)];
    bind_arguments({"_make_wrapper_subclass", names, 6, 2}, args, kwargs, bound);
    const auto given = [&](int i) { return bound[i] && bound[i] != Py_None; };
    check_type(PyType_Check(bound[0]) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(bound[0]), tensor_type), "cls must be a type (got ", Py_TYPE(bound[0])->tp_name, ")");
    auto* cls = reinterpret_cast<PyTypeObject*>(bound[0]);
    PyRef class_name = checked(PyObject_GetAttrString(bound[0], "__name__"));
    check_type(class_dispatches(cls), PyUnicode_AsUTF8(class_name.get()), " must define __torch_dispatch__");
    const auto dims_of = [&](int i, const char* what) {
      check_type(PyTuple_Check(bound[i]) || PyList_Check(bound[i]), "_make_wrapper_subclass(): argument '", what, "' (position ", i + 1,
                 ") must be tuple of ints, not ", type_name(bound[i]));
      Dims dims;
      for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(bound[i]); k++) dims.push_back(unwrap_int(PySequence_Fast_GET_ITEM(bound[i], k)));
      return dims;
    };
    const Dims sizes = dims_of(1, "size");
    check_sizes(sizes);
    Dims strides = contiguous_strides(sizes);
    if (given(2)) {
      strides = dims_of(2, "strides");
      check(strides.size() == sizes.size(), "dimensionality of sizes (", sizes.size(), ") must match dimensionality of strides (", strides.size(), ")");
    } else if (given(4)) {
      const MemoryFormat format = unwrap_memory_format(bound[4]);
      if (format == MemoryFormat::ChannelsLast) strides = channels_last_strides(sizes);
    }
    check_implemented(!given(6) || unwrap_layout(bound[6]) == Layout::Strided, "_make_wrapper_subclass(): only layout=torch.strided is implemented");
    check_implemented(!given(10), "_make_wrapper_subclass(): dispatch_sizes_strides_policy is not implemented: sizes and strides are those given");
    check_implemented(!flag_argument("_make_wrapper_subclass", "dispatch_device", bound[11], false) && !flag_argument("_make_wrapper_subclass", "dispatch_layout", bound[12], false),
                      "_make_wrapper_subclass(): device and layout are those given, they are not dispatched");
    const DType dtype = dtype_argument("_make_wrapper_subclass", bound[5]).value_or(default_dtype);
    const Device device = device_argument("_make_wrapper_subclass", bound[7]).value_or(device_or_default(std::nullopt));
    Tensor t = Tensor::over(Storage::make(0, device), dtype, {sizes, strides, given(3) ? unwrap_int(bound[3]) : 0});
    if (flag_argument("_make_wrapper_subclass", "requires_grad", bound[9], false)) autograd_hooks.set_requires_grad(t, true);
    return wrap_as(cls, std::move(t));
  });
}

PyMethodDef functions[] = {{"_disabled_torch_dispatch_impl", disabled_handler, METH_VARARGS, "as a class's __torch_dispatch__: no dispatch"},
                           {"_dispatch", dispatch_python, METH_VARARGS, nullptr},
                           {"_below_autograd", below_autograd, METH_NOARGS, nullptr},
                           {"_take_geometry", take_geometry, METH_VARARGS, nullptr},
                           {"_push_on_torch_dispatch_stack", push_mode, METH_O, nullptr},
                           {"_pop_torch_dispatch_stack", pop_mode, METH_VARARGS, nullptr},
                           {"_len_torch_dispatch_stack", mode_depth, METH_NOARGS, nullptr},
                           {"_get_dispatch_stack_at", mode_at, METH_O, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

PyMethodDef wrapper_method{"_make_wrapper_subclass", method(make_wrapper), METH_VARARGS | METH_KEYWORDS,
                           "_make_wrapper_subclass(cls, size, *, strides=None, storage_offset=None, memory_format=None, dtype=None, layout=torch.strided, device=None, "
                           "requires_grad=False)\n\nA tensor of class cls with these properties and no memory: its __torch_dispatch__ answers every operation."};

}  // namespace

bool dispatches(PyTypeObject* type) { return class_dispatches(type); }

void add_torch_dispatch(PyObject* module) {
  attribute = checked(PyUnicode_InternFromString("__torch_dispatch__")).release();
  add_functions(module, functions);
  disabled_impl = checked(PyObject_GetAttrString(module, "_disabled_torch_dispatch_impl")).release();
  checked(PyObject_SetAttr(as_object(tensor_type), attribute, disabled_impl));
  PyRef make = checked(PyCFunction_New(&wrapper_method, nullptr));
  checked(PyObject_SetAttrString(as_object(tensor_type), "_make_wrapper_subclass", make.get()));
  add_guard<disable_enter, disable_exit>(module, "torch._C._DisableTorchDispatch", "A context in which subclasses' __torch_dispatch__ is not called.");
  add_guard<below_enter, below_exit>(module, "torch._C._AutoDispatchBelowAutograd", "A context in which nothing is recorded for gradients.");
  call_hooks.below_autograd = dispatch;
}

}  // namespace tabula::py
