// Forward mode: how tangents pass through an operation.
#pragma once

#include <memory>
#include <vector>

#include "autograd/tangent.h"
#include "ops/opdef.h"

namespace tabula::autograd {

class ArgumentsAtLevel;

// One call with dual arguments. Made before it runs; `results` then gives its results their tangents.
class Push {
 public:
  // `written`: the argument that the call writes to, or -1.
  Push(const Op& op, const Value* args, int written);
  ~Push();
  bool any() const { return !levels_.empty(); }
  void results(Out& out);

 private:
  void push(const ArgumentsAtLevel& args, const std::vector<Tensor>& outputs, const std::vector<bool>& differentiable, std::vector<Tensor>& tangents) const;

  const Op& op_;
  const int written_;
  std::vector<std::unique_ptr<ArgumentsAtLevel>> levels_;
};

// Recording, in op_node.cpp; `push` or null.
void record_call(const Op& op, const Value* args, Out& out, Push* push);
void record_in_place(const Op& op, const Value* args, Out& out, Push* push);

}  // namespace tabula::autograd
