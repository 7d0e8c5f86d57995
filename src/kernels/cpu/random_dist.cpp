// Distributions made from doubles: Bernoulli, exponential, geometric, Cauchy, log-normal, Poisson, binomial, gamma.
#include <cmath>
#include <limits>

#include "kernels/cpu/random_block.h"

namespace tabula::kernels {

namespace {

void bernoulli_cpu(Generator& gen, const RandomOut& out, double p) {
  visit(out.dtype, "bernoulli", [&]<class T>() {
    fill_runs<T>(out, [&](T* run, int64_t n) {
      double draws[kDrawBlock];
      for (int64_t done = 0; done < n; done += kDrawBlock) {
        const int64_t part = std::min(kDrawBlock, n - done);
        draw_d53(gen, draws, part);
        // a lookup, since a branch would be mispredicted
        const T choice[2] = {convert<T>(0), convert<T>(1)};
        for (int64_t i = 0; i < part; i++) run[done + i] = choice[draws[i] < p];
      }
    });
  });
}

void bernoulli_each_cpu(Generator& gen, const RandomOut& out, const RandomIn& p) {
  const bool wide = p.dtype == DType::Float64;
  fill_doubles<1>(out, {p}, [&](double* block, const auto& in, int64_t n) {
    const double* probability = in[0];
    for (int64_t i = 0; i < n; i++)
      check(probability[i] >= 0 && probability[i] <= 1, "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  "
            "(Could this error message be improved?  If so, please report an enhancement request to PyTorch.)");
    if (wide) {
      draw_d53(gen, block, n);
      for (int64_t i = 0; i < n; i++) block[i] = block[i] < probability[i] ? 1.0 : 0.0;
    } else {
      float draws[kDrawBlock];
      for (int64_t done = 0; done < n; done += kDrawBlock) {
        const int64_t part = std::min(kDrawBlock, n - done);
        draw_f24(gen, draws, part);
        for (int64_t i = 0; i < part; i++) block[done + i] = double(draws[i]) < probability[done + i] ? 1.0 : 0.0;
      }
    }
  });
}

void exponential_cpu(Generator& gen, const RandomOut& out, double rate) {
  const double scale = -1.0 / rate;
  fill_from_d53(gen, out, [&](double u) { return scale * std::log1p(-u); });
}

void geometric_cpu(Generator& gen, const RandomOut& out, double p) {
  const double log_failure = std::log1p(-p);
  fill_from_d53(gen, out, [&](double u) { return std::ceil(std::log(u) / log_failure); });
}

void cauchy_cpu(Generator& gen, const RandomOut& out, double median, double sigma) {
  fill_from_d53(gen, out, [&](double u) { return std::fma(sigma, std::tan(M_PI * (u - 0.5)), median); });
}

void log_normal_cpu(Generator& gen, const RandomOut& out, double mean, double std) {
  fill_doubles<0>(out, {}, [&](double* block, const auto&, int64_t n) {
    for (int64_t i = 0; i < n; i++) block[i] = std::exp(std::fma(gen.normal(), std, mean));
  });
}

// Small rates by Knuth's products of uniforms; others by the transformed rejection PTRS (W. Hoermann, "The transformed
// rejection method for generating Poisson random variables", 1993).
double draw_poisson(Generator& gen, double rate) {
  check(rate >= 0, "invalid Poisson rate, expected rate to be non-negative");
  if (rate == 0) return 0;
  if (rate < 10) {
    const double limit = std::exp(-rate);
    double product = 1;
    int64_t k = 0;
    while (true) {
      product *= gen.d53();
      if (!(product > limit)) return double(k);
      k++;
    }
  }
  const double log_rate = std::log(rate);
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
  while (true) {
    const double u = gen.d53() - 0.5, v = gen.d53(), us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const double height = std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b);
    if (height <= -rate + k * log_rate - std::lgamma(k + 1)) return k;
  }
}

void poisson_cpu(Generator& gen, const RandomOut& out, const RandomIn& rate) {
  fill_doubles<1>(out, {rate}, [&](double* block, const auto& in, int64_t n) {
    for (int64_t i = 0; i < n; i++) block[i] = draw_poisson(gen, in[0][i]);
  });
}

// G. Marsaglia and W. Tsang, "A simple method for generating gamma variables", 2000. Steps on alpha itself round to
// its own type, as PyTorch's do.
template <class T>
double draw_gamma(Generator& gen, T alpha) {
  double scale = 1;
  if (alpha < 1) {
    if (alpha == 0) return 0;
    scale *= std::pow(1 - gen.d53(), double(T(1) / alpha));
    alpha = alpha + T(1);
  }
  constexpr float third = 1.0f / 3.0f;
  const double d = double(alpha - T(third)), c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    double x, y;
    do {
      x = gen.normal();
      y = 1.0 + c * x;
    } while (y <= 0);
    const double v = y * y * y, u = 1 - gen.d53(), xx = x * x;
    if (u < 1.0 - double(0.0331f) * xx * xx) return scale * d * v;
    if (std::log(u) < 0.5 * xx + d * (1.0 - v + std::log(v))) return scale * d * v;
  }
}

double smallest_normal(DType dtype) {
  return dtype == DType::Float64 ? std::numeric_limits<double>::min()
         : dtype == DType::Float16 ? 0x1p-14
                                   : double(std::numeric_limits<float>::min());
}

void gamma_cpu(Generator& gen, const RandomOut& out, const RandomIn& alpha) {
  const bool wide = alpha.dtype == DType::Float64;
  const double least = smallest_normal(out.dtype);
  fill_doubles<1>(out, {alpha}, [&](double* block, const auto& in, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
      const double value = wide ? draw_gamma(gen, in[0][i]) : draw_gamma(gen, float(in[0][i]));
      block[i] = std::max(least, value);
    }
  });
}

// One row after another: gammas in double (so that small ones don't underflow), then their shares of the sum.
void dirichlet_cpu(Generator& gen, const RandomOut& out, const RandomIn& alpha) {
  visit_floating(out.dtype, "dirichlet", [&]<class T>() {
    const int64_t width = out.sizes.empty() ? 1 : out.sizes.back(), n = product(out.sizes);
    if (n == 0) return;
    const T* in = static_cast<const T*>(alpha.data);
    T* to = static_cast<T*>(out.data);
    const auto gammas = std::make_unique_for_overwrite<double[]>(size_t(width));
    const T least = convert<T>(smallest_normal(out.dtype));
    const T most = sizeof(T) == 2 ? T(1.0f - (std::is_same_v<T, Half> ? 0x1p-11f : 0x1p-8f))
                                  : T(std::nexttoward(std::conditional_t<sizeof(T) == 8, double, float>(1), 0.0L));
    for (int64_t row = 0; row < n; row += width) {
      double sum = 0;
      for (int64_t i = 0; i < width; i++) sum += gammas[size_t(i)] = draw_gamma(gen, convert<double>(in[row + i]));
      for (int64_t i = 0; i < width; i++) {
        const T share = convert<T>(gammas[size_t(i)] / sum);
        to[row + i] = share < least ? least : most < share ? most : share;
      }
    }
  });
}

// The tail of Stirling's series for log(k!). The tabled values are those of PyTorch's sampler, which lists the fourth
// one twice: results depend on it.
double stirling_tail(double k) {
  static constexpr double table[] = {0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
                                     0.02079067210376509, 0.01664469118982119, 0.01387612882307075, 0.01189670994589177,
                                     0.01041126526197209, 0.009255462182712733, 0.008330563433362871};
  if (k <= 9) return table[int(k)];
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

double binomial_by_waiting(Generator& gen, double count, double p) {
  const double log_failure = std::log1p(-p);
  double sum = 0, terms = 0;
  while (true) {
    sum += std::ceil(std::log(gen.d53()) / log_failure);
    if (sum > count) return terms;
    terms += 1;
  }
}

// The transformed rejection BTRS (W. Hoermann, "The generation of binomial random variates", 1993).
double binomial_by_rejection(Generator& gen, double count, double p) {
  const double deviation = std::sqrt(count * p * (1 - p)), b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p, c = count * p + 0.5, v_r = 0.92 - 4.2 / b;
  const double odds = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation, mode = std::floor((count + 1) * p);
  while (true) {
    const double u = gen.d53() - 0.5, v = gen.d53(), us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= v_r) return k;
    if (k < 0 || k > count) continue;
    const double height = std::log(v * alpha / (a / (us * us) + b));
    const double bound = (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
                         (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
                         (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) + stirling_tail(mode) +
                         stirling_tail(count - mode) - stirling_tail(k) - stirling_tail(count - k);
    if (height <= bound) return k;
  }
}

double draw_binomial(Generator& gen, double count, double p) {
  if (count <= 0 || p <= 0) return 0;
  if (p >= 1) return count;
  if (p != p || count != count) return std::numeric_limits<double>::quiet_NaN();
  const double q = p <= 0.5 ? p : 1 - p;
  const double k = count * q >= 10 ? binomial_by_rejection(gen, count, q) : binomial_by_waiting(gen, count, q);
  return p <= 0.5 ? k : count - k;
}

void binomial_cpu(Generator& gen, const RandomOut& out, const RandomIn& count, const RandomIn& p) {
  fill_doubles<2>(out, {count, p}, [&](double* block, const auto& in, int64_t n) {
    for (int64_t i = 0; i < n; i++) block[i] = draw_binomial(gen, in[0][i], in[1][i]);
  });
}

void rrelu_cpu(Generator& gen, DType dtype, const void* x, void* noise, void* out, int64_t n, double lower,
               double upper) {
  visit_floating(dtype, "rrelu_with_noise", [&]<class T>() {
    const T* in = static_cast<const T*>(x);
    using C = compute_t<T>;
    T *slopes = static_cast<T*>(noise), *to = static_cast<T*>(out);
    for (int64_t i = 0; i < n; i++) {
      if (in[i] <= 0) {
        const C slope = C(gen.d53() * (double(C(upper)) - double(C(lower))) + double(C(lower)));
        to[i] = convert<T>(convert<C>(in[i]) * slope);
        slopes[i] = convert<T>(slope);
      } else {
        slopes[i] = convert<T>(1);
        to[i] = in[i];
      }
    }
  });
}

}  // namespace

Kernel<void(Generator&, const RandomOut&, double)> random_bernoulli{"bernoulli_", bernoulli_cpu};
Kernel<void(Generator&, const RandomOut&, double)> random_geometric{"geometric_", geometric_cpu};
Kernel<void(Generator&, const RandomOut&, const RandomIn&)> random_bernoulli_each{"bernoulli_", bernoulli_each_cpu};
Kernel<void(Generator&, const RandomOut&, double)> random_exponential{"exponential_", exponential_cpu};
Kernel<void(Generator&, const RandomOut&, double, double)> random_cauchy{"cauchy_", cauchy_cpu};
Kernel<void(Generator&, const RandomOut&, double, double)> random_log_normal{"log_normal_", log_normal_cpu};
Kernel<void(Generator&, const RandomOut&, const RandomIn&)> random_poisson{"poisson", poisson_cpu};
Kernel<void(Generator&, const RandomOut&, const RandomIn&)> random_gamma{"_standard_gamma", gamma_cpu};
Kernel<void(Generator&, const RandomOut&, const RandomIn&, const RandomIn&)> random_binomial{"binomial", binomial_cpu};
Kernel<void(Generator&, const RandomOut&, const RandomIn&)> random_dirichlet{"_sample_dirichlet", dirichlet_cpu};
Kernel<void(Generator&, DType, const void*, void*, void*, int64_t, double, double)> random_rrelu{"rrelu_with_noise",
                                                                                                  rrelu_cpu};

}  // namespace tabula::kernels
