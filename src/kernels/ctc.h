// Connectionist temporal classification.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// A. Graves et al., "Connectionist temporal classification" (2006): minus the logarithm of the summed probability of
// all ways to spread a sequence's labels, blanks allowed in between, over its frames. float32 or float64; contiguous.
struct CtcCall {
  DType dtype;
  int64_t frames, batch, classes;
  const char* log_probs;  // [frames, batch, classes]
  const int64_t* labels;  // [batch, longest], in [0, classes) as far as `sizes` says
  int64_t longest;
  const int64_t *steps, *sizes;  // [batch]: frames and labels of each sequence
  int64_t blank;
  bool zero_infinity;  // sequences that do not fit their frames: 0 instead of infinity
  char* loss;          // [batch]
  // [frames, batch, classes] or null: the loss's derivative by log_probs, as if exp(log_probs) were softmax's result.
  char* grad;
};

extern Kernel<void(const CtcCall&)> ctc;

}  // namespace tabula::kernels
