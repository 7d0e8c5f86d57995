#include "ops/matmul.h"

#include "core/hint.h"
#include "kernels/gemm.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/index_basic.h"
#include "ops/reduce.h"
#include "ops/scalar_range.h"
#include "ops/view.h"

namespace tabula {
namespace {

// The texts by which PyTorch's products refuse operands of several dtypes.
void check_factors(const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), "expected m1 and m2 to have the same dtype, but got: ", c_type_name(a.dtype()), " != ", c_type_name(b.dtype()));
}
void check_summand(const Tensor& input, const Tensor& a, const Tensor& b) {
  check(input.dtype() == b.dtype(), "self and mat2 must have the same dtype, but got ", dtype_title(input.dtype()), " and ", dtype_title(b.dtype()));
  check(a.dtype() == b.dtype(), "mat1 and mat2 must have the same dtype, but got ", dtype_title(a.dtype()), " and ", dtype_title(b.dtype()));
}
void check_vector(const Tensor& input, const Tensor& a, const Tensor& x) {
  check(input.dtype() == a.dtype() && a.dtype() == x.dtype(), "addmv input tensors must have the same dtype, but got ", dtype_title(input.dtype()), ", ", dtype_title(a.dtype()),
        ", and ", dtype_title(x.dtype()));
}
void check_inner(const Tensor& a, const Tensor& b) {
  check(a.sizes()[1] == b.sizes()[0], "mat1 and mat2 shapes cannot be multiplied (", a.sizes()[0], "x", a.sizes()[1], " and ", b.sizes()[0], "x", b.sizes()[1], ")",
        product_hint(a.sizes(), b.sizes()));
}
void check_batches(const Tensor& a, const Tensor& b) {
  check(a.sizes()[0] == b.sizes()[0] && a.sizes()[2] == b.sizes()[1], "Expected size for first two dimensions of batch2 tensor to be: [", a.sizes()[0], ", ", a.sizes()[2], "] but got: [",
        b.sizes()[0], ", ", b.sizes()[1], "].", product_hint(a.sizes(), b.sizes()));
}

void check_product_dtype(DType d, const char* what) {
  if (d == DType::Bool || is_float8(d) || d == DType::Complex32) fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(d), "'");
}

struct Product {
  Scalar alpha = Scalar(1.0), beta = Scalar(0.0);
  const Tensor* bias = nullptr;  // 1-d of n, added to every row
};

// c = alpha a b (+ beta c) for matrices of any strides.
void gemm_into(const Tensor& c, const Tensor& a, const Tensor& b, const Product& p = {}) {
  kernels::GemmCall call;
  call.m = a.sizes()[0];
  call.k = a.sizes()[1];
  call.n = b.sizes()[1];
  call.dtype = c.dtype();
  call.a = a.data();
  call.a_row = a.strides()[0];
  call.a_col = a.strides()[1];
  call.b = b.data();
  call.b_row = b.strides()[0];
  call.b_col = b.strides()[1];
  call.c = c.data();
  call.c_row = c.strides()[0];
  call.c_col = c.strides()[1];
  call.alpha = p.alpha.to_complex();
  call.beta = p.beta.to_complex();
  if (p.bias) {
    call.bias = p.bias->data();
    call.bias_col = p.bias->sizes().back() == 1 ? 0 : p.bias->strides().back();
    if (!call.bias_col) call.bias_row = 0;
  }
  call.conj_a = a.is_conj();
  call.conj_b = b.is_conj();
  if (call.m && call.n) kernels::gemm[c.device().kind](call);
}

// Sizes written in place, alive until the end of the full expression.
Dims list(std::initializer_list<int64_t> items) { return Dims(items); }

Tensor resolved(const Tensor& t) { return t.is_neg() ? resolved_copy(t) : t; }

}  // namespace

// ---- mm ----

static Tensor run_mm(const Tensor& a, const Tensor& b) {
  check(a.dim() == 2, "self must be a matrix");
  check(b.dim() == 2, "mat2 must be a matrix");
  check_inner(a, b);
  check_factors(a, b);
  check_product_dtype(a.dtype(), "addmm_impl_cpu_");
  Tensor c = Tensor::empty(list({a.sizes()[0], b.sizes()[1]}), a.dtype(), a.device());
  gemm_into(c, resolved(a), resolved(b));
  return c;
}
// The conjugate transpose of a matrix by `t`, which subclasses that dispatch know.
static Tensor flipped(const Tensor& matrix) { return conj_of(t(matrix)); }
static void mm_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, mm(b.g(), flipped(b.in(1))));
  if (b.needs(1)) b.set(1, mm(flipped(b.in(0)), b.g()));
}
const Op mm{OpDef{.schema = "mm(Tensor input, Tensor mat2) -> Tensor", .run = fn_exact_out<run_mm>, .on = Usual, .lazy_bits = true, .linear = Linear::Each, .vjp = mm_vjp, .save = in(0) | in(1), .cross_save = true,
    .batch = batch::mm, .doc =
        "The product of two matrices, [n, k] times [k, m]; no broadcasting."
        TABULA_EXAMPLE("torch.mm(torch.tensor([[1., 2.]]), torch.tensor([[3.], [4.]]))", "tensor([[11.]])")}};

// ---- bmm ----

static Tensor run_bmm(const Tensor& a, const Tensor& b) {
  check(a.dim() == 3, "batch1 must be a 3D tensor");
  check(b.dim() == 3, "batch2 must be a 3D tensor");
  check_batches(a, b);
  check_product_dtype(a.dtype(), "bmm");
  check(a.dtype() == b.dtype(), "expected scalar type ", dtype_title(a.dtype()), " but found ", dtype_title(b.dtype()));
  Tensor c = Tensor::empty(list({a.sizes()[0], a.sizes()[1], b.sizes()[2]}), a.dtype(), a.device());
  if (c.numel() == 0) return c;
  const Tensor x = resolved(a), y = resolved(b);
  kernels::BatchedGemmCall call;
  call.m = a.sizes()[1];
  call.k = a.sizes()[2];
  call.n = b.sizes()[2];
  call.dtype = c.dtype();
  call.a = x.data();
  call.a_batch = x.strides()[0];
  call.a_row = x.strides()[1];
  call.a_col = x.strides()[2];
  call.b = y.data();
  call.b_batch = y.strides()[0];
  call.b_row = y.strides()[1];
  call.b_col = y.strides()[2];
  call.c = c.data();
  call.c_batch = c.strides()[0];
  call.c_row = c.strides()[1];
  call.c_col = c.strides()[2];
  call.batch = c.sizes()[0];
  call.conj_a = x.is_conj();
  call.conj_b = y.is_conj();
  kernels::batched_gemm[c.device().kind](call);
  return c;
}
static void bmm_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, bmm(b.g(), adjoint(b.in(1))));
  if (b.needs(1)) b.set(1, bmm(adjoint(b.in(0)), b.g()));
}
const Op bmm{OpDef{.schema = "bmm(Tensor input, Tensor mat2) -> Tensor", .run = fn_exact_out<run_bmm>, .on = Usual, .lazy_bits = true, .linear = Linear::Each, .vjp = bmm_vjp, .save = in(0) | in(1), .cross_save = true,
    .batch = batch::bmm, .doc =
        "The products of two batches of matrices, [b, n, k] times [b, k, m]; no broadcasting."
        TABULA_EXAMPLE("torch.bmm(torch.ones(2, 1, 3), torch.ones(2, 3, 1)).shape", "torch.Size([2, 1, 1])")}};

// ---- vectors ----

static Tensor run_mv(const Tensor& a, const Tensor& x) {
  check_index(a.dim() > 0, "Dimension specified as 0 but tensor has no dimensions");
  check(a.dim() == 2 && x.dim() == 1, "vector + matrix @ vector expected, got 1, ", a.dim(), ", ", x.dim());
  check(a.sizes()[1] == x.sizes()[0], "size mismatch, got input (", a.sizes()[0], "), mat (", a.sizes()[0], "x", a.sizes()[1], "), vec (", x.sizes()[0], ")",
        product_hint(a.sizes(), x.sizes()));
  check_vector(x, a, x);
  check_product_dtype(a.dtype(), "addmv_impl_cpu");
  Tensor c = Tensor::empty(list({a.sizes()[0]}), a.dtype(), a.device());
  gemm_into(Tensor::alias(c, {Dims{a.sizes()[0], 1}, Dims{1, 1}, c.offset()}), resolved(a),
            [&] {
              const Tensor v = resolved(x);
              return Tensor::alias(v, {Dims{v.sizes()[0], 1}, Dims{v.strides()[0], 1}, v.offset()});
            }());
  return c;
}
static void mv_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, outer(b.g(), conj_of(b.in(1))));
  if (b.needs(1)) b.set(1, mv(adjoint(b.in(0)), b.g()));
}
const Op mv{OpDef{.schema = "mv(Tensor input, Tensor vec) -> Tensor", .run = fn_exact_out<run_mv>, .on = Usual, .lazy_bits = true, .linear = Linear::Each, .vjp = mv_vjp, .save = in(0) | in(1), .cross_save = true,
    .batch = batch::mv, .doc =
        "The product of a matrix and a vector."
        TABULA_EXAMPLE("torch.mv(torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([1., 1.]))", "tensor([3., 7.])")}};

static Tensor inner(const Tensor& a, const Tensor& b, bool conj_a, const char* what) {
  check(a.dim() == 1 && b.dim() == 1, "1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
  check(a.dtype() == b.dtype(), "dot : expected both vectors to have same dtype, but found ", dtype_title(a.dtype()), " and ", dtype_title(b.dtype()));
  check(a.numel() == b.numel(), "inconsistent tensor size, expected tensor [", a.numel(), "] and src [", b.numel(), "] to have the same number of elements, but got ", a.numel(), " and ",
        b.numel(), " elements respectively");
  check_product_dtype(a.dtype(), what);
  Tensor c = Tensor::empty({}, a.dtype(), a.device());
  kernels::DotCall call;
  call.n = a.numel();
  call.dtype = a.dtype();
  call.a = a.data();
  call.a_stride = a.strides()[0];
  call.b = b.data();
  call.b_stride = b.strides()[0];
  call.out = c.data();
  call.conj_a = conj_a;
  kernels::dot[c.device().kind](call);
  return c;
}
template <bool conjugated>
static void run_dot(const Op&, const Value* args, Out& out) {
  const Tensor &a = args[0].tensor(), &b = args[1].tensor();
  if (out.into)
    check(out.into->dtype() == a.dtype(), "result dtype ", dtype_title(out.into->dtype()), " does not match input dtype ", dtype_title(a.dtype()));
  detail::box(out, inner(a, b, conjugated && is_complex(a.dtype()), "dot"));
}
static void dot_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * conj_of(b.in(1)));
  if (b.needs(1)) b.set(1, b.g() * conj_of(b.in(0)));
}
const Op dot{OpDef{.schema = "dot(Tensor input, Tensor tensor) -> Tensor", .run = boxed(run_dot<false>), .on = Usual, .linear = Linear::Each, .vjp = dot_vjp, .save = in(0) | in(1), .cross_save = true,
    .batch = batch::dot, .doc =
        "The sum of the products of two vectors of one length and dtype; complex ones are not conjugated."
        TABULA_EXAMPLE("torch.dot(torch.tensor([1, 2]), torch.tensor([3, 4]))", "tensor(11)")}};
static void vdot_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, conj_of(b.g()) * b.in(1));
  if (b.needs(1)) b.set(1, b.g() * b.in(0));
}
static const Op vdot{OpDef{.schema = "vdot(Tensor input, Tensor other) -> Tensor", .run = boxed(run_dot<true>), .on = Usual, .linear = Linear::Each, .vjp = vdot_vjp, .save = in(0) | in(1), .cross_save = true,
    .batch = batch::dot, .doc =
        "torch.dot with the first vector conjugated."
        TABULA_EXAMPLE("torch.vdot(torch.tensor([1 + 1j]), torch.tensor([1 + 1j]))", "tensor(2.+0.j)")}};

static Tensor run_outer(const Tensor& a, const Tensor& b) {
  check(a.dim() == 1, "outer: Expected 1-D argument self, but got ", a.dim(), "-D");
  check(b.dim() == 1, "outer: Expected 1-D argument vec2, but got ", b.dim(), "-D");
  return mul(unsqueeze(a, 1), b);
}
const Op outer{OpDef{.schema = "outer(Tensor input, Tensor vec2) -> Tensor", .run = fn<run_outer>, .on = Usual, .composite = true,
    .doc =
        "The product of every element of one vector with every element of another: [n] and [m] give [n, m]."
        TABULA_EXAMPLE("torch.outer(torch.tensor([1, 2]), torch.tensor([3, 4]))",
                       "tensor([[3, 4],\n"
                       "            [6, 8]])")}};
static const Op ger{OpDef{.schema = "ger(Tensor input, Tensor vec2) -> Tensor", .run = fn<run_outer>, .on = Usual, .composite = true,
    .doc =
        "Another name of torch.outer."
        TABULA_EXAMPLE("torch.ger(torch.tensor([1, 2]), torch.tensor([3, 4]))",
                       "tensor([[3, 4],\n"
                       "            [6, 8]])")}};

// ---- products that add to something ----

// Factors of integer products are integers: 2.7 counts as 2.
static Scalar as_type(const Scalar& s, DType d) {
  if (!(s.is_integral() && uint64_t(s.to_int()) < 128)) check_fits(s, is_reduced_float(d) ? DType::Float32 : d);
  return is_integral_or_bool(d) && !s.is_integral() ? Scalar(s.to_int()) : s;
}

static Tensor run_addmm(const Tensor& input, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  check(a.dim() == 2, "mat1 must be a matrix, got ", a.dim(), "-D tensor");
  check(b.dim() == 2, "mat2 must be a matrix, got ", b.dim(), "-D tensor");
  check_inner(a, b);
  check_summand(input, a, b);
  check_product_dtype(a.dtype(), "addmm_impl_cpu_");
  const int64_t out_sizes[2] = {a.sizes()[0], b.sizes()[1]};
  Tensor c = Tensor::empty(out_sizes, a.dtype(), a.device());
  const Scalar scale = as_type(alpha, a.dtype()), keep = as_type(beta, a.dtype());
  const Geometry spread = expanded(input.geometry(), out_sizes, dtype_title(input.dtype()));
  if (keep.equals(1) && input.dim() == 1 && !(input.impl()->special & (kConj | kNeg))) {
    Product p;
    p.alpha = scale;
    p.bias = &input;
    gemm_into(c, resolved(a), resolved(b), p);
    return c;
  }
  if (!keep.equals(0)) copy_into(c, Tensor::alias(input, spread));
  Product p;
  p.alpha = scale;
  p.beta = keep;
  if (a.sizes()[1] == 0 && !keep.equals(0)) {
    mul.in_place(c, keep);
    return c;
  }
  gemm_into(c, resolved(a), resolved(b), p);
  return c;
}
static void addmm_vjp(Backward& b) {
  const Scalar beta = conj_of(b.arg(3).scalar()), alpha = conj_of(b.arg(4).scalar());
  if (b.needs(0)) b.set(0, beta.equals(1) ? b.g() : b.g() * beta);
  const auto scaled = [&](const Tensor& t) { return alpha.equals(1) ? t : t * alpha; };
  if (b.needs(1)) b.set(1, scaled(mm(b.g(), flipped(b.in(2)))));
  if (b.needs(2)) b.set(2, scaled(mm(flipped(b.in(1)), b.g())));
}
const Op addmm{OpDef{.schema = "addmm(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", .run = fn_exact_out<run_addmm>, .on = Pointwise_, .lazy_bits = true, .vjp = addmm_vjp,
                     .save = in(1) | in(2),
    .batch = batch::addmm, .doc =
        "beta * input + alpha * (mat1 @ mat2), in one pass; input broadcasts to the product. With beta=0, NaN in "
        "input doesn't spread."
        TABULA_EXAMPLE("torch.addmm(torch.ones(1), torch.tensor([[1., 2.]]), torch.tensor([[3.], [4.]]))",
                       "tensor([[12.]])")}};

// beta * input + alpha * product, where beta 0 keeps NaNs of the input out.
static Tensor weighted_sum(const Tensor& input, const Tensor& product, const Scalar& beta, const Scalar& alpha) {
  const Scalar scale = as_type(alpha, product.dtype()), keep = as_type(beta, product.dtype());
  const Tensor scaled = scale.equals(1) ? product : product * scale;
  if (keep.equals(0)) return scaled;
  return add(keep.equals(1) ? input : input * keep, scaled);
}

static Tensor run_addmv(const Tensor& input, const Tensor& a, const Tensor& x, const Scalar& beta, const Scalar& alpha) {
  check(input.dim() <= 1 && a.dim() == 2 && x.dim() == 1, "vector + matrix @ vector expected, got ", input.dim(), ", ", a.dim(), ", ", x.dim());
  check(a.sizes()[1] == x.sizes()[0] && (input.numel() == 1 || input.numel() == a.sizes()[0]), "size mismatch, got input (", input.numel(), "), mat (", a.sizes()[0], "x",
        a.sizes()[1], "), vec (", x.sizes()[0], ")", product_hint(a.sizes(), x.sizes()));
  check_vector(input, a, x);
  return weighted_sum(input, mv(a, x), beta, alpha);
}
static const Op addmv{OpDef{.schema = "addmv(Tensor input, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor", .run = fn_exact_out<run_addmv>, .on = Pointwise_ | InPlaceFunction, .composite = true,
    .doc =
        "beta * input + alpha * (mat @ vec); input broadcasts to the product."
        TABULA_EXAMPLE("torch.addmv(torch.ones(1), torch.tensor([[1., 2.]]), torch.tensor([3., 4.]))",
                       "tensor([12.])")}};
static Tensor run_addr(const Tensor& input, const Tensor& x, const Tensor& y, const Scalar& beta, const Scalar& alpha) {
  check(x.dim() == 1, "addr: Expected 1-D argument vec1, but got ", x.dim(), "-D");
  check(y.dim() == 1, "addr: Expected 1-D argument vec2, but got ", y.dim(), "-D");
  const bool flags = input.dtype() == DType::Bool && x.dtype() == DType::Bool && y.dtype() == DType::Bool;
  check(flags || !(beta.is_bool() || alpha.is_bool()), "Boolean ", beta.is_bool() ? "beta" : "alpha", " only supported for Boolean results.");
  if (is_integral_or_bool(input.dtype()) && is_integral_or_bool(x.dtype()) && is_integral_or_bool(y.dtype())) {
    check(beta.is_integral(), "For integral input tensors, argument beta must not be a floating point number.");
    check(alpha.is_integral(), "For integral input tensors, argument alpha must not be a floating point number.");
  }
  if (flags) {
    const Tensor product = alpha.to_bool() ? outer(x, y) : zeros_like_raw(outer(x, y));
    return beta.to_bool() ? logical_or(input, product) : product;
  }
  const Tensor product = outer(x, y);
  return weighted_sum(expand(input, product.sizes()), product, beta, alpha);
}
static const Op addr{OpDef{.schema = "addr(Tensor input, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", .run = fn<run_addr>, .on = Pointwise_, .composite = true,
    .doc =
        "beta * input + alpha * outer(vec1, vec2)."
        TABULA_EXAMPLE("torch.addr(torch.zeros(2, 2), torch.tensor([1., 2.]), torch.tensor([3., 4.]))",
                       "tensor([[3., 4.],\n"
                       "            [6., 8.]])")}};

static Tensor run_baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  check(a.dim() == 3, "batch1 must be a 3D tensor");
  check(b.dim() == 3, "batch2 must be a 3D tensor");
  const Tensor summand = expand(input, list({a.sizes()[0], a.sizes()[1], b.sizes()[2]}));
  check_product_dtype(input.dtype(), "baddbmm");
  check(input.dtype() == a.dtype(), "Input dtypes must be the same, got: input ", c_type_name(input.dtype()), ", batch1: ", c_type_name(a.dtype()), ", batch2: ", c_type_name(b.dtype()));
  return weighted_sum(summand, bmm(a, b), beta, alpha);
}
const Op baddbmm{OpDef{.schema = "baddbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", .run = fn_exact_out<run_baddbmm>, .on = Pointwise_, .composite = true,
    .doc =
        "beta * input + alpha * bmm(batch1, batch2); input broadcasts to the product."
        TABULA_EXAMPLE("torch.baddbmm(torch.ones(1), torch.ones(1, 1, 2), torch.ones(1, 2, 1))", "tensor([[[3.]]])")}};
static Tensor run_addbmm(const Tensor& input, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  check(a.dim() == 3, "batch1 must be a 3D tensor");
  check(b.dim() == 3, "batch2 must be a 3D tensor");
  const Tensor summand = expand(input, list({a.sizes()[1], b.sizes()[2]}));
  check(a.sizes()[0] == b.sizes()[0], "batch1 and batch2 must have same number of batches, got ", a.sizes()[0], " and ", b.sizes()[0]);
  check(a.sizes()[2] == b.sizes()[1], "Incompatible matrix sizes for bmm (", a.sizes()[1], "x", a.sizes()[2], " and ", b.sizes()[1], "x", b.sizes()[2], ")",
        product_hint(a.sizes(), b.sizes()));
  check_summand(input, a, b);
  check_product_dtype(a.dtype(), "addmm_impl_cpu_");
  return weighted_sum(summand, sum_dim(bmm(a, b), list({0}), false, a.dtype()), beta, alpha);
}
static const Op addbmm{OpDef{.schema = "addbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", .run = fn<run_addbmm>, .on = Pointwise_, .composite = true,
    .doc =
        "beta * input + alpha * the sum over the batch of bmm(batch1, batch2)."
        TABULA_EXAMPLE("torch.addbmm(torch.zeros(1), torch.ones(3, 1, 2), torch.ones(3, 2, 1))", "tensor([[6.]])")}};

// ---- matmul: by the number of dimensions ----

static Tensor run_matmul(const Tensor& a, const Tensor& b) {
  const int64_t na = a.dim(), nb = b.dim();
  check(na != 0 && nb != 0, "both arguments to matmul need to be at least 1D, but they are ", na, "D and ", nb, "D");
  if (na == 2 && nb == 2) return mm(a, b);
  if (na == 1 && nb == 1) return dot(a, b);
  if (na == 2 && nb == 1) return mv(a, b);
  if (na == 1 && nb == 2) return squeeze_dims(mm(unsqueeze(a, 0), b), list({0}));
  if (nb <= 2 && na > 2 && (nb == 1 || a.strides().back() == 1 || a.is_contiguous())) {
    // the leading dimensions of a are just more rows; copying those that do not lie so costs less than many products
    const int64_t k = a.sizes().back();
    int64_t rows = 1;
    for (int64_t d = 0; d < na - 1; d++) rows *= a.sizes()[size_t(d)];
    const Tensor flat = reshape(a, list({rows, k}));
    Dims sizes(a.sizes().data(), a.sizes().data() + na - 1);
    if (nb == 1) return reshape(mv(flat, b), IntList(sizes));
    sizes.push_back(b.sizes()[1]);
    return reshape(mm(flat, b), IntList(sizes));
  }
  const Tensor x = na == 1 ? unsqueeze(a, 0) : a, y = nb == 1 ? unsqueeze(b, 1) : b;
  const Dims batch = broadcast_sizes(x.sizes().first(size_t(x.dim() - 2)), y.sizes().first(size_t(y.dim() - 2)));
  int64_t count = 1;
  for (int64_t s : batch) count *= s;
  const auto batched = [&](const Tensor& t) {
    Dims full(batch);
    full.push_back(t.size(-2));
    full.push_back(t.size(-1));
    const Tensor spread = same(t.sizes(), full) ? t : expand(t, IntList(full));
    return t.dim() == 3 && spread.dim() == 3 ? spread : reshape(spread, list({count, t.size(-2), t.size(-1)}));
  };
  const Tensor product = bmm(batched(x), batched(y));
  Dims sizes(batch);
  if (na > 1) sizes.push_back(a.size(-2));
  if (nb > 1) sizes.push_back(b.size(-1));
  return reshape(product, IntList(sizes));
}
const Op matmul{OpDef{.schema = "matmul(Tensor input, Tensor other) -> Tensor", .run = fn_exact_out<run_matmul>, .on = Usual, .composite = true,
    .doc =
        "The matrix product. Two vectors give their dot product; a vector beside a matrix counts as a row or "
        "column of it; what has more dimensions is a batch of matrices, and batches broadcast."
        TABULA_EXAMPLE("torch.matmul(torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([1., 1.]))", "tensor([3., 7.])")
        TABULA_STEP("torch.matmul(torch.ones(5, 1, 2, 3), torch.ones(4, 3, 2)).shape", "torch.Size([5, 4, 2, 2])")}};

// ---- linear ----

static Tensor run_linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  check(input.dim() > 0 && weight.dim() > 0, "both arguments to linear need to be at least 1D, but they are ", input.dim(), "D and ", weight.dim(), "D");
  if (input.dim() == 2 && bias.defined() && weight.dim() == 2 && bias.dim() == 1) return addmm(bias, input, t(weight));
  if (input.dim() > 2 && bias.defined() && weight.dim() == 2 && bias.dim() == 1 &&
      (input.strides().back() == 1 || input.is_contiguous())) {
    const Dims leading(input.sizes().data(), input.sizes().data() + input.dim() - 1);
    const Tensor flat = reshape(input, list({count_elements(leading), input.size(-1)}));
    Dims sizes(leading);
    sizes.push_back(weight.sizes()[0]);
    return reshape(addmm(bias, flat, t(weight)), IntList(sizes));
  }
  const Tensor product = matmul(input, t(weight));
  return bias.defined() ? product + bias : product;
}
const Op linear{OpDef{.schema = "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", .run = fn_exact_out<run_linear>, .on = NN | OutForm, .composite = true,
    .doc =
        "input @ weight.T + bias: input [*, in], weight [out, in], bias [out] or None, result [*, out]."
        TABULA_EXAMPLE("torch.nn.functional.linear(torch.tensor([1., 2.]), torch.tensor([[3., 4.]]), torch.tensor([1.]))",
                       "tensor([12.])")}};

}  // namespace tabula
