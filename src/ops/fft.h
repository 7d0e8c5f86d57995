// Discrete Fourier transforms: what the bindings install.
#pragma once

#include "ops/opdef.h"

namespace tabula {

enum class FftKind : uint8_t { ComplexToComplex, RealToComplex, ComplexToReal };
// As PyTorch numbers the factors: none, 1 / sqrt(n), 1 / n.
enum class FftScale : uint8_t { None, Root, Full };

// A library's transform of the last `count` dimensions of `x` into a fresh contiguous tensor. `size` is the length of
// the last one in a real result.
struct FftCall {
  FftKind kind;
  FftScale scale;
  bool forward;
  int64_t count, size;
};
extern Tensor (*fft_hook)(const Tensor& x, const FftCall& call);

}  // namespace tabula
