// Batch rules of linear algebra: the batch is one more of the dimensions before the matrices.
#include "ops/batch.h"
#include "ops/view.h"

namespace tabula::batch {
namespace {

// Results that are not asked for are empty, without any batch.
void run_and_tell_empty(Batched& b) {
  b.run();
  for (int k = 0; k < b.out.count; k++)
    if (b.out[k].dim() == 0 || b.out[k].sizes()[0] != b.size) b.give(k, b.out[k], false);
}

bool holds_pivots(const Batched& b, int i) { return b.op.schema.params[size_t(i)].name == "pivots"; }

void align(Batched& b) {
  int64_t rank = 0;
  for (uint8_t i : b.op.schema.tensor_params) {
    if (b.rank(i) + holds_pivots(b, i) < 2) b.try_example();
    rank = std::max(rank, b.rank(i) + holds_pivots(b, i));
  }
  // pivots go with the first argument's matrices
  for (uint8_t i : b.op.schema.tensor_params)
    if (holds_pivots(b, i) && b.batched(i) != b.batched(0)) {
      b.spread_in(i);
      b.spread_in(0);
    }
  for (uint8_t i : b.op.schema.tensor_params)
    if (b.batched(i)) b.set(i, b.padded(i, rank - holds_pivots(b, i)));
}

}  // namespace

void decomposition(Batched& b) {
  if (b.rank(0) < 2) b.try_example();
  run_and_tell_empty(b);
}

void matrices(Batched& b) {
  align(b);
  run_and_tell_empty(b);
}

void matrices_alike(Batched& b) {
  for (uint8_t i : b.op.schema.tensor_params) b.spread_in(i);
  b.run();
}

// B may be a vector, or a batch of them, which its shape beside A's tells.
void solve(Batched& b) {
  if (b.rank(0) < 2 || b.rank(1) < 1) b.try_example();
  const IntList a = b.sizes(0), right = b.sizes(1);
  const bool vector =
      right.size() == 1 || (right.size() + 1 == a.size() && std::ranges::equal(right, a.first(a.size() - 1)));
  if (vector) b.set(1, tabula::unsqueeze(b.in(1), int64_t(-1)));
  const bool equal_ranks = b.op.schema.base_name == "linalg_lstsq";
  if (equal_ranks) {
    b.spread_in(0);
    b.spread_in(1);
  }
  align(b);
  // beside a batch of matrices, one matrix could be read as a batch of vectors
  while (!b.batched(1) && b.in(1).dim() < b.in(0).dim()) b.set(1, tabula::unsqueeze(b.in(1), int64_t(0)));
  run_and_tell_empty(b);
  if (vector) b.out[0] = squeeze_dims(b.out[0], IntList(Dims{-1}));
}

// Tolerances go with the dimensions before the matrices.
void pinv(Batched& b) {
  if (b.batched(1) || b.batched(2)) {
    b.spread_in(0);
    for (int i : {1, 2})
      if (b.batched(i)) b.set(i, b.padded(i, b.rank(0) - 2));
  }
  b.run();
}

}  // namespace tabula::batch
