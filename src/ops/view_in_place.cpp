// Operations that give a tensor another geometry, or other memory, in place.
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/extent.h"
#include "ops/factory.h"
#include "ops/scalar_range.h"
#include "ops/view.h"

namespace tabula {

namespace {

// The tensor takes the geometry of a view of itself.
Tensor become(const Tensor& input, const Tensor& view) {
  input.impl()->set_geometry(Dims(view.sizes()), Dims(view.strides()), view.offset());
  return input;
}

#define VIEW_IN_PLACE(variable, text, function, derivative, bits, node_name, rule)                                                                 \
  const Op variable {                                                                                                                             \
    OpDef { .schema = text " -> Tensor(a!)", .run = fn<function>, .on = Method, .lazy_bits = true, .vjp = derivative, .save = bits, .node = node_name, .batch = rule, \
            .doc = "In-place form of the view: the tensor itself takes its size and strides, and is returned." } \
  }

void back_to_shape(Backward& b) {
  if (b.needs(0)) b.set(0, reshape(b.g(), b.sizes(0)));
}

Tensor run_transpose_(const Tensor& input, int64_t dim0, int64_t dim1) { return become(input, transpose(input, dim0, dim1)); }
void transpose_vjp_(Backward& b) {
  if (b.needs(0)) b.set(0, transpose(b.g(), b.arg(1), b.arg(2)));
}
VIEW_IN_PLACE(transpose_, "transpose_(Tensor(a!) input, int dim0, int dim1)", run_transpose_, transpose_vjp_, 0, "TransposeBackward0", batch::strict_dims);
VIEW_IN_PLACE(swapdims_, "swapdims_(Tensor(a!) input, int dim0, int dim1)", run_transpose_, transpose_vjp_, 0, "TransposeBackward0", batch::strict_dims);
VIEW_IN_PLACE(swapaxes_, "swapaxes_(Tensor(a!) input, int axis0, int axis1)", run_transpose_, transpose_vjp_, 0, "TransposeBackward0", batch::strict_dims);

void t_batch_(Batched& b) {
  check(b.rank(0) <= 2, "t_() expects a tensor with <= 2 dimensions, but self is ", b.rank(0), "D");
  if (b.rank(0) < 2) return;
  const Value args[] = {b.args[0], Value(1), Value(2)};
  call_in_place(transpose_, args, b.out);
}
Tensor run_t_(const Tensor& input) { return become(input, t(input)); }
void t_vjp_(Backward& b) {
  if (b.needs(0)) b.set(0, t(b.g()));
}
VIEW_IN_PLACE(t_, "t_(Tensor(a!) input)", run_t_, t_vjp_, 0, "TBackward0", t_batch_);

Tensor run_unsqueeze_(const Tensor& input, int64_t dim) { return become(input, unsqueeze(input, dim)); }
VIEW_IN_PLACE(unsqueeze_, "unsqueeze_(Tensor(a!) input, int dim)", run_unsqueeze_, back_to_shape, shape(0), "UnsqueezeBackward0", batch::unsqueeze);
void squeeze_batch_(Batched& b);
Tensor run_squeeze_(const Tensor& input) { return become(input, squeeze(input)); }
VIEW_IN_PLACE(squeeze_, "squeeze_(Tensor(a!) input)", run_squeeze_, back_to_shape, shape(0), "SqueezeBackward0", squeeze_batch_);
Tensor run_squeeze_dims_(const Tensor& input, IntList dims) { return become(input, squeeze_dims(input, dims)); }
VIEW_IN_PLACE(squeeze_dims_, "squeeze_.dims(Tensor(a!) input, int[1] dim)", run_squeeze_dims_, back_to_shape, shape(0), "SqueezeBackward1", batch::strict_dims);
void squeeze_batch_(Batched& b) {
  Dims ones;
  for (int64_t d = 0; d < b.rank(0); d++)
    if (b.sizes(0)[size_t(d)] == 1) ones.push_back(d + 1);
  if (ones.empty()) return;
  const Value args[] = {b.args[0], Value(IntList(ones))};
  call_in_place(squeeze_dims_, args, b.out);
}

Tensor run_as_strided_(const Tensor& input, IntList size, IntList stride, std::optional<int64_t> offset) {
  return become(input, as_strided(input, size, stride, offset));
}
void as_strided_vjp_(Backward& b) {
  const Tensor& x = b.in(0);
  if (b.needs(0)) b.set(0, as_strided_backward(b.g(), x.geometry(), {Dims(b.ints(1)), Dims(b.ints(2)), b.has(3) ? b.integer(3) : x.offset()}));
}
VIEW_IN_PLACE(as_strided_, "as_strided_(Tensor(a!) input, int[] size, int[] stride, int? storage_offset=None)", run_as_strided_, as_strided_vjp_, in(0), "AsStridedBackward0", batch::as_strided);

// ---- resizing ----

void check_resizable(const Tensor& t) { check(!t.needs_grad(), "cannot resize variables that require grad"); }

Tensor resized(const Tensor& input, IntList size, std::optional<MemoryFormat> format) {
  check_resizable(input);
  resize_raw(input, size);
  if (format && (*format == MemoryFormat::ChannelsLast || *format == MemoryFormat::ChannelsLast3d))
    input.impl()->set_geometry(Dims(size), channels_last_strides(size), input.offset());
  return input;
}
const Op resize_{OpDef{.schema = "resize_(Tensor(a!) input, int[] size, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
                       .run = fn<resized>,
                       .on = Method,
                       .lazy_bits = true,
                       .batch = batch::sized, .doc = "Gives the tensor another size over the same memory, which grows where it is too small; new elements are uninitialised."}};
Tensor run_resize_as_(const Tensor& input, const Tensor& like, std::optional<MemoryFormat> format) {
  if (format && *format == MemoryFormat::Preserve)
    return resized(input, like.sizes(), !like.is_contiguous() && is_channels_last(like.sizes(), like.strides())
                                            ? std::optional(like.dim() == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d)
                                            : std::nullopt);
  return resized(input, like.sizes(), format);
}
const Op resize_as_{OpDef{.schema = "resize_as_(Tensor(a!) input, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
                          .run = fn<run_resize_as_>,
                          .on = Both,
                          .lazy_bits = true,
    .batch = batch::resize_as, .doc =
        "Gives the tensor the size of another over the same memory, which grows where it is too small; new "
        "elements are uninitialised."
        TABULA_EXAMPLE("torch.zeros(1).resize_as_(torch.zeros(2, 3)).shape", "torch.Size([2, 3])")}};

// ---- other memory ----

Tensor take_over(const Tensor& input, const Tensor& source, Geometry geometry) {
  check(input.dtype() == source.dtype(), "Could not set tensor of type ", c_type_name(source.dtype()), " to a tensor of type ", c_type_name(input.dtype()));
  check(input.device() == source.device(), "Attempted to set the storage of a tensor on device \"", input.device().str(), "\" to a storage on different device \"",
        source.device().str(), "\".  This is no longer allowed; the devices must match.");
  TensorImpl& impl = *input.impl();
  impl.storage = source.impl()->storage;
  impl.set_geometry(std::move(geometry.sizes), std::move(geometry.strides), geometry.offset);
  return input;
}
Tensor run_set_source_(const Tensor& input, const Tensor& source) { return take_over(input, source, source.geometry()); }
const Op set_source_{OpDef{.schema = "set_.source_Tensor(Tensor(a!) input, Tensor source) -> Tensor(a!)",
                           .run = fn<run_set_source_>,
                           .on = Method,
                           .lazy_bits = true,
                           .batch = batch::refused, .doc = "Makes the tensor share the memory, size and strides of source; without source it becomes empty."}};
Tensor run_set_at_(const Tensor& input, const Tensor& source, int64_t offset, IntList size, IntList stride) {
  check_sizes(size);
  const Dims strides = stride.empty() ? contiguous_strides(size) : Dims(stride);
  check(strides.size() == int64_t(size.size()), "mismatch in length of strides and shape");
  const int64_t needed = bytes_reached(size, strides, offset, input.dtype());
  if (needed > int64_t(source.storage().bytes())) source.storage().resize(size_t(needed));
  return take_over(input, source, {Dims(size), strides, offset});
}
const Op set_at_{OpDef{.schema = "set_.source_Tensor_storage_offset(Tensor(a!) input, Tensor source, int storage_offset, int[] size, int[] stride=[]) -> Tensor(a!)",
                       .run = fn<run_set_at_>,
                       .on = Method,
                       .lazy_bits = true, .batch = batch::refused}};
Tensor run_set_(const Tensor& input) {
  const Tensor none = Tensor::empty(Dims{0}, input.dtype(), input.device());
  return take_over(input, none, none.geometry());
}
const Op set_{OpDef{.schema = "set_(Tensor(a!) input) -> Tensor(a!)", .run = fn<run_set_>, .on = Method, .lazy_bits = true, .batch = batch::refused}};

}  // namespace

}  // namespace tabula
