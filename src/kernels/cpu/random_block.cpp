#include "kernels/cpu/random_block.h"

#include <cmath>

namespace tabula::kernels {

namespace {

TABULA_CLONES void temper_words(const uint32_t* words, uint32_t* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = Generator::temper(words[i]);
}

// below 2^24, so that the signed conversion, which every instruction set has, is right
TABULA_CLONES void temper_f24(const uint32_t* words, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = float(int32_t(Generator::temper(words[i]) & 0xffffffu)) * 0x1p-24f;
}

// the 53 bits as 21 and 32, again for the sake of conversions that every instruction set has; both steps are exact
TABULA_CLONES void pairs_to_d53(const uint32_t* draws, double* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const double high = double(int32_t(draws[2 * i] & 0x1fffffu));
    const double low = double(int32_t(draws[2 * i + 1] ^ 0x80000000u));
    out[i] = (high * 0x1p32 + (low + 0x1p31)) * 0x1p-53;
  }
}

}  // namespace

void draw_u32(Generator& gen, uint32_t* out, int64_t n) {
  while (n > 0) {
    int64_t count = n;
    const uint32_t* words = gen.take(count);
    temper_words(words, out, count);
    out += count;
    n -= count;
  }
}

void draw_f24(Generator& gen, float* out, int64_t n) {
  while (n > 0) {
    int64_t count = n;
    const uint32_t* words = gen.take(count);
    temper_f24(words, out, count);
    out += count;
    n -= count;
  }
}

void draw_d53(Generator& gen, double* out, int64_t n) {
  uint32_t draws[kDrawBlock];
  for (int64_t done = 0; done < n; done += kDrawBlock / 2) {
    const int64_t part = std::min(kDrawBlock / 2, n - done);
    draw_u32(gen, draws, 2 * part);
    pairs_to_d53(draws, out + done, part);
  }
}

void load_doubles(DType dtype, const void* from, int64_t stride, double* to, int64_t n) {
  visit_floating(dtype, "random", [&]<class T>() {
    const T* p = static_cast<const T*>(from);
    for (int64_t i = 0; i < n; i++) to[i] = convert<double>(p[i * stride]);
  });
}

void store_doubles(DType dtype, const double* from, void* to, int64_t stride, int64_t n) {
  visit(dtype, "random", [&]<class T>() {
    T* p = static_cast<T*>(to);
    for (int64_t i = 0; i < n; i++) p[i * stride] = convert<T>(from[i]);
  });
}

}  // namespace tabula::kernels
