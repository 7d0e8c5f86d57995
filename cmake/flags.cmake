# Compiler flags for all of our code, carried by the interface target `tabula_flags`.

# The build types differ in optimisation and checks alone. -O3 is set per file where it was measured to help.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")

add_library(tabula_flags INTERFACE)
target_compile_features(tabula_flags INTERFACE cxx_std_20)
target_include_directories(tabula_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(tabula_flags INTERFACE
  # errno and FP traps are never looked at. Contraction is off so that a result does not depend on what the compiler
  # chose to fuse: formulas say fma() where they want it.
  -fno-math-errno -fno-trapping-math -ffp-contract=off
  -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -ffunction-sections -fdata-sections
  -Wall -Wextra -Wno-missing-field-initializers $<$<BOOL:${TABULA_WERROR}>:-Werror>)

if(TABULA_SANITIZE)
  target_compile_options(tabula_flags INTERFACE
    -fsanitize=${TABULA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(tabula_flags INTERFACE -fsanitize=${TABULA_SANITIZE})
endif()
