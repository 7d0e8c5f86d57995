#include "kernels/cpu/softmax_isa.h"

namespace tabula::kernels {

Kernel<void(const SoftmaxCall&)> softmax("softmax", TABULA_PICK(softmax_forward));
Kernel<void(const SoftmaxCall&)> softmax_backward("softmax_backward", TABULA_PICK(softmax_gradient));

}  // namespace tabula::kernels
