// Fresh tensors.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// Below autograd, for use inside implementations.
Tensor zeros_raw(IntList sizes, DType dtype, Device device = {});
Tensor full_raw(IntList sizes, const Scalar& value, DType dtype, Device device = {});
Tensor zeros_like_raw(const Tensor& t);
Tensor ones_like_raw(const Tensor& t);
Tensor arange_raw(int64_t end);  // int64: 0, 1, ..., end - 1

// The device that factories use when none is named (torch.set_default_device); installed by the bindings.
extern Device (*default_device_hook)();
Device device_or_default(const std::optional<Device>& device);

}  // namespace tabula
