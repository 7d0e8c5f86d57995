#include "ops/factory.h"

#include <cmath>

#include "core/state.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/factory_options.h"
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

#define FACTORY_TAIL "*, " TABULA_FACTORY_OPTIONS

static void give(Out& out, const FactoryOptions& options, Tensor t) {
  out.tensors[0] = options.finish(std::move(t));
  out.count = 1;
}

static void run_empty(const Op& op, const Value* args, Out& out) {
  if (made_sparse(op, args, out, 2)) return;
  const FactoryOptions options(args + 1);
  const IntList size = args[0].ints();
  const DType dtype = options.dtype.value_or(default_dtype);
  const MemoryFormat format = args[6].is_none() ? MemoryFormat::Contiguous : args[6].memory_format();
  check(format != MemoryFormat::Preserve, "unsupported memory format option Preserve");
  give(out, options, format == MemoryFormat::Contiguous ? Tensor::empty(size, dtype, options.device_or_default())
                                                        : Tensor::empty_strided(size, channels_last_strides(size), dtype, options.device_or_default()));
}
static const Op empty{OpDef{.schema = "empty(int[] size, " FACTORY_TAIL ", MemoryFormat? memory_format=None) -> Tensor", .run = boxed(run_empty), .on = Function | OutForm,
    .doc =
        "A tensor with arbitrary content: fill it before you read it. dtype defaults to "
        "torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.empty(2, 3).shape", "torch.Size([2, 3])")}};

static void run_empty_strided(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 2);
  give(out, options, Tensor::empty_strided(args[0].ints(), args[1].ints(), options.dtype.value_or(default_dtype), options.device_or_default()));
}
static const Op empty_strided{OpDef{.schema = "empty_strided(int[] size, int[] stride, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_empty_strided), .on = Function,
    .doc =
        "A tensor with arbitrary content, of this shape and these strides in elements."
        TABULA_EXAMPLE("torch.empty_strided((2, 3), (1, 2)).stride()", "(1, 2)")}};

static void run_zeros(const Op& op, const Value* args, Out& out) {
  if (made_sparse(op, args, out, 2)) return;
  const FactoryOptions options(args + 1);
  give(out, options, zeros_raw(args[0].ints(), options.dtype.value_or(default_dtype), options.device_or_default()));
}
static const Op zeros{OpDef{.schema = "zeros(int[] size, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_zeros), .on = Function | OutForm,
    .doc =
        "A tensor of zeros. dtype defaults to torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.zeros(2, 3)",
                       "tensor([[0., 0., 0.],\n"
                       "            [0., 0., 0.]])")}};
static void run_ones(const Op& op, const Value* args, Out& out) {
  if (made_sparse(op, args, out, 2)) return;
  const FactoryOptions options(args + 1);
  give(out, options, full_raw(args[0].ints(), Scalar(1), options.dtype.value_or(default_dtype), options.device_or_default()));
}
static const Op ones{OpDef{.schema = "ones(int[] size, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_ones), .on = Function | OutForm,
    .doc =
        "A tensor of ones. dtype defaults to torch.get_default_dtype()."
        TABULA_EXAMPLE("torch.ones(3, dtype=torch.int32)", "tensor([1, 1, 1], dtype=torch.int32)")}};
static void run_full(const Op& op, const Value* args, Out& out) {
  if (made_sparse(op, args, out, 3)) return;
  const FactoryOptions options(args + 2);
  const Scalar& value = args[1].scalar();
  give(out, options, full_raw(args[0].ints(), value, options.dtype.value_or(value.dtype(default_dtype)), options.device_or_default()));
}
static const Op full{OpDef{.schema = "full(int[] size, Scalar fill_value, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_full), .on = Function | OutForm,
    .doc =
        "A tensor filled with one number, whose kind gives the dtype: bool, int64, or the default floating or "
        "complex dtype."
        TABULA_EXAMPLE("torch.full((2, 2), 7)",
                       "tensor([[7, 7],\n"
                       "            [7, 7]])")}};

// ---- like another tensor ----

#define LIKE_TAIL FACTORY_TAIL ", MemoryFormat? memory_format=None"

static void run_empty_like(const Op& op, const Value* args, Out& out) {
  if (made_sparse(op, args, out, 2)) return;
  const FactoryOptions options(args + 1);
  give(out, options, empty_like_options(args[0].tensor(), options, args[6]));
}

static void filled_like(const Value* args, Out& out, const Scalar& value, int first_option) {
  const FactoryOptions options(args + first_option);
  const Tensor result = empty_like_options(args[0].tensor(), options, args[first_option + 5]);
  fill_into(result, value);
  give(out, options, result);
}
static const Op empty_like{OpDef{.schema = "empty_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = boxed(run_empty_like), .on = Function,
    .batch = batch::formatted, .doc =
        "A tensor with arbitrary content, and the shape, dtype, device and strides of the input unless told "
        "otherwise."
        TABULA_EXAMPLE("torch.empty_like(torch.zeros(2, 3)).shape", "torch.Size([2, 3])")}};
static void run_zeros_like(const Op& op, const Value* args, Out& out) {
  if (!made_sparse(op, args, out, 2)) filled_like(args, out, Scalar(0), 1);
}
static const Op zeros_like{OpDef{.schema = "zeros_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = boxed(run_zeros_like), .on = Function,
    .batch = batch::formatted, .doc =
        "Zeros with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.zeros_like(torch.tensor([1, 2]))", "tensor([0, 0])")}};
static void run_ones_like(const Op&, const Value* args, Out& out) { filled_like(args, out, Scalar(1), 1); }
static const Op ones_like{OpDef{.schema = "ones_like(Tensor input, " LIKE_TAIL ") -> Tensor", .run = boxed(run_ones_like), .on = Function,
    .batch = batch::formatted, .doc =
        "Ones with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.ones_like(torch.tensor([3., 4.]))", "tensor([1., 1.])")}};
static void run_full_like(const Op&, const Value* args, Out& out) { filled_like(args, out, args[1].scalar(), 2); }
static const Op full_like{OpDef{.schema = "full_like(Tensor input, Scalar fill_value, " LIKE_TAIL ") -> Tensor", .run = boxed(run_full_like), .on = Function,
    .batch = batch::formatted, .doc =
        "One number with the shape, dtype and device of the input unless told otherwise."
        TABULA_EXAMPLE("torch.full_like(torch.tensor([1., 2.]), 7)", "tensor([7., 7.])")}};

static void run_new_empty(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 2);
  const Tensor& t = args[0].tensor();
  give(out, options, Tensor::empty(args[1].ints(), options.dtype.value_or(t.dtype()), options.device_or(t.device())));
}
static const Op new_empty{OpDef{.schema = "new_empty(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_new_empty), .on = Method,
    .batch = batch::sized, .doc =
        "A tensor of this shape with arbitrary content, and the dtype and device of this tensor unless told "
        "otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_empty(3).dtype", "torch.int64")}};
static void run_new_empty_strided(const Op&, const Value* args, Out& out) {
  const FactoryOptions options(args + 3);
  const Tensor& t = args[0].tensor();
  give(out, options, Tensor::empty_strided(args[1].ints(), args[2].ints(), options.dtype.value_or(t.dtype()), options.device_or(t.device())));
}
static const Op new_empty_strided{OpDef{.schema = "new_empty_strided(Tensor input, int[] size, int[] stride, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_new_empty_strided), .on = Method,
    .batch = batch::new_strided, .doc =
        "A tensor of this shape and these strides with arbitrary content, and the dtype and device of this "
        "tensor."
        TABULA_EXAMPLE("torch.zeros(2).new_empty_strided((2, 3), (1, 2)).stride()", "(1, 2)")}};
static void new_filled(const Value* args, Out& out, const Scalar& value, int first_option) {
  const FactoryOptions options(args + first_option);
  const Tensor& t = args[0].tensor();
  give(out, options, full_raw(args[1].ints(), value, options.dtype.value_or(t.dtype()), options.device_or(t.device())));
}
static void run_new_full(const Op&, const Value* args, Out& out) { new_filled(args, out, args[2].scalar(), 3); }
static const Op new_full{OpDef{.schema = "new_full(Tensor input, int[] size, Scalar fill_value, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_new_full), .on = Method,
    .batch = batch::sized, .doc =
        "One number in a tensor of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.zeros(2).new_full((3,), 5)", "tensor([5., 5., 5.])")}};
static void run_new_zeros(const Op& op, const Value* args, Out& out) {
  if (!made_sparse(op, args, out, 3)) new_filled(args, out, Scalar(0), 2);
}
static const Op new_zeros{OpDef{.schema = "new_zeros(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_new_zeros), .on = Method,
    .batch = batch::sized, .doc =
        "Zeros of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_zeros(3)", "tensor([0, 0, 0])")}};
static void run_new_ones(const Op&, const Value* args, Out& out) { new_filled(args, out, Scalar(1), 2); }
static const Op new_ones{OpDef{.schema = "new_ones(Tensor input, int[] size, " FACTORY_TAIL ") -> Tensor", .run = boxed(run_new_ones), .on = Method,
    .batch = batch::sized, .doc =
        "Ones of this shape, with the dtype and device of this tensor unless told otherwise."
        TABULA_EXAMPLE("torch.tensor([1, 2]).new_ones(3)", "tensor([1, 1, 1])")}};

}  // namespace tabula
