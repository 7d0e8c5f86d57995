// vmap: tensors of one example over tensors of a batch, and the levels of nested calls.
#pragma once

#include "ops/batch.h"

namespace tabula::vmap {

// A level starts when vmap's function is called and ends when it returns. Returns its number, which grows inwards.
int64_t enter(int64_t size, Randomness randomness);
void leave();
int64_t depth();                  // how many levels are active
std::pair<int64_t, Randomness> facts(int64_t level);  // how many examples, and how they draw
int64_t position(int64_t level);  // 1 for the outermost one; 0 if the level is over

// An example of `inner` along `dim`.
Tensor wrap(const Tensor& inner, int64_t dim, int64_t level);
// The tensor behind one of this level, with the batch at `dim`; by expansion where all examples share it.
Tensor unwrap(const Tensor& t, int64_t dim, int64_t level, int64_t size);

struct BatchParts final : TensorParts {
  BatchParts(Tensor behind, int64_t at, int64_t number) : inner(std::move(behind)), dim(at), level(number) {}
  const Tensor* whole() const override { return &inner; }
  const char* no_item() const override;
  std::unique_ptr<TensorParts> copy() const override { return std::make_unique<BatchParts>(inner, dim, level); }
  const char* kind() const override { return "BatchedTensorImpl"; }
  Tensor inner;
  int64_t dim;
  const int64_t level;
};
BatchParts* parts_of(const Tensor& t);  // null for tensors that are no examples

// `t` as one that differs between the examples of all active levels.
Tensor spread(const Tensor& t);
// The same for the levels whose examples `other` differs between.
Tensor spread_like(const Tensor& t, const Tensor& other);

// A gradient of what is shown as `shown` has the shape of one example. With the shape of the tensor behind all levels:
Tensor behind_all(const Tensor& gradient, const Tensor& shown);
// and back.
Tensor shown_as(const Tensor& gradient, const Tensor& shown);

}  // namespace tabula::vmap
