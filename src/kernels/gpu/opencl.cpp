#include "kernels/gpu/opencl.h"

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "kernels/gpu/opencl_api.h"

namespace tabula::kernels::gpu {
namespace {

struct CloseLibrary {
  void operator()(void* library) const { dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

constexpr const char* kLibrary = "libOpenCL.so.1";

template <class... Parts>
[[noreturn]] void unavailable(const Parts&... parts) {
  fail(ErrorKind::Runtime, "OpenCL is not available: ", parts...);
}

Library open_library(cl::Api& api) {
  Library library(dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL));
  if (!library) unavailable(dlerror(), " (Debian's ocl-icd-libopencl1 has it; a driver is needed too)");
  const auto find = [&](auto& function, const char* name) {
    void* const address = dlsym(library.get(), name);
    if (!address) unavailable(kLibrary, " has no ", name);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
#define X(function, result, parameters) find(api.function, #function);
  TABULA_OPENCL_API(X)
#undef X
  return library;
}

void expect(int32_t status, const char* doing) {
  check(status == cl::kSuccess, "OpenCL error ", status, " while ", doing);
}

class OpenCL final : public Runtime {
 public:
  OpenCL() : library_(open_library(api_)), device_(choose_device()) {
    int32_t status;
    cl::Object const context = api_.clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &status);
    context_ = owned(context, status, api_.clReleaseContext, "creating a context");
    cl::Object const queue = api_.clCreateCommandQueue(context, device_, 0, &status);
    queue_ = owned(queue, status, api_.clReleaseCommandQueue, "creating a command queue");
  }

  std::string device_name() const override {
    size_t size = 0;
    expect(api_.clGetDeviceInfo(device_, cl::kDeviceName, 0, nullptr, &size), "asking for the device's name");
    std::string name(size, '\0');
    expect(api_.clGetDeviceInfo(device_, cl::kDeviceName, size, name.data(), nullptr), "asking for the device's name");
    return name.c_str();
  }

  Language language() const override { return Language::OpenCL; }

  Memory allocate(size_t bytes) override {
    int32_t status;
    // a buffer of no bytes is an error to OpenCL
    cl::Object const memory =
        api_.clCreateBuffer(context_.get(), cl::kReadWrite, std::max<size_t>(bytes, 1), nullptr, &status);
    return owned(memory, status, api_.clReleaseMemObject, "allocating memory");
  }

  void copy_to_device(const Memory& to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    expect(api_.clEnqueueWriteBuffer(queue_.get(), to.get(), cl::kBlocking, 0, bytes, from, 0, nullptr, nullptr),
           "copying to the device");
  }
  void copy_to_host(void* to, const Memory& from, size_t bytes) override {
    if (bytes == 0) return;
    expect(api_.clEnqueueReadBuffer(queue_.get(), from.get(), cl::kBlocking, 0, bytes, to, 0, nullptr, nullptr),
           "copying to the host");
  }

  Function compile(const std::string& text, const std::string& name) override {
    std::lock_guard lock(mutex_);
    Function& kernel = compiled_[name + '\n' + text];
    if (kernel) return kernel;
    int32_t status;
    const char* texts[] = {text.c_str()};
    const size_t sizes[] = {text.size()};
    cl::Object const made = api_.clCreateProgramWithSource(context_.get(), 1, texts, sizes, &status);
    const auto program = owned(made, status, api_.clReleaseProgram, "creating a program");
    if (api_.clBuildProgram(made, 1, &device_, "-cl-std=CL1.2", nullptr, nullptr) != cl::kSuccess)
      fail(ErrorKind::Runtime, "OpenCL could not compile the kernel ", name, ":\n", build_log(made), "\n", text);
    cl::Object const function = api_.clCreateKernel(made, name.c_str(), &status);
    return kernel = owned(function, status, api_.clReleaseKernel, "creating a kernel");
  }

  void launch(const Function& function, size_t items, std::span<const Argument> arguments) override {
    if (items == 0) return;
    // the arguments are the kernel object's state until it is enqueued
    std::lock_guard lock(mutex_);
    for (size_t k = 0; k < arguments.size(); k++) set_argument(function.get(), uint32_t(k), arguments[k]);
    expect(api_.clEnqueueNDRangeKernel(queue_.get(), function.get(), 1, nullptr, &items, nullptr, 0, nullptr, nullptr),
           "launching a kernel");
  }

  void synchronise() override { expect(api_.clFinish(queue_.get()), "waiting for the device"); }

 private:
  using Release = int32_t (*)(cl::Object);
  static std::shared_ptr<void> owned(cl::Object object, int32_t status, Release release, const char* doing) {
    expect(status, doing);
    return {object, release};
  }

  std::vector<cl::Object> devices(cl::Object platform, uint64_t kind) const {
    uint32_t count = 0;  // stays zero where the platform answers that it has none
    if (api_.clGetDeviceIDs(platform, kind, 0, nullptr, &count) != cl::kSuccess || count == 0) return {};
    std::vector<cl::Object> list(count);
    expect(api_.clGetDeviceIDs(platform, kind, count, list.data(), nullptr), "listing devices");
    return list;
  }

  cl::Object choose_device() const {
    uint32_t count = 0;
    if (api_.clGetPlatformIDs(0, nullptr, &count) != cl::kSuccess || count == 0)
      unavailable("no driver is installed (Debian's pocl-opencl-icd runs on any processor)");
    std::vector<cl::Object> platforms(count);
    expect(api_.clGetPlatformIDs(count, platforms.data(), nullptr), "listing platforms");
    for (const uint64_t kind : {cl::kDeviceGpu, cl::kDeviceAll})
      for (cl::Object const platform : platforms)
        if (const auto found = devices(platform, kind); !found.empty()) return found[0];
    unavailable("its drivers have no device");
  }

  std::string build_log(cl::Object program) const {
    size_t size = 0;
    if (api_.clGetProgramBuildInfo(program, device_, cl::kBuildLog, 0, nullptr, &size) != cl::kSuccess) return "";
    std::string log(size, '\0');
    api_.clGetProgramBuildInfo(program, device_, cl::kBuildLog, size, log.data(), nullptr);
    return log.c_str();
  }

  void set_argument(cl::Object kernel, uint32_t index, const Argument& argument) const {
    int32_t status;
    if (const Memory* memory = std::get_if<Memory>(&argument)) {
      cl::Object const object = memory->get();
      status = api_.clSetKernelArg(kernel, index, sizeof(object), &object);
    } else if (const float* number = std::get_if<float>(&argument)) {
      status = api_.clSetKernelArg(kernel, index, sizeof(float), number);
    } else {
      status = api_.clSetKernelArg(kernel, index, sizeof(uint64_t), &std::get<uint64_t>(argument));
    }
    expect(status, "setting a kernel's argument");
  }

  cl::Api api_;
  Library library_;
  cl::Object device_;
  std::shared_ptr<void> context_, queue_;
  std::mutex mutex_;
  std::unordered_map<std::string, Function> compiled_;
};

}  // namespace

Runtime& opencl() {
  // Never destroyed: at exit the driver may have been torn down before us.
  static Runtime& runtime = *std::make_unique<OpenCL>().release();
  return runtime;
}

}  // namespace tabula::kernels::gpu
