// The elementwise part of attention, compiled per instruction set.
#pragma once

#include "kernels/attention.h"
#include "kernels/cpu/reduce_dispatch.h"

namespace tabula::kernels {

// A block of scores [rows, keys], `stride` apart. Row r sees its first `seen + r` keys if causal, else all.
struct AttentionBlock {
  DType dtype;
  int64_t rows, keys, stride;
  char* scores;
  bool causal;
  int64_t seen;
  const char* mask;  // the block's first element, or null
  bool mask_is_bool;
  int64_t mask_row, mask_col;
  // Forward: what each row has seen so far, its largest score and its sum of exponentials relative to that one, and
  // the rows of sums of values, which shrink where the largest score grows.
  char *largest = nullptr, *total = nullptr, *sums = nullptr;
  int64_t width = 0;
  // Backward: the gradients of the probabilities, which become those of the scores; for each row the logarithm of its
  // sum, and the sum of its output times the output's gradient.
  char* slopes = nullptr;
  const char *log_total = nullptr, *product = nullptr;
};

// Scores become exponentials relative to the row's largest score so far.
TABULA_PER_ISA(void, attention_exponentials, const AttentionBlock& block)
// Scores become probabilities, and the gradients of probabilities those of scores.
TABULA_PER_ISA(void, attention_slopes, const AttentionBlock& block)

}  // namespace tabula::kernels
