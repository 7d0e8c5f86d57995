#include "ops/mask.h"

#include "kernels/index.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/index_basic.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/scalar_range.h"
#include "ops/view.h"

namespace tabula {

// ---- positions of nonzero elements ----

static kernels::MaskCall mask_call(const Tensor& mask) { return {mask.dtype(), mask.sizes(), mask.data(), mask.strides()}; }

static void refuse_meta(const Tensor& t, const char* name) {
  check_implemented(!t.is_meta(), name, ": the size of the result depends on values, which a tensor on the meta device does not have");
}

Tensor nonzero_raw(const Tensor& t) {
  refuse_meta(t, "nonzero");
  std::vector<int64_t> parts;
  const kernels::MaskCall call = mask_call(t);
  kernels::count_nonzero_parts[t.device().kind](call, parts);
  const int64_t count = parts.empty() ? 0 : parts.back(), rank = t.dim();
  const Dims sizes{count, rank}, strides{1, std::max<int64_t>(count, 1)};
  Tensor result = Tensor::empty_strided(sizes, strides, DType::Int64, t.device());
  if (count && rank) kernels::nonzero[t.device().kind](call, parts, result.data_as<int64_t>(), 1, count);
  return result;
}

static void run_nonzero(const Op&, const Value* args, Out& out) {
  const Tensor& t = args[0].tensor();
  if (out.into)
    check(out.into->dtype() == DType::Int64, "nonzero: Expected out tensor to have scalar type Long but got scalar type", dtype_title(out.into->dtype()));
  if (!args[1].flag()) return detail::box(out, nonzero_raw(t));
  const Tensor at = nonzero_raw(t.dim() ? t : Tensor::alias(t, {Dims{1}, Dims{1}, t.offset()}));
  std::vector<Tensor> columns;
  for (int64_t d = 0; d < at.sizes()[1]; d++)
    columns.push_back(Tensor::alias(at, {Dims{at.sizes()[0]}, Dims{1}, d * at.strides()[1]}));
  detail::box(out, std::move(columns));
}
const Op nonzero{OpDef{.schema = "nonzero(Tensor input, *, bool as_tuple=False) -> Tensor",
                       .run = boxed(run_nonzero),
                       .on = Usual,
                       .batch = batch::dynamic_shape, .doc = "Positions of the elements that are not zero, in row-major order: int64, [count, input.dim()].\n\n"
                              "as_tuple=True gives one 1-d tensor per dimension instead, fit for indexing.\n\n"
                              "Example::\n\n    >>> torch.nonzero(torch.tensor([0, 3, 0, 4]))\n    tensor([[1],\n            [3]])\n"}};

static Tensor run_argwhere(const Tensor& input) { return nonzero(input); }
static const Op argwhere{OpDef{.schema = "argwhere(Tensor input) -> Tensor",
                               .run = fn<run_argwhere>,
                               .on = Both,
                               .composite = true,
                               .doc = "The same as torch.nonzero(input): positions of nonzero elements, one a row."
        TABULA_EXAMPLE("torch.argwhere(torch.tensor([0, 5, 6]))",
                       "tensor([[1],\n"
                       "            [2]])")}};

static Tensor run_nonzero_static(const Tensor& input, int64_t size, int64_t fill_value) {
  check(size >= 0, "nonzero_static: 'size' must be an non-negative integer");
  Tensor result = full_raw(Dims{size, input.dim()}, Scalar(fill_value), DType::Int64, input.device());
  if (result.numel() == 0 || input.is_meta()) return result;
  const Tensor all = nonzero_raw(input);
  const Dims sizes{std::min(size, all.sizes()[0]), input.dim()};
  copy_into(Tensor::alias(result, {sizes, Dims(result.strides()), result.offset()}), Tensor::alias(all, {sizes, Dims(all.strides()), all.offset()}));
  return result;
}
static const Op nonzero_static{OpDef{.schema = "nonzero_static(Tensor input, *, int size, int fill_value=-1) -> Tensor",
                                     .run = fn<run_nonzero_static>,
                                     .on = Usual,
                                     .batch = batch::each, .doc = "The first `size` rows of torch.nonzero(input), filled up with fill_value."
        TABULA_EXAMPLE("torch.nonzero_static(torch.tensor([0, 5]), size=2)",
                       "tensor([[ 1],\n"
                       "            [-1]])")}};

static std::vector<Tensor> run_where_condition(const Tensor& condition) { return nonzero.list(condition, true); }
static const Op where_condition{OpDef{.schema = "where.condition(Tensor condition) -> Tensor[]", .run = fn<run_where_condition>, .on = Function, .composite = true}};

// ---- masked_fill ----

static void fill_masked(const Value* args, const Scalar& value, Out& out) {
  const Tensor &t = args[0].tensor(), &mask = args[1].tensor();
  check(mask.dtype() == DType::Bool, "masked_fill_ only supports boolean masks, but got mask with dtype ", c_type_name(mask.dtype()));
  const Dims sizes = broadcast_sizes(t.sizes(), mask.sizes());
  const bool in_place = out.into && out.into->is(t);
  if (in_place) check(same(sizes, t.sizes()), "output with shape ", shape_text(t.sizes()), " doesn't match the broadcast shape ", shape_text(sizes));
  check_fits(value, t.dtype());
  const Operand inputs[] = {Operand(t), Operand(mask)};
  const Scalar params[] = {is_integral(t.dtype()) ? Scalar(value.to_int()) : value};
  detail::box(out, pointwise_raw(Pointwise::masked_fill, inputs, params));
}

// A 0-d tensor would also pass as a number: this overload comes first so that it can get a gradient.
static void run_masked_fill_tensor(const Op&, const Value* args, Out& out) {
  const Tensor& value = args[2].tensor();
  check(value.dim() == 0, "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ", value.dim(), " dimension(s).");
  if (value.is_meta()) return fill_masked(args, Scalar(0), out);
  fill_masked(args, item(value), out);
}
static void masked_fill_tensor_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, masked_fill(b.g(), b.in(1), Scalar(0)));
  if (b.needs(2)) b.set(2, sum(where(b.in(1), b.g(), Scalar(0))));
}
const Op masked_fill_tensor{OpDef{.schema = "masked_fill.Tensor(Tensor input, Tensor mask, Tensor value) -> Tensor",
                                  .run = boxed(run_masked_fill_tensor),
                                  .on = Both | InPlace,
                                  .devices = Devices::CpuGuests,
                                  .linear = Linear::Joint, .vjp = masked_fill_tensor_vjp,
                                  .save = in(1), .batch = batch::masked_fill}};

static void run_masked_fill(const Op&, const Value* args, Out& out) { fill_masked(args, args[2].scalar(), out); }
static void masked_fill_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, masked_fill(b.g(), b.in(1), Scalar(0)));
}
const Op masked_fill{OpDef{.schema = "masked_fill(Tensor input, Tensor mask, Scalar value) -> Tensor",
                           .run = boxed(run_masked_fill),
                           .on = Both | InPlace,
                           .vjp = masked_fill_vjp,
                           .save = in(1),
                           .batch = batch::aligned, .doc = "The input with `value` where the mask is True.\n\n"
                                  "Args: mask (bool, broadcast against the input); value (a number or a 0-d tensor).\n\n"
                                  "Example::\n\n    >>> torch.masked_fill(torch.tensor([1, 2]), torch.tensor([True, False]), 0)\n    tensor([0, 2])\n"}};

// ---- masked_select and masked_scatter ----

static void run_masked_select(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &mask = args[1].tensor();
  check(mask.dtype() == DType::Bool, "masked_select: expected BoolTensor for mask");
  if (out.into) {
    check(out.into->dtype() == t.dtype(), "masked_select(): self and result must have the same scalar type");
    check_writable(*out.into);
    check_separate(*out.into, t);
    check_separate(*out.into, mask);
  }
  const Dims sizes = broadcast_sizes(t.sizes(), mask.sizes());
  refuse_meta(t, "masked_select");
  const Geometry from = expanded(t.geometry(), sizes), by = expanded(mask.geometry(), sizes);
  const kernels::MaskCall call{DType::Bool, sizes, mask.data(), by.strides};
  std::vector<int64_t> parts;
  kernels::count_nonzero_parts[t.device().kind](call, parts);
  const int64_t count = parts.empty() ? 0 : parts.back();
  Tensor result = Tensor::empty(Dims{count}, t.dtype(), t.device());
  if (count) kernels::masked_select[t.device().kind](call, parts, item_size(t.dtype()), t.data(), from.strides, result.data());
  detail::box(out, std::move(result));
}
static void masked_select_vjp(Backward& b) {
  const Tensor& mask = b.in(1);
  const Dims sizes = broadcast_sizes(b.sizes(0), mask.sizes());
  const Tensor zeros = zeros_raw(sizes, b.g().dtype(), b.g().device());
  b.set(0, masked_scatter(zeros, expand(mask, sizes), b.g()));
}
const Op masked_select{OpDef{.schema = "masked_select(Tensor input, Tensor mask) -> Tensor",
                             .run = boxed(run_masked_select),
                             .on = Usual,
                             .linear = Linear::Joint, .vjp = masked_select_vjp,
                             .save = in(1) | shape(0),
                             .batch = batch::masked_select, .doc = "The elements where the mask is True, as a 1-d tensor in row-major order.\n\n"
                                    "Args: mask (bool); it and the input are broadcast against each other.\n\n"
                                    "Example::\n\n    >>> torch.masked_select(torch.tensor([1, 2, 3]), torch.tensor([True, False, True]))\n    tensor([1, 3])\n"}};

static void scatter_masked(const Tensor& t, const Tensor& mask, const Tensor& source) {
  check(mask.dtype() == DType::Bool, "masked_scatter_ only supports boolean masks, but got mask with dtype ", dtype_title(mask.dtype()));
  check(t.dtype() == source.dtype(), "masked_scatter: expected self and source to have same dtypes but got", dtype_title(t.dtype()), " and ", dtype_title(source.dtype()));
  if (t.numel() == 0 || t.is_meta()) return;
  const Geometry by = expanded(mask.geometry(), t.sizes());
  const kernels::MaskCall call{DType::Bool, t.sizes(), mask.data(), by.strides};
  std::vector<int64_t> parts;
  kernels::count_nonzero_parts[t.device().kind](call, parts);
  const Tensor from = source.impl()->storage == t.impl()->storage ? clone_raw(source) : source;
  const Tensor dense = contiguous_raw(from);
  kernels::masked_scatter[t.device().kind](call, parts, item_size(t.dtype()), t.data(), t.strides(), dense.data(), dense.numel());
}
static void run_masked_scatter(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &mask = args[1].tensor(), &source = args[2].tensor();
  if (out.into && out.into->is(t)) {
    check(expandable_to(mask.sizes(), t.sizes()), "output with shape ", shape_text(t.sizes()), " doesn't match the broadcast shape ", shape_text(mask.sizes()));
    scatter_masked(t, mask, source);
    out.wrote_into = true;
    return detail::box(out, t);
  }
  const Dims sizes = broadcast_sizes(t.sizes(), mask.sizes());
  Tensor result = Tensor::empty(sizes, t.dtype(), t.device());
  copy_into(result, t);
  scatter_masked(result, mask, source);
  detail::box(out, std::move(result));
}
static void masked_scatter_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, masked_fill(b.g(), b.in(1), Scalar(0)));
  if (!b.needs(2)) return;
  const IntList sizes = b.sizes(2);
  const Tensor used = masked_select(b.g(), b.in(1));
  const int64_t wanted = count_elements(sizes), have = used.numel();
  if (have == wanted) return b.set(2, reshape(used, sizes));
  const Tensor parts[] = {used, zeros_raw(Dims{wanted - have}, used.dtype(), used.device())};
  b.set(2, reshape(cat(TensorList(parts), 0), sizes));
}
const Op masked_scatter{OpDef{.schema = "masked_scatter(Tensor input, Tensor mask, Tensor source) -> Tensor",
                              .run = boxed(run_masked_scatter),
                              .on = Both | InPlace,
                              .linear = Linear::Joint, .vjp = masked_scatter_vjp,
                              .save = in(1) | shape(2),
                              .batch = batch::masked_scatter, .doc = "The input with the elements where the mask is True replaced by those of source, in order.\n\n"
                                     "Args: mask (bool, broadcast); source (same dtype, with at least as many elements as there are True ones).\n\n"
                                     "Example::\n\n    >>> torch.masked_scatter(torch.zeros(3), torch.tensor([True, False, True]), torch.tensor([5., 6.]))\n    tensor([5., 0., 6.])\n"}};

}  // namespace tabula
