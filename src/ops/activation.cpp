// Activations. Each derivative is a row of its own, whose derivative in turn is its formula read over tensors.
#include "ops/activation.h"

#include "kernels/formulas/activation.h"
#include "ops/batch.h"
#include "ops/doc.h"
#include "ops/formula_tensor.h"
#include "ops/pointwise.h"

namespace tabula {

using symbolic::Sym;
using symbolic::differentiate;
namespace f = formulas;

static Sym number(Backward& b, int i) { return Sym(b.number(i)); }
constexpr uint16_t kNNUsual = NN | OutForm;

// ACTIVATION(name, extra parameters, formula of the derivative): a row, its backward row and the derivative of that.
// Backward rows take (grad, x, parameters).
#define ACTIVATION(name, on, parameters, formula)                                                                                   \
  static void name##_backward_vjp(Backward& b) {                                                                                    \
    differentiate(b, 2, [](Backward& b, const std::vector<Sym>& in) {                                                               \
      (void)b;                                                                                                                      \
      return formula;                                                                                                               \
    });                                                                                                                             \
  }                                                                                                                                 \
  static const Op name##_backward{pointwise_row(#name "_backward(Tensor grad_output, Tensor input" parameters ") -> Tensor",        \
                                                Pointwise::name##_grad, kPromote, Internal, name##_backward_vjp, in(0) | in(1))};

ACTIVATION(gelu, 0, "", f::gelu_grad(in[0], in[1]))
ACTIVATION(gelu_tanh, 0, "", f::gelu_tanh_grad(in[0], in[1]))
ACTIVATION(silu, 0, "", f::silu_grad(in[0], in[1]))
ACTIVATION(mish, 0, "", f::mish_grad(in[0], in[1]))
ACTIVATION(softplus, 0, ", Scalar beta, Scalar threshold", f::softplus_grad(in[0], in[1], number(b, 2), number(b, 3)))
ACTIVATION(elu, 0, ", Scalar alpha, Scalar scale, Scalar input_scale", f::elu_grad(in[0], in[1], number(b, 2), number(b, 3), number(b, 4)))
ACTIVATION(leaky_relu, 0, ", Scalar negative_slope", f::leaky_relu_grad(in[0], in[1], number(b, 2)))
ACTIVATION(hardswish, 0, "", f::hardswish_grad(in[0], in[1]))
ACTIVATION(hardsigmoid, 0, "", f::hardsigmoid_grad(in[0], in[1]))
ACTIVATION(hardtanh, 0, ", Scalar min_val, Scalar max_val", f::hardtanh_grad(in[0], in[1], number(b, 2), number(b, 3)))
ACTIVATION(threshold, 0, ", Scalar threshold", f::threshold_grad(in[0], in[1], number(b, 2)))
ACTIVATION(hardshrink, 0, ", Scalar lambd", f::hardshrink_grad(in[0], in[1], number(b, 2)))
// softshrink lets the gradient through where hardshrink does
static const Op& softshrink_backward = hardshrink_backward;
ACTIVATION(logsigmoid, 0, "", f::logsigmoid_grad(in[0], in[1]))
#undef ACTIVATION

// ---- the functions ----

// relu saves its result, which the next layer holds anyway
static void relu_vjp(Backward& b) { b.set(0, threshold_backward(b.g(), b.out(), 0)); }
static void run_relu(const Op& op, const Value* args, Out& out) {
  check(args[0].tensor().dtype() != DType::Bool, "Boolean inputs not supported for relu");
  run_pointwise(op, args, out);
}
constexpr OpDef relu_row() {
  OpDef row = pointwise_row("relu(Tensor input) -> Tensor", Pointwise::relu, kPromote, Both | InPlace | InPlaceFunction, relu_vjp, out());
  row.run = boxed(run_relu);
  row.doc = "Rectified linear unit, max(x, 0) element by element.\n\nArgs: input (any shape, real dtype). Returns a tensor of the same shape and dtype. Source: Nair and Hinton, 2010.\n\n"
            "Example::\n\n    >>> torch.relu(torch.tensor([-1.0, 0.0, 2.0]))\n    tensor([0., 0., 2.])\n";
  return row;
}
const Op relu{relu_row()};

// The nn.functional form of an activation takes inplace=.
template <const Op& op>
static Tensor with_inplace(const Tensor& input, bool inplace) {
  if (!inplace) return op(input);
  return op.in_place(input);
}
static const Op relu_nn{OpDef{.schema = "relu.nn(Tensor input, bool inplace=False) -> Tensor", .run = fn<with_inplace<relu>>, .on = NN, .composite = true,
    .doc =
        "Rectified linear unit, max(x, 0); inplace=True writes to the input."
        TABULA_EXAMPLE("torch.nn.functional.relu(torch.tensor([-1., 0., 2.]))", "tensor([0., 0., 2.])")}};

static void gelu_vjp(Backward& b) { b.set(0, b.str(1) == "tanh" ? gelu_tanh_backward(b.g(), b.in(0)) : gelu_backward(b.g(), b.in(0))); }
static void run_gelu(const Op&, const Value* args, Out& out) {
  const std::string_view how = args[1].str();
  check(how == "none" || how == "tanh", "approximate argument must be either none or tanh.");
  const Operand x[1] = {Operand(args[0])};
  check_implemented(!is_integral_or_bool(args[0].tensor().dtype()), "\"GeluKernelImpl\" not implemented for '", dtype_title(args[0].tensor().dtype()), "'");
  out.tensors[0] = pointwise_raw(how == "tanh" ? Pointwise::gelu_tanh : Pointwise::gelu, x);
  out.count = 1;
}
const Op gelu{OpDef{.schema = "gelu(Tensor input, *, str approximate='none') -> Tensor", .run = boxed(run_gelu), .on = kNNUsual, .vjp = gelu_vjp, .save = in(0),
                    .batch = batch::same, .doc = "Gaussian error linear unit, x times the standard normal distribution function of x.\n\nArgs: input (any shape, floating dtype); approximate: 'none' for the exact form, "
                           "'tanh' for 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Source: Hendrycks and Gimpel, 2016.\n\n"
                           "Example::\n\n    >>> torch.nn.functional.gelu(torch.tensor([-1.0, 0.0, 1.0]))\n    tensor([-0.1587,  0.0000,  0.8413])\n"}};

static void silu_vjp(Backward& b) { b.set(0, silu_backward(b.g(), b.in(0))); }
const Op silu{pointwise_row("silu.base(Tensor input) -> Tensor", Pointwise::silu, kPromote, Internal, silu_vjp, in(0))};
static const Op silu_nn{OpDef{.schema = "silu(Tensor input, bool inplace=False) -> Tensor", .run = fn<with_inplace<silu>>, .on = NN, .composite = true,
    .doc =
        "x * sigmoid(x), also called swish. Source: Elfwing et al., 2017."
        TABULA_EXAMPLE("torch.nn.functional.silu(torch.tensor([-1., 0., 1.]))", "tensor([-0.2689,  0.0000,  0.7311])")}};
static void mish_vjp(Backward& b) { b.set(0, mish_backward(b.g(), b.in(0))); }
static const Op mish{pointwise_row("mish.base(Tensor input) -> Tensor", Pointwise::mish, kPromote, Internal, mish_vjp, in(0))};
static const Op mish_nn{OpDef{.schema = "mish(Tensor input, bool inplace=False) -> Tensor", .run = fn<with_inplace<mish>>, .on = NN, .composite = true,
    .doc =
        "x * tanh(softplus(x)). Source: Misra, 2019."
        TABULA_EXAMPLE("torch.nn.functional.mish(torch.tensor([-1., 0., 1.]))", "tensor([-0.3034,  0.0000,  0.8651])")}};
static void hardswish_vjp(Backward& b) { b.set(0, hardswish_backward(b.g(), b.in(0))); }
static const Op hardswish{pointwise_row("hardswish.base(Tensor input) -> Tensor", Pointwise::hardswish, kPromote, Internal, hardswish_vjp, in(0))};
static const Op hardswish_nn{OpDef{.schema = "hardswish(Tensor input, bool inplace=False) -> Tensor", .run = fn<with_inplace<hardswish>>, .on = NN, .composite = true,
    .doc =
        "x * relu6(x + 3) / 6: silu made of straight lines. Source: Howard et al., 2019."
        TABULA_EXAMPLE("torch.nn.functional.hardswish(torch.tensor([-4., 1., 4.]))",
                       "tensor([-0.0000, 0.6667, 4.0000])")}};
static void hardsigmoid_vjp(Backward& b) { b.set(0, hardsigmoid_backward(b.g(), b.in(0))); }
static const Op hardsigmoid{pointwise_row("hardsigmoid.base(Tensor input) -> Tensor", Pointwise::hardsigmoid, kPromote, Internal, hardsigmoid_vjp, in(0))};
static const Op hardsigmoid_nn{OpDef{.schema = "hardsigmoid(Tensor input, bool inplace=False) -> Tensor", .run = fn<with_inplace<hardsigmoid>>, .on = NN, .composite = true,
    .doc =
        "relu6(x + 3) / 6: sigmoid made of straight lines."
        TABULA_EXAMPLE("torch.nn.functional.hardsigmoid(torch.tensor([-4., 0., 4.]))",
                       "tensor([0.0000, 0.5000, 1.0000])")}};

static void softplus_vjp(Backward& b) { b.set(0, softplus_backward(b.g(), b.in(0), b.arg(1), b.arg(2))); }
const Op softplus{documented(pointwise_row("softplus(Tensor input, Scalar beta=1, Scalar threshold=20) -> Tensor", Pointwise::softplus, kPromote, kNNUsual, softplus_vjp, in(0)),
    "log(1 + exp(beta x)) / beta, a smooth max(x, 0); the input itself where beta x is above the threshold."
    TABULA_EXAMPLE("torch.nn.functional.softplus(torch.tensor([-1., 0., 30.]))",
                   "tensor([ 0.3133,  0.6931, 30.0000])"))};
static void logsigmoid_vjp(Backward& b) { b.set(0, logsigmoid_backward(b.g(), b.in(0))); }
const Op logsigmoid{documented(pointwise_row("logsigmoid(Tensor input) -> Tensor", Pointwise::logsigmoid, kPromote, kNNUsual, logsigmoid_vjp, in(0)),
    "log(sigmoid(x)), without overflow in between."
    TABULA_EXAMPLE("torch.nn.functional.logsigmoid(torch.tensor([-1., 0., 1.]))",
                   "tensor([-1.3133, -0.6931, -0.3133])"))};

static void elu_vjp(Backward& b) { b.set(0, elu_backward(b.g(), b.in(0), b.arg(1), b.arg(2), b.arg(3))); }
static const Op elu{pointwise_row("elu.base(Tensor input, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", Pointwise::elu, kPromote, Internal, elu_vjp, in(0))};
static Tensor run_elu_nn(const Tensor& input, double alpha, bool inplace) { return inplace ? elu.in_place(input, alpha) : elu(input, alpha); }
static const Op elu_nn{OpDef{.schema = "elu(Tensor input, float alpha=1.0, bool inplace=False) -> Tensor", .run = fn<run_elu_nn>, .on = NN, .composite = true,
    .doc =
        "x where it is positive, alpha * (exp(x) - 1) elsewhere. Source: Clevert et al., 2015."
        TABULA_EXAMPLE("torch.nn.functional.elu(torch.tensor([-1., 0., 1.]))", "tensor([-0.6321,  0.0000,  1.0000])")}};
static Tensor run_celu_nn(const Tensor& input, double alpha, bool inplace) {
  check(alpha != 0, "ZeroDivisionError: alpha cannot be 0 for CELU");
  return inplace ? elu.in_place(input, alpha, 1.0, 1.0 / alpha) : elu(input, alpha, 1.0, 1.0 / alpha);
}
static const Op celu_nn{OpDef{.schema = "celu.nn(Tensor input, float alpha=1.0, bool inplace=False) -> Tensor", .run = fn<run_celu_nn>, .on = NN, .composite = true,
    .doc =
        "x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere. Source: Barron, 2017."
        TABULA_EXAMPLE("torch.nn.functional.celu(torch.tensor([-1., 0., 1.]))", "tensor([-0.6321,  0.0000,  1.0000])")}};
static Tensor run_celu(const Tensor& input, const Scalar& alpha) { return run_celu_nn(input, alpha.to_double(), false); }
static const Op celu{OpDef{.schema = "celu(Tensor input, Scalar alpha=1.0) -> Tensor", .run = fn<run_celu>, .on = Function | InPlaceFunction, .composite = true,
    .doc =
        "x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere. Source: Barron, 2017."
        TABULA_EXAMPLE("torch.celu(torch.tensor([-1., 0., 1.]))", "tensor([-0.6321,  0.0000,  1.0000])")}};
static Tensor run_selu_nn(const Tensor& input, bool inplace) {
  return inplace ? elu.in_place(input, f::kSeluAlpha, f::kSeluScale) : elu(input, f::kSeluAlpha, f::kSeluScale);
}
static const Op selu_nn{OpDef{.schema = "selu.nn(Tensor input, bool inplace=False) -> Tensor", .run = fn<run_selu_nn>, .on = NN, .composite = true,
    .doc =
        "elu with the fixed alpha and scale that keep mean 0 and variance 1. Source: Klambauer et al., 2017."
        TABULA_EXAMPLE("torch.nn.functional.selu(torch.tensor([-1., 0., 1.]))", "tensor([-1.1113,  0.0000,  1.0507])")}};
static Tensor run_selu(const Tensor& input) { return run_selu_nn(input, false); }
static const Op selu{OpDef{.schema = "selu(Tensor input) -> Tensor", .run = fn<run_selu>, .on = Function | InPlaceFunction, .composite = true,
    .doc =
        "elu with the fixed alpha and scale that keep mean 0 and variance 1. Source: Klambauer et al., 2017."
        TABULA_EXAMPLE("torch.selu(torch.tensor([-1., 0., 1.]))", "tensor([-1.1113,  0.0000,  1.0507])")}};

static void leaky_relu_vjp(Backward& b) { b.set(0, leaky_relu_backward(b.g(), b.in(0), b.arg(1))); }
static const Op leaky_relu{pointwise_row("leaky_relu.base(Tensor input, Scalar negative_slope=0.01) -> Tensor", Pointwise::leaky_relu, kPromote, Internal, leaky_relu_vjp, in(0))};
static Tensor run_leaky_nn(const Tensor& input, double slope, bool inplace) { return inplace ? leaky_relu.in_place(input, slope) : leaky_relu(input, slope); }
static const Op leaky_relu_nn{OpDef{.schema = "leaky_relu(Tensor input, float negative_slope=0.01, bool inplace=False) -> Tensor", .run = fn<run_leaky_nn>, .on = NN, .composite = true,
    .doc =
        "x where it is positive, negative_slope * x elsewhere. Source: Maas et al., 2013."
        TABULA_EXAMPLE("torch.nn.functional.leaky_relu(torch.tensor([-1., 2.]))", "tensor([-0.0100,  2.0000])")}};

static void hardtanh_vjp(Backward& b) { b.set(0, hardtanh_backward(b.g(), b.in(0), b.arg(1), b.arg(2))); }
static const Op hardtanh{pointwise_row("hardtanh.base(Tensor input, Scalar min_val=-1, Scalar max_val=1) -> Tensor", Pointwise::hardtanh, kPromote, Internal, hardtanh_vjp, in(0))};
static Tensor run_hardtanh_nn(const Tensor& input, double low, double high, bool inplace) {
  check(input.dtype() != DType::Bool, "Bool inputs not supported for hardtanh");
  check_value(low <= high, "min_val cannot be greater than max_val");
  return inplace ? hardtanh.in_place(input, low, high) : hardtanh(input, low, high);
}
static const Op hardtanh_nn{OpDef{.schema = "hardtanh(Tensor input, float min_val=-1.0, float max_val=1.0, bool inplace=False) -> Tensor", .run = fn<run_hardtanh_nn>, .on = NN, .composite = true,
    .doc =
        "The input clamped to min_val ... max_val. A ValueError if min_val is the larger."
        TABULA_EXAMPLE("torch.nn.functional.hardtanh(torch.tensor([-3., 0.5, 3.]))",
                       "tensor([-1.0000,  0.5000,  1.0000])")}};
static Tensor run_relu6_nn(const Tensor& input, bool inplace) { return run_hardtanh_nn(input, 0, 6, inplace); }
static const Op relu6_nn{OpDef{.schema = "relu6(Tensor input, bool inplace=False) -> Tensor", .run = fn<run_relu6_nn>, .on = NN, .composite = true,
    .doc =
        "The input clamped to 0 ... 6."
        TABULA_EXAMPLE("torch.nn.functional.relu6(torch.tensor([-1., 3., 8.]))", "tensor([0., 3., 6.])")}};

static void threshold_vjp(Backward& b) { b.set(0, threshold_backward(b.g(), b.in(0), b.arg(1))); }
const Op threshold{documented(pointwise_row("threshold(Tensor input, Scalar threshold, Scalar value) -> Tensor", Pointwise::threshold, kPromote, Function | OutForm | InPlaceFunction, threshold_vjp, in(0)),
    "The input where it is above the threshold, value elsewhere."
    TABULA_EXAMPLE("torch.threshold(torch.tensor([1., 2., 3.]), 1.5, 0.)", "tensor([0., 2., 3.])"))};
static Tensor run_threshold_nn(const Tensor& input, const Scalar& at, const Scalar& value, bool inplace) { return inplace ? threshold.in_place(input, at, value) : threshold(input, at, value); }
static const Op threshold_nn{OpDef{.schema = "threshold.nn(Tensor input, Scalar threshold, Scalar value, bool inplace=False) -> Tensor", .run = fn<run_threshold_nn>, .on = NN, .composite = true,
    .doc =
        "The input where it is above the threshold, value elsewhere; inplace=True writes to the input."
        TABULA_EXAMPLE("torch.nn.functional.threshold(torch.tensor([1., 2., 3.]), 1.5, 0.)", "tensor([0., 2., 3.])")}};

static void hardshrink_vjp(Backward& b) { b.set(0, hardshrink_backward(b.g(), b.in(0), b.arg(1))); }
static const Op hardshrink{documented(pointwise_row("hardshrink(Tensor input, Scalar lambd=0.5) -> Tensor", Pointwise::hardshrink, kPromote, Both | NN | OutForm, hardshrink_vjp, in(0)),
    "The input where its absolute value is above lambd, 0 elsewhere."
    TABULA_EXAMPLE("torch.nn.functional.hardshrink(torch.tensor([-1., 0.2, 1.]))", "tensor([-1.,  0.,  1.])"))};
static void softshrink_vjp(Backward& b) { b.set(0, softshrink_backward(b.g(), b.in(0), b.arg(1))); }
static void run_softshrink(const Op& op, const Value* args, Out& out) {
  const DType d = args[0].tensor().dtype();
  check_implemented(is_floating(d) && !is_float8(d), "\"softshrink_check\" not implemented for '", dtype_title(d), "'");
  const double largest = d == DType::Float16 ? 65504 : d == DType::Float64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  check(args[1].number() >= 0 && args[1].number() <= largest, "lambda must be in range [0, ", largest, "] for input dtype ", dtype_title(d), ", but found ",
        args[1].number());
  run_pointwise(op, args, out);
}
constexpr OpDef softshrink_row() {
  OpDef row = pointwise_row("softshrink(Tensor input, Scalar lambd=0.5) -> Tensor", Pointwise::softshrink, kPromote, kNNUsual, softshrink_vjp, in(0));
  row.run = boxed(run_softshrink);
  return row;
}
static const Op softshrink{documented(softshrink_row(),
    "The input moved by lambd towards 0, and 0 within lambd of it. A RuntimeError if lambd is negative."
    TABULA_EXAMPLE("torch.nn.functional.softshrink(torch.tensor([-1., 0.2, 1.]))",
                   "tensor([-0.5000,  0.0000,  0.5000])"))};

static Tensor run_relu_(const Tensor& input) { return relu.in_place(input); }
static const Op relu_{OpDef{.schema = "relu_(Tensor input) -> Tensor", .run = fn<run_relu_>, .on = NN, .composite = true,
    .doc =
        "torch.nn.functional.relu that writes to its input."
        TABULA_EXAMPLE("torch._C._nn.relu_(torch.tensor([-1., 2.]))", "tensor([0., 2.])")}};

}  // namespace tabula
