#pragma once

#include "bindings/python.h"

namespace tabula::py {

void add_profile(PyObject* module);

}  // namespace tabula::py
