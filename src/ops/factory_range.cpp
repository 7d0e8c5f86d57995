// Factories of regular sequences: arange, linspace, logspace, eye, triangle indices.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/state.h"
#include "ops/copy.h"
#include "ops/batch.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/factory_options.h"

namespace tabula {

namespace {

constexpr int64_t kGrain = 32768;

// element(i) is called for the real dtype's C++ type; meta tensors are left alone.
template <class T, class F>
void fill_sequence(const Tensor& t, F&& element) {
  if (t.is_meta()) return;
  T* data = t.data_as<T>();
  parallel_for(t.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) data[i] = element(i);
  });
}

// ---- arange and range ----

struct Bounds {
  Scalar start, end, step;
  bool integral() const { return start.is_integral() && end.is_integral() && step.is_integral(); }
  DType inferred() const { return integral() ? DType::Int64 : default_dtype; }

  void check_them() const {
    for (const Scalar* s : {&start, &end, &step}) check(!s->is_complex() || s->imag() == 0, "value cannot be converted to type double without overflow");
    const double a = start.to_double(), b = end.to_double(), s = step.to_double();
    check(s != 0, "step must be nonzero");
    check(std::isfinite(a) && std::isfinite(b), "unsupported range: ", a, " -> ", b);
    check((s > 0 && b >= a) || (s < 0 && b <= a), "upper bound and lower bound inconsistent with step sign");
  }
  // Steps until the end, which arange leaves out.
  int64_t length() const {
    if (integral()) {
      const __int128 span = __int128(end.to_int()) - start.to_int(), s = step.to_int();
      return int64_t((span + (s > 0 ? s - 1 : s + 1)) / s);
    }
    const double n = std::ceil((end.to_double() - start.to_double()) / step.to_double());
    check(n >= 0 && n < 0x1p63, "invalid size, possible overflow?");
    return int64_t(n);
  }
};

Tensor sequence(const Bounds& bounds, int64_t length, DType dtype, Device device) {
  check_implemented(dtype != DType::Bool && !is_complex(dtype), "\"arange_cpu\" not implemented for '", dtype_title(dtype), "'");
  Tensor t = Tensor::empty(IntList(&length, 1), dtype, device);
  visit(dtype, "arange_cpu", [&]<class T>() {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const auto start = uint64_t(bounds.start.to_int()), step = uint64_t(bounds.step.to_int());
      fill_sequence<T>(t, [=](int64_t i) { return T(start + step * uint64_t(i)); });
    } else if constexpr (!is_complex_v<T> && !std::is_same_v<T, bool>) {
      const double start = bounds.start.to_double(), step = bounds.step.to_double();
      fill_sequence<T>(t, [=](int64_t i) { return convert<T>(start + step * double(i)); });
    }
  });
  return t;
}

void arange_into(Bounds bounds, const Value* options_at, Out& out) {
  const FactoryOptions options(options_at);
  const DType dtype = out.into ? out.into->dtype() : options.dtype.value_or(bounds.inferred());
  bounds.check_them();
  if (dtype == DType::Int64) {
    for (Scalar* s : {&bounds.start, &bounds.end, &bounds.step}) *s = Scalar(s->to_int());
    check_value(bounds.step.to_int() != 0, "step must be nonzero");
    bounds.check_them();
  }
  detail::box(out, options.finish(sequence(bounds, bounds.length(), dtype, options.device_or_default())));
}
void run_arange(const Op&, const Value* args, Out& out) { arange_into({Scalar(0), args[0].scalar(), Scalar(1)}, args + 1, out); }
void run_arange_start(const Op&, const Value* args, Out& out) { arange_into({args[0].scalar(), args[1].scalar(), args[2].scalar()}, args + 3, out); }
const Op arange{OpDef{.schema = "arange(Scalar end, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                      .run = boxed(run_arange),
                      .on = Function | OutForm,
                      .doc = "The numbers start, start + step, ... up to but without end, as a 1-d tensor.\n\n"
                             "The dtype is int64 where all arguments are integers, the default floating dtype otherwise. Raises RuntimeError for a step of zero or of "
                             "the wrong sign.\n\nExample::\n\n    >>> torch.arange(1, 4)\n    tensor([1, 2, 3])\n"}};
const Op arange_start{
    OpDef{.schema = "arange.start(Scalar start, Scalar end, Scalar step=1, *, " TABULA_FACTORY_OPTIONS ") -> Tensor", .run = boxed(run_arange_start), .on = Function | OutForm}};

void run_range(const Op&, const Value* args, Out& out) {
  warn("torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range builtin. Instead, use torch.arange, "
       "which produces values in [start, end).");
  const Bounds bounds{args[0].scalar(), args[1].scalar(), args[2].scalar()};
  const FactoryOptions options(args + 3);
  bounds.check_them();
  const double steps = std::floor((bounds.end.to_double() - bounds.start.to_double()) / bounds.step.to_double());
  check(steps >= 0 && steps < 0x1p62, "invalid size, possible overflow?");
  const DType dtype = out.into ? out.into->dtype() : options.dtype.value_or(default_dtype);
  detail::box(out, options.finish(sequence(bounds, int64_t(steps) + 1, dtype, options.device_or_default())));
}
const Op range{OpDef{.schema = "range(Scalar start, Scalar end, Scalar step=1, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                     .run = boxed(run_range),
                     .on = Function | OutForm,
                     .doc = "Deprecated: as torch.arange, but with the end included, and of the default floating dtype."
        TABULA_EXAMPLE("torch.range(1, 4)", "tensor([1., 2., 3., 4.])")}};

// ---- linspace and logspace ----

// Both ends are exact: the second half counts down from the end.
// Values of C are rounded to those of T at each step.
template <class C, class T = C>
struct Line {
  C start, end, step;
  int64_t count;
  Line(C a, C b, int64_t n) : start(round(a)), end(round(b)), step(n > 1 ? round(round(end - start) / C(double(n - 1))) : C(0)), count(n) {}
  C at(int64_t i) const {
    const auto steps = [&](int64_t v) { return round(step * C(double(v))); };
    return i < count / 2 || count == 1 ? start + steps(i) : end - steps(count - i - 1);
  }
  static C round(C v) { return convert<C>(convert<T>(v)); }
};

double to_real(const Scalar& s, double) { return s.to_double(); }
c128 to_real(const Scalar& s, c128) { return s.to_complex(); }

template <class Finish>
void spaced(const char* name, const Scalar& start, const Scalar& end, int64_t steps, const Value* options_at, Out& out, Finish&& finish) {
  const FactoryOptions options(options_at);
  check(steps >= 0, "number of steps must be non-negative");
  DType dtype = default_dtype;
  if (start.is_complex() || end.is_complex()) {
    dtype = complex_dtype(default_dtype);
    check(!options.dtype || is_complex(*options.dtype), "torch.", name, "(): inferred dtype ", dtype == DType::Complex64 ? "c10::complex<float>" : "c10::complex<double>",
          " can't be safely cast to passed dtype ", options.dtype ? dtype_title(*options.dtype) : "");
  }
  dtype = out.into ? out.into->dtype() : options.dtype.value_or(dtype);
  check_implemented(dtype != DType::Bool, "\"", name, "_cpu\" not implemented for 'Bool'");
  Tensor t = Tensor::empty(IntList(&steps, 1), dtype, options.device_or_default());
  visit(dtype, name, [&]<class T>() {
    using C = std::conditional_t<is_complex_v<T>, c128, std::conditional_t<std::is_same_v<T, float>, float, double>>;
    using Wide = std::conditional_t<is_complex_v<T>, c128, double>;
    const auto a = to_real(start, Wide()), b = to_real(end, Wide());
    if constexpr (std::is_integral_v<T>) {
      // PyTorch truncates the ends to the dtype first
      const Line<double> line(double(T(start.to_int())), double(T(end.to_int())), steps);
      fill_sequence<T>(t, [&](int64_t i) { return convert<T>(finish(line.at(i))); });
    } else {
      const Line<C, std::conditional_t<sizeof(T) == 2, T, C>> line{C(a), C(b), steps};
      fill_sequence<T>(t, [&](int64_t i) { return convert<T>(finish(line.at(i))); });
    }
  });
  detail::box(out, options.finish(std::move(t)));
}

// A number, or a 0-d tensor that holds one.
Scalar end_point(const Value* args, const char* name) {
  for (const Value* v : {args, args + 1})
    if (v->is_tensor() && v->tensor().dim() != 0)
      fail(ErrorKind::Runtime, name, " only supports 0-dimensional start and end tensors, but got ", v == args ? "start" : "end", " with ", v->tensor().dim(), " dimension(s).");
  return args->is_tensor() ? item(args->tensor()) : args->scalar();
}
void run_linspace(const Op&, const Value* args, Out& out) {
  const Scalar start = end_point(args, "linspace"), end = args[1].is_tensor() ? item(args[1].tensor()) : args[1].scalar();
  spaced("linspace", start, end, args[2].integer(), args + 3, out, [](auto v) { return v; });
}
const Op linspace{OpDef{.schema = "linspace(Operand start, Operand end, int steps, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                        .run = boxed(run_linspace),
                        .on = Function | OutForm,
                        .batch = batch::each, .doc = "`steps` equally spaced numbers from start to end, both included.\n\n"
                               "Example::\n\n    >>> torch.linspace(0, 1, 3)\n    tensor([0.0000, 0.5000, 1.0000])\n"}};

void run_logspace(const Op&, const Value* args, Out& out) {
  const Scalar start = end_point(args, "logspace"), end = args[1].is_tensor() ? item(args[1].tensor()) : args[1].scalar();
  const double base = args[3].number();
  spaced("logspace", start, end, args[2].integer(), args + 4, out, [base](auto v) {
    using C = decltype(v);
    return C(std::pow(C(base), v));
  });
}
const Op logspace{OpDef{.schema = "logspace(Operand start, Operand end, int steps, float base=10.0, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                        .run = boxed(run_logspace),
                        .on = Function | OutForm,
                        .batch = batch::each, .doc = "base to the powers torch.linspace(start, end, steps).\n\n"
                               "Example::\n\n    >>> torch.logspace(0, 2, 3)\n    tensor([  1.,  10., 100.])\n"}};

// ---- eye ----

void eye_into(int64_t n, int64_t m, const Value* options_at, Out& out) {
  const FactoryOptions options(options_at);
  check(n >= 0, "n must be greater or equal to 0, got ", n);
  check(m >= 0, "m must be greater or equal to 0, got ", m);
  const DType dtype = out.into ? out.into->dtype() : options.dtype.value_or(default_dtype);
  Tensor t = zeros_raw(Dims{n, m}, dtype, options.device_or_default());
  fill_into(Tensor::alias(t, {Dims{std::min(n, m)}, Dims{m + 1}, 0}), Scalar(1));
  detail::box(out, options.finish(std::move(t)));
}
void run_eye(const Op&, const Value* args, Out& out) { eye_into(args[0].integer(), args[0].integer(), args + 1, out); }
void run_eye_m(const Op&, const Value* args, Out& out) { eye_into(args[0].integer(), args[1].integer(), args + 2, out); }
const Op eye{OpDef{.schema = "eye(int n, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                   .run = boxed(run_eye),
                   .on = Function | OutForm,
                   .doc = "A matrix [n, m] (m = n if left out) with ones on the diagonal, zeros elsewhere.\n\n"
                          "Example::\n\n    >>> torch.eye(2)\n    tensor([[1., 0.],\n            [0., 1.]])\n"}};
const Op eye_m{OpDef{.schema = "eye.m(int n, int m, *, " TABULA_FACTORY_OPTIONS ") -> Tensor", .run = boxed(run_eye_m), .on = Function | OutForm}};

// ---- an order of dimensions in memory ----

void run_empty_permuted(const Op&, const Value* args, Out& out) {
  const IntList sizes = args[0].ints(), layout = args[1].ints();
  const FactoryOptions options(args + 2);
  const int64_t rank = int64_t(sizes.size());
  check(layout.size() == sizes.size(), "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = ", rank,
        " is not equal to len(physical_layout) = ", layout.size());
  Dims strides(rank, 0);
  uint64_t seen = 0;
  int64_t step = 1;
  for (int64_t i = 0; i < rank; i++)
    check(layout[size_t(i)] >= 0 && layout[size_t(i)] < rank, "Dimension out of range (expected to be between 0 and ", rank - 1, ", but got ", layout[size_t(i)],
          " at index ", i, ").  NB: negative dims not currently supported; file an issue if you want it.");
  for (int64_t i = rank - 1; i >= 0; i--) {
    const int64_t d = layout[size_t(i)];
    check(!(seen >> d & 1), "Duplicate dim not allowed");
    seen |= uint64_t(1) << d;
    strides[d] = step;
    step *= std::max<int64_t>(sizes[size_t(d)], 1);
  }
  detail::box(out, options.finish(Tensor::empty_strided(sizes, strides, options.dtype.value_or(default_dtype), options.device_or_default())));
}
const Op empty_permuted{OpDef{.schema = "empty_permuted(int[] size, int[] physical_layout, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                              .run = boxed(run_empty_permuted),
                              .on = Function,
                              .doc = "An uninitialised dense tensor whose dimensions lie in memory in the order of physical_layout, outermost first."
        TABULA_EXAMPLE("torch.empty_permuted((2, 3), (1, 0)).stride()", "(1, 2)")}};

// ---- positions of a triangle ----

// Rows and columns of the elements on and below (or on and above) the offset-th diagonal, row by row.
template <bool upper>
void run_triangle_indices(const Op&, const Value* args, Out& out) {
  const int64_t rows = args[0].integer(), columns = args[1].integer();
  const FactoryOptions options(args + 3);
  check(rows >= 0, "row must be non-negative, got", rows);
  check(columns >= 0, "col must be non-negative, got", columns);
  const DType dtype = options.dtype.value_or(DType::Int64);
  check_implemented(is_integral(dtype), upper ? "\"triu_indices\" not implemented for '" : "\"tril_indices\" not implemented for '", dtype_title(dtype), "'");
  // 128 bits hold every sum and product of sizes. In row r the triangles part at column r + shift, cut to [0, columns]:
  // that is 0 in the rows before `rising`, and `columns` from row `full` on.
  using Wide = __int128;
  const Wide shift = Wide(args[2].integer()) + (upper ? 0 : 1);
  const Wide rising = std::clamp<Wide>(-shift, 0, rows), full = std::clamp<Wide>(columns - shift, rising, rows);
  const Wide below = (full - rising) * (rising + full - 1 + 2 * shift) / 2 + (rows - full) * columns;
  const Wide total = upper ? Wide(rows) * columns - below : below;
  check(total <= std::numeric_limits<int64_t>::max() / 2, "Storage size calculation overflowed with sizes=[", rows, ", ", columns, "]");
  const int64_t count = int64_t(total), first = upper ? 0 : int64_t(rising), last = upper ? int64_t(full) : rows;
  const auto from = [&](int64_t r) { return upper ? int64_t(std::clamp<Wide>(r + shift, 0, columns)) : 0; };
  const auto to = [&](int64_t r) { return upper ? columns : int64_t(std::clamp<Wide>(r + shift, 0, columns)); };
  Tensor t = Tensor::empty(Dims{2, count}, dtype, options.device_or_default());
  if (!t.is_meta())
    visit(dtype, "triangle_indices", [&]<class T>() {
      if constexpr (std::is_integral_v<T>) {
        T* row = t.data_as<T>();
        T* column = row + count;
        for (int64_t r = first; r < last && count; r++)
          for (int64_t c = from(r), end = to(r); c < end; c++) {
            *row++ = T(r);
            *column++ = T(c);
          }
      }
    });
  detail::box(out, options.finish(std::move(t)));
}
const Op tril_indices{OpDef{.schema = "tril_indices(int row, int col, int offset=0, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                            .run = boxed(run_triangle_indices<false>),
                            .on = Function,
                            .doc = "Rows and columns ([2, count]) of the lower triangle of a row x col matrix, up to the offset-th diagonal, row by row."
        TABULA_EXAMPLE("torch.tril_indices(2, 2)",
                       "tensor([[0, 1, 1],\n"
                       "            [0, 0, 1]])")}};
const Op triu_indices{OpDef{.schema = "triu_indices(int row, int col, int offset=0, *, " TABULA_FACTORY_OPTIONS ") -> Tensor",
                            .run = boxed(run_triangle_indices<true>),
                            .on = Function,
                            .doc = "Rows and columns ([2, count]) of the upper triangle of a row x col matrix, from the offset-th diagonal on, row by row."
        TABULA_EXAMPLE("torch.triu_indices(2, 2)",
                       "tensor([[0, 0, 1],\n"
                       "            [0, 1, 1]])")}};

}  // namespace

}  // namespace tabula
