// Activations and losses, forward and backward. Compiled once per instruction set.
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/activation.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
void define_for(BlockTable& table) {
  using namespace formulas;
  TABULA_ROW1(sigmoid, formulas::sigmoid(x));
  TABULA_ROW1(relu, formulas::relu(x));
  TABULA_ROW1(relu6, formulas::relu6(x));
  TABULA_ROW1(leaky_relu, formulas::leaky_relu(x, p[0]));
  TABULA_ROW1(elu, formulas::elu(x, p[0], p[1], p[2]));
  TABULA_ROW1(celu, formulas::celu(x, p[0]));
  TABULA_ROW1(selu, formulas::selu(x));
  TABULA_ROW1(gelu, formulas::gelu(x));
  TABULA_ROW1(gelu_tanh, formulas::gelu_tanh(x));
  TABULA_ROW1(silu, formulas::silu(x));
  TABULA_ROW1(mish, formulas::mish(x));
  TABULA_ROW1(softplus, formulas::softplus(x, p[0], p[1]));
  TABULA_ROW1(hardtanh, formulas::clamp(x, p[0], p[1]));
  TABULA_ROW1(hardsigmoid, formulas::hardsigmoid(x));
  TABULA_ROW1(hardswish, formulas::hardswish(x));
  TABULA_ROW1(hardshrink, formulas::hardshrink(x, p[0]));
  TABULA_ROW1(softshrink, formulas::softshrink(x, p[0]));
  TABULA_ROW1(threshold, formulas::threshold(x, p[0], p[1]));
  TABULA_ROW1(logsigmoid, formulas::logsigmoid(x));
  TABULA_ROW1(softsign, formulas::softsign(x));
  TABULA_ROW1(tanhshrink, formulas::tanhshrink(x));

  TABULA_ROW2(tanh_grad, formulas::tanh_grad(x, y));
  TABULA_ROW2(sigmoid_grad, formulas::sigmoid_grad(x, y));
  TABULA_ROW2(gelu_grad, formulas::gelu_grad(x, y));
  TABULA_ROW2(gelu_tanh_grad, formulas::gelu_tanh_grad(x, y));
  TABULA_ROW2(silu_grad, formulas::silu_grad(x, y));
  TABULA_ROW2(mish_grad, formulas::mish_grad(x, y));
  TABULA_ROW2(softplus_grad, formulas::softplus_grad(x, y, p[0], p[1]));
  TABULA_ROW2(elu_grad, formulas::elu_grad(x, y, p[0], p[1], p[2]));
  TABULA_ROW2(elu_result_grad, formulas::elu_result_grad(x, y, p[0], p[1], p[2]));
  TABULA_ROW2(leaky_relu_grad, formulas::leaky_relu_grad(x, y, p[0]));
  TABULA_ROW2(hardswish_grad, formulas::hardswish_grad(x, y));
  TABULA_ROW2(hardsigmoid_grad, formulas::hardsigmoid_grad(x, y));
  TABULA_ROW2(hardtanh_grad, formulas::hardtanh_grad(x, y, p[0], p[1]));
  TABULA_ROW2(threshold_grad, formulas::threshold_grad(x, y, p[0]));
  TABULA_ROW2(softshrink_grad, formulas::hardshrink_grad(x, y, p[0]));
  TABULA_ROW2(hardshrink_grad, formulas::hardshrink_grad(x, y, p[0]));
  TABULA_ROW2(logsigmoid_grad, formulas::logsigmoid_grad(x, y));
  TABULA_ROW2(smooth_l1, formulas::smooth_l1(x, y, p[0]));
  TABULA_ROW2(huber, formulas::huber(x, y, p[0]));
  TABULA_ROW2(mse, formulas::mse(x, y));
  TABULA_ROW3(smooth_l1_grad, formulas::smooth_l1_grad(x, y, z, p[0]));
  TABULA_ROW3(huber_grad, formulas::huber_grad(x, y, z, p[0]));
  TABULA_ROW3(mse_grad, formulas::mse_grad(x, y, z, p[0]));
}

}  // namespace

void define_activation(BlockTable& table) {
  define_for<float>(table);
  define_for<double>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
