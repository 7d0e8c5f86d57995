// What torch.profiler reads: a finished session as tuples, and the Python stacks of its records.
#include "bindings/profile.h"

#include <bit>
#include <unordered_map>

#include "interp/profile.h"

namespace tabula::py {
namespace {

using profile::Record;
using profile::Session;

thread_local std::vector<PyRef>* stacks = nullptr;  // of the running session: tuples of code, line, code, line ...

int32_t note_stack() {
  std::vector<PyObject*> items;
  PyFrameObject* frame = PyThreadState_GetFrame(PyThreadState_Get());
  while (frame) {
    items.push_back(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    items.push_back(PyLong_FromLong(PyFrame_GetLineNumber(frame)));
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  PyObject* stack = PyTuple_New(Py_ssize_t(items.size()));
  for (size_t i = 0; i < items.size(); i++) PyTuple_SET_ITEM(stack, Py_ssize_t(i), items[i]);
  stacks->push_back(PyRef::steal(stack));
  return int32_t(stacks->size() - 1);
}

PyObject* start(PyObject*, PyObject* args) {
  int inputs, memory, with_stacks;
  if (!PyArg_ParseTuple(args, "ppp:_profiler_start", &inputs, &memory, &with_stacks)) return nullptr;
  return guarded([&]() -> PyObject* {
    profile::start({.inputs = inputs != 0, .memory = memory != 0, .stacks = with_stacks != 0});
    delete std::exchange(stacks, with_stacks ? new std::vector<PyRef> : nullptr);
    Py_RETURN_NONE;
  });
}

PyRef integers(const int64_t*& at, int64_t count) {
  PyRef list = checked(PyList_New(Py_ssize_t(count)));
  for (int64_t i = 0; i < count; i++) PyList_SET_ITEM(list.get(), Py_ssize_t(i), checked(PyLong_FromLongLong(*at++)).release());
  return list;
}

// (dtype, sizes, strides); None for a tensor that is not there
PyRef tensor_note(const int64_t*& at) {
  const auto dtype = DType(*at++);
  const int64_t dims = *at++;
  if (dims < 0) return PyRef::borrow(Py_None);
  PyRef kind = checked(wrap(dtype)), sizes = integers(at, dims), strides = integers(at, dims);
  return checked(PyTuple_Pack(3, kind.get(), sizes.get(), strides.get()));
}

PyRef input_note(const int64_t*& at) {
  switch (*at++) {
    case profile::kTensor: return tensor_note(at);
    case profile::kTensors: {
      const int64_t count = *at++;
      PyRef list = checked(PyTuple_New(Py_ssize_t(count + 1)));
      PyTuple_SET_ITEM(list.get(), 0, checked(PyUnicode_FromString("list")).release());
      for (int64_t i = 0; i < count; i++) PyTuple_SET_ITEM(list.get(), Py_ssize_t(i + 1), tensor_note(at).release());
      return list;
    }
    case profile::kInteger: return checked(PyLong_FromLongLong(*at++));
    case profile::kNumber: return checked(PyFloat_FromDouble(std::bit_cast<double>(*at++)));
    case profile::kFlag: return checked(PyBool_FromLong(long(*at++)));
    case profile::kIntegers: {
      const int64_t count = *at++;
      return integers(at, count);
    }
    default: return PyRef::borrow(Py_None);
  }
}

PyRef inputs_of(const Session& s, const Record& record) {
  if (record.inputs < 0) return PyRef::borrow(Py_None);
  const size_t count = record.op->schema.params.size();
  const int64_t* at = s.inputs.data() + record.inputs;
  PyRef list = checked(PyList_New(Py_ssize_t(count)));
  for (size_t i = 0; i < count; i++) PyList_SET_ITEM(list.get(), Py_ssize_t(i), input_note(at).release());
  return list;
}

// ((schema, surfaces), ...) of the operations that occur; `numbers` finds an operation's place.
PyRef operations_of(const Session& s, std::unordered_map<const Op*, int>& numbers) {
  PyRef list = checked(PyList_New(0));
  for (const Record& record : s.records) {
    if (!record.op || !numbers.try_emplace(record.op, int(numbers.size())).second) continue;
    PyRef pair = checked(Py_BuildValue("(si)", record.op->def.schema, int(record.op->def.on)));
    checked(PyList_Append(list.get(), pair.get()));
  }
  return list;
}

// (kind, form, operation or name, parent, begin, end, allocated, sequence, inputs, stack)
PyRef records_of(const Session& s, const std::unordered_map<const Op*, int>& numbers) {
  PyRef list = checked(PyList_New(Py_ssize_t(s.records.size())));
  for (size_t i = 0; i < s.records.size(); i++) {
    const Record& r = s.records[i];
    PyRef what = checked(r.op ? PyLong_FromLong(numbers.at(r.op)) : wrap_string(s.names[r.name]));
    PyRef inputs = inputs_of(s, r);
    PyList_SET_ITEM(list.get(), Py_ssize_t(i),
                    checked(Py_BuildValue("(iiOiLLLLOi)", int(r.kind), int(r.form), what.get(), int(r.parent), (long long)r.begin,
                                          (long long)r.end, (long long)r.allocated, (long long)r.sequence, inputs.get(), int(r.stack)))
                        .release());
  }
  return list;
}

// (time, address, bytes, total, record around it)
PyRef memory_of(const Session& s) {
  PyRef list = checked(PyList_New(Py_ssize_t(s.memory.size())));
  for (size_t i = 0; i < s.memory.size(); i++) {
    const profile::MemoryRecord& r = s.memory[i];
    PyList_SET_ITEM(list.get(), Py_ssize_t(i),
                    checked(Py_BuildValue("(LKLLi)", (long long)r.time, (unsigned long long)reinterpret_cast<uintptr_t>(r.block), (long long)r.bytes,
                                          (long long)r.total, int(r.inside)))
                        .release());
  }
  return list;
}

PyObject* stop(PyObject*, PyObject*) {
  return guarded([&]() -> PyObject* {
    const std::unique_ptr<Session> s = profile::stop();
    check(s != nullptr, "Can't disable Kineto profiler when it's not running");
    const std::unique_ptr<std::vector<PyRef>> seen(std::exchange(stacks, nullptr));
    std::unordered_map<const Op*, int> numbers;
    PyRef operations = operations_of(*s, numbers), records = records_of(*s, numbers), memory = memory_of(*s), lines = checked(PyList_New(0));
    if (seen)
      for (const PyRef& stack : *seen) checked(PyList_Append(lines.get(), stack.get()));
    return Py_BuildValue("(OOOOLL)", operations.get(), records.get(), memory.get(), lines.get(), (long long)s->started, (long long)s->stopped);
  });
}

PyObject* begin(PyObject*, PyObject* name) {
  return guarded([&]() -> PyObject* {
    Py_ssize_t size;
    const char* text = PyUnicode_AsUTF8AndSize(name, &size);
    if (!text) throw PythonError{};
    return PyLong_FromLongLong(profile::begin_range({text, size_t(size)}));
  });
}

PyObject* end(PyObject*, PyObject* which) {
  return guarded([&]() -> PyObject* {
    profile::end_range(unwrap_int(which));
    Py_RETURN_NONE;
  });
}

PyObject* enabled(PyObject*, PyObject*) { return PyBool_FromLong(profile::enabled()); }

PyMethodDef functions[] = {{"_profiler_start", start, METH_VARARGS, "_profiler_start(inputs, memory, stacks): this thread's operations are measured"},
                           {"_profiler_stop", stop, METH_NOARGS, "the measurements: (operations, records, memory, stacks, start, end)"},
                           {"_profiler_begin", begin, METH_O, "opens a named range; its number, or -1 where nothing is measured"},
                           {"_profiler_end", end, METH_O, "closes the range with this number"},
                           {"_profiler_enabled", enabled, METH_NOARGS, "whether this thread is measured"},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_profile(PyObject* module) {
  profile::stack_hook = note_stack;
  add_functions(module, functions);
}

}  // namespace tabula::py
