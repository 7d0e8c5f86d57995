// How torch_function.cpp reaches the parts of Tensor that are no rows.
#pragma once

#include "bindings/operations.h"

namespace tabula::py {

// Number of active modes in this thread. initial-exec: one instruction instead of a call per access.
extern thread_local constinit int torch_function_modes __attribute__((tls_model("initial-exec")));

// Not quite "overrides": whether torch_function_needed must be asked. One comparison for plain tensors.
inline bool needs_look(PyObject* self) {
  return torch_function_modes || (Py_TYPE(self) != tensor_type && Py_TYPE(self) != parameter_type);
}

// Asks the innermost mode for torch.name, a function whose arguments no class overrides; false: there is no mode.
bool mode_answers(const char* name, const Arguments& call, PyObject** result);

// Makes Tensor's own methods, attributes and unary operators look for overrides first (torch_function_methods.cpp).
void intercept_tensor_methods();

}  // namespace tabula::py
