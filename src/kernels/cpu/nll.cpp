#include "kernels/nll.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "core/parallel.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kPiece = 4096;

template <class F>
void by_dtype(DType d, F&& f) {
  switch (d) {
    case DType::Float32: return f.template operator()<float>();
    case DType::Float64: return f.template operator()<double>();
    case DType::Float16: return f.template operator()<Half>();
    case DType::BFloat16: return f.template operator()<BFloat16>();
    default: fail(ErrorKind::NotImplemented, "\"nll_loss_out_frame\" not implemented for '", dtype_title(d), "'");
  }
}

// The class of one target, or -1 for one to be ignored.
inline int64_t class_of(const NllCall& c, int64_t i) {
  const int64_t t = c.target[i];
  if (t == c.ignore_index) return -1;
  check_index(t >= 0 && t < c.classes, "Target ", t, " is out of bounds.");
  return t;
}
// Where in the input the class `t` of target `i` is.
inline int64_t place(const NllCall& c, int64_t i, int64_t t) { return (i / c.inner * c.classes + t) * c.inner + i % c.inner; }

template <class T>
void forward(const NllCall& c) {
  const T *input = reinterpret_cast<const T*>(c.input), *weight = reinterpret_cast<const T*>(c.weight);
  T* out = reinterpret_cast<T*>(c.out);
  const int64_t n = c.batch * c.inner, pieces = (n + kPiece - 1) / kPiece;
  struct Sums {
    double loss = 0, weight = 0;
  };
  // one pair of sums per piece, added up in order
  Sums few[4];
  std::vector<Sums> many(size_t(pieces > 4 ? pieces : 0));
  Sums* partial = pieces > 4 ? many.data() : few;
  parallel_for(n, kPiece, [&](int64_t begin, int64_t end) {
    Sums s;
    for (int64_t i = begin; i < end; i++) {
      const int64_t t = class_of(c, i);
      if (t < 0) {
        if (c.reduction == Reduction::None) out[i] = T(0.0f);
        continue;
      }
      const double w = weight ? double(weight[t]) : 1.0, loss = -double(input[place(c, i, t)]) * w;
      if (c.reduction == Reduction::None) out[i] = T(loss);
      s.loss += loss;
      s.weight += w;
    }
    partial[begin / kPiece] = s;
  });
  Sums total;
  for (int64_t p = 0; p < pieces; p++) {
    total.loss += partial[p].loss;
    total.weight += partial[p].weight;
  }
  *reinterpret_cast<T*>(c.total_weight) = T(total.weight);
  if (c.reduction == Reduction::Mean) out[0] = T(n == 0 ? NAN : total.loss / total.weight);
  if (c.reduction == Reduction::Sum) out[0] = T(total.loss);
}

template <class T>
void backward(const NllCall& c) {
  const T *weight = reinterpret_cast<const T*>(c.weight), *grad = reinterpret_cast<const T*>(c.grad);
  T* out = reinterpret_cast<T*>(c.grad_input);
  const double total = double(*reinterpret_cast<const T*>(c.total_weight));
  parallel_for(c.batch, std::max<int64_t>(1, kPiece * 4 / std::max<int64_t>(1, c.classes * c.inner)), [&](int64_t begin, int64_t end) {
    std::memset(static_cast<void*>(out + begin * c.classes * c.inner), 0, size_t((end - begin) * c.classes * c.inner) * sizeof(T));
    for (int64_t i = begin * c.inner; i < end * c.inner; i++) {
      const int64_t t = class_of(c, i);
      if (t < 0) continue;
      const double w = weight ? double(weight[t]) : 1.0, g = double(grad[c.reduction == Reduction::None ? i : 0]);
      out[place(c, i, t)] = T(c.reduction == Reduction::Mean ? -w * g / total : -w * g);
    }
  });
}

void nll_cpu(const NllCall& c) {
  by_dtype(c.dtype, [&]<class T>() { forward<T>(c); });
}
void nll_backward_cpu(const NllCall& c) {
  by_dtype(c.dtype, [&]<class T>() { backward<T>(c); });
}

}  // namespace

Kernel<void(const NllCall&)> nll("nll_loss", nll_cpu);
Kernel<void(const NllCall&)> nll_backward("nll_loss_backward", nll_backward_cpu);

}  // namespace tabula::kernels
