#include "ops/kernel_limits.h"

#include <array>

namespace tabula {
namespace {

using kernels::Pointwise;

constexpr uint32_t bits(std::initializer_list<DType> dtypes) {
  uint32_t set = 0;
  for (DType d : dtypes) set |= 1u << int(d);
  return set;
}
constexpr uint32_t kBool = bits({DType::Bool}), kHalfComplex = bits({DType::Complex32}), kHalves = bits({DType::Float16, DType::BFloat16}),
                   kWide = bits({DType::UInt16, DType::UInt32, DType::UInt64}),  // the unsigned dtypes that came late
                   kInts = bits({DType::UInt8, DType::Int8, DType::Int16, DType::Int32, DType::Int64}) | kWide;

std::array<KernelLimits, size_t(kernels::kPointwiseOps)> make_table() {
  std::array<KernelLimits, size_t(kernels::kPointwiseOps)> table;
  const auto set = [&](Pointwise kernel, const char* name, uint32_t refused = 0, bool exact_out = false) { table[size_t(kernel)] = {name, refused, exact_out}; };
  set(Pointwise::abs, "abs_cpu", kBool | kWide, true);
  set(Pointwise::neg, "neg_cpu", kWide, true);
  set(Pointwise::sign, "sign_cpu", kWide, true);
  set(Pointwise::sgn, "sign_cpu", kWide, true);
  set(Pointwise::ceil, "ceil_vml_cpu", kBool, true);
  set(Pointwise::floor, "floor_vml_cpu", kBool, true);
  set(Pointwise::trunc, "trunc_vml_cpu", kBool, true);
  set(Pointwise::round, "round_vml_cpu", kBool, true);
  set(Pointwise::frac, "frac_cpu", kBool | kInts, true);
  set(Pointwise::conj_physical, "conj_physical_cpu", 0, true);
  set(Pointwise::bitwise_not, "bitwise_not_cpu", kWide, true);
  set(Pointwise::gelu, "GeluKernelImpl", 0, true);
  set(Pointwise::gelu_tanh, "GeluKernelImpl", 0, true);
  set(Pointwise::hardshrink, "hardshrink_cpu", 0, true);
  set(Pointwise::softshrink, "softshrink_cpu", 0, true);
  set(Pointwise::softplus, "softplus_cpu", 0, true);
  set(Pointwise::lerp, "lerp_kernel_tensor", kHalfComplex, true);

  set(Pointwise::reciprocal, "reciprocal_cpu", kHalfComplex);
  set(Pointwise::sqrt, "sqrt_vml_cpu", kHalfComplex);
  set(Pointwise::rsqrt, "rsqrt_cpu", kHalfComplex);
  set(Pointwise::exp, "exp_vml_cpu", kHalfComplex);
  set(Pointwise::exp2, "exp2", kHalfComplex);
  set(Pointwise::expm1, "expm1_vml_cpu", kHalfComplex);
  set(Pointwise::log, "log_vml_cpu", kHalfComplex);
  set(Pointwise::log2, "log2_vml_cpu", kHalfComplex);
  set(Pointwise::log10, "log10_vml_cpu", kHalfComplex);
  set(Pointwise::log1p, "log1p_vml_cpu", kHalfComplex);
  set(Pointwise::sin, "sin_vml_cpu", kHalfComplex);
  set(Pointwise::cos, "cos_vml_cpu", kHalfComplex);
  set(Pointwise::tan, "tan_vml_cpu", kHalfComplex);
  set(Pointwise::asin, "asin_vml_cpu", kHalfComplex);
  set(Pointwise::acos, "acos_vml_cpu", kHalfComplex);
  set(Pointwise::atan, "atan_vml_cpu", kHalfComplex);
  set(Pointwise::sinh, "sinh_cpu", kHalfComplex);
  set(Pointwise::cosh, "cosh_cpu", kHalfComplex);
  set(Pointwise::tanh, "tanh_vml_cpu", kHalfComplex);
  set(Pointwise::asinh, "asinh_cpu", kHalfComplex);
  set(Pointwise::acosh, "acosh_cpu", kHalfComplex);
  set(Pointwise::atanh, "atanh_cpu", kHalfComplex);
  set(Pointwise::sinc, "sinc_cpu", kHalfComplex);
  set(Pointwise::sigmoid, "sigmoid_cpu", kHalfComplex);
  set(Pointwise::angle, "angle_cpu", kHalfComplex);
  set(Pointwise::nan_to_num, "nan_to_num", kHalfComplex);
  set(Pointwise::logical_not, "logical_not_cpu", kHalfComplex | kWide);
  set(Pointwise::erf, "erf_vml_cpu");
  set(Pointwise::erfc, "erfc_vml_cpu");
  set(Pointwise::erfinv, "erfinv_vml_cpu");
  set(Pointwise::lgamma, "lgamma_vml_cpu");
  set(Pointwise::digamma, "digamma");
  set(Pointwise::polygamma, "polygamma");
  set(Pointwise::i0, "i0_vml_cpu");
  set(Pointwise::zeta, "zeta_cpu", kHalves);
  set(Pointwise::ndtri, "ndtri_cpu", kHalves);
  set(Pointwise::log_ndtr, "log_ndtr_cpu", kHalves);
  set(Pointwise::erfcx, "erfcx_cpu", kHalves);

  set(Pointwise::relu, "clamp_min_scalar_cpu", kWide);
  set(Pointwise::relu6, "clamp_scalar_cpu", kWide);
  set(Pointwise::hardtanh, "clamp_scalar_cpu", kWide);
  set(Pointwise::clamp, "clamp_scalar_cpu", kBool | kWide);
  set(Pointwise::clamp_min, "clamp_min_scalar_cpu", kBool | kWide);
  set(Pointwise::clamp_max, "clamp_max_scalar_cpu", kBool | kWide);
  set(Pointwise::clamp_tensor, "clamp_cpu", kBool | kWide);

  set(Pointwise::add, "add_stub", kWide);
  set(Pointwise::sub, "add_stub", kWide);
  set(Pointwise::rsub, "add_stub", kWide);
  set(Pointwise::div, "div_cpu", kHalfComplex);
  set(Pointwise::div_trunc, "div_trunc_cpu", kBool | kWide);
  set(Pointwise::floor_divide, "div_floor_cpu", kBool | kWide);
  set(Pointwise::remainder, "remainder_cpu", kBool | kWide);
  set(Pointwise::fmod, "fmod_cpu", kBool | kWide);
  set(Pointwise::pow, "pow", kBool | kHalfComplex | kWide);
  set(Pointwise::square, "pow", kHalfComplex | kWide);
  set(Pointwise::cube, "pow", kHalfComplex | kWide);
  set(Pointwise::inverse_square, "pow", kHalfComplex | kWide);
  set(Pointwise::ldexp, "pow", kHalfComplex);
  set(Pointwise::maximum, "maximum_cpu", kWide);
  set(Pointwise::minimum, "minimum_cpu", kWide);
  set(Pointwise::fmax, "maximum_cpu", kWide);
  set(Pointwise::fmin, "minimum_cpu", kWide);
  set(Pointwise::heaviside, "heaviside_cpu", kWide);
  set(Pointwise::gcd, "gcd_cpu", kBool | kWide);
  set(Pointwise::lcm, "lcm_cpu", kBool | kWide);
  set(Pointwise::left_shift, "lshift_cpu", kBool | kWide);
  set(Pointwise::right_shift, "rshift_cpu", kBool | kWide);
  set(Pointwise::logical_and, "logical_and_cpu", kHalfComplex | kWide);
  set(Pointwise::logical_or, "logical_or_cpu", kHalfComplex | kWide);
  set(Pointwise::logical_xor, "logical_xor_cpu", kHalfComplex | kWide);
  set(Pointwise::lt, "lt_cpu", kWide);
  set(Pointwise::le, "le_cpu", kWide);
  set(Pointwise::gt, "gt_cpu", kWide);
  set(Pointwise::ge, "ge_cpu", kWide);
  set(Pointwise::logaddexp, "logaddexp_cpu", kBool | kInts | kHalfComplex);
  set(Pointwise::logaddexp2, "logaddexp2_cpu", kBool | kInts);
  set(Pointwise::igamma, "igamma_cpu", kBool | kInts);
  set(Pointwise::igammac, "igammac_cpu", kBool | kInts);
  set(Pointwise::addcmul, "addcmul_cpu_out", kBool | kWide);
  set(Pointwise::addcdiv, "addcdiv_cpu_out", kHalfComplex);
  set(Pointwise::polar, "polar_cpu", bits({DType::Float16}));
  return table;
}

}  // namespace

const KernelLimits& limits_of(Pointwise kernel) {
  static const auto table = make_table();
  return table[size_t(kernel)];
}

}  // namespace tabula
