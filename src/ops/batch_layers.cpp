// Batch rules of products, convolutions, normalisations, and losses and draws that are not element by element.
#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/conv.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/scatter.h"
#include "ops/view.h"

namespace tabula::batch {
namespace {

Tensor shaped(const Tensor& t, const Dims& sizes) { return reshape(t, IntList(sizes)); }

Tensor moved(const Tensor& t, int64_t from, int64_t to) {
  Dims order;
  for (int64_t d = 0; d < t.dim(); d++)
    if (d != from) order.push_back(d);
  order.insert(to, from);
  return tabula::permute(t, IntList(order));
}

// (B, m, ...) to (B m, ...), and back.
Tensor joined(const Tensor& t) {
  Dims sizes(t.sizes());
  sizes[1] = t.sizes()[0] * t.sizes()[1];
  sizes.erase(0);
  return shaped(t, sizes);
}
Tensor parted(const Batched& b, const Tensor& t) {
  Dims sizes(t.sizes());
  sizes[0] = t.sizes()[0] / b.size;
  sizes.insert(0, b.size);
  return shaped(t, sizes);
}
// (B, n, c, ...) to (n, B c, ...), and back.
Tensor channels_joined(const Tensor& t) {
  const Tensor front = moved(t, 0, 1);
  Dims sizes(front.sizes());
  sizes[1] = front.sizes()[1] * front.sizes()[2];
  sizes.erase(2);
  return shaped(front, sizes);
}
Tensor channels_parted(const Batched& b, const Tensor& t) {
  Dims sizes(t.sizes());
  sizes[1] = t.sizes()[1] / b.size;
  sizes.insert(1, b.size);
  return moved(shaped(t, sizes), 1, 0);
}

// A parameter of channels, (c) or (B, c), against (B, n, c, ...).
Tensor over_channels(const Tensor& parameter, bool batched, int64_t rank) {
  Dims sizes(rank + 1, 1);
  if (batched) sizes[0] = parameter.sizes()[0];
  sizes[2] = parameter.sizes().back();
  return shaped(parameter, sizes);
}

}  // namespace

// ---- products ----

namespace {

void want_ranks(Batched& b, int first, int64_t rank0, int64_t rank1) {
  if (b.rank(first) != rank0 || b.rank(first + 1) != rank1) b.try_example();
}

Tensor matrices(const Batched& b, int i, int k) {
  const Tensor &x = b.in(i), &y = b.in(k);
  if (b.batched(i) && b.batched(k)) return tabula::bmm(x, y);
  if (b.batched(i)) return parted(b, tabula::mm(joined(x), y));
  return tabula::bmm(b.spread(i), y);
}

}  // namespace

void mm(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  want_ranks(b, 0, 2, 2);
  b.give(0, matrices(b, 0, 1));
}

void bmm(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  want_ranks(b, 0, 3, 3);
  const Tensor &x = b.in(0), &y = b.in(1);
  if (b.batched(0) && b.batched(1)) return b.give(0, parted(b, tabula::bmm(joined(x), joined(y))));
  if (b.batched(0))  // (B, n, r, k) (n, k, c): the rows of all examples as one matrix
    return b.give(0, channels_parted(b, tabula::bmm(channels_joined(x), y)));
  const Tensor columns = tabula::bmm(x, transpose(channels_joined(transpose(y, int64_t(2), int64_t(3))), int64_t(1), int64_t(2)));
  b.give(0, transpose(channels_parted(b, transpose(columns, int64_t(1), int64_t(2))), int64_t(2), int64_t(3)));
}

void mv(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  want_ranks(b, 0, 2, 1);
  const Tensor &a = b.in(0), &x = b.in(1);
  if (!b.batched(1)) return b.give(0, parted(b, tabula::mv(joined(a), x)));
  if (!b.batched(0)) return b.give(0, tabula::mm(x, tabula::t(a)));
  b.give(0, tabula::select(tabula::bmm(a, tabula::unsqueeze(x, int64_t(2))), int64_t(2), int64_t(0)));
}

void dot(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  want_ranks(b, 0, 1, 1);
  if (b.sizes(0)[0] != b.sizes(1)[0] || b.in(0).dtype() != b.in(1).dtype()) b.try_example();
  if (b.op.schema.base_name == "vdot") b.set(0, conj(b.in(0)));
  const Tensor &x = b.in(0), &y = b.in(1);
  if (!b.batched(1)) return b.give(0, tabula::mv(x, y));
  if (!b.batched(0)) return b.give(0, tabula::mv(y, x));
  const Tensor product = tabula::bmm(tabula::unsqueeze(x, int64_t(1)), tabula::unsqueeze(y, int64_t(2)));
  b.give(0, shaped(product, Dims{b.size}));
}

void addmm(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  if (b.rank(1) != 2 || b.rank(2) != 2) b.try_example();
  const Tensor product = b.batched(1) || b.batched(2) ? matrices(b, 1, 2) : tabula::mm(b.in(1), b.in(2));
  const DType dtype = product.dtype();
  const auto factor = [&](const Value& v) { return is_integral_or_bool(dtype) && !v.scalar().is_integral() ? Scalar(v.scalar().to_int()) : v.scalar(); };
  const Scalar beta = factor(b.args[3]), alpha = factor(b.args[4]);
  Tensor result = alpha.equals(1) ? product : product * alpha;
  if (!beta.equals(0)) {
    const Tensor input = b.batched(0) ? b.padded(0, 2) : b.in(0);
    result = add(beta.equals(1) ? input : input * beta, result);
  }
  if (b.form == Form::InPlace)
    copy_(b.written, result);
  else
    b.give(0, b.batched(1) || b.batched(2) ? result : tabula::expand(result, IntList(Dims{b.size, b.sizes(1)[0], b.sizes(2)[1]})));
}

// ---- convolutions ----

void convolution(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  const bool transposed = b.args[6].flag();
  const int64_t groups = b.args[8].integer(), rank = b.rank(0);
  Tensor result;
  const auto run = [&](const Tensor& x, const Tensor& w, const Tensor& bias, int64_t in_groups) {
    return tabula::convolution(x, w, bias, b.args[3], b.args[4], b.args[5], transposed, b.args[7], in_groups);
  };
  const bool apart = b.is_tensor(2) && (b.batched(1) || b.batched(2));  // the bias is added in the end
  const Tensor bias = b.is_tensor(2) && !apart ? b.in(2) : Tensor();
  if (!b.batched(1))
    result = b.batched(0) ? parted(b, run(joined(b.in(0)), b.in(1), bias, groups)) : run(b.in(0), b.in(1), bias, groups);
  else if (!b.batched(0) && groups == 1 && !transposed)
    result = channels_parted(b, run(b.in(0), joined(b.in(1)), bias, 1));
  else
    result = channels_parted(b, run(channels_joined(b.spread(0)), joined(b.in(1)), bias, groups * b.size));
  if (apart) result = add(result, over_channels(b.in(2), b.batched(2), rank));
  b.give(0, result);
}

void conv_weight_grad(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  Dims sizes(b.args[2].ints());
  sizes[0] *= b.size;
  b.set(0, channels_joined(b.spread(0)));
  b.set(1, channels_joined(b.spread(1)));
  b.set(2, IntList(sizes));
  b.set(6, Value(b.args[6].integer() * b.size));
  b.run();
  b.give(0, parted(b, b.out[0]));
}

// ---- normalisations: where parameters differ between examples, they are applied apart ----

namespace {

struct Wanted {
  bool x, weight, bias;
  explicit Wanted(const Value& mask) : x(mask.bools()[0]), weight(mask.bools()[1]), bias(mask.bools()[2]) {}
};
constexpr bool kOnlyInput[3] = {true, false, false};

Tensor summed(const Tensor& t, const Dims& dims) { return dims.empty() ? t : sum_dim(t, dims); }

}  // namespace

void row_norm(Batched& b) {
  const bool own = (b.is_tensor(2) && b.batched(2)) || (b.is_tensor(3) && b.batched(3));
  b.spread_in(0);
  if (!own) return b.run();
  const int64_t rank = b.rank(0);
  Tensor weight, bias;
  if (b.is_tensor(2)) weight = b.batched(2) ? b.padded(2, rank) : b.in(2);
  if (b.is_tensor(3)) bias = b.batched(3) ? b.padded(3, rank) : b.in(3);
  b.set(2, Value());
  b.set(3, Value());
  b.run();
  Tensor y = b.out[0];
  const DType dtype = y.dtype();
  if (weight.defined()) y = y * weight;
  if (bias.defined()) y = y + bias;
  b.give(0, y.dtype() == dtype ? y : to_dtype(y, dtype));
}

void row_norm_backward(Batched& b) {
  const Wanted wanted(b.args[6]);
  const int64_t rank = b.rank(1);
  for (int i : {0, 1, 3, 4})
    if (b.is_tensor(i)) b.set(i, i < 3 ? b.spread(i) : contiguous(b.spread(i)), true);  // the kernel reads statistics as they lie
  const Tensor grad = b.in(0), x = b.in(1), rstd = b.in(4);
  Tensor weight;
  const DType parameter = b.is_tensor(2) ? b.in(2).dtype() : x.dtype();
  if (b.is_tensor(2)) weight = b.batched(2) ? b.padded(2, rank) : b.in(2);
  Tensor dw, db;
  Dims lead;
  for (int64_t d = 1; d <= rank - int64_t(b.args[5].ints().size()); d++) lead.push_back(d);
  if (wanted.weight && weight.defined()) dw = to_dtype(summed(grad * ((b.is_tensor(3) ? x - b.in(3) : x) * rstd), lead), parameter);
  if (wanted.bias) db = to_dtype(summed(grad, lead), parameter);
  Tensor dx;
  if (wanted.x) {
    b.set(0, weight.defined() ? to_dtype(grad * weight, grad.dtype()) : grad);
    b.set(2, Value());
    b.set(6, Value(std::span<const bool>(kOnlyInput)));
    b.run();
    dx = b.out[0];
  }
  b.give(0, dx);
  b.give(1, dw);
  b.give(2, db);
}

void group_norm(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  b.spread_in(0);
  const int64_t rank = b.rank(0);
  const bool own = (b.is_tensor(2) && b.batched(2)) || (b.is_tensor(3) && b.batched(3));
  Tensor weight, bias;
  if (own) {
    if (b.is_tensor(2)) weight = over_channels(b.in(2), b.batched(2), rank);
    if (b.is_tensor(3)) bias = over_channels(b.in(3), b.batched(3), rank);
    b.set(2, Value());
    b.set(3, Value());
  }
  b.set(0, joined(b.in(0)));
  b.run();
  Tensor y = parted(b, b.out[0]);
  if (weight.defined()) y = to_dtype(y * weight, y.dtype());
  if (bias.defined()) y = to_dtype(y + bias, y.dtype());
  b.give(0, y);
  b.give(1, parted(b, b.out[1]));
  b.give(2, parted(b, b.out[2]));
}

void group_norm_backward(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  const Wanted wanted(b.args[6]);
  for (int i : {0, 1, 3, 4}) b.set(i, i < 3 ? b.spread(i) : contiguous(b.spread(i)), true);
  const Tensor grad = b.in(0), x = b.in(1), mean = b.in(3), rstd = b.in(4);
  const int64_t rank = b.rank(1), groups = b.args[5].integer();
  const DType parameter = b.is_tensor(2) ? b.in(2).dtype() : x.dtype();
  Dims over{1};
  for (int64_t d = 3; d <= rank; d++) over.push_back(d);
  Tensor dw, db, dx;
  if (wanted.weight && b.is_tensor(2)) {
    const int64_t each = groups && mean.numel() ? x.numel() / mean.numel() : 0;
    const Tensor in_groups = shaped(x, Dims{b.size, x.sizes()[1], groups, each});
    const Tensor scaled = shaped((in_groups - tabula::unsqueeze(mean, int64_t(-1))) * tabula::unsqueeze(rstd, int64_t(-1)), Dims(x.sizes()));
    dw = to_dtype(sum_dim(grad * scaled, over), parameter);
  }
  if (wanted.bias) db = to_dtype(sum_dim(grad, over), parameter);
  if (wanted.x) {
    b.set(0, joined(b.is_tensor(2) ? to_dtype(grad * over_channels(b.in(2), b.batched(2), rank), grad.dtype()) : grad));
    for (int i : {1, 3, 4}) b.set(i, joined(b.in(i)));
    b.set(2, Value());
    b.set(6, Value(std::span<const bool>(kOnlyInput)));
    b.run();
    dx = parted(b, b.out[0]);
  }
  b.give(0, dx);
  b.give(1, dw);
  b.give(2, db);
}

void batch_norm(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  if (b.rank(0) < 2) return b.run_each();  // without channels, and then without elements
  const bool training = b.args[5].flag();
  bool only_input = b.batched(0);
  for (int i : {1, 2, 3, 4}) only_input &= !(b.is_tensor(i) && b.batched(i));
  if (only_input && !training) {
    b.set(0, joined(b.in(0)));
    b.run();
    b.give(0, parted(b, b.out[0]));
    b.give(1, b.out[1], false);
    b.give(2, b.out[2], false);
    return;
  }
  b.spread_in(0);
  std::pair<Tensor, Tensor> written[2];
  b.set(0, channels_joined(b.in(0)));
  for (int i : {1, 2, 3, 4}) {
    if (!b.is_tensor(i)) continue;
    check(i < 3 || !training || b.batched(i),
          "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in place, were not batched.\nIf you are using a "
          "module and do not need eval mode, please set `track_running_stats` to be False.If you are using a prebuilt module and do not need eval mode, please see "
          "the functorch website for resources on how to patch your module to work with vmap");
    const Tensor given = b.spread(i);
    b.set(i, shaped(given, Dims{given.numel()}), true);
    if (i >= 3) written[i - 3] = {given, b.in(i)};
  }
  b.run();
  for (const auto& [given, flat] : written)
    if (training && given.defined() && flat.impl()->storage != given.impl()->storage) copy_(given, shaped(flat, Dims(given.sizes())));
  b.give(0, channels_parted(b, b.out[0]));
  b.give(1, parted(b, b.out[1]));
  b.give(2, parted(b, b.out[2]));
}

void batch_norm_backward(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  if (b.rank(0) < 2) return b.run_each();  // without channels, and then without elements
  for (int i : {0, 1}) b.set(i, channels_joined(b.spread(i)));
  for (int i : {2, 3, 4})
    if (b.is_tensor(i)) b.set(i, contiguous(shaped(b.spread(i), Dims{b.size * b.in(i).sizes().back()})));
  b.run();
  if (b.out[0].defined()) b.give(0, channels_parted(b, b.out[0]));
  for (int k : {1, 2})
    if (b.out[k].defined()) b.give(k, parted(b, b.out[k]));
}

// ---- the loss of classes ----

namespace {

// Class numbers that can be looked up, the weight of each, and where they count at all.
struct Classes {
  Tensor index, weight;
  Classes(const Batched& b, int target, int weight_at, int64_t ignored, DType dtype) {
    const Tensor given = long_index(b.spread(target).dtype() == DType::UInt8 ? to_dtype(b.spread(target), DType::Int64) : b.spread(target));
    const Tensor counts = ne(given, Scalar(ignored));
    index = where(counts, given, Scalar(int64_t(0)));
    weight = to_dtype(counts, dtype);
    if (!b.is_tensor(weight_at)) return;
    const Tensor table = detach(b.spread(weight_at));  // weights have no gradient
    const Dims flat{b.size, -1};
    const Tensor at = index.dim() == 1 ? tabula::unsqueeze(index, int64_t(1)) : flatten(index, int64_t(1), int64_t(-1));
    weight = weight * shaped(gather(table, int64_t(1), at), Dims(index.sizes()));
  }
};

int64_t class_dim(int64_t rank) { return rank == 1 ? 1 : 2; }
Tensor total(const Tensor& t) { return t.dim() == 1 ? t : sum_dim(flatten(t, int64_t(1), int64_t(-1)), IntList(Dims{1})); }

}  // namespace

void nll(Batched& b) {
  const Tensor x = b.spread(0);
  const int64_t dim = class_dim(b.rank(0)), reduction = b.args[3].integer();
  const Classes classes(b, 1, 2, b.args[4].integer(), x.dtype());
  Tensor index = classes.index, weight = classes.weight;
  if (b.rank(0) == 1 && index.dim() == 2) {  // one target in a vector
    index = tabula::select(index, int64_t(1), int64_t(0));
    weight = tabula::select(weight, int64_t(1), int64_t(0));
  }
  const Tensor picked = neg(squeeze_dims(gather(x, dim, tabula::unsqueeze(index, dim)), IntList(Dims{dim})));
  // what is ignored may be infinite
  const Tensor each = where(ne(weight, Scalar(0)), picked * weight, Scalar(0)), weights = total(weight);
  b.give(0, reduction == 0 ? each : reduction == 1 ? total(each) / weights : total(each));
  b.give(1, weights);
}

void nll_backward(Batched& b) {
  const IntList shape = b.args[4].ints();
  const int64_t rank = int64_t(shape.size()), dim = class_dim(rank), reduction = b.args[5].integer();
  Dims sizes{b.size};
  for (const int64_t size : shape) sizes.push_back(size);
  Tensor grad = b.spread(0);
  const Classes classes(b, 1, 2, b.args[6].integer(), grad.dtype());
  Tensor index = classes.index, weight = classes.weight;
  if (rank == 1 && index.dim() == 2) {
    index = tabula::select(index, int64_t(1), int64_t(0));
    weight = tabula::select(weight, int64_t(1), int64_t(0));
  }
  if (reduction == 1) grad = grad / b.spread(3);
  while (grad.dim() < index.dim()) grad = tabula::unsqueeze(grad, int64_t(-1));
  const Tensor each = where(ne(weight, Scalar(0)), neg(grad * weight), Scalar(0));
  b.give(0, scatter_add(zeros_raw(sizes, each.dtype(), each.device()), dim, tabula::unsqueeze(index, dim), tabula::unsqueeze(each, dim)));
}

// ---- draws ----

void dropout(Batched& b) {
  if (!b.args[2].is_none() && !b.args[2].flag()) return same(b);
  if (b.randomness == Randomness::Different || b.randomness == Randomness::Error) return draw_like(b);
  if (!b.batched(0)) return draw_like(b);
  const Tensor x = b.in(0);
  b.set(0, ones_like_raw(zeros_raw(b.sizes(0), x.dtype(), x.device())), false);
  b.run();
  const Tensor factor = b.out[0], mask = b.out[1];
  b.give(0, x * factor);
  b.give(1, mask, false);
}

void multinomial(Batched& b) {
  if (b.size == 0 && b.form == Form::Plain) return b.run_none();
  if (b.randomness != Randomness::Different || b.rank(0) == 1) return draw_given(b);
  b.set(0, joined(b.spread(0)), true);
  b.run();
  b.give(0, parted(b, b.out[0]));
}

}  // namespace tabula::batch
