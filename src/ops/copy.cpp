#include "ops/copy.h"

#include "kernels/copy.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/promote.h"
#include "ops/scalar_range.h"
#include "ops/view.h"

namespace tabula {

void (*warn_hook)(const std::string& message) = nullptr;
void warn(const std::string& message) {
  if (warn_hook) warn_hook(message);
}

// ---- below autograd ----

void copy_into(const Tensor& dst, const Tensor& src) {
  if (lacks_data(src) || lacks_data(dst)) [[unlikely]] {
    copy_(dst, src);
    return;
  }
  if (!expandable_to(src.sizes(), dst.sizes())) [[unlikely]] {
    const Dims broadcast = broadcast_sizes(dst.sizes(), src.sizes());
    fail(ErrorKind::Runtime, "output with shape ", shape_text(dst.sizes()), " doesn't match the broadcast shape ", shape_text(broadcast));
  }
  check_elements(dst);
  check_elements(src);
  if (dst.numel() == 0 || dst.is_meta()) return;
  check_implemented(!src.is_meta(), "Cannot copy out of meta tensor; no data!");
  const Geometry g = src.dim() == dst.dim() && same(src.sizes(), dst.sizes()) ? src.geometry() : expanded(src.geometry(), dst.sizes());
  const Tensor* from = &src;
  Tensor staged;
  const bool shared = src.impl()->storage == dst.impl()->storage;
  if (shared && !(src.offset() == dst.offset() && same(src.strides(), dst.strides()) && src.dtype() == dst.dtype())) {
    staged = clone_raw(src);  // source and destination may overlap
    from = &staged;
  } else if (shared && !((src.impl()->special ^ dst.impl()->special) & (kConj | kNeg))) {
    return;
  }
  const Geometry sg = from == &src ? g : expanded(from->geometry(), dst.sizes());
  const uint8_t lazy = uint8_t((from->impl()->special ^ dst.impl()->special) & (kConj | kNeg));
  kernels::copy[dst.device().kind]({int(dst.dim()), dst.sizes().data(), {dst.data(), dst.dtype(), dst.strides().data()},
                                    {from->data(), from->dtype(), sg.strides.data()}, bool(lazy & kConj), bool(lazy & kNeg)});
}

void fill_into(const Tensor& dst, const Scalar& value) {
  check_elements(dst);
  if (lacks_data(dst)) [[unlikely]] {
    fill_(dst, value);
    return;
  }
  if (dst.numel() == 0 || dst.is_meta()) return;
  check_fill(value, dst.dtype());
  alignas(16) char item[16];
  Scalar v = value;
  if (dst.is_neg()) v = -v;
  if (dst.is_conj()) v = Scalar(std::conj(v.to_complex()));
  store_scalar(item, dst.dtype(), v);
  kernels::fill[dst.device().kind]({int(dst.dim()), dst.sizes().data(), {dst.data(), dst.dtype(), dst.strides().data()}, item});
}

Tensor clone_raw(const Tensor& t) {
  if (lacks_data(t)) [[unlikely]]
    return clone(t);
  Tensor copy = Tensor::empty_like(t, t.dtype());
  copy_into(copy, t);
  return copy;
}

Tensor contiguous_raw(const Tensor& t) {
  check_elements(t);
  if (t.is_contiguous() && !(t.impl()->special & (kConj | kNeg))) return t;
  if (lacks_data(t)) [[unlikely]]
    return clone(t, MemoryFormat::Contiguous);
  Tensor copy = Tensor::empty(t.sizes(), t.dtype(), t.device());
  copy_into(copy, t);
  return copy;
}

Tensor cast_raw(const Tensor& t, DType dtype) {
  if (t.dtype() == dtype) return t;
  if (lacks_data(t)) [[unlikely]]
    return to_dtype(t, dtype);
  Tensor copy = Tensor::empty_like(t, dtype);
  copy_into(copy, t);
  return copy;
}

Tensor resolved_copy(const Tensor& t) { return t.impl()->special & (kConj | kNeg) ? clone_raw(t) : t; }

void check_cast_result(DType result, DType into) {
  if (!can_cast(result, into)) [[unlikely]]
    fail(ErrorKind::Runtime, "result type ", dtype_title(result), " can't be cast to the desired output type ", dtype_title(into));
}
void check_cast_result(const Tensor& result, const Tensor& into) { check_cast_result(result.dtype(), into.dtype()); }

void resize_raw(const Tensor& t, IntList sizes) {
  check_elements(t);
  check_sizes(sizes);
  if (same(t.sizes(), sizes)) return;
  Dims strides = contiguous_strides(sizes);
  int64_t needed;
  check(!__builtin_add_overflow(t.offset(), count_elements(sizes), &needed) && !__builtin_mul_overflow(needed, item_size(t.dtype()), &needed),
        "Storage size calculation overflowed with sizes=", shape_text(sizes));
  if (size_t(needed) > t.storage().bytes()) t.storage().resize(size_t(needed));
  t.impl()->set_geometry(Dims(sizes), std::move(strides), t.offset());
}

void resize_output(const Tensor& t, IntList sizes) {
  if (same(t.sizes(), sizes)) return;
  if (t.numel() != 0)
    warn(concat("An output with one or more elements was resized since it had shape ", shape_text(t.sizes()), ", which does not match the required output shape ",
                shape_text(sizes), ". This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless they have zero elements. You can "
                "explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0)."));
  resize_raw(t, sizes);
}

void check_writable(const Tensor& target) {
  if (target.numel() == 0) return;
  for (int64_t d = 0; d < target.dim(); d++)
    check(target.sizes()[size_t(d)] < 2 || target.strides()[size_t(d)] != 0,
          "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before "
          "performing the operation.");
}
void check_separate(const Tensor& target, const Tensor& source) {
  if (target.impl()->storage != source.impl()->storage || target.numel() == 0 || source.numel() == 0) return;
  const auto begin = [](const Tensor& t) { return t.offset() * item_size(t.dtype()); };
  const auto end = [&](const Tensor& t) { return begin(t) + span_elements(t.sizes(), t.strides()) * item_size(t.dtype()); };
  check(begin(target) >= end(source) || begin(source) >= end(target),
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor "
        "before performing the operation.");
}

// ---- the operations ----

static Tensor run_copy(const Tensor& input, const Tensor& src, bool) {
  copy_into(input, src);
  return input;
}
static void copy_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, zeros_like_raw(b.g()));
  if (b.needs(1)) b.set(1, b.g());
}
const Op copy_{OpDef{.schema = "copy_(Tensor(a!) input, Tensor src, bool non_blocking=False) -> Tensor(a!)", .run = fn<run_copy>, .on = Method, .lazy_bits = true, .devices = Devices::Any,
                     .vjp = copy_vjp, .node = "CopyBackwards",
    .batch = batch::aligned, .doc =
        "Writes src, broadcast and converted, to the tensor and returns it."
        TABULA_EXAMPLE("torch.zeros(2).copy_(torch.tensor([1, 2]))", "tensor([1., 2.])")}};

static Tensor run_fill_tensor(const Tensor& input, const Tensor& value) {
  check(value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(), " dimensions.");
  copy_into(input, value);
  return input;
}
// before the row for numbers, which takes 0-d tensors too and knows no gradient of them
static const Op fill_tensor_{OpDef{.schema = "fill_.Tensor(Tensor(a!) input, Tensor value) -> Tensor(a!)", .run = fn<run_fill_tensor>, .on = Both, .lazy_bits = true, .devices = Devices::Any,
                                   .vjp = copy_vjp, .batch = batch::fill}};  // the engine sums the gradient to the 0-d value
static Tensor run_fill(const Tensor& input, const Scalar& value) {
  fill_into(input, value);
  return input;
}
static void fill_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, zeros_like_raw(b.g()));
}
const Op fill_{OpDef{.schema = "fill_(Tensor(a!) input, Scalar value) -> Tensor(a!)", .run = fn<run_fill>, .on = Both, .lazy_bits = true, .vjp = fill_vjp,
    .batch = batch::fill, .doc =
        "Writes one number, or the element of a 0-d tensor, to all elements and returns the tensor."
        TABULA_EXAMPLE("torch.zeros(2).fill_(3)", "tensor([3., 3.])")}};
static Tensor run_zero(const Tensor& input) {
  fill_into(input, Scalar(0));
  return input;
}
const Op zero_{OpDef{.schema = "zero_(Tensor(a!) input) -> Tensor(a!)", .run = fn<run_zero>, .on = Both, .lazy_bits = true, .vjp = fill_vjp,
    .batch = batch::same, .doc =
        "Writes 0 to all elements and returns the tensor."
        TABULA_EXAMPLE("torch.ones(2).zero_()", "tensor([0., 0.])")}};

static Tensor in_format(const Tensor& t, DType dtype, MemoryFormat format) {
  switch (format) {
    case MemoryFormat::Preserve: return Tensor::empty_like(t, dtype);
    case MemoryFormat::ChannelsLast:
      check(t.dim() == 4, "required rank 4 tensor to use channels_last format");
      return Tensor::empty_strided(t.sizes(), channels_last_strides(t.sizes()), dtype, t.device());
    case MemoryFormat::ChannelsLast3d:
      check(t.dim() == 5, "required rank 5 tensor to use channels_last_3d format");
      return Tensor::empty_strided(t.sizes(), channels_last_strides(t.sizes()), dtype, t.device());
    default: return Tensor::empty(t.sizes(), dtype, t.device());
  }
}

static void identity_vjp(Backward& b) { b.set(0, b.g()); }

static Tensor run_clone(const Tensor& input, std::optional<MemoryFormat> format) {
  Tensor copy = in_format(input, input.dtype(), format.value_or(MemoryFormat::Preserve));
  copy_into(copy, input);
  return copy;
}
const Op clone{OpDef{.schema = "clone(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor", .run = fn<run_clone>, .on = Both, .lazy_bits = true, .linear = Linear::Joint, .vjp = identity_vjp,
    .batch = batch::formatted, .doc =
        "A copy with memory of its own, through which gradients flow. memory_format says in which order; "
        "preserve_format, the default, keeps the strides of a dense input."
        TABULA_EXAMPLE("torch.clone(torch.tensor([1, 2]))", "tensor([1, 2])")}};

static bool has_format(const Tensor& t, MemoryFormat format) {
  if (t.impl()->special & (kConj | kNeg)) return false;
  return format == MemoryFormat::ChannelsLast || format == MemoryFormat::ChannelsLast3d ? is_channels_last(t.sizes(), t.strides()) : t.is_contiguous();
}
static Tensor run_contiguous(const Tensor& input, MemoryFormat format) {
  check(format != MemoryFormat::Preserve, "preserve memory format is unsupported by the contiguous operator");
  return has_format(input, format) ? input : clone(input, format);
}
const Op contiguous{OpDef{.schema = "contiguous(Tensor input, *, MemoryFormat memory_format=contiguous_format) -> Tensor", .run = fn<run_contiguous>, .on = Method, .composite = true,
    .doc =
        "The tensor itself if its elements lie in row-major order (or the given memory format), otherwise a copy "
        "that does."
        TABULA_EXAMPLE("torch.zeros(2, 3).t().contiguous().stride()", "(2, 1)")}};

// ---- elements, and tensors that have just been made ----

static Scalar run_item(const Tensor& input) { return stored_item(input); }
static const Op local_scalar{OpDef{.schema = "_local_scalar_dense(Tensor input) -> Scalar", .run = fn<run_item>, .on = Internal, .lazy_bits = true, .batch = batch::refused}};
static const bool item_installed = [] {
  item_hook = [](const Tensor& t) {
    Out out;
    local_scalar.call(out, t);
    return out.plain.scalar();
  };
  return true;
}();

static Tensor run_lift(const Tensor& input) { return input; }
const Op lift_fresh{OpDef{.schema = "lift_fresh(Tensor(a) input) -> Tensor(a)", .run = fn<run_lift>, .on = Internal, .lazy_bits = true, .batch = batch::same}};

// ---- conversion ----

static Tensor run_to_copy(const Tensor& input, std::optional<DType> wanted, std::optional<Device> device, std::optional<MemoryFormat> format) {
  const DType dtype = wanted.value_or(input.dtype());
  const Device target = device.value_or(input.device());
  if (!target.is_cpu() && !target.is_meta()) fail(ErrorKind::Assertion, "Torch not compiled with CUDA enabled");
  check_implemented(!(input.is_meta() && !target.is_meta()), "Cannot copy out of meta tensor; no data!");
  Tensor copy = in_format(input, dtype, format.value_or(MemoryFormat::Preserve));
  if (target != input.device()) copy = Tensor::empty_strided(copy.sizes(), copy.strides(), dtype, target);
  if (!target.is_meta()) copy_into(copy, input);
  return copy;
}
static void to_copy_vjp(Backward& b) {
  b.set(0, b.g());  // the engine casts back to the input's dtype
}
const Op to_dtype{OpDef{.schema = "_to_copy(Tensor input, dtype? dtype=None, Device? device=None, MemoryFormat? memory_format=None) -> Tensor", .run = fn<run_to_copy>, .on = Internal,
                        .lazy_bits = true, .linear = Linear::Joint, .vjp = to_copy_vjp, .node = "ToCopyBackward0", .batch = batch::formatted}};

static Tensor run_type_as(const Tensor& input, const Tensor& other) { return input.dtype() == other.dtype() ? input : to_dtype(input, other.dtype()); }
static const Op type_as{OpDef{.schema = "type_as(Tensor input, Tensor other) -> Tensor", .run = fn<run_type_as>, .on = Method, .composite = true,
    .doc =
        "The tensor converted to the dtype of other."
        TABULA_EXAMPLE("torch.tensor([1, 2]).type_as(torch.tensor([0.5]))", "tensor([1., 2.])")}};

static Tensor run_resolve_conj(const Tensor& input) { return input.is_conj() ? clone(input) : input; }
static const Op resolve_conj{OpDef{.schema = "resolve_conj(Tensor input) -> Tensor", .run = fn<run_resolve_conj>, .on = Both, .composite = true,
    .doc =
        "The tensor with a pending conjugation carried out, in a copy; itself if there is none."
        TABULA_EXAMPLE("torch.resolve_conj(torch.tensor([1 + 2j]).conj()).is_conj()", "False")}};
static Tensor run_resolve_neg(const Tensor& input) { return input.is_neg() ? clone(input) : input; }
static const Op resolve_neg{OpDef{.schema = "resolve_neg(Tensor input) -> Tensor", .run = fn<run_resolve_neg>, .on = Both, .composite = true,
    .doc =
        "The tensor with a pending negation carried out, in a copy; itself if there is none."
        TABULA_EXAMPLE("torch.resolve_neg(torch.tensor([1 + 2j]).conj().imag)", "tensor([-2.])")}};

}  // namespace tabula
