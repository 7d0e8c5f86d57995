// Exponentials, logarithms, trigonometry. Compiled once per instruction set.
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/rows.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {

void define_math(BlockTable& table) {
  math_rows(Definer<float>{table});
  math_rows(Definer<double>{table});
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
