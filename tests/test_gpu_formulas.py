"""GPU kernels are written from the same formulas as the CPU's: their text, and what it computes on an OpenCL device.

PoCL makes any processor such a device (Debian: pocl-opencl-icd and ocl-icd-libopencl1). The CUDA text is compiled by
NVRTC, which needs no GPU (PyPI: nvidia-cuda-nvrtc-cu12). Each check is skipped where its tool is missing.
"""

import ctypes
import importlib.util
import itertools
import math
from pathlib import Path

import pytest

import torch

native = torch._C
FORMULAS = {name: (tensors, numbers) for name, tensors, numbers in native._rendered_formulas()}

PARAMETERS = {
    "addcdiv": (0.7,),
    "add": (1.5,),
    "addcmul": (0.7,),
    "celu": (1.3,),
    "clamp": (-1.5, 2.0),
    "clamp_max": (2.0,),
    "clamp_min": (-1.5,),
    "elu": (1.2, 1.1, 0.9),
    "elu_grad": (1.2, 1.1, 0.9),
    "elu_result_grad": (1.2, 1.1, 0.9),
    "hardshrink": (0.5,),
    "hardshrink_grad": (0.5,),
    "hardtanh": (-1.0, 2.0),
    "hardtanh_grad": (-1.0, 2.0),
    "huber": (1.5,),
    "huber_grad": (1.5,),
    "leaky_relu": (0.01,),
    "leaky_relu_grad": (0.01,),
    "logit": (0.01,),
    "mse_grad": (2.0,),
    "nan_to_num": (1.0, 2.0, -2.0),
    "rsub": (1.5,),
    "smooth_l1": (0.8,),
    "smooth_l1_grad": (0.8,),
    "softplus": (1.5, 20.0),
    "softplus_grad": (1.5, 20.0),
    "softshrink": (0.5,),
    "softshrink_grad": (0.5,),
    "sub": (1.5,),
    "threshold": (0.1, 20.0),
    "threshold_grad": (0.1,),
}
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 1e-20, -1e-20, 1e4, -1e4, 1e30, -1e30, 3.4e38, -3.4e38]
RANGE = [k / 16 for k in range(-400, 401)]


def arguments(name):
    """Return the tensors and numbers on which an operation is tried: every special value against every other."""
    tensors, numbers = FORMULAS[name]
    values = {1: SPECIAL + RANGE, 2: SPECIAL + RANGE[::25], 3: SPECIAL[:9] + RANGE[::160]}[tensors]
    columns = zip(*itertools.product(values, repeat=tensors), strict=True)
    parameters = PARAMETERS.get(name, ())
    assert len(parameters) == numbers, f"{name} needs {numbers} numbers in PARAMETERS"
    return [torch.tensor(column) for column in columns], parameters


def assert_agree(actual, expected, tensors, linear=False):
    """Assert that results agree to 1e-5, or to what rounding of order-one terms leaves where they cancel.

    A formula that is linear in its first tensor, a gradient, scales what is left with it.
    """
    for a, e, *inputs in zip(actual.tolist(), expected.tolist(), *(t.tolist() for t in tensors), strict=True):
        left = 2e-6 * max(1.0, abs(inputs[0])) if linear and math.isfinite(inputs[0]) else 2e-6
        same = a == e or (math.isnan(a) and math.isnan(e)) or abs(a - e) <= 1e-5 * abs(e) + left
        assert same, f"{a!r} instead of {e!r} for {inputs}"


@pytest.fixture(scope="module")
def opencl():
    try:
        return native._opencl_device()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", FORMULAS)
def test_opencl_agrees_with_the_cpu(name, opencl):
    tensors, parameters = arguments(name)
    actual = native._opencl_run(name, *tensors, *parameters)
    expected = native._cpu_run(name, *tensors, *parameters)
    assert_agree(actual, expected, tensors, linear=name.endswith("_grad"))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_and_its_gradient_as_users_call_them(approximate, opencl):
    x = torch.tensor(RANGE, requires_grad=True)
    y = torch.nn.functional.gelu(x, approximate=approximate)
    y.backward(torch.full_like(y, 0.5))
    name = "gelu" if approximate == "none" else "gelu_tanh"
    plain = x.detach()
    assert_agree(native._opencl_run(name, plain), y.detach(), [plain])
    assert_agree(native._opencl_run(name + "_grad", torch.full_like(plain, 0.5), plain), x.grad, [plain])


def test_shapes(opencl):
    assert native._opencl_run("relu", torch.empty(0, 3)).shape == (0, 3)
    scalar = native._opencl_run("relu", torch.tensor(-1.0))
    assert scalar.shape == () and scalar.item() == 0
    grid = torch.arange(6.0).reshape(2, 3).t()
    assert native._opencl_run("neg", grid).tolist() == (-grid).tolist()


def test_wrong_calls():
    x = torch.ones(2)
    with pytest.raises(ValueError, match="no formula is rendered for 'nothing'"):
        native._opencl_run("nothing", x)
    with pytest.raises(TypeError, match="mul takes 2 tensors and 0 numbers"):
        native._opencl_run("mul", x)
    with pytest.raises(TypeError, match="float32"):
        native._opencl_run("relu", x.double())
    with pytest.raises(ValueError, match="one shape"):
        native._opencl_run("mul", x, torch.ones(3))
    with pytest.raises(ValueError, match="'opencl' or 'cuda'"):
        native._render_formula("relu", "metal")


@pytest.mark.parametrize("language", ["opencl", "cuda"])
def test_each_subexpression_is_written_once(language):
    for name in FORMULAS:
        text = native._render_formula(name, language)
        statements = [line.split(" = ")[1] for line in text.splitlines() if line.startswith("  const ")]
        assert len(statements) == len(set(statements)), text
        assert f" tabula_{name}(" in text


def test_activations_have_kernels_with_their_gradients():
    names = "gelu gelu_tanh silu mish elu softplus leaky_relu hardswish hardsigmoid hardtanh logsigmoid sigmoid".split()
    assert all(name in FORMULAS and f"{name}_grad" in FORMULAS for name in names)


@pytest.fixture(scope="module")
def nvrtc():
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        spec = None
    places = spec.submodule_search_locations if spec else ()
    found = [library for place in places for library in Path(place).glob("lib/libnvrtc.so.*")]
    if not found:
        pytest.skip("NVRTC is not installed (PyPI: nvidia-cuda-nvrtc-cu12)")
    return ctypes.CDLL(str(found[0]))


def test_cuda_text_compiles(nvrtc):
    text = "".join(native._render_formula(name, "cuda") for name in FORMULAS).encode()
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"formulas.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * 2)(b"--gpu-architecture=compute_80", b"--fmad=false")
    status = nvrtc.nvrtcCompileProgram(program, len(options), options)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    assert nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)) == 0
    ptx = ctypes.create_string_buffer(size.value)
    assert nvrtc.nvrtcGetPTX(program, ptx) == 0
    assert nvrtc.nvrtcDestroyProgram(ctypes.byref(program)) == 0
    assert all(f".entry tabula_{name}(" in ptx.value.decode() for name in FORMULAS)
