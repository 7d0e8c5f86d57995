// The derivative that scatter_reduce and index_reduce share.
#pragma once

#include <functional>

#include "ops/backward.h"

namespace tabula {

// How one of the two moves slices or elements between `self` (argument 0) and `src` (argument 3).
struct Movement {
  std::function<Tensor(const Tensor& t)> take;                             // what lies at the indices
  std::function<Tensor(const Tensor& to, const Tensor& from)> add;         // to + from at the indices
  std::function<Tensor(const Tensor& to, const Tensor& from)> combine;     // the operation itself
  std::function<Tensor(const Tensor& t)> clear;                            // zero at the indices
};
void reduce_into_vjp(Backward& b, std::string_view reduce, bool include_self, const Movement& move);

}  // namespace tabula
