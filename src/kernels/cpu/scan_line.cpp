// Running sums of one line of floats: sums within a vector of doubles by shifts and additions (Hillis and Steele, "Data
// parallel algorithms", 1986), then what came before is added to all its lanes. Only that last addition waits for the
// vector before.
#include "kernels/cpu/reduce_isa.h"
#include "kernels/cpu/scan_isa.h"

#include <utility>

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int kWidth = kLanes<double>;
using Doubles = V<double>;
using Floats = VecType<float, kVecBytes / 2>::type;

// The lanes moved up by `distance`, zeros below.
template <int distance, int... lanes>
[[gnu::always_inline]] inline Doubles moved(Doubles v, std::integer_sequence<int, lanes...>) {
  return __builtin_shufflevector(Doubles{}, v, (lanes < distance ? lanes : kWidth + lanes - distance)...);
}

template <int distance = 1>
[[gnu::always_inline]] inline Doubles sums_within(Doubles v) {
  if constexpr (distance < kWidth)
    return sums_within<distance * 2>(v + moved<distance>(v, std::make_integer_sequence<int, kWidth>{}));
  else
    return v;
}

template <int... lanes>
[[gnu::always_inline]] inline Doubles last_everywhere(Doubles v, std::integer_sequence<int, lanes...>) {
  return __builtin_shufflevector(v, v, (lanes * 0 + kWidth - 1)...);
}

}  // namespace

void cumsum_line(const float* in, float* out, int64_t n) {
  Doubles before{};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    Floats x;
    std::memcpy(&x, in + i, sizeof x);
    const Doubles sums = before + sums_within(__builtin_convertvector(x, Doubles));
    before = last_everywhere(sums, std::make_integer_sequence<int, kWidth>{});
    const Floats rounded = __builtin_convertvector(sums, Floats);
    std::memcpy(out + i, &rounded, sizeof rounded);
  }
  for (double total = before[0]; i < n; i++) out[i] = float(total += double(in[i]));
}

}  // namespace tabula::kernels::TABULA_ISA
