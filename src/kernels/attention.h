// Attention without the matrix of all scores.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Four-dimensional [batch, heads, rows, width]; strides count elements.
struct AttentionArray {
  char* data = nullptr;
  int64_t strides[4] = {};
};

// output = softmax(scale * query key^T + mask) value, float32 or float64. Several heads of queries may share a head of
// keys and values. A query that may see no key gives zeros.
struct AttentionCall {
  int64_t batch, heads, key_heads, queries, keys, width, value_width;
  DType dtype;
  double scale;
  bool causal;  // query i sees the keys up to i
  AttentionArray query, key, value;
  AttentionArray mask;  // [batch, heads, queries, keys], broadcast by strides of 0; data null: none
  bool mask_is_bool = false;
  // Results of the forward pass, read by the backward pass. The output's last stride is 1; log_total is [batch, heads,
  // queries], the logarithm of each row's sum of exponentials.
  AttentionArray output;
  char* log_total = nullptr;
  // The backward pass: results have a last stride of 1.
  AttentionArray grad_output, grad_query, grad_key, grad_value;
};

extern Kernel<void(const AttentionCall&)> attention;
extern Kernel<void(const AttentionCall&)> attention_backward;

}  // namespace tabula::kernels
