#include "ops/gather.h"

#include "core/state.h"
#include "kernels/index.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/mask.h"
#include "ops/reduce_raw.h"
#include "ops/scalar_range.h"
#include "ops/scatter.h"
#include "ops/search.h"
#include "ops/sparse.h"
#include "ops/view.h"

namespace tabula {

using kernels::IndexRule;

Tensor long_index(const Tensor& index) { return index.dtype() == DType::Int32 ? cast_raw(index, DType::Int64) : index; }

Geometry at_least_1d(const Tensor& t) { return t.dim() ? t.geometry() : Geometry{Dims{1}, Dims{1}, t.offset()}; }

Tensor target_of(const Value* args, Out& out, bool may_overlap) {
  const Tensor& t = args[0].tensor();
  if (!out.into || !out.into->is(t)) return clone_raw(t);
  if (!may_overlap) check_writable(t);
  out.wrote_into = true;
  return t;
}

Tensor apart_from(const Tensor& target, const Tensor& source) {
  return source.impl()->storage == target.impl()->storage ? clone_raw(source) : source;
}

static bool is_index(const Tensor& t) { return t.dtype() == DType::Int64 || t.dtype() == DType::Int32; }

// ---- gather ----

static void run_gather(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &given = args[2].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  if (out.into) {
    check(out.into->dtype() == t.dtype(), "Expected out tensor to have dtype ", c_type_name(t.dtype()), ", but got ", c_type_name(out.into->dtype()), " instead");
    check_writable(*out.into);
    check_separate(*out.into, t);
    check_separate(*out.into, given);
  }
  if (given.numel() == 0) return detail::box(out, Tensor::empty(given.sizes(), t.dtype(), t.device()));
  check(is_index(given), "gather(): Expected dtype int32/int64 for index");
  const Geometry from = at_least_1d(t), at = at_least_1d(given);
  check(from.sizes.size() == at.sizes.size(), "Index tensor must have the same number of dimensions as input tensor");
  for (int64_t d = 0; d < at.sizes.size(); d++)
    check(d == dim || at.sizes[d] <= from.sizes[d], "Size does not match at dimension ", d, " expected index ", shape_text(given.sizes()), " to be no larger than self ",
          shape_text(t.sizes()), " apart from dimension ", dim);
  const Tensor index = long_index(given);
  Tensor result = Tensor::empty(given.sizes(), t.dtype(), t.device());
  const Geometry to = at_least_1d(result), positions = at_least_1d(index);
  kernels::gather[t.device().kind]({item_size(t.dtype()), to.sizes, dim, result.data(), to.strides, t.data(), from.strides, from.sizes[dim],
                                    index.data_as<int64_t>(), positions.strides});
  detail::box(out, std::move(result));
}
static void gather_vjp(Backward& b) {
  if (b.flag(3)) return b.set(0, sparse_gathered(b.g(), b.integer(1), b.in(2), b.sizes(0)));
  const Tensor zeros = zeros_raw(b.sizes(0), b.g().dtype(), b.g().device());
  b.set(0, scatter_add(zeros, b.arg(1), b.in(2), b.g()));
}
const Op gather{OpDef{.schema = "gather(Tensor input, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
                      .run = boxed_exact_out<run_gather>,
                      .on = Usual,
                      .linear = Linear::Joint, .vjp = gather_vjp,
                      .save = in(2) | shape(0),
                      .batch = batch::dims, .doc = "Picks elements along a dimension: out[i][j] = input[index[i][j]][j] for dim=0, and so on.\n\n"
                             "Args: index (int64 or int32, as many dimensions as the input, and no larger apart from dim). Returns a tensor of index's shape.\n\n"
                             "Example::\n\n    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0, 0], [1, 0]]))\n"
                             "    tensor([[1, 1],\n            [4, 3]])\n"}};

static Tensor run_take_along_dim(const Tensor& input, const Tensor& indices, std::optional<int64_t> dim) {
  check(indices.dtype() == DType::Int64 || !dim, "torch.take_along_dim(): dtype of indices should be Long but got ", dtype_title(indices.dtype()));
  static constexpr int64_t flat[] = {-1};
  if (!dim) return gather(reshape(input, IntList(flat)), int64_t(0), reshape(indices, IntList(flat)));
  check(input.dim() == indices.dim(), "torch.take_along_dim(): input and indices should have the same number of dimensions, but got ", input.dim(),
        " dimensions for input, and ", indices.dim(), " dimensions for indices");
  const int64_t d = wrap_dim(*dim, input.dim());
  // all but the indexed dimension are broadcast
  Dims from(input.sizes()), at(indices.sizes());
  if (input.dim()) {
    from[d] = 1;
    at[d] = 1;
  }
  Dims joint = broadcast_sizes(from, at);
  from = at = joint;
  if (input.dim()) {
    from[d] = input.sizes()[size_t(d)];
    at[d] = indices.sizes()[size_t(d)];
  }
  const Tensor wide = expand(indices, at);
  const int64_t size = input.dim() ? from[d] : 1;
  // negative positions count from the end
  return gather(expand(input, from), d, where(lt(wide, Scalar(0)), wide + Scalar(size), wide));
}
const Op take_along_dim{OpDef{.schema = "take_along_dim(Tensor input, Tensor indices, int? dim=None) -> Tensor",
                              .run = fn_exact_out<run_take_along_dim>,
                              .on = Usual,
                              .composite = true,
                              .doc = "torch.gather with the other dimensions broadcast; what argsort returns fits. Without dim both are flattened."
        TABULA_EXAMPLE("torch.take_along_dim(torch.tensor([[3, 1, 2]]), torch.tensor([[1, 2, 0]]), 1)",
                       "tensor([[1, 2, 3]])")}};

// ---- take and put: positions in the flattened tensor ----

static Tensor run_take(const Tensor& input, const Tensor& index) {
  check(index.dtype() == DType::Int64, "take(): Expected a long tensor for index, but got ", dtype_title(index.dtype()));
  check_index(input.numel() != 0 || index.numel() == 0, "take(): tried to take from an empty tensor");
  Tensor result = Tensor::empty(index.sizes(), input.dtype(), input.device());
  const Tensor from = contiguous_raw(input), at = contiguous_raw(index);
  const Dims sizes{index.numel()}, ones{1};
  if (index.numel())
    kernels::gather[input.device().kind](
        {item_size(input.dtype()), sizes, 0, result.data(), ones, from.data(), ones, input.numel(), at.data_as<int64_t>(), ones, IndexRule::Take});
  return result;
}
static void take_vjp(Backward& b) {
  const Tensor zeros = zeros_raw(b.sizes(0), b.g().dtype(), b.g().device());
  b.set(0, put(zeros, b.in(1), b.g(), true));
}
static void refuse_take_out(DType result, DType given) {
  fail(ErrorKind::Runtime, "take(): self and out expected to have the same dtype, but got self.dtype = ", dtype_title(result), " and out.dtype = ", dtype_title(given));
}
const Op take{OpDef{.schema = "take(Tensor input, Tensor index) -> Tensor",
                    .run = fn_exact_out_as<run_take, refuse_take_out>,
                    .on = Usual,
                    .linear = Linear::Joint, .vjp = take_vjp,
                    .save = in(1) | shape(0),
                    .batch = batch::take, .doc = "Elements of the flattened input at the positions in index (int64, negative ones count from the end).\n\n"
                           "Example::\n\n    >>> torch.take(torch.tensor([[4, 3], [2, 1]]), torch.tensor([0, -1]))\n    tensor([4, 1])\n"}};

static void run_put(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[1].tensor(), &source = args[2].tensor();
  check(index.dtype() == DType::Int64, "put_(): Expected a long tensor for index, but got ", dtype_title(index.dtype()));
  check(t.dtype() == source.dtype(), "put_(): self and source expected to have the same dtype, but got self.dtype = ", dtype_title(t.dtype()), " and source.dtype = ",
        dtype_title(source.dtype()));
  check_index(source.numel() == index.numel(), "put_(): Expected source and index to have the same number of elements, but got source.numel() = ", source.numel(),
              ", index.numel() = ", index.numel());
  check_index(t.numel() != 0 || index.numel() == 0, "put_(): Tried to put elements into an empty tensor");
  const Tensor target = target_of(args, out);
  if (index.numel()) {
    const Tensor dense = contiguous_raw(target), at = contiguous_raw(apart_from(target, index)), from = contiguous_raw(apart_from(target, source));
    const Dims sizes{index.numel()}, ones{1};
    kernels::ScatterCall call{.dtype = t.dtype(), .sizes = sizes, .dim = 0, .self = dense.data(), .self_strides = ones, .self_size = t.numel(),
                              .index = at.data_as<int64_t>(), .index_strides = ones, .src = from.data(), .src_strides = ones};
    call.op = args[3].flag() ? kernels::ScatterOp::Add : kernels::ScatterOp::Assign;
    call.rule = IndexRule::Take;
    kernels::scatter[t.device().kind](call);
    copy_into(target, dense);
  }
  detail::box(out, target);
}
static void put_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.flag(3) ? b.g() : put(b.g(), b.in(1), zeros_raw(b.in(1).sizes(), b.g().dtype(), b.g().device())));
  if (b.needs(2)) b.set(2, reshape(take(b.g(), b.in(1)), b.sizes(2)));
}
const Op put{OpDef{.schema = "put(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
                   .run = boxed(run_put),
                   .on = Both | InPlace,
                   .linear = Linear::Joint, .vjp = put_vjp,
                   .save = in(1) | shape(2),
                   .batch = batch::put, .doc = "The input with source's elements at the given positions of the flattened tensor (added to it if accumulate)."
        TABULA_EXAMPLE("torch.put(torch.zeros(3), torch.tensor([1]), torch.tensor([5.]))", "tensor([0., 5., 0.])")}};

// ---- index_select ----

static void run_index_select(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &given = args[2].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_index(given.dim() <= 1, "index_select(): Index is supposed to be a vector");
  check(is_index(given), "index_select(): Expected dtype int32 or int64 for index");
  check(t.dim() > 0 || given.numel() == 1, "index_select(): Index to scalar can have only 1 value, got ", given.numel(), " value(s)");
  if (out.into) {
    check(out.into->dtype() == t.dtype(), "index_select(): self and result must have the same scalar type");
    check_writable(*out.into);
    check_separate(*out.into, t);
    check_separate(*out.into, given);
  }
  const Tensor index = long_index(given);
  const Geometry from = at_least_1d(t);
  Dims sizes = from.sizes;
  sizes[dim] = index.numel();
  Tensor result = Tensor::empty(t.dim() ? IntList(sizes) : IntList(), t.dtype(), t.device());
  const Dims to = contiguous_strides(sizes);
  Dims at(sizes.size(), 0);
  at[dim] = index.dim() ? index.strides()[0] : 1;
  if (result.numel())
    kernels::gather[t.device().kind]({item_size(t.dtype()), sizes, dim, result.data(), to, t.data(), from.strides, from.sizes[dim], index.data_as<int64_t>(), at,
                                      IndexRule::Self});
  detail::box(out, std::move(result));
}
static void index_select_vjp(Backward& b) {
  const Tensor zeros = zeros_raw(b.sizes(0), b.g().dtype(), b.g().device());
  static constexpr int64_t flat[] = {-1};
  const Tensor& index = b.in(2);
  b.set(0, b.sizes(0).empty() ? b.g() : index_add(zeros, b.arg(1), index.dim() ? index : reshape(index, IntList(flat)), b.g()));
}
const Op index_select{OpDef{.schema = "index_select(Tensor input, int dim, Tensor index) -> Tensor",
                            .run = boxed_exact_out<run_index_select>,
                            .on = Usual,
                            .linear = Linear::Joint, .vjp = index_select_vjp,
                            .save = in(2) | shape(0),
                            .batch = batch::index_select, .doc = "The slices of the input along dim whose numbers stand in index (1-d, int64 or int32), as a new tensor.\n\n"
                                   "Example::\n\n    >>> torch.index_select(torch.tensor([[1, 2], [3, 4]]), 0, torch.tensor([1]))\n    tensor([[3, 4]])\n"}};

// ---- embedding and one_hot ----

static Tensor run_embedding(const Tensor& weight, const Tensor& given, int64_t, bool, bool) {
  check(weight.dim() == 2, "'weight' must be 2-D");
  if (!is_index(given))
    fail(ErrorKind::Runtime, "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got torch.", dtype_title(given.dtype()),
         "Tensor instead (while checking arguments for embedding)");
  Dims sizes(given.sizes());
  sizes.push_back(weight.sizes()[1]);
  Tensor result = Tensor::empty(sizes, weight.dtype(), weight.device());
  if (result.numel() == 0) return result;
  const Tensor index = contiguous_raw(long_index(given));
  const Dims rows{index.numel(), weight.sizes()[1]}, to{weight.sizes()[1], 1}, at{1, 0};
  kernels::gather[weight.device().kind]({item_size(weight.dtype()), rows, 0, result.data(), to, weight.data(), weight.strides(), weight.sizes()[0],
                                         index.data_as<int64_t>(), at, IndexRule::Self});
  return result;
}

static Tensor run_embedding_backward(const Tensor& grad, const Tensor& given, int64_t rows, int64_t padding, bool by_frequency) {
  check(grad.dim() == given.dim() + 1 && same(grad.sizes().first(size_t(given.dim())), given.sizes()), "embedding_dense_backward: a gradient of shape ",
        shape_text(grad.sizes()), " does not fit indices of shape ", shape_text(given.sizes()));
  const int64_t width = grad.sizes().back();
  Tensor result = Tensor::empty(Dims{rows, width}, grad.dtype(), grad.device());
  const Tensor index = contiguous_raw(long_index(given)), dense = contiguous_raw(grad);
  kernels::embedding_backward[grad.device().kind](
      {grad.dtype(), index.numel(), rows, width, index.data_as<int64_t>(), dense.data(), result.data(), padding, by_frequency});
  return result;
}
static void embedding_backward_vjp(Backward& b) {
  const Tensor& index = b.in(1);
  check_implemented(!b.flag(4), "embedding: the second derivative is not defined with scale_grad_by_freq=True");
  Tensor grad = embedding(b.g(), index);
  if (const int64_t padding = b.integer(3); padding >= 0) grad = masked_fill(grad, unsqueeze(eq(index, Scalar(padding)), -1), Scalar(0));
  b.set(0, grad);
}
static const Op embedding_dense_backward{
    OpDef{.schema = "embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool scale_grad_by_freq) -> Tensor",
          .run = fn<run_embedding_backward>,
          .on = Internal,
          .linear = Linear::Joint, .vjp = embedding_backward_vjp,
          .save = in(1), .batch = batch::embedding_backward}};
static void embedding_vjp(Backward& b) {
  if (b.flag(4)) {
    check(!b.flag(3), "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
    return b.set(0, sparse_rows(b.g(), b.in(1), b.sizes(0), b.integer(2)));
  }
  b.set(0, embedding_dense_backward(b.g(), b.in(1), b.sizes(0)[0], b.arg(2), b.arg(3)));
}
const Op embedding{OpDef{.schema = "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
                         .run = fn<run_embedding>,
                         .on = Function,
                         .linear = Linear::Joint, .vjp = embedding_vjp,
                         .save = in(1) | shape(0),
                         .batch = batch::embedding, .doc = "Rows of a weight matrix [rows, width] by number: the result is [*indices.shape, width]. Row padding_idx gets no gradient."
        TABULA_EXAMPLE("torch.embedding(torch.tensor([[1.], [2.]]), torch.tensor([1, 0]))",
                       "tensor([[2.],\n"
                       "            [1.]])")}};

// Scales the rows that are used down to a norm of at most max_norm.
static Tensor run_embedding_renorm(const Tensor& weight, const Tensor& indices, double max_norm, double norm_type) {
  check(weight.dim() == 2, "'weight' must be 2-D");
  if (indices.numel() == 0 || weight.is_meta()) return weight;
  const Tensor used = unique(long_index(indices));
  const Tensor rows = index_select(weight, int64_t(0), used);
  static constexpr int64_t last[] = {1};
  const Tensor norms = reduce_raw(kernels::Reduce::norm_p, rows, ReducedDims(rows, IntList(last)), true, weight.dtype(), norm_type);
  const Tensor scale = where(gt(norms, Scalar(max_norm)), Scalar(max_norm) / (norms + Scalar(1e-7)), Scalar(1));
  copy_into(weight, index_copy(weight, int64_t(0), used, rows * scale));
  return weight;
}
static const Op embedding_renorm_{OpDef{.schema = "embedding_renorm_(Tensor(a!) input, Tensor indices, float max_norm, float norm_type) -> Tensor(a!)",
                                        .run = fn<run_embedding_renorm>,
                                        .on = Function,
    .batch = batch::each, .doc =
        "Scales those rows of the input that stand in indices and have a norm above max_norm down to it, in "
        "place."
        TABULA_EXAMPLE("torch.embedding_renorm_(torch.tensor([[3., 4.], [0., 1.]]), torch.tensor([0]), 1., 2.)",
                       "tensor([[0.6000, 0.8000],\n"
                       "            [0.0000, 1.0000]])")}};

static Tensor run_embedding_nn(const Tensor& input, const Tensor& weight, std::optional<int64_t> padding, std::optional<double> max_norm, double norm_type, bool by_frequency,
                               bool sparse) {
  const int64_t rows = weight.dim() ? weight.sizes()[0] : 0;
  if (padding && (*padding >= rows || *padding < -rows)) fail(ErrorKind::Assertion, "Padding_idx must be within num_embeddings");
  if (max_norm) {
    BelowAutograd guard;
    embedding_renorm_(weight, input, *max_norm, norm_type);
  }
  return embedding(weight, input, padding ? (*padding < 0 ? *padding + rows : *padding) : int64_t(-1), by_frequency, sparse);
}
static const Op embedding_nn{OpDef{.schema = "embedding.nn(Tensor input, Tensor weight, int? padding_idx=None, float? max_norm=None, float norm_type=2.0, "
                                             "bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
                                   .run = fn<run_embedding_nn>,
                                   .on = NN,
                                   .composite = true,
                                   .doc = "Rows of weight [rows, width] by number: [*input.shape, width]. Row padding_idx gets no gradient; max_norm first scales the rows that "
                                          "are used down to that norm, in place."
        TABULA_EXAMPLE("torch.nn.functional.embedding(torch.tensor([1, 0]), torch.tensor([[1.], [2.]]))",
                       "tensor([[2.],\n"
                       "            [1.]])")}};

static Tensor run_one_hot(const Tensor& input, int64_t classes) {
  check(input.dtype() == DType::Int64, "one_hot is only applicable to index tensor of type LongTensor.");
  if (input.numel() == 0) check(classes > 0, "Can not infer total number of classes from empty tensor.");
  const Tensor dense = contiguous_raw(input);
  if (input.numel() > 0) {
    const auto* data = dense.data_as<int64_t>();
    check_implemented(!input.is_meta() || classes > 0, "one_hot: a tensor on the meta device has no values to take the number of classes from");
    int64_t most = 0;
    for (int64_t i = 0; i < input.numel() && !input.is_meta(); i++) {
      check(data[i] >= 0, "Class values must be non-negative.");
      most = std::max(most, data[i]);
    }
    if (classes == -1)
      classes = most + 1;
    else
      check(classes > most, "Class values must be smaller than num_classes.");
  }
  Dims sizes(input.sizes());
  sizes.push_back(classes);
  Tensor result = Tensor::empty(sizes, DType::Int64, input.device());
  if (result.numel()) kernels::one_hot[input.device().kind](dense.data_as<int64_t>(), dense.numel(), classes, result.data_as<int64_t>());
  return result;
}
const Op one_hot{OpDef{.schema = "one_hot(Tensor input, int num_classes=-1) -> Tensor",
                       .run = fn<run_one_hot>,
                       .on = NN,
                       .batch = batch::one_hot, .doc = "Class numbers (int64, any shape) to rows with a single 1: int64, [*input.shape, num_classes].\n\n"
                              "Example::\n\n    >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))\n    tensor([[1, 0, 0],\n            [0, 0, 1]])\n"}};

// ---- Tensor.where ----

static Tensor run_where_method(const Tensor& input, const Tensor& condition, const Operand& other) { return where(condition, input, Value(other)); }
static const Op where_method{OpDef{.schema = "where.self(Tensor input, Tensor condition, Operand other) -> Tensor",
                                   .run = fn<run_where_method>,
                                   .on = Method,
                                   .composite = true,
    .doc =
        "The tensor where the bool condition holds, other elsewhere."
        TABULA_EXAMPLE("torch.tensor([1, 2]).where(torch.tensor([True, False]), 0)", "tensor([1, 0])")}};

}  // namespace tabula
