// `Sym`: a tensor as the value type of the formulas in kernels/formulas. A formula read over it is a composition of
// operations, and so has derivatives of every order without a further rule.
//
// This header names no operation objects: formulas call functions such as exp by argument-dependent lookup.
#pragma once

#include "core/tensor.h"
#include "ops/backward.h"

namespace tabula::symbolic {

struct Sym {
  Tensor tensor;  // undefined: a constant
  double constant = 0;
  explicit Sym(double value) : constant(value) {}
  explicit Sym(Tensor t) : tensor(std::move(t)) {}
};

Sym operator+(const Sym& a, const Sym& b);
Sym operator-(const Sym& a, const Sym& b);
Sym operator*(const Sym& a, const Sym& b);
Sym operator/(const Sym& a, const Sym& b);
Sym operator-(const Sym& a);
Sym operator<(const Sym& a, const Sym& b);
Sym operator<=(const Sym& a, const Sym& b);
Sym operator>(const Sym& a, const Sym& b);
Sym operator>=(const Sym& a, const Sym& b);
Sym operator&(const Sym& a, const Sym& b);
Sym operator|(const Sym& a, const Sym& b);
Sym select(const Sym& condition, const Sym& a, const Sym& b);
Sym exp(const Sym& x);
Sym log1p(const Sym& x);
Sym expm1(const Sym& x);
Sym tanh(const Sym& x);
Sym erf(const Sym& x);
Sym abs(const Sym& x);
Sym minimum(const Sym& a, const Sym& b);
Sym maximum(const Sym& a, const Sym& b);
Sym clamp(const Sym& x, const Sym& low, const Sym& high);
Sym isnan(const Sym& x);
Sym conj(const Sym& x);

// A derivative of a row from its own formula: `evaluate` computes the row's result from its tensor inputs.
void differentiate(Backward& b, int inputs, Sym (*evaluate)(Backward& b, const std::vector<Sym>& in));

}  // namespace tabula::symbolic
