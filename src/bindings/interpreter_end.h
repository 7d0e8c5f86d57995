// What may still be done while the interpreter ends.
#pragma once

#include <Python.h>

namespace tabula::py {

// The Python thread that runs here with the GIL held, or null. While the interpreter ends, Py_IsInitialized() is false
// already, and yet the main thread goes on to run destructors and the collector.
inline PyThreadState* running_thread() {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

}  // namespace tabula::py
