// What a batch rule sees: one call of an operation under vmap. The function that is mapped sees tensors of one example;
// behind each lies a tensor with one dimension more, the batch. A rule says how the operation on all examples at once is
// made of operations on those. It runs with the level of vmap that it serves switched off, so what it calls is batched
// again by the outer levels, recorded by autograd, and so on.
#pragma once

#include <forward_list>

#include "ops/backward.h"

namespace tabula {

enum class Randomness : uint8_t { Error, Different, Same };

class Batched {
 public:
  Batched(const Call& call, int64_t size, Randomness randomness);
  Batched(const Batched&) = delete;

  const Op& op;
  const Form form;
  const int64_t size;  // examples
  const Randomness randomness;
  Out& out;

  // ---- arguments: tensors have the batch as dimension 0 where `batched`, and are as the caller gave them elsewhere ----

  bool batched(int i) const { return batched_ >> i & 1; }
  bool any_batched() const { return batched_ != 0; }
  bool is_tensor(int i) const { return args[i].is_tensor(); }
  const Tensor& in(int i) const { return args[i].tensor(); }
  // Of what one example sees.
  int64_t rank(int i) const { return in(i).dim() - batched(i); }
  IntList sizes(int i) const { return in(i).sizes().subspan(batched(i)); }
  // The argument that an in-place call writes to; -1 for other calls.
  int target() const { return form != Form::InPlace ? -1 : op.schema.mutated >= 0 ? op.schema.mutated : 0; }
  // The number of the parameter with this name; -1 if there is none.
  int find(std::string_view name) const;

  void set(int i, const Tensor& t);                // keeps whether it is batched
  void set(int i, const Tensor& t, bool is_batched);
  void set(int i, IntList list);
  void set(int i, const Value& plain) { args[i] = plain; }
  void set_list(int i, std::vector<Tensor> list, bool is_batched);
  // A view in which the batch is dimension 0 even if all examples share the argument.
  Tensor spread(int i) const;
  void spread_in(int i) { if (!batched(i)) set(i, spread(i), true); }
  // The batch dimension, then `rank` others: new ones of size 1 come before the example's own.
  Tensor padded(int i, int64_t rank) const;

  Value args[kMaxParams];
  const Tensor written;  // the tensor behind the target of an in-place call

  // ---- results ----

  // The operation itself, in the caller's form; every result has the batch as dimension 0.
  void run() { run(op); }
  // Another one, on arguments of the same names; what it has besides keeps its default.
  void run(const Op& other);
  // Lets the operation itself refuse an example, in its own words: for dimensions that are too few, say.
  void try_example() const;
  // The results for a batch of no examples, whose shapes follow from what one would give.
  void run_none();
  // One example after the other, with PyTorch's warning.
  void run_each();
  void give(int k, Tensor result, bool is_batched = true);
  void give_list(std::vector<Tensor> results);
  bool result_batched(int k) const { return !(plain_results_ >> k & 1); }

 private:
  void without_data(Out& result) const;
  uint32_t batched_ = 0, plain_results_ = 0;
  // what `args` point to
  std::forward_list<Tensor> tensors_;
  std::forward_list<std::vector<Tensor>> lists_;
  std::forward_list<Dims> ints_;
};

// Set by the layer that knows about levels: the tensor behind `t` with the batch as dimension 0; undefined if `t` is not
// batched at the level that is being served.
extern Tensor (*batch_behind)(const Tensor& t);

// The rules that many rows share.
namespace batch {

// ---- of one tensor, or several of equal rank ----
void same(Batched& b);        // the batch is one more leading dimension, which the operation lets through
void aligned(Batched& b);     // broadcasting: examples' dimensions are aligned from the right, dtypes as one example's
void dims(Batched& b);        // parameters named dim, dims, dim0 ... number an example's dimensions
void strict_dims(Batched& b); // as dims; tensors without dimensions are refused by the operation
void whole(Batched& b);       // a reduction of everything: its overload with `dim` over an example's dimensions
void sized(Batched& b);       // `size` or `sizes` is the shape of one example's result

void strict(Batched& b);      // as same, for operations that want a least number of dimensions and would count the batch
void loss(Batched& b);        // element by element, then reduced over one example

// ---- rows with a batch dimension of their own ----
template <int spatial> void fold(Batched& b);  // (N, C, spatial ...) or (C, spatial ...): joins N
void fold_all(Batched& b);                     // (N, ...) always

// ---- random ----
void draw_sized(Batched& b);     // a fresh tensor of a size
void draw_like(Batched& b);      // of the first argument's size; no value of it is read
void draw_given(Batched& b);     // with parameters from tensors
void draw_in_place(Batched& b);

// ---- refused, as by PyTorch, or one by one ----
void dynamic_shape(Batched& b);
void refused(Batched& b);     // a Python number comes out, or the memory itself is concerned
void no_branch(Batched& b);   // a condition for the program's own control flow comes out
void each(Batched& b);

// ---- of single rows (batch_views.cpp, batch_index.cpp, batch_layers.cpp) ----
void view(Batched& b);
void expand(Batched& b);
void as_strided(Batched& b);
void as_strided_scatter(Batched& b);
void permute(Batched& b);
void t(Batched& b);
void unsqueeze(Batched& b);
void squeeze(Batched& b);
void repeat(Batched& b);
void roll(Batched& b);
void cat(Batched& b);
void stack(Batched& b);
void geometry(Batched& b);
void formatted(Batched& b);
void fill(Batched& b);
void masked_fill(Batched& b);
void masked_select(Batched& b);
void masked_scatter(Batched& b);
void index(Batched& b);
void index_put(Batched& b);
void index_backward(Batched& b);
void take(Batched& b);
void put(Batched& b);
void index_select(Batched& b);
void index_write(Batched& b);
void embedding(Batched& b);
void embedding_backward(Batched& b);
void one_hot(Batched& b);
void searchsorted(Batched& b);
void bucketize(Batched& b);
void mm(Batched& b);
void bmm(Batched& b);
void mv(Batched& b);
void dot(Batched& b);
void addmm(Batched& b);
void convolution(Batched& b);
void conv_weight_grad(Batched& b);
void row_norm(Batched& b);
void row_norm_backward(Batched& b);
void group_norm(Batched& b);
void group_norm_backward(Batched& b);
void batch_norm(Batched& b);
void batch_norm_backward(Batched& b);
void nll(Batched& b);
void nll_backward(Batched& b);
void dropout(Batched& b);
void multinomial(Batched& b);
void same_size(Batched& b);
void new_strided(Batched& b);
void resize_as(Batched& b);
void strict_bytes(Batched& b);
void extremum(Batched& b);
void question(Batched& b);
void all_close(Batched& b);
void decomposition(Batched& b);   // linalg_batch.cpp, as those that follow
void matrices(Batched& b);        // broadcast against each other
void matrices_alike(Batched& b);  // each with the same dimensions before them
void solve(Batched& b);
void pinv(Batched& b);

}  // namespace batch

// The rule of a row: its own, or the one that follows from what it is; null for composites, whose parts have rules.
BatchRule batch_rule(const Op& op);
[[noreturn]] void fail_branch();  // a program cannot go different ways for the examples
bool is_random(const Op& op);

}  // namespace tabula
