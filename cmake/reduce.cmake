# Reductions, softmax and normalisations: block kernels once per instruction set. -O3 unrolls their inner loops over rows
# and lanes, which -O2 of g++ 12 leaves rolled.
set(TABULA_REDUCE_ISA_FILES
  src/kernels/cpu/reduce_sum.cpp
  src/kernels/cpu/reduce_order.cpp
  src/kernels/cpu/reduce_moment.cpp
  src/kernels/cpu/reduce_stage.cpp
  src/kernels/cpu/scan_line.cpp
  src/kernels/cpu/dot_line.cpp
  src/kernels/cpu/softmax.cpp
  src/kernels/cpu/attention_row.cpp
  src/kernels/cpu/norm_row.cpp
  src/kernels/cpu/norm_channel.cpp)
set_source_files_properties(${TABULA_REDUCE_ISA_FILES} PROPERTIES COMPILE_OPTIONS -O3)
tabula_isa_sources(NAMESPACES isa_base isa_avx2 isa_avx512 ${TABULA_REDUCE_ISA_FILES})
