// The program's lines, as the interpreter's frames show them (core/source_place.h).
#pragma once

#include "bindings/helpers.h"

namespace tabula::py {

// (file, line, function, module) of a place; None for 0. `module` is what `_set_place_module` was last given.
PyObject* wrap_place(uint32_t place);
void add_source_places(PyObject* module);

}  // namespace tabula::py
