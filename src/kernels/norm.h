// Layer, RMS, group and batch normalisation over contiguous views. Data (x, y, dy, dx) may be float, double, Half or
// BFloat16; statistics are kept in the compute type: double for double, else float. Weights may have another dtype.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Layer and RMS norm: x is (rows, n). RMS norm has no mean, no bias: y = x * rstd * weight.
struct RowNormCall {
  bool rms;
  int64_t rows, n;
  double eps;
  DType dtype;         // of x, y, dy, dx
  DType weight_dtype;  // of weight, bias, dweight, dbias
  const char *x, *weight, *bias;  // weight and bias may be null
  char* y;
  void *mean, *rstd;  // (rows), compute type: written by the forward pass unless null, read by the backward pass
  const char* dy;
  char *dx, *dweight, *dbias;  // any may be null
};
extern Kernel<void(const RowNormCall&)> row_norm;
extern Kernel<void(const RowNormCall&)> row_norm_backward;

// Group norm: x is (batch, channels, inner), statistics are (batch, groups).
struct GroupNormCall {
  int64_t batch, channels, inner, groups;
  double eps;
  DType dtype, weight_dtype;
  const char *x, *weight, *bias;
  char* y;
  void *mean, *rstd;
  const char* dy;
  char *dx, *dweight, *dbias;
};
extern Kernel<void(const GroupNormCall&)> group_norm;
extern Kernel<void(const GroupNormCall&)> group_norm_backward;

// Batch norm: x is (batch, channels, inner), statistics are (channels).
struct BatchNormCall {
  bool training;  // backward: whether the statistics depend on x
  int64_t batch, channels, inner;
  double eps;
  DType dtype, weight_dtype;
  const char *x, *weight, *bias;
  char* y;
  void *mean, *rstd;   // compute type
  void* variance;      // batch_norm_statistics: biased variance, unless null
  const char* dy;
  char *dx, *dweight, *dbias;
};
// From x: mean, variance, and rstd of that biased variance.
extern Kernel<void(const BatchNormCall&)> batch_norm_statistics;
extern Kernel<void(const BatchNormCall&)> batch_norm_apply;       // y from x, mean, rstd, weight, bias
extern Kernel<void(const BatchNormCall&)> batch_norm_backward;    // dx, dweight, dbias

}  // namespace tabula::kernels
