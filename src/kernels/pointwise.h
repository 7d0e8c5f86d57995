// The pointwise operations and the engine that runs one over strided, broadcast operands of any dtypes.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// What an operation's kernel writes, as a function of the compute dtype.
enum class PointwiseResult : uint8_t { Same, Bool, Real, Complex };

// X(name, inputs, parameters, result, inputs read as bool (a bit mask)). The comments name the parameters.
#define TABULA_POINTWISE(X)                                                                                            \
  X(positive, 1, 0, Same, 0) X(abs, 1, 0, Real, 0) X(neg, 1, 0, Same, 0) X(sign, 1, 0, Same, 0)                        \
  X(sgn, 1, 0, Same, 0) X(ceil, 1, 0, Same, 0) X(floor, 1, 0, Same, 0) X(round, 1, 1, Same, 0) /* decimals */          \
  X(trunc, 1, 0, Same, 0) X(frac, 1, 0, Same, 0) X(reciprocal, 1, 0, Same, 0) X(sqrt, 1, 0, Same, 0)                   \
  X(rsqrt, 1, 0, Same, 0) X(square, 1, 0, Same, 0) X(cube, 1, 0, Same, 0)                                              \
  X(inverse_square, 1, 0, Same, 0) X(exp, 1, 0, Same, 0) X(exp2, 1, 0, Same, 0)                                        \
  X(expm1, 1, 0, Same, 0) X(log, 1, 0, Same, 0) X(log2, 1, 0, Same, 0) X(log10, 1, 0, Same, 0)                         \
  X(log1p, 1, 0, Same, 0) X(sin, 1, 0, Same, 0) X(cos, 1, 0, Same, 0) X(tan, 1, 0, Same, 0) X(asin, 1, 0, Same, 0)     \
  X(acos, 1, 0, Same, 0) X(atan, 1, 0, Same, 0) X(sinh, 1, 0, Same, 0) X(cosh, 1, 0, Same, 0)                          \
  X(tanh, 1, 0, Same, 0) X(asinh, 1, 0, Same, 0) X(acosh, 1, 0, Same, 0) X(atanh, 1, 0, Same, 0)                       \
  X(sinc, 1, 0, Same, 0) X(sigmoid, 1, 0, Same, 0) X(logit, 1, 1, Same, 0) /* eps, negative for none */                \
  X(erf, 1, 0, Same, 0) X(erfc, 1, 0, Same, 0) X(erfinv, 1, 0, Same, 0) X(lgamma, 1, 0, Same, 0)                       \
  X(digamma, 1, 0, Same, 0) X(i0, 1, 0, Same, 0) X(i0e, 1, 0, Same, 0) X(i1, 1, 0, Same, 0) X(i1e, 1, 0, Same, 0)      \
  X(ndtri, 1, 0, Same, 0) X(log_ndtr, 1, 0, Same, 0) X(erfcx, 1, 0, Same, 0) X(entr, 1, 0, Same, 0)                    \
  X(polygamma, 1, 1, Same, 0) /* n */ X(zeta, 2, 0, Same, 0) X(deg2rad, 1, 0, Same, 0) X(rad2deg, 1, 0, Same, 0)       \
  X(isnan, 1, 0, Bool, 0) X(isinf, 1, 0, Bool, 0) X(isposinf, 1, 0, Bool, 0) X(isneginf, 1, 0, Bool, 0)                \
  X(isfinite, 1, 0, Bool, 0) X(signbit, 1, 0, Bool, 0) X(logical_not, 1, 0, Bool, 0) X(bitwise_not, 1, 0, Same, 0)     \
  X(nan_to_num, 1, 3, Same, 0) /* nan, posinf, neginf */ X(angle, 1, 0, Real, 0) X(conj_physical, 1, 0, Same, 0)       \
  X(relu, 1, 0, Same, 0) X(relu6, 1, 0, Same, 0) X(leaky_relu, 1, 1, Same, 0) /* slope */                              \
  X(elu, 1, 3, Same, 0) /* alpha, scale, input_scale */ X(celu, 1, 1, Same, 0) /* alpha */ X(selu, 1, 0, Same, 0)      \
  X(gelu, 1, 0, Same, 0) X(gelu_tanh, 1, 0, Same, 0) X(silu, 1, 0, Same, 0) X(mish, 1, 0, Same, 0)                     \
  X(softplus, 1, 2, Same, 0) /* beta, threshold */ X(hardtanh, 1, 2, Same, 0) /* min, max */                           \
  X(hardsigmoid, 1, 0, Same, 0) X(hardswish, 1, 0, Same, 0) X(hardshrink, 1, 1, Same, 0) /* lambda */                  \
  X(softshrink, 1, 1, Same, 0) /* lambda */ X(threshold, 1, 2, Same, 0) /* threshold, value */                         \
  X(logsigmoid, 1, 0, Same, 0) X(softsign, 1, 0, Same, 0) X(tanhshrink, 1, 0, Same, 0)                                 \
  X(clamp, 1, 2, Same, 0) /* min, max */ X(clamp_min, 1, 1, Same, 0) X(clamp_max, 1, 1, Same, 0)                       \
  X(clamp_tensor, 3, 0, Same, 0) /* x, min, max */ X(add, 2, 1, Same, 0) /* alpha */ X(sub, 2, 1, Same, 0) /* alpha */ \
  X(rsub, 2, 1, Same, 0) /* alpha: y - alpha x */ X(mul, 2, 0, Same, 0) X(div, 2, 0, Same, 0)                          \
  X(div_trunc, 2, 0, Same, 0) X(floor_divide, 2, 0, Same, 0) X(remainder, 2, 0, Same, 0) X(fmod, 2, 0, Same, 0)        \
  X(pow, 2, 0, Same, 0) X(atan2, 2, 0, Same, 0) X(maximum, 2, 0, Same, 0) X(minimum, 2, 0, Same, 0)                    \
  X(fmax, 2, 0, Same, 0) X(fmin, 2, 0, Same, 0) X(copysign, 2, 0, Same, 0) X(hypot, 2, 0, Same, 0)                     \
  X(nextafter, 2, 0, Same, 0) X(logaddexp, 2, 0, Same, 0) X(logaddexp2, 2, 0, Same, 0) X(xlogy, 2, 0, Same, 0)         \
  X(xlog1py, 2, 0, Same, 0) X(heaviside, 2, 0, Same, 0) X(ldexp, 2, 0, Same, 0) X(gcd, 2, 0, Same, 0)                  \
  X(lcm, 2, 0, Same, 0) X(bitwise_and, 2, 0, Same, 0) X(bitwise_or, 2, 0, Same, 0) X(bitwise_xor, 2, 0, Same, 0)       \
  X(left_shift, 2, 0, Same, 0) X(right_shift, 2, 0, Same, 0) X(logical_and, 2, 0, Bool, 0)                             \
  X(logical_or, 2, 0, Bool, 0) X(logical_xor, 2, 0, Bool, 0) X(eq, 2, 0, Bool, 0) X(ne, 2, 0, Bool, 0)                 \
  X(lt, 2, 0, Bool, 0) X(le, 2, 0, Bool, 0) X(gt, 2, 0, Bool, 0) X(ge, 2, 0, Bool, 0) X(igamma, 2, 0, Same, 0)         \
  X(igammac, 2, 0, Same, 0) X(lerp, 3, 0, Same, 0) /* x, y, weight */ X(addcmul, 3, 1, Same, 0) /* value */            \
  X(addcdiv, 3, 1, Same, 0) /* value */ X(where, 3, 0, Same, 1) /* condition, x, y */                                  \
  X(masked_fill, 2, 1, Same, 2) /* x, mask; value */ X(complex, 2, 0, Complex, 0) X(polar, 2, 0, Complex, 0)           \
  X(tanh_grad, 2, 0, Same, 0) /* g, result */ X(sigmoid_grad, 2, 0, Same, 0) /* g, result */                           \
  X(gelu_grad, 2, 0, Same, 0) X(gelu_tanh_grad, 2, 0, Same, 0) X(silu_grad, 2, 0, Same, 0) X(mish_grad, 2, 0, Same, 0) \
  X(softplus_grad, 2, 2, Same, 0) X(elu_grad, 2, 3, Same, 0) X(elu_result_grad, 2, 3, Same, 0) /* g, result */         \
  X(leaky_relu_grad, 2, 1, Same, 0) X(hardswish_grad, 2, 0, Same, 0) X(hardsigmoid_grad, 2, 0, Same, 0)                \
  X(hardtanh_grad, 2, 2, Same, 0) X(threshold_grad, 2, 1, Same, 0) X(softshrink_grad, 2, 1, Same, 0)                   \
  X(hardshrink_grad, 2, 1, Same, 0) X(logsigmoid_grad, 2, 0, Same, 0) X(smooth_l1, 2, 1, Same, 0) /* beta */           \
  X(smooth_l1_grad, 3, 1, Same, 0) /* g, x, y */ X(huber, 2, 1, Same, 0) /* delta */                                   \
  X(huber_grad, 3, 1, Same, 0) /* g, x, y */ X(mse, 2, 0, Same, 0) X(mse_grad, 3, 1, Same, 0) /* g, x, y; factor */

enum class Pointwise : uint16_t {
#define X(name, inputs, params, result, masks) name,
  TABULA_POINTWISE(X)
#undef X
      Count
};
inline constexpr int kPointwiseOps = int(Pointwise::Count);

struct PointwiseInfo {
  const char* name;
  uint8_t inputs, params;
  PointwiseResult result;
  uint8_t masks;  // bit k: input k is read as bool, whatever the compute dtype
};
inline constexpr PointwiseInfo kPointwise[kPointwiseOps] = {
#define X(name, inputs, params, result, masks) {#name, inputs, params, PointwiseResult::result, masks},
    TABULA_POINTWISE(X)
#undef X
};

// The dtype that the kernel of `op` writes when it computes in `compute`.
constexpr DType pointwise_result(Pointwise op, DType compute) {
  switch (kPointwise[int(op)].result) {
    case PointwiseResult::Bool: return DType::Bool;
    case PointwiseResult::Real: return real_dtype(compute);
    case PointwiseResult::Complex: return complex_dtype(compute);
    default: return compute;
  }
}
constexpr DType pointwise_input(Pointwise op, DType compute, int k) {
  return kPointwise[int(op)].masks >> k & 1 ? DType::Bool : compute;
}

struct Operand {
  char* data;
  DType dtype;
  const int64_t* strides;  // in elements, one per dimension; 0 repeats (a broadcast dimension)
};

// An output may be the very memory of an input, element for element; other overlaps are the caller's to avoid. Compute
// is one of Bool, UInt8, Int32, Int64, UInt64, Float32, Float64, Complex64, Complex128 (nextafter alone also has Float16
// and BFloat16); operands have any dtype and are converted. Parameter k is params[k], for integer and bool computation
// iparams[k], for complex computation params[2k] + i params[2k+1].
struct PointwiseCall {
  Pointwise op;
  DType compute;
  DType result;
  int ndim;
  const int64_t* sizes;
  int nout;
  Operand out[2];
  int nin;
  Operand in[4];
  double params[8];
  int64_t iparams[8];
};

void pointwise_cpu(const PointwiseCall& call);
bool pointwise_supports(Pointwise op, DType compute);
extern Kernel<void(const PointwiseCall&)> pointwise;

}  // namespace tabula::kernels
