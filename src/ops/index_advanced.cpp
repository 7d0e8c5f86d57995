#include "ops/index_advanced.h"

#include "kernels/index.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/mask.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {

namespace {

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

// The dimensions of a tensor apart: indexed ones with their int64 indices, broadcast against each other, and kept ones.
struct Plan {
  std::vector<Tensor> indices;
  std::vector<Dims> index_strides;
  Dims indexed, kept;  // dimension numbers
  Dims index_sizes, kept_sizes;
  int64_t place = 0;   // how many kept dimensions come before those of the indices in the result

  Plan(const Tensor& t, TensorList given);
  Dims result_sizes() const;
  // Strides of a tensor of the result's shape, for the two groups of its dimensions.
  Dims index_part(IntList strides) const { return Dims(strides.subspan(size_t(place), size_t(index_sizes.size()))); }
  Dims kept_part(IntList strides) const {
    Dims part(strides.first(size_t(place)));
    for (size_t d = size_t(place + index_sizes.size()); d < strides.size(); d++) part.push_back(strides[d]);
    return part;
  }
};

Plan::Plan(const Tensor& t, TensorList given) {
  const int64_t rank = t.dim();
  check_index(int64_t(given.size()) <= rank, "too many indices for tensor of dimension ", rank, " (got ", given.size(), ")");
  int64_t dim = 0;
  for (size_t i = 0; i < given.size(); i++) {
    const Tensor& one = given[i];
    if (!one.defined()) {
      check_index(dim < rank, "too many indices for tensor of dimension ", rank);
      kept.push_back(dim++);
      continue;
    }
    if (is_mask(one)) {
      if (one.dtype() == DType::UInt8)
        warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.");
      check_index(dim + one.dim() <= rank, "too many indices for tensor of dimension ", rank);
      for (int64_t d = 0; d < one.dim(); d++)
        check_index(one.sizes()[size_t(d)] == t.sizes()[size_t(dim + d)], "The shape of the mask ", shape_text(one.sizes()), " at index ", d,
                    " does not match the shape of the indexed tensor ", shape_text(t.sizes()), " at index ", dim + d);
      check_implemented(!one.is_meta(), "index: a mask on the meta device has no values that could be counted");
      const Tensor at = nonzero_raw(one);
      for (int64_t d = 0; d < one.dim(); d++) {
        indexed.push_back(dim++);
        indices.push_back(Tensor::alias(at, {Dims{at.sizes()[0]}, Dims{at.strides()[0]}, at.offset() + d * at.strides()[1]}));
      }
      continue;
    }
    check_index(one.dtype() == DType::Int64 || one.dtype() == DType::Int32, "tensors used as indices must be long, int, byte or bool tensors");
    check_index(dim < rank, "too many indices for tensor of dimension ", rank);
    indexed.push_back(dim++);
    indices.push_back(cast_raw(one, DType::Int64));
  }
  while (dim < rank) kept.push_back(dim++);

  bool fits = true;
  for (const Tensor& one : indices) {
    Dims joint(std::max<int64_t>(one.dim(), index_sizes.size()), 1);
    for (int64_t d = 1; d <= joint.size(); d++) {
      const int64_t a = d <= index_sizes.size() ? index_sizes[index_sizes.size() - d] : 1;
      const int64_t b = d <= one.dim() ? one.sizes()[size_t(one.dim() - d)] : 1;
      fits &= a == b || a == 1 || b == 1;
      joint[joint.size() - d] = a == 1 ? b : a;
    }
    index_sizes = joint;
  }
  if (!fits) {
    std::string shapes;
    for (const Tensor& one : indices) shapes += (shapes.empty() ? "" : ", ") + shape_text(one.sizes());
    fail(ErrorKind::Index, "shape mismatch: indexing tensors could not be broadcast together with shapes ", shapes);
  }
  for (const Tensor& one : indices) index_strides.push_back(expanded(one.geometry(), index_sizes).strides);
  for (int64_t d : kept) kept_sizes.push_back(t.sizes()[size_t(d)]);
  if (count_elements(index_sizes) > 0)
    for (int64_t d : indexed) check_index(t.sizes()[size_t(d)] != 0, "index is out of bounds for dimension with size 0");
  // indices of neighbouring dimensions stay where they are; others go to the front
  const bool adjacent = !indexed.empty() && indexed.back() - indexed[0] == indexed.size() - 1;
  place = adjacent ? indexed[0] : 0;
}

Dims Plan::result_sizes() const {
  Dims sizes(kept_sizes.begin(), kept_sizes.begin() + place);
  for (int64_t s : index_sizes) sizes.push_back(s);
  for (int64_t d = place; d < kept_sizes.size(); d++) sizes.push_back(kept_sizes[d]);
  return sizes;
}

// Calls f(IndexCall) for `data` and `values`, which has the result's shape.
template <class F>
void with_call(const Plan& plan, const Tensor& data, const Tensor& values, IntList value_strides, F&& f) {
  SmallVec<kernels::IndexOperand, 6> operands;
  for (int64_t i = 0; i < plan.indexed.size(); i++) {
    const size_t d = size_t(plan.indexed[i]);
    operands.push_back({plan.indices[size_t(i)].data_as<int64_t>(), plan.index_strides[size_t(i)], data.sizes()[d], data.strides()[d], int64_t(d)});
  }
  Dims data_kept;
  for (int64_t d : plan.kept) data_kept.push_back(data.strides()[size_t(d)]);
  const Dims value_index = plan.index_part(value_strides), value_kept = plan.kept_part(value_strides);
  kernels::IndexCall call{data.dtype(), plan.index_sizes, operands, plan.kept_sizes, data.data(), data_kept, values.data(), value_index, value_kept};
  f(call);
}

// A single mask that covers the whole tensor.
const Tensor* whole_mask(const Tensor& t, TensorList indices) {
  const bool whole = indices.size() == 1 && indices[0].defined() && indices[0].dtype() == DType::Bool && t.dim() > 0 && same(indices[0].sizes(), t.sizes());
  return whole ? &indices[0] : nullptr;
}

// With one indexed dimension the kernels of gather and scatter do, which keep the order of the other dimensions.
struct SingleIndex {
  Dims sizes, strides;  // of the flattened index among the kept dimensions
  int64_t dim;
  SingleIndex(const Plan& plan, const Tensor& t) : sizes(t.sizes()), strides(t.dim(), 0), dim(plan.indexed[0]) {
    sizes[dim] = plan.indices[0].numel();
    strides[dim] = plan.indices[0].dim() == 1 ? plan.indices[0].strides()[0] : 1;
  }
};

Tensor index_raw(const Tensor& t, TensorList indices) {
  if (const Tensor* mask = whole_mask(t, indices)) return masked_select(t, *mask);
  const Plan plan(t, indices);
  Tensor result = Tensor::empty(plan.result_sizes(), t.dtype(), t.device());
  if (plan.indexed.empty()) {
    copy_into(result, t);
  } else if (plan.indexed.size() == 1 && result.numel()) {
    const SingleIndex single(plan, t);
    const Tensor at = plan.indices[0].dim() == 1 ? plan.indices[0] : contiguous_raw(plan.indices[0]);
    kernels::gather[t.device().kind]({item_size(t.dtype()), single.sizes, single.dim, result.data(), contiguous_strides(single.sizes), t.data(), t.strides(),
                                      t.sizes()[size_t(single.dim)], at.data_as<int64_t>(), single.strides, kernels::IndexRule::Indexing});
  } else if (result.numel()) {
    with_call(plan, t, result, result.strides(), [&](const kernels::IndexCall& call) { kernels::index_get[t.device().kind](call); });
  }
  return result;
}

void put_raw(const Tensor& t, TensorList indices, const Tensor& values, bool accumulate) {
  check(t.dtype() == values.dtype(), "Index put requires the source and destination dtypes match, got ", dtype_title(t.dtype()), " for the destination and ",
        dtype_title(values.dtype()), " for the source.");
  if (const Tensor* mask = whole_mask(t, indices); mask && values.numel() == 1 && !accumulate && !t.is_meta()) {
    const Operand inputs[] = {Operand(t), Operand(*mask)};
    const Scalar params[] = {item(values)};
    copy_into(t, pointwise_raw(Pointwise::masked_fill, inputs, params));
    return;
  }
  const Plan plan(t, indices);
  const Dims sizes = plan.result_sizes();
  // leading dimensions of size one in the values don't count
  Geometry v = values.geometry();
  while (v.sizes.size() > sizes.size() && v.sizes[0] == 1) {
    v.sizes.erase(0);
    v.strides.erase(0);
  }
  check(expandable_to(v.sizes, sizes), "shape mismatch: value tensor of shape ", shape_text(values.sizes()), " cannot be broadcast to indexing result of shape ", shape_text(sizes));
  if (count_elements(sizes) == 0) return;
  const bool overlap = values.impl()->storage == t.impl()->storage;
  const Tensor source = overlap ? clone_raw(Tensor::alias(values, v)) : Tensor::alias(values, v);
  const Geometry wide = expanded(source.geometry(), sizes);
  if (plan.indexed.empty()) {
    if (!accumulate) return copy_into(t, source);
    const Operand inputs[] = {Operand(t), Operand(source)};
    const Scalar params[] = {Scalar(1)};
    return copy_into(t, pointwise_raw(Pointwise::add, inputs, params));
  }
  if (plan.indexed.size() == 1 && plan.indices[0].dim() == 1) {
    const SingleIndex single(plan, t);
    kernels::ScatterCall call{.dtype = t.dtype(), .op = accumulate ? kernels::ScatterOp::Add : kernels::ScatterOp::Assign, .sizes = single.sizes, .dim = single.dim,
                              .self = t.data(), .self_strides = t.strides(), .self_size = t.sizes()[size_t(single.dim)],
                              .index = plan.indices[0].data_as<int64_t>(), .index_strides = single.strides, .src = source.data(), .src_strides = wide.strides};
    call.rule = kernels::IndexRule::Indexing;
    kernels::scatter[t.device().kind](call);
    return;
  }
  with_call(plan, t, source, wide.strides, [&](const kernels::IndexCall& call) { kernels::index_put[t.device().kind](call, accumulate); });
}

// The indices as a node saved them.
std::vector<Tensor> saved_indices(Backward& b, int param) {
  std::vector<Tensor> list;
  for (int k = 0; k < b.list_size(param); k++) list.push_back(b.in(param, k));
  return list;
}

Tensor run_index_backward(const Tensor& grad, IntList sizes, TensorList indices) {
  Tensor result = zeros_raw(sizes, grad.dtype(), grad.device());
  put_raw(result, indices, grad, true);
  return result;
}
void index_backward_vjp(Backward& b) { b.set(0, index(b.g(), TensorList(saved_indices(b, 2)))); }
const Op index_backward{OpDef{.schema = "index_backward(Tensor grad_output, int[] input_sizes, Tensor?[] indices) -> Tensor",
                              .run = fn<run_index_backward>,
                              .on = Internal,
                              .devices = Devices::CpuGuests,
                              .linear = Linear::Joint, .vjp = index_backward_vjp,
                              .save = in(2), .batch = batch::index_backward}};

void index_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, index_backward(b.g(), b.sizes(0), TensorList(saved_indices(b, 1))));
}

Tensor run_index_put_(const Tensor& input, TensorList indices, const Tensor& values, bool accumulate) {
  const Tensor plain = resolved_copy(input);
  put_raw(plain, indices, values, accumulate);
  if (!plain.is(input)) copy_into(input, plain);
  return input;
}
Tensor run_index_put(const Tensor& input, TensorList indices, const Tensor& values, bool accumulate) {
  Tensor result = clone_raw(input);
  put_raw(result, indices, values, accumulate);
  return result;
}
void index_put_vjp(Backward& b) {
  const std::vector<Tensor> indices = saved_indices(b, 1);
  if (b.needs(0)) b.set(0, b.flag(3) ? b.g() : index_put(b.g(), TensorList(indices), zeros_raw({}, b.g().dtype(), b.g().device())));
  if (b.needs(2)) {
    const Tensor grad = index(b.g(), TensorList(indices));
    // leading dimensions of size one that were dropped come back
    const IntList sizes = b.sizes(2);
    const size_t extra = std::max<int64_t>(0, int64_t(sizes.size()) - grad.dim());
    b.set(2, extra ? reshape(sum_to(grad, sizes.subspan(extra)), sizes) : grad);
  }
}

}  // namespace

const Op index{OpDef{.schema = "index.Tensor(Tensor input, Tensor?[] indices) -> Tensor",
                     .run = fn<index_raw>,
                     .on = Internal,
                     .devices = Devices::CpuGuests,
                     .linear = Linear::Joint, .vjp = index_vjp,
                     .save = in(1) | shape(0), .batch = batch::index}};
const Op index_put_{OpDef{.schema = "index_put_(Tensor(a!) input, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor(a!)",
                          .run = fn<run_index_put_>,
                          .on = Both,
                          .devices = Devices::CpuGuests,
                          .linear = Linear::Joint, .vjp = index_put_vjp,
                          .save = in(1) | shape(2),
                          .node = "IndexPutBackward0",
                          .batch = batch::index_put, .doc = "Writes values to the positions that the index tensors name: x[indices] = values.\n\n"
                                 "Args: indices (tuple of int64 or bool tensors, None keeps a dimension); values (same dtype, broadcast); accumulate "
                                 "(add instead of writing, so that repeated indices sum up). Raises IndexError for an index out of range."}};
const Op index_put{OpDef{.schema = "index_put(Tensor input, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
                         .run = fn<run_index_put>,
                         .on = Both,
                         .devices = Devices::CpuGuests,
                         .linear = Linear::Joint, .vjp = index_put_vjp,
                         .save = in(1) | shape(2),
                         .batch = batch::index_put, .doc = "A copy of input with values written to the positions that the index tensors name; see Tensor.index_put_.\n\n"
                                "Example::\n\n    >>> torch.index_put(torch.zeros(3), (torch.tensor([0, 2]),), torch.ones(2))\n    tensor([1., 0., 1.])\n"}};

}  // namespace tabula
