#include "ops/random.h"

#include <cmath>
#include <limits>

#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/scalar_range.h"

namespace tabula {

namespace {

// Integers that a floating dtype counts without a gap: 2 to this power.
int digits(DType d) {
  switch (d) {
    case DType::Float16: return 11;
    case DType::BFloat16: return 8;
    case DType::Float32: return 24;
    default: return 53;
  }
}

double largest(DType d) {
  switch (real_dtype(d)) {
    case DType::Float16: return 65504;
    case DType::BFloat16: return 0x1.FEp127;
    case DType::Float32: return std::numeric_limits<float>::max();
    default: return std::numeric_limits<double>::max();
  }
}

template <class... Args, class... Given>
void draw(const Tensor& t, Generator* generator, const Kernel<void(Generator&, const kernels::RandomOut&, Args...)>& kernel, const Given&... given) {
  const auto function = kernel[t.device().kind];
  if (t.numel() == 0) return;
  Generator& g = generator_or_default(generator);
  const Generator::Drawing drawing(g);
  function(g, random_out(t), given...);
}

void check_continuous(const Tensor& t, const char* name, const char* dtype) {
  check(is_floating(t.dtype()), name, " distribution is a continuous probability distribution. dtype must be a floating point but you specified ", dtype);
}

}  // namespace

void no_gradient_vjp(Backward& b) {
  for (int i = 0; i < 2; i++)
    if (b.needs(i)) b.set(i, zeros_raw(b.sizes(i), b.dtype(i), b.g().device()));
}
static void overwritten_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, zeros_like_raw(b.g()));
}

void fill_uniform(const Tensor& t, double from, double to, Generator* generator) {
  check_implemented(is_differentiable(t.dtype()), "\"check_uniform_bounds\" not implemented for '", dtype_title(t.dtype()), "'");
  const DType real = real_dtype(t.dtype());
  const double limit = largest(real);
  check(from >= -limit && from <= limit, "from is out of bounds for ", c_type_name(real));
  check(to >= -limit && to <= limit, "to is out of bounds for ", c_type_name(real));
  check(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from, " > to=", to);
  check(to - from <= limit, "uniform_ expects to-from <= std::numeric_limits<", dtype_title(t.dtype()), ">::max(), but found to=", to, " and from=", from,
        " which result in to-from to exceed the limit");
  draw(t, generator, kernels::random_uniform, from, to);
}
void fill_normal(const Tensor& t, double mean, double std, Generator* generator) {
  check(std >= 0, "normal expects std >= 0.0, but found std ", std);
  check_implemented(is_differentiable(t.dtype()), "\"normal_kernel_cpu\" not implemented for '", dtype_title(t.dtype()), "'");
  draw(t, generator, kernels::random_normal, mean, std);
}
void fill_bernoulli(const Tensor& t, double p, Generator* generator) {
  check(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  check_implemented(!is_complex(t.dtype()), "\"bernoulli_scalar_cpu_\" not implemented for '", dtype_title(t.dtype()), "'");
  draw(t, generator, kernels::random_bernoulli, p);
}

#define RANDOM_ROW(variable, text, function, words) \
  variable { OpDef{.schema = text " -> Tensor(a!)", .run = fn<function>, .on = Method, .vjp = overwritten_vjp, .batch = batch::draw_in_place, .doc = words} }

static Tensor run_uniform_(const Tensor& input, double from, double to, Generator* generator) {
  fill_uniform(input, from, to, generator);
  return input;
}
RANDOM_ROW(const Op uniform_, "uniform_(Tensor(a!) input, float from=0, float to=1, *, Generator? generator=None)", run_uniform_,
           "Fills the tensor with numbers drawn uniformly from [from, to).");
static Tensor run_normal_(const Tensor& input, double mean, double std, Generator* generator) {
  fill_normal(input, mean, std, generator);
  return input;
}
RANDOM_ROW(const Op normal_, "normal_(Tensor(a!) input, float mean=0, float std=1, *, Generator? generator=None)", run_normal_,
           "Fills the tensor with normally distributed numbers.");

static Tensor run_exponential_(const Tensor& input, double rate, Generator* generator) {
  check_continuous(input, "Exponential", dtype_title(input.dtype()));
  check(rate > 0, "exponential_ expects lambda > 0.0, but found lambda=", rate);
  draw(input, generator, kernels::random_exponential, rate);
  return input;
}
RANDOM_ROW(const Op exponential_, "exponential_(Tensor(a!) input, float lambd=1, *, Generator? generator=None)", run_exponential_,
           "Fills the tensor with exponentially distributed numbers of rate lambd.");

static Tensor run_geometric_(const Tensor& input, double p, Generator* generator) {
  check(p > 0 && p < 1, "geometric_ expects p to be in (0, 1), but got p=", p);
  check_implemented(!is_complex(input.dtype()) && input.dtype() != DType::Bool, "\"geometric_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  draw(input, generator, kernels::random_geometric, p);
  return input;
}
RANDOM_ROW(static const Op geometric_, "geometric_(Tensor(a!) input, float p, *, Generator? generator=None)", run_geometric_,
           "Fills the tensor with the numbers of trials until the first success of probability p.");

static Tensor run_cauchy_(const Tensor& input, double median, double sigma, Generator* generator) {
  check(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
  check_continuous(input, "Cauchy", c_type_name(input.dtype()));
  draw(input, generator, kernels::random_cauchy, median, sigma);
  return input;
}
RANDOM_ROW(static const Op cauchy_, "cauchy_(Tensor(a!) input, float median=0, float sigma=1, *, Generator? generator=None)", run_cauchy_,
           "Fills the tensor with numbers of the Cauchy distribution.");

static Tensor run_log_normal_(const Tensor& input, double mean, double std, Generator* generator) {
  check(std > 0, "log_normal_ expects std > 0.0, but found std=", std);
  check_implemented(is_floating(input.dtype()), "\"log_normal_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  draw(input, generator, kernels::random_log_normal, mean, std);
  return input;
}
RANDOM_ROW(static const Op log_normal_, "log_normal_(Tensor(a!) input, float mean=1, float std=2, *, Generator? generator=None)", run_log_normal_,
           "Fills the tensor with exponentials of normally distributed numbers.");

// ---- bernoulli ----

static void bernoulli_each(const Tensor& t, const Tensor& p, Generator* generator) {
  check_implemented(is_floating(p.dtype()), "\"bernoulli_tensor_cpu_p_\" not implemented for '", dtype_title(p.dtype()), "'");
  check_implemented(!is_complex(t.dtype()), "\"bernoulli_tensor_cpu_self_\" not implemented for '", dtype_title(t.dtype()), "'");
  const Geometry each = expanded(p.geometry(), t.sizes());
  draw(t, generator, kernels::random_bernoulli_each, kernels::RandomIn{p.dtype(), p.data(), each.strides});
}
static Tensor run_bernoulli_tensor_(const Tensor& input, const Tensor& p, Generator* generator) {
  bernoulli_each(input, p.impl()->storage == input.impl()->storage ? clone_raw(p) : p, generator);
  return input;
}
static void run_bernoulli_into(const Op&, const Value* args, Out& out) {
  const Operand p(args[1]);
  Generator* generator = args[2].generator();
  if (p.is_tensor())
    run_bernoulli_tensor_(args[0].tensor(), p.tensor(), generator);
  else
    fill_bernoulli(args[0].tensor(), p.scalar().to_double(), generator);
  detail::box(out, args[0].tensor());
}
static void bernoulli_into_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, zeros_like_raw(b.g()));
  if (!b.arg(1).is_scalar() && b.needs(1)) b.set(1, zeros_raw(b.sizes(1), b.dtype(1), b.g().device()));
}
const Op bernoulli_{OpDef{.schema = "bernoulli_(Tensor(a!) input, Operand p=0.5, *, Generator? generator=None) -> Tensor(a!)",
                          .run = boxed(run_bernoulli_into),
                          .on = Method,
                          .vjp = bernoulli_into_vjp,
                          .save = shape(1),
                          .batch = batch::draw_in_place, .doc = "Fills the tensor with ones of probability p, zeros otherwise; p is a number or a tensor of probabilities."}};
static Tensor run_bernoulli_p(const Tensor& input, double p, Generator* generator) {
  Tensor result = Tensor::empty_like(input, input.dtype());
  fill_bernoulli(result, p, generator);
  return result;
}
const Op bernoulli_p{OpDef{.schema = "bernoulli.p(Tensor input, float p, *, Generator? generator=None) -> Tensor",
                                  .run = fn<run_bernoulli_p>,
                                  .on = Both,
                                  .vjp = no_gradient_vjp,
                                  .save = shape(0), .batch = batch::draw_like}};
static void run_bernoulli(const Op&, const Value* args, Out& out) {
  const Tensor& input = args[0].tensor();
  if (out.into) check_writable(*out.into);
  Tensor result = Tensor::empty_like(input, input.dtype());
  bernoulli_each(result, input, args[1].generator());
  detail::box(out, std::move(result));
}
static const Op bernoulli{OpDef{.schema = "bernoulli(Tensor input, *, Generator? generator=None) -> Tensor",
                                .run = boxed(run_bernoulli),
                                .on = Usual,
                                .vjp = overwritten_vjp,
                                .batch = batch::draw_given, .doc = "Ones with the probabilities in the input (floating dtype, in [0, 1]), zeros otherwise."
        TABULA_EXAMPLE("torch.bernoulli(torch.tensor([0., 1.]))", "tensor([0., 1.])")}};

// ---- integers ----

// Bounds as the nearest ones that a floating dtype has inside the range.
static int64_t rounded(int64_t v, DType d) {
  return visit_floating(d, "random_", [&]<class T>() { return convert<int64_t>(double(convert<compute_t<T>>(convert<T>(v)))); });
}
static int log2_of(int64_t v) {
  int n = 0;
  for (uint64_t u = uint64_t(v < 0 ? -v : v); u >>= 1;) n++;
  return n;
}
static int64_t raised_from(int64_t from, DType d) {
  const int64_t next = rounded(from + 1, d);
  return next < from ? next + (int64_t(1) << std::max(0, log2_of(from + 1) - digits(d) + 1)) : from;
}
static int64_t lowered_to(int64_t to, DType d) {
  const int64_t last = rounded(to - 1, d);
  return last >= to ? last - (int64_t(1) << std::max(0, log2_of(to - 1) - digits(d) + 1)) : to;
}

static void check_bounds(DType d, int64_t from, int64_t last) {
  if (is_floating(d)) {
    const double limit = largest(d);
    check(double(from) >= -limit && double(from) <= limit, "from is out of bounds for ", c_type_name(d));
    check(double(last) >= -limit && double(last) <= limit, "to - 1 is out of bounds for ", c_type_name(d));
    const int64_t exact = int64_t(1) << digits(d);
    const char* const note[] = {"from", "to - 1"};
    for (int i = 0; i < 2; i++) {
      const int64_t v = i ? last : from;
      if (v < -exact || v > exact)
        warn(concat(note[i], " is out of bounds [-(2^", digits(d), "), 2^", digits(d), "]. Due to precision limitations ", c_type_name(d),
                    " can support discrete uniform distribution only within this range. This warning will become an error in version 1.7 release, please fix the code "
                    "in advance"));
    }
    return;
  }
  check(!is_complex(d), "check_random_bounds handles only integral, floating-point and boolean types");
  visit(d, "random_", [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      const auto inside = [](int64_t v) {
        if constexpr (std::is_same_v<T, uint64_t>)
          return v >= 0;
        else
          return v >= int64_t(std::numeric_limits<T>::min()) && v <= int64_t(std::numeric_limits<T>::max());
      };
      check(inside(from), "from is out of bounds for ", c_type_name(d));
      check(inside(last), "to - 1 is out of bounds for ", c_type_name(d));
    }
  });
}

void fill_integers(const Tensor& t, int64_t from, int64_t to, Generator* generator) {
  check(from < to, "random_ expects 'from' to be less than 'to', but got from=", from, " >= to=", to);
  if (is_floating(t.dtype())) {
    from = raised_from(from, t.dtype());
    to = lowered_to(to, t.dtype());
    check(from < to, "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from=", from, " >= to=", to);
  }
  check_bounds(t.dtype(), from, to - 1);
  draw(t, generator, kernels::random_range, from, uint64_t(to) - uint64_t(from));
}

static void check_random(const Tensor& t) { check_implemented(!is_complex(t.dtype()), "\"random_kernel_cpu\" not implemented for '", dtype_title(t.dtype()), "'"); }

static Tensor run_random_range_(const Tensor& input, int64_t from, std::optional<int64_t> to, Generator* generator) {
  check_random(input);
  if (to) {
    fill_integers(input, from, *to, generator);
  } else if (from != INT64_MIN) {
    int64_t last = INT64_MAX;
    const DType d = input.dtype();
    if (is_floating(d)) {
      last = int64_t(1) << digits(d);
      from = raised_from(from, d);
      check(from < last, "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got from=", from, " > to_inc=", last);
    } else {
      visit(d, "random_", [&]<class T>() {
        if constexpr (std::is_integral_v<T> && sizeof(T) < 8) last = int64_t(std::numeric_limits<T>::max());
      });
    }
    check_bounds(d, from, last);
    draw(input, generator, kernels::random_range, from, uint64_t(last) - uint64_t(from) + 1);
  } else {
    draw(input, generator, kernels::random_range, int64_t(0), uint64_t(0));
  }
  return input;
}
const Op random_range_{OpDef{.schema = "random_.from(Tensor(a!) input, int from, int? to, *, Generator? generator=None) -> Tensor(a!)",
                             .run = fn<run_random_range_>,
                             .on = Method,
                             .vjp = overwritten_vjp, .batch = batch::draw_in_place}};
static Tensor run_random_to_(const Tensor& input, int64_t to, Generator* generator) {
  check_random(input);
  fill_integers(input, 0, to, generator);
  return input;
}
static const Op random_to_{OpDef{.schema = "random_.to(Tensor(a!) input, int to, *, Generator? generator=None) -> Tensor(a!)",
                                 .run = fn<run_random_to_>,
                                 .on = Method,
                                 .vjp = overwritten_vjp, .batch = batch::draw_in_place}};
static Tensor run_random_(const Tensor& input, Generator* generator) {
  check_random(input);
  draw(input, generator, kernels::random_full);
  return input;
}
RANDOM_ROW(static const Op random_, "random_(Tensor(a!) input, *, Generator? generator=None)", run_random_,
           "Fills the tensor with integers drawn uniformly from [from, to); without bounds from all that the dtype counts from 0 on.");

}  // namespace tabula
