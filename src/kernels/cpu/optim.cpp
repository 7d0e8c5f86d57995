// The arithmetic of SGD and Adam in the order of PyTorch's single-tensor steps, so that float32 results agree with it to
// the last bit or nearly.
#include <cmath>
#include <cstring>

#include "kernels/cpu/optim_common.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

// How the weights decay.
enum Decay { kNone, kGradient, kDecoupled };

// ---- SGD ----

template <class T, bool decay, int momentum>  // momentum 0: none, 1: plain, 2: Nesterov's
void sgd_loop(const SgdCall& c, T* __restrict p, const T* __restrict g, T* __restrict m, int64_t n) {
  using S = Number<T>;
  const S weight_decay = S(c.weight_decay), mu = S(c.momentum), fresh_part = S(1 - c.dampening), step = S(-c.lr), sign = c.maximize ? S(-1) : S(1);
  for (int64_t i = 0; i < n; i++) {
    T d = g[i] * sign;
    if constexpr (decay) d = madd(p[i], weight_decay, d);
    if constexpr (momentum > 0) {
      const T buffer = madd(d, fresh_part, T(m[i] * mu));
      m[i] = buffer;
      d = momentum == 2 ? madd(buffer, mu, d) : buffer;
    }
    p[i] = madd(d, step, p[i]);
  }
}

// The first step with momentum: the buffer becomes the gradient.
template <class T, bool decay>
void sgd_first(const SgdCall& c, T* __restrict p, const T* __restrict g, T* __restrict m, int64_t n) {
  using S = Number<T>;
  const S weight_decay = S(c.weight_decay), mu = S(c.momentum), step = S(-c.lr), sign = c.maximize ? S(-1) : S(1);
  for (int64_t i = 0; i < n; i++) {
    T d = g[i] * sign;
    if constexpr (decay) d = madd(p[i], weight_decay, d);
    m[i] = d;
    if (c.nesterov) d = madd(d, mu, d);
    p[i] = madd(d, step, p[i]);
  }
}

template <class T, bool decay>
void sgd_decay(const SgdCall& c, T* p, const T* g, T* m, int64_t n) {
  if (!m) return sgd_loop<T, decay, 0>(c, p, g, m, n);
  if (c.fresh) return sgd_first<T, decay>(c, p, g, m, n);
  c.nesterov ? sgd_loop<T, decay, 2>(c, p, g, m, n) : sgd_loop<T, decay, 1>(c, p, g, m, n);
}
template <class T>
void sgd(const SgdCall& c, T* p, const T* g, T* m, int64_t n) {
  c.weight_decay != 0 ? sgd_decay<T, true>(c, p, g, m, n) : sgd_decay<T, false>(c, p, g, m, n);
}

// ---- Adam ----

template <class T, Decay decay, bool peaked>
void adam_loop(const AdamCall& c, T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, T* __restrict top, int64_t n) {
  using S = Number<T>;
  const S sign = c.maximize ? S(-1) : S(1), weight_decay = S(c.weight_decay), shrink = S(1 - c.lr * c.weight_decay);
  const S blend = S(1 - c.beta1), beta2 = S(c.beta2), fresh_square = S(1 - c.beta2), correction = S(c.correction2_root), eps = S(c.eps), step = S(-(c.lr / c.correction1));
  for (int64_t i = 0; i < n; i++) {
    T d = g[i] * sign, x = p[i];
    if constexpr (decay == kGradient) d = madd(x, weight_decay, d);
    if constexpr (decay == kDecoupled) x = x * shrink;
    const T mean = moved(m[i], d, blend);
    const T square = with_square(v[i], beta2, fresh_square, d);
    m[i] = mean;
    v[i] = square;
    T largest = square;
    if constexpr (peaked) {
      const T before = top[i];
      largest = before > square || before != before ? before : square;
      top[i] = largest;
    }
    const T below = root(largest) / correction + eps;
    p[i] = plus_quotient(x, step, mean, below);
  }
}

template <class T, Decay decay>
void adam_decay(const AdamCall& c, T* p, const T* g, T* m, T* v, T* top, int64_t n) {
  top ? adam_loop<T, decay, true>(c, p, g, m, v, top, n) : adam_loop<T, decay, false>(c, p, g, m, v, top, n);
}
template <class T>
void adam(const AdamCall& c, T* p, const T* g, T* m, T* v, T* top, int64_t n) {
  if (c.weight_decay == 0)
    adam_decay<T, kNone>(c, p, g, m, v, top, n);
  else if (c.decoupled)
    adam_decay<T, kDecoupled>(c, p, g, m, v, top, n);
  else
    adam_decay<T, kGradient>(c, p, g, m, v, top, n);
}

// T: what a value is while the step is taken, Rounded<H> or, in the step of fused=True, float.
template <class H, class T>
void sgd_half(const SgdCall& c, int64_t begin, int64_t end) {
  using Block = Staged<H, T>;
  for (int64_t i = begin; i < end; i += kBlock) {
    const int64_t n = std::min(kBlock, end - i);
    Block p(offset<H>(c.param, i), n), g(offset<H>(c.grad, i), n), m(offset<H>(c.buffer, i), n);
    sgd<T>(c, p.data(), g.data(), m.data(), n);
    for (Block* block : {&p, &m}) block->store();
  }
}
template <class H, class T>
void adam_half(const AdamCall& c, int64_t begin, int64_t end) {
  using Block = Staged<H, T>;
  for (int64_t i = begin; i < end; i += kBlock) {
    const int64_t n = std::min(kBlock, end - i);
    Block p(offset<H>(c.param, i), n), g(offset<H>(c.grad, i), n), m(offset<H>(c.mean, i), n), v(offset<H>(c.square, i), n), top(offset<H>(c.peak, i), n);
    adam<T>(c, p.data(), g.data(), m.data(), v.data(), top.data(), n);
    for (Block* block : {&p, &m, &v, &top}) block->store();
  }
}
template <class H>
void sgd_half(const SgdCall& c, int64_t begin, int64_t end) {
  c.fused ? sgd_half<H, float>(c, begin, end) : sgd_half<H, Rounded<H>>(c, begin, end);
}
template <class H>
void adam_half(const AdamCall& c, int64_t begin, int64_t end) {
  c.fused ? adam_half<H, float>(c, begin, end) : adam_half<H, Rounded<H>>(c, begin, end);
}

}  // namespace

void sgd_range(const SgdCall& c, int64_t begin, int64_t end) {
  switch (c.dtype) {
    case DType::Float64: return sgd<double>(c, offset<double>(c.param, begin), offset<double>(c.grad, begin), offset<double>(c.buffer, begin), end - begin);
    case DType::Float16: return sgd_half<Half>(c, begin, end);
    case DType::BFloat16: return sgd_half<BFloat16>(c, begin, end);
    default: return sgd<float>(c, offset<float>(c.param, begin), offset<float>(c.grad, begin), offset<float>(c.buffer, begin), end - begin);
  }
}

void adam_range(const AdamCall& c, int64_t begin, int64_t end) {
  switch (c.dtype) {
    case DType::Float64:
      return adam<double>(c, offset<double>(c.param, begin), offset<double>(c.grad, begin), offset<double>(c.mean, begin), offset<double>(c.square, begin), offset<double>(c.peak, begin),
                          end - begin);
    case DType::Float16: return adam_half<Half>(c, begin, end);
    case DType::BFloat16: return adam_half<BFloat16>(c, begin, end);
    default:
      return adam<float>(c, offset<float>(c.param, begin), offset<float>(c.grad, begin), offset<float>(c.mean, begin), offset<float>(c.square, begin), offset<float>(c.peak, begin),
                         end - begin);
  }
}

}  // namespace tabula::kernels::TABULA_ISA
