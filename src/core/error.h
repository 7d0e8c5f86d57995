// Errors carry the Python exception class they become, so that C++ code names it once.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tabula {

enum class ErrorKind : unsigned char {
  Runtime,
  Type,
  Value,
  Index,
  NotImplemented,
  OutOfMemory,
  LinAlg,
  Overflow,
  ZeroDivision,
  Attribute,
  Buffer,
  Assertion,
  Python,  // a Python exception is already set; the bindings only have to return
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind(kind) {}
  ErrorKind kind;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, concat(parts...));
}

// RuntimeError, as most of PyTorch's checks raise.
template <class... Parts>
inline void check(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::Runtime, parts...);
}
template <class... Parts>
inline void check_type(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::Type, parts...);
}
template <class... Parts>
inline void check_value(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::Value, parts...);
}
template <class... Parts>
inline void check_index(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::Index, parts...);
}
template <class... Parts>
inline void check_implemented(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail(ErrorKind::NotImplemented, parts...);
}

}  // namespace tabula
