// Group norm and batch norm: one scale and one shift per channel of a (batch, channels, inner) view.
#include "kernels/cpu/norm_common.h"
#include "kernels/reduce.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

// y = (x - mean) * scale + shift over `n` elements.
template <class C>
void scale_shift(DType dtype, const char* x_base, char* y_base, int64_t first, int64_t n, C mean, C scale, C shift) {
  C buffer[kNormBlock], results[kNormBlock];
  for (int64_t i = 0; i < n; i += kNormBlock) {
    const int64_t m = std::min(kNormBlock, n - i);
    const C* x = block_of(dtype, x_base, first + i, m, buffer);
    C* y = target(dtype, y_base, first + i, results);
    for (int64_t k = 0; k < m; k++) y[k] = (x[k] - mean) * scale + shift;
    commit(dtype, y_base, first + i, m, results);
  }
}

struct GradientSums {
  double plain, weighted;  // sums of dy, and of dy * (x - mean)
};

template <class C>
GradientSums gradient_sums(DType dtype, const char* x_base, const char* dy_base, int64_t first, int64_t n, C mean) {
  C x_buffer[kNormBlock], g_buffer[kNormBlock];
  GradientSums sums{0, 0};
  for (int64_t i = 0; i < n; i += kNormBlock) {
    const int64_t m = std::min(kNormBlock, n - i);
    const C* x = block_of(dtype, x_base, first + i, m, x_buffer);
    const C* g = block_of(dtype, dy_base, first + i, m, g_buffer);
    constexpr int L = kLanes<C>;
    V<C> a{}, b{}, c{}, d{};
    int64_t k = 0;
    for (; k + 2 * L <= m; k += 2 * L) {
      const V<C> g0 = load(g + k), g1 = load(g + k + L);
      a += g0;
      b = mad<C>(g0, load(x + k) - mean, b);
      c += g1;
      d = mad<C>(g1, load(x + k + L) - mean, d);
    }
    for (; k < m; k += L) {
      const V<C> g0 = take(g + k, m - k);
      a += g0;
      b = mad<C>(g0, take(x + k, m - k) - mean, b);
    }
    sums.plain += sum_lanes<C>(a + c);
    sums.weighted += sum_lanes<C>(b + d);
  }
  return sums;
}

// dx = dy * scale - (x - mean) * slope - shift.
template <class C>
void input_gradient(DType dtype, const char* x_base, const char* dy_base, char* dx_base, int64_t first, int64_t n,
                    C mean, C scale, C slope, C shift) {
  C x_buffer[kNormBlock], g_buffer[kNormBlock], results[kNormBlock];
  for (int64_t i = 0; i < n; i += kNormBlock) {
    const int64_t m = std::min(kNormBlock, n - i);
    const C* x = block_of(dtype, x_base, first + i, m, x_buffer);
    const C* g = block_of(dtype, dy_base, first + i, m, g_buffer);
    C* dx = target(dtype, dx_base, first + i, results);
    for (int64_t k = 0; k < m; k++) dx[k] = g[k] * scale - (x[k] - mean) * slope - shift;
    commit(dtype, dx_base, first + i, m, results);
  }
}

// Writes values of the compute type as a weight's dtype.
template <class C>
void write_weights(DType dtype, char* out, int64_t n, const C* values) {
  if (!out) return;
  visit_floating(dtype, "norm", [&]<class S>() { write_block(values, n, reinterpret_cast<S*>(out)); });
}

template <class C>
void group_forward(const GroupNormCall& call) {
  const Weights<C> weight(call.weight_dtype, call.weight, call.channels, C(1));
  const Weights<C> bias(call.weight_dtype, call.bias, call.channels, C(0));
  const int64_t per_group = call.channels / call.groups, n = per_group * call.inner;
  parallel_for(call.batch * call.groups, std::max<int64_t>(1, kNormPiece / n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const Spread s = spread_of<C>(call.dtype, call.x, i * n, n);
      const C mean = C(s.mean), rstd = C(1 / std::sqrt(s.squares / double(n) + call.eps));
      if (call.mean) static_cast<C*>(call.mean)[i] = mean;
      if (call.rstd) static_cast<C*>(call.rstd)[i] = rstd;
      for (int64_t k = 0; k < per_group; k++) {
        const int64_t c = i % call.groups * per_group + k;
        scale_shift<C>(call.dtype, call.x, call.y, i * n + k * call.inner, call.inner, mean, rstd * weight[c], bias[c]);
      }
    }
  });
}

template <class C>
void group_backward(const GroupNormCall& call) {
  const Weights<C> weight(call.weight_dtype, call.weight, call.channels, C(1));
  const int64_t per_group = call.channels / call.groups, n = per_group * call.inner;
  auto sums = std::make_unique_for_overwrite<GradientSums[]>(size_t(call.batch * call.channels));
  const C *means = static_cast<const C*>(call.mean), *rstds = static_cast<const C*>(call.rstd);
  parallel_for(call.batch * call.groups, std::max<int64_t>(1, kNormPiece / n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const C mean = means[i], rstd = rstds[i];
      double plain = 0, weighted = 0;
      for (int64_t k = 0; k < per_group; k++) {
        const GradientSums s = gradient_sums<C>(call.dtype, call.x, call.dy, i * n + k * call.inner, call.inner, mean);
        const int64_t c = i % call.groups * per_group + k;
        sums[i * per_group + k] = s;
        plain += s.plain * weight[c];
        weighted += s.weighted * weight[c];
      }
      if (!call.dx) continue;
      const C shift = C(rstd * plain / double(n)), slope = C(double(rstd) * rstd * rstd * weighted / double(n));
      for (int64_t k = 0; k < per_group; k++) {
        const int64_t c = i % call.groups * per_group + k;
        input_gradient<C>(call.dtype, call.x, call.dy, call.dx, i * n + k * call.inner, call.inner, mean,
                          rstd * weight[c], slope, shift);
      }
    }
  });
  if (!call.dweight && !call.dbias) return;
  auto values = std::make_unique_for_overwrite<C[]>(size_t(2 * call.channels));
  for (int64_t c = 0; c < call.channels; c++) {
    double dw = 0, db = 0;
    for (int64_t b = 0; b < call.batch; b++) {
      const GradientSums& s = sums[b * call.channels + c];
      dw += s.weighted * rstds[b * call.groups + c / per_group];
      db += s.plain;
    }
    values[c] = C(dw);
    values[call.channels + c] = C(db);
  }
  write_weights(call.weight_dtype, call.dweight, call.channels, values.get());
  write_weights(call.weight_dtype, call.dbias, call.channels, values.get() + call.channels);
}

// Calls f(first row, rows) for groups of whole (channels)-long rows, where inner == 1.
template <class F>
void each_row_group(const BatchNormCall& call, F f) {
  parallel_for(call.batch, std::max<int64_t>(1, kNormPiece / call.channels), f);
}

template <class C>
void batch_forward(const BatchNormCall& call) {
  const int64_t channels = call.channels;
  const Weights<C> weight(call.weight_dtype, call.weight, channels, C(1));
  const Weights<C> bias(call.weight_dtype, call.bias, channels, C(0));
  const C *mean = static_cast<const C*>(call.mean), *rstd = static_cast<const C*>(call.rstd);
  if (call.inner > 1) {
    parallel_for(call.batch * channels, std::max<int64_t>(1, kNormPiece / call.inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t c = i % channels;
        scale_shift<C>(call.dtype, call.x, call.y, i * call.inner, call.inner, mean[c], rstd[c] * weight[c], bias[c]);
      }
    });
    return;
  }
  each_row_group(call, [&](int64_t begin, int64_t end) {
    C buffer[kNormBlock], results[kNormBlock];
    for (int64_t r = begin; r < end; r++) {
      for (int64_t i = 0; i < channels; i += kNormBlock) {
        const int64_t m = std::min(kNormBlock, channels - i), first = r * channels + i;
        const C* x = block_of(call.dtype, call.x, first, m, buffer);
        const C *w = weight.data() + i, *b = bias.data() + i, *mu = mean + i, *rs = rstd + i;
        C* y = target(call.dtype, call.y, first, results);
        for (int64_t k = 0; k < m; k++) y[k] = (x[k] - mu[k]) * (rs[k] * w[k]) + b[k];
        commit(call.dtype, call.y, first, m, results);
      }
    }
  });
}

// Per channel the sums of dy and of dy * (x - mean), from partial sums of rows or groups of rows added in order.
template <class C>
std::unique_ptr<GradientSums[]> channel_sums(const BatchNormCall& call) {
  const int64_t channels = call.channels;
  const C* mean = static_cast<const C*>(call.mean);
  const bool flat = call.inner == 1;
  const int64_t groups = std::clamp<int64_t>(call.batch * channels / kNormPiece, 1, std::min(kPartials, call.batch));
  const int64_t pieces = flat ? groups : call.batch;
  const int64_t rows = (call.batch + pieces - 1) / pieces;
  auto partial = std::make_unique<GradientSums[]>(size_t(pieces * channels));
  if (flat) {
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      C x_buffer[kNormBlock], g_buffer[kNormBlock], plain[kNormBlock], weighted[kNormBlock];
      for (int64_t p = begin; p < end; p++) {
        for (int64_t i = 0; i < channels; i += kNormBlock) {
          const int64_t m = std::min(kNormBlock, channels - i);
          std::fill_n(plain, m, C(0));
          std::fill_n(weighted, m, C(0));
          for (int64_t r = p * rows; r < std::min((p + 1) * rows, call.batch); r++) {
            const C* x = block_of(call.dtype, call.x, r * channels + i, m, x_buffer);
            const C* g = block_of(call.dtype, call.dy, r * channels + i, m, g_buffer);
            for (int64_t k = 0; k < m; k++) {
              plain[k] += g[k];
              weighted[k] += g[k] * (x[k] - mean[i + k]);
            }
          }
          for (int64_t k = 0; k < m; k++) partial[p * channels + i + k] = {plain[k], weighted[k]};
        }
      }
    });
  } else {
    parallel_for(call.batch * channels, std::max<int64_t>(1, kNormPiece / call.inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        partial[i] = gradient_sums<C>(call.dtype, call.x, call.dy, i * call.inner, call.inner, mean[i % channels]);
    });
  }
  for (int64_t p = 1; p < pieces; p++) {
    for (int64_t c = 0; c < channels; c++) {
      partial[c].plain += partial[p * channels + c].plain;
      partial[c].weighted += partial[p * channels + c].weighted;
    }
  }
  return partial;
}

template <class C>
void batch_backward(const BatchNormCall& call) {
  const int64_t channels = call.channels, count = call.batch * call.inner;
  const Weights<C> weight(call.weight_dtype, call.weight, channels, C(1));
  const C *mean = static_cast<const C*>(call.mean), *rstd = static_cast<const C*>(call.rstd);
  // per channel: scale, slope and shift of input_gradient, then dweight and dbias
  auto values = std::make_unique<C[]>(size_t(5 * channels));
  C *scale = values.get(), *slope = scale + channels, *shift = slope + channels;
  C *dw = shift + channels, *db = dw + channels;
  for (int64_t c = 0; c < channels; c++) scale[c] = rstd[c] * weight[c];
  if (call.training || call.dweight || call.dbias) {
    const auto sums = channel_sums<C>(call);
    for (int64_t c = 0; c < channels; c++) {
      dw[c] = C(sums[c].weighted * rstd[c]);
      db[c] = C(sums[c].plain);
      if (!call.training) continue;
      slope[c] = C(double(scale[c]) * rstd[c] * rstd[c] * sums[c].weighted / double(count));
      shift[c] = C(scale[c] * sums[c].plain / double(count));
    }
    write_weights(call.weight_dtype, call.dweight, channels, dw);
    write_weights(call.weight_dtype, call.dbias, channels, db);
  }
  if (!call.dx) return;
  if (call.inner > 1) {
    parallel_for(call.batch * channels, std::max<int64_t>(1, kNormPiece / call.inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t c = i % channels;
        input_gradient<C>(call.dtype, call.x, call.dy, call.dx, i * call.inner, call.inner, mean[c], scale[c], slope[c],
                          shift[c]);
      }
    });
    return;
  }
  each_row_group(call, [&](int64_t begin, int64_t end) {
    C x_buffer[kNormBlock], g_buffer[kNormBlock], results[kNormBlock];
    for (int64_t r = begin; r < end; r++) {
      for (int64_t i = 0; i < channels; i += kNormBlock) {
        const int64_t m = std::min(kNormBlock, channels - i), first = r * channels + i;
        const C* x = block_of(call.dtype, call.x, first, m, x_buffer);
        const C* g = block_of(call.dtype, call.dy, first, m, g_buffer);
        C* dx = target(call.dtype, call.dx, first, results);
        for (int64_t k = 0; k < m; k++)
          dx[k] = g[k] * scale[i + k] - (x[k] - mean[i + k]) * slope[i + k] - shift[i + k];
        commit(call.dtype, call.dx, first, m, results);
      }
    }
  });
}

template <class C>
void batch_stats(const BatchNormCall& call) {
  const int64_t sizes[] = {call.batch, call.channels, call.inner};
  const int64_t strides[] = {call.channels * call.inner, call.inner, 1}, out_strides[] = {0, 1, 0};
  const bool reduced[] = {true, false, true};
  std::unique_ptr<C[]> own;
  if (!call.variance) own = std::make_unique_for_overwrite<C[]>(size_t(call.channels));
  C* variance = call.variance ? static_cast<C*>(call.variance) : own.get();
  const ReduceCall moments{Reduce::var_mean,
                           3,
                           sizes,
                           strides,
                           out_strides,
                           reduced,
                           call.x,
                           call.dtype,
                           reinterpret_cast<char*>(variance),
                           dtype_of<C>,
                           static_cast<char*>(call.mean),
                           dtype_of<C>,
                           {0, 0, 0, 0}};
  reduce[DeviceKind::CPU](moments);
  if (!call.rstd) return;
  for (int64_t c = 0; c < call.channels; c++)
    static_cast<C*>(call.rstd)[c] = C(1 / std::sqrt(double(variance[c]) + call.eps));
}

// No element to learn from: the gradients of the weights are sums over nothing.
template <class Call>
bool is_empty(const Call& call) {
  if (call.batch * call.channels * call.inner != 0) return false;
  for (char* out : {call.dweight, call.dbias})
    if (out) std::memset(out, 0, size_t(call.channels * item_size(call.weight_dtype)));
  return true;
}

}  // namespace

void group_norm_forward(const GroupNormCall& call) {
  if (call.batch * call.channels * call.inner == 0) return;
  call.dtype == DType::Float64 ? group_forward<double>(call) : group_forward<float>(call);
}
void group_norm_gradient(const GroupNormCall& call) {
  if (is_empty(call)) return;
  call.dtype == DType::Float64 ? group_backward<double>(call) : group_backward<float>(call);
}
void batch_norm_stats(const BatchNormCall& call) {
  call.dtype == DType::Float64 ? batch_stats<double>(call) : batch_stats<float>(call);
}
void batch_norm_forward(const BatchNormCall& call) {
  if (call.batch * call.channels * call.inner == 0) return;
  call.dtype == DType::Float64 ? batch_forward<double>(call) : batch_forward<float>(call);
}
void batch_norm_gradient(const BatchNormCall& call) {
  if (is_empty(call)) return;
  call.dtype == DType::Float64 ? batch_backward<double>(call) : batch_backward<float>(call);
}

}  // namespace tabula::kernels::TABULA_ISA
