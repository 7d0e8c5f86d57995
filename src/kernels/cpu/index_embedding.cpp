#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace tabula::kernels {

namespace {

// The lookups are first sorted by row (by counting, which keeps their order); then every row adds up its own.
void embedding_backward_cpu(const EmbeddingBackwardCall& call) {
  const Dims sizes{call.n}, strides{1};
  check_indices(call.index, sizes, strides, call.rows, 0, IndexRule::Self);
  const auto starts = std::make_unique<int64_t[]>(size_t(call.rows + 1));
  const auto order = std::make_unique_for_overwrite<int64_t[]>(size_t(call.n));
  for (int64_t i = 0; i < call.n; i++) starts[size_t(call.index[i])]++;
  int64_t sum = 0;
  for (int64_t r = 0; r <= call.rows; r++) {
    const int64_t count = starts[size_t(r)];
    starts[size_t(r)] = sum;
    sum += count;
  }
  // filling moves each start to its end, which is the next row's start
  for (int64_t i = 0; i < call.n; i++) order[size_t(starts[size_t(call.index[i])]++)] = i;
  visit_floating(call.dtype, "embedding_backward", [&]<class T>() {
    using C = compute_t<T>;
    const T* const grad = static_cast<const T*>(call.grad);
    T* const out = static_cast<T*>(call.out);
    const int64_t grain = std::max<int64_t>(1, kIndexGrain / std::max<int64_t>(1, call.width));
    parallel_for(call.rows, grain, [&](int64_t begin, int64_t end) {
      const auto sums = std::make_unique_for_overwrite<C[]>(size_t(call.width));
      for (int64_t r = begin; r < end; r++) {
        const int64_t first = r == 0 ? 0 : starts[size_t(r - 1)], last = r == call.padding ? first : starts[size_t(r)];
        T* const to = out + r * call.width;
        if (first == last) {
          std::fill(to, to + call.width, convert<T>(0));
          continue;
        }
        std::fill(sums.get(), sums.get() + call.width, C(0));
        for (int64_t k = first; k < last; k++) {
          const T* const from = grad + order[size_t(k)] * call.width;
          for (int64_t c = 0; c < call.width; c++) sums[size_t(c)] = C(sums[size_t(c)] + convert<C>(from[c]));
        }
        const bool scaled = call.scale_by_frequency && last - first > 1;
        for (int64_t c = 0; c < call.width; c++)
          to[c] = convert<T>(scaled ? divide(sums[size_t(c)], last - first) : sums[size_t(c)]);
      }
    });
  });
}

}  // namespace

Kernel<void(const EmbeddingBackwardCall&)> embedding_backward{"embedding_dense_backward", embedding_backward_cpu};

}  // namespace tabula::kernels
