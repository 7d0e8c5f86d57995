// Special functions, computed lane by lane in double. Compiled for the baseline only.
#include "kernels/cpu/pointwise_block.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
void define_for(BlockTable& table) {
  TABULA_ROW1(erfinv, erfinv(x));
  TABULA_ROW1(lgamma, lgamma(x));
  TABULA_ROW1(digamma, digamma(x));
  TABULA_ROW1(i0, i0(x));
  TABULA_ROW1(i0e, i0e(x));
  TABULA_ROW1(i1, i1(x));
  TABULA_ROW1(i1e, i1e(x));
  TABULA_ROW1(ndtri, ndtri(x));
  TABULA_ROW1(log_ndtr, log_ndtr(x));
  TABULA_ROW1(erfcx, erfcx(x));
  TABULA_ROW1(polygamma, polygamma(p[0], x));
  TABULA_ROW2(zeta, zeta(x, y));
  TABULA_ROW2(igamma, igamma(x, y));
  TABULA_ROW2(igammac, igammac(x, y));
}

// The next of the 16-bit floats, whose encodings are in the order of their magnitudes: the float32 next to one is not.
template <class T, int infinity>
void nextafter_block(int64_t n, char* const* out, const char* const* in, const double*, const int64_t*, uint32_t) {
  uint16_t* const o = reinterpret_cast<uint16_t*>(out[0]);
  const uint16_t* const from = reinterpret_cast<const uint16_t*>(in[0]);
  const uint16_t* const to = reinterpret_cast<const uint16_t*>(in[1]);
  constexpr int nan = std::is_same_v<T, BFloat16> ? 0x7FC0 : 0x7E00;
  const auto place = [](int bits) { return bits & 0x8000 ? -(bits & 0x7FFF) : bits; };
  for (int64_t i = 0; i < n; i++) {
    const int x = from[i], y = to[i], a = place(x), b = place(y);
    if ((x & 0x7FFF) > infinity || (y & 0x7FFF) > infinity)
      o[i] = nan;
    else if (a == b)
      o[i] = uint16_t(y);
    else if (a == 0)
      o[i] = uint16_t((y & 0x8000) | 1);
    else
      o[i] = uint16_t(x + ((a < b) == (a > 0) ? 1 : -1));
  }
}

}  // namespace

void define_special(BlockTable& table) {
  define_for<float>(table);
  define_for<double>(table);
  table.at[int(Pointwise::nextafter)][int(DType::BFloat16)] = nextafter_block<BFloat16, 0x7F80>;
  table.at[int(Pointwise::nextafter)][int(DType::Float16)] = nextafter_block<Half, 0x7C00>;
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
