#include "core/parallel.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/optim_isa.h"

namespace tabula::kernels {
namespace {

// Several arrays are read and written per element, so pieces are small.
constexpr int64_t kPiece = 16384;

template <class Call>
using Range = void (*)(const Call&, int64_t, int64_t);

template <class Call>
void run(Range<Call> range, const Call& call) {
  if (call.n <= kPiece)
    range(call, 0, call.n);
  else
    parallel_for(call.n, kPiece, [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

#if defined(__x86_64__)
#define PICK(name, Call)                                                                                           \
  static const Range<Call> range = [] {                                                                            \
    Range<Call> chosen = nullptr;                                                                                  \
    choose_isa([&] { chosen = baseline::name; }, [&] { chosen = avx2::name; }, [&] { chosen = avx512::name; });    \
    return chosen;                                                                                                 \
  }()
#else
#define PICK(name, Call) static constexpr Range<Call> range = baseline::name
#endif

void sgd_cpu(const SgdCall& call) {
  PICK(sgd_range, SgdCall);
  run(range, call);
}
void adam_cpu(const AdamCall& call) {
  PICK(adam_range, AdamCall);
  run(range, call);
}

void rule_cpu(const RuleCall& call) {
  PICK(rule_range, RuleCall);
  run(range, call);
}

}  // namespace

Kernel<void(const SgdCall&)> sgd_step("sgd_step", sgd_cpu);
Kernel<void(const AdamCall&)> adam_step("adam_step", adam_cpu);
Kernel<void(const RuleCall&)> rule_step("rule_step", rule_cpu);

}  // namespace tabula::kernels
