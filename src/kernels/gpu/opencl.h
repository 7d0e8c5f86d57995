// OpenCL: AMD's and Intel's GPUs, and PoCL on processors.
#pragma once

#include "kernels/gpu/runtime.h"

namespace tabula::kernels::gpu {

// The first GPU there is, else the first device of any kind. The library is opened at the first call; throws an Error
// that says what is missing where there is no library, driver or device.
Runtime& opencl();

}  // namespace tabula::kernels::gpu
