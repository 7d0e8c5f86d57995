// The part of the OpenCL 1.2 interface that opencl.cpp uses, looked up in the library when that is opened: no header
// and no library is needed to build.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tabula::kernels::gpu::cl {

using Object = void*;  // platforms, devices, contexts and so on are opaque handles
using BuildCallback = void (*)(Object program, void* user);
using ErrorCallback = void (*)(const char* message, const void* details, size_t size, void* user);

inline constexpr int32_t kSuccess = 0;
inline constexpr uint64_t kDeviceGpu = 1 << 2, kDeviceAll = 0xFFFFFFFF;
inline constexpr uint32_t kDeviceName = 0x102B, kBuildLog = 0x1183;
inline constexpr uint64_t kReadWrite = 1 << 0;
inline constexpr uint32_t kBlocking = 1;

// X(function, result, parameters)
#define TABULA_OPENCL_API(X)                                                                                         \
  X(clGetPlatformIDs, int32_t, (uint32_t room, Object* platforms, uint32_t* count))                                  \
  X(clGetDeviceIDs, int32_t, (Object platform, uint64_t kind, uint32_t room, Object* devices, uint32_t* count))      \
  X(clGetDeviceInfo, int32_t, (Object device, uint32_t what, size_t room, void* value, size_t* size))                \
  X(clCreateContext, Object,                                                                                         \
    (const intptr_t* properties, uint32_t count, const Object* devices, ErrorCallback, void* user, int32_t* status)) \
  X(clCreateCommandQueue, Object, (Object context, Object device, uint64_t properties, int32_t* status))             \
  X(clCreateBuffer, Object, (Object context, uint64_t flags, size_t bytes, void* host, int32_t* status))             \
  X(clEnqueueWriteBuffer, int32_t,                                                                                   \
    (Object queue, Object buffer, uint32_t blocking, size_t offset, size_t bytes, const void* from, uint32_t waits,  \
     const Object* wait, Object* event))                                                                             \
  X(clEnqueueReadBuffer, int32_t,                                                                                    \
    (Object queue, Object buffer, uint32_t blocking, size_t offset, size_t bytes, void* to, uint32_t waits,          \
     const Object* wait, Object* event))                                                                             \
  X(clCreateProgramWithSource, Object,                                                                               \
    (Object context, uint32_t count, const char** texts, const size_t* sizes, int32_t* status))                      \
  X(clBuildProgram, int32_t,                                                                                         \
    (Object program, uint32_t count, const Object* devices, const char* options, BuildCallback, void* user))         \
  X(clGetProgramBuildInfo, int32_t,                                                                                  \
    (Object program, Object device, uint32_t what, size_t room, void* value, size_t* size))                          \
  X(clCreateKernel, Object, (Object program, const char* name, int32_t* status))                                     \
  X(clSetKernelArg, int32_t, (Object kernel, uint32_t index, size_t size, const void* value))                        \
  X(clEnqueueNDRangeKernel, int32_t,                                                                                 \
    (Object queue, Object kernel, uint32_t dims, const size_t* offset, const size_t* global, const size_t* local,    \
     uint32_t waits, const Object* wait, Object* event))                                                             \
  X(clFinish, int32_t, (Object queue))                                                                               \
  X(clReleaseContext, int32_t, (Object))                                                                             \
  X(clReleaseCommandQueue, int32_t, (Object))                                                                        \
  X(clReleaseMemObject, int32_t, (Object))                                                                           \
  X(clReleaseProgram, int32_t, (Object))                                                                             \
  X(clReleaseKernel, int32_t, (Object))

struct Api {
#define X(function, result, parameters) result(*function) parameters = nullptr;
  TABULA_OPENCL_API(X)
#undef X
};

}  // namespace tabula::kernels::gpu::cl
