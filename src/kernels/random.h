// Random numbers on the CPU: the same streams as PyTorch's, bit for bit. Numbers are drawn in the memory order of the
// destination. The caller holds the generator's mutex and has checked the arguments' ranges unless said otherwise.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"
#include "core/generator.h"
#include "core/small_vec.h"

namespace tabula::kernels {

struct RandomOut {
  DType dtype;
  void* data;
  IntList sizes, strides;
};
struct RandomIn {  // read along the destination's sizes
  DType dtype;
  const void* data;
  IntList strides;
};

// Floating dtypes and complex64/128 (as pairs of reals).
extern Kernel<void(Generator&, const RandomOut&, double from, double to)> random_uniform;
extern Kernel<void(Generator&, const RandomOut&, double mean, double std)> random_normal;

// base + draw % range; range 0 stands for 2^64. Any dtype but complex.
extern Kernel<void(Generator&, const RandomOut&, int64_t base, uint64_t range)> random_range;
// From 0 to the largest value of the dtype (floating: the largest exactly counted integer).
extern Kernel<void(Generator&, const RandomOut&)> random_full;
extern Kernel<void(Generator&, DType, void* out, int64_t n, int64_t stride)> random_permutation;

// Any dtype but complex for the destination.
extern Kernel<void(Generator&, const RandomOut&, double p)> random_bernoulli;
extern Kernel<void(Generator&, const RandomOut&, double p)> random_geometric;
extern Kernel<void(Generator&, const RandomOut&, const RandomIn& p)> random_bernoulli_each;  // checks 0 <= p <= 1

// Floating dtypes.
extern Kernel<void(Generator&, const RandomOut&, double rate)> random_exponential;
extern Kernel<void(Generator&, const RandomOut&, double median, double sigma)> random_cauchy;
extern Kernel<void(Generator&, const RandomOut&, double mean, double std)> random_log_normal;
extern Kernel<void(Generator&, const RandomOut&, const RandomIn& rate)> random_poisson;  // checks rate >= 0
extern Kernel<void(Generator&, const RandomOut&, const RandomIn& alpha)> random_gamma;
extern Kernel<void(Generator&, const RandomOut&, const RandomIn& count, const RandomIn& p)> random_binomial;
// Rows along the last dimension; both contiguous, of the same dtype.
extern Kernel<void(Generator&, const RandomOut&, const RandomIn& alpha)> random_dirichlet;

struct MultinomialCall {
  DType dtype;          // of the weights: floating
  const void* weights;  // [rows, categories], contiguous
  int64_t rows, categories;
  int64_t* out;  // [rows, samples], contiguous
  int64_t samples;
  bool replacement;
  bool by_column;  // without replacement: the noise is drawn column by column
};
extern Kernel<void(Generator&, const MultinomialCall&)> random_multinomial;  // checks the weights

// Training-time rrelu over n contiguous elements: noise is the slope drawn where x <= 0 and 1 elsewhere.
extern Kernel<void(Generator&, DType, const void* x, void* noise, void* out, int64_t n, double lower, double upper)>
    random_rrelu;

}  // namespace tabula::kernels
