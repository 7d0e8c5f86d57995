// What the LAPACK kernels share: the walk over a batch and working memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <complex>

#include "core/parallel.h"
#include "kernels/cpu/lapack_library.h"
#include "kernels/cpu/scratch.h"
#include "kernels/lapack.h"

namespace tabula::kernels {

template <class T>
struct real_part_of {
  using type = T;
};
template <class T>
struct real_part_of<std::complex<T>> {
  using type = T;
};
template <class T>
using real_of = typename real_part_of<T>::type;

inline double real_number(float x) { return x; }
inline double real_number(double x) { return x; }
template <class T>
double real_number(std::complex<T> x) {
  return double(x.real());
}

// Calls f.operator()<T>() for the four dtypes that LAPACK has.
template <class F>
void visit_lapack(DType d, F&& f) {
  switch (d) {
    case DType::Float32: return f.template operator()<float>();
    case DType::Float64: return f.template operator()<double>();
    case DType::Complex64: return f.template operator()<c64>();
    case DType::Complex128: return f.template operator()<c128>();
    default: fail(ErrorKind::NotImplemented, "LAPACK has no routines for ", dtype_title(d));
  }
}

// The i-th array of `size` elements.
template <class T>
T* nth(char* data, int64_t i, int64_t size) {
  return data ? reinterpret_cast<T*>(data) + i * size : nullptr;
}

// Calls f(library, i) for each matrix; `work` is about how many operations one takes: 0 if there are no elements, which
// LAPACK does not accept everywhere.
template <class F>
void each_matrix(const LapackCall& call, double work, F&& f) {
  if (call.batch <= 0) return;
  if (work <= 0) {
    if (call.info) std::fill_n(call.info, call.batch, 0);
    return;
  }
  const LapackLibrary& library = lapack_library();
  const OneThread guard(library);
  const int64_t grain = std::clamp<int64_t>(int64_t(50000 / std::max(work, 1.0)), 1, 1024);
  parallel_for(call.batch, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) f(library, i);
  });
}

// A routine's own choice of working memory, asked for by a length of -1.
template <class T, class F>
LapackInt asked_size(F&& ask) {
  T best(1);
  LapackInt query(-1);
  ask(&best, query);
  return LapackInt(std::max<int64_t>(1, int64_t(real_number(best))));
}
template <class T>
Scratch memory(int64_t count) {
  return Scratch(size_t(std::max<int64_t>(1, count)) * sizeof(T));
}

// Pivots in the library's own integers.
class Pivots {
 public:
  Pivots(const LapackLibrary& library, int32_t* pivots, int64_t count)
      : pivots_(pivots), count_(count), wide_(library.wide), memory_(library.wide ? size_t(count) * 8 : 1) {}
  void* data() { return wide_ ? static_cast<void*>(memory_.as<int64_t>()) : pivots_; }
  void load() {
    if (wide_) std::copy_n(pivots_, count_, memory_.as<int64_t>());
  }
  void store() {
    if (wide_)
      std::transform(memory_.as<int64_t>(), memory_.as<int64_t>() + count_, pivots_,
                     [](int64_t p) { return int32_t(p); });
  }

 private:
  int32_t* pivots_;
  int64_t count_;
  bool wide_;
  Scratch memory_;
};

}  // namespace tabula::kernels
