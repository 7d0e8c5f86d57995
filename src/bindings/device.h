// The default device of factories, and which devices can hold data.
#pragma once

#include "core/device.h"

namespace tabula::py {

struct DefaultDevice {
  Device device;
  bool chosen = false;  // by torch.set_default_device or `with torch.device(...)`
};
extern thread_local constinit DefaultDevice current_default_device __attribute__((tls_model("initial-exec")));

// Where a factory without a device argument puts its result.
inline Device default_device() { return current_default_device.device; }

// Throws PyTorch's error for devices that this build has no memory on.
void check_device_available(Device device);

}  // namespace tabula::py
