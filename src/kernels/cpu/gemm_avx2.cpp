#define TABULA_GEMM_ISA gemm_isa_avx2
#define TABULA_GEMM_ISA_NAME "avx2"
#include "kernels/cpu/gemm_isa.inl"
