#include "bindings/python.h"
namespace tabula::py {
__attribute__((weak)) void add_optim(PyObject*) {}
}
