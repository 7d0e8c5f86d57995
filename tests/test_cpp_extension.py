"""torch.utils.cpp_extension: extensions are compiled, loaded and called."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

import torch
from torch.utils import cpp_extension

pytestmark = pytest.mark.skipif(
    not shutil.which("c++") or not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
    reason="needs a C++ compiler and Python's headers",
)

# Doubles a float32 array in place, by the buffer protocol, and adds two integers.
SOURCE = r"""
#include <Python.h>
#ifndef EXTRA
#define EXTRA 0
#endif

static PyObject* twice(PyObject*, PyObject* array) {
  Py_buffer view;
  if (PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) return nullptr;
  float* at = static_cast<float*>(view.buf);
  for (Py_ssize_t i = 0; i < view.len / Py_ssize_t(sizeof(float)); i++) at[i] *= 2;
  PyBuffer_Release(&view);
  Py_RETURN_NONE;
}
static PyObject* add(PyObject*, PyObject* args) {
  long a, b;
  if (!PyArg_ParseTuple(args, "ll", &a, &b)) return nullptr;
  return PyLong_FromLong(a + b + EXTRA);
}
static PyMethodDef methods[] = {
  {"twice", twice, METH_O, ""}, {"add", add, METH_VARARGS, ""}, {nullptr, nullptr, 0, nullptr}};
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
static PyModuleDef definition{
  PyModuleDef_HEAD_INIT, TEXT(TORCH_EXTENSION_NAME), "", -1, methods, nullptr, nullptr, nullptr, nullptr};
#define JOIN_OF(a, b) a##b
#define JOIN(a, b) JOIN_OF(a, b)
PyMODINIT_FUNC JOIN(PyInit_, TORCH_EXTENSION_NAME)() { return PyModule_Create(&definition); }
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "extension.cpp"
    path.write_text(SOURCE)
    return path


@pytest.fixture(params=["ninja", "no ninja"])
def builder(request, monkeypatch):
    """Builds by ninja and without it."""
    if request.param == "ninja":
        if not shutil.which("ninja"):
            pytest.skip("needs ninja")
    else:
        which = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name, *rest: None if name == "ninja" else which(name, *rest))
    return request.param


def test_an_extension_works_on_tensors(source, tmp_path, builder):
    pytest.importorskip("numpy")
    folder = tmp_path / "build"
    folder.mkdir()
    name = "doubles_" + builder.replace(" ", "_")
    module = cpp_extension.load(name, str(source), build_directory=str(folder))
    assert module.__name__ == name and module.add(2, 3) == 5
    x = torch.arange(4.0)
    module.twice(x.numpy())
    assert x.tolist() == [0, 2, 4, 6]
    assert cpp_extension.is_ninja_available() == (builder == "ninja")


def test_what_is_unchanged_is_not_built_again(source, tmp_path, builder):
    folder = tmp_path / "build"
    folder.mkdir()
    name = "again_" + builder.replace(" ", "_")
    first = cpp_extension.load(name, [source], build_directory=str(folder))
    time = os.stat(first.__file__).st_mtime_ns
    assert cpp_extension.load(name, [source], build_directory=str(folder)).__file__ == first.__file__
    assert os.stat(first.__file__).st_mtime_ns == time
    changed = cpp_extension.load(name, [source], extra_cflags=["-DEXTRA=10"], build_directory=str(folder))
    assert changed.__name__ == name + "_v1" and changed.add(2, 3) == 15 and first.add(2, 3) == 5
    source.write_text(SOURCE.replace("a + b", "a * b"))
    assert cpp_extension.load(name, [source], build_directory=str(folder)).add(2, 3) == 6


def test_errors_of_the_compiler_are_told(tmp_path, builder):
    broken = tmp_path / "broken.cpp"
    broken.write_text("int f() { return nothing_of_this_name; }\n")
    with pytest.raises(RuntimeError, match=r"(?s)Error building extension 'broken.*nothing_of_this_name"):
        cpp_extension.load("broken_" + builder[:2], [broken], build_directory=str(tmp_path))
    # the next one finds no lock
    assert not (tmp_path / "lock").exists()


def test_the_default_folder(source, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "root"))
    module = cpp_extension.load("in_the_default_folder", [source], keep_intermediates=False)
    assert os.path.dirname(module.__file__) == str(tmp_path / "root" / "in_the_default_folder")
    assert not list((tmp_path / "root" / "in_the_default_folder").glob("*.o"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cpp_extension.get_default_build_root() == os.path.realpath(tmp_path / "torch_extensions")


def test_sources_that_are_texts(tmp_path):
    module = cpp_extension.load_inline("inline_text", SOURCE, build_directory=str(tmp_path))
    assert module.add(1, 1) == 2


def test_functions_of_texts(tmp_path):
    text = "long add(long a, long b) { return a + b; }"
    if importlib.util.find_spec("pybind11") is None:
        with pytest.raises(ModuleNotFoundError, match="pip install pybind11"):
            cpp_extension.load_inline("inline_functions", text, functions="add", build_directory=str(tmp_path))
        return
    functions = {"add": 'a "sum"'}
    module = cpp_extension.load_inline("inline_functions", text, functions=functions, build_directory=str(tmp_path))
    assert module.add(2, 3) == 5 and 'a "sum"' in module.add.__doc__


def test_c_and_programs(tmp_path):
    (tmp_path / "part.c").write_text("int part(int new) { return new + 1; }\n")
    main = '#include <cstdio>\nextern "C" int part(int);\nint main() { std::printf("%d", part(4)); }\n'
    (tmp_path / "main.cpp").write_text(main)
    path = cpp_extension.load(
        "program", [tmp_path / "main.cpp", tmp_path / "part.c"], build_directory=str(tmp_path), is_standalone=True
    )
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "5"


@pytest.mark.parametrize("header", ["torch/extension.h", "torch/torch.h", "ATen/ATen.h", "c10/util/Exception.h"])
def test_pytorchs_headers_are_refused(tmp_path, header):
    (tmp_path / "uses.cpp").write_text(f"  #  include <{header}>\n")
    with pytest.raises(NotImplementedError, match=rf"uses\.cpp includes <{header}>: PyTorch's C\+\+ API is not part"):
        cpp_extension.load("uses", [tmp_path / "uses.cpp"], build_directory=str(tmp_path))
    with pytest.raises(NotImplementedError, match="is not part of this version"):
        cpp_extension.load_inline("uses", f'#include "{header}"', build_directory=str(tmp_path))


def test_what_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        cpp_extension.load("none", ["/none.cpp"], build_directory=str(tmp_path))
    with pytest.raises(AssertionError, match="At least one source is required to build a library"):
        cpp_extension.load("none", [], build_directory=str(tmp_path))
    if cpp_extension.CUDA_HOME is None:
        for call in (lambda: cpp_extension.CUDAExtension("a", ["a.cu"]), lambda: cpp_extension.include_paths("cuda")):
            with pytest.raises(OSError, match="CUDA_HOME environment variable is not set"):
                call()


def test_compilers():
    compiler = cpp_extension.get_cxx_compiler()
    assert cpp_extension.check_compiler_ok_for_platform(compiler)
    fits, version = cpp_extension.get_compiler_abi_compatibility_and_version(compiler)
    assert fits and version > "5.0"
    assert not cpp_extension.check_compiler_ok_for_platform("no-such-compiler")
    with pytest.warns(UserWarning, match="no-such-compiler is no C"):
        assert cpp_extension.get_compiler_abi_compatibility_and_version("no-such-compiler") == (False, "0.0.0")


def test_one_process_at_a_time(tmp_path):
    baton, other = (cpp_extension.FileBaton(str(tmp_path / "lock")) for _ in range(2))
    assert baton.try_acquire() and not other.try_acquire()
    baton.release()
    other.wait()
    assert other.try_acquire()
    other.release()


SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(name="built", version="1", cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True)},
      ext_modules=[CppExtension("package.built", ["extension.cpp"], extra_compile_args={"cxx": ["-DEXTRA=100"]})])
"""


def test_setuptools(source, tmp_path):
    pytest.importorskip("setuptools")
    (tmp_path / "setup.py").write_text(SETUP)
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(torch.__file__))}
    command = [sys.executable, "-P", "setup.py", "-q", "build_ext", "--build-lib", "out"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    (built,) = (tmp_path / "out" / "package").iterdir()
    assert built.name == "built.so"
    spec = importlib.util.spec_from_file_location("built", built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.add(2, 3) == 105
