#include "kernels/gpu/render.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "kernels/formulas/rows.h"

namespace tabula::kernels::gpu {
namespace {

std::string literal(Language language, double value) {
  const float x = float(value);
  if (!std::isfinite(x)) {
    char bits[64];
    std::snprintf(bits, sizeof(bits), language == Language::Cuda ? "__int_as_float(0x%x)" : "as_float(0x%xu)",
                  std::bit_cast<uint32_t>(x));
    return bits;
  }
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%.9g", double(x));
  std::string text = digits;
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  text += 'f';
  return std::signbit(x) ? '(' + text + ')' : text;
}

// Turns the nodes of an expression into statements, each distinct one once: nodes that compute the same from the same
// operands get the same number, however often the formula spelt them.
class Writer {
 public:
  Writer(Language language, std::string& text) : language_(language), text_(text) {}

  const std::string& operand(const Expr::Node& node) {
    if (const auto seen = by_node_.find(&node); seen != by_node_.end()) return names_[seen->second];
    const int arity = node.op < ExprOp::Input ? kExprInfo[int(node.op)].arity : 0;
    std::array<int, 3> in{-1, -1, -1};
    for (int k = 0; k < arity; k++) {
      operand(*node.in[k]);
      in[k] = by_node_.at(node.in[k].get());
    }
    const auto [entry, fresh] =
        by_value_.try_emplace({node.op, std::bit_cast<uint64_t>(node.value), in}, int(names_.size()));
    by_node_[&node] = entry->second;
    if (fresh) names_.push_back(write(node, in));
    return names_[entry->second];
  }

 private:
  // The name under which the value is found from now on.
  std::string write(const Expr::Node& node, const std::array<int, 3>& in) {
    switch (node.op) {
      case ExprOp::Constant: return literal(language_, node.value);
      case ExprOp::Parameter: return concat('p', int(node.value));
      case ExprOp::Input: return statement(false, concat('x', int(node.value), "[i]"));
      default: break;
    }
    const ExprInfo& info = kExprInfo[int(node.op)];
    std::string value;
    for (const char* c = info.text; *c; c++) {
      if (*c == '$')
        value += names_[in[*++c - '0']];
      else if (*c != '@')
        value += *c;
      else if (language_ == Language::Cuda)
        value += 'f';
    }
    return statement(info.condition, value);
  }
  std::string statement(bool condition, const std::string& value) {
    const std::string name = concat('v', statements_++);
    text_ += concat("  const ", condition ? "bool " : "float ", name, " = ", value, ";\n");
    return name;
  }

  Language language_;
  std::string& text_;
  int statements_ = 0;
  std::vector<std::string> names_;
  std::unordered_map<const Expr::Node*, int> by_node_;
  std::map<std::tuple<ExprOp, uint64_t, std::array<int, 3>>, int> by_value_;
};

// What a formula finds as its parameters.
struct Parameters {
  Expr operator[](int k) const { return Expr::parameter(k); }
};

template <class F>
Expr read(Inputs<1>, const F& f) {
  return f(Parameters(), Expr::input(0));
}
template <class F>
Expr read(Inputs<2>, const F& f) {
  return f(Parameters(), Expr::input(0), Expr::input(1));
}
template <class F>
Expr read(Inputs<3>, const F& f) {
  return f(Parameters(), Expr::input(0), Expr::input(1), Expr::input(2));
}

template <class Reader>
void all_rows(const Reader& row) {
  activation_rows(row);
  math_rows(row);
  arith_rows(row);
  scaled_rows(row);
}

Expr expression_of(Pointwise wanted) {
  std::optional<Expr> found;
  all_rows([&](Pointwise op, auto inputs, const auto& f) {
    if (op == wanted) found = read(inputs, f);
  });
  check(found.has_value(), "no formula is rendered for '", kPointwise[int(wanted)].name, "'");
  return *found;
}

}  // namespace

std::string render_kernel(Language language, const std::string& name, int inputs, int params, const Expr& result) {
  const bool cuda = language == Language::Cuda;
  const char* const memory = cuda ? "" : "__global ";
  // OpenCL lets a compiler fuse products with sums, which the CPU's kernels don't; NVRTC is told by --fmad=false
  std::string text = cuda ? "extern \"C\" __global__ void " : "#pragma OPENCL FP_CONTRACT OFF\n__kernel void ";
  text += concat(name, cuda ? "(unsigned long long n, " : "(ulong n, ", memory, "float* out");
  for (int k = 0; k < inputs; k++) text += concat(", ", memory, "const float* x", k);
  for (int k = 0; k < params; k++) text += concat(", float p", k);
  text += ") {\n  const ";
  text += cuda ? "unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;\n"
               : "size_t i = get_global_id(0);\n";
  text += "  if (i >= n) return;\n";
  const std::string value = Writer(language, text).operand(result.node());
  return text + "  out[i] = " + value + ";\n}\n";
}

std::span<const Pointwise> rendered_operations() {
  static const std::vector<Pointwise> operations = [] {
    std::vector<Pointwise> list;
    all_rows([&](Pointwise op, auto, const auto&) { list.push_back(op); });
    return list;
  }();
  return operations;
}

bool is_rendered(Pointwise op) {
  const auto list = rendered_operations();
  return std::find(list.begin(), list.end(), op) != list.end();
}

// The prefix keeps clear of the languages' own functions.
std::string kernel_name(Pointwise op) { return concat("tabula_", kPointwise[int(op)].name); }

std::string render(Language language, Pointwise op) {
  const PointwiseInfo& info = kPointwise[int(op)];
  return render_kernel(language, kernel_name(op), info.inputs, info.params, expression_of(op));
}

}  // namespace tabula::kernels::gpu
