# The files of matrix products and convolutions. The register tiles are compiled once per instruction set and chosen at
# load; contraction to fused multiply-adds is allowed there, and only there.
set(TABULA_GEMM_SOURCES
  src/kernels/cpu/conv.cpp
  src/kernels/cpu/conv_blocked.cpp
  src/kernels/cpu/conv_direct.cpp
  src/kernels/cpu/conv_gather.cpp
  src/kernels/cpu/conv_weight.cpp
  src/kernels/cpu/gemm.cpp
  src/kernels/cpu/gemm_baseline.cpp
  src/kernels/cpu/gemm_isa.cpp
  src/kernels/cpu/scratch.cpp)
set_source_files_properties(src/kernels/cpu/conv_weight.cpp PROPERTIES COMPILE_OPTIONS "-O3")
set_source_files_properties(src/kernels/cpu/gemm_baseline.cpp PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=fast")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND TABULA_GEMM_SOURCES src/kernels/cpu/gemm_avx2.cpp src/kernels/cpu/gemm_avx512.cpp)
  set_source_files_properties(src/kernels/cpu/gemm_avx2.cpp PROPERTIES
    COMPILE_OPTIONS "-O3;-ffp-contract=fast;-mavx2;-mfma;-mf16c")
  set_source_files_properties(src/kernels/cpu/gemm_avx512.cpp PROPERTIES
    COMPILE_OPTIONS "-O3;-ffp-contract=fast;-mavx2;-mfma;-mf16c;-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mprefer-vector-width=512")
endif()
