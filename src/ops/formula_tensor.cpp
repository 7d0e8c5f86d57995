#include "ops/formula_tensor.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/transcendental.h"

namespace tabula::symbolic {
namespace {

Value operand(const Sym& s) { return s.tensor.defined() ? Value(s.tensor) : Value(s.constant); }

Sym apply(const Op& op, const Sym& a, const Sym& b) { return Sym(op(operand(a), operand(b))); }
// Functions of a constant alone go by way of a 0-d tensor.
Tensor materialised(const Sym& s) { return s.tensor.defined() ? s.tensor : Tensor::wrapped(Scalar(s.constant)); }

}  // namespace

Sym operator+(const Sym& a, const Sym& b) { return apply(add, a, b); }
Sym operator-(const Sym& a, const Sym& b) { return apply(sub, a, b); }
Sym operator*(const Sym& a, const Sym& b) { return !a.tensor.defined() && !b.tensor.defined() ? Sym(a.constant * b.constant) : apply(mul, a, b); }
Sym operator/(const Sym& a, const Sym& b) { return !a.tensor.defined() && !b.tensor.defined() ? Sym(a.constant / b.constant) : apply(div, a, b); }
Sym operator-(const Sym& a) { return a.tensor.defined() ? Sym(neg(a.tensor)) : Sym(-a.constant); }
Sym operator<(const Sym& a, const Sym& b) { return apply(lt, a, b); }
Sym operator<=(const Sym& a, const Sym& b) { return apply(le, a, b); }
Sym operator>(const Sym& a, const Sym& b) { return apply(gt, a, b); }
Sym operator>=(const Sym& a, const Sym& b) { return apply(ge, a, b); }
Sym operator&(const Sym& a, const Sym& b) { return Sym(logical_and(a.tensor, b.tensor)); }
Sym operator|(const Sym& a, const Sym& b) { return Sym(logical_or(a.tensor, b.tensor)); }
Sym select(const Sym& condition, const Sym& a, const Sym& b) { return Sym(where(condition.tensor, operand(a), operand(b))); }
Sym exp(const Sym& x) { return Sym(tabula::exp(materialised(x))); }
Sym log1p(const Sym& x) { return Sym(tabula::log1p(materialised(x))); }
Sym expm1(const Sym& x) { return Sym(tabula::expm1(materialised(x))); }
Sym tanh(const Sym& x) { return Sym(tabula::tanh(materialised(x))); }
Sym erf(const Sym& x) { return Sym(tabula::erf(materialised(x))); }
Sym abs(const Sym& x) { return Sym(tabula::abs(materialised(x))); }
Sym minimum(const Sym& a, const Sym& b) { return select(a <= b, a, b); }
Sym maximum(const Sym& a, const Sym& b) { return select(a >= b, a, b); }
Sym clamp(const Sym& x, const Sym& low, const Sym& high) { return minimum(maximum(x, low), high); }
Sym isnan(const Sym& x) { return Sym(tabula::isnan(x.tensor)); }
Sym conj(const Sym& x) { return x.tensor.defined() ? Sym(conj_of(x.tensor)) : x; }

void differentiate(Backward& b, int inputs, Sym (*evaluate)(Backward& b, const std::vector<Sym>& in)) {
  const bool further = thread_state.grad_enabled;
  const uint64_t begun = autograd_hooks.now();
  std::vector<Sym> symbols;
  std::vector<Tensor> wanted;
  std::vector<int> which;
  Tensor result;
  {
    Restore recording(thread_state.grad_enabled, true);
    for (int i = 0; i < inputs; i++) {
      const Tensor own = autograd_hooks.own_variable(b.in(i), further);
      if (b.needs(i)) {
        wanted.push_back(own);
        which.push_back(i);
      }
      symbols.emplace_back(own);
    }
    result = evaluate(b, symbols).tensor;
  }
  if (!result.needs_grad() || wanted.empty()) return;
  const std::vector<Tensor> grads = autograd_hooks.grad(TensorList(&result, 1), TensorList(wanted), TensorList(&b.g(), 1), begun);
  for (size_t i = 0; i < which.size(); i++)
    if (grads[i].defined()) b.set(which[i], grads[i]);
}

}  // namespace tabula::symbolic
