#include "ops/scatter.h"

#include "kernels/index.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/scalar_range.h"
#include "ops/scatter_reduce.h"

namespace tabula {

using kernels::ScatterOp;

static bool is_index(const Tensor& t) { return t.dtype() == DType::Int64 || t.dtype() == DType::Int32; }

[[noreturn]] static void not_differentiable(Backward&) { fail(ErrorKind::Runtime, "derivative for aten::scatter_ is not implemented"); }

// Shapes and dtypes as scatter and its relatives want them; src is undefined where a number is written.
static void check_scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& src) {
  if (src.defined()) check(t.dtype() == src.dtype(), "scatter(): Expected self.dtype to be equal to src.dtype");
  if (index.numel() == 0) return;
  check(is_index(index), "scatter(): Expected dtype int32/int64 for index");
  const Geometry to = at_least_1d(t), at = at_least_1d(index);
  check(at.sizes.size() == to.sizes.size(), "Index tensor must have the same number of dimensions as self tensor");
  bool fits = true;
  for (int64_t d = 0; d < at.sizes.size(); d++) fits &= d == dim || at.sizes[d] <= to.sizes[d];
  if (!src.defined()) {
    check(fits, "Expected index ", shape_text(index.sizes()), " to be no larger than self ", shape_text(t.sizes()), " apart from dimension ", dim);
    return;
  }
  const Geometry from = at_least_1d(src);
  check(from.sizes.size() == at.sizes.size(), "Index tensor must have the same number of dimensions as src tensor");
  for (int64_t d = 0; d < at.sizes.size(); d++) fits &= at.sizes[d] <= from.sizes[d];
  check(fits, "Expected index ", shape_text(index.sizes()), " to be no larger than self ", shape_text(t.sizes()), " apart from dimension ", dim,
        " and to be no larger size than src ", shape_text(src.sizes()));
}

static void scatter_into(const Tensor& target, int64_t dim, const Tensor& given, const Tensor& src, const Scalar& value, ScatterOp op, bool include_self = true) {
  if (given.numel() == 0) return;
  const Tensor index = long_index(apart_from(target, given));
  const Geometry to = at_least_1d(target), at = at_least_1d(index);
  alignas(16) char number[16];
  const Tensor source = src.defined() ? apart_from(target, src) : Tensor();
  const Geometry from = source.defined() ? at_least_1d(source) : Geometry{at.sizes, Dims(at.sizes.size(), 0), 0};
  if (!source.defined()) store_scalar(number, target.dtype(), value);
  kernels::ScatterCall call{.dtype = target.dtype(), .op = op, .include_self = include_self, .sizes = at.sizes, .dim = dim, .self = target.data(),
                            .self_strides = to.strides, .self_size = to.sizes[dim], .index = index.data_as<int64_t>(), .index_strides = at.strides,
                            .src = source.defined() ? source.data() : number, .src_strides = from.strides};
  kernels::scatter[target.device().kind](call);
}

// ---- scatter ----

static ScatterOp named_reduction(std::string_view name) {
  check(name == "add" || name == "multiply", "reduce argument must be either add or multiply.");
  return name == "add" ? ScatterOp::Add : ScatterOp::Multiply;
}

static void scatter_tensor(const Value* args, Out& out, ScatterOp op) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor(), &src = args[3].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_scatter(t, dim, index, src);
  const Tensor target = target_of(args, out);
  scatter_into(target, dim, index, src, Scalar(), op);
  detail::box(out, target);
}
static void scatter_number(const Value* args, Out& out, ScatterOp op) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_scatter(t, dim, index, Tensor());
  check_fits(args[3].scalar(), t.dtype());
  const Tensor target = target_of(args, out);
  scatter_into(target, dim, index, Tensor(), args[3].scalar(), op);
  detail::box(out, target);
}

static void run_scatter_reduce_op(const Op&, const Value* args, Out& out) { scatter_tensor(args, out, named_reduction(args[4].str())); }
static void run_scatter_value_reduce(const Op&, const Value* args, Out& out) { scatter_number(args, out, named_reduction(args[4].str())); }
static const Op scatter_reduce_op{OpDef{.schema = "scatter.reduce(Tensor input, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor",
                                        .run = boxed_exact_out<run_scatter_reduce_op>,
                                        .on = Pointwise_,
                                        .vjp = not_differentiable, .batch = batch::dims}};
static const Op scatter_value_reduce{OpDef{.schema = "scatter.value_reduce(Tensor input, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor",
                                           .run = boxed_exact_out<run_scatter_value_reduce>,
                                           .on = Pointwise_,
                                           .vjp = not_differentiable, .batch = batch::dims}};

static void run_scatter(const Op&, const Value* args, Out& out) { scatter_tensor(args, out, ScatterOp::Assign); }
static void scatter_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, scatter_value(b.g(), b.arg(1), b.in(2), Scalar(0)));
  if (b.needs(3)) b.set(3, gather(b.g(), b.arg(1), b.in(2)));
}
const Op scatter{OpDef{.schema = "scatter.src(Tensor input, int dim, Tensor index, Tensor src) -> Tensor",
                       .run = boxed_exact_out<run_scatter>,
                       .on = Pointwise_,
                       .linear = Linear::Joint, .vjp = scatter_vjp,
                       .save = in(2),
                       .batch = batch::dims, .doc = "The input with elements of src written along a dimension: out[index[i][j]][j] = src[i][j] for dim=0, and so on.\n\n"
                              "Args: index (int64 or int32, no larger than src, and than the input apart from dim); src (of the input's dtype) or value (a number); "
                              "reduce ('add' or 'multiply') combines instead of writing. Of repeated positions the last one counts.\n\n"
                              "Example::\n\n    >>> torch.scatter(torch.zeros(3), 0, torch.tensor([2, 0]), torch.tensor([5., 6.]))\n    tensor([6., 0., 5.])\n"}};
static void run_scatter_value(const Op&, const Value* args, Out& out) { scatter_number(args, out, ScatterOp::Assign); }
static void scatter_value_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, scatter_value(b.g(), b.arg(1), b.in(2), Scalar(0)));
}
const Op scatter_value{OpDef{.schema = "scatter.value(Tensor input, int dim, Tensor index, Scalar value) -> Tensor",
                             .run = boxed_exact_out<run_scatter_value>,
                             .on = Pointwise_,
                             .vjp = scatter_value_vjp,
                             .save = in(2),
                             .node = "ScatterBackward1", .batch = batch::dims}};

static void run_scatter_add(const Op&, const Value* args, Out& out) { scatter_tensor(args, out, ScatterOp::Add); }
static void scatter_add_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(3)) b.set(3, gather(b.g(), b.arg(1), b.in(2)));
}
const Op scatter_add{OpDef{.schema = "scatter_add(Tensor input, int dim, Tensor index, Tensor src) -> Tensor",
                           .run = boxed_exact_out<run_scatter_add>,
                           .on = Pointwise_,
                           .linear = Linear::Joint, .vjp = scatter_add_vjp,
                           .save = in(2),
                           .batch = batch::dims, .doc = "As torch.scatter, adding to what is there; repeated positions add up, in order.\n\n"
                                  "Example::\n\n    >>> torch.scatter_add(torch.zeros(2), 0, torch.tensor([1, 1]), torch.tensor([2., 3.]))\n    tensor([0., 5.])\n"}};

// ---- scatter_reduce ----

static ScatterOp scatter_reduction(std::string_view name) {
  if (name == "sum") return ScatterOp::Add;
  if (name == "prod") return ScatterOp::Multiply;
  if (name == "mean") return ScatterOp::Mean;
  if (name == "amax") return ScatterOp::Max;
  if (name == "amin") return ScatterOp::Min;
  fail(ErrorKind::Runtime, "reduce argument must be either sum, prod, mean, amax or amin, got ", name);
}
static void run_scatter_reduce(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor(), &src = args[3].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  const ScatterOp op = scatter_reduction(args[4].str());
  check_scatter(t, dim, index, src);
  const Tensor target = target_of(args, out);
  scatter_into(target, dim, index, src, Scalar(), op, args[5].flag());
  detail::box(out, target);
}
static void scatter_reduce_vjp(Backward& b) {
  const Value dim = b.arg(1), how = b.arg(4), include = b.arg(5);
  const Tensor& index = b.in(2);
  reduce_into_vjp(b, b.str(4), b.flag(5),
                  {.take = [&](const Tensor& t) { return gather(t, dim, index); },
                   .add = [&](const Tensor& to, const Tensor& from) { return scatter_add(to, dim, index, from); },
                   .combine = [&](const Tensor& to, const Tensor& from) { return scatter_reduce(to, dim, index, from, how, include); },
                   .clear = [&](const Tensor& t) { return scatter_value(t, dim, index, Scalar(0)); }});
}
const Op scatter_reduce{OpDef{.schema = "scatter_reduce(Tensor input, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> Tensor",
                              .run = boxed_exact_out<run_scatter_reduce>,
                              .on = Pointwise_,
                              .vjp = scatter_reduce_vjp,
                              .save = in(0) | in(2) | in(3) | out(),
                              .batch = batch::dims, .doc = "As torch.scatter, combining what falls on the same position: reduce is 'sum', 'prod', 'mean', 'amax' or 'amin'. "
                                     "include_self=False leaves out what was there before."
        TABULA_EXAMPLE("torch.scatter_reduce(torch.tensor([1., 2.]), 0, torch.tensor([0, 0]), torch.tensor([3., 5.]), 'sum')",
                       "tensor([9., 2.])")}};

// ---- whole slices: index_add, index_copy, index_fill, index_reduce ----

// Strides of a 1-d or 0-d index along `dim`, broadcast over the other dimensions.
static Dims slice_strides(const Tensor& index, int64_t rank, int64_t dim) {
  Dims strides(rank, 0);
  strides[dim] = index.dim() ? index.strides()[0] : 1;
  return strides;
}

static void slices_into(const Tensor& target, int64_t dim, const Tensor& given, const Geometry& from, const void* src, ScatterOp op, kernels::IndexRule rule,
                        const void* alpha = nullptr, bool include_self = true) {
  if (count_elements(from.sizes) == 0) return;
  const Tensor index = long_index(apart_from(target, given));
  const Geometry to = at_least_1d(target);
  const Dims at = slice_strides(index, to.sizes.size(), dim);
  kernels::ScatterCall call{.dtype = target.dtype(), .op = op, .include_self = include_self, .sizes = from.sizes, .dim = dim, .self = target.data(),
                            .self_strides = to.strides, .self_size = to.sizes[dim], .index = index.data_as<int64_t>(), .index_strides = at, .src = src,
                            .src_strides = from.strides, .alpha = alpha};
  call.rule = rule;
  kernels::scatter[target.device().kind](call);
}

// The checks that index_add and index_reduce share.
static void check_slices(const char* name, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
  check_index(index.dim() <= 1, name, "_(): Index is supposed to be a vector, but got dim: ", index.dim(), " with type: ", dtype_title(index.dtype()), " and size: ",
              shape_text(index.sizes()));
  check(is_index(index), name, "_(): Expected dtype int32/int64 for index but got: ", dtype_title(index.dtype()));
  check(t.dtype() == source.dtype(), name, "_(): self (", dtype_title(t.dtype()), ") and source (", dtype_title(source.dtype()), ") must have the same scalar type");
  check(dim == 0 || dim < source.dim(), name, "_(): Indexing dim ", dim, " is out of bounds of the source tensor with dim ", source.dim());
  const int64_t length = source.dim() ? source.sizes()[size_t(dim)] : 1;
  check(index.numel() == length, name, "_(): Number of indices (", index.numel(), ") should be equal to source.size(dim): (", length, "), for dim: ", dim);
  Dims to(t.sizes()), from(source.sizes());
  if (dim < to.size()) to.erase(dim);
  if (dim < from.size()) from.erase(dim);
  check(same(to, from) && t.dim() == source.dim(), "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = ",
        shape_text(t.sizes()), " source.shape = ", shape_text(source.sizes()));
}

static void run_index_add(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor(), &given = args[3].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_slices("index_add", t, dim, index, given);
  const Tensor target = target_of(args, out), source = apart_from(target, given);
  alignas(16) char alpha[16];
  store_scalar(alpha, t.dtype(), args[4].scalar());
  // PyTorch adds the elements of a vector in a loop of its own, with its own text for a wrong index
  const kernels::IndexRule rule = t.dim() > 1 ? kernels::IndexRule::Gather : kernels::IndexRule::Self;
  slices_into(target, dim, index, at_least_1d(source), source.data(), ScatterOp::Add, rule, args[4].scalar().equals(1) ? nullptr : alpha);
  detail::box(out, target);
}
static Tensor slices_of(Backward& b, int source) {
  return b.sizes(source).empty() ? b.g() : index_select(b.g(), b.arg(1), b.in(2));
}
static void index_add_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (!b.needs(3)) return;
  const Tensor grad = slices_of(b, 3);
  const Scalar alpha = b.arg(4).scalar();
  b.set(3, alpha.equals(1) ? grad : grad * conj_of(alpha));
}
const Op index_add{OpDef{.schema = "index_add(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
                         .run = boxed_exact_out<run_index_add>,
                         .on = Pointwise_,
                         .linear = Linear::Joint, .vjp = index_add_vjp,
                         .save = in(2) | shape(3),
                         .batch = batch::index_write, .doc = "Adds alpha times the slices of source along dim to the slices whose numbers stand in index; repeated ones add up, in order.\n\n"
                                "Example::\n\n    >>> torch.index_add(torch.zeros(3), 0, torch.tensor([1, 1]), torch.tensor([2., 3.]))\n    tensor([0., 5., 0.])\n"}};

static void run_index_copy(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor(), &given = args[3].tensor();
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_index(index.dim() < 2, "index_copy_(): Index should have dimension 1 or 0 (got ", index.dim(), ")");
  const int64_t count = index.numel();
  if (given.dim() == 0)
    check_index(count == 1, "index_copy_(): When source is scalar, index should have one element (got ", count, ")");
  else if (given.dim() != t.dim() && t.dim() != 0)
    fail(ErrorKind::Index, "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality (", given.dim(),
         "), destination dimensionality (", t.dim(), ")");
  check(index.dtype() == DType::Int64, "index_copy_(): Expected a long tensor for index, but got ", dtype_title(index.dtype()));
  check(t.dtype() == given.dtype(), "index_copy_(): self and source expected to have the same dtype, but got (self) ", dtype_title(t.dtype()), " and (source) ",
        dtype_title(given.dtype()));
  Dims to(t.sizes()), from(given.sizes());
  if (to.size()) to.erase(dim);
  if (dim < from.size()) from.erase(dim);
  bool fits = to.size() == from.size();
  for (int64_t d = 0; fits && d < to.size(); d++) fits = to[d] == from[d];
  if (!fits && given.dim() != 0 && t.dim() != 0)
    fail(ErrorKind::Runtime, "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: ", to.size() ? to[0] : 1,
         " at dimension ", dim, " and source slice shape: ", from.size() ? from[0] : 1, " at dimension 0.");
  const int64_t length = given.dim() ? given.sizes()[size_t(dim)] : 1;
  check_index(given.dim() == 0 || count == length, "index_copy_(): Number of indices (", count, ") should be equal to source.size(dim) (", length, ")");
  const Tensor target = target_of(args, out), source = apart_from(target, given);
  Geometry slices = at_least_1d(source);
  if (slices.sizes.size() < t.dim()) slices = expanded(slices, t.sizes());
  if (t.dim() && given.dim() == 0) slices.sizes[dim] = count;
  slices_into(target, dim, index, slices, source.data(), ScatterOp::Assign, kernels::IndexRule::Copy);
  detail::box(out, target);
}
static void index_copy_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, index_fill(b.g(), b.arg(1), b.in(2), Scalar(0)));
  if (b.needs(3)) b.set(3, slices_of(b, 3));
}
const Op index_copy{OpDef{.schema = "index_copy(Tensor input, int dim, Tensor index, Tensor source) -> Tensor",
                          .run = boxed_exact_out<run_index_copy>,
                          .on = Pointwise_,
                          .linear = Linear::Joint, .vjp = index_copy_vjp,
                          .save = in(2) | shape(3),
                          .batch = batch::index_write, .doc = "The input with its slices along dim, numbered by index, replaced by those of source. Of repeated numbers the last one counts."
        TABULA_EXAMPLE("torch.index_copy(torch.zeros(3), 0, torch.tensor([2]), torch.tensor([5.]))",
                       "tensor([0., 0., 5.])")}};

static void fill_slices(const Value* args, const Scalar& value, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor();
  check_index(index.dtype() == DType::Int64, "index_fill_(): Expected dtype int64 for index.");
  check(is_complex(t.dtype()) || !value.is_complex(), "index_fill_(): Converting complex Scalar to non-complex type is not supported");
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check(index.dim() <= 1, "Index has to be a vector/scalar");
  check_fits(value, t.dtype());
  const Tensor target = target_of(args, out, true);
  Geometry slices = at_least_1d(target);
  slices.sizes[dim] = index.numel();
  std::fill(slices.strides.begin(), slices.strides.end(), int64_t(0));
  alignas(16) char number[16];
  store_scalar(number, t.dtype(), value);
  slices_into(target, dim, index, slices, number, ScatterOp::Assign, kernels::IndexRule::Indexing);
  detail::box(out, target);
}
static void run_index_fill_tensor(const Op&, const Value* args, Out& out) {
  const Tensor& value = args[3].tensor();
  check(value.dim() == 0, "index_fill_ only supports a 0-dimensional value tensor, but got tensor with ", value.dim(), " dimension(s).");
  fill_slices(args, value.is_meta() ? Scalar(0) : item(value), out);
}
static void index_fill_tensor_vjp(Backward& b) {
  const Tensor kept = index_fill(b.g(), b.arg(1), b.in(2), Scalar(0));
  if (b.needs(0)) b.set(0, kept);
  if (b.needs(3)) b.set(3, b.g() - kept);  // summed to the 0-d value by the engine
}
static const Op index_fill_tensor{OpDef{.schema = "index_fill.int_Tensor(Tensor input, int dim, Tensor index, Tensor value) -> Tensor",
                                        .run = boxed(run_index_fill_tensor),
                                        .on = Both | InPlace,
                                        .vjp = index_fill_tensor_vjp,
                                        .save = in(2), .batch = batch::index_write}};
static void run_index_fill(const Op&, const Value* args, Out& out) { fill_slices(args, args[3].scalar(), out); }
static void index_fill_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, index_fill(b.g(), b.arg(1), b.in(2), Scalar(0)));
}
const Op index_fill{OpDef{.schema = "index_fill.int_Scalar(Tensor input, int dim, Tensor index, Scalar value) -> Tensor",
                          .run = boxed(run_index_fill),
                          .on = Both | InPlace,
                          .vjp = index_fill_vjp,
                          .save = in(2),
                          .batch = batch::index_write, .doc = "The input with value in the slices along dim whose numbers stand in index (int64, negative ones count from the end)."
        TABULA_EXAMPLE("torch.index_fill(torch.zeros(3), 0, torch.tensor([0, 2]), 1)", "tensor([1., 0., 1.])")}};

static void run_index_reduce(const Op&, const Value* args, Out& out) {
  const Tensor &t = args[0].tensor(), &index = args[2].tensor(), &given = args[3].tensor();
  const std::string_view how = args[4].str();
  check(how == "prod" || how == "mean" || how == "amax" || how == "amin", "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got ", how, ".");
  const int64_t dim = wrap_dim(args[1].integer(), t.dim());
  check_slices("index_reduce", t, dim, index, given);
  const Tensor target = target_of(args, out), source = apart_from(target, given);
  slices_into(target, dim, index, at_least_1d(source), source.data(), scatter_reduction(how), kernels::IndexRule::Self, nullptr, args[5].flag());
  detail::box(out, target);
}
static void index_reduce_vjp(Backward& b) {
  const Value dim = b.arg(1), how = b.arg(4), include = b.arg(5);
  const Tensor& index = b.in(2);
  reduce_into_vjp(b, b.str(4), b.flag(5),
                  {.take = [&](const Tensor& t) { return index_select(t, dim, index); },
                   .add = [&](const Tensor& to, const Tensor& from) { return index_add(to, dim, index, from); },
                   .combine = [&](const Tensor& to, const Tensor& from) { return index_reduce(to, dim, index, from, how, include); },
                   .clear = [&](const Tensor& t) { return index_fill(t, dim, index, Scalar(0)); }});
}
const Op index_reduce{OpDef{.schema = "index_reduce(Tensor input, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> Tensor",
                            .run = boxed_exact_out<run_index_reduce>,
                            .on = Pointwise_,
                            .vjp = index_reduce_vjp,
                            .save = in(0) | in(2) | in(3) | out(),
                            .batch = batch::index_write, .doc = "Combines the slices of source along dim with the slices numbered by index: reduce is 'prod', 'mean', 'amax' or 'amin'. "
                                   "include_self=False leaves out what was there before."
        TABULA_EXAMPLE("torch.index_reduce(torch.tensor([1., 2.]), 0, torch.tensor([0, 0]), torch.tensor([3., 5.]), 'prod')",
                       "tensor([15.,  2.])")}};

}  // namespace tabula
