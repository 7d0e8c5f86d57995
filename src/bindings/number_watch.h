// Numbers that are not finite, as Python hears of them (ops/number_watch.h).
#pragma once

#include "bindings/helpers.h"

namespace tabula::py {

void add_number_watch(PyObject* module);

}  // namespace tabula::py
