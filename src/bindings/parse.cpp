#include "bindings/parse.h"

#include <algorithm>

#include "bindings/helpers.h"
#include "ops/optional_int.h"

namespace tabula::py {
namespace {

// Converting an item may run Python code that changes the list: it is looked up anew and held each time.
PyRef item_of(PyObject* sequence, Py_ssize_t i) {
  check(i < PySequence_Fast_GET_SIZE(sequence), "the list changed its length while it was read");
  return PyRef::borrow(PySequence_Fast_GET_ITEM(sequence, i));
}

// What counts as an int: Python's and whatever has __index__, but no bool, and of tensors those of one integer.
bool is_int(PyObject* o, bool any_dims = false) {
  if (PyLong_Check(o)) return !PyBool_Check(o);
  if (PyFloat_Check(o) || !PyIndex_Check(o)) return false;
  if (!is_tensor(o)) return true;
  const Tensor& t = unwrap(o);
  return is_integral(t.dtype()) && (t.dim() == 0 || (any_dims && t.numel() == 1));
}

bool convert_int_list(PyObject* o, const ParamType& type, Parsed& parsed, Value& value) {
  if (PyTuple_Check(o) || PyList_Check(o)) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    PyObject** items = PySequence_Fast_ITEMS(o);
    for (Py_ssize_t i = 0; i < n; i++) {
      if (!(type.item_optional && items[i] == Py_None) && !is_int(items[i], true)) return false;
    }
    int64_t* list = parsed.list<int64_t>(size_t(n));
    for (Py_ssize_t i = 0; i < n; i++) {
      const PyRef item = item_of(o, i);
      list[i] = item.get() == Py_None ? kNoInt : unwrap_int(item.get());
    }
    value = Value(IntList(list, size_t(n)));
    return true;
  }
  if (type.item_optional && o == Py_None) {
    int64_t* list = parsed.list<int64_t>(1);
    list[0] = kNoInt;
    value = Value(IntList(list, 1));
    return true;
  }
  if (type.list_size && is_int(o)) {
    // lists whose items may be None keep an int apart from a tuple of equal ones: it stays a single item
    const size_t n = type.item_optional ? 1 : type.list_size;
    int64_t* list = parsed.list<int64_t>(n);
    std::fill_n(list, n, unwrap_int(o));
    value = Value(IntList(list, n));
    return true;
  }
  return false;
}

bool convert_tensor_list(PyObject* o, const ParamType& type, Parsed& parsed, Value& value) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  PyObject** items = PySequence_Fast_ITEMS(o);
  for (Py_ssize_t i = 0; i < n; i++)
    if (!is_tensor(items[i]) && !(type.item_optional && items[i] == Py_None)) return false;
  std::vector<Tensor>& list = parsed.tensors();
  list.reserve(size_t(n) + 1);
  for (Py_ssize_t i = 0; i < n; i++) list.push_back(items[i] == Py_None ? Tensor() : unwrap(items[i]));
  value = Value(TensorList(list.data(), list.size()));
  return true;
}

bool convert_float_list(PyObject* o, Parsed& parsed, Value& value) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  double* list = parsed.list<double>(size_t(n));
  for (Py_ssize_t i = 0; i < n; i++) {
    const PyRef item = item_of(o, i);
    if (!is_number(item.get())) return false;
    list[i] = unwrap_scalar(item.get()).to_double();
  }
  value = Value(std::span<const double>(list, size_t(n)));
  return true;
}

bool convert_bool_list(PyObject* o, Parsed& parsed, Value& value) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  bool* list = parsed.list<bool>(size_t(n));
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* item = PySequence_Fast_GET_ITEM(o, i);
    if (!PyBool_Check(item)) return false;
    list[i] = item == Py_True;
  }
  value = Value(std::span<const bool>(list, size_t(n)));
  return true;
}

}  // namespace

bool convert(PyObject* o, const ParamType& type, Parsed& parsed, Value& value) {
  if (o == Py_None && type.optional) {
    value = Value();
    return true;
  }
  if (type.list) {
    switch (type.type) {
      case Type::Int: return convert_int_list(o, type, parsed, value);
      case Type::Tensor: return convert_tensor_list(o, type, parsed, value);
      case Type::Float: return convert_float_list(o, parsed, value);
      case Type::Bool: return convert_bool_list(o, parsed, value);
      default: return false;
    }
  }
  switch (type.type) {
    case Type::Tensor:
      if (!is_tensor(o)) return false;
      value = Value(unwrap(o));
      return true;
    case Type::Operand:
      if (is_tensor(o)) {
        value = Value(unwrap(o));
        return true;
      }
      [[fallthrough]];
    case Type::Scalar:
      if (PyFloat_CheckExact(o)) {
        value = Value(PyFloat_AS_DOUBLE(o));
        return true;
      }
      if (is_number(o)) {
        value = Value(unwrap_scalar(o));
        return true;
      }
      if (type.type == Type::Scalar && is_tensor(o) && unwrap(o).dim() == 0) {
        value = Value(item(unwrap(o)));
        return true;
      }
      return false;
    case Type::Int:
      if (is_int(o)) {
        value = Value(unwrap_int(o));
        return true;
      }
      return false;
    case Type::Float:
      if (PyFloat_Check(o) || PyLong_Check(o) || (is_number(o) && !PyComplex_Check(o)) || (is_tensor(o) && unwrap(o).dim() == 0)) {
        value = Value(unwrap_scalar(o).to_double());
        return true;
      }
      return false;
    case Type::Bool:
      if (PyBool_Check(o)) {
        value = Value(o == Py_True);
        return true;
      }
      if (!is_tensor(o) && is_number(o) && !PyLong_Check(o) && !PyFloat_Check(o) && !PyComplex_Check(o)) {  // numpy.bool
        const Scalar s = unwrap_scalar(o);
        if (!s.is_bool()) return false;
        value = Value(s.to_bool());
        return true;
      }
      return false;
    case Type::Str:
      if (!PyUnicode_Check(o)) return false;
      {
        Py_ssize_t n;
        const char* text = PyUnicode_AsUTF8AndSize(o, &n);
        if (!text) throw PythonError{};
        value = Value(std::string_view(text, size_t(n)));
      }
      return true;
    case Type::DType:
      if (is_dtype(o))
        value = Value(unwrap_dtype(o));
      else if (o == reinterpret_cast<PyObject*>(&PyFloat_Type))
        value = Value(DType::Float64);
      else if (o == reinterpret_cast<PyObject*>(&PyLong_Type))
        value = Value(DType::Int64);
      else if (o == reinterpret_cast<PyObject*>(&PyBool_Type))
        value = Value(DType::Bool);
      else if (o == reinterpret_cast<PyObject*>(&PyComplex_Type))
        value = Value(DType::Complex128);
      else
        return false;
      return true;
    case Type::Device:
      if (!is_device(o) && !PyUnicode_Check(o) && !(PyLong_Check(o) && !PyBool_Check(o))) return false;
      value = Value(unwrap_device(o));
      return true;
    case Type::Layout:
      if (!is_layout(o)) return false;
      value = Value(unwrap_layout(o));
      return true;
    case Type::MemoryFormat:
      if (!is_memory_format(o)) return false;
      value = Value(unwrap_memory_format(o));
      return true;
    case Type::Generator:
      if (o == Py_None) {
        value = Value();
        return true;
      }
      if (!is_generator(o)) return false;
      value = Value(unwrap_generator(o));
      return true;
    default: return false;
  }
}

std::string type_description(const ParamType& type) {
  const char* one = "";
  switch (type.type) {
    case Type::Tensor: one = "Tensor"; break;
    case Type::Operand: one = "Tensor"; break;
    case Type::Scalar: one = "Number"; break;
    case Type::Int: one = "int"; break;
    case Type::Float: one = "float"; break;
    case Type::Bool: one = "bool"; break;
    case Type::Str: one = "str"; break;
    case Type::DType: one = "torch.dtype"; break;
    case Type::Device: one = "torch.device"; break;
    case Type::Layout: one = "torch.layout"; break;
    case Type::MemoryFormat: one = "torch.memory_format"; break;
    case Type::Generator: one = "torch.Generator"; break;
    case Type::None: break;
  }
  return type.list ? std::string("tuple of ") + one + "s" : one;
}

Signature::Signature(const Op& target) : op(&target) {
  const Schema& schema = target.schema;
  positional = schema.positional;
  for (const Param& p : schema.params) names.push_back(PyUnicode_InternFromString(std::string(p.name).c_str()));
  has_input = !schema.params.empty() && (schema.params[0].name == "input" || schema.params[0].name == "self") &&
              (schema.params[0].type.type == Type::Tensor || schema.params[0].type.type == Type::Operand) && !schema.params[0].type.list;
  const int first = has_input ? 1 : 0;
  if (positional == first + 1 && schema.params[size_t(first)].type == ParamType{.type = Type::Int, .list = true}) varargs = first;
}

namespace {

// Flags of the factories that may be None although they have a default.
bool none_is_default(const Param& p) { return p.has_default && (p.name == "requires_grad" || p.name == "pin_memory"); }

bool name_is(PyObject* given, PyObject* interned) {
  return given == interned || PyUnicode_Compare(given, interned) == 0;
}

// None also stands for an int list that is empty unless given.
bool convert(PyObject* o, const Param& p, Parsed& parsed, Value& value) {
  if (convert(o, p.type, parsed, value)) return true;
  if (o != Py_None || p.default_text != "[]") return false;
  value = p.default_value;
  return true;
}

// What to say of an argument that doesn't fit; position 0 stands for a keyword.
std::string where(const Param& p, int position) {
  return position ? concat("argument '", p.name, "' (position ", position, ")") : concat("argument '", p.name, "'");
}
std::string bad_element(const Param& p, PyObject* item, Py_ssize_t at, int position) {
  const char* type = type_name(item);
  if (at == 0) return concat(where(p, position), " must be ", type_description(p.type), ", but found element of type ", type, " at pos 0");
  return concat("argument '", p.name, "' failed to unpack the object at pos ", at + 1, " with error \"type must be ", type_description(p.type), ",but got ", type, "\"");
}
std::string mismatch(const Param& p, PyObject* given, int position) {
  if (p.type.list && (PyTuple_Check(given) || PyList_Check(given))) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(given); i++) {
      PyObject* item = PySequence_Fast_GET_ITEM(given, i);
      if (p.type.type == Type::Tensor && !is_tensor(item)) return concat("expected Tensor as element ", i, " in argument 0, but got ", type_name(item));
      if (p.type.type == Type::Int && !is_int(item, true)) return bad_element(p, item, i, position);
    }
  }
  return concat(where(p, position), " must be ", type_description(p.type), ", not ", type_name(given));
}

}  // namespace

bool parse(const Signature& signature, const Arguments& call, Parsed& parsed, std::string* error) {
  const Schema& schema = signature.op->schema;
  const int count = int(schema.params.size());
  int next = 0;
  const auto problem = [&](auto&&... parts) {
    if (error) *error = concat(parts...);
    return false;
  };
  if (call.self) {
    if (!convert(call.self, schema.params[0].type, parsed, parsed.values[0])) return problem("self must be a Tensor");
    next = 1;
  }
  const int first = next;
  Py_ssize_t used = 0;
  if (signature.varargs >= 0 && next == signature.varargs && call.count >= 1 &&
      !(PyTuple_Check(call.args[0]) || PyList_Check(call.args[0]))) {
    // f(2, 3) for f((2, 3))
    int64_t* list = parsed.list<int64_t>(size_t(call.count));
    for (Py_ssize_t i = 0; i < call.count; i++) {
      PyObject* o = call.args[i];
      if (!is_int(o, true))
        return problem(call.count == 1 ? mismatch(schema.params[size_t(next)], o, 1) : bad_element(schema.params[size_t(next)], o, i, 1));
      list[i] = unwrap_int(o);
    }
    parsed.values[next++] = Value(IntList(list, size_t(call.count)));
    used = call.count;
  }
  for (; used < call.count; used++, next++) {
    if (next >= signature.positional) {
      int least = 0;
      for (int i = first; i < count; i++) least += !schema.params[size_t(i)].has_default;
      const int most = signature.positional - first;
      return problem("takes ", least < most ? concat("from ", least, " to ") : "", most, " positional argument",
                     most == 1 ? "" : "s", " but ", call.count, call.count == 1 ? " was" : " were", " given");
    }
    const Param& p = schema.params[size_t(next)];
    if (!convert(call.args[used], p, parsed, parsed.values[next]))
      return error ? problem(mismatch(p, call.args[used], next - first + 1)) : false;
  }
  const int filled = next;
  for (int i = filled; i < count; i++) parsed.values[i] = schema.params[size_t(i)].default_value;
  uint32_t given = (1u << filled) - 1;
  if (call.kwnames) {
    const Py_ssize_t n = PyTuple_GET_SIZE(call.kwnames);
    for (Py_ssize_t k = 0; k < n; k++) {
      PyObject* name = PyTuple_GET_ITEM(call.kwnames, k);
      PyObject* value = call.args[call.count + k];
      int found = -1;
      for (int i = first; i < count; i++)
        if (name_is(name, signature.names[size_t(i)])) found = i;
      if (found < 0) {
        const char* utf8 = PyUnicode_AsUTF8(name);
        if (!utf8) throw PythonError{};
        const std::string_view text = utf8;
        if (text == "out" && (signature.op->def.on & OutForm)) {
          if (value != Py_None) parsed.out = value;
          continue;
        }
        // NumPy's names for the same parameters
        const std::string_view alias = text == "axis"                                                 ? "dim"
                                       : text == "keepdims"                                           ? "keepdim"
                                       : text == "x" || text == "a" || text == "x1" || text == "self" ? "input"
                                       : text == "x2"                                                 ? "other"
                                                                                                      : "";
        for (int i = first; i < count && found < 0 && !alias.empty(); i++)
          if (schema.params[size_t(i)].name == alias) found = i;
        if (found < 0) return problem("got an unexpected keyword argument '", text, "'");
      }
      if (given >> found & 1) return problem("got multiple values for argument '", PyUnicode_AsUTF8(name), "'");
      const Param& p = schema.params[size_t(found)];
      if (!convert(value, p, parsed, parsed.values[found])) {
        if (value == Py_None && none_is_default(p)) continue;
        return error ? problem(mismatch(p, value, 0)) : false;
      }
      given |= 1u << found;
    }
  }
  for (int i = filled; i < count; i++) {
    const Param& p = schema.params[size_t(i)];
    if (!(given >> i & 1) && !p.has_default) {
      int missing = 0;
      for (int j = i; j < count; j++) missing += !(given >> j & 1) && !schema.params[size_t(j)].has_default;
      std::string names;
      for (int j = i; j < count; j++)
        if (!(given >> j & 1) && !schema.params[size_t(j)].has_default)
          names += (names.empty() ? "\"" : ", \"") + std::string(schema.params[size_t(j)].name) + "\"";
      // the plural is the wrong way round in PyTorch's text, and programs compare with that
      return problem("missing ", missing, " required positional argument", missing == 1 ? "s" : "", ": ", names);
    }
  }
  return true;
}

namespace {

std::string describe_arguments(const Arguments& call) {
  std::string text = "(";
  for (Py_ssize_t i = 0; i < call.count; i++) {
    PyObject* o = call.args[i];
    std::string one = type_name(o);
    if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
      one += PyTuple_Check(o) ? " of (" : " of [";
      const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
      for (Py_ssize_t k = 0; k < n; k++) {
        PyObject* item = PySequence_Fast_GET_ITEM(o, k);
        one += (k ? ", " : "") + std::string(type_name(item));
      }
      if (PyTuple_Check(o) && n == 1) one += ",";
      one += PyTuple_Check(o) ? ")" : "]";
    }
    text += (i ? ", " : "") + one;
  }
  if (call.kwnames) {
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(call.kwnames); k++) {
      PyObject* o = call.args[call.count + k];
      text += (call.count + k ? ", " : "") + std::string(PyUnicode_AsUTF8(PyTuple_GET_ITEM(call.kwnames, k))) + "=" + type_name(o);
    }
    if (call.self) text += ", ";
  }
  return text + ")";
}

std::string signature_text(const Signature& s, bool method) {
  std::string text = "(";
  bool star = false, first = true;
  for (size_t i = method && s.has_input ? 1 : 0; i < s.op->schema.params.size(); i++) {
    const Param& p = s.op->schema.params[i];
    if (!first) text += ", ";
    first = false;
    if (p.keyword_only && !star) {
      text += "*, ";
      star = true;
    }
    text += type_description(p.type) + " " + std::string(p.name);
    if (p.has_default) text += " = " + std::string(p.default_text);
  }
  if (s.op->def.on & OutForm && !method) text += std::string(first ? "" : ", ") + (star ? "" : "*, ") + "Tensor out = None";
  return text + ")";
}

// The overload that the call can only have meant: there is no other, or no other takes so many arguments.
const Signature* only_plausible(const std::vector<Signature*>& overloads, const Arguments& call) {
  if (overloads.size() == 1) return overloads[0];
  const Py_ssize_t given = call.count + (call.kwnames ? PyTuple_GET_SIZE(call.kwnames) : 0);
  const Signature* found = nullptr;
  for (const Signature* s : overloads) {
    const std::vector<Param>& params = s->op->schema.params;
    const Py_ssize_t skip = call.self ? 1 : 0, most = Py_ssize_t(params.size()) - skip + (s->op->def.on & OutForm && !call.self);
    const Py_ssize_t least = std::count_if(params.begin(), params.end(), [](const Param& p) { return !p.has_default; }) - skip;
    if (given < least || given > most) continue;
    if (found) return nullptr;
    found = s;
  }
  return found;
}

}  // namespace

void fail_no_overload(const char* name, const std::vector<Signature*>& overloads, const Arguments& call) {
  if (const Signature* only = only_plausible(overloads, call)) {
    if (call.self && only->op->schema.params.size() == 1) {
      check_type(!call.kwnames || PyTuple_GET_SIZE(call.kwnames) == 0, "TensorBase.", name, "() takes no keyword arguments");
      fail(ErrorKind::Type, "TensorBase.", name, "() takes no arguments (", call.count, " given)");
    }
    Parsed parsed;
    std::string reason;
    (void)parse(*only, call, parsed, &reason);
    if (reason.starts_with("expected")) fail(ErrorKind::Type, reason);
    fail(ErrorKind::Type, name, reason.starts_with("argument") ? "(): " : "() ", reason);
  }
  std::string text = concat(name, "() received an invalid combination of arguments - got ", describe_arguments(call), ", but expected one of:\n");
  for (const Signature* s : overloads) {
    Parsed parsed;
    std::string reason;
    (void)parse(*s, call, parsed, &reason);
    text += concat(" * ", signature_text(*s, call.self != nullptr), "\n", reason.empty() ? "" : concat("      didn't match because: ", reason, "\n"));
  }
  fail(ErrorKind::Type, text);
}

}  // namespace tabula::py
