// Activations and losses, forward and backward. Compiled once per instruction set.
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/rows.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {

void define_activation(BlockTable& table) {
  activation_rows(Definer<float>{table});
  activation_rows(Definer<double>{table});
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
