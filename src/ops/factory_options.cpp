#include "ops/factory_options.h"

#include "ops/backward.h"
#include "ops/factory.h"

namespace tabula {

FactoryOptions::FactoryOptions(const Value* args) {
  if (!args[0].is_none()) dtype = args[0].dtype();
  check_implemented(args[1].is_none() || args[1].layout() == Layout::Strided, "Could not run a factory with a sparse layout: only torch.zeros and torch.empty have them");
  if (!args[2].is_none()) device = args[2].device();
  requires_grad = !args[4].is_none() && args[4].flag();
}

bool made_sparse(const Op& op, const Value* args, Out& out, int layout) {
  if (args[layout].is_none() || args[layout].layout() == Layout::Strided) [[likely]]
    return false;
  return call_hooks.above_autograd && call_hooks.above_autograd({op, args, out}, kParts);
}

Device FactoryOptions::device_or(Device otherwise) const { return device ? tabula::device_or_default(device) : otherwise; }
Device FactoryOptions::device_or_default() const { return tabula::device_or_default(device); }

Tensor FactoryOptions::finish(Tensor t) const {
  if (!requires_grad) return t;
  check(is_differentiable(t.dtype()), "Only Tensors of floating point and complex dtype can require gradients");
  autograd_hooks.set_requires_grad(t, true);
  return t;
}

Tensor empty_like_options(const Tensor& t, const FactoryOptions& options, const Value& memory_format) {
  const DType dtype = options.dtype.value_or(t.dtype());
  const Device device = options.device_or(t.device());
  const MemoryFormat format = memory_format.is_none() ? MemoryFormat::Preserve : memory_format.memory_format();
  if (format == MemoryFormat::ChannelsLast || format == MemoryFormat::ChannelsLast3d)
    return Tensor::empty_strided(t.sizes(), channels_last_strides(t.sizes()), dtype, device);
  if (format == MemoryFormat::Preserve && !t.is_contiguous()) return Tensor::empty_strided(t.sizes(), dense_strides_like(t.sizes(), t.strides()), dtype, device);
  return Tensor::empty(t.sizes(), dtype, device);
}

}  // namespace tabula
