// None as an item of a list of ints, in schemas `int?[n]`.
#pragma once

#include <cstdint>

namespace tabula {

inline constexpr int64_t kNoInt = INT64_MIN;

}  // namespace tabula
