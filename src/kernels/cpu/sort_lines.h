// What the sorting kernels share: dispatch over ordered dtypes, the order itself, and the lines along a dimension.
#pragma once

#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/index_walk.h"
#include "kernels/sort.h"

namespace tabula::kernels {

template <class F>
void visit_ordered(DType dtype, const char* what, F&& f) {
  visit(dtype, what, [&]<class T>() {
    if constexpr (is_complex_v<T>)
      fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(dtype), "'");
    else
      f.template operator()<T>();
  });
}

template <class T>
inline bool is_nan(T x) {
  if constexpr (std::is_integral_v<T>)
    return false;
  else
    return convert<compute_t<T>>(x) != convert<compute_t<T>>(x);
}
template <class T>
inline bool less(T a, T b) {
  return (!is_nan(a) && is_nan(b)) || a < b;
}
template <class T>
inline bool greater(T a, T b) {
  return (is_nan(a) && !is_nan(b)) || a > b;
}

// The lines along `dim`, numbered in memory order.
class Lines {
 public:
  explicit Lines(const SortCall& call) {
    const int64_t rank = int64_t(call.sizes.size());
    Dims sizes;
    std::array<Dims, 3> strides;
    const IntList given[3] = {call.in_strides, call.value_strides, call.index_strides};
    const bool wanted[3] = {true, call.values != nullptr, call.indices != nullptr};
    for (int64_t d = 0; d < rank; d++) {
      if (d != call.dim) sizes.push_back(call.sizes[size_t(d)]);
      for (int k = 0; k < 3; k++) {
        const int64_t stride = wanted[k] ? given[k][size_t(d)] : 0;
        if (d == call.dim)
          stride_[k] = stride;
        else
          strides[size_t(k)].push_back(stride);
      }
    }
    length_ = rank == 0 ? 1 : call.sizes[size_t(call.dim)];
    walk_ = std::make_unique<Walk<3>>(sizes, std::array<IntList, 3>{strides[0], strides[1], strides[2]});
  }
  int64_t length() const { return length_; }
  int64_t count() const { return walk_->numel(); }

  // Calls f(in, in stride, values, their stride, indices, their stride) for each line of [begin, end).
  template <class T, class F>
  void range(const SortCall& call, int64_t begin, int64_t end, F&& f) const {
    const T* const in = static_cast<const T*>(call.in);
    T* const values = static_cast<T*>(call.values);
    walk_->range(begin, end, [&](const Walk<3>::Offsets& at, int64_t n) {
      for (int64_t i = 0; i < n; i++) {
        T* const v = values ? values + at[1] + i * walk_->stride(1) : nullptr;
        int64_t* const x = call.indices ? call.indices + at[2] + i * walk_->stride(2) : nullptr;
        f(in + at[0] + i * walk_->stride(0), stride_[0], v, stride_[1], x, stride_[2]);
      }
    });
  }
  // All lines, at the same time where there are enough of them.
  template <class T, class F>
  void parallel(const SortCall& call, F&& f) const {
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, length_));
    parallel_for(count(), grain, [&](int64_t begin, int64_t end) { range<T>(call, begin, end, f); });
  }

 private:
  int64_t length_;
  int64_t stride_[3] = {0, 0, 0};
  std::unique_ptr<Walk<3>> walk_;
};

}  // namespace tabula::kernels
