// Devices, and the kernel table that is indexed by them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "core/error.h"

namespace tabula {

// The kinds after Meta have no back end here; they exist because PyTorch accepts their names.
enum class DeviceKind : uint8_t {
  CPU, CUDA, OpenCL, Meta,
  IPU, XPU, MKLDNN, OpenGL, IDEEP, HIP, VE, FPGA, MAIA, XLA, Lazy, Vulkan, MPS, HPU, MTIA, PrivateUse, Count
};
inline constexpr int kBackends = int(DeviceKind::Meta) + 1;

constexpr const char* device_kind_name(DeviceKind kind) {
  constexpr const char* names[] = {"cpu",   "cuda", "opencl", "meta", "ipu",  "xpu", "mkldnn",
                                   "opengl", "ideep", "hip",   "ve",   "fpga", "maia", "xla",
                                   "lazy",  "vulkan", "mps",   "hpu",  "mtia", "privateuseone"};
  static_assert(std::size(names) == size_t(DeviceKind::Count));
  return names[int(kind)];
}

struct Device {
  DeviceKind kind = DeviceKind::CPU;
  int8_t index = -1;  // -1: none was named
  bool operator==(const Device&) const = default;
  bool is_cpu() const { return kind == DeviceKind::CPU; }
  bool is_meta() const { return kind == DeviceKind::Meta; }
  std::string str() const {
    std::string text = device_kind_name(kind);
    return index < 0 ? text : text + ":" + std::to_string(index);
  }
};

// One entry of the kernel table [kernel][device]. A kernel family declares
//     extern Kernel<void(const Call&)> my_kernel;
// the CPU file defines it with its function, a GPU back end fills its own entry when it is opened. The meta device runs
// nothing: shapes are settled before a kernel is called, so its entry is a no-op for every kernel.
template <class Signature>
class Kernel;

template <class... Args>
class Kernel<void(Args...)> {
 public:
  using Function = void (*)(Args...);
  constexpr Kernel(const char* name, Function cpu) : name_(name) {
    for (auto& entry : table_) entry = nullptr;
    table_[int(DeviceKind::CPU)] = cpu;
    table_[int(DeviceKind::Meta)] = [](Args...) {};
  }
  void set(DeviceKind kind, Function function) { table_[int(kind)] = function; }
  Function operator[](DeviceKind kind) const {
    Function function = int(kind) < kBackends ? table_[int(kind)] : nullptr;
    if (!function) [[unlikely]]
      fail(ErrorKind::NotImplemented, "Could not run '", name_, "' on the '", device_kind_name(kind),
           "' device: it has no kernel for it");
    return function;
  }
  const char* name() const { return name_; }

 private:
  const char* name_;
  Function table_[kBackends];
};

}  // namespace tabula
