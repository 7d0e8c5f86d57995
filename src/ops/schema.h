// Schema strings, PyTorch's own notation: "add(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor".
// A row's text is checked when it is compiled; the parsed form is made once, when the operation registers.
//
// Types: Tensor Operand(Tensor or number) Scalar int float bool str dtype Device Layout MemoryFormat Generator, each
// with `?` (may be None) or `[]` / `[n]` (list; with n a single int stands for n equal ones). `Tensor(a)` marks a view
// of that argument, `Tensor(a!)` one that is written to.
#pragma once

#include <string>
#include <vector>

#include "ops/value.h"

namespace tabula {

enum class Type : uint8_t {
  Tensor, Operand, Scalar, Int, Float, Bool, Str, DType, Device, Layout, MemoryFormat, Generator, None
};

struct ParamType {
  Type type = Type::None;
  bool optional = false, list = false, item_optional = false, alias = false, mutated = false;
  uint8_t list_size = 0;
  constexpr bool operator==(const ParamType&) const = default;
};

struct Param {
  ParamType type;
  std::string_view name, default_text;
  bool has_default = false, keyword_only = false;
  Value default_value;
};

namespace schema {

// A cursor that runs both in the compiler and at start-up.
struct Cursor {
  std::string_view text;
  size_t at = 0;
  constexpr void space() {
    while (at < text.size() && text[at] == ' ') at++;
  }
  constexpr bool take(std::string_view token) {
    if (text.substr(at, token.size()) != token) return false;
    at += token.size();
    return true;
  }
  constexpr void need(std::string_view token) {
    if (!take(token)) throw "schema: a token is missing (one of ( ) , -> = ])";
  }
  constexpr std::string_view word() {
    const size_t start = at;
    while (at < text.size()) {
      const char c = text[at];
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) break;
      at++;
    }
    if (at == start) throw "schema: a name is missing";
    return text.substr(start, at - start);
  }
};

constexpr Type type_named(std::string_view name) {
  constexpr std::pair<std::string_view, Type> names[] = {
      {"Tensor", Type::Tensor}, {"Operand", Type::Operand}, {"Scalar", Type::Scalar}, {"int", Type::Int},
      {"SymInt", Type::Int},    {"float", Type::Float},     {"bool", Type::Bool},     {"str", Type::Str},
      {"dtype", Type::DType},   {"Device", Type::Device},   {"Layout", Type::Layout}, {"MemoryFormat", Type::MemoryFormat},
      {"Generator", Type::Generator}};
  for (auto& [text, type] : names)
    if (text == name) return type;
  throw "schema: unknown type name";
}

constexpr ParamType parse_type(Cursor& c) {
  ParamType t;
  t.type = type_named(c.word());
  if (c.take("(")) {
    c.word();
    t.alias = true;
    t.mutated = c.take("!");
    c.need(")");
  }
  if (c.take("?")) t.optional = true;
  if (c.take("[")) {
    t.list = true;
    t.item_optional = t.optional;
    t.optional = false;
    while (c.at < c.text.size() && c.text[c.at] >= '0' && c.text[c.at] <= '9') t.list_size = uint8_t(t.list_size * 10 + (c.text[c.at++] - '0'));
    c.need("]");
    if (c.take("?")) t.optional = true;
  }
  return t;
}

// Calls on_param(ParamType, name, default text, has default, keyword only) for each; returns the result part.
template <class F>
constexpr std::string_view parse(std::string_view text, F&& on_param) {
  Cursor c{text};
  c.word();
  c.need("(");
  bool keyword_only = false;
  c.space();
  while (!c.take(")")) {
    if (c.take("*")) {
      keyword_only = true;
    } else {
      const ParamType type = parse_type(c);
      c.need(" ");
      const std::string_view name = c.word();
      std::string_view value;
      const bool has_default = c.take("=");
      if (has_default) {
        const size_t start = c.at;
        int depth = 0;
        while (c.at < text.size() && (depth > 0 || (text[c.at] != ',' && text[c.at] != ')'))) {
          depth += text[c.at] == '[' || text[c.at] == '(';
          depth -= text[c.at] == ']';
          c.at++;
        }
        value = text.substr(start, c.at - start);
        if (value.empty()) throw "schema: a default value is missing";
      }
      on_param(type, name, value, has_default, keyword_only);
    }
    c.space();
    if (c.take(",")) c.space();
  }
  c.need(" -> ");
  return text.substr(c.at);
}

}  // namespace schema

// The parsed form.
class Schema {
 public:
  explicit Schema(const char* text);
  Schema(const Schema&) = delete;
  std::string_view text, name, base_name, returns;  // "sum.dim", "sum"
  std::vector<Param> params;
  int positional = 0;       // how many may be given by position
  std::vector<uint8_t> tensor_params;  // indices of those that can hold tensors
  int mutated = -1;         // index of the argument that is written to
  bool returns_list = false;

 private:
  Value parse_default(const Param& p);
  std::vector<std::unique_ptr<int64_t[]>> lists_;
};

}  // namespace tabula
