// Blocks of any dtype and stride to contiguous blocks of a compute type.
#include <complex>

#include "kernels/cpu/reduce_isa.h"
#include "kernels/cpu/reduce_ops.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

template <class S, class C>
void read(const char* src, int64_t stride, int64_t n, void* dst) {
  read_block(reinterpret_cast<const S*>(src), stride, n, static_cast<C*>(dst));
}

template <class R>
void read_absolute(const char* src, int64_t stride, int64_t n, void* dst) {
  const auto* p = reinterpret_cast<const std::complex<R>*>(src);
  for (int64_t i = 0; i < n; i++) static_cast<R*>(dst)[i] = std::abs(p[i * stride]);
}

}  // namespace

void stage(DType from, const char* src, int64_t stride, int64_t n, DType compute, bool absolute, void* dst) {
  if (absolute) {
    if (from == DType::Complex64)
      read_absolute<float>(src, stride, n, dst);
    else
      read_absolute<double>(src, stride, n, dst);
    return;
  }
  visit(from, "reduce", [&]<class S>() {
    switch (compute) {
      case DType::Bool: return read<S, bool>(src, stride, n, dst);
      case DType::Int32: return read<S, int32_t>(src, stride, n, dst);
      case DType::Int64: return read<S, int64_t>(src, stride, n, dst);
      case DType::Float32: return read<S, float>(src, stride, n, dst);
      case DType::Float64: return read<S, double>(src, stride, n, dst);
      case DType::Complex64: return read<S, c64>(src, stride, n, dst);
      default: return read<S, c128>(src, stride, n, dst);
    }
  });
}

}  // namespace tabula::kernels::TABULA_ISA
