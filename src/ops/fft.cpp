// Discrete Fourier transforms. Everything is built on three transforms: complex to complex, real to half of a complex
// spectrum, and back. The derivative of each is one of the others.
#include "ops/fft.h"

#include <algorithm>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/linalg_common.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula {

Tensor (*fft_hook)(const Tensor& x, const FftCall& call) = nullptr;

namespace {

// ---- the three transforms ----

// The dims in memory order of the result, as PyTorch's: those of the batch by falling stride, then the transformed
// ones.
Dims memory_order(const Tensor& x, IntList dims) {
  Dims order;
  for (int64_t d = 0; d < x.dim(); d++)
    if (std::ranges::find(dims, d) == dims.end()) order.push_back(d);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return x.strides()[size_t(a)] > x.strides()[size_t(b)]; });
  for (int64_t d : dims) order.push_back(d);
  return order;
}
// Transformed dims by falling stride; `fixed` last ones stay where they are.
Dims sorted_dims(const Tensor& x, IntList dims, int64_t fixed) {
  Dims sorted(dims);
  std::stable_sort(sorted.begin(), sorted.end() - fixed,
                   [&](int64_t a, int64_t b) { return x.strides()[size_t(a)] > x.strides()[size_t(b)]; });
  return sorted;
}

Tensor transform(const Tensor& x, IntList dims, FftCall call, DType dtype) {
  const Dims order = memory_order(x, dims);
  Geometry g = x.geometry();
  Dims sizes, strides;
  for (int64_t d : order) {
    sizes.push_back(g.sizes[d]);
    strides.push_back(g.strides[d]);
  }
  Dims out_sizes = sizes;
  const int64_t size = sizes.back();
  out_sizes.back() = call.kind == FftKind::RealToComplex   ? size / 2 + 1
                     : call.kind == FftKind::ComplexToReal ? call.size
                                                           : size;
  call.count = int64_t(dims.size());
  Tensor result;
  if (x.is_meta() || x.numel() == 0) {
    result = zeros_raw(out_sizes, dtype, x.device());
  } else {
    check(fft_hook, "torch.fft needs a library with Fourier transforms");
    result = fft_hook(Tensor::alias(x, {sizes, strides, x.offset()}), call);
    check(same(result.sizes(), out_sizes) && result.dtype() == dtype && result.is_contiguous(),
          "the Fourier transform has given another shape or dtype than expected");
  }
  Geometry back{Dims(int64_t(order.size())), Dims(int64_t(order.size())), 0};
  for (int64_t i = 0; i < order.size(); i++) {
    back.sizes[order[i]] = result.sizes()[size_t(i)];
    back.strides[order[i]] = result.strides()[size_t(i)];
  }
  return Tensor::alias(result, back);
}

FftScale scale_numbered(int64_t normalization) {
  check(normalization >= 0 && normalization <= 2, "Invalid normalization mode: ", normalization);
  return FftScale(normalization);
}
void check_fft_dtype(const Tensor& x) {
  const bool takes = has_lapack_dtype(x);  // the same four
  check(takes, "MKL FFT doesn't support tensors of type: ", dtype_title(real_dtype(x.dtype())));
}

Tensor run_c2c(const Tensor& x, IntList dim, int64_t normalization, bool forward) {
  check(is_complex(x.dtype()), "_fft_c2c expects a complex input tensor, but got ", dtype_title(x.dtype()));
  check_fft_dtype(x);
  if (dim.empty()) return clone_raw(x);
  const Dims dims = wrap_dims(dim, x.dim());
  return transform(x, sorted_dims(x, dims, 0),
                   {FftKind::ComplexToComplex, scale_numbered(normalization), forward, 0, 0}, x.dtype());
}

extern const Op c2c, r2c;

Tensor run_r2c(const Tensor& x, IntList dim, int64_t normalization, bool onesided) {
  check(is_floating(x.dtype()), "Only supports floating-point dtypes, but found: ", dtype_title(x.dtype()));
  check_fft_dtype(x);
  check(!dim.empty(), "_fft_r2c must transform at least one axis");
  const Dims dims = wrap_dims(dim, x.dim());
  if (!onesided) return run_c2c(cast_raw(x, complex_dtype(x.dtype())), dim, normalization, true);
  return transform(x, sorted_dims(x, dims, 1), {FftKind::RealToComplex, scale_numbered(normalization), true, 0, 0},
                   complex_dtype(x.dtype()));
}
Tensor run_c2r(const Tensor& x, IntList dim, int64_t normalization, int64_t last_dim_size) {
  check(is_complex(x.dtype()), "_fft_c2r expects a complex input tensor, but got ", dtype_title(x.dtype()));
  check_fft_dtype(x);
  check(!dim.empty(), "_fft_c2r must transform at least one axis");
  const Dims dims = wrap_dims(dim, x.dim());
  check(last_dim_size >= 1, "Invalid number of data points (", last_dim_size, ") specified");
  const int64_t half = last_dim_size / 2 + 1, have = x.sizes()[size_t(dims.back())];
  check(have == half, "_fft_c2r expects ", half, " entries of the last transformed dimension for ", last_dim_size,
        " real values, but got ", have);
  return transform(x, sorted_dims(x, dims, 1),
                   {FftKind::ComplexToReal, scale_numbered(normalization), false, 0, last_dim_size},
                   real_dtype(x.dtype()));
}

void c2c_vjp(Backward& b) { b.set(0, c2c(b.g(), b.ints(1), b.integer(2), !b.flag(3))); }
void r2c_vjp(Backward& b) {
  const IntList dims = b.ints(1);
  Tensor g = b.g();
  if (b.flag(3)) {
    const int64_t last = wrap_dim(dims.back(), g.dim()), missing = b.sizes(0)[size_t(last)] - g.sizes()[size_t(last)];
    if (missing > 0) {
      Dims sizes(g.sizes());
      sizes[last] = missing;
      const Tensor parts[] = {g, zeros_raw(sizes, g.dtype(), g.device())};
      g = cat(TensorList(parts), last);
    }
  }
  b.set(0, real(c2c(g, dims, b.integer(2), false)));
}

const Op c2c{
    OpDef{.schema = "_fft_c2c(Tensor input, int[] dim, int normalization, bool forward) -> Tensor",
          .run = fn<run_c2c>,
          .on = Function | OutForm | Internal,
          .linear = Linear::Joint,
          .vjp = c2c_vjp,
          .batch = batch::dims,
          .doc = "The Fourier transform of complex numbers; normalization 0: no factor, 1: 1 / sqrt(n), 2: 1 / n."}};
const Op r2c{OpDef{
    .schema = "_fft_r2c(Tensor input, int[] dim, int normalization, bool onesided) -> Tensor",
    .run = fn<run_r2c>,
    .on = Function | OutForm | Internal,
    .linear = Linear::Joint,
    .vjp = r2c_vjp,
    .save = shape(0),
    .batch = batch::dims,
    .doc =
        "The Fourier transform of real numbers, of which `onesided` keeps the first half along the last of the dims."}};
// All but the first and, for an even size, the last entry of half a spectrum stand for two of the whole.
void c2r_vjp(Backward& b) {
  const IntList dims = b.ints(1);
  const Tensor half = r2c(b.g(), dims, b.integer(2), true);
  const int64_t last = wrap_dim(dims.back(), half.dim()), twice = b.integer(3) - half.sizes()[size_t(last)];
  if (twice <= 0) {
    b.set(0, half);
    return;
  }
  const Tensor weight = full_raw(Dims{half.sizes()[size_t(last)]}, Scalar(1.0), b.g().dtype(), half.device());
  fill_into(Tensor::alias(weight, {Dims{twice}, Dims{1}, 1}), Scalar(2.0));
  Dims sizes(half.dim(), 1);
  sizes[last] = weight.numel();
  b.set(0, half * reshape(weight, sizes));
}
const Op c2r{OpDef{.schema = "_fft_c2r(Tensor input, int[] dim, int normalization, int last_dim_size) -> Tensor",
                   .run = fn<run_c2r>,
                   .on = Function | OutForm | Internal,
                   .linear = Linear::Joint,
                   .vjp = c2r_vjp,
                   .batch = batch::dims,
                   .doc = "The inverse of _fft_r2c: `last_dim_size` real values along the last of the dims."}};

// ---- arguments ----

FftScale scale_named(std::optional<std::string_view> norm, bool forward) {
  if (!norm || *norm == "backward") return forward ? FftScale::None : FftScale::Full;
  if (*norm == "forward") return forward ? FftScale::Full : FftScale::None;
  if (*norm == "ortho") return FftScale::Root;
  fail(ErrorKind::Runtime, "Invalid normalization mode: \"", *norm, "\"");
}
int64_t scale_number(std::optional<std::string_view> norm, bool forward) { return int64_t(scale_named(norm, forward)); }

int64_t axis(int64_t dim, int64_t rank) {
  check_index(rank > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
  return wrap_dim(dim, rank, false);
}
// Integers become floats, and real numbers complex where they must.
Tensor prepared(const Tensor& x, bool want_complex) {
  DType d = x.dtype();
  if (is_integral_or_bool(d)) d = default_dtype;
  check(!is_reduced_float(d) && !is_float8(d), "Unsupported dtype ", dtype_title(d));
  if (want_complex) d = complex_dtype(d);
  return d == x.dtype() ? x : to_dtype(x, d);
}
void check_points(int64_t size) { check(size >= 1, "Invalid number of data points (", size, ") specified"); }

// Cut, or padded with zeros.
Tensor resized(Tensor x, IntList dims, IntList lengths) {
  for (size_t i = 0; i < dims.size(); i++) {
    const int64_t have = x.sizes()[size_t(dims[i])], want = lengths[i];
    if (want == -1 || want == have) continue;
    if (want < have) {
      x = narrow(x, dims[i], int64_t(0), want);
    } else {
      Dims sizes(x.sizes());
      sizes[dims[i]] = want - have;
      const Tensor parts[] = {x, zeros_raw(sizes, x.dtype(), x.device())};
      x = cat(TensorList(parts), dims[i]);
    }
  }
  return x;
}
Tensor resolve(const Tensor& t) { return t.is_conj() ? clone(t) : t; }
IntList one(const int64_t& item) { return {&item, 1}; }

using Norm = std::optional<std::string_view>;
using Length = std::optional<int64_t>;

template <bool forward>
Tensor complex_line(const Tensor& input, Length n, int64_t dim, Norm norm) {
  const Tensor x = prepared(input, true);
  const int64_t at = axis(dim, x.dim()), size = n.value_or(x.sizes()[size_t(at)]);
  check_points(size);
  return c2c(resized(x, one(at), one(size)), one(at), scale_number(norm, forward), forward);
}
template <bool forward>
Tensor real_line(const Tensor& input, Length n, int64_t dim, Norm norm) {
  check(!is_complex(input.dtype()), forward ? "rfft" : "ihfft", " expects a real input tensor, but got ",
        dtype_title(input.dtype()));
  const Tensor x = prepared(input, false);
  const int64_t at = axis(dim, x.dim()), size = n.value_or(x.sizes()[size_t(at)]);
  check_points(size);
  const Tensor result = r2c(resized(x, one(at), one(size)), one(at), scale_number(norm, forward), true);
  return forward ? result : resolve(conj_of(result));
}
template <bool forward>
Tensor half_line(const Tensor& input, Length n, int64_t dim, Norm norm) {
  Tensor x = prepared(input, true);
  const int64_t at = axis(dim, x.dim()), size = n.value_or(2 * (x.sizes()[size_t(at)] - 1));
  check_points(size);
  const int64_t half = size / 2 + 1;
  x = resized(x, one(at), one(half));
  return c2r(forward ? conj_of(x) : x, one(at), scale_number(norm, forward), size);
}

// The dims of an n-dimensional transform and the length of each.
struct Axes {
  Dims dims, lengths;
};
Axes axes_of(const Tensor& x, OptionalInts s, OptionalInts dim) {
  Axes axes;
  const int64_t rank = x.dim();
  if (dim) {
    for (int64_t d : *dim) axes.dims.push_back(axis(d, rank));
    Dims sorted = axes.dims;
    std::sort(sorted.begin(), sorted.end());
    check(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "FFT dims must be unique");
    check(!s || s->size() == dim->size(), "When given, dim and shape arguments must have the same length");
  } else {
    const int64_t count = s ? int64_t(s->size()) : rank;
    check(count <= rank, "Got shape with ", count, " values but input tensor only has ", rank, " dimensions.");
    for (int64_t d = rank - count; d < rank; d++) axes.dims.push_back(d);
  }
  for (int64_t i = 0; i < axes.dims.size(); i++) {
    const int64_t wanted = s ? (*s)[size_t(i)] : -1;
    axes.lengths.push_back(wanted == -1 ? x.sizes()[size_t(axes.dims[i])] : wanted);
    check_points(axes.lengths.back());
  }
  return axes;
}

template <bool forward>
Tensor complex_box(const Tensor& input, OptionalInts s, OptionalInts dim, Norm norm) {
  const Tensor x = prepared(input, true);
  const Axes axes = axes_of(x, s, dim);
  return c2c(resized(x, axes.dims, axes.lengths), axes.dims, scale_number(norm, forward), forward);
}
Tensor real_box(const Tensor& input, OptionalInts s, OptionalInts dim, Norm norm) {
  check(!is_complex(input.dtype()), "rfftn expects a real-valued input tensor, but got ", dtype_title(input.dtype()));
  const Tensor x = prepared(input, false);
  const Axes axes = axes_of(x, s, dim);
  check(!axes.dims.empty(), "rfftn must transform at least one axis");
  return r2c(resized(x, axes.dims, axes.lengths), axes.dims, scale_number(norm, true), true);
}
// The halved dim first, then the others with their sign turned.
Tensor mirrored_box(const Tensor& input, OptionalInts s, OptionalInts dim, Norm norm) {
  const Tensor x = prepared(input, false);
  const Axes axes = axes_of(x, s, dim);
  check(!axes.dims.empty(), "ihfftn must transform at least one axis");
  const int64_t scale = scale_number(norm, false);
  const Tensor half = r2c(resized(x, axes.dims, axes.lengths), one(axes.dims.back()), scale, true);
  if (axes.dims.size() == 1) return resolve(conj_of(half));
  return c2c(conj_of(half), IntList(axes.dims).first(size_t(axes.dims.size() - 1)), scale, false);
}
template <bool forward>
Tensor half_box(const Tensor& input, OptionalInts s, OptionalInts dim, Norm norm) {
  Tensor x = prepared(input, true);
  Axes axes;
  int64_t size = -1;
  {
    // The last length counts real values; without one it follows from the half spectrum.
    Dims lengths(s.value_or(IntList()));
    if (!lengths.empty()) {
      size = lengths.back();
      lengths.back() = size == -1 ? -1 : std::max<int64_t>(size, 0) / 2 + 1;
    }
    if (size != -1) check_points(size);
    axes = axes_of(x, s ? OptionalInts(IntList(lengths)) : std::nullopt, dim);
  }
  check(!axes.dims.empty(), forward ? "hfftn" : "irfftn", " must transform at least one axis");
  if (size == -1) size = 2 * (x.sizes()[size_t(axes.dims.back())] - 1);
  check_points(size);
  x = resized(x, axes.dims, axes.lengths);
  const int64_t scale = scale_number(norm, forward);
  if (!forward) return c2r(x, axes.dims, scale, size);
  const IntList others = IntList(axes.dims).first(size_t(axes.dims.size() - 1));
  const Tensor whole = others.empty() ? x : c2c(x, others, scale, true);
  return c2r(conj_of(whole), one(axes.dims.back()), scale, size);
}

// ---- rows ----

// What an out= tensor may be.
template <auto F, bool real_result, const char* const* name>
void run_fft(const Op& op, const Value* args, Out& out) {
  if (out.into) {
    const DType d = out.into[0].dtype();
    check(real_result ? is_floating(d) : is_complex(d), *name,
          real_result ? " expects a floating point output tensor, but got "
                      : " expects a complex output tensor, but got ",
          dtype_title(d));
  }
  detail::Typed<F>::run(op, args, out);
}
#define FFT_ROW(name, parameters, function, real_result, label, text)                                          \
  constexpr const char* name##_label = label;                                                                  \
  constexpr Implementation name##_run{&run_fft<function, real_result, &name##_label>,                          \
                                      detail::Typed<function>::params.data(), detail::Typed<function>::arity}; \
  const Op name{OpDef{.schema = "fft_" #name "(Tensor input, " parameters ", str? norm=None) -> Tensor",       \
                      .run = name##_run,                                                                       \
                      .on = Fft | OutForm | Internal,                                                          \
                      .composite = true,                                                                       \
                      .doc = text}};
#define LINE "int? n=None, int dim=-1"
#define BOX "int[1]? s=None, int[1]? dim=None"
#define PLANE "int[1]? s=None, int[1]? dim=[-2, -1]"
#define LINE_DOC                                                                                                       \
  "\n\nArgs: input (..., n, ...); n: cut or padded with zeros to this length before; dim; norm: 'backward' (default: " \
  "1 / n on the inverse), 'forward' or 'ortho'. "
#define BOX_DOC                                                                                                    \
  "\n\nArgs: input; s: lengths of the transformed dims, which are cut or padded with zeros; dim: which (default: " \
  "all, or the last ones of `s`); norm: as for torch.fft.fft. "
FFT_ROW(fft, LINE, complex_line<true>, false, "fft",
        "The discrete Fourier transform along one dimension." LINE_DOC
        "Returns complex numbers." TABULA_EXAMPLE("torch.fft.fft(torch.tensor([1., 0.]))", "tensor([1.+0.j, 1.+0.j])"))
FFT_ROW(ifft, LINE, complex_line<false>, false, "ifft",
        "The inverse of torch.fft.fft." LINE_DOC
        "Returns complex numbers." TABULA_EXAMPLE("torch.fft.ifft(torch.tensor([2., 0.]))", "tensor([1.+0.j, 1.+0.j])"))
FFT_ROW(rfft, LINE, real_line<true>, false, "rfft",
        "The first half of the transform of real values; the rest is its mirror image." LINE_DOC
        "Returns n // 2 + 1 complex numbers." TABULA_EXAMPLE("torch.fft.rfft(torch.ones(4)).shape", "torch.Size([3])"))
FFT_ROW(irfft, LINE, half_line<false>, true, "irfft",
        "The inverse of torch.fft.rfft; n, the number of real results, tells an odd length from an even one." LINE_DOC
        "Returns real numbers." TABULA_EXAMPLE("torch.fft.irfft(torch.tensor([4., 0., 0.]))",
                                               "tensor([1., 1., 1., 1.])"))
FFT_ROW(hfft, LINE, half_line<true>, true, "hfft",
        "The real transform of the first half of values that mirror with conjugation." LINE_DOC
        "Returns n real numbers." TABULA_EXAMPLE("torch.fft.hfft(torch.tensor([1., 0., 0.]))",
                                                 "tensor([1., 1., 1., 1.])"))
FFT_ROW(ihfft, LINE, real_line<false>, false, "ihfft",
        "The inverse of torch.fft.hfft." LINE_DOC
        "Returns n // 2 + 1 complex numbers." TABULA_EXAMPLE("torch.fft.ihfft(torch.ones(4)).real",
                                                             "tensor([1., 0., 0.])"))
#define BOXES(two, n, function, real_result, label, about, result, example, shown)                                   \
  FFT_ROW(n, BOX, function, real_result, label, about BOX_DOC result TABULA_EXAMPLE("torch.fft." #n example, shown)) \
  FFT_ROW(two, PLANE, function, real_result, label,                                                                  \
          "torch.fft." #n                                                                                            \
          " of the last two dimensions." BOX_DOC result TABULA_EXAMPLE("torch.fft." #two example, shown))
BOXES(fft2, fftn, complex_box<true>, false, "fftn", "The discrete Fourier transform along several dimensions.",
      "Returns complex numbers.", "(torch.ones(2, 2))[0, 0]", "tensor(4.+0.j)")
BOXES(ifft2, ifftn, complex_box<false>, false, "fftn", "The inverse of torch.fft.fftn.", "Returns complex numbers.",
      "(torch.ones(2, 2))[0, 0]", "tensor(1.+0.j)")
BOXES(rfft2, rfftn, real_box, false, "rfftn",
      "torch.fft.fftn of real values: half of the spectrum along the last of the dims.", "Returns complex numbers.",
      "(torch.ones(2, 4)).shape", "torch.Size([2, 3])")
BOXES(irfft2, irfftn, half_box<false>, true, "irfftn", "The inverse of torch.fft.rfftn.", "Returns real numbers.",
      "(torch.ones(2, 3)).shape", "torch.Size([2, 4])")
BOXES(hfft2, hfftn, half_box<true>, true, "hfftn",
      "torch.fft.hfft along several dims, of which the last is the halved one.", "Returns real numbers.",
      "(torch.ones(2, 3)).shape", "torch.Size([2, 4])")
BOXES(ihfft2, ihfftn, mirrored_box, false, "ihfftn", "The inverse of torch.fft.hfftn.", "Returns complex numbers.",
      "(torch.ones(2, 4)).shape", "torch.Size([2, 3])")

// ---- shifts ----

template <bool inverse>
Tensor run_shift(const Tensor& x, OptionalInts dim) {
  Dims dims, shifts;
  if (dim)
    for (int64_t d : *dim) dims.push_back(wrap_dim(d, x.dim()));
  else
    for (int64_t d = 0; d < x.dim(); d++) dims.push_back(d);
  for (int64_t d : dims) shifts.push_back((x.size(d) + (inverse ? 1 : 0)) / 2);
  return roll(x, shifts, dims);
}
const Op fftshift{
    OpDef{.schema = "fft_fftshift(Tensor input, int[1]? dim=None) -> Tensor",
          .run = fn<run_shift<false>>,
          .on = Fft | Internal,
          .composite = true,
          .doc = "Moves the zero frequency to the middle of the given dims (default: all)." TABULA_EXAMPLE(
              "torch.fft.fftshift(torch.tensor([0, 1, -2, -1]))", "tensor([-2, -1,  0,  1])")}};
const Op ifftshift{OpDef{.schema = "fft_ifftshift(Tensor input, int[1]? dim=None) -> Tensor",
                         .run = fn<run_shift<true>>,
                         .on = Fft | Internal,
                         .composite = true,
                         .doc = "The inverse of torch.fft.fftshift." TABULA_EXAMPLE(
                             "torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))", "tensor([ 0,  1, -2, -1])")}};

}  // namespace
}  // namespace tabula
