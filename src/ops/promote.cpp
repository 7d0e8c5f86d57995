#include "ops/promote.h"

#include <array>

namespace tabula {
namespace {

constexpr DType promote_pair(DType a, DType b) {
  if (a == b) return a;
  if (a == DType::Bool) return b;
  if (b == DType::Bool) return a;
  if (is_complex(a) || is_complex(b)) {
    const auto rank = [](DType d) { return d == DType::Complex128 || d == DType::Float64 ? 2 : d == DType::Complex64 || d == DType::Float32 || d == DType::BFloat16 ? 1 : 0; };
    const int ra = is_floating(a) || is_complex(a) ? rank(a) : 0, rb = is_floating(b) || is_complex(b) ? rank(b) : 0;
    const int r = ra > rb ? ra : rb;
    return r == 2 ? DType::Complex128 : r == 1 ? DType::Complex64 : DType::Complex32;
  }
  if (is_floating(a) && is_floating(b)) {
    const auto rank = [](DType d) { return d == DType::Float64 ? 3 : d == DType::Float32 ? 2 : is_reduced_float(d) ? 1 : 0; };
    if (rank(a) == rank(b)) return DType::Float32;  // half with bfloat16
    return rank(a) > rank(b) ? a : b;
  }
  if (is_floating(a)) return a;
  if (is_floating(b)) return b;
  // integers: the wider wins; a signed and an unsigned of equal or larger size go one size up
  const bool ua = is_unsigned(a), ub = is_unsigned(b);
  const int64_t sa = item_size(a), sb = item_size(b);
  if (ua == ub) return sa >= sb ? a : b;
  const DType s = ua ? b : a, u = ua ? a : b;
  if (item_size(s) > item_size(u)) return s;
  return item_size(u) == 1 ? DType::Int16 : item_size(u) == 2 ? DType::Int32 : DType::Int64;
}

constexpr auto kTable = [] {
  std::array<std::array<DType, kDTypes>, kDTypes> table{};
  for (int a = 0; a < kDTypes; a++)
    for (int b = 0; b < kDTypes; b++) table[size_t(a)][size_t(b)] = promote_pair(DType(a), DType(b));
  return table;
}();

}  // namespace

DType promote_types(DType a, DType b) {
  if (a != b && (is_float8(a) || is_float8(b)))
    fail(ErrorKind::Runtime, "Promotion for Float8 Types is not supported, attempted to promote ", dtype_title(a), " and ", dtype_title(b));
  return kTable[size_t(a)][size_t(b)];
}

bool can_cast(DType from, DType to) {
  if (is_complex(from) && !is_complex(to)) return false;
  if (is_floating(from) && is_integral_or_bool(to)) return false;
  return !(from != DType::Bool && to == DType::Bool);
}

}  // namespace tabula
