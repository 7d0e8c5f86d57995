// The order of the additions is the one that PyTorch's results show, so that short inner products agree with it to the
// last bit: what iterates on them (a line search) would otherwise part from it step by step.
#include "kernels/cpu/dot_isa.h"
#include "kernels/cpu/reduce_isa.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int kAcross = 16, kParts = kAcross / kLanes<float>;

struct Sum {
  V<float> parts[kParts] = {};

  [[gnu::always_inline]] void add_products(const float* a, const float* b) {
    for (int i = 0; i < kParts; i++)
      parts[i] = mad<float>(load(a + i * kLanes<float>), load(b + i * kLanes<float>), parts[i]);
  }
  [[gnu::always_inline]] Sum operator+(const Sum& other) const {
    Sum both;
    for (int i = 0; i < kParts; i++) both.parts[i] = parts[i] + other.parts[i];
    return both;
  }
  float total() const {
    float lanes[kAcross];
    std::memcpy(lanes, parts, sizeof lanes);
    for (int i = 0; i < 8; i++) lanes[i] += lanes[i + 8];
    for (int i = 0; i < 4; i++) lanes[i] += lanes[i + 4];
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  }
};

}  // namespace

float dot_line(const float* a, const float* b, int64_t n) {
  Sum sums[4];
  int64_t i = 0;
  for (; i + 4 * kAcross <= n; i += 4 * kAcross)
    for (int k = 0; k < 4; k++) sums[k].add_products(a + i + k * kAcross, b + i + k * kAcross);
  if (i + 2 * kAcross <= n) {
    for (int k = 0; k < 2; k++) sums[k].add_products(a + i + k * kAcross, b + i + k * kAcross);
    i += 2 * kAcross;
  }
  if (i + kAcross <= n) {
    sums[0].add_products(a + i, b + i);
    i += kAcross;
  }
  if (i < n) {
    float x[kAcross] = {}, y[kAcross] = {};
    std::memcpy(x, a + i, size_t(n - i) * sizeof(float));
    std::memcpy(y, b + i, size_t(n - i) * sizeof(float));
    sums[0].add_products(x, y);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])).total();
}

}  // namespace tabula::kernels::TABULA_ISA
