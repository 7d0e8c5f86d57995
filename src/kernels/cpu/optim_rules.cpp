// One pass over memory for each of the smaller optimizers, in the order of PyTorch's single-tensor steps. Sources: the
// classes in torch/optim.
#include "kernels/cpu/optim_common.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

// a moved towards b, from the nearer end, as lerp does.
template <class T>
inline T moved(T a, T b, T blend) {
  return std::abs(blend) < T(0.5) ? madd(blend, b - a, a) : madd(blend - T(1), b - a, b);
}
// kept * old + (1 - kept) * d * d
template <class T>
inline T with_square(T old, T kept, T fresh, T d) {
  return old * kept + fresh * d * d;
}

template <class T>
struct Adadelta {
  T rho, fresh, eps, step;
  explicit Adadelta(const RuleCall& c) : rho(T(c.rho)), fresh(T(1 - c.rho)), eps(T(c.eps)), step(T(-c.rate)) {}
  void operator()(T& p, T d, T& square, T& change, T&) const {
    square = with_square(square, rho, fresh, d);
    const T delta = std::sqrt(change + eps) / std::sqrt(square + eps) * d;
    change = with_square(change, rho, fresh, delta);
    p = madd(delta, step, p);
  }
};
template <class T>
struct Adagrad {
  T eps, step;
  explicit Adagrad(const RuleCall& c) : eps(T(c.eps)), step(T(-c.rate)) {}
  void operator()(T& p, T d, T& sum, T&, T&) const {
    sum += d * d;
    p += step * d / (std::sqrt(sum) + eps);
  }
};
template <class T>
struct Adamax {
  T blend, beta2, eps, step;
  explicit Adamax(const RuleCall& c) : blend(T(c.blend)), beta2(T(c.beta2)), eps(T(c.eps)), step(T(-c.rate)) {}
  void operator()(T& p, T d, T& mean, T& largest, T&) const {
    mean = moved(mean, d, blend);
    const T before = largest * beta2, now = std::abs(d) + eps;
    largest = before > now || before != before ? before : now;
    p += step * mean / largest;
  }
};
template <class T>
struct Asgd {
  T shrink, step, weight;
  explicit Asgd(const RuleCall& c) : shrink(T(c.shrink)), step(T(-c.rate)), weight(T(c.weight)) {}
  void operator()(T& p, T d, T& average, T&, T&) const {
    p = madd(d, step, p * shrink);
    average = weight == T(1) ? p : average + (p - average) * weight;
  }
};
template <class T>
struct Nadam {
  T blend, beta2, fresh, eps, step, correction, ahead;
  explicit Nadam(const RuleCall& c)
      : blend(T(c.blend)), beta2(T(c.beta2)), fresh(T(1 - c.beta2)), eps(T(c.eps)), step(T(-c.rate)), correction(T(c.correction)), ahead(T(-c.ahead)) {}
  void operator()(T& p, T d, T& mean, T& square, T&) const {
    mean = moved(mean, d, blend);
    square = with_square(square, beta2, fresh, d);
    const T below = std::sqrt(square / correction) + eps;
    p += step * d / below;
    p += ahead * mean / below;
  }
};
template <class T>
struct Radam {
  T blend, beta2, fresh, eps, rate, correction, root, rectifier;
  explicit Radam(const RuleCall& c)
      : blend(T(c.blend)), beta2(T(c.beta2)), fresh(T(1 - c.beta2)), eps(T(c.eps)), rate(T(c.rate)), correction(T(c.correction)), root(T(c.ahead)),
        rectifier(T(c.scale)) {}
  void operator()(T& p, T d, T& mean, T& square, T&) const {
    mean = moved(mean, d, blend);
    square = with_square(square, beta2, fresh, d);
    const T update = mean / correction * rate;
    p -= rectifier == T(0) ? update : update * (root / (std::sqrt(square) + eps)) * rectifier;
  }
};
template <class T, bool rolls, bool centred>
struct Rmsprop {
  T alpha, fresh, eps, step, momentum;
  explicit Rmsprop(const RuleCall& c)
      : alpha(T(c.alpha)), fresh(T(1 - c.alpha)), eps(T(c.eps)), step(T(-c.rate)), momentum(T(c.momentum)) {}
  void operator()(T& p, T d, T& square, T& buffer, T& mean) const {
    square = with_square(square, alpha, fresh, d);
    T spread = square;
    if constexpr (centred) {
      mean = moved(mean, d, fresh);
      spread = square - mean * mean;
    }
    const T below = std::sqrt(spread) + eps;
    if constexpr (rolls) {
      buffer = buffer * momentum + d / below;
      p = madd(buffer, step, p);
    } else {
      p += step * d / below;
    }
  }
};
template <class T>
struct Rprop {
  T low, high, smallest, largest;
  explicit Rprop(const RuleCall& c) : low(T(c.low)), high(T(c.high)), smallest(T(c.smallest)), largest(T(c.largest)) {}
  void operator()(T& p, T d, T& before, T& size, T&) const {
    const T agreement = d * before;
    const T stepped = size * (agreement > T(0) ? high : agreement < T(0) ? low : T(1));
    size = stepped < smallest ? smallest : stepped > largest ? largest : stepped;
    const T now = agreement < T(0) ? T(0) : d;
    before = now;
    p -= (now > T(0) ? T(1) : now < T(0) ? T(-1) : now) * size;
  }
};

template <bool second, bool third, class T, class Rule>
void walk(const RuleCall& c, const Rule& rule, T* __restrict p, const T* __restrict g, T* __restrict a, T* __restrict b, T* __restrict e, int64_t n) {
  const T sign = c.maximize ? T(-1) : T(1), decay = T(c.weight_decay), keep = T(c.keep);
  for (int64_t i = 0; i < n; i++) {
    T none{};
    const T d = g[i] * sign, x = p[i] * keep;
    p[i] = x;
    rule(p[i], decay != T(0) ? madd(x, decay, d) : d, a[i], second ? b[i] : none, third ? e[i] : none);
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

}  // namespace

void rule_range(const RuleCall& c, int64_t begin, int64_t end) {
  c.dtype == DType::Float64 ? whole<double>(c, begin, end) : whole<float>(c, begin, end);
}

}  // namespace tabula::kernels::TABULA_ISA
