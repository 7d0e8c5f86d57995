// Shape arithmetic: pure functions over sizes and strides (in elements), and all errors about them.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "core/small_vec.h"

namespace tabula {

struct Geometry {
  Dims sizes, strides;
  int64_t offset = 0;
};

// "[2, 3]", written only when a message really is: checks on hot paths name shapes.
struct ShapeText {
  IntList sizes;
  operator std::string() const;
};
inline ShapeText shape_text(IntList sizes) { return {sizes}; }
std::ostream& operator<<(std::ostream& out, const ShapeText& text);
inline std::string operator+(const std::string& a, const ShapeText& b) { return a + std::string(b); }
inline std::string operator+(const ShapeText& a, const std::string& b) { return std::string(a) + b; }

int64_t count_elements(IntList sizes);               // throws when it overflows
void check_sizes(IntList sizes);                     // negative ones are refused with PyTorch's text
Dims contiguous_strides(IntList sizes);
Dims channels_last_strides(IntList sizes);           // for 4 and 5 dimensions
bool is_contiguous(IntList sizes, IntList strides);
bool is_channels_last(IntList sizes, IntList strides);
bool is_non_overlapping_and_dense(IntList sizes, IntList strides);
// Strides for `sizes` that are dense and keep the memory order of `strides`.
Dims dense_strides_like(IntList sizes, IntList strides);
// The same for several operands, each with strides for `sizes` (0 where it is broadcast): the first one that tells two
// dimensions apart decides.
Dims dense_strides_like(IntList sizes, std::span<const IntList> operands);
// Bytes from the first to behind the last element that the geometry can reach, without the offset.
int64_t span_elements(IntList sizes, IntList strides);

// dim in [-ndim, ndim) to [0, ndim); a 0-d tensor counts as having one dimension where PyTorch says so.
int64_t wrap_dim(int64_t dim, int64_t ndim, bool scalar_ok = true);
Dims wrap_dims(IntList dims, int64_t ndim);          // and refuses duplicates

Dims broadcast_sizes(IntList a, IntList b);          // throws "The size of tensor a (2) must match ..."
bool expandable_to(IntList from, IntList to);
Dims infer_size(IntList wanted, IntList sizes);      // resolves one -1, so that both have as many elements

// Strides of a view with other sizes over the same memory, if there are any.
std::optional<Dims> view_strides(IntList sizes, IntList strides, IntList wanted);
// -1 keeps a size. `title`: the dtype as an error message names it.
Geometry expanded(const Geometry& g, IntList sizes, const char* title = "Float");

}  // namespace tabula
