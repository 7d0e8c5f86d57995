// The tensor: a geometry over a storage. Arithmetic lives in ops/, derivatives in autograd/.
#pragma once

#include <memory>

#include "core/dtype.h"
#include "core/geometry.h"
#include "core/scalar.h"
#include "core/storage.h"

namespace tabula {

// What autograd keeps per tensor; opaque here.
struct AutogradMeta {
  virtual ~AutogradMeta() = default;
};

struct VersionCounter : RefCounted {
  uint32_t value = 0;
  static void destroy(VersionCounter* counter) { delete counter; }
};

// Facts about a tensor that take an operation off its fast path. One byte, so that a call ORs them together.
enum Special : uint8_t {
  kNeedsGrad = 1,   // requires_grad or has a grad_fn
  kConj = 2,        // lazily conjugated
  kNeg = 4,         // lazily negated
  kView = 8,        // differentiable view of view_base: consult it too
  kDispatch = 16,   // a Python subclass with __torch_dispatch__
  kParts = 32,      // has no elements of its own: see TensorParts
  kOffCpu = 64,     // on another device than the CPU
  kDual = 128,      // carries a forward-mode tangent
};

// How a view came about, which decides whether it may be written to in place.
enum class ViewKind : uint8_t { Plain, NoGrad, Inference, MultiOutput, CustomFunction };

class Tensor;

// What a tensor without strided elements of its own consists of (the indices and values of a sparse one, the batch
// behind one that vmap's function sees). Opaque here. Its tensor has sizes, a dtype and a storage of zero bytes.
struct TensorParts {
  virtual ~TensorParts() = default;
  virtual std::unique_ptr<TensorParts> copy() const = 0;  // for an alias of the tensor
  virtual const char* kind() const = 0;                   // as messages name it: "SparseTensorImpl"
  // The tensor that holds the elements, and whose history is this one's; null where there is no single one.
  virtual const Tensor* whole() const { return nullptr; }
  // Why no single number can be taken from it, as an error's text; null where one can, by other means than `item`.
  virtual const char* no_item() const { return nullptr; }
};

class TensorImpl : public RefCounted {
 public:
  static Ref<TensorImpl> make(Ref<Storage> storage, DType dtype);
  static void destroy(TensorImpl*);

  Dims sizes, strides;
  int64_t offset = 0;  // in elements
  int64_t numel = 0;
  Ref<Storage> storage;
  DType dtype;
  Device device;
  uint8_t special = 0;
  bool contiguous = true;
  bool wrapped_number = false;  // a Python number: takes part in promotion by category only
  bool inference = false;
  ViewKind view_kind = ViewKind::Plain;
  uint32_t view_version = 0;        // version at which this view's grad_fn was valid
  Ref<VersionCounter> own_version;  // of tensors made by `.data`; others count in the storage
  Ref<TensorImpl> view_base;        // root of the differentiable view chain
  std::unique_ptr<AutogradMeta> autograd;
  std::unique_ptr<TensorParts> parts;  // with kParts
  void* python = nullptr;         // the one Python object, which owns this tensor,
  bool owns_python = false;       // or is owned by it: nobody in Python holds the object, but C++ code holds the tensor

  uint32_t& version() { return own_version ? own_version->value : storage->version; }
  void set_geometry(Dims new_sizes, Dims new_strides, int64_t new_offset) {
    sizes = std::move(new_sizes);
    strides = std::move(new_strides);
    offset = new_offset;
    refresh();
  }
  void refresh();  // recomputes numel and contiguity

 private:
  TensorImpl() = default;
  ~TensorImpl() = default;
};

// Set by the bindings: a tensor that owns its Python object dies. False: somebody has got hold of the object through a
// weak reference, which again owns the tensor.
extern bool (*release_python)(TensorImpl*);

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  // Fresh, uninitialised, contiguous.
  static Tensor empty(IntList sizes, DType dtype, Device device = {});
  static Tensor empty_strided(IntList sizes, IntList strides, DType dtype, Device device = {});
  // Keeps the memory order of `like` where that is dense, as PyTorch's preserve_format.
  static Tensor empty_like(const Tensor& like, DType dtype);
  // Shares memory (no autograd link: that is made by the view operations).
  static Tensor alias(const Tensor& of, Geometry geometry);
  static Tensor alias(const Tensor& of);
  static Tensor over(Ref<Storage> storage, DType dtype, Geometry geometry);
  // Without elements of its own.
  static Tensor of_parts(std::unique_ptr<TensorParts> parts, IntList sizes, DType dtype, Device device);
  // A 0-d tensor that promotes like the Python number it was.
  static Tensor wrapped(const Scalar& value);

  bool defined() const { return bool(impl_); }
  explicit operator bool() const = delete;
  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& ref() const { return impl_; }
  bool is(const Tensor& other) const { return impl_ == other.impl_; }
  // Gives up ownership, as Ref::release.
  TensorImpl* release() { return impl_.release(); }

  IntList sizes() const { return impl_->sizes; }
  IntList strides() const { return impl_->strides; }
  int64_t size(int64_t d) const { return impl_->sizes[wrap_dim(d, dim(), false)]; }
  int64_t stride(int64_t d) const { return impl_->strides[wrap_dim(d, dim(), false)]; }
  int64_t dim() const { return impl_->sizes.size(); }
  int64_t numel() const { return impl_->numel; }
  int64_t offset() const { return impl_->offset; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->device; }
  bool is_meta() const { return impl_->device.is_meta(); }
  bool is_contiguous() const { return impl_->contiguous; }
  bool is_conj() const { return impl_->special & kConj; }
  bool is_neg() const { return impl_->special & kNeg; }
  bool needs_grad() const {
    return (impl_->special & kNeedsGrad) ||
           ((impl_->special & kView) && (impl_->view_base->special & kNeedsGrad));
  }
  bool is_dual() const {
    return (impl_->special & kDual) || ((impl_->special & kView) && (impl_->view_base->special & kDual));
  }
  Geometry geometry() const { return {impl_->sizes, impl_->strides, impl_->offset}; }
  Storage& storage() const { return *impl_->storage; }
  char* data() const { return impl_->storage->data() + impl_->offset * item_size(impl_->dtype); }
  template <class T>
  T* data_as() const {
    return reinterpret_cast<T*>(data());
  }
  void bump_version() const { impl_->version()++; }

 private:
  Ref<TensorImpl> impl_;
};

using TensorList = std::span<const Tensor>;

// For code that reaches elements without passing the choke point: throws for a tensor that has none of its own.
[[noreturn]] void fail_no_elements(const Tensor& t);
inline void check_elements(const Tensor& t) {
  if (t.impl()->special & kParts) [[unlikely]]
    fail_no_elements(t);
}

// The first element as a number. Throws for tensors with another count of elements than one, or on the meta device.
Scalar item(const Tensor& tensor);
// The value at `data` of this dtype as a number.
Scalar load_scalar(const char* data, DType dtype);
void store_scalar(char* data, DType dtype, const Scalar& value);

}  // namespace tabula
