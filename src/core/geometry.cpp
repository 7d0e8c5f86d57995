#include "core/geometry.h"

#include <numeric>

#include "core/error.h"
#include "core/hint.h"

namespace tabula {
namespace {

// Strides of a tensor without elements may exceed every memory; they are never followed.
int64_t times(int64_t step, int64_t size) { return int64_t(uint64_t(step) * uint64_t(size)); }

}  // namespace

ShapeText::operator std::string() const {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); i++) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + "]";
}
std::ostream& operator<<(std::ostream& out, const ShapeText& text) { return out << std::string(text); }

int64_t count_elements(IntList sizes) {
  int64_t n = 1;
  bool overflow = false, zero = false;
  for (int64_t size : sizes) {
    if (size == 0) zero = true;
    overflow |= __builtin_mul_overflow(n, size, &n);
  }
  if (zero) return 0;
  check(!overflow, "numel: integer multiplication overflow");
  return n;
}

void check_sizes(IntList sizes) {
  for (int64_t size : sizes)
    check(size >= 0, "Trying to create tensor with negative dimension ", size, ": ", shape_text(sizes));
}

Dims contiguous_strides(IntList sizes) {
  Dims strides(int64_t(sizes.size()));
  int64_t step = 1;
  for (int64_t i = int64_t(sizes.size()) - 1; i >= 0; i--) {
    strides[i] = step;
    step = times(step, std::max<int64_t>(sizes[i], 1));
  }
  return strides;
}

Dims channels_last_strides(IntList sizes) {
  const int64_t nd = int64_t(sizes.size());
  check(nd == 4 || nd == 5, "required rank 4 tensor to use channels_last format");
  Dims strides(nd);
  int64_t step = 1;
  const auto place = [&](int64_t d) {
    strides[d] = step;
    step = times(step, std::max<int64_t>(sizes[d], 1));
  };
  place(1);
  for (int64_t d = nd - 1; d >= 2; d--) place(d);
  place(0);
  return strides;
}

bool is_contiguous(IntList sizes, IntList strides) {
  int64_t step = 1;
  for (int64_t i = int64_t(sizes.size()) - 1; i >= 0; i--) {
    if (sizes[i] == 1) continue;
    if (sizes[i] == 0) return true;
    if (strides[i] != step) {
      for (int64_t j = 0; j < i; j++)
        if (sizes[j] == 0) return true;
      return false;
    }
    step = times(step, sizes[i]);
  }
  return true;
}

bool is_channels_last(IntList sizes, IntList strides) {
  const int64_t nd = int64_t(sizes.size());
  if (nd != 4 && nd != 5) return false;
  if (strides[1] == 0) return false;
  int64_t least = 0;
  const auto fits = [&](int64_t d) {
    if (sizes[d] == 0 || strides[d] < least) return false;
    // an N1HW tensor in plain order is not taken for channels-last
    if (d == 0 && least == strides[1]) return false;
    least = strides[d];
    if (sizes[d] > 1) least = times(least, sizes[d]);
    return true;
  };
  if (!fits(1)) return false;
  for (int64_t d = nd - 1; d >= 2; d--)
    if (!fits(d)) return false;
  return fits(0);
}

namespace {
// Should dimension `a` lie further out than `b`? 1 yes, -1 no, 0 where no operand can tell.
int compare_dims(IntList sizes, std::span<const IntList> operands, int64_t a, int64_t b) {
  for (IntList strides : operands) {
    if (strides[a] == 0 || strides[b] == 0) continue;
    if (strides[a] != strides[b]) return strides[a] < strides[b] ? -1 : 1;
    if (sizes[a] > sizes[b]) return 1;
  }
  return 0;
}
// Dimensions from the innermost (smallest stride) outwards. An insertion sort, since the order isn't total: PyTorch's
// results have the strides that come of just this one.
SmallVec<int64_t, 8> by_stride(IntList sizes, std::span<const IntList> operands) {
  SmallVec<int64_t, 8> order(int64_t(sizes.size()));
  std::iota(order.begin(), order.end(), 0);
  std::reverse(order.begin(), order.end());
  for (int64_t i = 1; i < order.size(); i++) {
    for (int64_t at = i, left = i - 1; left >= 0; left--) {
      const int told = compare_dims(sizes, operands, order[left], order[at]);
      if (told < 0) break;
      if (told == 0) continue;
      std::swap(order[left], order[at]);
      at = left;
    }
  }
  return order;
}
}  // namespace

bool is_non_overlapping_and_dense(IntList sizes, IntList strides) {
  SmallVec<int64_t, 8> order;
  for (size_t d = 0; d < sizes.size(); d++) {
    if (sizes[d] == 0) return true;
    if (sizes[d] > 1) order.push_back(int64_t(d));
  }
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return strides[a] < strides[b]; });
  int64_t step = 1;
  for (int64_t d : order) {
    if (strides[d] != step) return false;
    step = times(step, sizes[d]);
  }
  return true;
}

Dims dense_strides_like(IntList sizes, IntList strides) { return dense_strides_like(sizes, std::span(&strides, 1)); }
Dims dense_strides_like(IntList sizes, std::span<const IntList> operands) {
  Dims result(int64_t(sizes.size()));
  int64_t step = 1;
  for (int64_t d : by_stride(sizes, operands)) {
    result[d] = step;
    step = times(step, std::max<int64_t>(sizes[d], 1));
  }
  return result;
}

int64_t span_elements(IntList sizes, IntList strides) {
  int64_t last = 0;
  for (size_t d = 0; d < sizes.size(); d++) {
    if (sizes[d] == 0) return 0;
    int64_t reach;
    check(!__builtin_mul_overflow(sizes[d] - 1, strides[d], &reach) && !__builtin_add_overflow(last, reach, &last),
          "Storage size calculation overflowed with sizes=", shape_text(sizes), " and strides=", shape_text(strides));
  }
  return last + 1;
}

int64_t wrap_dim(int64_t dim, int64_t ndim, bool scalar_ok) {
  if (ndim == 0) {
    check_index(scalar_ok, "Dimension specified as ", dim, " but tensor has no dimensions");
    ndim = 1;
  }
  check_index(dim >= -ndim && dim < ndim, "Dimension out of range (expected to be in range of [", -ndim, ", ", ndim - 1,
              "], but got ", dim, ")");
  return dim < 0 ? dim + ndim : dim;
}

Dims wrap_dims(IntList dims, int64_t ndim) {
  Dims result;
  check(ndim <= 64, "only tensors with up to 64 dims are supported");
  uint64_t seen = 0;
  for (int64_t dim : dims) {
    const int64_t d = wrap_dim(dim, ndim);
    check(!(seen >> d & 1), "dim ", d, " appears multiple times in the list of dims");
    seen |= uint64_t(1) << d;
    result.push_back(d);
  }
  return result;
}

Dims broadcast_sizes(IntList a, IntList b) {
  const int64_t na = int64_t(a.size()), nb = int64_t(b.size()), n = std::max(na, nb);
  Dims result(n);
  for (int64_t i = n - 1; i >= 0; i--) {
    const int64_t da = i - n + na, db = i - n + nb;
    const int64_t sa = da >= 0 ? a[da] : 1, sb = db >= 0 ? b[db] : 1;
    if (sa != sb && sa != 1 && sb != 1) {
      fail(ErrorKind::Runtime, "The size of tensor a (", sa, ") must match the size of tensor b (", sb,
           ") at non-singleton dimension ", i, broadcast_hint(a, b));
    }
    result[i] = sa == 1 ? sb : sa;
  }
  return result;
}

bool expandable_to(IntList from, IntList to) {
  if (from.size() > to.size()) return false;
  const size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); i++)
    if (from[i] != to[lead + i] && from[i] != 1) return false;
  return true;
}

Dims infer_size(IntList wanted, IntList sizes) {
  const int64_t numel = count_elements(sizes);
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < wanted.size(); i++) {
    if (wanted[i] == -1) {
      check(unknown < 0, "only one dimension can be inferred");
      unknown = int64_t(i);
    } else {
      check(wanted[i] >= 0, "invalid shape dimension ", wanted[i], " at index ", i, " of shape ", shape_text(wanted));
      check(!__builtin_mul_overflow(known, wanted[i], &known), "shape '", shape_text(wanted), "' is invalid for input of size ", numel, view_hint(sizes, wanted));
    }
  }
  Dims result(wanted);
  if (unknown >= 0 && known == 0)
    fail(ErrorKind::Runtime, "cannot reshape tensor of ", numel, " elements into shape ", shape_text(wanted),
         " because the unspecified dimension size -1 can be any value and is ambiguous");
  const bool fits = unknown >= 0 ? numel % known == 0 : numel == known;
  check(fits, "shape '", shape_text(wanted), "' is invalid for input of size ", numel, view_hint(sizes, wanted));
  if (unknown >= 0) result[unknown] = numel / known;
  return result;
}

std::optional<Dims> view_strides(IntList sizes, IntList strides, IntList wanted) {
  Dims result(int64_t(wanted.size()));
  const int64_t numel = count_elements(sizes);
  if (numel == 0) {
    if (same(sizes, wanted)) return Dims(strides);
    return contiguous_strides(wanted);
  }
  // Walk groups of old dimensions that lie contiguously, from the back, and let the new ones divide them.
  int64_t view_d = int64_t(wanted.size()) - 1;
  int64_t base = sizes.empty() ? 1 : strides[sizes.size() - 1];
  int64_t group = 1, taken = 1;
  for (int64_t d = int64_t(sizes.size()) - 1; d >= 0; d--) {
    group *= sizes[d];
    const bool ends = d == 0 || (sizes[d - 1] != 1 && strides[d - 1] != group * base);
    if (!ends) continue;
    while (view_d >= 0 && (taken < group || wanted[view_d] == 1)) {
      result[view_d] = taken * base;
      taken *= wanted[view_d];
      view_d--;
    }
    if (taken != group) return std::nullopt;
    if (d > 0) {
      base = strides[d - 1];
      group = taken = 1;
    }
  }
  for (; view_d >= 0; view_d--) result[view_d] = taken * base;  // only sizes of 1 are left
  return result;
}

Geometry expanded(const Geometry& g, IntList sizes, const char* title) {
  const int64_t old_n = g.sizes.size(), n = int64_t(sizes.size());
  check(n >= old_n, "expand(torch.", title, "Tensor{", shape_text(g.sizes), "}, size=", shape_text(sizes),
        "): the number of sizes provided (", n, ") must be greater or equal to the number of dimensions in the tensor (", old_n, ")");
  Geometry result{Dims(n), Dims(n), g.offset};
  for (int64_t i = n - 1; i >= 0; i--) {
    const int64_t d = i - (n - old_n);
    const int64_t size = d >= 0 ? g.sizes[d] : 1;
    int64_t target = sizes[i];
    if (target == -1) {
      check(d >= 0, "The expanded size of the tensor (", target, ") isn't allowed in a leading, non-existing dimension ", i);
      target = size;
    }
    check(target >= 0 || d >= 0, "The expanded size of the tensor (", target, ") isn't allowed in a leading, non-existing dimension ", i);
    check(size == target || (size == 1 && target >= 0), "The expanded size of the tensor (", target, ") must match the existing size (", size,
          ") at non-singleton dimension ", i, ".  Target sizes: ", shape_text(sizes), ".  Tensor sizes: ", shape_text(g.sizes),
          broadcast_hint(g.sizes, sizes));
    result.sizes[i] = target;
    result.strides[i] = size == target && d >= 0 ? g.strides[d] : size == 1 ? 0 : g.strides[d];
  }
  // a new leading dimension of size 1 gets the stride a contiguous tensor would have
  for (int64_t i = n - old_n - 1; i >= 0; i--)
    if (result.sizes[i] == 1) result.strides[i] = i + 1 < n ? times(result.sizes[i + 1], result.strides[i + 1]) : 1;
  return result;
}

}  // namespace tabula
