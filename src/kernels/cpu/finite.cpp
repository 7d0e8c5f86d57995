#include "kernels/finite.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/parallel.h"
#include "core/tensor.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kPiece = int64_t(1) << 17;  // numbers: a thread's share, long enough to be worth waking it
constexpr int64_t kBlock = 1024;              // numbers between two looks at the answer

// A number is not finite when all bits of its exponent are set; adding the exponent's lowest bit then carries into the
// sign's place, from where it is collected.
template <class Bits, int mantissa>
bool finite_run(const Bits* at, int64_t count) {
  constexpr Bits sign = Bits(Bits(1) << (8 * sizeof(Bits) - 1)), lowest = Bits(Bits(1) << mantissa);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    Bits seen = 0;
    for (int64_t i = begin; i < end; i++) seen = Bits(seen | Bits(Bits(at[i] & Bits(~sign)) + lowest));
    if (seen & sign) return false;
  }
  return true;
}

bool finite_piece(const char* data, int64_t count, DType dtype) {
  switch (dtype) {
    case DType::Float32: return finite_run<uint32_t, 23>(reinterpret_cast<const uint32_t*>(data), count);
    case DType::Float64: return finite_run<uint64_t, 52>(reinterpret_cast<const uint64_t*>(data), count);
    case DType::Float16: return finite_run<uint16_t, 10>(reinterpret_cast<const uint16_t*>(data), count);
    case DType::BFloat16: return finite_run<uint16_t, 7>(reinterpret_cast<const uint16_t*>(data), count);
    default:
      for (int64_t i = 0; i < count; i++)
        if (!std::isfinite(load_scalar(data + i, dtype).to_double())) return false;
      return true;
  }
}

}  // namespace

bool all_finite(const char* data, int64_t count, DType dtype) {
  if (is_complex(dtype)) {
    dtype = real_dtype(dtype);
    count *= 2;
  }
  const int64_t size = item_size(dtype);
  if (count <= kPiece) return finite_piece(data, count, dtype);
  std::atomic<bool> finite{true};
  parallel_for(count, kPiece, [&](int64_t begin, int64_t end) {
    if (finite.load(std::memory_order_relaxed) && !finite_piece(data + begin * size, end - begin, dtype))
      finite = false;
  });
  return finite;
}

}  // namespace tabula::kernels
