// The Python side of a storage: torch.UntypedStorage.
#pragma once

#include "bindings/python.h"

namespace tabula::py {

// The one Python object of a storage (new reference).
PyObject* wrap_storage(const Ref<Storage>& storage);
bool is_storage(PyObject* o);
const Ref<Storage>& unwrap_storage(PyObject* o);

}  // namespace tabula::py
