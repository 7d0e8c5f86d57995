// Selections that need no full order: topk, kthvalue, median, mode; and binary search. Which of several equal values
// is named follows from the selection algorithm, so the algorithms are the ones PyTorch's results come from.
#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/cpu/sort_lines.h"

namespace tabula::kernels {

namespace {

// Puts the k best of a line into q[0 .. k), in order, by way of a heap with the worst of them on top; q has room for
// one more. Among equal elements it is the same ones as with std::partial_sort. Most elements are no better than the
// top: they are passed over a block at a time by a comparison that may err, but not in that.
template <class T, class Item, class Better, class Passed, class Order>
void best_of_line(const T* in, int64_t stride, int64_t n, int64_t k, Item* q, Better better, Passed passed,
                  Order order) {
  constexpr int64_t block = 32;
  for (int64_t i = 0; i < k; i++) q[i] = {in[i * stride], i};
  std::make_heap(q, q + k, order);
  const auto look = [&](int64_t i) {
    if (!better(in[i * stride], q[0].first)) return;
    q[k] = {in[i * stride], i};
    std::pop_heap(q, q + k + 1, order);
  };
  int64_t i = k;
  for (; i + block <= n; i += block) {
    if (stride == 1) {
      const T top = q[0].first;
      int32_t kept = 0;
      for (int64_t j = 0; j < block; j++) kept |= !passed(in[i + j], top);
      if (!kept) continue;
    }
    for (int64_t j = 0; j < block; j++) look(i + j);
  }
  for (; i < n; i++) look(i);
  std::sort_heap(q, q + k, order);
}

template <class T, class Better, class Passed>
void topk_lines(const SortCall& call, int64_t k, bool sorted, Better better, Passed passed) {
  const Lines lines(call);
  const int64_t n = lines.length();
  if (k == 0 || lines.count() == 0) return;
  const int64_t grain = std::max<int64_t>(1, 16384 / n);
  const bool few = k * 64 <= n;
  using Item = std::pair<T, int64_t>;
  const auto first_is_better = [&](const Item& a, const Item& b) { return better(a.first, b.first); };
  parallel_for(lines.count(), grain, [&](int64_t begin, int64_t end) {
    const auto queue = std::make_unique_for_overwrite<Item[]>(size_t(few ? k + 1 : n));
    Item* const q = queue.get();
    lines.range<T>(
        call, begin, end,
        [&](const T* in, int64_t in_stride, T* values, int64_t value_stride, int64_t* indices, int64_t index_stride) {
          if (few) {
            best_of_line(in, in_stride, n, k, q, better, passed, first_is_better);
          } else {
            for (int64_t i = 0; i < n; i++) q[i] = {in[i * in_stride], i};
            std::nth_element(q, q + k - 1, q + n, first_is_better);
            if (sorted) std::sort(q, q + k - 1, first_is_better);
          }
          for (int64_t i = 0; i < k; i++) {
            if (values) values[i * value_stride] = q[i].first;
            if (indices) indices[i * index_stride] = q[i].second;
          }
        });
  });
}

void topk_cpu(const SortCall& call, int64_t k, bool largest, bool sorted) {
  visit_ordered(call.dtype, "topk", [&]<class T>() {
    if (largest)
      topk_lines<T>(call, k, sorted, [](T a, T b) { return greater(a, b); }, [](T a, T top) { return a <= top; });
    else
      topk_lines<T>(call, k, sorted, [](T a, T b) { return less(a, b); }, [](T a, T top) { return a >= top; });
  });
}

// Hoare's selection with a median of three, as in "Numerical Recipes", section 8.5.
template <class T>
void select(std::pair<T, int64_t>* items, int64_t n, int64_t k) {
  const auto above = [&](int64_t a, int64_t b) { return greater(items[a].first, items[b].first); };
  const auto order = [&](int64_t a, int64_t b) {
    if (above(a, b)) std::swap(items[a], items[b]);
  };
  int64_t low = 0, high = n - 1;
  while (high > low) {
    if (high == low + 1) {
      order(low, high);
      return;
    }
    std::swap(items[(low + high) >> 1], items[low + 1]);
    order(low + 1, high);
    order(low, high);
    order(low + 1, low);
    int64_t i = low + 1, j = high;
    const T pivot = items[low].first;
    while (true) {
      do i++;
      while (greater(pivot, items[i].first));
      do j--;
      while (greater(items[j].first, pivot));
      if (j < i) break;
      std::swap(items[i], items[j]);
    }
    std::swap(items[low], items[j]);
    if (j <= k) low = i;
    if (j >= k) high = j - 1;
  }
}

void kthvalue_cpu(const SortCall& call, int64_t k) {
  visit_ordered(call.dtype, "kthvalue_cpu", [&]<class T>() {
    const Lines lines(call);
    const int64_t n = lines.length();
    lines.parallel<T>(call, [&](const T* in, int64_t in_stride, T* values, int64_t, int64_t* indices, int64_t) {
      std::vector<std::pair<T, int64_t>> items(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; i++) items[size_t(i)] = {in[i * in_stride], i};
      select(items.data(), n, k - 1);
      if (values) *values = items[size_t(k - 1)].first;
      if (indices) *indices = items[size_t(k - 1)].second;
    });
  });
}

// Of equal values the one that a stable sort would put in the middle; a NaN, if it counts, is the first one.
void median_cpu(const SortCall& call, bool ignore_nan) {
  visit_ordered(call.dtype, "median_out_impl", [&]<class T>() {
    const Lines lines(call);
    const int64_t n = lines.length();
    lines.parallel<T>(call, [&](const T* in, int64_t stride, T* values, int64_t, int64_t* indices, int64_t) {
      const auto at = [&](int64_t i) { return in[i * stride]; };
      int64_t nans = 0, chosen = -1;
      for (int64_t i = 0; i < n && chosen < 0; i++) {
        if (!is_nan(at(i))) continue;
        if (!ignore_nan) chosen = i;
        nans++;
      }
      if (chosen < 0) {
        std::vector<int64_t> order(static_cast<size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        const int64_t middle = nans == n ? 0 : (n - nans - 1) / 2;
        std::nth_element(order.begin(), order.begin() + middle, order.end(),
                         [&](int64_t a, int64_t b) { return less(at(a), at(b)) || (!less(at(b), at(a)) && a < b); });
        chosen = order[size_t(middle)];
      }
      if (values) *values = at(chosen);
      if (indices) *indices = chosen;
    });
  });
}

// The most frequent value, the smallest of several; its last position.
void mode_cpu(const SortCall& call) {
  visit_ordered(call.dtype, "mode", [&]<class T>() {
    const Lines lines(call);
    const int64_t n = lines.length();
    lines.parallel<T>(call, [&](const T* in, int64_t stride, T* values, int64_t, int64_t* indices, int64_t) {
      std::vector<std::pair<T, int64_t>> items(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; i++) items[size_t(i)] = {in[i * stride], i};
      // not stable: which of several equal elements is reported is then the one that PyTorch reports
      std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return less(a.first, b.first); });
      int64_t best = 0, run = 0, longest = 0;
      for (int64_t i = 0; i < n; i++) {
        run = i > 0 && items[size_t(i)].first == items[size_t(i - 1)].first ? run + 1 : 1;
        if (run <= longest) continue;
        longest = run;
        best = i;
      }
      if (values) *values = items[size_t(best)].first;
      if (indices) *indices = items[size_t(best)].second;
    });
  });
}

template <class T, class Out>
void search(const SearchCall& call) {
  const T* const boundaries = static_cast<const T*>(call.boundaries);
  const T* const values = static_cast<const T*>(call.values);
  Out* const out = static_cast<Out*>(call.out);
  parallel_for(call.rows * call.width, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t base = call.boundary_rows == 1 ? 0 : i / call.width * call.length;
      const T* const line = boundaries + base;
      const int64_t* const sorter = call.sorter ? call.sorter + base : nullptr;
      const T value = values[i];
      int64_t low = 0, high = call.length;
      while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const T boundary = sorter ? line[sorter[middle]] : line[middle];
        // written so that a NaN goes to the end
        const bool before = call.right ? !(boundary > value) : !(boundary >= value);
        if (before)
          low = middle + 1;
        else
          high = middle;
      }
      out[i] = Out(low);
    }
  });
}

void searchsorted_cpu(const SearchCall& call) {
  visit_ordered(call.dtype, "searchsorted_out_cpu", [&]<class T>() {
    if (call.out_dtype == DType::Int32)
      search<T, int32_t>(call);
    else
      search<T, int64_t>(call);
  });
}

}  // namespace

Kernel<void(const SortCall&, int64_t, bool, bool)> topk{"topk", topk_cpu};
Kernel<void(const SortCall&, int64_t)> kthvalue{"kthvalue", kthvalue_cpu};
Kernel<void(const SortCall&, bool)> median{"median", median_cpu};
Kernel<void(const SortCall&)> mode{"mode", mode_cpu};
Kernel<void(const SearchCall&)> searchsorted{"searchsorted", searchsorted_cpu};

}  // namespace tabula::kernels
