// Fresh random tensors.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/factory_options.h"
#include "ops/promote.h"
#include "ops/random.h"
#include "ops/reduce.h"

namespace tabula {

#define RANDOM_OPTIONS "*, Generator? generator=None, " TABULA_FACTORY_OPTIONS
#define LIKE_OPTIONS TABULA_FACTORY_OPTIONS ", MemoryFormat? memory_format=None"

namespace {

DType out_dtype(const Out& out, const FactoryOptions& options, DType otherwise) { return out.into ? out.into->dtype() : options.dtype.value_or(otherwise); }

// ---- rand and randn ----

template <auto fill>
void run_sized(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 2);
  Tensor t = Tensor::empty(args[0].ints(), out_dtype(out, options, default_dtype), options.device_or_default());
  fill(t, 0, 1, args[1].generator());
  detail::box(out, options.finish(std::move(t)));
}
const Op rand{OpDef{.schema = "rand(int[] size, " RANDOM_OPTIONS ") -> Tensor",
                    .run = boxed(run_sized<fill_uniform>),
                    .on = Function | OutForm,
                    .batch = batch::draw_sized, .doc = "A tensor of the given size with numbers drawn uniformly from [0, 1).\n\n"
                           "Example::\n\n    >>> torch.rand(2, generator=torch.Generator().manual_seed(0))\n    tensor([0.4963, 0.7682])\n"}};
const Op randn{OpDef{.schema = "randn(int[] size, " RANDOM_OPTIONS ") -> Tensor",
                     .run = boxed(run_sized<fill_normal>),
                     .on = Function | OutForm,
                     .batch = batch::draw_sized, .doc = "A tensor of the given size with numbers of the standard normal distribution (complex: of variance 1).\n\n"
                            "Example::\n\n    >>> torch.randn(2, generator=torch.Generator().manual_seed(0))\n    tensor([ 1.5410, -0.2934])\n"}};

template <auto fill>
void run_like(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 2);
  Tensor t = empty_like_options(args[0].tensor(), options, args[7]);
  fill(t, 0, 1, args[1].generator());
  detail::box(out, options.finish(std::move(t)));
}
const Op rand_like{OpDef{.schema = "rand_like(Tensor input, *, Generator? generator=None, " LIKE_OPTIONS ") -> Tensor",
                         .run = boxed(run_like<fill_uniform>),
                         .on = Function,
                         .batch = batch::draw_like, .doc = "As torch.rand, with the input's size, dtype and memory order."
        TABULA_EXAMPLE("torch.rand_like(torch.zeros(2, 3)).shape", "torch.Size([2, 3])")}};
const Op randn_like{OpDef{.schema = "randn_like(Tensor input, *, Generator? generator=None, " LIKE_OPTIONS ") -> Tensor",
                          .run = boxed(run_like<fill_normal>),
                          .on = Function,
                          .batch = batch::draw_like, .doc = "As torch.randn, with the input's size, dtype and memory order."
        TABULA_EXAMPLE("torch.randn_like(torch.zeros(2, 3)).shape", "torch.Size([2, 3])")}};

// ---- randint ----

void integers(const Value* rest, int64_t low, int64_t high, Out& out) {
  const FactoryOptions options(rest + 2);
  Tensor t = Tensor::empty(rest[0].ints(), out_dtype(out, options, DType::Int64), options.device_or_default());
  fill_integers(t, low, high, rest[1].generator());
  detail::box(out, options.finish(std::move(t)));
}
void run_randint(const Op&, const Value* args, Out& out) { integers(args + 1, 0, args[0].integer(), out); }
void run_randint_low(const Op&, const Value* args, Out& out) { integers(args + 2, args[0].integer(), args[1].integer(), out); }
const Op randint{OpDef{.schema = "randint(int high, int[] size, " RANDOM_OPTIONS ") -> Tensor",
                       .run = boxed(run_randint),
                       .on = Function | OutForm,
                       .batch = batch::draw_sized, .doc = "Integers drawn uniformly from [low, high), low being 0 if left out; int64 unless dtype says otherwise.\n\n"
                              "Example::\n\n    >>> torch.randint(10, (3,), generator=torch.Generator().manual_seed(0))\n    tensor([4, 9, 3])\n"}};
const Op randint_low{OpDef{.schema = "randint.low(int low, int high, int[] size, " RANDOM_OPTIONS ") -> Tensor", .run = boxed(run_randint_low), .on = Function | OutForm, .batch = batch::draw_sized}};

void integers_like(const Tensor& like, const Value* rest, int64_t low, int64_t high, Out& out) {
  const FactoryOptions options(rest + 1);
  Tensor t = empty_like_options(like, options, rest[6]);
  fill_integers(t, low, high, rest[0].generator());
  detail::box(out, options.finish(std::move(t)));
}
void run_randint_like(const Op&, const Value* args, Out& out) { integers_like(args[0].tensor(), args + 2, 0, args[1].integer(), out); }
void run_randint_like_low(const Op&, const Value* args, Out& out) { integers_like(args[0].tensor(), args + 3, args[1].integer(), args[2].integer(), out); }
const Op randint_like{OpDef{.schema = "randint_like(Tensor input, int high, *, Generator? generator=None, " LIKE_OPTIONS ") -> Tensor",
                            .run = boxed(run_randint_like),
                            .on = Function,
                            .batch = batch::draw_like, .doc = "As torch.randint, with the input's size, dtype and memory order."
        TABULA_EXAMPLE("torch.randint_like(torch.zeros(2), 1)", "tensor([0., 0.])")}};
const Op randint_like_low{OpDef{.schema = "randint_like.low_dtype(Tensor input, int low, int high, *, Generator? generator=None, " LIKE_OPTIONS ") -> Tensor",
                                .run = boxed(run_randint_like_low),
                                .on = Function, .batch = batch::draw_like}};

void run_randperm(const Op&, const Value* args, Out& out) {
  const int64_t n = args[0].integer();
  const FactoryOptions options(args + 2);
  const DType dtype = out_dtype(out, options, DType::Int64);
  check_implemented(dtype != DType::Bool && !is_complex(dtype), "\"randperm\" not implemented for '", dtype_title(dtype), "'");
  if (is_floating(dtype)) {
    const int64_t exact = dtype == DType::Float16 ? 1 << 11 : dtype == DType::BFloat16 ? 1 << 8 : dtype == DType::Float32 ? 1 << 24 : int64_t(1) << 53;
    check(n <= exact + 1, "n cannot be greater than ", exact + 1, " for ", dtype_title(dtype), " type.");
  } else {
    const int64_t most = dtype == DType::UInt8 ? 255 : dtype == DType::Int8 ? 127 : dtype == DType::Int16 ? 32767 : dtype == DType::Int32 ? INT32_MAX : INT64_MAX;
    check(n <= most, "value cannot be converted to type ", dtype == DType::Int32 ? "int" : dtype == DType::Int64 ? "int64_t" : concat(dtype_name(dtype), "_t"), " without overflow");
  }
  Tensor t = Tensor::empty(Dims{n}, dtype, options.device_or_default());
  if (n > 0) {
    Generator& g = generator_or_default(args[1].generator());
    const Generator::Drawing drawing(g);
    kernels::random_permutation[t.device().kind](g, dtype, t.data(), n, 1);
  }
  detail::box(out, options.finish(std::move(t)));
}
const Op randperm{OpDef{.schema = "randperm(int n, " RANDOM_OPTIONS ") -> Tensor",
                        .run = boxed(run_randperm),
                        .on = Function | OutForm,
                        .batch = batch::draw_sized, .doc = "The numbers 0 to n - 1 in random order, int64 unless dtype says otherwise.\n\n"
                               "Example::\n\n    >>> torch.randperm(4, generator=torch.Generator().manual_seed(0))\n    tensor([0, 1, 3, 2])\n"}};

// ---- normal ----

void check_std(const Tensor& std) {
  check(!is_complex(std.dtype()), "normal expects standard deviation to be non-complex");
  if (std.numel() == 0 || std.is_meta()) return;
  check(!item(any(lt(std, Scalar(0)))).to_bool(), "normal expects all elements of std >= 0.0");
}
Tensor standard(IntList sizes, DType dtype, Device device, Generator* generator) {
  Tensor t = Tensor::empty(sizes, dtype, device);
  fill_normal(t, 0, 1, generator);
  return t;
}
Tensor run_normal_tensors(const Tensor& mean, const Tensor& std, Generator* generator) {
  check_std(std);
  const Tensor t = standard(broadcast_sizes(mean.sizes(), std.sizes()), is_complex(std.dtype()) ? promote_types(mean.dtype(), std.dtype()) : mean.dtype(), mean.device(), generator);
  return cast_raw(t * std + mean, t.dtype());
}
const Op normal_tensors{OpDef{.schema = "normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor",
                              .run = fn<run_normal_tensors>,
                              .on = Function | OutForm,
                              .vjp = no_gradient_vjp,
                              .save = shape(0) | shape(1),
                              .batch = batch::draw_given, .doc = "Normally distributed numbers; mean and std are numbers or tensors that are broadcast, and with two numbers size gives the shape."
        TABULA_EXAMPLE("torch.normal(torch.tensor([1., 2.]), torch.tensor([0., 0.]))", "tensor([1., 2.])")}};
void normal_mean_vjp(Backward& b) { b.set(0, zeros_raw(b.sizes(0), b.dtype(0), b.g().device())); }
void normal_std_vjp(Backward& b) { b.set(1, zeros_raw(b.sizes(1), b.dtype(1), b.g().device())); }
Tensor run_normal_mean(const Tensor& mean, double std, Generator* generator) {
  check(std >= 0, "normal expects std >= 0.0, but found std ", std);
  const Tensor t = Tensor::empty(mean.sizes(), mean.dtype(), mean.device());
  fill_normal(t, 0, std, generator);
  return t + mean;
}
const Op normal_mean{OpDef{.schema = "normal.Tensor_float(Tensor mean, float std=1, *, Generator? generator=None) -> Tensor",
                           .run = fn<run_normal_mean>,
                           .on = Function | OutForm,
                           .vjp = normal_mean_vjp,
                           .save = shape(0), .batch = batch::draw_given}};
Tensor run_normal_std(double mean, const Tensor& std, Generator* generator) {
  check_std(std);
  const Tensor t = standard(std.sizes(), std.dtype(), std.device(), generator);
  return t * std + Scalar(mean);
}
const Op normal_std{OpDef{.schema = "normal.float_Tensor(float mean, Tensor std, *, Generator? generator=None) -> Tensor",
                          .run = fn<run_normal_std>,
                          .on = Function | OutForm,
                          .vjp = normal_std_vjp,
                          .save = shape(1), .batch = batch::draw_given}};
void run_normal_size(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 4);
  Tensor t = Tensor::empty(args[2].ints(), out_dtype(out, options, default_dtype), options.device_or_default());
  fill_normal(t, args[0].number(), args[1].number(), args[3].generator());
  detail::box(out, options.finish(std::move(t)));
}
const Op normal_size{OpDef{.schema = "normal.float_float(float mean, float std, int[] size, " RANDOM_OPTIONS ") -> Tensor", .run = boxed(run_normal_size), .on = Function | OutForm, .batch = batch::draw_sized}};

}  // namespace

}  // namespace tabula
