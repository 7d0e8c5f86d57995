// Libraries that the core does not link: torch/_lapack.py knows where LAPACK is, torch/_fft.py calls pocketfft.
#include "bindings/libraries.h"

#include "bindings/python.h"
#include "kernels/lapack.h"
#include "ops/fft.h"

namespace tabula::py {
namespace {

// A row may run in a thread that does not hold the GIL.
class HoldGil {
 public:
  HoldGil() : state_(PyGILState_Ensure()) {}
  ~HoldGil() { PyGILState_Release(state_); }
  HoldGil(const HoldGil&) = delete;

 private:
  PyGILState_STATE state_;
};

std::vector<kernels::LapackPlace> places() {
  const HoldGil gil;
  PyRef module = checked(PyImport_ImportModule("torch._lapack"));
  PyRef found = checked(PyObject_CallMethod(module.get(), "places", nullptr));
  std::vector<kernels::LapackPlace> result;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(found.get()); i++) {
    const char* path;
    int shared;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(found.get(), i), "sp", &path, &shared)) throw PythonError{};
    result.push_back({path, bool(shared)});
  }
  return result;
}

Tensor transform(const Tensor& x, const FftCall& call) {
  const HoldGil gil;
  // It lives with the process. The GIL guards it: a guarded initialisation would be held while the import lets go of the
  // GIL, and a thread that has the GIL would wait for it.
  static constinit PyObject* function = nullptr;
  if (!function) {
    PyRef module = checked(PyImport_ImportModule("torch._fft"));
    PyRef found = checked(PyObject_GetAttrString(module.get(), "transform"));
    if (!function) function = found.release();
  }
  PyRef tensor = checked(wrap(x));
  PyRef result = checked(PyObject_CallFunction(function, "OiiiLL", tensor.get(), int(call.kind), int(call.scale),
                                               int(call.forward), static_cast<long long>(call.count),
                                               static_cast<long long>(call.size)));
  return unwrap(result.get());
}

}  // namespace

void add_libraries() {
  kernels::lapack_places = places;
  fft_hook = transform;
}

}  // namespace tabula::py
