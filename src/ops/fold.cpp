// Windows of images as columns and back, and the rearrangements between channels and pixels.
#include "kernels/fold.h"

#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace tabula {
namespace {

struct Windows {
  Dims kernel, dilation, padding, stride;
};

Dims pair_of(IntList given, const char* name) {
  if (given.size() == 1) return Dims{given[0], given[0]};
  check(given.size() == 2, "It is expected ", name, " equals to 2, but got size ", given.size());
  return Dims(given);
}
std::string tuple_text(const Dims& pair) { return concat("(", pair[0], ", ", pair[1], ")"); }

Windows windows(IntList kernel, IntList dilation, IntList padding, IntList stride) {
  const Windows w{pair_of(kernel, "kernel_size"), pair_of(dilation, "dilation"), pair_of(padding, "padding"), pair_of(stride, "stride")};
  check(w.kernel[0] > 0 && w.kernel[1] > 0, "kernel size should be greater than zero, but got kernel_height: ", w.kernel[0], " kernel_width: ", w.kernel[1]);
  check(w.dilation[0] > 0 && w.dilation[1] > 0, "dilation should be greater than zero, but got dilation_height: ", w.dilation[0], " dilation_width: ", w.dilation[1]);
  check(w.padding[0] >= 0 && w.padding[1] >= 0, "padding should be non-negative, but got pad_height: ", w.padding[0], " pad_width: ", w.padding[1]);
  check(w.stride[0] > 0 && w.stride[1] > 0, "stride should be greater than zero, but got stride_height: ", w.stride[0], " stride_width: ", w.stride[1]);
  for (const Dims* part : {&w.kernel, &w.dilation, &w.padding, &w.stride})  // so that products stay in range
    check(std::max((*part)[0], (*part)[1]) < int64_t(1) << 31,
          "kernel_size, dilation, padding and stride should be less than 2 to the power of 31, but got ",
          tuple_text(*part));
  return w;
}

int64_t block_count(const Windows& w, int d, int64_t size) {
  const int64_t room = size + 2 * w.padding[d] - w.dilation[d] * (w.kernel[d] - 1) - 1;
  // rounds towards minus infinity, which the messages show
  return (room >= 0 ? room / w.stride[d] : -((-room + w.stride[d] - 1) / w.stride[d])) + 1;
}

kernels::FoldCall fold_call(const Windows& w, DType dtype, int64_t planes, const Dims& image, const Dims& blocks) {
  kernels::FoldCall call;
  call.planes = planes;
  call.dtype = dtype;
  for (int d = 0; d < 2; d++) {
    call.image[d] = image[d];
    call.kernel[d] = w.kernel[d];
    call.blocks[d] = blocks[d];
    call.stride[d] = w.stride[d];
    call.padding[d] = w.padding[d];
    call.dilation[d] = w.dilation[d];
  }
  return call;
}

void check_fold_dtype(DType d, const char* name) {
  check_implemented(is_floating(d) ? !is_float8(d) : d == DType::Bool || (is_complex(d) && d != DType::Complex32), "\"", name, "\" not implemented for '", dtype_title(d), "'");
}

Tensor run_unfold(const Tensor& input, IntList kernel_size, IntList dilation, IntList padding, IntList stride) {
  const Windows w = windows(kernel_size, dilation, padding, stride);
  const int64_t nd = input.dim();
  check_index(nd >= 3, "Dimension out of range (expected to be in range of [", -nd, ", ", nd - 1, "], but got ", nd == 2 ? 2 : 1, ")");
  bool full = nd == 3 || nd == 4;
  for (int64_t d = nd == 4; full && d < nd; d++) full = input.sizes()[size_t(d)] != 0;
  check(full, "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ", shape_text(input.sizes()));
  const Dims image{input.size(-2), input.size(-1)};
  const Dims blocks{block_count(w, 0, image[0]), block_count(w, 1, image[1])};
  check(blocks[0] >= 1 && blocks[1] >= 1, "Given input with spatial size ", tuple_text(image), ", kernel_size=", tuple_text(w.kernel), ", dilation=", tuple_text(w.dilation), ", padding=",
        tuple_text(w.padding), ", calculated shape of the array of sliding blocks as ", tuple_text(blocks), ", but its components must be at least one.");
  check_fold_dtype(input.dtype(), "im2col_out_cpu");
  Dims sizes;
  if (nd == 4) sizes.push_back(input.sizes()[0]);
  sizes.push_back(input.size(-3) * w.kernel[0] * w.kernel[1]);
  sizes.push_back(blocks[0] * blocks[1]);
  const Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor x = contiguous_raw(input);
  kernels::FoldCall call = fold_call(w, x.dtype(), x.numel() / (image[0] * image[1]), image, blocks);
  call.from = x.data();
  call.to = result.data();
  kernels::unfold_windows[x.device().kind](call);
  return result;
}

Tensor run_fold(const Tensor& input, IntList output_size, IntList kernel_size, IntList dilation, IntList padding, IntList stride) {
  const Dims image = pair_of(output_size, "output_size");
  const Windows w = windows(kernel_size, dilation, padding, stride);
  const int64_t nd = input.dim();
  bool full = nd == 2 || nd == 3;
  for (int64_t d = nd == 3; full && d < nd; d++) full = input.sizes()[size_t(d)] != 0;
  check(full, "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: ", shape_text(input.sizes()));
  const int64_t rows = input.size(-2), columns = input.size(-1), window = w.kernel[0] * w.kernel[1];
  check(rows % window == 0, "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=", rows, " and kernel_size=", tuple_text(w.kernel), ".");
  const Dims blocks{block_count(w, 0, image[0]), block_count(w, 1, image[1])};
  const std::string given = concat("Given output_size=", tuple_text(image), ", kernel_size=", tuple_text(w.kernel), ", dilation=", tuple_text(w.dilation), ", padding=", tuple_text(w.padding),
                                   ", stride=", tuple_text(w.stride), ", expected ");
  constexpr int64_t most = int64_t(1) << 31;  // keeps the product below in range; `columns` is never that large
  check(std::max(blocks[0], blocks[1]) < most && std::min(blocks[0], blocks[1]) > -most, given, "fewer sliding blocks than ", tuple_text(blocks));
  check(blocks[0] * blocks[1] == columns, given, "size of input's dimension 2 to match the calculated number of sliding blocks ", blocks[0], " * ", blocks[1], " = ", blocks[0] * blocks[1],
        ", but got input.size(2)=", columns, ".");
  check(blocks[0] >= 1 && blocks[1] >= 1, given, "at least one sliding block, but got ", tuple_text(blocks));
  check(image[0] >= 1 && image[1] >= 1, "Expected output spatial size to be positive, but got: output_size=", tuple_text(image), ".");
  check_fold_dtype(input.dtype(), "col2im_out_cpu");
  Dims sizes;
  if (nd == 3) sizes.push_back(input.sizes()[0]);
  for (int64_t s : {rows / window, image[0], image[1]}) sizes.push_back(s);
  const Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor x = contiguous_raw(input);
  kernels::FoldCall call = fold_call(w, x.dtype(), result.numel() / (image[0] * image[1]), image, blocks);
  call.from = x.data();
  call.to = result.data();
  kernels::fold_windows[x.device().kind](call);
  return result;
}

void unfold_vjp(Backward& b);
void fold_vjp(Backward& b);

}  // namespace

// Each is the transpose of the other, so each is the other's derivative.
static const Op unfold{OpDef{.schema = "unfold.nn(Tensor input, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor", .run = fn<run_unfold>, .on = NN,
                             .vjp = unfold_vjp, .save = shape(0), .node = "Im2ColBackward0",
                             .batch = batch::fold<2>, .doc = "The sliding windows of images, each as a column.\n\nArgs: input (batch, channels, height, width) or without batch; kernel_size, dilation, padding, stride. Returns (batch, "
                                    "channels * kernel elements, windows). Raises RuntimeError where no window fits.\n\nExample::\n\n    >>> torch.nn.functional.unfold(torch.ones(1, 1, 2, 3), (2, "
                                    "2)).shape\n    torch.Size([1, 4, 2])\n"}};
static const Op fold{OpDef{.schema = "fold(Tensor input, int[2] output_size, int[2] kernel_size, int[2] dilation=1, int[2] padding=0, int[2] stride=1) -> Tensor", .run = fn<run_fold>, .on = NN,
                           .vjp = fold_vjp, .node = "Col2ImBackward0",
                           .batch = batch::fold<1>, .doc = "Adds up columns of sliding windows to images: the transpose of unfold.\n\nArgs: input (batch, channels * kernel elements, windows) or without batch; output_size, the images'. "
                                  "Raises RuntimeError where the sizes do not fit each other.\n\nExample::\n\n    >>> torch.nn.functional.fold(torch.ones(1, 4, 2), (2, 3), (2, 2))\n    tensor([[[[1., "
                                  "2., 1.],\n              [1., 2., 1.]]]])\n"}};

namespace {

void unfold_vjp(Backward& b) {
  const IntList sizes = b.sizes(0);
  b.set(0, fold(b.g(), sizes.subspan(sizes.size() - 2), b.ints(1), b.ints(2), b.ints(3), b.ints(4)));
}
void fold_vjp(Backward& b) { b.set(0, unfold(b.g(), b.ints(2), b.ints(3), b.ints(4), b.ints(5))); }

// ---- channels to pixels ----

// The sizes before the last three dimensions, with three or more to come.
Dims leading(const Tensor& t) { return Dims(t.sizes().data(), t.sizes().data() + t.dim() - 3); }
// (..., then these dimensions counted from the lead's end)
Dims order(int64_t lead, std::initializer_list<int64_t> rest) {
  Dims dims;
  for (int64_t d = 0; d < lead; d++) dims.push_back(d);
  for (int64_t d : rest) dims.push_back(lead + d);
  return dims;
}
Dims joined(Dims lead, std::initializer_list<int64_t> rest) {
  for (int64_t s : rest) lead.push_back(s);
  return lead;
}

Tensor run_pixel_shuffle(const Tensor& input, int64_t r) {
  check(input.dim() >= 3, "pixel_shuffle expects input to have at least 3 dimensions, but got input with ", input.dim(), " dimension(s)");
  check(r > 0, "pixel_shuffle expects a positive upscale_factor, but got ", r);
  check_value(r < int64_t(1) << 31, "upscale factor is too large, (upscale_factor)^2 overflowed: upscale_factor=", r);
  const int64_t c = input.size(-3), h = input.size(-2), w = input.size(-1);
  check(c % (r * r) == 0, "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=", c, " is not divisible by ", r * r);
  const Dims lead = leading(input);
  const Tensor split = reshape(input, joined(lead, {c / (r * r), r, r, h, w}));
  return reshape(permute(split, order(lead.size(), {0, 3, 1, 4, 2})), joined(lead, {c / (r * r), h * r, w * r}));
}
Tensor run_pixel_unshuffle(const Tensor& input, int64_t r) {
  check(input.dim() >= 3, "pixel_unshuffle expects input to have at least 3 dimensions, but got input with ", input.dim(), " dimension(s)");
  check(r > 0, "pixel_unshuffle expects a positive downscale_factor, but got ", r);
  const int64_t c = input.size(-3), h = input.size(-2), w = input.size(-1);
  check(h % r == 0, "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=", h, " is not divisible by ", r);
  check(w % r == 0, "pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=", w, " is not divisible by ", r);
  const Dims lead = leading(input);
  const Tensor split = reshape(input, joined(lead, {c, h / r, r, w / r, r}));
  return reshape(permute(split, order(lead.size(), {0, 2, 4, 1, 3})), joined(lead, {c * r * r, h / r, w / r}));
}

}  // namespace

static const Op pixel_shuffle{OpDef{.schema = "pixel_shuffle(Tensor input, int upscale_factor) -> Tensor", .run = fn<run_pixel_shuffle>, .on = Function | NN, .composite = true,
                                    .doc = "Moves groups of r * r channels into r by r blocks of pixels.\n\nArgs: input (..., channels, height, width), upscale_factor r. Raises RuntimeError where r * r does not divide "
                                           "the channels. Source: Shi et al., 2016.\n\nExample::\n\n    >>> torch.pixel_shuffle(torch.ones(1, 8, 2, 3), 2).shape\n    torch.Size([1, 2, 4, 6])\n"}};
static const Op pixel_unshuffle{OpDef{.schema = "pixel_unshuffle(Tensor input, int downscale_factor) -> Tensor", .run = fn<run_pixel_unshuffle>, .on = Function | NN, .composite = true,
                                      .doc = "Moves r by r blocks of pixels into channels: the inverse of pixel_shuffle.\n\nArgs: input (..., channels, height, width), downscale_factor r. Raises RuntimeError where r does "
                                             "not divide height and width.\n\nExample::\n\n    >>> torch.pixel_unshuffle(torch.ones(1, 2, 4, 6), 2).shape\n    torch.Size([1, 8, 2, 3])\n"}};

}  // namespace tabula
