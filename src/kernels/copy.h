// Copies and fills between strided memory of any dtypes.
#pragma once

#include "kernels/pointwise.h"

namespace tabula::kernels {

struct CopyCall {
  int ndim;
  const int64_t* sizes;
  Operand dst, src;  // src's strides may be 0
  bool conj = false;  // the source is to be read conjugated, negated
  bool neg = false;
};
struct FillCall {
  int ndim;
  const int64_t* sizes;
  Operand dst;
  const void* value;  // one element of dst's dtype
};

void copy_cpu(const CopyCall& call);
void fill_cpu(const FillCall& call);
extern Kernel<void(const CopyCall&)> copy;
extern Kernel<void(const FillCall&)> fill;

inline void copy_strided(int ndim, const int64_t* sizes, Operand dst, Operand src, bool conj = false,
                         bool neg = false) {
  copy_cpu({ndim, sizes, dst, src, conj, neg});
}
inline void fill_strided(int ndim, const int64_t* sizes, Operand dst, const void* value) {
  fill_cpu({ndim, sizes, dst, value});
}

}  // namespace tabula::kernels
