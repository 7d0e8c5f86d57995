// One parser for every operation, driven by its schema.
#pragma once

#include <memory>
#include <vector>

#include "bindings/python.h"
#include "ops/opdef.h"

namespace tabula::py {

// The Python side of one overload: its names, interned once.
struct Signature {
  explicit Signature(const Op& op);
  const Op* op;
  std::vector<PyObject*> names;   // interned, for the life of the process
  int positional;                 // how many parameters may be given by position
  int varargs = -1;               // index of the int[] parameter that takes f(2, 3) for f([2, 3])
  bool has_input = false;         // the first parameter is the tensor a method is called on
};

// Arguments of one call. Values borrow from the Python arguments, and from the stores here.
struct Parsed {
  Parsed() {}
  Parsed(const Parsed&) = delete;
  // Room for a converted list of plain items; freed with this object.
  template <class T>
  T* list(size_t count) {
    const size_t bytes = (count * sizeof(T) + 7) / 8 * 8;
    if (used_ + bytes <= sizeof buffer_) {
      char* at = buffer_ + used_;
      used_ += bytes;
      return reinterpret_cast<T*>(at);
    }
    large_.push_back(std::make_unique<char[]>(bytes + 8));
    return reinterpret_cast<T*>(large_.back().get());
  }
  std::vector<Tensor>& tensors() { return tensor_lists_.emplace_back(); }

  union {
    Value values[kMaxParams];  // left raw: only a row's own parameters are ever set and read
  };
  PyObject* out = nullptr;     // the out= argument, unless None

 private:
  size_t used_ = 0;
  alignas(8) char buffer_[256];
  std::vector<std::unique_ptr<char[]>> large_;
  std::vector<std::vector<Tensor>> tensor_lists_;
};

struct Arguments {
  PyObject* self;                 // null for functions
  PyObject* const* args;
  Py_ssize_t count;
  PyObject* kwnames;              // tuple or null; their values follow args
};

// False: they don't fit. With `error`, says why there (for the message when nothing fits).
bool parse(const Signature& signature, const Arguments& call, Parsed& parsed, std::string* error);

// Throws the TypeError for a call that fits none of the overloads.
[[noreturn]] void fail_no_overload(const char* name, const std::vector<Signature*>& overloads, const Arguments& call);

// One argument as a Value of this type; false if it is of another kind.
bool convert(PyObject* o, const ParamType& type, Parsed& parsed, Value& value);

std::string type_description(const ParamType& type);  // "Tensor", "tuple of ints", as messages name it

}  // namespace tabula::py
