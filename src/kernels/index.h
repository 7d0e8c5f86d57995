// Reading and writing at positions given by index tensors. Strides are in elements; a scalar operand is one element
// with strides of zero. Indices are int64. Kernels check them before they write anything. Work on duplicates happens in
// the order of the indices, whatever the number of threads: the last assignment wins, sums are left to right.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/small_vec.h"

namespace tabula::kernels {

// What a bad index raises, and whether negative ones count from the end. Each operation of PyTorch has its own way.
enum class IndexRule {
  Gather,    // RuntimeError "index 5 is out of bounds for dimension 0 with size 3"; no negatives
  Indexing,  // the same text as an IndexError; negatives wrap (advanced indexing, index_fill)
  Self,      // IndexError "index out of range in self"; no negatives
  Copy,      // IndexError "index_copy_(): index 5 is out of bounds ..."; no negatives
  Take,      // IndexError "out of range: tried to access index 12 on a tensor of 12 elements."; negatives wrap
};

// out[.., i, ..] = self[.., index[.., i, ..], ..]: gather, take_along_dim, take (flat), and with an index that is
// broadcast over the other dimensions index_select and embedding.
struct GatherCall {
  int64_t item;   // bytes
  IntList sizes;  // of index and out
  int64_t dim;
  void* out;
  IntList out_strides;
  const void* self;
  IntList self_strides;
  int64_t self_size;  // along dim
  const int64_t* index;
  IntList index_strides;
  IndexRule rule = IndexRule::Gather;
};
extern Kernel<void(const GatherCall&)> gather;

// self[.., index[.., i, ..], ..] op= src[.., i, ..]: scatter and its reductions, put (flat), and with a broadcast index
// index_add, index_copy, index_fill, index_reduce. Half types accumulate in float and are rounded once.
enum class ScatterOp { Assign, Add, Multiply, Mean, Max, Min };
struct ScatterCall {
  DType dtype;
  ScatterOp op = ScatterOp::Assign;
  bool include_self = true;     // false: cells that are written start from nothing
  IntList sizes;                // of index
  int64_t dim;
  void* self;
  IntList self_strides;
  int64_t self_size;  // along dim
  const int64_t* index;
  IntList index_strides;
  const void* src;
  IntList src_strides;
  const void* alpha = nullptr;  // one element that multiplies src (Add only); null: 1
  IndexRule rule = IndexRule::Gather;
};
extern Kernel<void(const ScatterCall&)> scatter;

// Advanced indexing of `data`, whose indexed dimensions are listed apart from the kept ones. The indices' common
// (broadcast) shape and the kept dimensions together are the shape of `values`, which has strides for both groups.
struct IndexOperand {
  const int64_t* data;
  IntList strides;      // over index_sizes
  int64_t size, stride; // of data's dimension that it indexes
  int64_t dim;          // that dimension's number, for messages
};
struct IndexCall {
  DType dtype;
  IntList index_sizes;
  std::span<const IndexOperand> indices;
  IntList kept_sizes;
  void* data;  // read only by index_get
  IntList data_kept_strides;
  void* values;  // read only by index_put
  IntList value_index_strides, value_kept_strides;
  IndexRule rule = IndexRule::Indexing;
};
extern Kernel<void(const IndexCall&)> index_get;                   // values = data[indices]
extern Kernel<void(const IndexCall&, bool accumulate)> index_put;  // data[indices] = (or +=) values

// Which elements of a tensor are nonzero, found in two steps since the result's length depends on them. `parts` goes
// from the first to the second; its last entry is the total.
struct MaskCall {
  DType dtype;
  IntList sizes;
  const void* mask;
  IntList strides;
};
extern Kernel<void(const MaskCall&, std::vector<int64_t>& parts)> count_nonzero_parts;
// out: [total, rank]
extern Kernel<void(const MaskCall&, const std::vector<int64_t>& parts, int64_t* out, int64_t row_stride,
                   int64_t column_stride)>
    nonzero;
// out: total elements, contiguous; self is read along the mask's sizes. The mask must be bool or uint8.
extern Kernel<void(const MaskCall&, const std::vector<int64_t>& parts, int64_t item, const void* self,
                   IntList self_strides, void* out)>
    masked_select;
// self takes source's elements (contiguous; checked to be enough) in order.
extern Kernel<void(const MaskCall&, const std::vector<int64_t>& parts, int64_t item, void* self, IntList self_strides,
                   const void* source, int64_t source_numel)>
    masked_scatter;

// The gradient of an embedding's weight [rows, width] (written in full) from grad [n, width], both contiguous.
struct EmbeddingBackwardCall {
  DType dtype;
  int64_t n, rows, width;
  const int64_t* index;
  const void* grad;
  void* out;
  int64_t padding = -1;  // a row that gets no gradient
  bool scale_by_frequency = false;
};
extern Kernel<void(const EmbeddingBackwardCall&)> embedding_backward;

// Counts of n contiguous values in [0, bins); bincount_size gives the largest value plus one and refuses negative ones.
extern Kernel<void(DType, const void* in, int64_t n, int64_t& size)> bincount_size;
extern Kernel<void(DType, const void* in, int64_t n, int64_t* out, int64_t bins)> bincount;
extern Kernel<void(DType, const void* in, int64_t n, DType weight_dtype, const void* weights, void* out, int64_t bins)>
    bincount_weighted;  // float or double weights and result
// Floating dtypes; a range with low == high is that of the data.
extern Kernel<void(DType, const void* in, int64_t n, void* out, int64_t bins, double low, double high)> histc;
// out[n, classes], contiguous; checks the values.
extern Kernel<void(const int64_t* in, int64_t n, int64_t classes, int64_t* out)> one_hot;
// out: sum(repeats) positions, i repeats[i] times; repeat_total adds up and refuses negative ones.
extern Kernel<void(const int64_t* repeats, int64_t n, int64_t& total)> repeat_total;
extern Kernel<void(const int64_t* repeats, int64_t n, int64_t* out)> repeat_interleave;

// out = in, any strides, negative ones included (flip).
struct MoveCall {
  int64_t item;
  IntList sizes;
  void* out;
  IntList out_strides;
  const void* in;
  IntList in_strides;
};
extern Kernel<void(const MoveCall&)> move_elements;
extern Kernel<void(const MoveCall&, IntList shifts)> roll;  // one shift for each dimension
// Keeps what lies on and above (upper) or below the k-th diagonal of the last two dimensions, zero elsewhere.
extern Kernel<void(const MoveCall&, int64_t k, bool upper)> triangle;

}  // namespace tabula::kernels
