// Interpolation. Every kind is separable: one linear row works along one dimension, and its transpose is the derivative.
#include <cmath>
#include <vector>

#include "kernels/resample.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/transcendental.h"

namespace tabula {
namespace {

// Which input elements, with which weights, make each output element.
struct Taps {
  std::vector<int64_t> start{0}, index;
  std::vector<double> weight;

  void add(int64_t i, double w) {
    index.push_back(i);
    weight.push_back(w);
  }
  void close() { start.push_back(int64_t(index.size())); }
};

// Keys's cubic convolution (1981) at distance x from the sample.
double cubic(double x, double a) {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
double sinc(double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); }

// The whole part of a coordinate, cut to [low, high] before it is converted: scales come from the caller and may be anything.
template <class R>
int64_t whole_part(R x, int64_t low, int64_t high) {
  return x > R(low) ? x < R(high) ? int64_t(x) : high : low;
}

// Coordinates are computed in R, float or double: which of two neighbours is nearest can depend on it.
template <class R>
Taps nearest_taps(int64_t in, int64_t out, bool exact, std::optional<double> scale) {
  const R ratio = scale && *scale > 0 ? R(1.0 / *scale) : R(in) / R(out);
  Taps taps;
  // PyTorch looks at the sizes first: these two do not depend on the scale
  const int64_t whole = exact ? 0 : out == in ? 1 : out == 2 * in ? 2 : 0;
  for (int64_t i = 0; i < out; i++) {
    if (whole) {
      taps.add(i / whole, 1);
      taps.close();
      continue;
    }
    const R at = exact ? (R(i) + R(0.5)) * ratio : R(i) * ratio;
    taps.add(whole_part(at, 0, in - 1), 1);
    taps.close();
  }
  return taps;
}

template <class R>
R axis_ratio(int64_t in, int64_t out, bool align_corners, std::optional<double> scale) {
  if (align_corners) return out > 1 ? R(in - 1) / R(out - 1) : R(0);
  return scale && *scale > 0 ? R(1.0 / *scale) : R(in) / R(out);
}

template <class R>
Taps smooth_taps(int64_t in, int64_t out, bool is_cubic, bool align_corners, std::optional<double> scale) {
  const R ratio = axis_ratio<R>(in, out, align_corners, scale);
  Taps taps;
  for (int64_t i = 0; i < out; i++) {
    R at = align_corners ? R(i) * ratio : ratio * (R(i) + R(0.5)) - R(0.5);
    if (is_cubic) {
      const R base = std::floor(at), t = at - base;
      for (int k = -1; k <= 2; k++) taps.add(std::clamp<int64_t>(whole_part(base, -4, in + 4) + k, 0, in - 1), cubic(std::abs(double(t) - k), -0.75));
    } else {
      at = std::max(at, R(0));
      const int64_t low = whole_part(at, 0, in - 1);
      const R t = std::clamp(at - R(low), R(0), R(1));
      taps.add(low, double(R(1) - t));
      taps.add(std::min(low + 1, in - 1), double(t));
    }
    taps.close();
  }
  return taps;
}

// A filter that widens where the result is smaller than the input, so that every input element counts.
template <class R>
Taps filter_taps(int64_t in, int64_t out, std::string_view kind, bool align_corners, std::optional<double> scale) {
  const R ratio = axis_ratio<R>(in, out, align_corners, scale);
  const R reach = kind == "linear" ? R(1) : kind == "cubic" ? R(2) : R(3);
  const R support = ratio >= 1 ? reach * ratio : reach, shrink = ratio >= 1 ? R(1) / ratio : R(1);
  Taps taps;
  for (int64_t i = 0; i < out; i++) {
    const R center = ratio * (R(i) + R(0.5));
    const int64_t first = whole_part(center - support + R(0.5), 0, in), last = whole_part(center + support + R(0.5), 0, in);
    const size_t begin = taps.weight.size();
    double total = 0;
    for (int64_t j = first; j < last; j++) {
      const double x = std::abs(double((R(j) - center + R(0.5)) * shrink));
      const double w = kind == "linear" ? std::max(0.0, 1 - x) : kind == "cubic" ? cubic(x, -0.5) : x < 3 ? sinc(x) * sinc(x / 3) : 0.0;
      taps.add(j, w);
      total += w;
    }
    if (total != 0)
      for (size_t t = begin; t < taps.weight.size(); t++) taps.weight[t] /= total;
    taps.close();
  }
  return taps;
}

template <class R>
Taps taps_of(int64_t in, int64_t out, std::string_view kind, bool align_corners, std::optional<double> scale, bool antialias) {
  if (antialias) return filter_taps<R>(in, out, kind, align_corners, scale);
  if (kind == "nearest" || kind == "nearest-exact") return nearest_taps<R>(in, out, kind == "nearest-exact", scale);
  return smooth_taps<R>(in, out, kind == "cubic", align_corners, scale);
}

Taps make_taps(DType d, int64_t in, int64_t out, std::string_view kind, bool align_corners, std::optional<double> scale, bool antialias) {
  // nearest neighbours are PyTorch's, which are found in float for every dtype; bytes have their weights in double
  const bool wide = (d == DType::Float64 || d == DType::Complex128 || d == DType::UInt8) && !kind.starts_with("nearest");
  return wide ? taps_of<double>(in, out, kind, align_corners, scale, antialias) : taps_of<float>(in, out, kind, align_corners, scale, antialias);
}

// The same weights seen from the input.
Taps transposed(const Taps& taps, int64_t in) {
  Taps back;
  back.start.assign(size_t(in + 1), 0);
  back.index.resize(taps.index.size());
  back.weight.resize(taps.weight.size());
  for (int64_t i : taps.index) back.start[size_t(i + 1)]++;
  for (size_t i = 1; i < back.start.size(); i++) back.start[i] += back.start[i - 1];
  std::vector<int64_t> next(back.start.begin(), back.start.end() - 1);
  for (size_t o = 0; o + 1 < taps.start.size(); o++)
    for (int64_t t = taps.start[o]; t < taps.start[o + 1]; t++) {
      const size_t at = size_t(next[size_t(taps.index[size_t(t)])]++);
      back.index[at] = int64_t(o);
      back.weight[at] = taps.weight[size_t(t)];
    }
  return back;
}

// Made before the taps, whose number grows with it too: a size that is too big is refused at once.
Tensor room_for(const Tensor& input, int64_t dim, int64_t size) {
  Dims sizes(input.sizes());
  sizes[dim] = size;
  return Tensor::empty(sizes, input.dtype(), input.device());
}

Tensor apply(const Tensor& input, int64_t dim, const Tensor& result, const Taps& taps, bool copies) {
  if (result.numel() == 0 || result.is_meta()) return result;
  const IntList sizes = result.sizes();
  const Tensor x = contiguous_raw(input);
  kernels::ResampleCall call;
  call.outer = call.inner = 1;
  for (int64_t d = 0; d < dim; d++) call.outer *= sizes[size_t(d)];
  for (int64_t d = dim + 1; d < result.dim(); d++) call.inner *= sizes[size_t(d)];
  call.in = input.sizes()[size_t(dim)];
  call.out = sizes[size_t(dim)];
  call.start = taps.start.data();
  call.index = taps.index.data();
  call.weight = copies ? nullptr : taps.weight.data();
  call.dtype = x.dtype();
  call.from = x.data();
  call.to = result.data();
  kernels::resample[x.device().kind](call);
  return result;
}

Tensor run_axis(const Tensor& input, int64_t dim, int64_t size, std::string_view kind, bool align_corners, std::optional<double> scale, bool antialias) {
  const int64_t d = wrap_dim(dim, input.dim(), false), in = input.sizes()[size_t(d)];
  check(in > 0 && size > 0, "Input and output sizes should be greater than 0, but got input ", in, " and output ", size);
  const Tensor result = room_for(input, d, size);
  return apply(input, d, result, make_taps(input.dtype(), in, size, kind, align_corners, scale, antialias), kind.starts_with("nearest") && !antialias);
}
Tensor run_axis_backward(const Tensor& grad, int64_t dim, int64_t size, std::string_view kind, bool align_corners, std::optional<double> scale, bool antialias) {
  const int64_t d = wrap_dim(dim, grad.dim(), false), out = grad.sizes()[size_t(d)];
  const Tensor result = room_for(grad, d, size);
  return apply(grad, d, result, transposed(make_taps(grad.dtype(), size, out, kind, align_corners, scale, antialias), size), false);
}
void axis_vjp(Backward& b);
void axis_backward_vjp(Backward& b);

#define AXIS "int dim, int size, str kind, bool align_corners=False, float? scale=None, bool antialias=False) -> Tensor"
const Op resample_axis{OpDef{.schema = "resample_axis(Tensor input, " AXIS, .run = fn<run_axis>, .on = Internal, .vjp = axis_vjp, .save = shape(0), .batch = batch::dims}};
const Op resample_axis_backward{OpDef{.schema = "resample_axis_backward(Tensor grad_output, " AXIS, .run = fn<run_axis_backward>, .on = Hidden, .vjp = axis_backward_vjp, .save = shape(0), .batch = batch::dims}};
#undef AXIS

void follow(Backward& b, const Op& op) {
  const int64_t dim = wrap_dim(b.integer(1), int64_t(b.sizes(0).size()));
  b.set(0, op(b.g(), dim, b.sizes(0)[size_t(dim)], b.arg(3), b.arg(4), b.arg(5), b.arg(6)));
}
void axis_vjp(Backward& b) { follow(b, resample_axis_backward); }
void axis_backward_vjp(Backward& b) { follow(b, resample_axis); }

// All spatial dimensions, the last first. A scale of 0 stands for that of the sizes.
Tensor run_resample(const Tensor& input, IntList size, std::span<const double> scales, std::string_view kind, bool align_corners, bool antialias) {
  const int64_t n = int64_t(size.size());
  check(input.dim() == n + 2 && (scales.empty() || int64_t(scales.size()) == n), "resample: ", n, " sizes for a tensor of ", input.dim(), " dimensions");
  const DType d = input.dtype();
  const bool nearest = kind.starts_with("nearest"), whole = is_integral_or_bool(d);
  // bytes of images stay bytes between the passes; other integers, and halves, are rounded once
  const bool bytes = d == DType::UInt8 && n == 2;
  Tensor x = !nearest && (is_reduced_float(d) || (whole && !bytes)) ? Tensor(to_dtype(input, DType::Float32)) : input;
  for (int64_t axis = n - 1; axis >= 0; axis--) {
    const int64_t from = x.sizes()[size_t(axis + 2)], to = size[size_t(axis)];
    const std::optional<double> scale = scales.empty() || scales[size_t(axis)] == 0 ? std::nullopt : std::optional(scales[size_t(axis)]);
    if (from == to && (!scale || *scale == 1)) continue;
    x = resample_axis(x, axis + 2, to, kind, align_corners, scale, antialias);
  }
  if (whole && !nearest && !bytes) x = floor(x + Scalar(0.5));
  if (x.is(input)) return clone(input);
  return x.dtype() == d ? x : Tensor(to_dtype(x, d));
}
const Op resample{OpDef{.schema = "_resample(Tensor input, int[] size, float[] scales, str kind, bool align_corners=False, bool antialias=False) -> Tensor", .run = fn<run_resample>, .on = NN,
                        .composite = true,
                        .doc = "Interpolates the last dimensions of a (batch, channels, ...) tensor to `size`.\n\nArgs: scales: the ratio of each size, 0 or an empty list to take it from the sizes; kind: 'nearest', "
                               "'nearest-exact', 'linear', 'cubic', or 'lanczos' with antialias.\n\nExample::\n\n    >>> torch._C._nn._resample(torch.tensor([[[1.0, 3.0]]]), [4], [], 'linear')\n    "
                               "tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])\n"}};

// The names by which PyTorch's operator library has two of these.
template <bool is_cubic>
Tensor run_antialiased(const Tensor& input, IntList output_size, bool align_corners, std::optional<double> scales_h, std::optional<double> scales_w) {
  const double scales[2] = {scales_h.value_or(0), scales_w.value_or(0)};
  return run_resample(input, output_size, scales, is_cubic ? "cubic" : "linear", align_corners, true);
}
template <bool is_cubic>
Tensor run_antialiased_vec(const Tensor& input, OptionalInts output_size, bool align_corners, std::optional<std::span<const double>> scale_factors) {
  check(input.dim() == 4, "It is expected input_size equals to 4, but got size ", input.dim());
  check(output_size.has_value() != scale_factors.has_value(), "Must specify exactly one of output_size and scale_factors");
  if (output_size) return run_antialiased<is_cubic>(input, *output_size, align_corners, std::nullopt, std::nullopt);
  check(scale_factors->size() == 2, "Must specify exactly two scale_factors");
  const double h = (*scale_factors)[0], w = (*scale_factors)[1];
  const double rows = double(input.sizes()[2]) * h, columns = double(input.sizes()[3]) * w;
  check(std::abs(rows) < 0x1p63 && std::abs(columns) < 0x1p63, "value cannot be converted to type int64_t without overflow");
  return run_antialiased<is_cubic>(input, Dims{int64_t(rows), int64_t(columns)}, align_corners, h, w);
}
#define ANTIALIASED(name, is_cubic)                                                                                                                                               \
  const Op name{OpDef{.schema = "_upsample_" #name "2d_aa(Tensor input, int[] output_size, bool align_corners, float? scales_h=None, float? scales_w=None) -> Tensor",            \
                      .run = fn<run_antialiased<is_cubic>>, .on = Internal | NN, .composite = true}};                                                                             \
  const Op name##_vec{OpDef{.schema = "_upsample_" #name "2d_aa.vec(Tensor input, int[]? output_size, bool align_corners, float[]? scale_factors) -> Tensor",                      \
                            .run = fn<run_antialiased_vec<is_cubic>>, .on = Internal | NN, .composite = true}};
ANTIALIASED(bilinear, false)
ANTIALIASED(bicubic, true)
#undef ANTIALIASED

}  // namespace
}  // namespace tabula
