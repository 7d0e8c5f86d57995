# The pointwise kernels.
tabula_isa_sources(
    src/kernels/cpu/block_cast.cpp
    src/kernels/cpu/block_transpose.cpp
    src/kernels/cpu/optim.cpp
    src/kernels/cpu/optim_rules.cpp
    src/kernels/cpu/pointwise_activation.cpp
    src/kernels/cpu/pointwise_arith.cpp
    src/kernels/cpu/pointwise_integer.cpp
    src/kernels/cpu/pointwise_math.cpp
    src/kernels/cpu/pool_max.cpp
    src/kernels/cpu/recurrent_step.cpp)

# Their loops are written for the vectoriser, which -O2 holds back.
set_source_files_properties(
    src/kernels/cpu/block_cast.cpp src/kernels/cpu/block_move.cpp src/kernels/cpu/optim.cpp src/kernels/cpu/optim_rules.cpp src/kernels/cpu/pointwise_activation.cpp
    src/kernels/cpu/pointwise_arith.cpp src/kernels/cpu/pointwise_math.cpp src/kernels/cpu/pool_max.cpp PROPERTIES COMPILE_OPTIONS -O3)
# Integers wrap.
set_source_files_properties(src/kernels/cpu/pointwise_integer.cpp PROPERTIES COMPILE_OPTIONS "-O3;-fwrapv")
# Complex products by the plain formula, quotients scaled.
set_source_files_properties(src/kernels/cpu/pointwise_complex.cpp PROPERTIES COMPILE_OPTIONS -fcx-fortran-rules)
# Gathers along lines, sums of windows, looks for infinities: plain loops too.
set_source_files_properties(
    src/kernels/cpu/finite.cpp src/kernels/cpu/fold.cpp src/kernels/cpu/pad.cpp src/kernels/cpu/resample.cpp PROPERTIES COMPILE_OPTIONS -O3)
