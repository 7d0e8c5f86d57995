// What tests see of the GPU kernels: their text, and pointwise operations run by name on an OpenCL device or the CPU.
#include <vector>

#include "bindings/helpers.h"
#include "kernels/gpu/opencl.h"
#include "kernels/gpu/pointwise.h"
#include "ops/copy.h"
#include "ops/pointwise.h"

namespace tabula::py {
namespace {

namespace gpu = kernels::gpu;

std::string_view text_of(PyObject* o) {
  check_type(PyUnicode_Check(o), "expected a str, but got ", type_name(o));
  Py_ssize_t size;
  const char* const text = PyUnicode_AsUTF8AndSize(o, &size);
  if (!text) throw PythonError{};
  return {text, size_t(size)};
}

Pointwise rendered_operation(std::string_view name) {
  for (const Pointwise op : gpu::rendered_operations())
    if (kernels::kPointwise[int(op)].name == name) return op;
  fail(ErrorKind::Value, "no formula is rendered for '", name, "'");
}

gpu::Language language_of(std::string_view name) {
  if (name == "opencl") return gpu::Language::OpenCL;
  if (name == "cuda") return gpu::Language::Cuda;
  fail(ErrorKind::Value, "expected 'opencl' or 'cuda', but got '", name, "'");
}

// An operation with its arguments: the name, tensors for the inputs, numbers for the parameters.
struct Call {
  Pointwise op{};
  std::vector<Tensor> inputs;
  std::vector<double> params;

  Call(PyObject* const* args, Py_ssize_t n) {
    check_type(n > 0, "expected the name of an operation");
    op = rendered_operation(text_of(args[0]));
    for (Py_ssize_t k = 1; k < n; k++) {
      if (!is_tensor(args[k])) {
        params.push_back(unwrap_scalar(args[k]).to_double());
        continue;
      }
      const Tensor& x = unwrap(args[k]);
      check_type(x.dtype() == DType::Float32 && x.device().is_cpu(), "expected float32 tensors on the CPU");
      inputs.push_back(contiguous_raw(x));
      check_value(x.geometry().sizes == inputs[0].geometry().sizes, "expected tensors of one shape");
    }
    const kernels::PointwiseInfo& info = kernels::kPointwise[int(op)];
    check_type(inputs.size() == info.inputs && params.size() == info.params, info.name, " takes ", int(info.inputs),
               " tensors and ", int(info.params), " numbers");
  }
};

PyObject* rendered_formulas(PyObject*, PyObject*) {
  return guarded([&] {
    PyRef list = checked(PyList_New(0));
    for (const Pointwise op : gpu::rendered_operations()) {
      const kernels::PointwiseInfo& info = kernels::kPointwise[int(op)];
      const PyRef row = checked(Py_BuildValue("(sii)", info.name, int(info.inputs), int(info.params)));
      checked(PyList_Append(list.get(), row.get()));
    }
    return list.release();
  });
}

PyObject* render_formula(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&] {
    check_type(n == 2, "_render_formula(name, language) takes 2 arguments, got ", n);
    return wrap_string(gpu::render(language_of(text_of(args[1])), rendered_operation(text_of(args[0]))));
  });
}

PyObject* opencl_device(PyObject*, PyObject*) {
  return guarded([&] { return wrap_string(gpu::opencl().device_name()); });
}

PyObject* opencl_run(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&] {
    const Call call(args, n);
    gpu::Runtime& runtime = gpu::opencl();
    const Tensor result = Tensor::empty(call.inputs[0].sizes(), DType::Float32);
    const size_t count = size_t(result.numel()), bytes = count * sizeof(float);
    std::vector<gpu::Memory> inputs;
    for (const Tensor& x : call.inputs) {
      inputs.push_back(runtime.allocate(bytes));
      runtime.copy_to_device(inputs.back(), x.data(), bytes);
    }
    const gpu::Memory out = runtime.allocate(bytes);
    const std::vector<float> params(call.params.begin(), call.params.end());
    gpu::pointwise(runtime, call.op, count, out, inputs, params);
    runtime.copy_to_host(result.data(), out, bytes);
    return wrap(result);
  });
}

PyObject* cpu_run(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&] {
    const Call call(args, n);
    const std::vector<Operand> inputs(call.inputs.begin(), call.inputs.end());
    const std::vector<Scalar> params(call.params.begin(), call.params.end());
    return wrap(pointwise_raw(call.op, inputs, params));
  });
}

PyMethodDef functions[] = {
    {"_rendered_formulas", rendered_formulas, METH_NOARGS, "(name, tensors, numbers) of every formula GPUs have"},
    {"_render_formula", method(render_formula), METH_FASTCALL, "the kernel's text: (name, 'opencl' or 'cuda')"},
    {"_opencl_device", opencl_device, METH_NOARGS, "the name of the OpenCL device; raises where there is none"},
    {"_opencl_run", method(opencl_run), METH_FASTCALL, "runs an operation there: (name, *tensors, *numbers)"},
    {"_cpu_run", method(cpu_run), METH_FASTCALL, "runs the same operation on the CPU"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_gpu(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
