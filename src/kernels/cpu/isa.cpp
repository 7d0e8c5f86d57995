#include "kernels/cpu/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace tabula::kernels {

Isa active_isa() {
  static const Isa chosen = [] {
    Isa best = Isa::Baseline;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
      best = Isa::Avx2;
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        best = Isa::Avx512;
    }
#endif
    const char* const wish = std::getenv("TABULA_ISA");
    const std::string_view name = wish ? wish : "";
    if (name == "baseline") return Isa::Baseline;
    if (name == "avx2") return std::min(best, Isa::Avx2);
    return best;
  }();
  return chosen;
}

}  // namespace tabula::kernels
