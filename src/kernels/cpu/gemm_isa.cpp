#include "kernels/cpu/gemm_isa.h"

#include <cstdlib>
#include <string_view>

namespace tabula::kernels {
namespace {

const GemmIsa& choose() {
#if defined(__x86_64__)
  const char* wanted = std::getenv("TABULA_ISA");
  const std::string_view limit = wanted ? wanted : "avx512";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512 && limit == "avx512") return gemm_isa_avx512();
  if (avx2 && limit != "baseline") return gemm_isa_avx2();
#endif
  return gemm_isa_baseline();
}

}  // namespace

const GemmIsa& gemm_isa() {
  static const GemmIsa& isa = choose();
  return isa;
}

}  // namespace tabula::kernels
