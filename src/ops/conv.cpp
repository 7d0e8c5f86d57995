// Convolutions. Two bilinear rows are all there is: `convolution` (plain or transposed) and the gradient of its weight.
// Each derivative of one is a call of the other, so derivatives of every order follow.
#include "ops/conv.h"

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/conv_raw.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {
namespace {

// As PyTorch's messages write a tensor's type.
std::string type_text(const Tensor& t) { return concat("torch.", dtype_title(t.dtype()), "Tensor"); }

void check_types(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  check(input.dtype() == weight.dtype(), "Input type (", type_text(input), ") and weight type (", type_text(weight), ") should be the same");
  check(!bias.defined() || input.dtype() == bias.dtype(), "Input type (", type_text(input), ") and bias type (", bias.defined() ? type_text(bias) : "", ") should be the same");
}

Tensor run_convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, IntList stride, IntList padding, IntList dilation, bool transposed, IntList output_padding,
                       int64_t groups) {
  const ConvShape shape = conv_shape(weight, stride, padding, dilation, transposed, output_padding, groups);
  check_types(input, weight, bias);
  return conv_raw(input, weight, bias, shape);
}

Tensor run_weight_grad(const Tensor& grad_output, const Tensor& input, IntList weight_size, IntList stride, IntList padding, IntList dilation, int64_t groups) {
  const Dims none(int64_t(stride.size()), int64_t(0));
  return conv_weight_grad_raw(grad_output, input, weight_size, {Dims(stride), Dims(padding), Dims(dilation), none, false, groups});
}

// What a transposed convolution must add at the end to give `wanted` spatial sizes from those of `g`.
Dims missing_sizes(IntList wanted, IntList g, IntList kernel, const ConvShape& shape) {
  Dims missing;
  for (size_t d = 2; d < wanted.size(); d++) {
    const int64_t i = int64_t(d) - 2;
    missing.push_back(wanted[d] - ((g[d] - 1) * shape.stride[i] - 2 * shape.padding[i] + shape.dilation[i] * (kernel[d] - 1) + 1));
  }
  return missing;
}

// The gradient with respect to the input of a plain convolution.
Tensor input_grad(const Tensor& g, const Tensor& weight, IntList input_sizes, const ConvShape& shape);

void convolution_vjp(Backward& b);
void weight_grad_vjp(Backward& b);

}  // namespace

const Op convolution{OpDef{
    .schema = "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool transposed, int[] output_padding, int groups) -> Tensor",
    .run = fn<run_convolution>,
    .on = Function | OutForm,
    .linear = Linear::Each, .vjp = convolution_vjp,
    .save = in(0) | in(1),
    .batch = batch::convolution, .doc = "A convolution, or with transposed=True the transpose of one, over 1 to 3 spatial dimensions.\n\nArgs: input (batch, channels, ...), weight (out channels, channels / groups, "
           "...; transposed: the first two swapped), bias or None, and one number per spatial dimension (or a single one) for stride, padding, dilation and output_padding. Raises "
           "RuntimeError for shapes that do not fit.\n\nExample::\n\n    >>> x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2)\n    >>> torch.convolution(x, w, None, [1], [0], [1], False, "
           "[0], 1)\n    tensor([[[2., 2.]]])\n"}};

static const Op conv_weight_grad{OpDef{
    .schema = "conv_weight_grad(Tensor grad_output, Tensor input, int[] weight_size, int[] stride, int[] padding, int[] dilation, int groups) -> Tensor",
    .run = fn<run_weight_grad>, .on = Hidden, .vjp = weight_grad_vjp, .save = in(0) | in(1) | shape(0) | shape(1), .cross_save = true, .batch = batch::conv_weight_grad}};

namespace {

// The plain convolution that a transposed one is the transpose of. Output padding may have made it longer at the end by
// elements that nothing came from.
Tensor back_from_transposed(const Tensor& g, const Tensor& weight, IntList wanted, const ConvShape& shape) {
  const Dims none(shape.stride.size(), int64_t(0));
  Tensor result = convolution(g, weight, Tensor(), shape.stride, shape.padding, shape.dilation, false, none, shape.groups);
  for (size_t d = 2; d < wanted.size(); d++)
    if (result.sizes()[d] > wanted[d]) result = narrow(result, int64_t(d), int64_t(0), wanted[d]);
  return result;
}

Tensor input_grad(const Tensor& g, const Tensor& weight, IntList input_sizes, const ConvShape& shape) {
  const Dims missing = missing_sizes(input_sizes, g.sizes(), weight.sizes(), shape);
  return convolution(g, weight, Tensor(), shape.stride, shape.padding, shape.dilation, true, missing, shape.groups);
}

void convolution_vjp(Backward& b) {
  const Tensor &x = b.in(0), &w = b.in(1);
  const ConvShape shape = conv_shape(w, b.ints(3), b.ints(4), b.ints(5), b.flag(6), b.ints(7), b.integer(8));
  if (b.needs(0)) {
    const Tensor back = conj_of(w);
    b.set(0, shape.transposed ? back_from_transposed(b.g(), back, x.sizes(), shape) : input_grad(b.g(), back, x.sizes(), shape));
  }
  if (b.needs(1)) {
    const Tensor from = conj_of(x);
    b.set(1, conv_weight_grad(shape.transposed ? from : b.g(), shape.transposed ? b.g() : from, w.sizes(), shape.stride, shape.padding, shape.dilation, shape.groups));
  }
  if (b.needs(2)) {
    Dims dims{0};
    for (int64_t d = 2; d < b.g().dim(); d++) dims.push_back(d);
    b.set(2, sum_dim(b.g(), dims));
  }
}

void weight_grad_vjp(Backward& b) {
  const Dims none(int64_t(b.ints(3).size()), int64_t(0));
  const ConvShape shape{Dims(b.ints(3)), Dims(b.ints(4)), Dims(b.ints(5)), none, false, b.integer(6)};
  if (b.needs(0)) b.set(0, back_from_transposed(conj_of(b.in(1)), b.g(), b.sizes(0), shape));
  if (b.needs(1)) b.set(1, input_grad(conj_of(b.in(0)), b.g(), b.sizes(1), shape));
}

// ---- the functions by number of dimensions ----

// Adds the batch dimension that an unbatched input lacks.
Tensor batched(const Tensor& input, int64_t nd, const char* name, bool& was_batched) {
  was_batched = input.dim() == nd + 2;
  check(was_batched || input.dim() == nd + 1, "Expected ", nd + 1, "D (unbatched) or ", nd + 2, "D (batched) input to ", name, ", but got input of size: ", shape_text(input.sizes()));
  return was_batched ? input : unsqueeze(input, 0);
}
Tensor unbatched(const Tensor& result, bool was_batched) {
  const int64_t first = 0;
  return was_batched ? result : squeeze_dims(result, IntList(&first, 1));
}

constexpr const char* kConvNames[] = {"", "conv1d", "conv2d", "conv3d"};
constexpr const char* kTransposeNames[] = {"", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};

template <int nd>
Tensor run_conv(const Tensor& input, const Tensor& weight, const Tensor& bias, IntList stride, IntList padding, IntList dilation, int64_t groups) {
  bool was_batched;
  const Tensor x = batched(input, nd, kConvNames[nd], was_batched);
  const Dims none{0};
  return unbatched(convolution(x, weight, bias, stride, padding, dilation, false, none, groups), was_batched);
}

template <int nd>
Tensor run_conv_padding(const Tensor& input, const Tensor& weight, const Tensor& bias, IntList stride, std::string_view padding, IntList dilation, int64_t groups) {
  bool was_batched;
  const Tensor x = batched(input, nd, kConvNames[nd], was_batched);
  const Dims none{0};
  if (padding == "valid") return unbatched(convolution(x, weight, bias, stride, none, dilation, false, none, groups), was_batched);
  check(padding == "same", "Invalid padding string: '", padding, "'");
  check(weight.dim() > 2, "weight should have at least three dimensions");
  check(groups > 0, "non-positive groups is not supported");
  check(weight.dim() == x.dim(), "Expected ", weight.dim(), "-dimensional input for ", weight.dim(), "-dimensional weight ", shape_text(weight.sizes()), ", but got ", x.dim(),
        "-dimensional input of size ", shape_text(x.sizes()), " instead");
  const ConvShape shape = conv_shape(weight, stride, none, dilation, false, none, groups);
  for (int64_t s : shape.stride) check(s == 1, "padding='same' is not supported for strided convolutions");
  Dims before, after;  // `after`: what the end needs beyond the start, as pad() takes it, last dimension first
  bool even = true;
  for (int64_t d = 0; d < nd; d++) {
    const int64_t total = shape.dilation[d] * (weight.sizes()[size_t(d + 2)] - 1);
    before.push_back(total / 2);
    even &= total % 2 == 0;
  }
  if (even) return unbatched(convolution(x, weight, bias, stride, before, dilation, false, none, groups), was_batched);
  static const bool warned = [] {
    warn("Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the input be created");
    return true;
  }();
  (void)warned;
  for (int64_t d = nd - 1; d >= 0; d--) {
    after.push_back(0);
    after.push_back(shape.dilation[d] * (weight.sizes()[size_t(d + 2)] - 1) % 2);
  }
  return unbatched(convolution(constant_pad_nd(x, after, Scalar(0)), weight, bias, stride, before, dilation, false, none, groups), was_batched);
}

template <int nd>
Tensor run_transpose(const Tensor& input, const Tensor& weight, const Tensor& bias, IntList stride, IntList padding, IntList output_padding, int64_t groups, IntList dilation) {
  bool was_batched;
  const Tensor x = batched(input, nd, kTransposeNames[nd], was_batched);
  return unbatched(convolution(x, weight, bias, stride, padding, dilation, true, output_padding, groups), was_batched);
}

Tensor run_legacy_convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, IntList stride, IntList padding, IntList dilation, bool transposed, IntList output_padding,
                              int64_t groups, bool, bool, bool, bool) {
  return convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups);
}

// input [time, batch, channels], weight [kernel, channels, out channels]
Tensor run_conv_tbc(const Tensor& input, const Tensor& weight, const Tensor& bias, int64_t pad) {
  check(input.dim() == 3, "Input must have 3 dims: time, batch, in_channel");
  check(weight.dim() == 3, "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.");
  check(bias.dim() == 1, "Bias must be 1-D");
  check(input.sizes()[2] == weight.sizes()[1], "Input dim 2 (input channels) is not == dim 1 in the weight tensor");
  check(weight.sizes()[2] == bias.sizes()[0], "Bias size must equal dim 2 in the weight tensor (output channels).");
  const Dims one{1}, padding{pad}, none{0}, inward{1, 2, 0}, kernel{2, 1, 0}, outward{2, 0, 1};
  return permute(convolution(permute(input, inward), permute(weight, kernel), bias, one, padding, one, false, none, int64_t(1)), outward);
}

}  // namespace

#define CONV_DOC(text, call, result)                                                                                                                                   \
  text "\n\nArgs: input (batch, channels, ...) or without batch; weight (out channels, channels / groups, ...); bias of out channels or None; stride, padding "         \
       "and dilation as one number or one per dimension, padding also 'valid' or 'same'; groups. Raises RuntimeError where shapes or dtypes do not fit.\n\n"              \
       "Example::\n\n    >>> " call "\n    " result "\n"
#define CONV(nd, doc_text)                                                                                                                                             \
  static const Op conv##nd##d{OpDef{.schema = "conv" #nd "d(Tensor input, Tensor weight, Tensor? bias=None, int[" #nd "] stride=1, int[" #nd "] padding=0, int[" #nd     \
                                              "] dilation=1, int groups=1) -> Tensor",                                                                                  \
                                    .run = fn<run_conv<nd>>, .on = Function | NN, .composite = true, .doc = doc_text}};                                                 \
  static const Op conv##nd##d_padding{OpDef{.schema = "conv" #nd "d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[" #nd                                    \
                                                      "] stride=1, str padding='valid', int[" #nd "] dilation=1, int groups=1) -> Tensor",                              \
                                            .run = fn<run_conv_padding<nd>>, .on = Function | NN, .composite = true}};                                                  \
  static const Op conv_transpose##nd##d{OpDef{.schema = "conv_transpose" #nd "d(Tensor input, Tensor weight, Tensor? bias=None, int[" #nd "] stride=1, int[" #nd         \
                                                        "] padding=0, int[" #nd "] output_padding=0, int groups=1, int[" #nd "] dilation=1) -> Tensor",                  \
                                              .run = fn<run_transpose<nd>>, .on = Function | NN, .composite = true,                                                      \
                                              .doc = "The transpose of a convolution: the linear map that leads from its output back to its input.\n\nArgs: input "       \
                                                     "(batch, channels, ...) or without batch; weight (channels, out channels / groups, ...); output_padding "            \
                                                     "adds to one side of the result. Raises RuntimeError where shapes do not fit. Source: Zeiler et al., 2010.\n\n"       \
                                                     "Example::\n\n    >>> torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))\n    tensor([[[1., 2., "    \
                                                     "1.]]])\n"}};
CONV(1, CONV_DOC("Slides a kernel over sequences: a cross-correlation.", "torch.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))", "tensor([[[2., 2.]]])"))
CONV(2, CONV_DOC("Slides a kernel over images: a cross-correlation.", "torch.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))", "tensor([[[[4.]]]])"))
CONV(3, CONV_DOC("Slides a kernel over volumes: a cross-correlation.", "torch.conv3d(torch.ones(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2))", "tensor([[[[[8.]]]]])"))
#undef CONV
#undef CONV_DOC

static const Op legacy_convolution{OpDef{
    .schema = "_convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool transposed, int[] output_padding, int groups, "
              "bool benchmark, bool deterministic, bool cudnn_enabled, bool allow_tf32=True) -> Tensor",
    .run = fn<run_legacy_convolution>, .on = Function, .composite = true,
    .doc =
        "Every convolution: plain or transposed, in one to three dimensions."
        TABULA_EXAMPLE("torch._convolution(torch.ones(1, 1, 3), torch.ones(1, 1, 2), None, [1], [0], [1], False, [0], 1, False, False, False, False)",
                       "tensor([[[2., 2.]]])")}};
static const Op conv_tbc{OpDef{.schema = "conv_tbc(Tensor input, Tensor weight, Tensor bias, int pad=0) -> Tensor", .run = fn<run_conv_tbc>, .on = Function | NN, .composite = true,
                               .doc = "A convolution over time for tensors of shape (time, batch, channels).\n\nArgs: input; weight (kernel, channels, out channels); bias (out channels); pad at both "
                                      "ends. Raises RuntimeError where shapes do not fit.\n\nExample::\n\n    >>> torch.conv_tbc(torch.ones(3, 1, 1), torch.ones(2, 1, 1), torch.zeros(1)).flatten()\n"
                                      "    tensor([2., 2.])\n"}};

}  // namespace tabula
