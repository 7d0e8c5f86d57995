// Masks, counts and histograms.
#include <cmath>
#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace tabula::kernels {

namespace {

constexpr int64_t kPart = 32768;  // elements of a mask counted together

template <class T>
inline bool set(const T& value) {
  return convert<bool>(value);
}

// Calls f(part, offsets, logical number of the first element, count) for the rows of every part, in logical order.
template <class F>
void for_parts(const Walk<2>& walk, F&& f) {
  parallel_for(walk.numel(), kPart, [&](int64_t begin, int64_t end) {
    int64_t at = begin;
    walk.range(begin, end, [&](const Walk<2>::Offsets& offsets, int64_t n) {
      f(begin / kPart, offsets, at, n);
      at += n;
    });
  });
}

Walk<2> logical(const MaskCall& call, IntList other) {
  return Walk<2>(call.sizes, {call.strides, other}, WalkOrder::AsGiven);
}

// Lists which of n <= kHits elements are set, without a branch that a random mask would mislead.
constexpr int64_t kHits = 512;
template <class T>
inline int64_t find_set(const T* mask, int64_t stride, int64_t n, int32_t* hits) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    hits[count] = int32_t(i);
    count += set(mask[i * stride]);
  }
  return count;
}

void count_parts_cpu(const MaskCall& call, std::vector<int64_t>& parts) {
  const Walk<2> walk = logical(call, call.strides);
  // parts[p] becomes the number of set elements before part p
  parts.assign(size_t((walk.numel() + kPart - 1) / kPart + 1), 0);
  visit(call.dtype, "nonzero", [&]<class T>() {
    for_parts(walk, [&](int64_t part, const Walk<2>::Offsets& at, int64_t, int64_t n) {
      const T* const p = static_cast<const T*>(call.mask) + at[0];
      int64_t count = 0;
      for (int64_t i = 0; i < n; i++) count += set(p[i * walk.stride(0)]);
      parts[size_t(part) + 1] += count;
    });
  });
  for (size_t p = 1; p < parts.size(); p++) parts[p] += parts[p - 1];
}

void nonzero_cpu(const MaskCall& call, const std::vector<int64_t>& parts, int64_t* out, int64_t row_stride,
                 int64_t column_stride) {
  const Walk<2> walk = logical(call, call.strides);
  const int64_t rank = int64_t(call.sizes.size());
  visit(call.dtype, "nonzero", [&]<class T>() {
    parallel_for(walk.numel(), kPart, [&](int64_t begin, int64_t end) {
      int64_t* to = out + parts[size_t(begin / kPart)] * row_stride;
      Dims position(rank, 0);
      int64_t rest = begin;
      for (int64_t d = rank - 1; d >= 0; d--) {
        position[d] = rest % call.sizes[size_t(d)];
        rest /= call.sizes[size_t(d)];
      }
      walk.range(begin, end, [&](const Walk<2>::Offsets& at, int64_t n) {
        const T* const p = static_cast<const T*>(call.mask) + at[0];
        const int64_t sm = walk.stride(0);
        if (rank == 0) return;  // the one row has no columns
        int32_t hits[kHits];
        int64_t& column = position[rank - 1];
        for (int64_t done = 0; done < n;) {
          const int64_t part = std::min({n - done, kHits, call.sizes[size_t(rank - 1)] - column});
          const int64_t found = find_set(p + done * sm, sm, part, hits);
          for (int64_t h = 0; h < found; h++) {
            for (int64_t d = 0; d < rank - 1; d++) to[d * column_stride] = position[d];
            to[(rank - 1) * column_stride] = column + hits[h];
            to += row_stride;
          }
          done += part;
          column += part;
          for (int64_t d = rank - 1; d > 0 && position[d] == call.sizes[size_t(d)]; d--) {
            position[d] = 0;
            position[d - 1]++;
          }
        }
      });
    });
  });
}

// Calls f(element of the other operand, its number among the selected).
template <class T, class F>
void for_selected(const MaskCall& call, const std::vector<int64_t>& parts, T* other, IntList strides, F&& f) {
  const Walk<2> walk = logical(call, strides);
  parallel_for(walk.numel(), kPart, [&](int64_t begin, int64_t end) {
    int64_t number = parts[size_t(begin / kPart)];
    walk.range(begin, end, [&](const Walk<2>::Offsets& at, int64_t n) {
      const uint8_t* const mask = static_cast<const uint8_t*>(call.mask) + at[0];
      const int64_t sm = walk.stride(0), so = walk.stride(1);
      int32_t hits[kHits];
      for (int64_t done = 0; done < n; done += kHits) {
        const int64_t found = find_set(mask + done * sm, sm, std::min(kHits, n - done), hits);
        for (int64_t h = 0; h < found; h++) f(other[at[1] + (done + hits[h]) * so], number + h);
        number += found;
      }
    });
  });
}

void masked_select_cpu(const MaskCall& call, const std::vector<int64_t>& parts, int64_t item, const void* self,
                       IntList self_strides, void* out) {
  visit_size(item, [&]<class T>() {
    T* const to = static_cast<T*>(out);
    for_selected(call, parts, static_cast<const T*>(self), self_strides,
                 [&](const T& value, int64_t number) { to[number] = value; });
  });
}

void masked_scatter_cpu(const MaskCall& call, const std::vector<int64_t>& parts, int64_t item, void* self,
                        IntList self_strides, const void* source, int64_t source_numel) {
  check(parts.back() <= source_numel, "Number of elements of source < number of ones in mask");
  visit_size(item, [&]<class T>() {
    const T* const from = static_cast<const T*>(source);
    for_selected(call, parts, static_cast<T*>(self), self_strides,
                 [&](T& value, int64_t number) { value = from[number]; });
  });
}

template <class F>
void visit_integral(DType dtype, const char* what, F&& f) {
  visit(dtype, what, [&]<class T>() {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      f.template operator()<T>();
    else
      fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(dtype), "'");
  });
}

void bincount_size_cpu(DType dtype, const void* in, int64_t n, int64_t& size) {
  visit_integral(dtype, "bincount_cpu", [&]<class T>() {
    const T* const p = static_cast<const T*>(in);
    int64_t largest = -1;
    for (int64_t i = 0; i < n; i++) {
      const int64_t value = int64_t(p[i]);
      check(value >= 0, "bincount only supports 1-d non-negative integral inputs.");
      largest = std::max(largest, value);
    }
    size = largest + 1;
  });
}

void bincount_cpu(DType dtype, const void* in, int64_t n, int64_t* out, int64_t bins) {
  visit_integral(dtype, "bincount_cpu", [&]<class T>() {
    const T* const p = static_cast<const T*>(in);
    std::fill(out, out + bins, 0);
    for (int64_t i = 0; i < n; i++) out[p[i]]++;
  });
}

void bincount_weighted_cpu(DType dtype, const void* in, int64_t n, DType weight_dtype, const void* weights, void* out,
                           int64_t bins) {
  const auto add = [&]<class T, class W>() {
    const T* const p = static_cast<const T*>(in);
    const W* const w = static_cast<const W*>(weights);
    W* const to = static_cast<W*>(out);
    std::fill(to, to + bins, W(0));
    for (int64_t i = 0; i < n; i++) to[p[i]] += w[i];
  };
  visit_integral(dtype, "bincount_cpu", [&]<class T>() {
    if (weight_dtype == DType::Float32)
      add.template operator()<T, float>();
    else
      add.template operator()<T, double>();
  });
}

void histc_cpu(DType dtype, const void* in, int64_t n, void* out, int64_t bins, double low, double high) {
  visit_floating(dtype, "histogram_cpu", [&]<class T>() {
    using C = compute_t<T>;
    const T* const p = static_cast<const T*>(in);
    C left = C(low), right = C(high);
    if (left == right && n > 0) {
      left = right = convert<C>(p[0]);
      for (int64_t i = 0; i < n; i++) {
        const C value = convert<C>(p[i]);
        left = value < left || value != value ? value : left;
        right = value > right || value != value ? value : right;
      }
    }
    check(std::isfinite(left) && std::isfinite(right), "torch.histc: range of [", left, ", ", right, "] is not finite");
    if (left == right) {
      left -= 1;
      right += 1;
    }
    check(left < right, "torch.histc: max must be larger than min");
    // each step is rounded to the tensor's dtype, as in PyTorch: it decides on which side of an edge a value falls
    const auto in_steps = [](C v) { return convert<C>(convert<T>(v)); };
    const C width = in_steps(right - left);
    // counts of pieces are added up as integers, so their order does not matter; they are kept apart per piece
    const int64_t piece = std::max<int64_t>(65536, (n + 31) / 32);
    const int64_t pieces = std::max<int64_t>(1, (n + piece - 1) / piece);
    std::vector<int64_t> counts(size_t(pieces * bins), 0);
    parallel_for(n, piece, [&](int64_t begin, int64_t end) {
      int64_t* const count = counts.data() + begin / piece * bins;
      for (int64_t i = begin; i < end; i++) {
        const C value = convert<C>(p[i]);
        if (!(value >= left && value <= right)) continue;
        const int64_t bin = int64_t(in_steps(in_steps(in_steps(value - left) * in_steps(C(bins))) / width));
        count[std::min(bin, bins - 1)]++;
      }
    });
    T* const to = static_cast<T*>(out);
    for (int64_t b = 0; b < bins; b++) {
      int64_t total = 0;
      for (int64_t k = 0; k < pieces; k++) total += counts[size_t(k * bins + b)];
      to[b] = convert<T>(total);
    }
  });
}

void one_hot_cpu(const int64_t* in, int64_t n, int64_t classes, int64_t* out) {
  for (int64_t i = 0; i < n; i++) {
    check(in[i] >= 0, "Class values must be non-negative.");
    check(in[i] < classes, "Class values must be smaller than num_classes.");
  }
  std::fill(out, out + n * classes, 0);
  for (int64_t i = 0; i < n; i++) out[i * classes + in[i]] = 1;
}

void repeat_total_cpu(const int64_t* repeats, int64_t n, int64_t& total) {
  total = 0;
  for (int64_t i = 0; i < n; i++) {
    check(repeats[i] >= 0, "repeats can not be negative");
    check(!__builtin_add_overflow(total, repeats[i], &total), "the repeats add up to more than a tensor can hold");
  }
}

void repeat_interleave_cpu(const int64_t* repeats, int64_t n, int64_t* out) {
  for (int64_t i = 0; i < n; i++) out = std::fill_n(out, repeats[i], i);
}

}  // namespace

Kernel<void(const MaskCall&, std::vector<int64_t>&)> count_nonzero_parts{"nonzero", count_parts_cpu};
Kernel<void(const MaskCall&, const std::vector<int64_t>&, int64_t*, int64_t, int64_t)> nonzero{"nonzero", nonzero_cpu};
Kernel<void(const MaskCall&, const std::vector<int64_t>&, int64_t, const void*, IntList, void*)> masked_select{
    "masked_select", masked_select_cpu};
Kernel<void(const MaskCall&, const std::vector<int64_t>&, int64_t, void*, IntList, const void*, int64_t)>
    masked_scatter{"masked_scatter_", masked_scatter_cpu};
Kernel<void(DType, const void*, int64_t, int64_t&)> bincount_size{"bincount", bincount_size_cpu};
Kernel<void(DType, const void*, int64_t, int64_t*, int64_t)> bincount{"bincount", bincount_cpu};
Kernel<void(DType, const void*, int64_t, DType, const void*, void*, int64_t)> bincount_weighted{"bincount",
                                                                                                bincount_weighted_cpu};
Kernel<void(DType, const void*, int64_t, void*, int64_t, double, double)> histc{"histc", histc_cpu};
Kernel<void(const int64_t*, int64_t, int64_t, int64_t*)> one_hot{"one_hot", one_hot_cpu};
Kernel<void(const int64_t*, int64_t, int64_t&)> repeat_total{"repeat_interleave", repeat_total_cpu};
Kernel<void(const int64_t*, int64_t, int64_t*)> repeat_interleave{"repeat_interleave", repeat_interleave_cpu};

}  // namespace tabula::kernels
