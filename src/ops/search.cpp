#include "ops/search.h"

#include "kernels/index.h"
#include "kernels/sort.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/promote.h"
#include "ops/scalar_range.h"

namespace tabula {

// ---- searchsorted and bucketize ----

static Tensor search(const Tensor& bounds_given, const Tensor& values_given, bool int32, bool right, const Tensor& sorter) {
  const DType common = promote_types(bounds_given.dtype(), values_given.dtype());
  check_implemented(!is_complex(common) && common != DType::Bool, "\"searchsorted_out_cpu\" not implemented for '", dtype_title(common), "'");
  const Tensor bounds = contiguous_raw(cast_raw(bounds_given, common)), values = contiguous_raw(cast_raw(values_given, common));
  const DType index = int32 ? DType::Int32 : DType::Int64;
  Tensor result = Tensor::empty(values.sizes(), index, values.device());
  if (result.numel() == 0) return result;
  const int64_t length = bounds.sizes().back();
  if (length == 0) {
    fill_into(result, Scalar(0));
    return result;
  }
  Tensor order;
  if (sorter.defined()) {
    order = contiguous_raw(sorter);
    for (int64_t i = 0; i < order.numel() && !order.is_meta(); i++) {
      const int64_t at = order.data_as<int64_t>()[i];
      check(at >= 0 && at < length, "torch.searchsorted(): sorter index out of range");
    }
  }
  const bool shared = bounds.dim() == 1;
  const int64_t width = shared ? values.numel() : values.sizes().back(), rows = width ? values.numel() / width : 0;
  kernels::searchsorted[values.device().kind]({common, bounds.data(), shared ? 1 : rows, length, order.defined() ? order.data_as<int64_t>() : nullptr, values.data(),
                                               rows, width, index, result.data(), right});
  return result;
}

static bool from_right(bool right, std::optional<std::string_view> side) {
  if (!side) return right;
  check(*side == "left" || *side == "right", "torch.searchsorted(): side can only be 'left' or 'right' but got ", *side);
  check(*side == "right" || !right, "torch.searchsorted(): side and right can't be set to opposites, got side of ", *side, " while right was True");
  return *side == "right";
}

static Tensor checked_search(const Tensor& bounds, const Tensor& values, bool int32, bool right, std::optional<std::string_view> side, const Tensor& sorter) {
  right = from_right(right, side);
  check(bounds.dim() != 0, "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension");
  if (sorter.defined()) {
    check(same(sorter.sizes(), bounds.sizes()), "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor ", shape_text(bounds.sizes()),
          "and got sorter tensor ", shape_text(sorter.sizes()));
    check(sorter.dtype() == DType::Int64, "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype ", dtype_title(sorter.dtype()));
  }
  if (values.dim() == 0)
    check(bounds.dim() == 1, "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor dim(", bounds.dim(),
          ") and input value's dim(0) numel(1)");
  bool matching = bounds.dim() == 1;
  if (!matching && bounds.dim() == values.dim()) matching = same(bounds.sizes().first(size_t(bounds.dim() - 1)), values.sizes().first(size_t(values.dim() - 1)));
  check(matching, "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor ",
        shape_text(bounds.sizes()), " and input value tensor ", shape_text(values.sizes()));
  return search(bounds, values, int32, right, sorter);
}
static void check_place_dtype(const Out& out, bool int32) {
  if (!out.into) return;
  const DType have = out.into->dtype();
  check(have == (int32 ? DType::Int32 : DType::Int64), "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) "
        "depending on whether out_int32 flag is True, but we got output tensor's dtype ", dtype_title(have), " and out_int32 flag is ", int32 ? "True" : "False");
}
static void run_searchsorted(const Op&, const Value* args, Out& out) {
  check_place_dtype(out, args[2].flag());
  // a number is looked up in the boundaries' own dtype
  const Tensor& bounds = args[0].tensor();
  const Tensor values = args[1].is_tensor() ? args[1].tensor() : full_raw({}, args[1].scalar(), bounds.dtype(), bounds.device());
  detail::box(out, checked_search(bounds, values, args[2].flag(), args[3].flag(), args[4].is_none() ? std::nullopt : std::optional(args[4].str()), args[5].tensor()));
}
static const Op searchsorted{
    OpDef{.schema = "searchsorted(Tensor sorted_sequence, Operand input, *, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor",
          .run = boxed(run_searchsorted),
          .on = Function | OutForm,
          .batch = batch::searchsorted, .doc = "Where each value would have to be inserted to keep the last dimension of sorted_sequence in order; right=True: after equal ones.\n\n"
                 "Example::\n\n    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6]))\n    tensor([1, 3])\n"}};

static void run_bucketize(const Op&, const Value* args, Out& out) {
  const Tensor& bounds = args[1].tensor();
  check(bounds.dim() == 1, "boundaries tensor must be 1 dimension, but got dim(", bounds.dim(), ")");
  check_place_dtype(out, args[2].flag());
  const Tensor values = args[0].is_tensor() ? args[0].tensor() : full_raw({}, args[0].scalar(), bounds.dtype(), bounds.device());
  detail::box(out, checked_search(bounds, values, args[2].flag(), args[3].flag(), std::nullopt, Tensor()));
}
static const Op bucketize{OpDef{.schema = "bucketize(Operand input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
                                .run = boxed(run_bucketize),
                                .on = Function | OutForm,
                                .batch = batch::bucketize, .doc = "The number of the bucket between sorted boundaries (1-d) that each value falls in.\n\n"
                                       "Example::\n\n    >>> torch.bucketize(torch.tensor([0, 2, 9]), torch.tensor([1, 3]))\n    tensor([0, 1, 2])\n"}};

// ---- counting ----

static Tensor run_bincount(const Tensor& input, const Tensor& weights, int64_t minlength) {
  check_implemented(is_integral(input.dtype()), "\"bincount_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  check(minlength >= 0, "minlength should be >= 0");
  static constexpr const char* kOnly = "bincount only supports 1-d non-negative integral inputs.";
  if (input.dim() == 1 && input.numel() == 0) return zeros_raw(Dims{minlength}, DType::Int64, input.device());
  check(input.dim() == 1, kOnly);
  check_implemented(!input.is_meta(), "bincount: the size of the result depends on values, which a tensor on the meta device does not have");
  const Tensor dense = contiguous_raw(input);
  const auto device = input.device().kind;
  int64_t bins = 0;
  kernels::bincount_size[device](input.dtype(), dense.data(), dense.numel(), bins);
  bins = std::max(bins, minlength);
  if (!weights.defined()) {
    Tensor result = zeros_raw(Dims{bins}, DType::Int64, input.device());
    kernels::bincount[device](input.dtype(), dense.data(), dense.numel(), result.data_as<int64_t>(), bins);
    return result;
  }
  check(weights.dim() == 1 && weights.numel() == input.numel(), "weights should be 1-d and have the same length as input");
  const DType dtype = weights.dtype() == DType::Float32 ? DType::Float32 : DType::Float64;
  const Tensor w = contiguous_raw(cast_raw(weights, dtype));
  Tensor result = zeros_raw(Dims{bins}, dtype, input.device());
  kernels::bincount_weighted[device](input.dtype(), dense.data(), dense.numel(), dtype, w.data(), result.data(), bins);
  return result;
}
static const Op bincount{OpDef{.schema = "bincount(Tensor input, Tensor? weights=None, int minlength=0) -> Tensor",
                               .run = fn<run_bincount>,
                               .on = Both,
                               .batch = batch::each, .doc = "How often each of 0, 1, 2, ... occurs in a 1-d tensor of non-negative integers; with weights, their sums.\n\n"
                                      "Example::\n\n    >>> torch.bincount(torch.tensor([0, 2, 2]))\n    tensor([1, 0, 2])\n"}};

static Tensor run_histc(const Tensor& input, int64_t bins, const Scalar& low, const Scalar& high) {
  check_implemented(is_floating(input.dtype()), "\"histogram_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  check(bins > 0, "torch.histogram(): bins must be > 0, but got ", bins, " for dimension 0");
  check(low.to_double() <= high.to_double(), "torch.histc: max must be larger than min");
  const Tensor dense = contiguous_raw(input);
  Tensor result = zeros_raw(Dims{bins}, input.dtype(), input.device());
  if (input.numel()) kernels::histc[input.device().kind](input.dtype(), dense.data(), dense.numel(), result.data(), bins, low.to_double(), high.to_double());
  return result;
}
static void refuse_histc_out(DType result, DType given) {
  fail(ErrorKind::Runtime, "torch.histogram: input tensor and hist tensor should have the same dtype, but got input ", c_type_name(result), " and hist ", c_type_name(given));
}
static const Op histc{OpDef{.schema = "histc(Tensor input, int bins=100, Scalar min=0, Scalar max=0) -> Tensor",
                            .run = fn_exact_out_as<run_histc, refuse_histc_out>,
                            .on = Usual,
                            .batch = batch::each, .doc = "Counts of the elements in equal bins between min and max (both 0: the range of the data); others are left out."
        TABULA_EXAMPLE("torch.histc(torch.tensor([1., 2., 1.]), bins=2, min=1, max=2)", "tensor([2., 1.])")}};

// ---- distinct values ----

static void refuse_unique(const Tensor& t) {
  check_implemented(!is_complex(t.dtype()), "\"unique\" not implemented for '", dtype_title(t.dtype()), "'");
  check_implemented(!t.is_meta(), "unique: the size of the result depends on values, which a tensor on the meta device does not have");
}
static Tensor first_part(const Tensor& t, int64_t count) {
  Tensor part = Tensor::empty(Dims{count}, t.dtype(), t.device());
  copy_into(part, Tensor::alias(t, {Dims{count}, Dims{1}, 0}));
  return part;
}

using Triple = std::tuple<Tensor, Tensor, Tensor>;
static Triple unique_values(const Tensor& input, bool inverse, bool counts, bool consecutive) {
  refuse_unique(input);
  const Tensor dense = contiguous_raw(input);
  const int64_t n = dense.numel();
  const Dims length{n};
  Tensor values = Tensor::empty(length, input.dtype()), where, count;
  where = inverse ? Tensor::empty(input.sizes(), DType::Int64) : Tensor::empty(Dims{0}, DType::Int64);
  count = counts ? Tensor::empty(length, DType::Int64) : Tensor::empty(Dims{0}, DType::Int64);
  int64_t found = 0;
  if (n) {
    const kernels::UniqueCall call{input.dtype(), n, dense.data(), values.data(), inverse ? where.data_as<int64_t>() : nullptr, counts ? count.data_as<int64_t>() : nullptr};
    (consecutive ? kernels::unique_consecutive : kernels::unique)[input.device().kind](call, found);
  }
  return {first_part(values, found), where, counts ? first_part(count, found) : count};
}
static Triple unique_slices(const Tensor& input, int64_t dim, bool inverse, bool counts, bool consecutive) {
  check_index(input.dim() > 0, "Dimension specified as 0 but tensor has no dimensions");
  dim = wrap_dim(dim, input.dim());
  refuse_unique(input);
  // one row per slice
  Geometry g = input.geometry();
  const int64_t rows = g.sizes[dim], stride = g.strides[dim];
  g.sizes.erase(dim);
  g.strides.erase(dim);
  const int64_t columns = count_elements(g.sizes);
  if (columns == 0) {
    check(rows == 0, "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
    return {clone_raw(input), Tensor::empty(Dims{0}, DType::Int64), Tensor::empty(Dims{0}, DType::Int64)};
  }
  g.sizes.insert(0, rows);
  g.strides.insert(0, stride);
  const Tensor matrix = contiguous_raw(Tensor::alias(input, g));
  const Dims length{rows};
  Tensor first = Tensor::empty(length, DType::Int64), where = Tensor::empty(length, DType::Int64), count = Tensor::empty(length, DType::Int64);
  int64_t found = 0;
  if (rows)
    kernels::unique_rows[input.device().kind](
        {input.dtype(), rows, columns, matrix.data(), first.data_as<int64_t>(), where.data_as<int64_t>(), count.data_as<int64_t>(), consecutive}, found);
  const Tensor none = Tensor::empty(Dims{0}, DType::Int64);
  return {index_select(input, dim, first_part(first, found)), inverse ? where : none, counts ? first_part(count, found) : none};
}

#define UNIQUE_RETURNS " -> (Tensor, Tensor, Tensor)"
static Triple run_unique2(const Tensor& input, bool, bool inverse, bool counts) { return unique_values(input, inverse, counts, false); }
static const Op unique2{OpDef{.schema = "_unique2(Tensor input, bool sorted=True, bool return_inverse=False, bool return_counts=False)" UNIQUE_RETURNS,
                              .run = fn<run_unique2>,
                              .on = Function,
    .batch = batch::dynamic_shape, .doc =
        "The different elements, and if asked for the place of each element among them and how often each occurs."
        TABULA_EXAMPLE("torch._unique2(torch.tensor([2, 1, 2]))[0]", "tensor([1, 2])")}};
static std::tuple<Tensor, Tensor> run_unique_pair(const Tensor& input, bool, bool inverse) {
  auto [values, where, counts] = unique_values(input, inverse, false, false);
  return {values, where};
}
static const Op unique_pair{OpDef{.schema = "_unique(Tensor input, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)",
                                  .run = fn<run_unique_pair>,
                                  .on = Function,
    .batch = batch::dynamic_shape, .doc =
        "The different elements, and if asked for the place of each element among them."
        TABULA_EXAMPLE("torch._unique(torch.tensor([2, 1, 2]))[0]", "tensor([1, 2])")}};
static Triple run_unique_dim(const Tensor& input, int64_t dim, bool, bool inverse, bool counts) { return unique_slices(input, dim, inverse, counts, false); }
static const Op unique_dim{OpDef{.schema = "unique_dim(Tensor input, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False)" UNIQUE_RETURNS,
                                 .run = fn<run_unique_dim>,
                                 .on = Internal, .batch = batch::dynamic_shape}};

// What was asked for: the values alone, or with positions and counts.
static void unique_results(const Tensor& input, bool inverse, bool counts, const Value& dim, bool consecutive, Out& out) {
  const auto [values, where, count] = dim.is_none() ? unique_values(input, inverse, counts, consecutive) : unique_slices(input, dim.integer(), inverse, counts, consecutive);
  out.tensors[out.count++] = values;
  if (inverse) out.tensors[out.count++] = where;
  if (counts) out.tensors[out.count++] = count;
}
static void run_unique(const Op&, const Value* args, Out& out) { unique_results(args[0].tensor(), args[2].flag(), args[3].flag(), args[4], false, out); }
const Op unique{OpDef{.schema = "unique(Tensor input, bool sorted=True, bool return_inverse=False, bool return_counts=False, int? dim=None) -> Tensor",
                             .run = boxed(run_unique),
                             .on = Both,
                             .batch = batch::dynamic_shape, .doc = "The distinct elements in ascending order, or with dim the distinct slices along it.\n\n"
                                    "return_inverse adds for each element the position of its value, return_counts how often each value occurs.\n\n"
                                    "Example::\n\n    >>> torch.unique(torch.tensor([3, 1, 3]))\n    tensor([1, 3])\n"}};
static void run_unique_consecutive(const Op&, const Value* args, Out& out) { unique_results(args[0].tensor(), args[1].flag(), args[2].flag(), args[3], true, out); }
static const Op unique_consecutive{OpDef{.schema = "unique_consecutive(Tensor input, bool return_inverse=False, bool return_counts=False, int? dim=None) -> Tensor",
                                         .run = boxed(run_unique_consecutive),
                                         .on = Both,
                                         .batch = batch::dynamic_shape, .doc = "As torch.unique, merging only neighbours that are equal, without sorting.\n\n"
                                                "Example::\n\n    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]))\n    tensor([1, 2, 1])\n"}};

}  // namespace tabula
