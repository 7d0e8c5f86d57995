// Random numbers: the same streams as PyTorch's.
#pragma once

#include "kernels/random.h"
#include "ops/opdef.h"

namespace tabula {

extern const Op uniform_, normal_, exponential_, bernoulli_, bernoulli_p, random_range_;

inline Generator& generator_or_default(Generator* generator) { return generator ? *generator : default_generator(); }
inline kernels::RandomOut random_out(const Tensor& t) { return {t.dtype(), t.data(), t.sizes(), t.strides()}; }

// Fresh draws into a tensor, below autograd.
void fill_uniform(const Tensor& t, double from, double to, Generator* generator);
void fill_normal(const Tensor& t, double mean, double std, Generator* generator);
void fill_bernoulli(const Tensor& t, double p, Generator* generator);
void fill_integers(const Tensor& t, int64_t from, int64_t to, Generator* generator);

// Zero: what the gradient of a random result with respect to its one or two tensor parameters is taken to be. Of both
// the shape must be saved.
void no_gradient_vjp(Backward& b);

}  // namespace tabula
