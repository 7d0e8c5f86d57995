#include "ops/pad.h"

#include <vector>

#include "kernels/pad.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"

namespace tabula {
namespace {

// ---- constant ----

Tensor run_constant_pad(const Tensor& input, IntList pad, const Scalar& value) {
  const int64_t nd = input.dim(), padded = int64_t(pad.size() / 2);
  check(pad.size() % 2 == 0, "Length of pad must be even but instead it equals ", pad.size());
  check(padded <= nd, "Length of pad should be no more than twice the number of dimensions of the input. Pad length is ", pad.size(), "while the input has ", nd, "dimensions.");
  Dims sizes(input.sizes());
  Geometry from = input.geometry(), into;
  Dims skipped(nd, 0);
  for (int64_t p = 0; p < padded; p++) {
    const int64_t d = nd - 1 - p, before = pad[size_t(2 * p)], after = pad[size_t(2 * p + 1)];
    constexpr int64_t most = int64_t(1) << 61;  // sums of three sizes cannot overflow
    check(std::max(before, after) < most && std::min(before, after) > -most, "Storage size calculation overflowed with a padding of ", before, " and ", after);
    const int64_t left = std::max<int64_t>(0, -before), right = std::max<int64_t>(0, -after);
    check(sizes[d] - left - right >= 0, "narrow(): length must be non-negative.");
    from.offset += left * from.strides[d];
    from.sizes[d] = sizes[d] - left - right;
    skipped[d] = std::max<int64_t>(0, before);
    sizes[d] += before + after;
  }
  const Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  into = result.geometry();
  into.sizes = from.sizes;
  for (int64_t d = 0; d < nd; d++) into.offset += skipped[d] * into.strides[d];
  if (!same(sizes, from.sizes)) fill_into(result, value);
  copy_into(Tensor::alias(result, into), Tensor::alias(input, from));
  return result;
}
void constant_pad_vjp(Backward& b) {
  Dims back(b.ints(1));
  for (int64_t& p : back) p = -p;
  b.set(0, constant_pad_nd(b.g(), back, Scalar(0)));
}

// ---- by an index map ----

enum Mode : int64_t { kReflect, kReplicate, kCircular };

// Which input element each output element of one dimension is.
std::vector<int64_t> index_map(Mode mode, int64_t size, int64_t before, int64_t after) {
  std::vector<int64_t> map(size_t(size + before + after));
  const int64_t cropped = std::max<int64_t>(0, -before), kept = size - cropped - std::max<int64_t>(0, -after);
  for (size_t o = 0; o < map.size(); o++) {
    const int64_t i = int64_t(o) - before;
    if (mode == kReflect)
      map[o] = i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
    else if (mode == kReplicate)
      map[o] = std::clamp<int64_t>(i, 0, size - 1);
    else
      map[o] = cropped + ((i - cropped) % kept + kept) % kept;  // wraps around what cropping left
  }
  return map;
}

// The kernel's view of a padding; `wide` are the sizes after it.
struct MappedPad {
  MappedPad(IntList sizes, IntList pad, Mode mode) : wide(sizes) {
    const int64_t nd = wide.size();
    for (int64_t d = 0; d < nd - int64_t(pad.size() / 2); d++) call.outer *= sizes[size_t(d)];
    for (int64_t p = 0; p < 3; p++) {
      const int64_t d = nd - 1 - p;
      const bool here = size_t(2 * p) < pad.size();
      const int64_t size = here ? sizes[size_t(d)] : 1, before = here ? pad[size_t(2 * p)] : 0, after = here ? pad[size_t(2 * p + 1)] : 0;
      if (here) wide[d] = size + before + after;
      maps[2 - p] = index_map(mode, size, before, after);
      call.in[2 - p] = size;
      call.out[2 - p] = size + before + after;
      call.map[2 - p] = maps[2 - p].data();
    }
  }
  Dims wide;
  std::vector<int64_t> maps[3];
  kernels::PadCall call;
};

Tensor run_mapped(const Tensor& input, IntList pad, int64_t mode) {
  MappedPad plan(input.sizes(), pad, Mode(mode));
  const Tensor result = Tensor::empty(plan.wide, input.dtype(), input.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor x = contiguous_raw(input);
  plan.call.dtype = x.dtype();
  plan.call.from = x.data();
  plan.call.to = result.data();
  kernels::pad_map[x.device().kind](plan.call);
  return result;
}
Tensor run_mapped_backward(const Tensor& grad_output, IntList size, IntList pad, int64_t mode) {
  MappedPad plan(size, pad, Mode(mode));
  const Tensor result = Tensor::empty(size, grad_output.dtype(), grad_output.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor g = contiguous_raw(grad_output);
  plan.call.dtype = g.dtype();
  plan.call.from = g.data();
  plan.call.to = result.data();
  kernels::pad_map_backward[g.device().kind](plan.call);
  return result;
}
void mapped_vjp(Backward& b);
void mapped_backward_vjp(Backward& b);

}  // namespace

const Op constant_pad_nd{OpDef{.schema = "constant_pad_nd(Tensor input, int[] pad, Scalar value=0) -> Tensor", .run = fn<run_constant_pad>, .on = Function | OutForm, .vjp = constant_pad_vjp,
                               .batch = batch::same, .doc = "Adds elements of one value around a tensor; a negative number of them crops.\n\nArgs: input (any shape and dtype); pad: how many before and after, from the last "
                                      "dimension on; value. Raises RuntimeError for too many numbers or a negative size.\n\nExample::\n\n    >>> torch.constant_pad_nd(torch.ones(2), [1, 2])\n    "
                                      "tensor([0., 1., 1., 0., 0.])\n"}};

static const Op mapped_pad{OpDef{.schema = "mapped_pad(Tensor input, int[] pad, int mode) -> Tensor", .run = fn<run_mapped>, .on = Hidden, .vjp = mapped_vjp, .save = shape(0), .batch = batch::same}};
static const Op mapped_pad_backward{OpDef{.schema = "mapped_pad_backward(Tensor grad_output, int[] size, int[] pad, int mode) -> Tensor", .run = fn<run_mapped_backward>, .on = Hidden,
                                          .vjp = mapped_backward_vjp, .batch = batch::sized}};

namespace {

void mapped_vjp(Backward& b) { b.set(0, mapped_pad_backward(b.g(), b.sizes(0), b.ints(1), b.integer(2))); }
void mapped_backward_vjp(Backward& b) { b.set(0, mapped_pad(b.g(), b.ints(2), b.integer(3))); }

// "H: 3, W: 4" for the padded dimensions
std::string extents(IntList sizes, int64_t padded, const char* separator) {
  static constexpr const char* names[] = {"D", "H", "W"};
  std::string text;
  for (int64_t d = 0; d < padded; d++) text += concat(d ? separator : "", names[3 - padded + d], ": ", sizes[sizes.size() - size_t(padded - d)]);
  return text;
}

void check_mapped(const Tensor& input, IntList pad, Mode mode) {
  const int64_t nd = input.dim(), padded = int64_t(pad.size() / 2);
  const auto size_of = [&](int64_t p) { return input.sizes()[size_t(nd - 1 - p)]; };
  check_implemented(padded >= 1 && padded <= 3 && (nd == padded + 1 || nd == padded + 2), "Padding size ", pad.size(), " is not supported for ", nd,
                    "D input tensor.\nSupported combinations for non-constant padding:\n  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
                    "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)");
  if (mode == kCircular) {
    for (int64_t p = 0; p < padded; p++) {
      const int64_t size = size_of(p), before = pad[size_t(2 * p)], after = pad[size_t(2 * p + 1)];
      check(before <= size && after <= size, "Padding value causes wrapping around more than once.");
      check(size + before + after >= 0 && (size + before + after == 0 || size + std::min<int64_t>(0, before) + std::min<int64_t>(0, after) > 0),
            "Negative padding value is resulting in an empty dimension");
    }
    return;
  }
  const char* name = mode == kReflect ? "reflection_pad" : "replication_pad";
  check_implemented(input.dtype() != DType::Bool, "\"", name, padded, "d\" not implemented for 'Bool'");
  for (int64_t d = nd == padded + 2; d < nd; d++)
    check(input.sizes()[size_t(d)] != 0, "Expected ", padded + 1, "D or ", padded + 2, "D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ",
          shape_text(input.sizes()));
  Dims wide(input.sizes());
  bool fits = true;
  for (int64_t p = 0; p < padded; p++) {
    const int64_t size = size_of(p), before = pad[size_t(2 * p)], after = pad[size_t(2 * p + 1)];
    check(mode != kReflect || (before < size && after < size), "Argument #", 4 + 2 * p, ": Padding size should be less than the corresponding input dimension, but got: padding (", before,
          ", ", after, ") at dimension ", nd - 1 - p, " of input ", shape_text(input.sizes()));
    wide[nd - 1 - p] += before + after;
    fits &= wide[nd - 1 - p] >= 1;
  }
  check(fits, "input (", extents(input.sizes(), padded, ", "), ") is too small. Calculated output ", extents(wide, padded, " "));
}

Tensor run_pad(const Tensor& input, IntList amounts, std::string_view mode, std::optional<double> value) {
  const bool constant = mode == "constant";
  check_implemented(constant || mode == "reflect" || mode == "replicate" || mode == "circular", "Unrecognised padding mode ", mode);
  check(amounts.size() % 2 == 0, "Padding length must be divisible by 2");
  check(int64_t(amounts.size()) <= 2 * input.dim(), "Padding length should be less than or equal to two times the input dimension but got padding length ", amounts.size(),
        " and input of dimension ", input.dim());
  if (constant) return constant_pad_nd(input, amounts, Scalar(value.value_or(0)));
  check(!value || *value == 0, "Padding mode \"", mode, "\" doesn't take in value argument");
  const Mode how = mode == "reflect" ? kReflect : mode == "replicate" ? kReplicate : kCircular;
  check_mapped(input, amounts, how);
  return mapped_pad(input, amounts, int64_t(how));
}

}  // namespace

const Op pad{OpDef{.schema = "pad(Tensor input, int[] pad, str mode='constant', float? value=None) -> Tensor", .run = fn<run_pad>, .on = NN, .composite = true,
                   .doc = "Adds elements around a tensor, or crops it where a number is negative.\n\nArgs: input; pad: how many before and after, from the last dimension on; mode: 'constant' (any number of "
                          "dimensions), or 'reflect', 'replicate', 'circular' for the last one to three dimensions of a tensor with one or two more; value for 'constant'. Raises RuntimeError, "
                          "or NotImplementedError for dimensions a mode does not know.\n\nExample::\n\n    >>> torch.nn.functional.pad(torch.tensor([[1, 2, 3]]), (1, 1), 'reflect')\n    tensor([[2, 1, 2, "
                          "3, 2]])\n"}};

}  // namespace tabula
