// Draws whose parameters are tensors: multinomial, poisson, binomial, gamma, Dirichlet.
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/random.h"

namespace tabula {

namespace {

kernels::RandomIn random_in(const Tensor& t, const Dims& strides) { return {t.dtype(), t.data(), strides}; }

// Runs f(generator) under the generator's lock.
template <class F>
void drawing(Generator* generator, F&& f) {
  Generator& g = generator_or_default(generator);
  const Generator::Drawing alone(g);
  f(g);
}

void run_multinomial(const Op&, const Value* args, Out& out) {
  const Tensor& given = args[0].tensor();
  const int64_t samples = args[1].integer();
  const bool replacement = args[2].flag();
  if (out.into) check(out.into->dtype() == DType::Int64, "multinomial expects Long tensor out, got: ", dtype_title(out.into->dtype()));
  check(given.dim() == 1 || given.dim() == 2, "prob_dist must be 1 or 2 dim");
  check(is_floating(given.dtype()), "multinomial only supports floating-point dtypes for input, got: ", dtype_title(given.dtype()));
  check(samples > 0, "cannot sample n_sample <= 0 samples");
  const int64_t categories = given.sizes().back(), rows = given.dim() == 2 ? given.sizes()[0] : 1;
  check(replacement || samples <= categories, "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
  check(categories <= int64_t(1) << 24, "number of categories cannot exceed 2^24");
  const Dims sizes = given.dim() == 2 ? Dims{rows, samples} : Dims{samples};
  Tensor result = Tensor::empty(sizes, DType::Int64, given.device());
  if (rows > 0) {
    check(categories > 0, "invalid multinomial distribution (sum of probabilities <= 0)");
    const Tensor weights = contiguous_raw(given);
    drawing(args[3].generator(), [&](Generator& g) {
      kernels::random_multinomial[given.device().kind](g, {weights.dtype(), weights.data(), rows, categories, result.data_as<int64_t>(), samples, replacement});
    });
  }
  detail::box(out, std::move(result));
}
const Op multinomial{OpDef{.schema = "multinomial(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor",
                           .run = boxed(run_multinomial),
                           .on = Usual,
                           .batch = batch::multinomial, .doc = "Category numbers (int64) drawn with probabilities in proportion to the weights in each row of the input (1-d or 2-d, floating dtype)."
        TABULA_EXAMPLE("torch.multinomial(torch.tensor([0., 1.]), 3, replacement=True)", "tensor([1, 1, 1])")}};

Tensor run_poisson(const Tensor& input, Generator* generator) {
  check_implemented(is_floating(input.dtype()), "\"poisson_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  const Tensor rate = contiguous_raw(input);
  Tensor result = Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (result.numel())
    drawing(generator, [&](Generator& g) { kernels::random_poisson[input.device().kind](g, random_out(result), random_in(rate, Dims(rate.strides()))); });
  return result;
}
void rate_vjp(Backward& b) { b.set(0, zeros_raw(b.sizes(0), b.dtype(0), b.g().device())); }
const Op poisson{OpDef{.schema = "poisson(Tensor input, Generator? generator=None) -> Tensor",
                       .run = fn<run_poisson>,
                       .on = Function,
                       .vjp = rate_vjp,
                       .save = shape(0),
                       .batch = batch::draw_given, .doc = "Poisson distributed counts, one for each rate in the input (floating dtype, not negative)."
        TABULA_EXAMPLE("torch.poisson(torch.tensor([0.]))", "tensor([0.])")}};

Tensor run_binomial(const Tensor& count, const Tensor& prob, Generator* generator) {
  check_value(is_floating(count.dtype()), "binomial only supports floating-point dtypes for count, got: ", dtype_title(count.dtype()));
  check_value(is_floating(prob.dtype()), "binomial only supports floating-point dtypes for prob, got: ", dtype_title(prob.dtype()));
  check(count.dtype() == prob.dtype(), "Found dtype ", dtype_title(prob.dtype()), " but expected ", dtype_title(count.dtype()));
  const Dims sizes = broadcast_sizes(count.sizes(), prob.sizes());
  Tensor result = Tensor::empty(sizes, count.dtype(), count.device());
  const Dims n = expanded(count.geometry(), sizes).strides, p = expanded(prob.geometry(), sizes).strides;
  if (result.numel())
    drawing(generator, [&](Generator& g) { kernels::random_binomial[count.device().kind](g, random_out(result), random_in(count, n), random_in(prob, p)); });
  return result;
}
const Op binomial{OpDef{.schema = "binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor",
                        .run = fn<run_binomial>,
                        .on = Function,
                        .vjp = no_gradient_vjp,
                        .save = shape(0) | shape(1),
                        .batch = batch::draw_given, .doc = "Numbers of successes in `count` trials of probability `prob`, both of the same floating dtype and broadcast."
        TABULA_EXAMPLE("torch.binomial(torch.tensor([5.]), torch.tensor([1.]))", "tensor([5.])")}};

Tensor run_standard_gamma(const Tensor& input, Generator* generator) {
  check_implemented(is_floating(input.dtype()), "\"gamma_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  const Tensor alpha = contiguous_raw(input);
  Tensor result = Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (result.numel())
    drawing(generator, [&](Generator& g) { kernels::random_gamma[input.device().kind](g, random_out(result), random_in(alpha, Dims(alpha.strides()))); });
  return result;
}
const Op standard_gamma{OpDef{.schema = "_standard_gamma(Tensor input, Generator? generator=None) -> Tensor", .run = fn<run_standard_gamma>, .on = Function,
    .batch = batch::draw_given, .doc =
        "Samples of gamma distributions with the input as shapes and rate 1. Source: Marsaglia and Tsang, 2000."
        TABULA_EXAMPLE("torch._standard_gamma(torch.ones(2)).shape", "torch.Size([2])")}};

Tensor run_sample_dirichlet(const Tensor& input, Generator* generator) {
  check_implemented(is_floating(input.dtype()), "\"dirichlet\" not implemented for '", dtype_title(input.dtype()), "'");
  const Tensor alpha = contiguous_raw(input);
  Tensor result = Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (result.numel())
    drawing(generator, [&](Generator& g) { kernels::random_dirichlet[input.device().kind](g, random_out(result), random_in(alpha, Dims(alpha.strides()))); });
  return result;
}
const Op sample_dirichlet{OpDef{.schema = "_sample_dirichlet(Tensor input, Generator? generator=None) -> Tensor", .run = fn<run_sample_dirichlet>, .on = Function,
    .batch = batch::draw_given, .doc =
        "Samples of Dirichlet distributions with the concentrations of the last dimension."
        TABULA_EXAMPLE("torch._sample_dirichlet(torch.tensor([1.]))", "tensor([1.0000])")}};

}  // namespace

}  // namespace tabula
