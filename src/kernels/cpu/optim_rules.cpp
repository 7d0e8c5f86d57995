// One pass over memory for each of the smaller optimizers, in the order of PyTorch's single-tensor steps. Sources: the
// classes in torch/optim.
#include "kernels/cpu/optim_common.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

template <class T>
struct Adadelta {
  Number<T> rho, fresh, eps, step;
  explicit Adadelta(const RuleCall& c) : rho(Number<T>(c.rho)), fresh(Number<T>(1 - c.rho)), eps(Number<T>(c.eps)), step(Number<T>(-c.rate)) {}
  void operator()(T& p, T d, T& square, T& change, T&) const {
    square = with_square(square, rho, fresh, d);
    const T delta = root(T(change + eps)) / root(T(square + eps)) * d;
    change = with_square(change, rho, fresh, delta);
    p = madd(delta, step, p);
  }
};
template <class T>
struct Adagrad {
  Number<T> eps, step;
  explicit Adagrad(const RuleCall& c) : eps(Number<T>(c.eps)), step(Number<T>(-c.rate)) {}
  void operator()(T& p, T d, T& sum, T&, T&) const {
    sum = plus_product(sum, Number<T>(1), d, d);
    p = plus_quotient(p, step, d, root(sum) + eps);
  }
};
template <class T>
struct Adamax {
  Number<T> blend, beta2, eps, step;
  explicit Adamax(const RuleCall& c) : blend(Number<T>(c.blend)), beta2(Number<T>(c.beta2)), eps(Number<T>(c.eps)), step(Number<T>(-c.rate)) {}
  void operator()(T& p, T d, T& mean, T& largest, T&) const {
    mean = moved(mean, d, blend);
    const T before = largest * beta2, now = magnitude(d) + eps;
    largest = before > now || before != before ? before : now;
    p = plus_quotient(p, step, mean, largest);
  }
};
template <class T>
struct Asgd {
  Number<T> shrink, step, weight;
  explicit Asgd(const RuleCall& c) : shrink(Number<T>(c.shrink)), step(Number<T>(-c.rate)), weight(Number<T>(c.weight)) {}
  void operator()(T& p, T d, T& average, T&, T&) const {
    p = madd(d, step, p * shrink);
    average = weight == Number<T>(1) ? p : average + (p - average) * weight;
  }
};
template <class T>
struct Nadam {
  Number<T> blend, beta2, fresh, eps, step, correction, ahead;
  explicit Nadam(const RuleCall& c)
      : blend(Number<T>(c.blend)), beta2(Number<T>(c.beta2)), fresh(Number<T>(1 - c.beta2)), eps(Number<T>(c.eps)), step(Number<T>(-c.rate)), correction(Number<T>(c.correction)), ahead(Number<T>(-c.ahead)) {}
  void operator()(T& p, T d, T& mean, T& square, T&) const {
    mean = moved(mean, d, blend);
    square = with_square(square, beta2, fresh, d);
    const T below = root(T(square / correction)) + eps;
    p = plus_quotient(p, step, d, below);
    p = plus_quotient(p, ahead, mean, below);
  }
};
template <class T>
struct Radam {
  Number<T> blend, beta2, fresh, eps, rate, correction, spread, rectifier;
  explicit Radam(const RuleCall& c)
      : blend(Number<T>(c.blend)), beta2(Number<T>(c.beta2)), fresh(Number<T>(1 - c.beta2)), eps(Number<T>(c.eps)), rate(Number<T>(c.rate)), correction(Number<T>(c.correction)), spread(Number<T>(c.ahead)),
        rectifier(Number<T>(c.scale)) {}
  void operator()(T& p, T d, T& mean, T& square, T&) const {
    mean = moved(mean, d, blend);
    square = with_square(square, beta2, fresh, d);
    const T update = mean / correction * rate;
    p -= rectifier == Number<T>(0) ? update : update * (spread / (root(square) + eps)) * rectifier;
  }
};
template <class T, bool rolls, bool centred>
struct Rmsprop {
  Number<T> alpha, fresh, eps, step, momentum;
  explicit Rmsprop(const RuleCall& c)
      : alpha(Number<T>(c.alpha)), fresh(Number<T>(1 - c.alpha)), eps(Number<T>(c.eps)), step(Number<T>(-c.rate)), momentum(Number<T>(c.momentum)) {}
  void operator()(T& p, T d, T& square, T& buffer, T& mean) const {
    square = with_square(square, alpha, fresh, d);
    T spread = square;
    if constexpr (centred) {
      mean = moved(mean, d, fresh);
      spread = plus_product(square, Number<T>(-1), mean, mean);
    }
    const T below = root(spread) + eps;
    if constexpr (rolls) {
      buffer = plus_quotient(T(buffer * momentum), Number<T>(1), d, below);
      p = madd(buffer, step, p);
    } else {
      p = plus_quotient(p, step, d, below);
    }
  }
};
template <class T>
struct Rprop {
  Number<T> low, high, smallest, largest;
  explicit Rprop(const RuleCall& c) : low(Number<T>(c.low)), high(Number<T>(c.high)), smallest(Number<T>(c.smallest)), largest(Number<T>(c.largest)) {}
  void operator()(T& p, T d, T& before, T& size, T&) const {
    const T agreement = d * before;
    const T stepped = size * (agreement > T(0) ? T(high) : agreement < T(0) ? T(low) : T(1));
    size = stepped < T(smallest) ? T(smallest) : stepped > T(largest) ? T(largest) : stepped;
    const T now = agreement < T(0) ? T(0) : d;
    before = now;
    p -= (now > T(0) ? T(1) : now < T(0) ? T(-1) : now) * size;
  }
};

template <bool second, bool third, class T, class Rule>
void walk(const RuleCall& c, const Rule& rule, T* __restrict p, const T* __restrict g, T* __restrict a, T* __restrict b, T* __restrict e, int64_t n) {
  using S = Number<T>;
  const S sign = c.maximize ? S(-1) : S(1), decay = S(c.weight_decay), keep = S(c.keep);
  for (int64_t i = 0; i < n; i++) {
    T none{};
    const T d = g[i] * sign, x = p[i] * keep;
    p[i] = x;
    rule(p[i], decay != S(0) ? madd(x, decay, d) : d, a[i], second ? b[i] : none, third ? e[i] : none);
  }
}

template <class T, bool rolls>
void rmsprop(const RuleCall& c, T* p, const T* g, T* a, T* b, T* e, int64_t n) {
  if (c.kept[2])
    walk<rolls, true>(c, Rmsprop<T, rolls, true>(c), p, g, a, b, e, n);
  else
    walk<rolls, false>(c, Rmsprop<T, rolls, false>(c), p, g, a, b, e, n);
}

template <class T>
void apply(const RuleCall& c, T* p, const T* g, T* a, T* b, T* e, int64_t n) {
  switch (c.rule) {
    case Rule::Adadelta: return walk<true, false>(c, Adadelta<T>(c), p, g, a, b, e, n);
    case Rule::Adagrad: return walk<false, false>(c, Adagrad<T>(c), p, g, a, b, e, n);
    case Rule::Adamax: return walk<true, false>(c, Adamax<T>(c), p, g, a, b, e, n);
    case Rule::Asgd: return walk<false, false>(c, Asgd<T>(c), p, g, a, b, e, n);
    case Rule::Nadam: return walk<true, false>(c, Nadam<T>(c), p, g, a, b, e, n);
    case Rule::Radam: return walk<true, false>(c, Radam<T>(c), p, g, a, b, e, n);
    case Rule::Rmsprop: return c.kept[1] ? rmsprop<T, true>(c, p, g, a, b, e, n) : rmsprop<T, false>(c, p, g, a, b, e, n);
    case Rule::Rprop: return walk<true, false>(c, Rprop<T>(c), p, g, a, b, e, n);
  }
}

template <class T>
void whole(const RuleCall& c, int64_t begin, int64_t end) {
  apply<T>(c, offset<T>(c.param, begin), offset<T>(c.grad, begin), offset<T>(c.kept[0], begin), offset<T>(c.kept[1], begin), offset<T>(c.kept[2], begin),
           end - begin);
}

template <class H>
void half(const RuleCall& c, int64_t begin, int64_t end) {
  using Block = Staged<H, Rounded<H>>;
  for (int64_t i = begin; i < end; i += kBlock) {
    const int64_t n = std::min(kBlock, end - i);
    Block p(offset<H>(c.param, i), n), g(offset<H>(c.grad, i), n), a(offset<H>(c.kept[0], i), n), b(offset<H>(c.kept[1], i), n), e(offset<H>(c.kept[2], i), n);
    apply<Rounded<H>>(c, p.data(), g.data(), a.data(), b.data(), e.data(), n);
    for (Block* block : {&p, &a, &b, &e}) block->store();
  }
}

}  // namespace

void rule_range(const RuleCall& c, int64_t begin, int64_t end) {
  switch (c.dtype) {
    case DType::Float64: return whole<double>(c, begin, end);
    case DType::Float16: return half<Half>(c, begin, end);
    case DType::BFloat16: return half<BFloat16>(c, begin, end);
    default: return whole<float>(c, begin, end);
  }
}

}  // namespace tabula::kernels::TABULA_ISA
