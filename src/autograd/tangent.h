// Forward mode: tensors that carry tangents, one for each level they take part in.
#pragma once

#include <memory>
#include <vector>

#include "core/tensor.h"

namespace tabula::autograd {

// A level is one derivative that is being taken, from its opening to its closing. A number is never used twice; of two
// levels that are open, the one opened later is the higher.
using Level = uint64_t;

Level open_level();
void close_level(Level level);  // drops all its tangents

struct TangentItem;

// What one tensor carries. A saved alias shares it with the tensor it stands for.
class Tangents final : public RefCounted {
 public:
  Tangents();
  static void destroy(Tangents* tangents);
  Tensor find(Level level) const;  // undefined: none
  void put(Level level, Tensor value);
  bool add_levels(std::vector<Level>& levels) const;  // false: all are closed

 private:
  ~Tangents();
  std::vector<std::unique_ptr<TangentItem>> items_;
};

// The tangent of `t`, undefined where it has none. That of a view whose base became dual later is a view of the base's.
Tensor tangent(const Tensor& t, Level level);
// The levels at which `t` has tangents, those that this thread sees, are added in ascending order and once each.
void add_levels(const Tensor& t, std::vector<Level>& levels);
// Gives a tensor its tangent, which is copied where its memory is laid out otherwise.
void set_tangent(const Tensor& t, const Tensor& value, Level level);
// After a write to `t`: the tangent's memory is written to, so that views and the base see it.
void update_tangent(const Tensor& t, const Tensor& value, Level level);

// `t` as levels below `level` see it: the same memory, with the tangents of lower levels alone. With `linked` it has
// the same place in the graph, otherwise none.
Tensor primal(const Tensor& t, Level level, bool linked);
// A dual tensor over the memory of `t`.
Tensor make_dual(const Tensor& t, const Tensor& tangent, Level level);
// The view of `t` that has lost the tangent of this level and of those above.
Tensor without_tangent(const Tensor& t, Level level);
// The values that `t` has now, with its tangents.
Tensor snapshot(const Tensor& t);
// A new leaf over the memory of `t` that requires a gradient and keeps the tangents.
Tensor fresh_leaf(const Tensor& t);
// `t` with its tangents but without history.
Tensor without_graph(const Tensor& t);
// Does the history of one of the tensors, or of their tangents, lead to a leaf that is not in `own`?
bool reaches_leaf(const std::vector<Tensor>& tensors, const std::vector<Tensor>& own);

}  // namespace tabula::autograd
