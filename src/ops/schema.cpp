#include "ops/schema.h"

#include <charconv>
#include <cmath>

namespace tabula {
namespace {

int64_t to_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(), "schema: not an integer: ", text);
  return value;
}

Scalar to_scalar(std::string_view text) {
  if (text == "True" || text == "False") return Scalar(text == "True");
  if (text == "inf") return Scalar(HUGE_VAL);
  if (text == "-inf") return Scalar(-HUGE_VAL);
  if (text.find_first_of(".e") == text.npos) return Scalar(to_int(text));
  return Scalar(std::stod(std::string(text)));
}

}  // namespace

Schema::Schema(const char* source) : text(source) {
  name = text.substr(0, text.find('('));
  base_name = name.substr(0, name.find('.'));
  returns = schema::parse(text, [this](ParamType type, std::string_view param, std::string_view value, bool has_default, bool keyword_only) {
    Param p{type, param, value, has_default, keyword_only, Value()};
    if (has_default) p.default_value = parse_default(p);
    if (type.type == Type::Tensor || type.type == Type::Operand) tensor_params.push_back(uint8_t(params.size()));
    if (type.mutated && mutated < 0) mutated = int(params.size());
    if (!keyword_only) positional++;
    params.push_back(p);
  });
  returns_list = returns == "Tensor[]";
}

Value Schema::parse_default(const Param& p) {
  const std::string_view value = p.default_text;
  if (value == "None") return Value();
  if (p.type.list && p.type.type == Type::Int) {
    std::vector<int64_t> items;
    if (value.front() == '[') {
      std::string_view rest = value.substr(1, value.size() - 2);
      while (!rest.empty()) {
        const size_t comma = rest.find(',');
        std::string_view one = rest.substr(0, comma);
        while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
        items.push_back(to_int(one));
        rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
      }
    } else {
      items.assign(p.type.list_size, to_int(value));
    }
    lists_.push_back(std::make_unique<int64_t[]>(items.size() + 1));
    std::copy(items.begin(), items.end(), lists_.back().get());
    return Value(IntList(lists_.back().get(), items.size()));
  }
  switch (p.type.type) {
    case Type::Str: return Value(value.substr(1, value.size() - 2));
    case Type::Float: return Value(to_scalar(value).to_double());
    case Type::MemoryFormat: return Value(value == "preserve_format" ? MemoryFormat::Preserve : MemoryFormat::Contiguous);
    case Type::DType: return Value(value == "int64" ? DType::Int64 : value == "bool" ? DType::Bool : DType::Float32);
    default: return Value(to_scalar(value));
  }
}

}  // namespace tabula
