#include "kernels/ctc.h"

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/ctc_isa.h"
#include "kernels/cpu/isa.h"

namespace tabula::kernels {
namespace {

void ctc_cpu(const CtcCall& call) {
#if defined(__x86_64__)
  using Sequences = void (*)(const CtcCall&, int64_t, int64_t);
  static const Sequences sequences = [] {
    Sequences chosen = nullptr;
    choose_isa([&] { chosen = baseline::ctc_sequences; }, [&] { chosen = avx2::ctc_sequences; },
               [&] { chosen = avx512::ctc_sequences; });
    return chosen;
  }();
#else
  static constexpr auto sequences = baseline::ctc_sequences;
#endif
  const int64_t work = call.frames * (2 * call.longest + 1 + call.classes);
  parallel_for(call.batch, std::max<int64_t>(1, 2048 / std::max<int64_t>(1, work)),
               [&](int64_t begin, int64_t end) { sequences(call, begin, end); });
}

}  // namespace

Kernel<void(const CtcCall&)> ctc{"ctc_loss", ctc_cpu};

}  // namespace tabula::kernels
