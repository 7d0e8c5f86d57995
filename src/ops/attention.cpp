// Attention: softmax(q k^T / sqrt(d)) v (Vaswani et al., 2017).
#include <cmath>

#include "core/state.h"
#include "kernels/attention.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/dropout.h"
#include "ops/factory.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/reduce_extremum.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace tabula {
namespace {

// The C++ type's name, as PyTorch's messages have it.
const char* type_name(DType d) {
  switch (d) {
    case DType::Float32: return "float";
    case DType::Float64: return "double";
    case DType::Float16: return "c10::Half";
    case DType::BFloat16: return "c10::BFloat16";
    case DType::Int32: return "int";
    case DType::Int64: return "long int";
    default: return dtype_name(d);
  }
}

void check_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool is_causal) {
  check(q.dtype() == k.dtype() && q.dtype() == v.dtype(), "Expected query, key, and value to have the same dtype, but got query.dtype: ", type_name(q.dtype()), " key.dtype: ",
        type_name(k.dtype()), " and value.dtype: ", type_name(v.dtype()), " instead.");
  check(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2, "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ", q.dim(), " key.dim: ", k.dim(),
        " and value.dim: ", v.dim(), " instead.");
  check(is_floating(q.dtype()), "expected scalar type Float but found ", dtype_title(q.dtype()));
  if (!mask.defined()) return;
  check(mask.dtype() == DType::Bool || mask.dtype() == DType::Float32 || mask.dtype() == q.dtype(),
        "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ", type_name(mask.dtype()), " and  query.dtype: ", type_name(q.dtype()), " instead.");
  check(!is_causal, "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True");
}

// Each head of keys and values serves several heads of queries.
Tensor repeat_heads(const Tensor& t, int64_t heads) {
  const int64_t own = t.size(-3);
  check(own > 0 && heads % own == 0, "Number of heads in key and value must divide the number of heads in query");
  if (own == heads) return t;
  Dims split(t.sizes());
  split.pop_back();
  split.pop_back();
  split.push_back(heads / own);
  split.push_back(t.size(-2));
  split.push_back(t.size(-1));
  Dims whole(t.sizes());
  whole[t.dim() - 3] = heads;
  return reshape(expand(unsqueeze(t, int64_t(-3)), split), whole);
}

// True where query i may see key j <= i.
Tensor causal_mask(const Tensor& q, int64_t queries, int64_t keys) {
  const Tensor mask = Tensor::empty(Dims{queries, keys}, DType::Bool, q.device());
  if (mask.is_meta()) return mask;
  bool* row = mask.data_as<bool>();
  for (int64_t i = 0; i < queries; i++, row += keys)
    for (int64_t j = 0; j < keys; j++) row[j] = j <= i;
  return mask;
}

// softmax along the last dimension; a query that may see no key gives zeros rather than NaN.
Tensor safe_softmax(const Tensor& scores) {
  if (scores.numel() == 0) return softmax(scores, int64_t(-1));
  const int64_t last = -1;
  const Tensor nothing = eq(amax(detach(scores), IntList(&last, 1), true), Scalar(-HUGE_VAL));
  return where(nothing, Scalar(0.0), softmax(scores, int64_t(-1)));
}

// What the softmax runs over: a mask, or the causal one, hides keys.
Tensor probabilities(const Tensor& q, const Tensor& k, const Tensor& mask, bool is_causal, double factor, bool plain) {
  const Tensor scores = matmul(plain ? q : q * Scalar(factor), transpose(k, int64_t(-2), int64_t(-1)));
  if (is_causal) return softmax(where(causal_mask(q, q.size(-2), k.size(-2)), scores, Scalar(-HUGE_VAL)), int64_t(-1));
  if (!mask.defined()) return softmax(scores, int64_t(-1));
  return safe_softmax(mask.dtype() == DType::Bool ? where(mask, scores, Scalar(-HUGE_VAL))
                                                  : add(scores, mask.dtype() == q.dtype() ? mask : to_dtype(mask, q.dtype())));
}

// ---- the row without a matrix of all scores ----

kernels::AttentionArray array_of(const Tensor& t) {
  kernels::AttentionArray a;
  a.data = t.data();
  for (size_t d = 0; d < 4; d++) a.strides[d] = t.strides()[d];
  return a;
}

kernels::AttentionCall call_for(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool is_causal,
                                double scale) {
  kernels::AttentionCall call{};
  call.batch = q.size(0);
  call.heads = q.size(1);
  call.key_heads = k.size(1);
  call.queries = q.size(2);
  call.keys = k.size(2);
  call.width = q.size(3);
  call.value_width = v.size(3);
  call.dtype = q.dtype();
  call.scale = scale;
  call.causal = is_causal;
  call.query = array_of(q);
  call.key = array_of(k);
  call.value = array_of(v);
  if (mask.defined()) {
    call.mask = array_of(mask);
    call.mask_is_bool = mask.dtype() == DType::Bool;
  }
  return call;
}

// q, k and v are four-dimensional, the mask is expanded. Results: the output, which lies as the queries do, and the
// logarithms of the rows' sums.
std::tuple<Tensor, Tensor> run_fused(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                     bool is_causal, double scale) {
  const Dims sizes{q.size(0), q.size(1), q.size(2), v.size(3)};
  const bool alike = q.size(3) == v.size(3) && q.stride(3) == 1 && is_non_overlapping_and_dense(q.sizes(), q.strides());
  const Tensor out = alike ? Tensor::empty_like(q, q.dtype()) : Tensor::empty(sizes, q.dtype(), q.device());
  const Tensor log_total = Tensor::empty(Dims{sizes[0], sizes[1], sizes[2]}, q.dtype(), q.device());
  kernels::AttentionCall call = call_for(q, k, v, mask, is_causal, scale);
  call.output = array_of(out);
  call.log_total = log_total.data();
  kernels::attention[q.device().kind](call);
  return {out, log_total};
}

std::tuple<Tensor, Tensor, Tensor> run_fused_backward(const Tensor& grad, const Tensor& q, const Tensor& k,
                                                      const Tensor& v, const Tensor& out, const Tensor& log_total,
                                                      const Tensor& mask, bool is_causal, double scale) {
  // [batch, rows, heads, width] in memory, as PyTorch's
  const auto made = [](const Tensor& like) {
    return transpose(Tensor::empty(Dims{like.size(0), like.size(2), like.size(1), like.size(3)}, like.dtype(), like.device()),
                     int64_t(1), int64_t(2));
  };
  const Tensor dq = made(q), dk = made(k), dv = made(v);
  kernels::AttentionCall call = call_for(q, k, v, mask, is_causal, scale);
  call.output = array_of(out);
  call.log_total = log_total.data();
  call.grad_output = array_of(grad);
  call.grad_query = array_of(dq);
  call.grad_key = array_of(dk);
  call.grad_value = array_of(dv);
  kernels::attention_backward[q.device().kind](call);
  return {dq, dk, dv};
}
const Op fused_attention_backward{
    OpDef{.schema = "_attention_backward(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor output, Tensor "
                    "log_total, Tensor? mask, bool is_causal, float scale) -> (Tensor, Tensor, Tensor)",
          .run = fn<run_fused_backward>,
          .on = Hidden,
          .batch = batch::refused}};

// The same of differentiable operations, for derivatives of higher order.
std::array<Tensor, 3> differentiable_backward(Backward& b) {
  const Tensor &q = b.in(0), &mask = b.in(3), &g = b.g(0);
  const int64_t heads = q.size(1), shared = heads / b.in(1).size(1);
  const Tensor k = repeat_heads(b.in(1), heads), v = repeat_heads(b.in(2), heads);
  const Scalar scale(b.number(5));
  const int64_t last = -1;
  const Tensor weights = probabilities(q, k, mask, b.flag(4), b.number(5), false);
  const Tensor slopes = matmul(g, transpose(v, int64_t(-2), last));
  const Tensor scores = weights * (slopes - sum_dim(slopes * weights, IntList(&last, 1), true)) * scale;
  const auto per_head = [&](const Tensor& t) {
    if (shared == 1) return t;
    const int64_t group = 2;
    return sum_dim(reshape(t, Dims{t.size(0), heads / shared, shared, t.size(2), t.size(3)}), IntList(&group, 1));
  };
  return {matmul(scores, k), per_head(matmul(transpose(scores, int64_t(-2), last), q)),
          per_head(matmul(transpose(weights, int64_t(-2), last), g))};
}

void fused_vjp(Backward& b) {
  std::array<Tensor, 3> grads;
  if (thread_state.grad_enabled || calls_may_be_taken())
    grads = differentiable_backward(b);
  else
    grads = fused_attention_backward.many<3>(b.g(0), b.in(0), b.in(1), b.in(2), b.out(0), b.out(1), b.in(3), b.flag(4),
                                             b.number(5));
  for (int i = 0; i < 3; i++)
    if (b.needs(i)) b.set(i, grads[size_t(i)]);
}
const Op fused_attention{OpDef{.schema = "_attention(Tensor query, Tensor key, Tensor value, Tensor? mask, bool is_causal, "
                                         "float scale) -> (Tensor, Tensor)",
                               .run = fn<run_fused>,
                               .on = Hidden,
                               .vjp = fused_vjp,
                               .save = in(0) | in(1) | in(2) | in(3) | out(0) | out(1),
                               .node = "ScaledDotProductFlashAttentionForCpuBackward0",
                               .batch = batch::refused}};

// Whether the kernel does it, and packing keys for it pays.
bool suits_kernel(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  if (calls_may_be_taken() || q.dim() < 2 || q.dim() > 4 || k.dim() != q.dim() || v.dim() != q.dim()) return false;
  if (q.dtype() != DType::Float32 && q.dtype() != DType::Float64) return false;
  for (const Tensor* t : {&q, &k, &v, &mask})
    if (t->defined() && ((t->impl()->special & (kDispatch | kParts | kConj | kNeg)) || t->is_dual() || !t->device().is_cpu()))
      return false;
  if (mask.defined()) {
    if ((mask.needs_grad() && thread_state.grad_enabled) || mask.dim() > q.dim()) return false;
    for (int64_t d = -1; d >= -mask.dim(); d--) {
      const int64_t whole = d == -1 ? k.size(-2) : q.size(d);
      if (mask.size(d) != 1 && mask.size(d) != whole) return false;
    }
  }
  for (int64_t d = 0; d + 2 < q.dim(); d++)
    if (k.sizes()[size_t(d)] != v.sizes()[size_t(d)] ||
        (q.sizes()[size_t(d)] != k.sizes()[size_t(d)] && !(q.dim() == 4 && d == 1 && k.size(1) > 0 && q.size(1) % k.size(1) == 0)))
      return false;
  return q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2) && q.numel() > 0 && k.numel() > 0 && v.numel() > 0 && q.size(-2) > 1;
}

Tensor attend_fused(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& given, bool is_causal, double scale) {
  const auto four = [](Tensor t) {
    while (t.dim() < 4) t = unsqueeze(t, int64_t(0));
    return t;
  };
  const Tensor q = four(query), k = four(key), v = four(value);
  Tensor mask = given;
  if (mask.defined()) {
    if (mask.dtype() != DType::Bool && mask.dtype() != q.dtype()) mask = to_dtype(mask, q.dtype());
    mask = expand(detach(mask), Dims{q.size(0), q.size(1), q.size(2), k.size(2)});
  }
  Tensor out = std::get<0>(fused_attention.many<2>(q, k, v, mask.defined() ? Value(mask) : Value(), is_causal, scale));
  for (int64_t d = query.dim(); d < 4; d++) out = select(out, int64_t(0), int64_t(0));
  return out;
}

Tensor attend(const Tensor& q, const Tensor& key, const Tensor& value, const Tensor& mask, double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  const bool grouped = enable_gqa && q.dim() >= 3 && key.dim() >= 3 && value.dim() >= 3;
  const double factor = scale ? *scale : 1 / std::sqrt(double(q.size(-1)));
  if (dropout_p == 0 && (grouped ? q.dim() == 4 : q.dim() < 4 || q.size(1) == key.size(1)) && suits_kernel(q, key, value, mask))
    return attend_fused(q, key, value, mask, is_causal, factor);
  const Tensor k = grouped ? repeat_heads(key, q.size(-3)) : key, v = grouped ? repeat_heads(value, q.size(-3)) : value;
  Tensor weights = probabilities(q, k, mask, is_causal, factor, q.size(-1) == 0 && !scale);
  if (dropout_p > 0) weights = dropout(weights, dropout_p, true);
  return matmul(weights, v);
}

Tensor run_attention(const Tensor& q, const Tensor& key, const Tensor& value, const Tensor& mask, double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  check_attention(q, key, value, mask, is_causal);
  check(dropout_p <= 1, "dropout probability has to be between 0 and 1, but got ", dropout_p);
  if (!is_reduced_float(q.dtype())) return attend(q, key, value, mask, dropout_p, is_causal, scale, enable_gqa);
  // the scores of halves are kept in float: rounding them is what costs accuracy
  const auto wide = [](const Tensor& t) { return to_dtype(t, DType::Float32); };
  const Tensor added = mask.defined() && mask.dtype() != DType::Bool ? wide(mask) : mask;
  return to_dtype(attend(wide(q), wide(key), wide(value), added, dropout_p, is_causal, scale, enable_gqa), q.dtype());
}

}  // namespace

static const Op attention{OpDef{
    .schema = "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> "
              "Tensor",
    .run = fn<run_attention>, .on = NN, .composite = true,
    .doc = "softmax(query key^T * scale) value, for queries (..., L, E), keys (..., S, E) and values (..., S, V).\n\nArgs: attn_mask, bool (True where a query may see a key) or floating (added to the scores), "
           "broadcast to (..., L, S); dropout_p; is_causal hides later keys; scale, 1 / sqrt(E) by default; enable_gqa repeats heads of keys and values (dim -3) for groups of queries. Raises "
           "RuntimeError for dtypes and shapes that do not fit. Source: Vaswani et al., 2017.\n\nExample::\n\n    >>> x = torch.ones(1, 2, 3)\n    >>> torch.nn.functional."
           "scaled_dot_product_attention(x, x, x)\n    tensor([[[1., 1., 1.],\n             [1., 1., 1.]]])\n"}};

}  // namespace tabula
