#include "ops/conv_raw.h"

#include "core/hint.h"
#include "kernels/conv.h"
#include "ops/copy.h"
#include "ops/factory.h"

namespace tabula {
namespace {

Dims spread(IntList given, const char* name, int64_t nd) {
  if (given.size() == 1) return Dims(nd, given[0]);
  check(int64_t(given.size()) == nd, "expected ", name, " to be a single integer value or a list of ", nd, " values to match the convolution dimensions, but got ", name, "=",
        shape_text(given));
  return Dims(given);
}

bool any_below(const Dims& values, int64_t bound) {
  return std::any_of(values.begin(), values.end(), [&](int64_t v) { return v < bound; });
}

std::string times(const Dims& values) {
  std::string text;
  for (int64_t v : values) text += (text.empty() ? "" : " x ") + std::to_string(v);
  return text;
}

// "output_padding_height: 1 output_padding_width: 1" and the like
std::string per_dim(const char* what, const Dims& values) {
  static constexpr const char* names[] = {"depth", "height", "width"};
  std::string text;
  for (int64_t d = 0; d < values.size(); d++) text += concat(d ? " " : "", what, "_", names[3 - values.size() + d], ": ", values[d]);
  return text;
}

kernels::ConvCall make_call(const ConvShape& shape, DType dtype) {
  kernels::ConvCall call;
  call.nd = int(shape.stride.size());
  call.groups = shape.groups;
  call.dtype = dtype;
  for (int d = 0; d < call.nd; d++) {
    call.stride[d] = shape.stride[d];
    call.padding[d] = shape.padding[d];
    call.dilation[d] = shape.dilation[d];
  }
  return call;
}

void set_spatial(int64_t* into, IntList sizes) { std::copy(sizes.begin() + 2, sizes.end(), into); }

void check_conv_dtype(DType d) {
  check_implemented(d != DType::Bool && !is_float8(d) && d != DType::Complex32, "\"slow_conv2d_cpu\" not implemented for '", dtype_title(d), "'");
}

}  // namespace

ConvShape conv_shape(const Tensor& weight, IntList stride, IntList padding, IntList dilation, bool transposed, IntList output_padding, int64_t groups) {
  check(weight.dim() > 2, "weight should have at least three dimensions");
  check(groups > 0, "non-positive groups is not supported");
  const int64_t nd = weight.dim() - 2;
  check(nd <= 3, "unsupported ConvNd parameters");
  ConvShape shape{spread(stride, "stride", nd), spread(padding, "padding", nd), spread(dilation, "dilation", nd), spread(output_padding, "output_padding", nd), transposed, groups};
  constexpr int64_t most = int64_t(1) << 40;  // products with a size stay in range
  for (const Dims* all : {&shape.padding, &shape.dilation, &shape.stride, &shape.output_padding})
    for (int64_t value : *all) check(value < most, "a padding, dilation or stride of ", value, " is too large");
  check(!any_below(shape.padding, 0), "negative padding is not supported");
  check(!any_below(shape.output_padding, 0), "negative output_padding is not supported");
  check(!any_below(shape.stride, 1), "non-positive stride is not supported");
  check(!any_below(shape.dilation, 1), "dilation should be greater than zero, but got ", shape_text(shape.dilation));
  return shape;
}

Dims conv_result_sizes(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvShape& shape) {
  const IntList in = input.sizes(), w = weight.sizes();
  const int64_t nd = weight.dim() - 2, groups = shape.groups;
  check(input.dim() == weight.dim(), "Expected ", weight.dim(), "-dimensional input for ", weight.dim(), "-dimensional weight ", shape_text(w), ", but got ", input.dim(),
        "-dimensional input of size ", shape_text(in), " instead");
  check(w[0] >= groups, "Given groups=", groups, ", expected weight to be at least ", groups, " at dimension 0, but got weight of size ", shape_text(w), " instead");
  check(w[0] % groups == 0, "Given groups=", groups, ", expected weight to be divisible by ", groups, " at dimension 0, but got weight of size [", shape_text(w), "] instead");
  for (int64_t d = 0; d < nd; d++) check(w[size_t(d + 2)] > 0, "kernel size should be greater than zero, but got ", per_dim("kernel", Dims(w.data() + 2, w.data() + w.size())));
  Dims sizes{in[0]};
  const int64_t channels = shape.transposed ? w[0] : w[1] * groups, out_channels = shape.transposed ? w[1] * groups : w[0];
  const std::string given = shape.transposed ? "transposed=1" : concat("groups=", groups);
  check(in[1] == channels, "Given ", given, ", weight of size ", shape_text(w), ", expected input", shape_text(in), " to have ", channels, " channels, but got ", in[1], " channels instead",
        channels_hint(in, w, channels));
  check(!bias.defined() || (bias.dim() == 1 && bias.numel() == out_channels), "Given ", shape.transposed ? "transposed=1, " : "", "weight of size ", shape_text(w),
        ", expected bias to be 1-dimensional with ", out_channels, " elements, but got bias of size ", shape_text(bias.defined() ? bias.sizes() : IntList()), " instead");
  sizes.push_back(out_channels);
  if (!shape.transposed) {
    Dims padded, kernel;
    bool fits = true;
    for (int64_t d = 0; d < nd; d++) {
      padded.push_back(in[size_t(d + 2)] + 2 * shape.padding[d]);
      kernel.push_back(shape.dilation[d] * (w[size_t(d + 2)] - 1) + 1);
      fits &= padded[d] >= kernel[d] && in[size_t(d + 2)] > 0;
      sizes.push_back((padded[d] - kernel[d]) / shape.stride[d] + 1);
    }
    check(fits, "Calculated padded input size per channel: (", times(padded), "). Kernel size: (", times(kernel), "). Kernel size can't be greater than actual input size");
    return sizes;
  }
  Dims from, to;
  for (int64_t d = 0; d < nd; d++) {
    check(shape.output_padding[d] < shape.stride[d] || shape.output_padding[d] < shape.dilation[d], "output padding must be smaller than either stride or dilation, but got ",
          per_dim("output_padding", shape.output_padding), " ", per_dim("stride", shape.stride), " ", per_dim("dilation", shape.dilation));
    from.push_back(in[size_t(d + 2)]);
    to.push_back((from[d] - 1) * shape.stride[d] - 2 * shape.padding[d] + shape.dilation[d] * (w[size_t(d + 2)] - 1) + 1 + shape.output_padding[d]);
    sizes.push_back(to[d]);
  }
  check(!any_below(to, 1), "Given input size per channel: (", times(from), "). Calculated output size per channel: (", times(to), "). Output size is too small");
  return sizes;
}

Tensor conv_raw(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvShape& shape) {
  check_conv_dtype(input.dtype());
  const Dims sizes = conv_result_sizes(input, weight, bias, shape);
  const Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor x = contiguous_raw(input), w = contiguous_raw(weight), offset = bias.defined() ? contiguous_raw(bias) : Tensor();
  if (x.numel() == 0) {  // no channels to sum over
    fill_into(result, Scalar(0));
    if (bias.defined()) {
      Dims strides(result.dim(), int64_t(0));
      strides[1] = 1;
      copy_into(result, Tensor::alias(offset, {sizes, strides, offset.offset()}));
    }
    return result;
  }
  kernels::ConvCall call = make_call(shape, input.dtype());
  call.batch = sizes[0];
  call.weight = w.data();
  call.bias = bias.defined() ? offset.data() : nullptr;
  call.out = result.data();
  set_spatial(call.kernel, w.sizes());
  if (shape.transposed) {
    // the gradient of the convolution that would lead back
    call.in_channels = sizes[1];
    call.out_channels = x.sizes()[1];
    set_spatial(call.input, sizes);
    set_spatial(call.output, x.sizes());
    call.grad_output = x.data();
    kernels::conv_grad_input[result.device().kind](call);
  } else {
    call.in_channels = x.sizes()[1];
    call.out_channels = sizes[1];
    set_spatial(call.input, x.sizes());
    set_spatial(call.output, sizes);
    call.input_data = x.data();
    kernels::conv_forward[result.device().kind](call);
  }
  return result;
}

Tensor conv_weight_grad_raw(const Tensor& grad_output, const Tensor& input, IntList weight_sizes, const ConvShape& shape) {
  const Tensor result = Tensor::empty(weight_sizes, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  if (input.numel() == 0 || grad_output.numel() == 0) {
    fill_into(result, Scalar(0));
    return result;
  }
  const Tensor g = contiguous_raw(grad_output), x = contiguous_raw(input);
  kernels::ConvCall call = make_call(shape, input.dtype());
  call.batch = x.sizes()[0];
  call.in_channels = x.sizes()[1];
  call.out_channels = g.sizes()[1];
  set_spatial(call.input, x.sizes());
  set_spatial(call.output, g.sizes());
  set_spatial(call.kernel, weight_sizes);
  call.input_data = x.data();
  call.grad_output = g.data();
  call.out = result.data();
  kernels::conv_grad_weight[result.device().kind](call);
  return result;
}

}  // namespace tabula
