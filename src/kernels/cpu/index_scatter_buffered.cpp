#include <algorithm>
#include <memory>

#include "kernels/cpu/index_scatter.h"

namespace tabula::kernels {

namespace {

// By way of accumulators for a few neighbouring lines. A cell is loaded when it is first met and written back at the
// end.
template <class T, ScatterOp op, class Scale>
void buffered(const ScatterCall& call, const ScatterPlan& plan, Scale&& scale) {
  using C = compute_t<T>;
  const int64_t so = plan.others.stride(0), io = plan.others.stride(1), ro = plan.others.stride(2);
  const bool shared = io == 0;  // all lines have the same indices: cells are rows
  const int64_t wanted = shared ? std::clamp<int64_t>(65536 / std::max<int64_t>(1, call.self_size), 16, 256) : 16;
  const int64_t width = std::min(wanted, plan.others.inner());
  const int64_t grain = std::max<int64_t>(width, kIndexGrain / plan.length / width * width);
  const auto finish = [&](C sum, int64_t count) {
    if constexpr (op == ScatterOp::Mean) sum = divide(sum, count + (call.include_self ? 1 : 0));
    return convert<T>(sum);
  };
  const auto start = [&](T cell) { return call.include_self ? convert<C>(cell) : neutral<op, C>(); };
  parallel_for(plan.others.numel(), grain, [&](int64_t begin, int64_t end) {
    const auto sums = std::make_unique_for_overwrite<C[]>(size_t(call.self_size * width));
    const auto counts = std::make_unique<int64_t[]>(size_t(call.self_size * (shared ? 1 : width)));
    plan.others.range(begin, end, [&](const Walk<3>::Offsets& at, int64_t row) {
      for (int64_t first = 0; first < row; first += width) {
        const int64_t n = std::min(width, row - first);
        T* const self = static_cast<T*>(call.self) + at[0] + first * so;
        const int64_t* const index = call.index + at[1] + first * io;
        const T* const src = static_cast<const T*>(call.src) + at[2] + first * ro;
        const auto cell_of = [&](int64_t i, int64_t d) {
          const int64_t x = index[i * io + d * plan.index_dim];
          return x < 0 ? x + plan.wrap : x;
        };
        if (shared) {
          for (int64_t d = 0; d < plan.length; d++) {
            const int64_t cell = cell_of(0, d);
            C* const sum = sums.get() + cell * width;
            const T* const own = self + cell * plan.self_dim;
            const T* const from = src + d * plan.src_dim;
            if (counts[size_t(cell)]++ == 0)
              for (int64_t i = 0; i < n; i++) sum[i] = start(own[i * so]);
            if (ro == 1)
              for (int64_t i = 0; i < n; i++) sum[i] = combine<op>(sum[i], scale(convert<C>(from[i])));
            else
              for (int64_t i = 0; i < n; i++) sum[i] = combine<op>(sum[i], scale(convert<C>(from[i * ro])));
          }
          for (int64_t d = 0; d < plan.length; d++) {
            const int64_t cell = cell_of(0, d), count = counts[size_t(cell)];
            if (count == 0) continue;
            T* const own = self + cell * plan.self_dim;
            for (int64_t i = 0; i < n; i++) own[i * so] = finish(sums[size_t(cell * width + i)], count);
            counts[size_t(cell)] = 0;
          }
          continue;
        }
        for (int64_t d = 0; d < plan.length; d++) {
          for (int64_t i = 0; i < n; i++) {
            const int64_t cell = cell_of(i, d);
            C& sum = sums[size_t(cell * width + i)];
            if (counts[size_t(cell * width + i)]++ == 0) sum = start(self[i * so + cell * plan.self_dim]);
            sum = combine<op>(sum, scale(convert<C>(src[i * ro + d * plan.src_dim])));
          }
        }
        for (int64_t d = 0; d < plan.length; d++) {
          for (int64_t i = 0; i < n; i++) {
            const int64_t cell = cell_of(i, d);
            int64_t& count = counts[size_t(cell * width + i)];
            if (count == 0) continue;
            self[i * so + cell * plan.self_dim] = finish(sums[size_t(cell * width + i)], count);
            count = 0;
          }
        }
      }
    });
  });
}

}  // namespace

void scatter_buffered(const ScatterCall& call, const ScatterPlan& plan) {
  visit_numbers(call.dtype, "scatter_gather_tensor_cpu", [&]<class T>() {
    using C = compute_t<T>;
    visit_scatter_op(call.op, [&]<ScatterOp op>() {
      if constexpr (!reducible<T, op>) {
        fail_reduction(op, call.dtype);
      } else if constexpr (op == ScatterOp::Add) {
        const C alpha = call.alpha ? convert<C>(*static_cast<const T*>(call.alpha)) : C(1);
        buffered<T, op>(call, plan, [&](C value) { return C(value * alpha); });
      } else {
        buffered<T, op>(call, plan, [](C value) { return value; });
      }
    });
  });
}

}  // namespace tabula::kernels
