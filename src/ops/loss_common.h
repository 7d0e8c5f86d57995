// What the losses share: how they reduce, and the checks of their operands' sizes.
#pragma once

#include "kernels/nll.h"
#include "ops/opdef.h"

namespace tabula {

using kernels::Reduction;

// The reduction that `reduction` and the two older arguments, which warn, ask for. Raises ValueError for unknown ones.
Reduction reduction_of(std::string_view reduction, std::optional<bool> size_average = std::nullopt, std::optional<bool> reduce = std::nullopt);

// Differentiable, for composites; and the same below autograd.
Tensor reduce_loss(const Tensor& loss, Reduction how);
Tensor reduce_loss_raw(const Tensor& loss, Reduction how);
// The gradient of each element of a loss of these sizes: a 0-d tensor unless nothing was reduced.
Tensor spread_grad(const Tensor& g, IntList sizes, Reduction how);

Tensor absolute_difference(const Tensor& x, const Tensor& y);

// The mean of a weighted loss is over the weights.
Tensor weighted_mean(const Tensor& loss, const Tensor& weight);

// Warns where the sizes differ.
void warn_sizes(const Tensor& input, const Tensor& target);
std::string size_text(IntList sizes);  // "torch.Size([2, 3])"

#define LEGACY "bool? size_average=None, bool? reduce=None, str reduction='mean'"

}  // namespace tabula
