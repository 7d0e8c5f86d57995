#include "ops/sparse.h"

#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/gather.h"
#include "ops/index_basic.h"
#include "ops/mask.h"
#include "ops/view.h"

namespace tabula {

const char* layout_title(Layout layout) {
  constexpr const char* titles[] = {"Strided", "Sparse", "SparseCsr", "SparseCsc", "SparseBsr", "SparseBsc", "Jagged"};
  return titles[int(layout)];
}

static Tensor assembled(SparseParts parts, IntList sizes) {
  const DType dtype = parts.values.dtype();
  const Device device = parts.values.device();
  // what is kept must not bring histories of its own: those of the whole are recorded with it
  parts.indices = Tensor::alias(parts.indices);
  parts.values = Tensor::alias(parts.values);
  if (parts.plain.defined()) parts.plain = Tensor::alias(parts.plain);
  return Tensor::of_parts(std::make_unique<SparseParts>(std::move(parts)), sizes, dtype, device);
}

// The gradient of the values: what the incoming one, dense or sparse, has at their places. The pattern is made anew
// from the indices: the tensor itself may have another one by then.
extern const Op sparse_project;
static void values_from_gradient(Backward& b, int values, SparseParts pattern, IntList sizes) {
  const IntList shape = b.sizes(values);
  const Tensor zero = zeros_raw({}, b.dtype(values), pattern.indices.device());
  pattern.values = Tensor::alias(zero, {Dims(shape), Dims(int64_t(shape.size())), 0});
  b.set(values, sparse_project(b.g(), assembled(std::move(pattern), sizes)));
}

static void run_coo(const Op&, const Value* args, Out& out) {
  SparseParts parts;
  parts.indices = args[0].tensor();
  parts.values = args[1].tensor();
  parts.coalesced = args[3].flag();
  detail::box(out, assembled(std::move(parts), args[2].ints()));
}
static void coo_vjp(Backward& b) {
  SparseParts pattern;
  pattern.indices = b.in(0);
  pattern.coalesced = b.flag(3);
  values_from_gradient(b, 1, std::move(pattern), b.ints(2));
}
static const Op sparse_coo{
    OpDef{.schema = "_sparse_coo(Tensor indices, Tensor values, int[] size, bool coalesced) -> Tensor",
          .run = boxed(run_coo),
          .on = Internal,
          .vjp = coo_vjp,
          .save = in(0) | shape(1),
          .node = "SparseCooTensorWithDimsAndTensorsBackward0",
          .batch = batch::refused}};

static void run_compressed(const Op&, const Value* args, Out& out) {
  SparseParts parts;
  parts.indices = args[0].tensor();
  parts.plain = args[1].tensor();
  parts.values = args[2].tensor();
  parts.layout = args[4].layout();
  detail::box(out, assembled(std::move(parts), args[3].ints()));
}
static void compressed_vjp(Backward& b) {
  SparseParts pattern;
  pattern.indices = b.in(0);
  pattern.plain = b.in(1);
  pattern.layout = b.arg(4).layout();
  values_from_gradient(b, 2, std::move(pattern), b.ints(3));
}
static const Op sparse_compressed{OpDef{
    .schema =
        "_sparse_compressed(Tensor compressed, Tensor plain, Tensor values, int[] size, Layout? layout) -> Tensor",
    .run = boxed(run_compressed),
    .on = Internal,
    .vjp = compressed_vjp,
    .save = in(0) | in(1) | shape(2),
    .node = "SparseCompressedTensorBackward0",
          .batch = batch::refused}};

Tensor sparse_rows(const Tensor& grad, const Tensor& index, IntList sizes, int64_t padding) {
  static constexpr int64_t flat[] = {-1};
  const int64_t rows[] = {index.numel(), sizes[1]};
  Tensor places = reshape(to_dtype(index, DType::Int64), IntList(flat)), values = reshape(grad, IntList(rows));
  if (padding >= 0) {
    const Tensor kept = select(nonzero(ne(places, Scalar(padding))), int64_t(1), int64_t(0));
    places = index_select(places, int64_t(0), kept);
    values = index_select(values, int64_t(0), kept);
  }
  return sparse_coo(unsqueeze(places, int64_t(0)), values, sizes, places.numel() < 2);
}

Tensor sparse_gathered(const Tensor& grad, int64_t given_dim, const Tensor& index, IntList sizes) {
  static constexpr int64_t flat[] = {-1};
  const int64_t dim = wrap_dim(given_dim, int64_t(sizes.size()));
  if (sizes.empty()) return grad;
  std::vector<Tensor> rows;
  for (int64_t d = 0; d < int64_t(sizes.size()); d++) {
    Dims shape(int64_t(sizes.size()));
    for (int64_t& size : shape) size = 1;
    shape[d] = index.sizes()[size_t(d)];
    const Tensor row =
        d == dim ? to_dtype(index, DType::Int64) : expand(view(arange_raw(shape[d]), IntList(shape)), index.sizes());
    rows.push_back(reshape(row, IntList(flat)));
  }
  return sparse_coo(stack(TensorList(rows), int64_t(0)), reshape(grad, IntList(flat)), sizes, index.numel() < 2);
}

// The gradient of the values, as one of the tensor: where indices repeat, each of the equal ones has that of their sum.
extern const Op sparse_distinct;

// Shares memory with what the tensor holds. The gradient is a sparse tensor of the same pattern, which is kept apart
// from the tensor: that may have another one by then.
static Tensor run_values_of(const Tensor& input, const Tensor&, const Tensor&, std::optional<Layout>, bool) {
  return Tensor::alias(sparse_parts(input)->values);
}
static void values_vjp(Backward& b) {
  const Tensor &indices = b.in(1), &plain = b.in(2);
  const Value& layout = b.arg(3);
  if (plain.defined()) return b.set(0, sparse_compressed(indices, plain, b.g(), b.sizes(0), layout));
  const Tensor gradient = sparse_coo(indices, b.g(), b.sizes(0), b.flag(4));
  b.set(0, b.flag(4) ? gradient : sparse_distinct(gradient));
}
static const Op sparse_values_of{OpDef{
    .schema =
        "_sparse_values_of(Tensor input, Tensor indices, Tensor? plain, Layout? layout, bool coalesced) -> Tensor",
    .run = fn<run_values_of>,
    .on = Hidden,
    .parts = true,
    .vjp = values_vjp,
    .save = in(1) | in(2) | shape(0),
    .node = "ValuesBackward0",
          .batch = batch::refused}};
static Tensor run_values(const Tensor& input) {
  const SparseParts* parts = sparse_parts(input);
  check(parts, "values expected sparse tensor layout but got ", layout_title(layout_of(input)));
  return sparse_values_of(input, parts->indices, parts->plain, parts->layout, parts->coalesced);
}
static const Op sparse_values{OpDef{.schema = "_sparse_values(Tensor input) -> Tensor",
                                    .run = fn<run_values>,
                                    .on = Internal,
                                    .composite = true,
                                    .parts = true}};

// What every in-place operation on a sparse tensor ends with: the target takes over the other's pattern and values.
static Tensor run_assign(const Tensor& input, const Tensor& other) {
  check(sparse_parts(input) && sparse_parts(other), "only a sparse tensor can become another one");
  TensorImpl &to = *input.impl(), &from = *other.impl();
  to.parts = from.parts->copy();
  to.dtype = from.dtype;
  to.sizes = from.sizes;
  to.strides = from.strides;
  to.numel = from.numel;
  return input;
}
static void assign_vjp(Backward& b) { b.set(1, b.g()); }
static const Op sparse_assign{OpDef{.schema = "_sparse_assign(Tensor(a!) input, Tensor other) -> Tensor(a!)",
                                    .run = fn<run_assign>,
                                    .on = Internal,
                                    .parts = true,
                                    .vjp = assign_vjp,
                                    .batch = batch::refused}};

// Rules in torch/sparse take these calls. Here, there are only those that concern no sparse tensor.
static Tensor run_distinct(const Tensor& input) { return input; }
const Op sparse_distinct{OpDef{
    .schema = "_sparse_distinct(Tensor input) -> Tensor", .run = fn<run_distinct>, .on = Internal, .composite = true}};
static Tensor run_project(const Tensor& input, const Tensor&) {
  fail(ErrorKind::Runtime, "sparse_project: the pattern must be sparse, but the layout is ",
       layout_title(layout_of(input)));
}
const Op sparse_project{OpDef{.schema = "_sparse_project(Tensor input, Tensor pattern) -> Tensor",
                              .run = fn<run_project>,
                              .on = Internal,
                              .composite = true}};

}  // namespace tabula
