#define TABULA_GEMM_ISA gemm_isa_baseline
#define TABULA_GEMM_ISA_NAME "baseline"
#include "kernels/cpu/gemm_isa.inl"
