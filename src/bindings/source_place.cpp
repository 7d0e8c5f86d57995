#include "bindings/source_place.h"

#include <deque>
#include <unordered_map>

#include "core/source_place.h"

namespace tabula::py {
namespace {

// An instruction of a function's code, and the module (of torch.nn) that was at work.
struct Place {
  PyCodeObject* code;
  int instruction;  // its offset in bytes
  uint32_t module;
  bool operator==(const Place&) const = default;
};
struct PlaceHash {
  size_t operator()(const Place& p) const {
    return std::hash<const void*>()(p.code) * 1000003 + size_t(p.instruction) * 7919 + p.module;
  }
};

// Programs have few lines that make tensors; one that compiles new code for ever must not be kept for ever.
constexpr size_t kMost = 1 << 16;

struct Table {
  std::deque<Place> places;  // number n is places[n - 1]; each owns its code
  std::unordered_map<Place, uint32_t, PlaceHash> numbers;
  std::unordered_map<PyCodeObject*, bool> inside;  // does the code belong to this package? Each owns its code.
};
// Guarded by the interpreter's lock; outlives the interpreter.
Table& table() {
  static Table* const instance = new Table;
  return *instance;
}

std::string& package_path() {
  static std::string& path = *new std::string;
  return path;
}
thread_local constinit uint32_t current_module = 0;

bool belongs_to_package(PyCodeObject* code) {
  auto& inside = table().inside;
  if (const auto at = inside.find(code); at != inside.end()) return at->second;
  Py_ssize_t length = 0;
  const char* file = PyUnicode_AsUTF8AndSize(code->co_filename, &length);
  if (!file) PyErr_Clear();
  const bool found = file && (std::string_view(file, size_t(length)).starts_with(package_path()) ||
                              std::string_view(file).starts_with("<frozen"));
  if (inside.size() < kMost) {
    Py_INCREF(code);
    inside.emplace(code, found);
  }
  return found;
}

uint32_t number_of(const Place& place) {
  Table& all = table();
  if (const auto at = all.numbers.find(place); at != all.numbers.end()) return at->second;
  if (all.places.size() >= kMost) return 0;
  Py_INCREF(place.code);
  all.places.push_back(place);
  return all.numbers[place] = uint32_t(all.places.size());
}

uint32_t current() {
  PyThreadState* const thread = PyGILState_Check() ? PyGILState_GetThisThreadState() : nullptr;
  if (!thread || package_path().empty()) return 0;
  // frames as objects are what the collector counts; its finalizers must not run in the middle of an operation
  const int collects = PyGC_Disable();
  PyFrameObject* frame = PyThreadState_GetFrame(thread);
  uint32_t found = 0;
  while (frame) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    PyFrameObject* back = nullptr;
    if (!belongs_to_package(code))
      found = number_of({code, PyFrame_GetLasti(frame), current_module});
    else
      back = PyFrame_GetBack(frame);
    Py_DECREF(code);
    Py_DECREF(frame);
    frame = back;
  }
  if (collects) PyGC_Enable();
  return found;
}

std::string text(uint32_t number) {
  if (!number || !PyGILState_Check()) return "";
  const Place& place = table().places[number - 1];
  const char *file = PyUnicode_AsUTF8(place.code->co_filename), *name = PyUnicode_AsUTF8(place.code->co_qualname);
  if (!file || !name) {
    PyErr_Clear();
    return "";
  }
  return concat(file, ":", PyCode_Addr2Line(place.code, place.instruction), " in ", name);
}

// _place_of_caller(): the program's line that runs.
PyObject* place_now(PyObject*, PyObject*) { return wrap_place(current()); }

// _set_place_module(number): lines belong to that module's call from now on, in this thread; the number before it.
PyObject* set_module(PyObject*, PyObject* number) {
  const unsigned long given = PyLong_AsUnsignedLong(number);
  if (given == static_cast<unsigned long>(-1) && PyErr_Occurred()) return nullptr;
  return PyLong_FromUnsignedLong(std::exchange(current_module, uint32_t(given)));
}

// _set_package_path(path): files below it are the library's, not the program's.
PyObject* set_package_path(PyObject*, PyObject* path) {
  const char* given = PyUnicode_AsUTF8(path);
  if (!given) return nullptr;
  package_path() = given;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {{"_place_of_caller", place_now, METH_NOARGS, nullptr},
                           {"_set_place_module", set_module, METH_O, nullptr},
                           {"_set_package_path", set_package_path, METH_O, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* wrap_place(uint32_t number) {
  if (!number) Py_RETURN_NONE;
  const Place& place = table().places[number - 1];
  return Py_BuildValue("(OiOI)", place.code->co_filename, PyCode_Addr2Line(place.code, place.instruction),
                       place.code->co_qualname, place.module);
}

void add_source_places(PyObject* module) {
  add_functions(module, functions);
  source_places = {current, text};
}

}  // namespace tabula::py
