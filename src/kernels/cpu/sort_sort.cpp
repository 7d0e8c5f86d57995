// sort and unique.
#include <numeric>
#include <vector>

#include "kernels/cpu/sort_intro.h"
#include "kernels/cpu/sort_lines.h"
#include "kernels/cpu/sort_radix.h"

namespace tabula::kernels {

namespace {

// From this length on, floats are taken to have equal ones among them: the order by digits would be made in vain.
constexpr int64_t kTiesFrom = 8192;
// PyTorch sorts integers by digits from this length on: stably.
constexpr int64_t kDigitsFrom = 32768;

template <class T>
void sort_line(const T* in, int64_t in_stride, int64_t n, T* values, int64_t value_stride, int64_t* indices,
               int64_t index_stride, bool descending, bool stable) {
  const LineKeys<T> keys(in, in_stride, n, descending);
  keys.with_items([&]<class Item>(Item* room) {
    const bool as_pytorch = !stable && n > kInsertionLength;
    const Item* items = room;
    bool again = as_pytorch && !std::is_integral_v<T> && sizeof(T) <= 4 && n >= kTiesFrom;
    if (!again) {
      keys.fill(room);
      items = sort_items(room, room + n, n, keys.bits());
      for (int64_t i = 1; as_pytorch && i < n && !again; i++) again = items[i].key() == items[i - 1].key();
    }
    if (again) {
      keys.fill(room);
      Introsort<Item>::sort(room, n);
      items = room;
    }
    parallel_for(n, 65536, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) values[i * value_stride] = keys.value(items[i]);
      for (int64_t i = begin; i < end; i++) indices[i * index_stride] = items[i].index();
    });
  });
}

void sort_cpu(const SortCall& call, bool descending, bool stable) {
  visit_ordered(call.dtype, "sort", [&]<class T>() {
    const Lines lines(call);
    const int64_t n = lines.length();
    if (n == 0 || lines.count() == 0) return;
    const bool by_digits = std::is_integral_v<T> && !std::is_same_v<T, bool> && call.sizes.size() == 1 && !descending;
    const bool ties_stay = stable || (by_digits && n >= kDigitsFrom);
    const auto piece = [&](int64_t begin, int64_t end) {
      lines.range<T>(
          call, begin, end,
          [&](const T* in, int64_t in_stride, T* values, int64_t value_stride, int64_t* indices, int64_t index_stride) {
            sort_line(in, in_stride, n, values, value_stride, indices, index_stride, descending, ties_stay);
          });
    };
    // Few long lines are sorted one by one, each in parallel; many lines at the same time.
    if (n >= 262144 && lines.count() < 64)
      piece(0, lines.count());
    else
      parallel_for(lines.count(), std::max<int64_t>(1, 16384 / n), piece);
  });
}

// Groups of equal neighbours in an order: place(i) is a position in the input, value(i) the element there. NaNs are all
// different.
template <class T, class Place, class Value>
int64_t group(const UniqueCall& call, Place&& place, Value&& value) {
  T* const values = static_cast<T*>(call.values);
  int64_t groups = 0, start = 0;
  for (int64_t i = 0; i < call.n; i++) {
    const T element = value(i);
    if (i == 0 || !(element == values[groups - 1])) {
      if (call.counts && groups > 0) call.counts[groups - 1] = i - start;
      start = i;
      values[groups++] = element;
    }
    if (call.inverse) call.inverse[place(i)] = groups - 1;
  }
  if (call.counts && groups > 0) call.counts[groups - 1] = call.n - start;
  return groups;
}

// Integers of a small range are counted.
template <class T>
int64_t count_each(const UniqueCall& call, const LineKeys<T>& keys) {
  const Scratch memory(size_t(keys.span()) * sizeof(int64_t));
  int64_t* const counts = memory.as<int64_t>();
  std::fill_n(counts, keys.span(), 0);
  for (int64_t i = 0; i < call.n; i++) counts[keys.rank(i)]++;
  int64_t groups = 0;
  for (uint64_t rank = 0; rank < keys.span(); rank++) {
    if (counts[rank] == 0) continue;
    static_cast<T*>(call.values)[groups] = keys.value_at(rank);
    if (call.counts) call.counts[groups] = counts[rank];
    counts[rank] = groups++;
  }
  for (int64_t i = 0; call.inverse && i < call.n; i++) call.inverse[i] = counts[keys.rank(i)];
  return groups;
}

void unique_cpu(const UniqueCall& call, int64_t& found) {
  visit_ordered(call.dtype, "unique", [&]<class T>() {
    const LineKeys<T> keys(static_cast<const T*>(call.in), 1, call.n, false);
    if constexpr (std::is_integral_v<T>) {
      if (keys.span() > 0 && keys.span() <= uint64_t(call.n)) {
        found = count_each(call, keys);
        return;
      }
    }
    keys.with_items([&]<class Item>(Item* room) {
      keys.fill(room);
      const Item* const items = sort_items(room, room + call.n, call.n, keys.bits());
      found =
          group<T>(call, [&](int64_t i) { return items[i].index(); }, [&](int64_t i) { return keys.value(items[i]); });
    });
  });
}

void unique_consecutive_cpu(const UniqueCall& call, int64_t& found) {
  visit_ordered(call.dtype, "unique_consecutive", [&]<class T>() {
    const T* const in = static_cast<const T*>(call.in);
    found = group<T>(call, [](int64_t i) { return i; }, [&](int64_t i) { return in[i]; });
  });
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

Kernel<void(const SortCall&, bool, bool)> sort{"sort", sort_cpu};
Kernel<void(const UniqueCall&, int64_t&)> unique{"unique", unique_cpu};
Kernel<void(const UniqueCall&, int64_t&)> unique_consecutive{"unique_consecutive", unique_consecutive_cpu};
Kernel<void(const UniqueRowsCall&, int64_t&)> unique_rows{"unique_dim", unique_rows_cpu};

}  // namespace tabula::kernels
