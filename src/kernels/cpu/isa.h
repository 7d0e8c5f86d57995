// The instruction set that this process uses, chosen once.
#pragma once

namespace tabula::kernels {

enum class Isa : unsigned char { Baseline, Avx2, Avx512 };

// TABULA_ISA=baseline|avx2 in the environment lowers the choice, to measure and to test the other builds.
Isa active_isa();

template <class A, class B, class C>
void choose_isa([[maybe_unused]] A baseline, [[maybe_unused]] B avx2, [[maybe_unused]] C avx512) {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::Avx512: return avx512();
    case Isa::Avx2: return avx2();
    case Isa::Baseline: return baseline();
  }
#else
  baseline();
#endif
}

}  // namespace tabula::kernels
