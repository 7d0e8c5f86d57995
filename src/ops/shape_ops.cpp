#include "ops/shape_ops.h"

#include "kernels/index.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/gather.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {

static kernels::MoveCall move_call(const Tensor& to, const Tensor& from) {
  return {item_size(from.dtype()), from.sizes(), to.data(), to.strides(), from.data(), from.strides()};
}

// ---- triangles ----

template <bool upper>
static void run_triangle(const Op& op, const Value* args, Out& out) {
  const Tensor& t = args[0].tensor();
  check(t.dim() >= 2, op.schema.base_name, ": input tensor must have at least 2 dimensions");
  const bool in_place = out.into && out.into->is(t);
  Tensor result = in_place ? target_of(args, out) : Tensor::empty(t.sizes(), t.dtype(), t.device());
  if (t.numel()) kernels::triangle[t.device().kind](move_call(result, t), args[1].integer(), upper);
  detail::box(out, std::move(result));
}
static void tril_vjp(Backward& b) { b.set(0, tril(b.g(), b.arg(1))); }
static void triu_vjp(Backward& b) { b.set(0, triu(b.g(), b.arg(1))); }
const Op tril{OpDef{.schema = "tril(Tensor input, int diagonal=0) -> Tensor",
                    .run = boxed_exact_out<run_triangle<false>>,
                    .on = Pointwise_,
                    .linear = Linear::Joint, .vjp = tril_vjp,
                    .batch = batch::strict, .doc = "The lower triangle of matrices [..., m, n], up to the given diagonal, with zeros above it.\n\n"
                           "Example::\n\n    >>> torch.tril(torch.ones(2, 2))\n    tensor([[1., 0.],\n            [1., 1.]])\n"}};
const Op triu{OpDef{.schema = "triu(Tensor input, int diagonal=0) -> Tensor",
                    .run = boxed_exact_out<run_triangle<true>>,
                    .on = Pointwise_,
                    .vjp = triu_vjp,
                    .batch = batch::strict, .doc = "The upper triangle of matrices [..., m, n], from the given diagonal on, with zeros below it.\n\n"
                           "Example::\n\n    >>> torch.triu(torch.ones(2, 2))\n    tensor([[1., 1.],\n            [0., 1.]])\n"}};

// ---- flip and roll ----

static Tensor run_flip(const Tensor& input, IntList dims) {
  check(input.dim() <= 64, "only tensors with up to 64 dims are supported");
  uint64_t chosen = 0;
  for (int64_t given : dims) {
    const int64_t d = wrap_dim(given, input.dim());
    check(!(chosen >> d & 1), "dim ", d, " appears multiple times in the list of dims");
    chosen |= uint64_t(1) << d;
  }
  Tensor result = Tensor::empty_like(input, input.dtype());
  if (input.numel() == 0) return result;
  Dims strides(input.strides());
  int64_t last = 0;
  for (int64_t d = 0; d < input.dim(); d++) {
    if (!(chosen >> d & 1)) continue;
    last += (input.sizes()[size_t(d)] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  kernels::MoveCall call = move_call(result, input);
  if (!input.is_meta()) call.in = input.data() + last * item_size(input.dtype());
  call.in_strides = strides;
  kernels::move_elements[input.device().kind](call);
  return result;
}
static void flip_vjp(Backward& b) { b.set(0, flip(b.g(), b.arg(1))); }
const Op flip{OpDef{.schema = "flip(Tensor input, int[] dims) -> Tensor",
                    .run = fn<run_flip>,
                    .on = Both,
                    .linear = Linear::Joint, .vjp = flip_vjp,
                    .batch = batch::dims, .doc = "A copy with the order of elements reversed along the given dimensions.\n\n"
                           "Example::\n\n    >>> torch.flip(torch.tensor([1, 2, 3]), (0,))\n    tensor([3, 2, 1])\n"}};

static Tensor run_roll(const Tensor& input, IntList shifts, IntList dims) {
  check(!shifts.empty(), "`shifts` required");
  if (dims.empty() && shifts.size() == 1) {
    const Tensor dense = contiguous_raw(input);
    Tensor result = Tensor::empty(input.sizes(), input.dtype(), input.device());
    const Dims sizes{input.numel()}, ones{1};
    if (input.numel()) kernels::roll[input.device().kind]({item_size(input.dtype()), sizes, result.data(), ones, dense.data(), ones}, shifts);
    return result;
  }
  check(shifts.size() == dims.size(), "shifts and dimensions must align. shifts: ", shifts.size(), ", dims:", dims.size());
  Dims moved(input.dim(), 0);
  for (size_t i = 0; i < dims.size(); i++) {
    const int64_t d = wrap_dim(dims[i], input.dim());
    check_index(input.dim() > 0, "Dimension specified as ", dims[i], " but tensor has no dimensions");
    if (input.sizes()[size_t(d)] > 0) moved[d] = (moved[d] + shifts[i] % input.sizes()[size_t(d)]) % input.sizes()[size_t(d)];
  }
  Tensor result = Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (input.numel()) kernels::roll[input.device().kind](move_call(result, input), moved);
  return result;
}
static void roll_vjp(Backward& b) {
  Dims back(b.ints(1));
  for (int64_t& s : back) s = -s;
  b.set(0, roll(b.g(), back, b.arg(2)));
}
const Op roll{OpDef{.schema = "roll(Tensor input, int[1] shifts, int[1] dims=[]) -> Tensor",
                    .run = fn<run_roll>,
                    .on = Both,
                    .linear = Linear::Joint, .vjp = roll_vjp,
                    .batch = batch::roll, .doc = "Elements moved along dimensions, those that leave at the end entering at the start; without dims the flattened tensor is moved.\n\n"
                           "Example::\n\n    >>> torch.roll(torch.tensor([1, 2, 3]), 1)\n    tensor([3, 1, 2])\n"}};

// ---- repetition ----

// Input and result with the repetitions as dimensions of their own: [1, s0, 1, s1, ...] and [r0, s0, r1, s1, ...].
static Dims with_repeats(IntList sizes, IntList repeats) {
  Dims all;
  const size_t lead = repeats.size() - sizes.size();
  for (size_t i = 0; i < repeats.size(); i++) {
    all.push_back(repeats[i]);
    all.push_back(i < lead ? 1 : sizes[i - lead]);
  }
  return all;
}
static Tensor run_repeat(const Tensor& input, IntList repeats) {
  check(int64_t(repeats.size()) >= input.dim(), "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
  const size_t lead = repeats.size() - size_t(input.dim());
  Dims sizes(int64_t(repeats.size())), strides;
  for (size_t i = 0; i < repeats.size(); i++) {
    sizes[int64_t(i)] = repeats[i] * (i < lead ? 1 : input.sizes()[i - lead]);
    strides.push_back(0);
    strides.push_back(i < lead ? 0 : input.strides()[i - lead]);
  }
  check_sizes(sizes);
  Tensor result = Tensor::empty(sizes, input.dtype(), input.device());
  if (result.numel() == 0) return result;
  const Dims apart = with_repeats(input.sizes(), repeats);
  copy_into(Tensor::alias(result, {apart, contiguous_strides(apart), 0}), Tensor::alias(input, {apart, strides, input.offset()}));
  return result;
}
static void repeat_vjp(Backward& b) {
  const IntList sizes = b.sizes(0), repeats = b.ints(1);
  Dims dims;
  for (size_t i = 0; i < repeats.size(); i++) dims.push_back(int64_t(2 * i));
  const Tensor apart = reshape(b.g(), with_repeats(sizes, repeats));
  b.set(0, reshape(dims.empty() ? apart : sum_dim(apart, dims), sizes));
}
const Op repeat{OpDef{.schema = "repeat(Tensor input, int[] repeats) -> Tensor",
                      .run = fn<run_repeat>,
                      .on = Method,
                      .vjp = repeat_vjp,
                      .save = shape(0),
                      .batch = batch::repeat, .doc = "The tensor laid out repeatedly along each dimension, copied; leading dimensions may be added.\n\n"
                             "Example::\n\n    >>> torch.tensor([1, 2]).repeat(2)\n    tensor([1, 2, 1, 2])\n"}};

static Tensor run_tile(const Tensor& input, IntList dims) {
  Dims repeats(dims);
  while (repeats.size() < input.dim()) repeats.insert(0, 1);
  return repeat(input, repeats);
}
static const Op tile{OpDef{.schema = "tile(Tensor input, int[] dims) -> Tensor",
                           .run = fn<run_tile>,
                           .on = Both,
                           .composite = true,
                           .doc = "As Tensor.repeat, with missing leading counts taken as 1."
        TABULA_EXAMPLE("torch.tile(torch.tensor([1, 2]), (2,))", "tensor([1, 2, 1, 2])")}};

// ---- repeat_interleave ----

static Tensor positions(const Tensor& repeats, std::optional<int64_t> output_size) {
  check(repeats.dim() == 1, "repeat_interleave only accept 1D vector as repeat");
  check_implemented(repeats.dtype() == DType::Int64 || repeats.dtype() == DType::Int32, "\"repeat_interleave_cpu\" not implemented for '", dtype_title(repeats.dtype()), "'");
  check_implemented(!repeats.is_meta() || output_size, "repeat_interleave: the size of the result depends on values, which a tensor on the meta device does not have");
  const Tensor counts = contiguous_raw(cast_raw(repeats, DType::Int64));
  int64_t total = output_size.value_or(0);
  if (!counts.is_meta()) {
    kernels::repeat_total[counts.device().kind](counts.data_as<int64_t>(), counts.numel(), total);
    check(!output_size || *output_size == total, "allocated size does not match required size");
  }
  Tensor result = Tensor::empty(Dims{total}, DType::Int64, counts.device());
  if (total) kernels::repeat_interleave[counts.device().kind](counts.data_as<int64_t>(), counts.numel(), result.data_as<int64_t>());
  return result;
}
static Tensor run_repeat_interleave(const Tensor& repeats, std::optional<int64_t> output_size) {
  return cast_raw(positions(repeats, output_size), repeats.dtype());
}
static const Op repeat_positions{OpDef{.schema = "repeat_interleave.Tensor(Tensor repeats, *, int? output_size=None) -> Tensor",
                                       .run = fn<run_repeat_interleave>,
                                       .on = Function, .batch = batch::each}};

static constexpr int64_t kFlat[] = {-1};

static Tensor run_repeat_interleave_tensor(const Tensor& given, const Tensor& repeats, std::optional<int64_t> dim, std::optional<int64_t> output_size) {
  const Tensor input = dim ? given : reshape(given, IntList(kFlat));
  const int64_t d = wrap_dim(dim.value_or(0), input.dim()), size = input.dim() ? input.sizes()[size_t(d)] : 1;
  check(repeats.dim() <= 1, "repeats must be 0-dim or 1-dim tensor");
  Tensor counts = repeats;
  if (repeats.dim() == 0 || repeats.numel() == 1)
    counts = expand(reshape(repeats, IntList(kFlat)), Dims{size});
  else
    check(repeats.numel() == size, "repeats must have the same size as input along dim, but got repeats.size(0) = ", repeats.numel(), " and input.size(", d, ") = ", size);
  return index_select(input, d, repeat_positions(counts, output_size));
}
static const Op repeat_interleave_tensor{OpDef{.schema = "repeat_interleave.self_Tensor(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor",
                                               .run = fn<run_repeat_interleave_tensor>,
                                               .on = Both,
                                               .composite = true}};

static Tensor run_repeat_interleave_int(const Tensor& given, int64_t repeats, std::optional<int64_t> dim, std::optional<int64_t> output_size) {
  const Tensor input = dim ? given : reshape(given, IntList(kFlat));
  const int64_t d = wrap_dim(dim.value_or(0), input.dim());
  check(repeats >= 0, "Repeats must be non-negative");
  const Tensor one = input.dim() ? input : reshape(input, IntList(kFlat));
  Dims sizes(one.sizes());
  Dims wide = sizes;
  wide.insert(d + 1, repeats);
  check(!__builtin_mul_overflow(sizes[d], repeats, &sizes[d]), "the repeats add up to more than a tensor can hold");
  check(!output_size || *output_size == sizes[d], "repeat_interleave: Invalid output_size, expected ", sizes[d], " but got ", output_size.value_or(0));
  return reshape(clone(expand(unsqueeze(one, d + 1), wide), MemoryFormat::Contiguous), sizes);
}
static const Op repeat_interleave_int{OpDef{.schema = "repeat_interleave.self_int(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor",
                                            .run = fn<run_repeat_interleave_int>,
                                            .on = Both,
                                            .composite = true,
                                            .doc = "Each element (or each slice along dim) repeated in place: `repeats` times, or its own number of times.\n\n"
                                                   "Example::\n\n    >>> torch.repeat_interleave(torch.tensor([1, 2]), 2)\n    tensor([1, 1, 2, 2])\n"}};

}  // namespace tabula
