// sort and unique.
#include <numeric>
#include <vector>

#include "kernels/cpu/sort_lines.h"
#include "kernels/cpu/sort_radix.h"

namespace tabula::kernels {

namespace {

template <class T, class Item>
void sort_lines(const SortCall& call, bool descending) {
  using Key = SortKey<T>;
  using Unsigned = typename Key::Unsigned;
  const Unsigned flip = descending ? Unsigned(-1) : Unsigned(0);
  const Lines lines(call);
  const int64_t n = lines.length();
  if (n == 0 || lines.count() == 0) return;

  const auto one = [&](Item* scratch, const T* in, int64_t in_stride, T* values, int64_t value_stride, int64_t* indices,
                       int64_t index_stride) {
    const Item* const items = sort_line<Item>(in, in_stride, n, descending, scratch);
    parallel_for(n, 65536, [&](int64_t begin, int64_t end) {
      if (values) {
        for (int64_t i = begin; i < end; i++) {
          const Unsigned key = Unsigned(items[i].key()) ^ flip;
          values[i * value_stride] = Key::reversible(key) ? Key::back(key) : in[items[i].index() * in_stride];
        }
      }
      if (indices) {
        for (int64_t i = begin; i < end; i++) indices[i * index_stride] = items[i].index();
      }
    });
  };

  // Few long lines are sorted one by one, each in parallel; many lines at the same time.
  const bool by_line = n >= 262144 && lines.count() < 64;
  const int64_t grain = std::max<int64_t>(1, 16384 / n);
  const auto piece = [&](int64_t begin, int64_t end) {
    const auto scratch = std::make_unique_for_overwrite<Item[]>(size_t(2 * n));
    lines.range<T>(call, begin, end, [&](const auto&... line) { one(scratch.get(), line...); });
  };
  if (by_line)
    piece(0, lines.count());
  else
    parallel_for(lines.count(), grain, piece);
}

template <class F>
void visit_items(DType dtype, int64_t n, const char* what, F&& f) {
  visit_ordered(dtype, what, [&]<class T>() {
    if constexpr (sizeof(T) == 8) {
      f.template operator()<T, WideItem>();
    } else {
      if (n <= int64_t(UINT32_MAX))
        f.template operator()<T, NarrowItem>();
      else
        f.template operator()<T, WideItem>();
    }
  });
}

void sort_cpu(const SortCall& call, bool descending) {
  const int64_t n = call.sizes.empty() ? 1 : call.sizes[size_t(call.dim)];
  visit_items(call.dtype, n, "sort", [&]<class T, class Item>() { sort_lines<T, Item>(call, descending); });
}

// Groups of equal neighbours in `order` (null: the order of the input). NaNs are all different.
template <class T, class Order>
int64_t group(const UniqueCall& call, Order&& order) {
  const T* const in = static_cast<const T*>(call.in);
  T* const values = static_cast<T*>(call.values);
  int64_t groups = 0, start = 0;
  for (int64_t i = 0; i < call.n; i++) {
    const int64_t at = order(i);
    if (i == 0 || !(in[at] == values[groups - 1])) {
      if (call.counts && groups > 0) call.counts[groups - 1] = i - start;
      start = i;
      values[groups++] = in[at];
    }
    if (call.inverse) call.inverse[at] = groups - 1;
  }
  if (call.counts && groups > 0) call.counts[groups - 1] = call.n - start;
  return groups;
}

void unique_cpu(const UniqueCall& call, int64_t& found) {
  visit_items(call.dtype, call.n, "unique", [&]<class T, class Item>() {
    const auto scratch = std::make_unique_for_overwrite<Item[]>(size_t(2 * call.n));
    const Item* items = sort_line<Item>(static_cast<const T*>(call.in), 1, call.n, false, scratch.get());
    found = group<T>(call, [&](int64_t i) { return items[i].index(); });
  });
}

void unique_consecutive_cpu(const UniqueCall& call, int64_t& found) {
  visit_ordered(call.dtype, "unique_consecutive",
                [&]<class T>() { found = group<T>(call, [](int64_t i) { return i; }); });
}

void unique_rows_cpu(const UniqueRowsCall& call, int64_t& found) {
  visit_ordered(call.dtype, "unique_dim", [&]<class T>() {
    const T* const in = static_cast<const T*>(call.in);
    const auto row = [&](int64_t r) { return in + r * call.columns; };
    std::vector<int64_t> order(static_cast<size_t>(call.rows));
    std::iota(order.begin(), order.end(), 0);
    if (!call.consecutive) {
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        const T *x = row(a), *y = row(b);
        for (int64_t c = 0; c < call.columns; c++) {
          if (x[c] < y[c]) return true;
          if (y[c] < x[c]) return false;
        }
        return false;
      });
    }
    int64_t groups = 0, start = 0;
    for (int64_t i = 0; i < call.rows; i++) {
      const int64_t at = order[size_t(i)];
      if (i == 0 || !std::equal(row(at), row(at) + call.columns, row(call.first[groups - 1]))) {
        if (call.counts && groups > 0) call.counts[groups - 1] = i - start;
        start = i;
        call.first[groups++] = at;
      }
      if (call.inverse) call.inverse[at] = groups - 1;
    }
    if (call.counts && groups > 0) call.counts[groups - 1] = call.rows - start;
    found = groups;
  });
}

}  // namespace

Kernel<void(const SortCall&, bool)> sort{"sort", sort_cpu};
Kernel<void(const UniqueCall&, int64_t&)> unique{"unique", unique_cpu};
Kernel<void(const UniqueCall&, int64_t&)> unique_consecutive{"unique_consecutive", unique_consecutive_cpu};
Kernel<void(const UniqueRowsCall&, int64_t&)> unique_rows{"unique_dim", unique_rows_cpu};

}  // namespace tabula::kernels
