#include "core/tensor.h"

#include "core/allocator.h"
#include "core/large_blocks.h"
#include "core/state.h"

namespace tabula {

thread_local constinit ThreadState thread_state;
DType default_dtype = DType::Float32;
bool (*release_python)(TensorImpl*) = nullptr;

Ref<TensorImpl> TensorImpl::make(Ref<Storage> storage, DType dtype) {
  auto* impl = new (Recycler<TensorImpl>::take()) TensorImpl;
  impl->device = storage->device();
  if (!impl->device.is_cpu()) impl->special = kOffCpu;
  impl->storage = std::move(storage);
  impl->dtype = dtype;
  impl->inference = thread_state.inference;
  return Ref<TensorImpl>(impl);
}

void TensorImpl::destroy(TensorImpl* impl) {
  if (impl->owns_python) {
    impl->refs_.store(1, std::memory_order_relaxed);  // the object's, should it turn out to be in use
    if (!release_python(impl)) return;
  }
  impl->~TensorImpl();
  Recycler<TensorImpl>::give(impl);
}

void TensorImpl::refresh() {
  numel = count_elements(sizes);
  contiguous = is_contiguous(sizes, strides);
}

namespace {

Ref<Storage> storage_for(size_t bytes, IntList sizes, DType dtype, Device device) {
  Ref<Storage> storage = Storage::make(bytes, device);
  if (bytes >= kLargeBlock && device.is_cpu()) [[unlikely]]
    large_blocks().describe(storage->data(), sizes, dtype);
  return storage;
}

}  // namespace

Tensor Tensor::empty(IntList sizes, DType dtype, Device device) {
  int64_t numel = 1, bytes;
  bool overflow = false, negative = false, zero = false;
  for (int64_t size : sizes) {
    negative |= size < 0;
    zero |= size == 0;
    overflow |= __builtin_mul_overflow(numel, size, &numel);
  }
  if (negative) [[unlikely]]
    check_sizes(sizes);
  if (zero) {
    numel = 0;
    overflow = false;
  }
  overflow |= __builtin_mul_overflow(numel, item_size(dtype), &bytes);
  check(!overflow, "Storage size calculation overflowed with sizes=", shape_text(sizes));
  Ref<TensorImpl> impl = TensorImpl::make(storage_for(size_t(bytes), sizes, dtype, device), dtype);
  impl->sizes.assign(sizes.data(), int64_t(sizes.size()));
  impl->strides = contiguous_strides(sizes);
  impl->numel = numel;
  return Tensor(std::move(impl));
}

Tensor Tensor::empty_strided(IntList sizes, IntList strides, DType dtype, Device device) {
  check(sizes.size() == strides.size(), "dimensionality of sizes (", sizes.size(), ") must match dimensionality of strides (",
        strides.size(), ")");
  check_sizes(sizes);
  for (int64_t stride : strides) check(stride >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", shape_text(strides));
  int64_t bytes;
  check(!__builtin_mul_overflow(span_elements(sizes, strides), item_size(dtype), &bytes),
        "Storage size calculation overflowed with sizes=", shape_text(sizes), " and strides=", shape_text(strides));
  return over(storage_for(size_t(bytes), sizes, dtype, device), dtype, {Dims(sizes), Dims(strides), 0});
}

Tensor Tensor::empty_like(const Tensor& like, DType dtype) {
  if (like.is_contiguous()) return empty(like.sizes(), dtype, like.device());
  return empty_strided(like.sizes(), dense_strides_like(like.sizes(), like.strides()), dtype, like.device());
}

Tensor Tensor::over(Ref<Storage> storage, DType dtype, Geometry geometry) {
  Ref<TensorImpl> impl = TensorImpl::make(std::move(storage), dtype);
  impl->set_geometry(std::move(geometry.sizes), std::move(geometry.strides), geometry.offset);
  return Tensor(std::move(impl));
}

Tensor Tensor::of_parts(std::unique_ptr<TensorParts> parts, IntList sizes, DType dtype, Device device) {
  check_sizes(sizes);
  Ref<TensorImpl> impl = TensorImpl::make(Storage::make(0, device), dtype);
  impl->sizes.assign(sizes.data(), int64_t(sizes.size()));
  impl->strides = Dims(int64_t(sizes.size()));
  impl->numel = 1;
  for (int64_t size : sizes) impl->numel = int64_t(uint64_t(impl->numel) * uint64_t(size));  // may be beyond any memory
  impl->contiguous = false;
  impl->parts = std::move(parts);
  impl->special |= kParts;
  return Tensor(std::move(impl));
}

void fail_no_elements(const Tensor& t) {
  fail(ErrorKind::NotImplemented, "Cannot access storage of ", t.impl()->parts->kind());
}

Tensor Tensor::alias(const Tensor& of, Geometry geometry) {
  check_elements(of);
  const TensorImpl& source = *of.impl();
  Ref<TensorImpl> impl = TensorImpl::make(source.storage, source.dtype);
  impl->device = source.device;
  impl->own_version = source.own_version;
  impl->special = source.special & (kConj | kNeg | kOffCpu);
  impl->inference = source.inference;
  impl->set_geometry(std::move(geometry.sizes), std::move(geometry.strides), geometry.offset);
  return Tensor(std::move(impl));
}

Tensor Tensor::alias(const Tensor& of) {
  const TensorImpl& source = *of.impl();
  Ref<TensorImpl> impl = TensorImpl::make(source.storage, source.dtype);
  impl->device = source.device;
  impl->own_version = source.own_version;
  impl->special = source.special & (kConj | kNeg | kOffCpu);
  impl->inference = source.inference;
  impl->sizes = source.sizes;
  impl->strides = source.strides;
  impl->offset = source.offset;
  impl->numel = source.numel;
  impl->contiguous = source.contiguous;
  if (source.parts) {
    impl->parts = source.parts->copy();
    impl->special |= kParts;
  }
  return Tensor(std::move(impl));
}

Tensor Tensor::wrapped(const Scalar& value) {
  // Python floats are doubles; computing in double and converting last is what the promotion rules expect
  Tensor tensor = empty({}, value.dtype(DType::Float64));
  store_scalar(tensor.data(), tensor.dtype(), value);
  tensor.impl()->wrapped_number = true;
  return tensor;
}

Scalar load_scalar(const char* data, DType dtype) {
  switch (dtype) {
    case DType::Bool: return Scalar(*reinterpret_cast<const uint8_t*>(data) != 0);
    default:
      return visit_all(dtype, "item", [&]<class T>() {
        T value = *reinterpret_cast<const T*>(data);
        if constexpr (std::is_same_v<T, ComplexHalf>)
          return Scalar(c128(c64(value)));
        else if constexpr (is_complex_v<T>)
          return Scalar(c128(value));
        else if constexpr (std::is_integral_v<T>)
          return Scalar(int64_t(value));
        else
          return Scalar(double(value));
      });
  }
}

void store_scalar(char* data, DType dtype, const Scalar& value) {
  visit_all(dtype, "fill", [&]<class T>() { *reinterpret_cast<T*>(data) = value.to<T>(); });
}

Scalar (*item_hook)(const Tensor&) = nullptr;

Scalar item(const Tensor& tensor) {
  if (tensor.impl()->parts)
    if (const char* reason = tensor.impl()->parts->no_item()) fail(ErrorKind::Runtime, reason);
  if ((tensor.impl()->special & kDispatch) | (thread_state.interpreters & kDispatchMode)) [[unlikely]]
    return item_hook(tensor);
  return stored_item(tensor);
}

Scalar stored_item(const Tensor& tensor) {
  check(tensor.numel() == 1, "a Tensor with ", tensor.numel(), " elements cannot be converted to Scalar");
  check(!tensor.is_meta(), "Tensor.item() cannot be called on meta tensors");
  check_elements(tensor);
  Scalar value = load_scalar(tensor.data(), tensor.dtype());
  if (tensor.is_conj()) value = Scalar(std::conj(value.to_complex()));
  return tensor.is_neg() ? -value : value;
}

}  // namespace tabula
