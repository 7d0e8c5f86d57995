// How the tensor type knows which of its subclasses take part in __torch_dispatch__.
#pragma once

#include "bindings/helpers.h"

namespace tabula::py {

// Does this class have a __torch_dispatch__ of its own? False before add_torch_dispatch.
bool dispatches(PyTypeObject* type);
void add_torch_dispatch(PyObject* module);

}  // namespace tabula::py
