#include "kernels/sort_ties.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/parallel.h"

namespace tabula::kernels {
namespace {

// Up to this length libstdc++'s introsort is an insertion sort, which is stable.
constexpr int64_t kStableLength = 16;

template <class T>
bool is_nan(T v) {
  if constexpr (std::is_integral_v<T>)
    return false;
  else
    return v != v;
}

template <class T>
void reorder_line(const T* in, int64_t stride, int64_t n, T* values, int64_t value_stride, int64_t* indices, int64_t index_stride, bool descending) {
  using C = compute_t<T>;
  bool ties = false;
  for (int64_t i = 1; i < n && !ties; i++) {
    const C a = C(values[(i - 1) * value_stride]), b = C(values[i * value_stride]);
    ties = a == b || (is_nan(a) && is_nan(b));
  }
  if (!ties) return;
  std::vector<std::pair<C, int64_t>> items(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; i++) items[size_t(i)] = {C(in[i * stride]), i};
  if (descending)
    std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return (is_nan(a.first) && !is_nan(b.first)) || a.first > b.first; });
  else
    std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return (!is_nan(a.first) && is_nan(b.first)) || a.first < b.first; });
  for (int64_t i = 0; i < n; i++) {
    const int64_t from = items[size_t(i)].second;
    values[i * value_stride] = in[from * stride];
    indices[i * index_stride] = from;
  }
}

void reorder_ties_cpu(const SortCall& call, bool descending) {
  const int64_t rank = int64_t(call.sizes.size());
  if (rank == 0 || call.sizes[size_t(call.dim)] <= kStableLength) return;
  const size_t dim = size_t(call.dim);
  const int64_t n = call.sizes[dim];
  int64_t lines = 1;
  for (int64_t d = 0; d < rank; d++)
    if (d != call.dim) lines *= call.sizes[size_t(d)];
  visit(call.dtype, "sort", [&]<class T>() {
    if constexpr (!is_complex_v<T>) {
      parallel_for(lines, std::max<int64_t>(1, 32768 / n), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; line++) {
          int64_t in = 0, value = 0, index = 0, rest = line;
          for (int64_t d = rank - 1; d >= 0; d--) {
            if (d == call.dim) continue;
            const int64_t at = rest % call.sizes[size_t(d)];
            rest /= call.sizes[size_t(d)];
            in += at * call.in_strides[size_t(d)];
            value += at * call.value_strides[size_t(d)];
            index += at * call.index_strides[size_t(d)];
          }
          reorder_line(static_cast<const T*>(call.in) + in, call.in_strides[dim], n, static_cast<T*>(call.values) + value, call.value_strides[dim], call.indices + index,
                       call.index_strides[dim], descending);
        }
      });
    }
  });
}

}  // namespace

Kernel<void(const SortCall&, bool)> reorder_ties{"reorder_ties", reorder_ties_cpu};

}  // namespace tabula::kernels
