#include "ops/factory.h"

#include <cmath>

#include "core/state.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/pointwise.h"

namespace tabula {

Device (*default_device_hook)() = nullptr;

Device device_or_default(const std::optional<Device>& device) {
  Device d = device ? *device : default_device_hook ? default_device_hook() : Device{};
  if (!d.is_cpu() && !d.is_meta()) fail(ErrorKind::Assertion, "Torch not compiled with CUDA enabled");
  d.index = d.is_cpu() ? int8_t(-1) : d.index;
  return d;
}

Tensor full_raw(IntList sizes, const Scalar& value, DType dtype, Device device) {
  Tensor t = Tensor::empty(sizes, dtype, device);
  fill_into(t, value);
  return t;
}
Tensor zeros_raw(IntList sizes, DType dtype, Device device) {
  Tensor t = Tensor::empty(sizes, dtype, device);
  if (t.numel() && !t.is_meta()) {
    if (t.storage().bytes() <= 256)
      std::memset(t.data(), 0, t.storage().bytes());
    else
      fill_into(t, Scalar(0));
  }
  return t;
}
Tensor zeros_like_raw(const Tensor& t) { return zeros_raw(t.sizes(), t.dtype(), t.device()); }
Tensor ones_like_raw(const Tensor& t) { return full_raw(t.sizes(), Scalar(1), t.dtype(), t.device()); }
Tensor arange_raw(int64_t end) {
  Tensor t = Tensor::empty(IntList(&end, 1), DType::Int64);
  auto* data = t.data_as<int64_t>();
  for (int64_t i = 0; i < end; i++) data[i] = i;
  return t;
}

#define FACTORY_TAIL "*, dtype? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, bool? requires_grad=None"

static void check_layout(std::optional<Layout> layout) {
  check(!layout || *layout == Layout::Strided, "Could not run a factory with a sparse layout: only torch.strided tensors can be made here");
}
static Tensor finish(Tensor t, std::optional<bool> requires_grad) {
  if (requires_grad.value_or(false)) {
    check(is_differentiable(t.dtype()), "Only Tensors of floating point and complex dtype can require gradients");
    autograd_hooks.set_requires_grad(t, true);
  }
  return t;
}

static Tensor run_empty(IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                        std::optional<bool> requires_grad, std::optional<MemoryFormat> format) {
  check_layout(layout);
  Tensor t;
  if (format && *format != MemoryFormat::Contiguous) {
    check(*format != MemoryFormat::Preserve, "unsupported memory format option Preserve");
    t = Tensor::empty_strided(size, channels_last_strides(size), dtype.value_or(default_dtype), device_or_default(device));
  } else {
    t = Tensor::empty(size, dtype.value_or(default_dtype), device_or_default(device));
  }
  return finish(std::move(t), requires_grad);
}
static const Op empty{OpDef{.schema = "empty(int[] size, " FACTORY_TAIL ", MemoryFormat? memory_format=None) -> Tensor", .run = fn<run_empty>, .on = Function | OutForm,
    .doc =
        "A tensor with arbitrary content: fill it before you read it. dtype defaults to "
        "torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.empty(2, 3).shape", "torch.Size([2, 3])")}};

static Tensor run_empty_strided(IntList size, IntList stride, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                                std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(Tensor::empty_strided(size, stride, dtype.value_or(default_dtype), device_or_default(device)), requires_grad);
}
static const Op empty_strided{OpDef{.schema = "empty_strided(int[] size, int[] stride, " FACTORY_TAIL ") -> Tensor", .run = fn<run_empty_strided>, .on = Function,
    .doc =
        "A tensor with arbitrary content, of this shape and these strides in elements."
        TABULA_EXAMPLE("torch.empty_strided((2, 3), (1, 2)).stride()", "(1, 2)")}};

static Tensor run_zeros(IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>, std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(zeros_raw(size, dtype.value_or(default_dtype), device_or_default(device)), requires_grad);
}
static const Op zeros{OpDef{.schema = "zeros(int[] size, " FACTORY_TAIL ") -> Tensor", .run = fn<run_zeros>, .on = Function | OutForm,
    .doc =
        "A tensor of zeros. dtype defaults to torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.zeros(2, 3)",
                       "tensor([[0., 0., 0.],\n"
                       "            [0., 0., 0.]])")}};
static Tensor run_ones(IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>, std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(full_raw(size, Scalar(1), dtype.value_or(default_dtype), device_or_default(device)), requires_grad);
}
static const Op ones{OpDef{.schema = "ones(int[] size, " FACTORY_TAIL ") -> Tensor", .run = fn<run_ones>, .on = Function | OutForm,
    .doc =
        "A tensor of ones. dtype defaults to torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.ones(3, dtype=torch.int32)", "tensor([1, 1, 1], dtype=torch.int32)")}};
static Tensor run_full(IntList size, const Scalar& value, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                       std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(full_raw(size, value, dtype.value_or(value.dtype(default_dtype)), device_or_default(device)), requires_grad);
}
static const Op full{OpDef{.schema = "full(int[] size, Scalar fill_value, " FACTORY_TAIL ") -> Tensor", .run = fn<run_full>, .on = Function | OutForm,
    .doc =
        "A tensor filled with one number, whose kind gives the dtype: bool, int64, or the default floating or "
        "complex dtype."
        TABULA_EXAMPLE("torch.full((2, 2), 7)",
                       "tensor([[7, 7],\n"
                       "            [7, 7]])")}};

// ---- like another tensor ----

#define LIKE_TAIL FACTORY_TAIL ", MemoryFormat? memory_format=None"

static Tensor like(const Tensor& t, std::optional<DType> dtype, std::optional<Device> device, std::optional<MemoryFormat> format) {
  const DType d = dtype.value_or(t.dtype());
  const Device where = device ? device_or_default(device) : t.device();
  const MemoryFormat f = format.value_or(MemoryFormat::Preserve);
  if (f == MemoryFormat::ChannelsLast || f == MemoryFormat::ChannelsLast3d) return Tensor::empty_strided(t.sizes(), channels_last_strides(t.sizes()), d, where);
  if (f == MemoryFormat::Preserve && !t.is_contiguous()) return Tensor::empty_strided(t.sizes(), dense_strides_like(t.sizes(), t.strides()), d, where);
  return Tensor::empty(t.sizes(), d, where);
}
static Tensor run_empty_like(const Tensor& t, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                             std::optional<bool> requires_grad, std::optional<MemoryFormat> format) {
  check_layout(layout);
  return finish(like(t, dtype, device, format), requires_grad);
}
static const Op empty_like{OpDef{.schema = "empty_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = fn<run_empty_like>, .on = Function,
    .doc =
        "A tensor with arbitrary content, and the shape, dtype, device and strides of the input unless told "
        "otherwise."
        TABULA_EXAMPLE("torch.empty_like(torch.zeros(2, 3)).shape", "torch.Size([2, 3])")}};
static Tensor run_zeros_like(const Tensor& t, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                             std::optional<bool> requires_grad, std::optional<MemoryFormat> format) {
  check_layout(layout);
  Tensor result = like(t, dtype, device, format);
  fill_into(result, Scalar(0));
  return finish(std::move(result), requires_grad);
}
static const Op zeros_like{OpDef{.schema = "zeros_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = fn<run_zeros_like>, .on = Function,
    .doc =
        "Zeros with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.zeros_like(torch.tensor([1, 2]))", "tensor([0, 0])")}};
static Tensor run_ones_like(const Tensor& t, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                            std::optional<bool> requires_grad, std::optional<MemoryFormat> format) {
  check_layout(layout);
  Tensor result = like(t, dtype, device, format);
  fill_into(result, Scalar(1));
  return finish(std::move(result), requires_grad);
}
static const Op ones_like{OpDef{.schema = "ones_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = fn<run_ones_like>, .on = Function,
    .doc =
        "Ones with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.ones_like(torch.tensor([3., 4.]))", "tensor([1., 1.])")}};
static Tensor run_full_like(const Tensor& t, const Scalar& value, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                            std::optional<bool> requires_grad, std::optional<MemoryFormat> format) {
  check_layout(layout);
  Tensor result = like(t, dtype, device, format);
  fill_into(result, value);
  return finish(std::move(result), requires_grad);
}
static const Op full_like{OpDef{.schema = "full_like(Tensor input, Scalar fill_value, " LIKE_TAIL ") -> Tensor", .run = fn<run_full_like>, .on = Function,
    .doc =
        "One number with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.full_like(torch.tensor([1., 2.]), 7)", "tensor([7., 7.])")}};

static Tensor run_new_empty(const Tensor& t, IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool>,
                            std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(Tensor::empty(size, dtype.value_or(t.dtype()), device ? device_or_default(device) : t.device()), requires_grad);
}
static const Op new_empty{OpDef{.schema = "new_empty(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = fn<run_new_empty>, .on = Method,
    .doc =
        "A tensor of this shape with arbitrary content, and the dtype and device of this tensor unless told "
        "otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_empty(3).dtype", "torch.int64")}};
static Tensor run_new_empty_strided(const Tensor& t, IntList size, IntList stride, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device,
                                    std::optional<bool>, std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(Tensor::empty_strided(size, stride, dtype.value_or(t.dtype()), device ? device_or_default(device) : t.device()), requires_grad);
}
static const Op new_empty_strided{OpDef{.schema = "new_empty_strided(Tensor input, int[] size, int[] stride, " FACTORY_TAIL ") -> Tensor", .run = fn<run_new_empty_strided>, .on = Method,
    .doc =
        "A tensor of this shape and these strides with arbitrary content, and the dtype and device of this "
        "tensor."
        TABULA_EXAMPLE("torch.zeros(2).new_empty_strided((2, 3), (1, 2)).stride()", "(1, 2)")}};
static Tensor run_new_full(const Tensor& t, IntList size, const Scalar& value, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device,
                           std::optional<bool>, std::optional<bool> requires_grad) {
  check_layout(layout);
  return finish(full_raw(size, value, dtype.value_or(t.dtype()), device ? device_or_default(device) : t.device()), requires_grad);
}
static const Op new_full{OpDef{.schema = "new_full(Tensor input, int[] size, Scalar fill_value, " FACTORY_TAIL ") -> Tensor", .run = fn<run_new_full>, .on = Method,
    .doc =
        "One number in a tensor of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.zeros(2).new_full((3,), 5)", "tensor([5., 5., 5.])")}};
static Tensor run_new_zeros(const Tensor& t, IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool> pin,
                            std::optional<bool> requires_grad) {
  return run_new_full(t, size, Scalar(0), dtype, layout, device, pin, requires_grad);
}
static const Op new_zeros{OpDef{.schema = "new_zeros(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = fn<run_new_zeros>, .on = Method,
    .doc =
        "Zeros of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_zeros(3)", "tensor([0, 0, 0])")}};
static Tensor run_new_ones(const Tensor& t, IntList size, std::optional<DType> dtype, std::optional<Layout> layout, std::optional<Device> device, std::optional<bool> pin,
                           std::optional<bool> requires_grad) {
  return run_new_full(t, size, Scalar(1), dtype, layout, device, pin, requires_grad);
}
static const Op new_ones{OpDef{.schema = "new_ones(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = fn<run_new_ones>, .on = Method,
    .doc =
        "Ones of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_ones(3)", "tensor([1, 1, 1])")}};

}  // namespace tabula
