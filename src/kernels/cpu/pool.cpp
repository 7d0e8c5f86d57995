// All kinds of pooling walk the same windows: per dim a range of input positions for each output position.
#include "kernels/pool.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "core/parallel.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/pool_isa.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kPiece = 16384;

struct Range {
  int64_t begin, end, step;
  int64_t extent;  // positions an average divides by: padding may count
};

struct Windows {
  std::vector<Range> dims[3];
  int64_t in_plane, out_plane, work;  // work: input elements read per plane
};

Windows sliding(const PoolCall& call) {
  Windows w{.in_plane = 1, .out_plane = 1, .work = 1};
  for (int d = 0; d < 3; d++) {
    const int64_t size = call.in_size[d], step = call.dilation[d];
    for (int64_t o = 0; o < call.out_size[d]; o++) {
      int64_t begin = o * call.stride[d] - call.padding[d];
      int64_t end = std::min(begin + (call.kernel[d] - 1) * step + 1, size + call.padding[d]);
      const int64_t padded = end - begin;
      if (begin < 0) begin += (-begin + step - 1) / step * step;
      end = std::min(end, size);
      w.dims[d].push_back({begin, end, step, call.count_include_pad ? padded : std::max<int64_t>(end - begin, 0)});
    }
    w.in_plane *= size;
    w.out_plane *= call.out_size[d];
    w.work *= call.out_size[d] * call.kernel[d];
  }
  return w;
}

Windows adaptive(const PoolCall& call) {
  Windows w{.in_plane = 1, .out_plane = 1};
  for (int d = 0; d < 3; d++) {
    const int64_t size = call.in_size[d], out = call.out_size[d];
    for (int64_t o = 0; o < out; o++) {
      const int64_t begin = o * size / out, end = ((o + 1) * size + out - 1) / out;
      w.dims[d].push_back({begin, end, 1, end - begin});
    }
    w.in_plane *= size;
    w.out_plane *= out;
  }
  w.work = std::max(w.in_plane, w.out_plane);
  return w;
}

// Calls f(plane) for all planes, in parallel.
template <class F>
void each_plane(const PoolCall& call, const Windows& w, F f) {
  const int64_t grain = std::max<int64_t>(1, kPiece / std::max<int64_t>(w.work, 1));
  parallel_for(call.planes, grain, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) f(p);
  });
}

// Calls f(output position, ranges of the three dims).
template <class F>
void each_window(const Windows& w, F f) {
  int64_t at = 0;
  for (const Range& z : w.dims[0])
    for (const Range& y : w.dims[1])
      for (const Range& x : w.dims[2]) f(at++, z, y, x);
}

template <class T>
void max_planes(const PoolCall& call, const Windows& w) {
  using C = compute_t<T>;
  const int64_t height = call.in_size[1], width = call.in_size[2];
  each_plane(call, w, [&](int64_t plane) {
    const T* in = reinterpret_cast<const T*>(call.in) + plane * w.in_plane;
    T* out = reinterpret_cast<T*>(call.out) + plane * w.out_plane;
    int64_t* indices = call.indices ? call.indices + plane * w.out_plane : nullptr;
    each_window(w, [&](int64_t at, const Range& zs, const Range& ys, const Range& xs) {
      int64_t where = (zs.begin * height + ys.begin) * width + xs.begin;
      using Limits = std::numeric_limits<C>;
      C best = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
      for (int64_t z = zs.begin; z < zs.end; z += zs.step) {
        for (int64_t y = ys.begin; y < ys.end; y += ys.step) {
          const int64_t row = (z * height + y) * width;
          for (int64_t x = xs.begin; x < xs.end; x += xs.step) {
            const C value = C(in[row + x]);
            const bool wins = value > best || value != value;
            best = wins ? value : best;
            where = wins ? row + x : where;
          }
        }
      }
      out[at] = T(best);
      if (indices) indices[at] = where;
    });
  });
}

// Gradients are gathered in the compute type: in place, or in a plane of its own for halves.
template <class T, class F>
void scatter_planes(const PoolCall& call, const Windows& w, F add) {
  using C = compute_t<T>;
  each_plane(call, w, [&](int64_t plane) {
    T* out = reinterpret_cast<T*>(call.out) + plane * w.in_plane;
    const T* gradient = reinterpret_cast<const T*>(call.in) + plane * w.out_plane;
    if constexpr (std::is_same_v<T, C>) {
      std::fill_n(out, w.in_plane, C(0));
      add(plane, gradient, out);
    } else {
      auto sums = std::make_unique<C[]>(size_t(w.in_plane));
      add(plane, gradient, sums.get());
      for (int64_t i = 0; i < w.in_plane; i++) out[i] = T(sums[i]);
    }
  });
}

template <class T>
void max_gradient(const PoolCall& call) {
  Windows w{.in_plane = 1, .out_plane = 1};
  for (int d = 0; d < 3; d++) {
    w.in_plane *= call.in_size[d];
    w.out_plane *= call.out_size[d];
  }
  w.work = w.in_plane + w.out_plane;
  scatter_planes<T>(call, w, [&](int64_t plane, const T* gradient, compute_t<T>* sums) {
    const int64_t* indices = call.indices + plane * w.out_plane;
    for (int64_t i = 0; i < w.out_plane; i++)
      if (uint64_t(indices[i]) < uint64_t(w.in_plane)) sums[indices[i]] += compute_t<T>(gradient[i]);
  });
}

template <class C, class T>
C sum_run(const T* p, int64_t n) {
  C total = 0;
  int64_t i = 0;
  if (n >= 32) {
    C lanes[16] = {};
    for (; i + 16 <= n; i += 16)
      for (int k = 0; k < 16; k++) lanes[k] += C(p[i + k]);
    for (C lane : lanes) total += lane;
  }
  for (; i < n; i++) total += C(p[i]);
  return total;
}

template <class C>
C divisor_of(const PoolCall& call, const Range& z, const Range& y, const Range& x) {
  return C(call.divisor ? call.divisor : z.extent * y.extent * x.extent);
}

template <class T>
void average_planes(const PoolCall& call, const Windows& w) {
  using C = compute_t<T>;
  const int64_t height = call.in_size[1], width = call.in_size[2];
  each_plane(call, w, [&](int64_t plane) {
    const T* in = reinterpret_cast<const T*>(call.in) + plane * w.in_plane;
    T* out = reinterpret_cast<T*>(call.out) + plane * w.out_plane;
    each_window(w, [&](int64_t at, const Range& zs, const Range& ys, const Range& xs) {
      C total = 0;
      for (int64_t z = zs.begin; z < zs.end; z++)
        for (int64_t y = ys.begin; y < ys.end; y++)
          total += sum_run<C>(in + (z * height + y) * width + xs.begin, xs.end - xs.begin);
      const bool empty = zs.begin >= zs.end || ys.begin >= ys.end || xs.begin >= xs.end;
      out[at] = T(empty ? C(0) : total / divisor_of<C>(call, zs, ys, xs));
    });
  });
}

template <class T>
void average_gradient(const PoolCall& call, const Windows& w) {
  using C = compute_t<T>;
  const int64_t height = call.in_size[1], width = call.in_size[2];
  scatter_planes<T>(call, w, [&](int64_t, const T* gradient, C* sums) {
    each_window(w, [&](int64_t at, const Range& zs, const Range& ys, const Range& xs) {
      const C share = C(gradient[at]) / divisor_of<C>(call, zs, ys, xs);
      for (int64_t z = zs.begin; z < zs.end; z++)
        for (int64_t y = ys.begin; y < ys.end; y++)
          for (int64_t x = xs.begin; x < xs.end; x++) sums[(z * height + y) * width + x] += share;
    });
  });
}

void max_any(const PoolCall& call, const Windows& w, const char* what) {
  if (call.dtype == DType::Int64) return max_planes<int64_t>(call, w);
  visit_floating(call.dtype, what, [&]<class T>() { max_planes<T>(call, w); });
}

void max_pool_cpu(const PoolCall& call) {
  using Planes = void (*)(const PoolCall&, int64_t, int64_t);
#if defined(__x86_64__)
  static const Planes planes = [] {
    Planes chosen = nullptr;
    choose_isa([&] { chosen = baseline::max_pool_planes; }, [&] { chosen = avx2::max_pool_planes; },
               [&] { chosen = avx512::max_pool_planes; });
    return chosen;
  }();
#else
  static constexpr Planes planes = baseline::max_pool_planes;
#endif
  int64_t plane = 1, work = 1;
  for (int d = 0; d < 3; d++) {
    plane *= call.in_size[d];
    work *= call.out_size[d] * call.kernel[d];
  }
  // the vectors count positions in 32 bits
  if (plane > INT32_MAX) return max_any(call, sliding(call), "max_pool2d");
  parallel_for(call.planes, std::max<int64_t>(1, kPiece / std::max<int64_t>(work, 1)),
               [&](int64_t begin, int64_t end) { planes(call, begin, end); });
}
void adaptive_max_pool_cpu(const PoolCall& call) { max_any(call, adaptive(call), "adaptive_max_pool2d"); }
void max_pool_backward_cpu(const PoolCall& call) {
  visit_floating(call.dtype, "max_pool2d", [&]<class T>() { max_gradient<T>(call); });
}
void avg_pool_cpu(const PoolCall& call) {
  if (call.dtype == DType::Int64) return average_planes<int64_t>(call, sliding(call));
  visit_floating(call.dtype, "avg_pool2d", [&]<class T>() { average_planes<T>(call, sliding(call)); });
}
void avg_pool_backward_cpu(const PoolCall& call) {
  visit_floating(call.dtype, "avg_pool2d_backward", [&]<class T>() { average_gradient<T>(call, sliding(call)); });
}

// The adaptive kinds have no divisor of their own.
PoolCall without_divisor(PoolCall call) {
  call.divisor = 0;
  return call;
}
void adaptive_avg_pool_cpu(const PoolCall& call) {
  visit_floating(call.dtype, "adaptive_avg_pool2d",
                 [&]<class T>() { average_planes<T>(without_divisor(call), adaptive(call)); });
}
void adaptive_avg_pool_backward_cpu(const PoolCall& call) {
  visit_floating(call.dtype, "adaptive_avg_pool2d_backward",
                 [&]<class T>() { average_gradient<T>(without_divisor(call), adaptive(call)); });
}

}  // namespace

Kernel<void(const PoolCall&)> max_pool("max_pool", max_pool_cpu);
Kernel<void(const PoolCall&)> max_pool_backward("max_pool_backward", max_pool_backward_cpu);
Kernel<void(const PoolCall&)> avg_pool("avg_pool", avg_pool_cpu);
Kernel<void(const PoolCall&)> avg_pool_backward("avg_pool_backward", avg_pool_backward_cpu);
Kernel<void(const PoolCall&)> adaptive_max_pool("adaptive_max_pool", adaptive_max_pool_cpu);
Kernel<void(const PoolCall&)> adaptive_avg_pool("adaptive_avg_pool", adaptive_avg_pool_cpu);
Kernel<void(const PoolCall&)> adaptive_avg_pool_backward("adaptive_avg_pool_backward", adaptive_avg_pool_backward_cpu);

}  // namespace tabula::kernels
