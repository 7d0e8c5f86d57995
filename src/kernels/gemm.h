// Matrix products and inner products over raw memory. All strides count elements.
#pragma once

#include <complex>
#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

enum class Epilogue : uint8_t { None, Relu };

// c = epilogue(alpha * a @ b + beta * c + bias), with a [m, k], b [k, n] and c [m, n] of one dtype and any strides.
// beta == 0 does not read c. float16 and bfloat16 accumulate in float32 and round once; integers wrap around (alpha and
// beta are converted to the integer type). c must not overlap a, b or bias. Every dtype except bool, complex32 and the
// float8 formats.
struct GemmCall {
  int64_t m = 0, n = 0, k = 0;
  DType dtype = DType::Float32;
  const char* a = nullptr;
  int64_t a_row = 0, a_col = 0;
  const char* b = nullptr;
  int64_t b_row = 0, b_col = 0;
  char* c = nullptr;
  int64_t c_row = 0, c_col = 0;
  std::complex<double> alpha{1}, beta{0};
  const char* bias = nullptr;
  int64_t bias_row = 0, bias_col = 0;  // at most one is nonzero: one value per row, per column, or one for all
  Epilogue epilogue = Epilogue::None;
  bool conj_a = false, conj_b = false;
};

// The same product for `batch` triples of matrices; the bias is shared.
struct BatchedGemmCall : GemmCall {
  int64_t batch = 1;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;
};

// out = sum over i of a[i] * b[i]; conj_a makes it vdot.
struct DotCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  const char* a = nullptr;
  int64_t a_stride = 1;
  const char* b = nullptr;
  int64_t b_stride = 1;
  char* out = nullptr;
  bool conj_a = false;
};

extern Kernel<void(const GemmCall&)> gemm;
extern Kernel<void(const BatchedGemmCall&)> batched_gemm;
extern Kernel<void(const DotCall&)> dot;

}  // namespace tabula::kernels
