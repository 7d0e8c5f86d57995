#include "ops/loss_common.h"

#include "ops/arith.h"
#include "ops/copy.h"
#include "ops/reduce.h"
#include "ops/reduce_raw.h"

namespace tabula {

Reduction reduction_of(std::string_view reduction, std::optional<bool> size_average, std::optional<bool> reduce) {
  if (size_average || reduce) [[unlikely]] {
    reduction = !reduce.value_or(true) ? "none" : size_average.value_or(true) ? "mean" : "sum";
    warn(concat("size_average and reduce args will be deprecated, please use reduction='", reduction, "' instead."));
  }
  if (reduction == "mean") return Reduction::Mean;
  if (reduction == "sum") return Reduction::Sum;
  check_value(reduction == "none", reduction, " is not a valid value for reduction");
  return Reduction::None;
}

Tensor reduce_loss(const Tensor& loss, Reduction how) { return how == Reduction::None ? loss : how == Reduction::Mean ? mean(loss) : sum(loss); }

Tensor reduce_loss_raw(const Tensor& loss, Reduction how) {
  if (how == Reduction::None) return loss;
  return reduce_raw(how == Reduction::Mean ? kernels::Reduce::mean : kernels::Reduce::sum, loss, ReducedDims(loss, std::nullopt), false, loss.dtype());
}

Tensor spread_grad(const Tensor& g, IntList sizes, Reduction how) { return how == Reduction::Mean ? g / Scalar(double(count_elements(sizes))) : g; }

Tensor absolute_difference(const Tensor& x, const Tensor& y) { return abs(x - y); }

Tensor weighted_mean(const Tensor& loss, const Tensor& weight) { return sum(loss) / sum(weight); }

std::string size_text(IntList sizes) { return concat("torch.Size(", shape_text(sizes), ")"); }

void warn_sizes(const Tensor& input, const Tensor& target) {
  if (!same(input.sizes(), target.sizes())) [[unlikely]]
    warn(concat("Using a target size (", size_text(target.sizes()), ") that is different to the input size (", size_text(input.sizes()),
                "). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size."));
}

}  // namespace tabula
