// What __torch_function__ and __torch_dispatch__ share: the objects that are asked, and the error when all refuse.
#pragma once

#include <algorithm>
#include <vector>

#include "bindings/helpers.h"

namespace tabula::py {

// Overriding objects, one per class, in order of appearance but subclasses before their bases.
class Overloaded {
 public:
  void add(PyObject* o) {
    for (const PyRef& one : objects_)
      if (Py_TYPE(one.get()) == Py_TYPE(o)) return;
    const auto before = std::find_if(objects_.begin(), objects_.end(), [&](const PyRef& one) { return PyType_IsSubtype(Py_TYPE(o), Py_TYPE(one.get())); });
    objects_.insert(before, PyRef::borrow(o));
  }
  const std::vector<PyRef>& objects() const { return objects_; }
  PyRef types() const {
    PyRef result = checked(PyTuple_New(Py_ssize_t(objects_.size())));
    for (size_t i = 0; i < objects_.size(); i++) PyTuple_SET_ITEM(result.get(), Py_ssize_t(i), Py_NewRef(as_object(Py_TYPE(objects_[i].get()))));
    return result;
  }

 private:
  std::vector<PyRef> objects_;
};

// TypeError: every handler of `function` returned NotImplemented. `mode` may be null.
[[noreturn]] void fail_all_refused(const std::string& function, const char* protocol, PyObject* mode, const Overloaded& overloaded);

}  // namespace tabula::py
