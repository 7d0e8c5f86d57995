// Chooses, once, among the copies of a function that were compiled per instruction set.
#pragma once

namespace tabula::kernels {

#if defined(__x86_64__)
// 0: baseline, 1: AVX2 with FMA and F16C, 2: AVX-512 (F, BW, DQ, VL).
inline int isa_level() {
  static const int level = [] {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return 0;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? 2 : 1;
  }();
  return level;
}
#endif

}  // namespace tabula::kernels

// Declares `result name(arguments)` in the three namespaces.
#define TABULA_PER_ISA(result, name, ...) \
  namespace isa_base {                    \
  result name(__VA_ARGS__);               \
  }                                       \
  namespace isa_avx2 {                    \
  result name(__VA_ARGS__);               \
  }                                       \
  namespace isa_avx512 {                  \
  result name(__VA_ARGS__);               \
  }

// The copy for this machine. Off x86-64 there is only the baseline.
#if defined(__x86_64__)
#define TABULA_PICK(name) (isa_level() == 2 ? &isa_avx512::name : isa_level() == 1 ? &isa_avx2::name : &isa_base::name)
#else
#define TABULA_PICK(name) (&isa_base::name)
#endif
