// The sums over alignments. The states of a sequence are its labels with a blank before, between and after them; those
// of one frame follow from the neighbours' of another one, all at once, so a frame is a few vectors. The numbers are
// logarithms of probabilities; each frame's are taken from its greatest, so that they stay small and nothing cancels.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/ctc_isa.h"
#include "kernels/cpu/scratch.h"
#include "kernels/simd_exp.h"
#include "kernels/simd_single.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr int64_t kGuard = 16;  // columns beside the states that are never reached: a vector, or two states

template <class T>
TABULA_INLINE Vec<T> log_sum(Vec<T> a, Vec<T> b, Vec<T> c) {
  using V = Vec<T>;
  const V high = maximum(a, b), peak = maximum(high, c), from = select(peak == V(T(kNever)), V(T(0)), peak);
  return log(V(T(1)) + exp(minimum(a, b) - from) + exp(minimum(high, c) - from)) + peak;
}
double log_sum(double a, double b) {
  const double peak = std::max(a, b);
  return peak == kNever ? kNever : peak + std::log1p(std::exp(std::min(a, b) - peak));
}

template <class T>
class Sequence {
  using V = Vec<T>;

 public:
  Sequence(const CtcCall& call, int64_t b)
      : call_(call),
        b_(b),
        steps_(call.steps[b]),
        size_(call.sizes[b]),
        states_(2 * size_ + 1),
        width_((states_ + V::size - 1) / V::size * V::size),
        line_(width_ + 2 * kGuard) {}

  void run() {
    T* const loss = reinterpret_cast<T*>(call_.loss) + b_;
    for (int64_t t = 0; call_.grad && t < call_.frames; t++) std::fill_n(grad_at(t), call_.classes, T(0));
    if (steps_ == 0) {
      *loss = size_ == 0 || call_.zero_infinity ? T(0) : T(-kNever);
      return;
    }
    // skips, emissions and two lines of the way back, then the lines of the way there: all, or two by turns
    const int64_t kept = call_.grad ? steps_ : 2;
    const Scratch memory(size_t((kept + 4) * line_) * sizeof(T) + size_t(kept) * sizeof(double));
    double* const taken = memory.as<double>();  // from each frame on the way there
    const auto line = [&](int64_t k) { return reinterpret_cast<T*>(taken + kept) + k * line_ + kGuard; };
    skips_ = line(0);
    emitted_ = line(1);
    clear(skips_);
    clear(emitted_);
    for (int64_t s = 3; s < states_; s += 2)
      if (label(s) != call_.blank && label(s) != label(s - 2)) skips_[s] = 0;
    const auto there = [&](int64_t t) { return line(4 + t % kept); };

    clear(there(0));
    emit(0);
    there(0)[0] = emitted_[0];
    if (states_ > 1) there(0)[1] = emitted_[1];
    double offset = taken[0] = take_greatest(there(0));
    for (int64_t t = 1; t < steps_; t++) {
      T* const now = there(t);
      const T* const before = there(t - 1);
      clear(now);
      emit(t);
      for (int64_t s = 0; s < width_; s += V::size) {
        const V skipped = V::load(before + s - 2) + V::load(skips_ + s);
        (log_sum(V::load(before + s), V::load(before + s - 1), skipped) + V::load(emitted_ + s)).store(now + s);
      }
      offset += take_greatest(now);
      taken[t % kept] = offset;
    }
    const T* const last = there(steps_ - 1);
    const double total = offset + log_sum(last[states_ - 1], states_ > 1 ? double(last[states_ - 2]) : kNever);
    const bool dropped = total == kNever && call_.zero_infinity;
    *loss = dropped ? T(0) : T(-total);
    if (!call_.grad || dropped) return;

    T *later = line(2), *ahead = line(3);
    clear(later);
    clear(ahead);
    later[states_ - 1] = 0;
    if (states_ > 1) later[states_ - 2] = 0;
    offset = 0;
    for (int64_t t = steps_ - 1;; t--) {
      write_grad(t, there(t), later, total, taken[t] + offset);
      if (t == 0) break;
      emit(t);
      for (int64_t s = 0; s < width_; s += V::size) (V::load(later + s) + V::load(emitted_ + s)).store(ahead + s);
      for (int64_t s = 0; s < width_; s += V::size) {
        const V skipped = V::load(ahead + s + 2) + V::load(skips_ + s + 2);
        log_sum(V::load(ahead + s), V::load(ahead + s + 1), skipped).store(later + s);
      }
      offset += take_greatest(later);
    }
  }

 private:
  int64_t label(int64_t state) const { return state % 2 ? call_.labels[b_ * call_.longest + state / 2] : call_.blank; }
  const T* logs_at(int64_t t) const {
    return reinterpret_cast<const T*>(call_.log_probs) + (t * call_.batch + b_) * call_.classes;
  }
  T* grad_at(int64_t t) const { return reinterpret_cast<T*>(call_.grad) + (t * call_.batch + b_) * call_.classes; }

  void clear(T* columns) const { std::fill_n(columns - kGuard, line_, T(kNever)); }
  void emit(int64_t t) {
    const T* const logs = logs_at(t);
    for (int64_t s = 0; s < states_; s++) emitted_[s] = logs[label(s)];
  }
  // Subtracts the greatest number of a line, which it returns; not from a line that nothing reaches.
  double take_greatest(T* columns) const {
    V peak = V::load(columns);
    for (int64_t s = V::size; s < width_; s += V::size) peak = maximum(peak, V::load(columns + s));
    T most = peak[0];
    for (int i = 1; i < V::size; i++) most = std::max(most, peak[i]);
    if (most == T(kNever)) return 0;
    for (int64_t s = 0; s < width_; s += V::size) (V::load(columns + s) - V(most)).store(columns + s);
    return double(most);
  }

  // A class's probability less the posterior probability of its states. `there` is written over.
  void write_grad(int64_t t, T* there, const T* later, double total, double offset) {
    const T* const logs = logs_at(t);
    T* const grad = grad_at(t);
    if (total == kNever) {
      std::fill_n(grad, call_.classes, std::numeric_limits<T>::quiet_NaN());
      return;
    }
    int64_t c = 0;
    for (; c + V::size <= call_.classes; c += V::size) exp(V::load(logs + c)).store(grad + c);
    if (const int64_t rest = call_.classes - c; rest > 0)
      exp(V::load_partial(logs + c, rest)).store_partial(grad + c, rest);
    const V more = V(T(offset - total));
    for (int64_t s = 0; s < width_; s += V::size) exp(V::load(there + s) + V::load(later + s) + more).store(there + s);
    for (int64_t s = 0; s < states_; s++) grad[label(s)] -= there[s];
  }

  const CtcCall& call_;
  const int64_t b_, steps_, size_, states_;
  const int64_t width_, line_;  // of the states' columns in whole vectors, and with a guard on both sides
  T *skips_ = nullptr, *emitted_ = nullptr;
};

}  // namespace

void ctc_sequences(const CtcCall& call, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; b++) {
    if (call.dtype == DType::Float64)
      Sequence<double>(call, b).run();
    else
      Sequence<float>(call, b).run();
  }
}

}  // namespace tabula::kernels::TABULA_ISA
