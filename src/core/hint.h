// What PyTorch's messages about shapes leave out, as a further line: both shapes, where they differ, what may help.
//
// Hints are made lazily: as an argument of `check` one costs nothing while the check holds.
#pragma once

#include <string>

#include "core/geometry.h"

namespace tabula {

struct Hint {
  enum class Kind : uint8_t { Broadcast, Product, Join, View, Index, Features, Channels, Target };
  Kind kind;
  IntList a, b;
  int64_t dim = 0, number = 0;
};
std::ostream& operator<<(std::ostream& out, const Hint& hint);  // begins with "\nHint: "

inline Hint broadcast_hint(IntList a, IntList b) { return {Hint::Kind::Broadcast, a, b}; }
inline Hint product_hint(IntList a, IntList b) { return {Hint::Kind::Product, a, b}; }
// Tensor `number` of a list that is joined along `dim` has not the shape that the first one asks for.
inline Hint join_hint(IntList first, IntList other, int64_t dim, int64_t number) { return {Hint::Kind::Join, first, other, dim, number}; }
inline Hint view_hint(IntList sizes, IntList wanted) { return {Hint::Kind::View, sizes, wanted}; }
inline Hint index_hint(IntList sizes, int64_t dim) { return {Hint::Kind::Index, sizes, {}, dim}; }
// An input whose last dimensions should be `wanted` (layer_norm's normalized_shape).
inline Hint features_hint(IntList sizes, IntList wanted) { return {Hint::Kind::Features, sizes, wanted}; }
// Input and weight of a convolution, whose channels differ; `number` is what the input should have.
inline Hint channels_hint(IntList input, IntList weight, int64_t number) { return {Hint::Kind::Channels, input, weight, 1, number}; }
inline Hint target_hint(IntList input, IntList target) { return {Hint::Kind::Target, input, target}; }

}  // namespace tabula
