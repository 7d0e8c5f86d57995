// torch.special's Bessel functions and orthogonal polynomials, which have no derivatives.
#include "core/state.h"
#include "kernels/bessel.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/opdef.h"
#include "ops/promote.h"

namespace tabula {
namespace {

using kernels::Bessel;
using kernels::Polynomial;

// Only float and double are computed; integers become the default dtype.
DType checked(DType d, const char* name) {
  if (is_integral_or_bool(d)) d = default_dtype;
  check_implemented(d == DType::Float32 || d == DType::Float64, "\"", name, "_cpu\" not implemented for '", dtype_title(d), "'");
  return d;
}

Tensor doubles(const Tensor& t) { return contiguous_raw(t.dtype() == DType::Float64 ? t : cast_raw(t, DType::Float64)); }

void run_bessel(const Op& op, const Value* args, Out& out) {
  const Tensor& input = args[0].tensor();
  const std::string name(op.schema.base_name);
  const DType dtype = checked(input.dtype(), name.c_str());
  const Tensor x = doubles(input);
  Tensor result = Tensor::empty(input.sizes(), DType::Float64, input.device());
  if (result.numel()) kernels::bessel[input.device().kind]({Bessel(op.def.kernel), x.numel(), x.data_as<double>(), result.data_as<double>()});
  out.tensors[0] = dtype == DType::Float64 ? result : cast_raw(result, dtype);
  out.count = 1;
}

void run_polynomial(const Op& op, const Value* args, Out& out) {
  const std::string name(op.schema.base_name);
  check_type(args[0].is_tensor() || args[1].is_tensor(), "special_", name, "(): argument 'x' (position 1) must be Tensor, not a number");
  ResultType type;
  for (int i = 0; i < 2; i++) type.add(Operand(args[i]));
  const DType dtype = checked(type.get(), name.c_str());
  const auto tensor_of = [&](int i) { return args[i].is_tensor() ? args[i].tensor() : full_raw({}, args[i].scalar(), DType::Float64); };
  const Tensor first = tensor_of(0), second = tensor_of(1);
  const Dims sizes = broadcast_sizes(first.sizes(), second.sizes());
  const Device device = args[0].is_tensor() ? first.device() : second.device();
  const auto spread = [&](const Tensor& t) {
    Tensor full = Tensor::empty(sizes, DType::Float64, device);
    copy_into(full, t);
    return full;
  };
  const Tensor x = spread(first), n = spread(second);
  Tensor result = Tensor::empty(sizes, DType::Float64, device);
  // Hermite polynomials above these degrees overflow in float and double
  const int64_t limit = dtype == DType::Float64 ? 512 : 128;
  if (result.numel()) kernels::polynomial[device.kind]({Polynomial(op.def.kernel), x.numel(), x.data_as<double>(), n.data_as<double>(), result.data_as<double>(), limit});
  out.tensors[0] = dtype == DType::Float64 ? result : cast_raw(result, dtype);
  out.count = 1;
}

constexpr OpDef row(const char* schema, Run run, int kernel, const char* doc) {
  OpDef def{.schema = schema, .run = boxed(run), .on = Special | OutForm};
  def.kernel = int16_t(kernel);
  def.doc = doc;
  return def;
}
#define BESSEL(name, kind, what, example, value)                                                                     \
  const Op name{row(#name "(Tensor input) -> Tensor", run_bessel, int(Bessel::kind),                                 \
                    what ", element by element. Float and double; no derivative.\n\nExample::\n\n    >>> torch.special." #name "(torch.tensor([" example "]))\n    tensor([" value "])\n")};
BESSEL(bessel_j0, j0, "The Bessel function of the first kind of order 0", "0.", "1.")
BESSEL(bessel_j1, j1, "The Bessel function of the first kind of order 1", "0.", "0.")
BESSEL(bessel_y0, y0, "The Bessel function of the second kind of order 0", "0.", "-inf")
BESSEL(bessel_y1, y1, "The Bessel function of the second kind of order 1", "0.", "-inf")
BESSEL(modified_bessel_i0, i0, "The modified Bessel function of the first kind of order 0", "0.", "1.")
BESSEL(modified_bessel_i1, i1, "The modified Bessel function of the first kind of order 1", "0.", "0.")
BESSEL(modified_bessel_k0, k0, "The modified Bessel function of the second kind of order 0", "1.", "0.4210")
BESSEL(modified_bessel_k1, k1, "The modified Bessel function of the second kind of order 1", "1.", "0.6019")
BESSEL(scaled_modified_bessel_k0, scaled_k0, "exp(x) times the modified Bessel function of the second kind of order 0", "1.", "1.1445")
BESSEL(scaled_modified_bessel_k1, scaled_k1, "exp(x) times the modified Bessel function of the second kind of order 1", "1.", "1.6362")
BESSEL(spherical_bessel_j0, spherical_j0, "The spherical Bessel function of order 0, sin(x) / x", "0.", "1.")
BESSEL(airy_ai, airy_ai, "Airy's function Ai", "0.", "0.3550")
#undef BESSEL

#define POLYNOMIAL(name, kind, what, value)                                                                                                              \
  const Op name{row(#name "(Operand x, Operand n) -> Tensor", run_polynomial, int(Polynomial::kind),                                                    \
                    what " polynomial of degree n at x; the arguments are broadcast, fractions of n are dropped and negative degrees give 0.\n\n"       \
                         "Example::\n\n    >>> torch.special." #name "(torch.tensor([2.]), 2)\n    tensor([" value "])\n")};
POLYNOMIAL(chebyshev_polynomial_t, chebyshev_t, "The Chebyshev (first kind)", "7.")
POLYNOMIAL(chebyshev_polynomial_u, chebyshev_u, "The Chebyshev (second kind)", "15.")
POLYNOMIAL(chebyshev_polynomial_v, chebyshev_v, "The Chebyshev (third kind)", "11.")
POLYNOMIAL(chebyshev_polynomial_w, chebyshev_w, "The Chebyshev (fourth kind)", "19.")
POLYNOMIAL(shifted_chebyshev_polynomial_t, shifted_t, "The Chebyshev (first kind, shifted to [0, 1])", "17.")
POLYNOMIAL(shifted_chebyshev_polynomial_u, shifted_u, "The Chebyshev (second kind, shifted to [0, 1])", "35.")
POLYNOMIAL(shifted_chebyshev_polynomial_v, shifted_v, "The Chebyshev (third kind, shifted to [0, 1])", "29.")
POLYNOMIAL(shifted_chebyshev_polynomial_w, shifted_w, "The Chebyshev (fourth kind, shifted to [0, 1])", "41.")
POLYNOMIAL(hermite_polynomial_h, hermite_h, "The physicists' Hermite", "14.")
POLYNOMIAL(hermite_polynomial_he, hermite_he, "The probabilists' Hermite", "3.")
POLYNOMIAL(laguerre_polynomial_l, laguerre_l, "The Laguerre", "-1.")
POLYNOMIAL(legendre_polynomial_p, legendre_p, "The Legendre", "5.5000")
#undef POLYNOMIAL

}  // namespace
}  // namespace tabula
