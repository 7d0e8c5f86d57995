#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/random_block.h"

namespace tabula::kernels {

namespace {

// Draws without replacement are the largest of weight / exponential (the exponential race); the quotients are rounded
// to the weights' type before they are compared.
template <class T>
void without_replacement(Generator& gen, const MultinomialCall& call) {
  using C = compute_t<T>;
  const T* const weights = static_cast<const T*>(call.weights);
  const int64_t n = call.categories, total = call.rows * n;
  for (int64_t row = 0; row < call.rows; row++) {
    C sum = 0;
    for (int64_t i = 0; i < n; i++) {
      const C w = convert<C>(weights[row * n + i]);
      check(w >= 0 && w < std::numeric_limits<C>::infinity(),
            "probability tensor contains either `inf`, `nan` or element < 0");
      sum += w;
    }
    check(sum > 0, "invalid multinomial distribution (sum of probabilities <= 0)");
  }
  const auto scores = std::make_unique_for_overwrite<T[]>(size_t(total));
  const Dims sizes{call.rows, n}, strides = call.by_column ? Dims{1, call.rows} : Dims{n, 1};
  random_exponential[DeviceKind::CPU](gen, {call.dtype, scores.get(), sizes, strides}, 1.0);
  std::vector<std::pair<C, int64_t>> race(static_cast<size_t>(n));
  for (int64_t row = 0; row < call.rows; row++) {
    for (int64_t i = 0; i < n; i++) {
      const T score = convert<T>(convert<C>(weights[row * n + i]) / convert<C>(scores[size_t(row * strides[0] + i * strides[1])]));
      race[size_t(i)] = {convert<C>(score), i};
    }
    // 0 / 0 counts as the largest
    const auto better = [](const auto& a, const auto& b) {
      return (std::isnan(a.first) && !std::isnan(b.first)) || a.first > b.first;
    };
    const auto end = race.begin() + call.samples;
    if (call.samples == 1) {
      call.out[row] = std::min_element(race.begin(), race.end(), better)->second;
      continue;
    }
    if (call.samples * 64 <= n) {
      std::partial_sort(race.begin(), end, race.end(), better);
    } else {
      std::nth_element(race.begin(), end - 1, race.end(), better);
      std::sort(race.begin(), end - 1, better);
    }
    for (int64_t k = 0; k < call.samples; k++) call.out[row * call.samples + k] = race[size_t(k)].second;
  }
}

template <class T>
void with_replacement(Generator& gen, const MultinomialCall& call) {
  using C = compute_t<T>;
  const T* const weights = static_cast<const T*>(call.weights);
  const int64_t n = call.categories;
  const auto running = std::make_unique_for_overwrite<C[]>(size_t(n));
  for (int64_t row = 0; row < call.rows; row++) {
    C sum = 0;
    for (int64_t i = 0; i < n; i++) {
      const C w = convert<C>(weights[row * n + i]);
      check(w >= 0, "invalid multinomial distribution (encountering probability entry < 0)");
      check(w < std::numeric_limits<C>::infinity(),
            "invalid multinomial distribution (encountering probability entry = infinity or NaN)");
      sum += w;
      running[size_t(i)] = sum;
    }
    check(sum > 0, "invalid multinomial distribution (sum of probabilities <= 0)");
    for (int64_t i = 0; i < n; i++) running[size_t(i)] /= sum;
    running[size_t(n - 1)] = 1;
    for (int64_t k = 0; k < call.samples; k++) {
      const double u = gen.d53();
      const C* const begin = running.get();
      call.out[row * call.samples + k] =
          std::lower_bound(begin, begin + n, u, [](C step, double value) { return double(step) < value; }) - begin;
    }
  }
}

void multinomial_cpu(Generator& gen, const MultinomialCall& call) {
  if (call.rows == 0 || call.samples == 0) return;
  visit_floating(call.dtype, "multinomial", [&]<class T>() {
    if (call.replacement && call.samples > 1)
      with_replacement<T>(gen, call);
    else
      without_replacement<T>(gen, call);
  });
}

}  // namespace

Kernel<void(Generator&, const MultinomialCall&)> random_multinomial{"multinomial", multinomial_cpu};

}  // namespace tabula::kernels
