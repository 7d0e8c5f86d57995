// Activations with a second operand: gated linear units, and rectifiers with a learnt slope.
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/compare.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

Tensor run_glu(const Tensor& input, int64_t dim) {
  check(input.dim() > 0, "glu does not support scalars because halving size must be even");
  const int64_t d = wrap_dim(dim, input.dim()), size = input.sizes()[size_t(d)];
  check(size % 2 == 0, "Halving dimension must be even, but dimension ", d, " is size ", size);
  check_implemented(is_floating(input.dtype()), "\"glu_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  return narrow(input, d, int64_t(0), size / 2) * sigmoid(narrow(input, d, size / 2, size / 2));
}

// The slopes are for the channels, dimension 1; of fewer dimensions there is one channel.
Tensor run_prelu(const Tensor& input, const Tensor& weight) {
  check(input.dtype() == weight.dtype(), "prelu: Type promoting not supported. Got ", dtype_title(input.dtype()), " and ", dtype_title(weight.dtype()));
  Tensor slope = weight;
  if (weight.numel() != 1) {
    check(input.dim() > 0, "Not allow zero-dim input tensor.");
    const int64_t channels = input.dim() > 1 ? input.sizes()[1] : 1;
    check(channels == weight.numel(), "Mismatch of parameter numbers and input channel size. Found parameter numbers = ", weight.numel(), " and channel size = ", channels, ".");
  }
  check(weight.dim() <= 1, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = ", weight.dim());
  if (weight.dim() == 1) {
    Dims sizes(input.dim(), int64_t(1));
    if (input.dim() > 1) sizes[1] = weight.numel();
    slope = reshape(weight, sizes);
  }
  return where(gt(input, 0), input, slope * input);
}

}  // namespace

static const Op glu{OpDef{.schema = "glu(Tensor input, int dim=-1) -> Tensor", .run = fn<run_glu>, .on = NN, .composite = true,
                          .doc = "The first half along `dim` times the sigmoid of the second.\n\nArgs: input (floating, an even size along dim), dim. Raises RuntimeError for an odd size. Source: Dauphin et al., "
                                 "2017.\n\nExample::\n\n    >>> torch.nn.functional.glu(torch.tensor([2.0, 0.0]))\n    tensor([1.])\n"}};
static const Op prelu{OpDef{.schema = "prelu(Tensor input, Tensor weight) -> Tensor", .run = fn<run_prelu>, .on = Both | NN, .composite = true,
                            .doc = "x where it is positive, weight times x elsewhere.\n\nArgs: input (batch, channels, ...); weight: one slope, or one per channel. Raises RuntimeError where their number or dtype "
                                   "differs. Source: He et al., 2015.\n\nExample::\n\n    >>> torch.prelu(torch.tensor([-2.0, 2.0]), torch.tensor([0.5]))\n    tensor([-1.,  2.])\n"}};

}  // namespace tabula
