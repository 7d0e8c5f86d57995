// Layer norm and RMS norm.
#include "kernels/cpu/norm_common.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

template <class C>
double mean_square(const RowNormCall& call, int64_t first) {
  C buffer[kNormBlock];
  double total = 0;
  for (int64_t i = 0; i < call.n; i += kNormBlock) {
    const int64_t m = std::min(kNormBlock, call.n - i);
    const C* x = block_of(call.dtype, call.x, first + i, m, buffer);
    total += sum_vectors<C>(m, [&](int64_t k, int64_t left) {
      const V<C> v = take(x + k, left);
      return v * v;
    });
  }
  return total / double(call.n);
}

template <class C>
void forward(const RowNormCall& call) {
  const Weights<C> weight(call.weight_dtype, call.weight, call.n, C(1));
  const Weights<C> bias(call.weight_dtype, call.bias, call.n, C(0));
  parallel_for(call.rows, std::max<int64_t>(1, kNormPiece / call.n), [&](int64_t begin, int64_t end) {
    C buffer[kNormBlock], results[kNormBlock];
    for (int64_t r = begin; r < end; r++) {
      const int64_t first = r * call.n;
      Spread s{0, 0};
      if (!call.rms) s = spread_of<C>(call.dtype, call.x, first, call.n);
      const double variance = call.rms ? mean_square<C>(call, first) : s.squares / double(call.n);
      const C mean = C(s.mean), rstd = C(1 / std::sqrt(variance + call.eps));
      if (call.mean) static_cast<C*>(call.mean)[r] = mean;
      if (call.rstd) static_cast<C*>(call.rstd)[r] = rstd;
      for (int64_t i = 0; i < call.n; i += kNormBlock) {
        const int64_t m = std::min(kNormBlock, call.n - i);
        const C* x = block_of(call.dtype, call.x, first + i, m, buffer);
        C* y = target(call.dtype, call.y, first + i, results);
        const C *w = weight.data() + i, *b = bias.data() + i;
        for (int64_t k = 0; k < m; k += kLanes<C>) {
          const int64_t left = m - k;
          __builtin_prefetch(reinterpret_cast<const char*>(y + k) + kPrefetchAhead, 1);
          put(y + k, mad<C>((take(x + k, left) - mean) * rstd, take(w + k, left), take(b + k, left)), left);
        }
        commit(call.dtype, call.y, first + i, m, results);
      }
    }
  });
}

// dweight and dbias are summed per group of rows into partial rows, which are then added up in order.
template <class C>
void backward(const RowNormCall& call) {
  constexpr int L = kLanes<C>;
  const int64_t n = call.n;
  const Weights<C> weight(call.weight_dtype, call.weight, n, C(1));
  const bool sums = call.dweight || call.dbias;
  const int64_t pieces = std::clamp<int64_t>(call.rows * n / kNormPiece, 1, std::min(kPartials, call.rows));
  const int64_t rows = (call.rows + pieces - 1) / pieces;
  std::unique_ptr<C[]> partial;
  if (sums) partial = std::make_unique<C[]>(size_t(pieces * 2 * n));
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    C x_buffer[kNormBlock], g_buffer[kNormBlock], results[kNormBlock];
    for (int64_t piece = begin; piece < end; piece++) {
      for (int64_t r = piece * rows; r < std::min((piece + 1) * rows, call.rows); r++) {
        const int64_t first = r * n;
        const C mean = call.rms ? C(0) : static_cast<const C*>(call.mean)[r];
        const C rstd = static_cast<const C*>(call.rstd)[r];
        double plain = 0, weighted = 0;  // sums of dy * weight, and of dy * weight * (normalised x)
        for (int64_t i = 0; i < n; i += kNormBlock) {
          const int64_t m = std::min(kNormBlock, n - i);
          const C* x = block_of(call.dtype, call.x, first + i, m, x_buffer);
          const C* g = block_of(call.dtype, call.dy, first + i, m, g_buffer);
          C* dw = sums ? partial.get() + piece * 2 * n + i : nullptr;
          C* db = sums ? dw + n : nullptr;
          V<C> a{}, b{};
          for (int64_t k = 0; k < m; k += L) {
            const int64_t left = m - k;
            const V<C> normal = (take(x + k, left) - mean) * rstd, gradient = take(g + k, left);
            const V<C> gw = gradient * take(weight.data() + i + k, left);
            a += gw;
            b = mad<C>(gw, normal, b);
            if (sums) {
              put(dw + k, mad<C>(gradient, normal, take<C>(dw + k, left)), left);
              put(db + k, V<C>(take<C>(db + k, left) + gradient), left);
            }
          }
          plain += sum_lanes<C>(a);
          weighted += sum_lanes<C>(b);
        }
        if (!call.dx) continue;
        const C shift = call.rms ? C(0) : C(plain / double(n)), slope = C(weighted / double(n));
        for (int64_t i = 0; i < n; i += kNormBlock) {
          const int64_t m = std::min(kNormBlock, n - i);
          const C* x = block_of(call.dtype, call.x, first + i, m, x_buffer);
          const C* g = block_of(call.dtype, call.dy, first + i, m, g_buffer);
          const C* w = weight.data() + i;
          C* dx = target(call.dtype, call.dx, first + i, results);
          for (int64_t k = 0; k < m; k++) dx[k] = rstd * (g[k] * w[k] - shift - (x[k] - mean) * rstd * slope);
          commit(call.dtype, call.dx, first + i, m, results);
        }
      }
    }
  });
  if (!sums) return;
  for (int64_t p = 1; p < pieces; p++)
    for (int64_t i = 0; i < 2 * n; i++) partial[i] += partial[p * 2 * n + i];
  for (char* out : {call.dweight, call.dbias}) {
    const C* own = partial.get() + (out == call.dbias ? n : 0);
    if (out && call.weight_dtype == dtype_of<C>)
      std::copy_n(own, n, reinterpret_cast<C*>(out));
    else if (out)
      commit(call.weight_dtype, out, 0, n, own);
  }
}

}  // namespace

void row_norm_forward(const RowNormCall& call) {
  if (call.rows * call.n == 0) return;
  call.dtype == DType::Float64 ? forward<double>(call) : forward<float>(call);
}

void row_norm_gradient(const RowNormCall& call) {
  if (call.rows * call.n == 0) {
    for (char* out : {call.dweight, call.dbias})
      if (out) std::memset(out, 0, size_t(call.n * item_size(call.weight_dtype)));
    return;
  }
  call.dtype == DType::Float64 ? backward<double>(call) : backward<float>(call);
}

}  // namespace tabula::kernels::TABULA_ISA
