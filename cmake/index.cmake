# Indexing, sorting and random numbers.
set(TABULA_INDEX_SOURCES
    src/core/generator.cpp
    src/kernels/cpu/index_count.cpp
    src/kernels/cpu/index_embedding.cpp
    src/kernels/cpu/index_gather.cpp
    src/kernels/cpu/index_scatter.cpp
    src/kernels/cpu/index_scatter_buffered.cpp
    src/kernels/cpu/random_basic.cpp
    src/kernels/cpu/random_block.cpp
    src/kernels/cpu/random_dist.cpp
    src/kernels/cpu/random_multinomial.cpp
    src/kernels/cpu/sort_select.cpp
    src/kernels/cpu/sort_sort.cpp)

# Their loops are written for the vectoriser, which -O2 holds back.
set_source_files_properties(
    src/core/generator.cpp
    src/kernels/cpu/index_embedding.cpp
    src/kernels/cpu/index_scatter.cpp
    src/kernels/cpu/index_scatter_buffered.cpp
    src/kernels/cpu/random_basic.cpp
    src/kernels/cpu/random_block.cpp
    PROPERTIES COMPILE_OPTIONS -O3)
