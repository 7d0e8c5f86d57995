// Writing at indices along a dimension. Targets can only meet along that dimension, so the other dimensions are cut
// into pieces and each piece goes through the indices in order.
#include <algorithm>

#include "kernels/cpu/block_move.h"
#include "kernels/cpu/index_scatter.h"

namespace tabula::kernels {

namespace {

// How many lines a piece takes. Each line goes through all indices in order, so that the cut changes no result: there
// are as many pieces as threads, and neighbours stay together, as long as a cache line has more than one of them.
int64_t lines_of_piece(const ScatterPlan& plan) {
  constexpr int64_t together = 16;
  const int64_t lines = plan.others.numel(), share = (lines + num_threads() - 1) / num_threads();
  const int64_t least = std::max<int64_t>(1, kIndexGrain / plan.length);
  if (least >= share || plan.others.inner() == 1) return least;
  return (share + together - 1) / together * together;
}

// The plainest case: no strides, no negative indices.
template <class T, class F>
void one_line(T* self, const int64_t* index, const T* src, int64_t n, F&& combine_into) {
  constexpr int64_t block = 8;
  int64_t d = 0;
  for (; d + block <= n; d += block) {
    __builtin_prefetch(index + d + kPrefetchAhead / 8);
    __builtin_prefetch(src + d + kPrefetchAhead / int64_t(sizeof(T)));
    for (int64_t k = 0; k < block; k++) combine_into(self[index[d + k]], src[d + k]);
  }
  for (; d < n; d++) combine_into(self[index[d]], src[d]);
}

// Straight into self, one element after the other.
template <class T, class F>
void direct(const ScatterCall& call, const ScatterPlan& plan, F&& combine_into) {
  const int64_t so = plan.others.stride(0), io = plan.others.stride(1), ro = plan.others.stride(2);
  parallel_for(plan.others.numel(), lines_of_piece(plan), [&](int64_t begin, int64_t end) {
    plan.others.range(begin, end, [&](const Walk<3>::Offsets& at, int64_t n) {
      T* const self = static_cast<T*>(call.self) + at[0];
      const int64_t* const index = call.index + at[1];
      const T* const src = static_cast<const T*>(call.src) + at[2];
      const auto place = [&](int64_t i) { return (i < 0 ? i + plan.wrap : i) * plan.self_dim; };
      if (n == 1 && plan.wrap == 0 && plan.self_dim == 1 && plan.index_dim == 1 && plan.src_dim == 1) {
        one_line(self, index, src, plan.length, combine_into);
        return;
      }
      // the inner loop runs along the dimension in which memory is closer together
      if (n > 1 && plan.self_dim != 1) {
        for (int64_t d = 0; d < plan.length; d++) {
          const int64_t* const x = index + d * plan.index_dim;
          const T* const from = src + d * plan.src_dim;
          if (io == 0) {
            T* const to = self + place(x[0]);
            if (so == 1 && ro == 1)
              for (int64_t i = 0; i < n; i++) combine_into(to[i], from[i]);
            else
              for (int64_t i = 0; i < n; i++) combine_into(to[i * so], from[i * ro]);
          } else {
            for (int64_t i = 0; i < n; i++) combine_into(self[i * so + place(x[i * io])], from[i * ro]);
          }
        }
      } else {
        for (int64_t i = 0; i < n; i++) {
          for (int64_t d = 0; d < plan.length; d++)
            combine_into(self[i * so + place(index[i * io + d * plan.index_dim])], src[i * ro + d * plan.src_dim]);
        }
      }
    });
  });
}

void scatter_cpu(const ScatterCall& call) {
  if (any_zero(call.sizes)) return;
  check_indices(call.index, call.sizes, call.index_strides, call.self_size, call.dim, call.rule);
  const ScatterPlan plan = make_plan(call);
  if (call.op == ScatterOp::Assign) {
    visit_size(item_size(call.dtype),
               [&]<class T>() { direct<T>(call, plan, [](T& to, const T& from) { to = from; }); });
  } else if (call.op == ScatterOp::Mean || !call.include_self || call.alpha || is_reduced_float(call.dtype)) {
    scatter_buffered(call, plan);
  } else {
    visit_numbers(call.dtype, "scatter_gather_tensor_cpu", [&]<class T>() {
      visit_scatter_op(call.op, [&]<ScatterOp op>() {
        if constexpr (!reducible<T, op>)
          fail_reduction(op, call.dtype);
        else if constexpr (op != ScatterOp::Mean && std::is_same_v<T, compute_t<T>>)
          direct<T>(call, plan, [](T& to, const T& from) { to = combine<op>(to, from); });
      });
    });
  }
}

}  // namespace

Kernel<void(const ScatterCall&)> scatter{"scatter", scatter_cpu};

}  // namespace tabula::kernels
