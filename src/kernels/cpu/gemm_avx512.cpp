#define TABULA_GEMM_ISA gemm_isa_avx512
#define TABULA_GEMM_ISA_NAME "avx512"
#include "kernels/cpu/gemm_isa.inl"
