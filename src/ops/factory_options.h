// The keyword arguments that factories share.
#pragma once

#include "ops/opdef.h"

namespace tabula {

#define TABULA_FACTORY_OPTIONS "dtype? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, bool? requires_grad=None"

struct FactoryOptions {
  std::optional<DType> dtype;
  std::optional<Device> device;
  bool requires_grad = false;

  // From the five arguments of TABULA_FACTORY_OPTIONS, the first of which is args[0].
  explicit FactoryOptions(const Value* args);
  Device device_or(Device otherwise) const;
  Device device_or_default() const;
  Tensor finish(Tensor t) const;
};

// A sparse layout is asked for: the layer that makes such tensors takes the call.
bool made_sparse(const Op& op, const Value* args, Out& out, int layout);

// Uninitialised, shaped and laid out like t.
Tensor empty_like_options(const Tensor& t, const FactoryOptions& options, const Value& memory_format);

}  // namespace tabula
