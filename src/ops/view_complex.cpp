// Views of complex numbers: conjugates, parts, and their real representation.
#include "ops/view.h"

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"

namespace tabula {

// ---- complex numbers ----

static Tensor run_conj(const Tensor& input) {
  if (!is_complex(input.dtype())) return input;
  Tensor result = make_view(input, input.geometry());
  result.impl()->special ^= kConj;
  return result;
}
static void conj_vjp(Backward& b) { b.set(0, conj(b.g())); }
static const Op conj_view{OpDef{.schema = "_conj(Tensor(a) input) -> Tensor(a)", .run = fn<run_conj>, .on = Function, .view = true, .lazy_bits = true, .vjp = conj_vjp, .node = "ConjBackward0",
    .batch = batch::same, .doc =
        "The complex conjugate as a view that is only marked; torch.conj for dtypes known to be complex."
        TABULA_EXAMPLE("torch._conj(torch.tensor([1 + 2j])).is_conj()", "True")}};
static Tensor run_conj_front(const Tensor& input) { return is_complex(input.dtype()) ? conj_view(input) : input; }
const Op conj{OpDef{.schema = "conj(Tensor(a) input) -> Tensor(a)", .run = fn<run_conj_front>, .on = Both, .composite = true,
    .doc =
        "The complex conjugate, as a view that is conjugated when it is read; real tensors are returned as they "
        "are."
        TABULA_EXAMPLE("torch.conj(torch.tensor([1 + 2j]))", "tensor([1.-2.j])")}};

static Tensor run_neg_view(const Tensor& input) {
  Tensor result = make_view(input, input.geometry());
  result.impl()->special ^= kNeg;
  return result;
}
static void neg_view_vjp(Backward& b) { b.set(0, neg(b.g())); }
static const Op neg_view{OpDef{.schema = "_neg_view(Tensor(a) input) -> Tensor(a)", .run = fn<run_neg_view>, .on = Function, .view = true, .lazy_bits = true, .vjp = neg_view_vjp,
    .batch = batch::same, .doc =
        "The negated tensor as a view that is only marked."
        TABULA_EXAMPLE("torch._neg_view(torch.tensor([1., 2.]))", "tensor([-1., -2.])")}};

static Tensor run_view_as_real(const Tensor& input) {
  check(is_complex(input.dtype()), "view_as_real is only supported for complex tensors");
  check(!input.is_conj(), "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can view it as real, use self.resolve_conj(); however, be warned "
        "that the resulting tensor will NOT alias the original.");
  Geometry g = input.geometry();
  for (int64_t& s : g.strides) s *= 2;
  g.sizes.push_back(2);
  g.strides.push_back(1);
  g.offset *= 2;
  Tensor result = make_view(input, std::move(g));
  result.impl()->dtype = real_dtype(input.dtype());
  return result;
}
static void view_as_real_vjp(Backward& b) { b.set(0, view_as_complex(contiguous(b.g()))); }
const Op view_as_real{OpDef{.schema = "view_as_real(Tensor(a) input) -> Tensor(a)", .run = fn<run_view_as_real>, .on = Function, .view = true, .lazy_bits = true, .vjp = view_as_real_vjp,
    .batch = batch::same, .doc =
        "Complex numbers as a real view with a last dimension of size 2: real and imaginary parts."
        TABULA_EXAMPLE("torch.view_as_real(torch.tensor([1 + 2j]))", "tensor([[1., 2.]])")}};

static Tensor run_view_as_complex(const Tensor& input) {
  check(input.dtype() == DType::Float32 || input.dtype() == DType::Float64 || input.dtype() == DType::Float16,
        "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ", dtype_title(input.dtype()));
  check(input.dim() > 0, "Input tensor must have one or more dimensions");
  Geometry g = input.geometry();
  check(g.sizes.back() == 2, "Tensor must have a last dimension of size 2");
  check(g.strides.back() == 1, "Tensor must have a last dimension with stride 1");
  g.sizes.pop_back();
  g.strides.pop_back();
  for (int64_t& s : g.strides) {
    check(s % 2 == 0, "Tensor must have a stride divisible by 2 for all but last dimension");
    s /= 2;
  }
  check(g.offset % 2 == 0, "Tensor must have a storage_offset divisible by 2");
  g.offset /= 2;
  Tensor result = make_view(input, std::move(g));
  result.impl()->dtype = complex_dtype(input.dtype());
  return result;
}
static void view_as_complex_vjp(Backward& b) { b.set(0, view_as_real(b.g().is_conj() ? clone(b.g()) : b.g())); }
const Op view_as_complex{OpDef{.schema = "view_as_complex(Tensor(a) input) -> Tensor(a)", .run = fn<run_view_as_complex>, .on = Function, .view = true, .vjp = view_as_complex_vjp,
    .batch = batch::strict_bytes, .doc =
        "A complex view of real numbers (float16, float32, float64) whose last dimension has size 2 and stride 1."
        TABULA_EXAMPLE("torch.view_as_complex(torch.tensor([[1., 2.]]))", "tensor([1.+2.j])")}};

static Tensor run_real(const Tensor& input) {
  if (!is_complex(input.dtype())) return input;
  if (input.is_conj()) return select(view_as_real(conj_view(input)), -1, 0);
  return select(view_as_real(input), -1, 0);
}
const Op real{OpDef{.schema = "real(Tensor(a) input) -> Tensor(a)", .run = fn<run_real>, .on = Function, .composite = true,
    .doc =
        "The real parts as a view; real tensors are returned as they are."
        TABULA_EXAMPLE("torch.real(torch.tensor([1 + 2j]))", "tensor([1.])")}};
static Tensor run_imag(const Tensor& input) {
  check(is_complex(input.dtype()), "imag is not implemented for tensors with non-complex dtypes.");
  if (input.is_conj()) return neg_view(select(view_as_real(conj_view(input)), -1, 1));
  return select(view_as_real(input), -1, 1);
}
const Op imag{OpDef{.schema = "imag(Tensor(a) input) -> Tensor(a)", .run = fn<run_imag>, .on = Function, .composite = true,
    .doc =
        "The imaginary parts as a view. A RuntimeError for real tensors."
        TABULA_EXAMPLE("torch.imag(torch.tensor([1 + 2j]))", "tensor([2.])")}};

}  // namespace tabula
