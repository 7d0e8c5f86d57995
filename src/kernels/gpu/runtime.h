// What a GPU back end does for kernels: memory, copies, compiling and launching. Work is done in the order it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "kernels/gpu/render.h"

namespace tabula::kernels::gpu {

// Objects of the back end's own library; the last copy releases the object.
using Memory = std::shared_ptr<void>;
using Function = std::shared_ptr<void>;
using Argument = std::variant<uint64_t, float, Memory>;

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual std::string device_name() const = 0;
  virtual Language language() const = 0;
  virtual Memory allocate(size_t bytes) = 0;
  // The copies return when the host's memory may be used again.
  virtual void copy_to_device(const Memory& to, const void* from, size_t bytes) = 0;
  virtual void copy_to_host(void* to, const Memory& from, size_t bytes) = 0;
  // The kernel `name` of a text, which is compiled when it is first seen.
  virtual Function compile(const std::string& text, const std::string& name) = 0;
  virtual void launch(const Function& function, size_t items, std::span<const Argument> arguments) = 0;
  virtual void synchronise() = 0;
};

}  // namespace tabula::kernels::gpu
