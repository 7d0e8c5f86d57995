// `Expr`: a symbol as the value type of the formulas. A formula read over it leaves the expression it computes, from
// which render.h writes a kernel's text.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace tabula::kernels::gpu {

// X(name, arity, is a condition, text). In the text $0, $1, $2 stand for the operands and @ for the suffix by which a
// language marks its functions of float. NaN goes through minimum and maximum, as in the CPU's kernels. OpenCL lets
// tanh be 5 ULP off and erf 16, also where they have reached one (PoCL's tanh never does); gelu multiplies that by x,
// so the last stretch, in which a float has no other value than one, is not left to them.
#define TABULA_EXPR_OPS(X)                                                 \
  X(Add, 2, false, "$0 + $1")                                              \
  X(Sub, 2, false, "$0 - $1")                                              \
  X(Mul, 2, false, "$0 * $1")                                              \
  X(Div, 2, false, "$0 / $1")                                              \
  X(Neg, 1, false, "-$0")                                                  \
  X(Fma, 3, false, "fma@($0, $1, $2)")                                     \
  X(Less, 2, true, "$0 < $1")                                              \
  X(LessEqual, 2, true, "$0 <= $1")                                        \
  X(Greater, 2, true, "$0 > $1")                                           \
  X(GreaterEqual, 2, true, "$0 >= $1")                                     \
  X(Equal, 2, true, "$0 == $1")                                            \
  X(NotEqual, 2, true, "$0 != $1")                                         \
  X(And, 2, true, "$0 & $1")                                               \
  X(Or, 2, true, "$0 | $1")                                                \
  X(Xor, 2, true, "$0 ^ $1")                                               \
  X(Select, 3, false, "$0 ? $1 : $2")                                      \
  X(Minimum, 2, false, "$0 != $0 || $0 < $1 ? $0 : $1")                    \
  X(Maximum, 2, false, "$0 != $0 || $0 > $1 ? $0 : $1")                    \
  X(Abs, 1, false, "fabs@($0)")                                            \
  X(Floor, 1, false, "floor@($0)")                                         \
  X(Ceil, 1, false, "ceil@($0)")                                           \
  X(Trunc, 1, false, "trunc@($0)")                                         \
  X(RoundEven, 1, false, "rint@($0)")                                      \
  X(Sqrt, 1, false, "sqrt@($0)")                                           \
  X(Exp, 1, false, "exp@($0)")                                             \
  X(Exp2, 1, false, "exp2@($0)")                                           \
  X(Expm1, 1, false, "expm1@($0)")                                         \
  X(Log, 1, false, "log@($0)")                                             \
  X(Log2, 1, false, "log2@($0)")                                           \
  X(Log10, 1, false, "log10@($0)")                                         \
  X(Log1p, 1, false, "log1p@($0)")                                         \
  X(Sin, 1, false, "sin@($0)")                                             \
  X(Cos, 1, false, "cos@($0)")                                             \
  X(Tan, 1, false, "tan@($0)")                                             \
  X(Asin, 1, false, "asin@($0)")                                           \
  X(Acos, 1, false, "acos@($0)")                                           \
  X(Atan, 1, false, "atan@($0)")                                           \
  X(Sinh, 1, false, "sinh@($0)")                                           \
  X(Cosh, 1, false, "cosh@($0)")                                           \
  X(Tanh, 1, false, "fabs@($0) > 10.0f ? copysign@(1.0f, $0) : tanh@($0)") \
  X(Asinh, 1, false, "asinh@($0)")                                         \
  X(Acosh, 1, false, "acosh@($0)")                                         \
  X(Atanh, 1, false, "atanh@($0)")                                         \
  X(Erf, 1, false, "fabs@($0) > 4.0f ? copysign@(1.0f, $0) : erf@($0)")    \
  X(Erfc, 1, false, "erfc@($0)")                                           \
  X(Pow, 2, false, "pow@($0, $1)")                                         \
  X(Atan2, 2, false, "atan2@($0, $1)")                                     \
  X(Hypot, 2, false, "hypot@($0, $1)")                                     \
  X(Fmod, 2, false, "fmod@($0, $1)")                                       \
  X(Copysign, 2, false, "copysign@($0, $1)")                               \
  X(NextAfter, 2, false, "nextafter@($0, $1)")

enum class ExprOp : uint8_t {
#define X(name, arity, condition, text) name,
  TABULA_EXPR_OPS(X)
#undef X
      Input,
  Parameter,
  Constant
};

struct ExprInfo {
  uint8_t arity;
  bool condition;
  const char* text;
};
inline constexpr ExprInfo kExprInfo[] = {
#define X(name, arity, condition, text) {arity, condition, text},
    TABULA_EXPR_OPS(X)
#undef X
};

class Expr {
 public:
  struct Node {
    ExprOp op;
    double value;  // of a constant; else the index of an input or parameter
    std::array<std::shared_ptr<const Node>, 3> in;
  };

  explicit Expr(double constant) : Expr(ExprOp::Constant, constant) {}
  static Expr input(int index) { return Expr(ExprOp::Input, index); }
  static Expr parameter(int index) { return Expr(ExprOp::Parameter, index); }
  template <class... Operands>
  static Expr make(ExprOp op, const Operands&... operands) {
    return Expr(op, 0, operands.node_...);
  }
  const Node& node() const { return *node_; }

 private:
  template <class... Nodes>
  Expr(ExprOp op, double value, Nodes... in)
      : node_(std::make_shared<const Node>(Node{op, value, {std::move(in)...}})) {}
  std::shared_ptr<const Node> node_;
};

#define TABULA_EXPR1(function, op) \
  inline Expr function(const Expr& x) { return Expr::make(ExprOp::op, x); }
#define TABULA_EXPR2(function, op) \
  inline Expr function(const Expr& x, const Expr& y) { return Expr::make(ExprOp::op, x, y); }
#define TABULA_EXPR3(function, op) \
  inline Expr function(const Expr& x, const Expr& y, const Expr& z) { return Expr::make(ExprOp::op, x, y, z); }
TABULA_EXPR2(operator+, Add)
TABULA_EXPR2(operator-, Sub)
TABULA_EXPR2(operator*, Mul)
TABULA_EXPR2(operator/, Div)
TABULA_EXPR1(operator-, Neg)
TABULA_EXPR2(operator<, Less)
TABULA_EXPR2(operator<=, LessEqual)
TABULA_EXPR2(operator>, Greater)
TABULA_EXPR2(operator>=, GreaterEqual)
TABULA_EXPR2(operator==, Equal)
TABULA_EXPR2(operator!=, NotEqual)
TABULA_EXPR2(operator&, And)
TABULA_EXPR2(operator|, Or)
TABULA_EXPR2(operator^, Xor)
TABULA_EXPR3(select, Select)
TABULA_EXPR3(fma, Fma)
TABULA_EXPR2(minimum, Minimum)
TABULA_EXPR2(maximum, Maximum)
TABULA_EXPR1(abs, Abs)
TABULA_EXPR1(floor, Floor)
TABULA_EXPR1(ceil, Ceil)
TABULA_EXPR1(trunc, Trunc)
TABULA_EXPR1(round_even, RoundEven)
TABULA_EXPR1(sqrt, Sqrt)
TABULA_EXPR1(exp, Exp)
TABULA_EXPR1(exp2, Exp2)
TABULA_EXPR1(expm1, Expm1)
TABULA_EXPR1(log, Log)
TABULA_EXPR1(log2, Log2)
TABULA_EXPR1(log10, Log10)
TABULA_EXPR1(log1p, Log1p)
TABULA_EXPR1(sin, Sin)
TABULA_EXPR1(cos, Cos)
TABULA_EXPR1(tan, Tan)
TABULA_EXPR1(asin, Asin)
TABULA_EXPR1(acos, Acos)
TABULA_EXPR1(atan, Atan)
TABULA_EXPR1(sinh, Sinh)
TABULA_EXPR1(cosh, Cosh)
TABULA_EXPR1(tanh, Tanh)
TABULA_EXPR1(asinh, Asinh)
TABULA_EXPR1(acosh, Acosh)
TABULA_EXPR1(atanh, Atanh)
TABULA_EXPR1(erf, Erf)
TABULA_EXPR1(erfc, Erfc)
TABULA_EXPR2(pow, Pow)
TABULA_EXPR2(atan2, Atan2)
TABULA_EXPR2(hypot, Hypot)
TABULA_EXPR2(fmod, Fmod)
TABULA_EXPR2(copysign, Copysign)
TABULA_EXPR2(nextafter, NextAfter)
#undef TABULA_EXPR1
#undef TABULA_EXPR2
#undef TABULA_EXPR3

inline Expr isnan(const Expr& x) { return x != x; }
inline Expr conj(const Expr& x) { return x; }
// with the divisor's sign, as in Python
inline Expr remainder(const Expr& x, const Expr& y) {
  const Expr r = fmod(x, y), zero(0);
  return select((r != zero) & ((r < zero) ^ (y < zero)), r + y, r);
}

}  // namespace tabula::kernels::gpu
