// Reading at positions given by index tensors along one dimension.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op gather, take, put, take_along_dim, index_select, embedding, one_hot;

// int32 indices as int64; int64 ones as they are.
Tensor long_index(const Tensor& index);
// The geometry with a 0-d tensor seen as one of a single element.
Geometry at_least_1d(const Tensor& t);
// Where an operation on argument 0 writes: the argument itself when called in place, a copy otherwise. Refuses targets
// with several elements in one place unless that may be.
Tensor target_of(const Value* args, Out& out, bool may_overlap = false);
// Refuses to write to a tensor that has several elements in one place, or that shares memory with `source`.
// Keeps clear of the memory that is about to be written.
Tensor apart_from(const Tensor& target, const Tensor& source);

}  // namespace tabula
