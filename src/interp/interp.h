// The layers above autograd, which see a call of the choke point before it is recorded or run.
#pragma once

#include "ops/backward.h"

namespace tabula::interp {

// Asked in this order, from the outermost one.
enum class Place : uint8_t { Profile, Autocast, Batch, Sparse };
constexpr int kPlaces = 4;

// True: the call is done. Asked for every call with kParts or an interpreter other than kDispatchMode.
using Layer = bool (*)(const Call& call, uint8_t bits);
void install(Place place, Layer layer);

}  // namespace tabula::interp
