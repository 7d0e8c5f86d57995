// Attention: softmax(q k^T / sqrt(d)) v (Vaswani et al., 2017).
#include <cmath>

#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/dropout.h"
#include "ops/factory.h"
#include "ops/matmul.h"
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

Tensor attend(const Tensor& q, const Tensor& key, const Tensor& value, const Tensor& mask, double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  const bool grouped = enable_gqa && q.dim() >= 3 && key.dim() >= 3 && value.dim() >= 3;
  const Tensor k = grouped ? repeat_heads(key, q.size(-3)) : key, v = grouped ? repeat_heads(value, q.size(-3)) : value;
  const double factor = scale ? *scale : 1 / std::sqrt(double(q.size(-1)));
  Tensor scores = matmul(q.size(-1) == 0 && !scale ? q : q * Scalar(factor), transpose(k, int64_t(-2), int64_t(-1)));
  Tensor weights;
  if (is_causal) {
    weights = softmax(where(causal_mask(q, q.size(-2), k.size(-2)), scores, Scalar(-HUGE_VAL)), int64_t(-1));
  } else if (mask.defined()) {
    weights = safe_softmax(mask.dtype() == DType::Bool ? where(mask, scores, Scalar(-HUGE_VAL)) : add(scores, mask.dtype() == q.dtype() ? mask : to_dtype(mask, q.dtype())));
  } else {
    weights = softmax(scores, int64_t(-1));
  }
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
