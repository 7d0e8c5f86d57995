// The body of one instruction set's file: TABULA_GEMM_ISA names the function, TABULA_GEMM_ISA_NAME the set.
#include <cstdint>
#include <type_traits>

#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "kernels/cpu/gemm_isa.h"
#include "kernels/cpu/square.h"

namespace tabula::kernels {
namespace {

#include "kernels/cpu/gemm_columns.inl"
#include "kernels/cpu/gemm_micro.inl"
#include "kernels/cpu/gemm_pack.inl"
#include "kernels/cpu/gemm_small.inl"

template <class T>
constexpr TileKernels<T> real_tiles() {
  return {kTileRows<T>,    kTileCols<T>, packed_product<T>, product_with_rows<T>, block_product<T, false>,
          dot_products<T>, axpys<T>,     tap_sums<T>,       column_runs<T>,       kLongestRun<T>};
}
template <class T>
constexpr TileKernels<T> complex_tiles() {
  return {
      kComplexRows<T>, kComplexCols<T>, complex_product<T>, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0};
}

constexpr GemmIsa make_isa() {
  GemmIsa isa{TABULA_GEMM_ISA_NAME,   real_tiles<float>(),     real_tiles<double>(),
              real_tiles<uint16_t>(), real_tiles<uint32_t>(),  real_tiles<uint64_t>(),
              complex_tiles<float>(), complex_tiles<double>(), {}};
#define TABULA_REAL(S) isa.storage[int(dtype_of<S>)] = {pack_real<S>, load_run<S>, write_real<S>, small_real<S>};
  TABULA_REAL(uint8_t)
  TABULA_REAL(int8_t)
  TABULA_REAL(int16_t)
  TABULA_REAL(int32_t)
  TABULA_REAL(int64_t)
  TABULA_REAL(uint16_t)
  TABULA_REAL(uint32_t)
  TABULA_REAL(uint64_t)
  TABULA_REAL(Half)
  TABULA_REAL(BFloat16)
  TABULA_REAL(float)
  TABULA_REAL(double)
#undef TABULA_REAL
  isa.storage[int(DType::Complex64)] = {pack_complex<c64>, load_run<c64>, write_complex<c64>, small_complex<c64>};
  isa.storage[int(DType::Complex128)] = {pack_complex<c128>, load_run<c128>, write_complex<c128>, small_complex<c128>};
  return isa;
}

constexpr GemmIsa kIsa = make_isa();

}  // namespace

const GemmIsa& TABULA_GEMM_ISA() { return kIsa; }

}  // namespace tabula::kernels
