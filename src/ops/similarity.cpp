// Lengths and angles of vectors, and forms that are linear in each of two vectors.
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/clamp.h"
#include "ops/copy.h"
#include "ops/matmul.h"
#include "ops/promote.h"
#include "ops/reduce.h"
#include "ops/reduce_norm.h"
#include "ops/view.h"

namespace tabula {
namespace {

Tensor normalized(const Tensor& input, double p, int64_t dim, double eps) {
  const Tensor length = linalg_vector_norm(input, Scalar(p), IntList(&dim, 1), true);
  return input / clamp_min(length, Scalar(eps));
}
void run_normalize(const Op&, const Value* args, Out& out) {
  out.tensors[0] = normalized(args[0].tensor(), args[1].number(), args[2].integer(), args[3].number());
  out.count = 1;
}

// The lengths are cut off below as constants, so that the gradient is that of the plain quotient (as in PyTorch).
Tensor run_cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim, double eps) {
  ResultType type;
  type.add(x1);
  type.add(x2);
  const DType d = type.get();
  check(is_floating(d), "expected common dtype to be floating point, yet common dtype is ", dtype_title(d));
  const Dims sizes = broadcast_sizes(x1.sizes(), x2.sizes());
  const auto unit = [&](const Tensor& t) {
    const Tensor x = expand(t.dtype() == d ? t : to_dtype(t, d), sizes);
    const Tensor length = linalg_vector_norm(x, Scalar(2.0), IntList(&dim, 1), true);
    const Tensor bounded = length + detach(clamp_min(length, Scalar(eps)) - length);
    return x / bounded;
  };
  return sum_dim(unit(x1) * unit(x2), IntList(&dim, 1));
}

Tensor run_bilinear(const Tensor& input1, const Tensor& input2, const Tensor& weight, const Tensor& bias) {
  check(weight.dim() == 3, "bilinear(): weight must be 3-D, got ", weight.dim(), "-D");
  check(input1.dim() == input2.dim(), "bilinear(): input dimensions do not match: got ", input1.dim(), " and ", input2.dim());
  check(input1.dim() > 0, "bilinear(): inputs must have at least one dimension");
  const int64_t nd = input1.dim(), out = weight.sizes()[0], left = weight.sizes()[1], right = weight.sizes()[2];
  Dims sizes;
  for (int64_t d = 0; d < nd - 1; d++) {
    const size_t i = size_t(d);
    check(input1.sizes()[i] == input2.sizes()[i], "bilinear(): input batch dimensions do not match at dim ", d, ": got ", input1.sizes()[i], " and ", input2.sizes()[i]);
    sizes.push_back(input1.sizes()[i]);
  }
  check(input1.size(-1) == left, "bilinear(): input1 size does not match weight size: got ", input1.size(-1), " but expected ", left);
  check(input2.size(-1) == right, "bilinear(): input2 size does not match weight size: got ", input2.size(-1), " but expected ", right);
  check(!bias.defined() || (bias.dim() == 1 && bias.numel() == out), "bilinear(): bias size does not match weight size: got ", bias.defined() && bias.dim() ? bias.sizes()[0] : 1,
        " but expected ", out);
  const int64_t rows = count_elements(sizes);
  sizes.push_back(out);
  // [rows, left] @ [left, out * right], then each row's [out, right] @ [right]
  const Tensor flat = reshape(permute(weight, Dims{1, 0, 2}), Dims{left, out * right});
  const Tensor half = reshape(mm(reshape(input1, Dims{rows, left}), flat), Dims{rows, out, right});
  const Tensor result = reshape(bmm(half, reshape(input2, Dims{rows, right, 1})), sizes);
  return bias.defined() ? result + bias : result;
}

}  // namespace

static const Op normalize{OpDef{.schema = "normalize(Tensor input, float p=2.0, int dim=1, float eps=1e-12) -> Tensor", .run = boxed(run_normalize), .on = NN | OutForm, .composite = true,
                                .doc = "Divides vectors along `dim` by their p-norm, or by eps where that is larger.\n\nArgs: input (floating or complex), p, dim, eps, out. Raises RuntimeError for other "
                                       "dtypes.\n\nExample::\n\n    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))\n    tensor([[0.6000, 0.8000]])\n"}};
static const Op cosine_similarity{OpDef{.schema = "cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", .run = fn<run_cosine_similarity>, .on = Function | NN, .composite = true,
                                        .doc = "The cosine of the angle between vectors along `dim`.\n\nArgs: x1, x2 (floating, broadcast to one shape), dim, eps: the least length to divide by. Raises RuntimeError "
                                               "for other dtypes.\n\nExample::\n\n    >>> torch.cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))\n    tensor([0.6000])\n"}};
static const Op bilinear{OpDef{.schema = "bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", .run = fn<run_bilinear>, .on = Function | NN, .composite = true,
                               .doc = "x1^T W x2 + b for each matrix W of weight.\n\nArgs: input1 (..., I), input2 (..., J), weight (O, I, J), bias (O) or None. Returns (..., O). Raises RuntimeError for other "
                                      "sizes.\n\nExample::\n\n    >>> torch.bilinear(torch.ones(1, 2), torch.ones(1, 3), torch.ones(4, 2, 3))\n    tensor([[6., 6., 6., 6.]])\n"}};

}  // namespace tabula
