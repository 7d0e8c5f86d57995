// Batch rules of operations that read or write where index tensors, masks or searches say.
#include "core/state.h"
#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/index_advanced.h"
#include "ops/index_basic.h"
#include "ops/mask.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/scatter.h"
#include "ops/view.h"

namespace tabula::batch {
namespace {

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

int64_t elements(IntList sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}
Tensor shaped(const Tensor& t, const Dims& sizes) { return reshape(t, IntList(sizes)); }
Tensor rows(const Batched& b, const Tensor& t) { return shaped(t, Dims{b.size, elements(t.sizes().subspan(1))}); }
Dims with_batch(const Batched& b, IntList sizes) {
  Dims result(sizes);
  result.insert(0, b.size);
  return result;
}
// The numbers of the examples, as a tensor with `rank` further dimensions of size 1.
Tensor numbers(const Batched& b, int64_t rank, Device device) {
  Tensor n = arange_raw(b.size);
  if (!device.is_cpu()) n = to_dtype(n, DType::Int64, device);
  Dims sizes(rank + 1, 1);
  sizes[0] = b.size;
  return shaped(n, sizes);
}

// In place, a result that was made beside the target is written to it.
void finish(Batched& b, const Tensor& target, Tensor result) {
  if (b.form == Form::InPlace)
    copy_(target, result);
  else
    b.give(0, std::move(result));
}

// ---- x[indices] ----

struct Indices {
  std::vector<Tensor> list;   // for the tensor with the batch in front
  int64_t place = 0, rank = 0;  // where the joint dimensions of the indices come in one example's result, and how many
  bool batch_apart = false;   // the batch comes first among the joint dimensions rather than by itself
};

// The batch is one more indexed dimension where indices differ between examples; then it is at the front, or beside the
// joint dimensions where these stay in place, which is the front as well if the indexed dimensions are made to be.
Indices indices_of(const Batched& b, int param, int64_t input_rank) {
  Indices result;
  const TensorList given = b.args[param].tensors();
  const bool batched = b.batched(param);
  int64_t dim = 0, first = -1, last = -1, count = 0;
  for (const Tensor& t : given) {
    const int64_t own = t.defined() ? t.dim() - batched : 0;
    if (t.defined()) {
      check(!(batched && is_mask(t)), "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with a boolean mask.");
      const int64_t covers = is_mask(t) ? own : 1;
      if (first < 0) first = dim;
      last = dim + covers - 1;
      count += covers;
      result.rank = std::max(result.rank, is_mask(t) ? 1 : own);
      dim += covers;
    } else {
      dim++;
    }
  }
  check_index(dim <= input_rank, "too many indices for tensor of dimension ", input_rank);
  const bool adjacent = count > 0 && last - first == count - 1;
  result.place = adjacent ? first : 0;
  if (!batched) {
    result.list.emplace_back();
    result.list.insert(result.list.end(), given.begin(), given.end());
    // an undefined first index sets other ones apart only where they were
    result.batch_apart = !adjacent;
    return result;
  }
  result.batch_apart = true;
  result.list.push_back(Tensor());
  for (const Tensor& t : given) {
    if (!t.defined()) {
      result.list.emplace_back();
      continue;
    }
    Dims sizes(t.sizes());
    while (sizes.size() < result.rank + 1) sizes.insert(1, 1);
    result.list.push_back(shaped(t, sizes));
    if (!result.list[0].defined()) result.list[0] = numbers(b, result.rank, t.device());
  }
  return result;
}

// Where indexing with the batch has put the dimensions, against one example's result behind the batch.
// Indexed dimensions that are apart go to the front, the joint ones before all others: (joint, batch, rest) without an
// index for the batch, (batch, joint, rest) with one.
Tensor arranged(const Tensor& result, const Indices& at, bool batched, bool back) {
  Dims order;
  const int64_t dims = result.dim();
  if (!batched) {
    if (!at.batch_apart || at.rank == 0) return result;
    // (joint..., batch, rest...) to (batch, joint..., rest...)
    order.push_back(at.rank);
    for (int64_t d = 0; d < at.rank; d++) order.push_back(d);
    for (int64_t d = at.rank + 1; d < dims; d++) order.push_back(d);
  } else {
    // (batch, joint..., before..., after...) to (batch, before..., joint..., after...)
    if (at.place == 0) return result;
    order.push_back(0);
    for (int64_t d = 0; d < at.place; d++) order.push_back(1 + at.rank + d);
    for (int64_t d = 0; d < at.rank; d++) order.push_back(1 + d);
    for (int64_t d = 1 + at.rank + at.place; d < dims; d++) order.push_back(d);
  }
  if (!back) return tabula::permute(result, IntList(order));
  Dims inverse(dims, 0);
  for (int64_t d = 0; d < dims; d++) inverse[order[d]] = d;
  return tabula::permute(result, IntList(inverse));
}

}  // namespace

void index(Batched& b) {
  b.spread_in(0);
  const Indices at = indices_of(b, 1, b.rank(0));
  b.give(0, arranged(tabula::index(b.in(0), TensorList(at.list)), at, b.batched(1), false));
}

namespace {
// Values as they lie in the result of indexing with the batch.
Tensor values_for(const Batched& b, int param, const Indices& at, const Tensor& target, bool indices_batched) {
  const Tensor where = tabula::index(detach(target), TensorList(at.list));
  const Dims sizes(arranged(where, at, indices_batched, false).sizes());
  Geometry v{Dims(b.sizes(param)), Dims(), 0};
  Tensor values = b.spread(param);
  // leading dimensions of size one in the values don't count
  while (values.dim() > sizes.size() && values.sizes()[1] == 1) values = squeeze_dims(values, IntList(Dims{1}));
  check(expandable_to(values.sizes().subspan(1), IntList(sizes).subspan(1)), "shape mismatch: value tensor of shape ", shape_text(b.sizes(param)),
        " cannot be broadcast to indexing result of shape ", shape_text(IntList(sizes).subspan(1)));
  while (values.dim() < sizes.size()) values = tabula::unsqueeze(values, int64_t(1));
  return arranged(tabula::expand(values, IntList(sizes)), at, indices_batched, true);
}
}  // namespace

void index_put(Batched& b) {
  b.spread_in(0);
  const Tensor target = b.in(0);
  const Indices at = indices_of(b, 1, b.rank(0));
  const Tensor values = values_for(b, 2, at, target, b.batched(1));
  if (b.form == Form::InPlace)
    index_put_(target, TensorList(at.list), values, b.args[3]);
  else
    b.give(0, tabula::index_put(target, TensorList(at.list), values, b.args[3]));
}

void index_backward(Batched& b) {
  const Dims sizes = with_batch(b, b.args[1].ints());
  const Indices at = indices_of(b, 2, sizes.size() - 1);
  const Tensor grad = arranged(b.spread(0), at, b.batched(2), true);
  b.give(0, tabula::index_put(zeros_raw(sizes, grad.dtype(), grad.device()), TensorList(at.list), grad, true));
}

// ---- positions in the flattened input ----

namespace {
Tensor wrapped_positions(const Tensor& index, int64_t n) { return where(lt(index, Scalar(0)), index + Scalar(n), index); }
}  // namespace

void take(Batched& b) {
  if (!b.batched(0)) return b.run();
  b.spread_in(1);
  const Tensor flat = rows(b, b.in(0)), at = wrapped_positions(rows(b, b.in(1)), elements(b.sizes(0)));
  b.give(0, shaped(gather(flat, int64_t(1), at), with_batch(b, b.sizes(1))));
}

void put(Batched& b) {
  for (int i : {0, 1, 2}) b.spread_in(i);
  const Tensor target = b.in(0), flat = rows(b, target), source = rows(b, b.in(2));
  const Tensor at = wrapped_positions(rows(b, b.in(1)), elements(b.sizes(0)));
  const Tensor result = b.args[3].flag() ? scatter_add(flat, int64_t(1), at, source) : scatter(flat, int64_t(1), at, source);
  finish(b, target, shaped(result, Dims(target.sizes())));
}

// ---- along one dimension, by a vector of positions ----

namespace {
// A vector of positions for each example, repeated over the other dimensions of `like` (of the batch).
Tensor widened(const Batched& b, int param, int64_t dim, const Tensor& like) {
  const Tensor index = long_index(b.spread(param));
  Dims sizes(like.dim(), 1), full(like.sizes());
  sizes[0] = b.size;
  sizes[dim] = index.dim() == 1 ? 1 : index.sizes()[1];
  full[dim] = sizes[dim];
  return tabula::expand(shaped(index, sizes), IntList(full));
}
}  // namespace

void index_select(Batched& b) {
  if (!b.batched(2)) {  // the usual case: the same rows of all examples
    const bool scalar = b.rank(0) == 0;
    if (scalar) b.set(0, tabula::unsqueeze(b.in(0), int64_t(1)));
    b.set(1, Value(wrap_dim(b.args[1].integer(), b.rank(0)) + 1));
    b.run();
    if (scalar) b.give(0, squeeze_dims(b.out[0], IntList(Dims{1})));
    return;
  }
  check_index(b.rank(2) <= 1, "index_select(): Index is supposed to be a vector");
  Tensor x = b.spread(0);
  const bool scalar = x.dim() == 1;
  if (scalar) x = tabula::unsqueeze(x, int64_t(1));
  const int64_t dim = wrap_dim(b.args[1].integer(), x.dim() - 1) + 1;
  const Tensor result = gather(x, dim, widened(b, 2, dim, x));
  b.give(0, scalar ? squeeze_dims(result, IntList(Dims{1})) : result);
}

void index_write(Batched& b) {
  const std::string_view name = b.op.schema.base_name;
  b.spread_in(0);
  const Tensor target = b.in(0);
  const bool scalar = target.dim() == 1;
  const Tensor x = scalar ? tabula::unsqueeze(target, int64_t(1)) : target;
  const int64_t dim = wrap_dim(b.args[1].integer(), x.dim() - 1) + 1;
  check_index(b.rank(2) <= 1, name, "_(): Index should have dimension 1 or 0 (got ", b.rank(2), ")");
  const Tensor at = widened(b, 2, dim, x);
  Tensor result;
  if (name == "index_fill") {
    if (b.is_tensor(3)) {
      Tensor value = to_dtype(b.spread(3), x.dtype());
      while (value.dim() < x.dim()) value = tabula::unsqueeze(value, int64_t(1));
      // a position that the index names twice counts once for the value's gradient
      const Tensor mask = scatter_value(zeros_raw(x.sizes(), DType::Bool, x.device()), dim, at, Scalar(true));
      result = where(mask, value, x);
    } else {
      result = scatter_value(x, dim, at, b.args[3]);
    }
  } else {
    Tensor source = b.spread(3);
    if (source.dim() < x.dim()) source = tabula::unsqueeze(source, dim);
    Dims wanted(x.sizes());
    wanted[dim] = at.sizes()[size_t(dim)];
    check(tabula::same(source.sizes(), wanted), name, "(): the source's shape ", shape_text(b.sizes(3)), " is not the part's that the index names, ",
          shape_text(IntList(wanted).subspan(1)));
    if (name == "index_add")
      result = scatter_add(x, dim, at, b.args[4].scalar().equals(1) ? source : source * b.args[4].scalar());
    else if (name == "index_copy")
      result = scatter(x, dim, at, source);
    else
      result = scatter_reduce(x, dim, at, source, b.args[4], b.args[5]);
  }
  finish(b, target, scalar ? squeeze_dims(result, IntList(Dims{1})) : result);
}

// ---- rows by number ----

namespace {
// Positions in the rows of all examples' matrices, one below the other.
Tensor shifted(const Batched& b, const Tensor& index, int64_t height) {
  const Tensor at = long_index(index);
  return at + numbers(b, at.dim() - 1, at.device()) * Scalar(height);
}
}  // namespace

void embedding(Batched& b) {
  if (!b.batched(0)) return b.run();
  Tensor weight = b.in(0);
  const int64_t height = weight.sizes()[1], width = weight.sizes()[2], padding = b.args[2].integer();
  if (padding >= 0 && weight.needs_grad()) {  // this row gets no gradient
    const Tensor row = eq(shaped(arange_raw(height), Dims{height, 1}), Scalar(padding));
    weight = where(row, detach(weight), weight);
  }
  const Tensor at = b.spread(1);
  check_index(at.numel() == 0 || at.is_meta() || (!item(any(lt(at, Scalar(0)))).to_bool() && !item(any(ge(at, Scalar(height)))).to_bool()), "index out of range in self");
  b.give(0, tabula::embedding(shaped(weight, Dims{b.size * height, width}), shifted(b, at, height), int64_t(-1), b.args[3], b.args[4]));
}

void embedding_backward(Batched& b) {
  const int64_t height = b.args[2].integer(), padding = b.args[3].integer();
  Tensor grad = b.spread(0);
  const Tensor at = b.spread(1);
  if (padding >= 0) grad = tabula::masked_fill(grad, tabula::unsqueeze(eq(at, Scalar(padding)), int64_t(-1)), Scalar(0));
  const int64_t width = grad.sizes().back();
  b.set(0, grad, true);
  b.set(1, shifted(b, at, height), true);
  b.set(2, Value(height * b.size));
  b.set(3, Value(int64_t(-1)));
  b.run();
  b.give(0, shaped(b.out[0], Dims{b.size, height, width}));
}

void one_hot(Batched& b) {
  check(b.args[1].integer() > 0, "When vmap-ing torch.nn.functional.one_hot, please provide an explicit positive num_classes argument.");
  b.run();
}

// ---- masks ----

void fill(Batched& b) {
  if (!b.is_tensor(1) || !b.batched(1)) return b.run();
  check(b.rank(1) == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", b.rank(1), " dimensions.");
  b.spread_in(0);
  const Tensor value = b.padded(1, b.rank(0));
  if (b.form == Form::InPlace)
    copy_(b.in(0), value);
  else
    b.give(0, to_dtype(tabula::expand(value, b.in(0).sizes()), b.in(0).dtype()));
}

void masked_fill(Batched& b) {
  if (!b.batched(2)) return aligned(b);
  check(b.rank(2) == 0, "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ", b.rank(2), " dimension(s).");
  const int64_t rank = std::max(b.rank(0), b.rank(1));
  const Tensor x = b.padded(0, rank), mask = b.padded(1, rank), value = to_dtype(b.padded(2, rank), x.dtype());
  finish(b, b.in(0), where(mask, value, x));
}

void masked_select(Batched& b) {
  check(!b.batched(1), "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this because for each batch this would return a "
        "differently shaped Tensor. Please file an issue at https://github.com/pytorch/pytorch/issues if you need this feature.");
  const int64_t rank = std::max(b.rank(0), b.rank(1));
  Dims sizes = broadcast_sizes(b.sizes(0), b.in(1).sizes());
  const Tensor x = rows(b, tabula::expand(b.padded(0, rank), IntList(with_batch(b, sizes))));
  const Tensor at = nonzero(reshape(tabula::expand(b.in(1), IntList(sizes)), IntList(Dims{elements(sizes)})));
  b.give(0, tabula::index_select(x, int64_t(1), reshape(at, IntList(Dims{at.sizes()[0]}))));
}

void masked_scatter(Batched& b) {
  const int64_t rank = std::max(b.rank(0), b.rank(1));
  const Dims sizes = with_batch(b, broadcast_sizes(b.sizes(0), b.sizes(1)));
  const Tensor x = tabula::expand(b.padded(0, rank), IntList(sizes)), mask = tabula::expand(b.padded(1, rank), IntList(sizes));
  check(b.in(0).dtype() == b.in(2).dtype(), "masked_scatter: expected self and source to have same dtypes but got ", dtype_title(b.in(0).dtype()), " and ",
        dtype_title(b.in(2).dtype()));
  const Tensor chosen = rows(b, mask), source = rows(b, b.spread(2));
  // the n-th chosen position takes the n-th element of the source
  const Tensor order = where(chosen, cumsum(to_dtype(chosen, DType::Int64), int64_t(1)) - Scalar(1), Scalar(int64_t(0)));
  if (source.sizes()[1] == 0) return finish(b, b.in(0), x);
  finish(b, b.in(0), where(mask, shaped(gather(source, int64_t(1), order), sizes), x));
}

// ---- searches ----

void searchsorted(Batched& b) {
  if (!b.batched(0) && b.rank(0) == 1 && !b.batched(5)) return b.run();
  if (!b.is_tensor(1)) {
    const Scalar number = b.args[1].scalar();
    b.set(1, full_raw(Dims{b.size, 1}, number, number.dtype(default_dtype), b.in(0).device()), true);
    b.spread_in(0);
    if (b.is_tensor(5)) b.spread_in(5);
    b.run();
    b.give(0, squeeze_dims(b.out[0], IntList(Dims{1})));
    return;
  }
  for (int i : {0, 1, 5})
    if (b.is_tensor(i)) b.spread_in(i);
  const Dims sizes(b.in(1).sizes());
  if (b.rank(0) == 1) b.set(1, rows(b, b.in(1)));
  b.run();
  b.give(0, shaped(b.out[0], sizes));
}

void bucketize(Batched& b) {
  if (!b.batched(1)) return b.run();
  check(b.rank(1) == 1, "boundaries tensor must be 1 dimension, but got dim(", b.rank(1), ")");
  static const Op* search = [] {
    for (const Op* op : all_ops())
      if (op->schema.name == "searchsorted") return op;
    fail(ErrorKind::Runtime, "internal: searchsorted is missing");
  }();
  Tensor values = b.is_tensor(0) ? b.spread(0) : full_raw(Dims{b.size}, b.args[0].scalar(), b.args[0].scalar().dtype(default_dtype), b.in(1).device());
  const Dims sizes(values.sizes());
  b.give(0, shaped((*search)(b.in(1), Value(rows(b, values)), b.args[2], b.args[3]), sizes));
}

}  // namespace tabula::batch
