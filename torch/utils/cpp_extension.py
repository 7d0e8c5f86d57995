"""Extensions in C and C++: built at once (``load``, ``load_inline``) or by setuptools (``BuildExtension``).

They use the Python C API, and NumPy's arrays or DLPack for tensors. Sources that include PyTorch's own headers
(``torch/extension.h`` and others) stop with NotImplementedError: the C++ API is not part of this version.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

from torch.torch_version import TorchVersion

from ._cpp_build import Build, ExtensionVersioner, FileBaton, check_headers, check_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

    BuildExtension: Any

__all__ = [
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "SyclExtension",
    "check_compiler_is_gcc",
    "check_compiler_ok_for_platform",
    "get_compiler_abi_compatibility_and_version",
    "get_cxx_compiler",
    "get_default_build_root",
    "include_paths",
    "is_ninja_available",
    "library_paths",
    "load",
    "load_inline",
    "remove_extension_h_precompiler_headers",
    "verify_ninja_availability",
]

IS_WINDOWS, IS_MACOS, IS_LINUX = (sys.platform.startswith(p) for p in ("win", "darwin", "linux"))
LIB_EXT = CLIB_EXT = ".so"
CLIB_PREFIX, EXEC_EXT, SHARED_FLAG = "lib", "", "-shared"
MINIMUM_GCC_VERSION, MINIMUM_CLANG_VERSION = (5, 0, 0), (3, 3, 0)
JIT_EXTENSION_VERSIONER = ExtensionVersioner()
CUDA_HOME = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
CUDNN_HOME = ROCM_HOME = HIP_HOME = SYCL_HOME = None

_NO_CUDA = "CUDA_HOME environment variable is not set. Please set it to your CUDA install root."


def _refuse_devices(cuda: Any = None, sycl: Any = None) -> None:
    """OSError without CUDA, as PyTorch; NotImplementedError with it: sources for devices are not compiled."""
    if cuda and CUDA_HOME is None:
        raise OSError(_NO_CUDA)
    if cuda or sycl:
        raise NotImplementedError("cpp_extension builds extensions for the CPU: Tabula has no tensors on GPUs")


# ---- the compiler


def get_cxx_compiler() -> str:
    """The compiler: ``$CXX``, or ``c++``."""
    return os.environ.get("CXX", "c++")


def check_compiler_is_gcc(compiler: str) -> bool:
    """Whether a command is GCC's C++ compiler."""
    try:
        text = subprocess.run(
            [compiler, "-v"], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
        ).stderr
    except (OSError, subprocess.CalledProcessError):
        return False
    return re.search(r"^gcc version", text, re.MULTILINE) is not None


def check_compiler_ok_for_platform(compiler: str) -> bool:
    """Whether a command is a compiler for this platform: GCC or Clang on Linux, Clang on macOS."""
    path = shutil.which(compiler)
    if path is None:
        return False
    name = os.path.basename(os.path.realpath(path))
    if any(known in name for known in (("clang",) if IS_MACOS else ("g++", "gcc", "clang"))):
        return True
    return IS_LINUX and check_compiler_is_gcc(compiler)


def get_compiler_abi_compatibility_and_version(compiler: str) -> tuple[bool, TorchVersion]:
    """Whether a compiler is recent enough, with its version; ``$TORCH_DONT_CHECK_COMPILER_ABI`` leaves that out."""
    if os.environ.get("TORCH_DONT_CHECK_COMPILER_ABI", "").upper() in ("ON", "1", "YES", "TRUE", "Y"):
        return True, TorchVersion("0.0.0")
    if not check_compiler_ok_for_platform(compiler):
        import warnings

        warnings.warn(f"{compiler} is no C++ compiler for this platform; set CXX to one", stacklevel=2)
        return False, TorchVersion("0.0.0")
    text = subprocess.run(
        [compiler, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=False
    ).stdout.strip()
    numbers = [int(n) for n in re.findall(r"\d+", text)[:3]]
    numbers += [0] * (3 - len(numbers))
    least = MINIMUM_GCC_VERSION if check_compiler_is_gcc(compiler) else MINIMUM_CLANG_VERSION
    return tuple(numbers) >= least, TorchVersion(".".join(map(str, numbers)))


def is_ninja_available() -> bool:
    """Whether ninja can be called; builds take longer without it."""
    return shutil.which("ninja") is not None


def verify_ninja_availability() -> None:
    """RuntimeError without ninja."""
    if not is_ninja_available():
        raise RuntimeError("Ninja is required to load C++ extensions (pip install ninja to get it)")


# ---- folders


def include_paths(device_type: str = "cpu", torch_include_dirs: bool = True) -> list[str]:
    """Folders of headers: none, since the C++ API has none yet. OSError for ``"cuda"`` without CUDA."""
    _refuse_devices(cuda=device_type == "cuda", sycl=device_type == "xpu")
    return []


def library_paths(
    device_type: str = "cpu", torch_include_dirs: bool = True, cross_target_platform: str | None = None
) -> list[str]:
    """Folders of libraries to link with: none, since extensions use Python's objects alone."""
    _refuse_devices(cuda=device_type == "cuda", sycl=device_type == "xpu")
    return []


def get_default_build_root() -> str:
    """The folder of builds: ``~/.cache/torch_extensions``, or in ``$XDG_CACHE_HOME``."""
    cache = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return os.path.realpath(os.path.join(cache, "torch_extensions"))


def _build_directory(name: str, verbose: bool) -> str:
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    if root is None:
        root = os.path.join(get_default_build_root(), f"py{sys.version_info[0]}{sys.version_info[1]}_cpu")
    folder = os.path.join(root, name)
    if verbose:
        print(f"Using {root} as PyTorch extensions root...", file=sys.stderr)
    os.makedirs(folder, exist_ok=True)
    return folder


def remove_extension_h_precompiler_headers() -> None:
    """Remove precompiled headers: there are none."""


# ---- building at once


def load(
    name: str, sources: str | list[str], extra_cflags: Any = None, extra_cuda_cflags: Any = None,
    extra_sycl_cflags: Any = None, extra_ldflags: Any = None, extra_include_paths: Any = None,
    build_directory: str | None = None, verbose: bool = False, with_cuda: bool | None = None,
    with_sycl: bool | None = None, is_python_module: bool = True, is_standalone: bool = False,
    keep_intermediates: bool = True,
) -> ModuleType | str | None:  # fmt: skip
    """Compile and load an extension. What is unchanged is not compiled again.

    Args:
        name: of the module; the sources get it as the macro ``TORCH_EXTENSION_NAME``.
        sources: C and C++ files.
        extra_cflags, extra_ldflags, extra_include_paths: for the compiler and the linker.
        build_directory: where objects go; a folder of ``get_default_build_root()`` unless given, or of
            ``$TORCH_EXTENSIONS_DIR``.
        verbose: print what the compiler says.
        is_python_module: False loads the library into the process without importing it.
        is_standalone: make a program, and return its path.
        keep_intermediates: False removes the objects.

    Raises:
        RuntimeError: with the compiler's messages, when it fails.
        NotImplementedError: for sources that include PyTorch's headers, and for sources for devices.
        FileNotFoundError: for a source that is not there.

    The name counts on: a second build of changed sources in one process is a module ``name_v1``.
    """
    sources = [os.fspath(s) for s in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]
    on_device = [s for s in sources if s.endswith((".cu", ".cuh", ".sycl"))]
    _refuse_devices(cuda=with_cuda or [s for s in on_device if not s.endswith(".sycl")], sycl=with_sycl or on_device)
    if is_python_module and is_standalone:
        is_python_module = False
    if not sources:
        raise AssertionError("At least one source is required to build a library")
    check_sources(sources)
    folder = build_directory or _build_directory(name, verbose)
    arguments = (extra_cflags, extra_ldflags, extra_include_paths)
    before = JIT_EXTENSION_VERSIONER.get_version(name)
    version = JIT_EXTENSION_VERSIONER.bump_version_if_changed(
        name, sources, arguments, folder, is_python_module, is_standalone
    )
    full = name if version == 0 else f"{name}_v{version}"
    build = Build(
        full, sources, folder, compiler=get_cxx_compiler(), cflags=list(extra_cflags or ()),
        ldflags=list(extra_ldflags or ()), include_paths=[*(extra_include_paths or ()), *include_paths()],
        is_program=is_standalone, is_module=is_python_module,
    )  # fmt: skip
    if version != before or not os.path.exists(build.target):
        _run_alone(build, folder, verbose)
    if not keep_intermediates:
        for made in os.listdir(folder):
            if made.endswith((".o", ".d", ".command")):
                os.remove(os.path.join(folder, made))
    if is_standalone:
        return build.target
    if verbose:
        print(f"Loading extension module {full}...", file=sys.stderr)
    return _loaded(full, build.target, is_python_module)


def _run_alone(build: Build, folder: str, verbose: bool) -> None:
    """Build while no other process builds in this folder; what another one has built is there after waiting."""
    baton = FileBaton(os.path.join(folder, "lock"))
    while not baton.try_acquire():
        baton.wait()
    try:
        build.run(verbose)
    finally:
        baton.release()


def _loaded(name: str, path: str, is_python_module: bool) -> ModuleType | None:
    if not is_python_module:
        import ctypes

        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        return None
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_inline(
    name: str, cpp_sources: str | Sequence[str], cuda_sources: Any = None, sycl_sources: Any = None,
    functions: Any = None, extra_cflags: Any = None, extra_cuda_cflags: Any = None, extra_sycl_cflags: Any = None,
    extra_ldflags: Any = None, extra_include_paths: Any = None, build_directory: str | None = None,
    verbose: bool = False, with_cuda: Any = None, with_sycl: Any = None, is_python_module: bool = True,
    with_pytorch_error_handling: bool = True, keep_intermediates: bool = True, use_pch: bool = False,
    no_implicit_headers: bool = False,
) -> ModuleType | str | None:  # fmt: skip
    """Compile and load an extension whose sources are texts.

    ``functions`` names functions of the sources, or maps names to docstrings: the module gets them by pybind11, which
    has to be installed; their arguments are what that converts, numbers, strings, lists and NumPy's arrays. Without
    ``functions`` the sources define the module. Other arguments and errors are those of :func:`load`.
    """
    _refuse_devices(cuda=with_cuda or cuda_sources, sycl=with_sycl or sycl_sources)
    parts = [cpp_sources] if isinstance(cpp_sources, str) else list(cpp_sources)
    paths = list(extra_include_paths or ())
    if functions is not None:
        if importlib.util.find_spec("pybind11") is None:
            raise ModuleNotFoundError(
                "No module named 'pybind11': load_inline(functions=...) needs it, pip install pybind11", name="pybind11"
            )
        import pybind11

        paths.append(pybind11.get_include())
        parts = [_PYBIND_HEADERS, *parts, _bindings(functions)]
    text = "\n".join(parts) + "\n"
    check_headers(f"the source of {name}", text)
    folder = build_directory or _build_directory(name, verbose)
    source = os.path.join(folder, "main.cpp")
    _write_if_changed(source, text)
    return load(
        name, [source], extra_cflags=extra_cflags, extra_ldflags=extra_ldflags, extra_include_paths=paths,
        build_directory=folder, verbose=verbose, is_python_module=is_python_module,
        keep_intermediates=keep_intermediates,
    )  # fmt: skip


_PYBIND_HEADERS = "#include <pybind11/pybind11.h>\n#include <pybind11/stl.h>\n#include <pybind11/numpy.h>"


def _bindings(functions: Any) -> str:
    if isinstance(functions, str):
        functions = [functions]
    if not isinstance(functions, dict):
        functions = {function: function for function in functions}
    lines = [f'm.def("{name}", &{name}, {json.dumps(doc)});' for name, doc in functions.items()]
    return "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n" + "\n".join(lines) + "\n}"


def _write_if_changed(path: str, text: str) -> None:
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# ---- building by setuptools


def CppExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> Any:
    """A ``setuptools.Extension`` for ``BuildExtension``: further arguments are that class's.

    ``extra_compile_args`` may be a list, or a dictionary whose entry ``"cxx"`` is one.
    """
    import setuptools

    kwargs.setdefault("language", "c++")
    kwargs["include_dirs"] = [*kwargs.get("include_dirs", ()), *include_paths()]
    kwargs["library_dirs"] = [*kwargs.get("library_dirs", ()), *library_paths()]
    return setuptools.Extension(name, sources, *args, **kwargs)


def CUDAExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> Any:
    """OSError without CUDA, NotImplementedError with it: extensions are built for the CPU."""
    _refuse_devices(cuda=True)


def SyclExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> Any:
    """NotImplementedError: extensions are built for the CPU."""
    _refuse_devices(sycl=True)


@functools.cache
def _build_extension() -> Any:
    """The command, which is made when it is first named: setuptools takes its time to load."""
    from setuptools.command.build_ext import build_ext

    class BuildExtension(build_ext):
        """``cmdclass={"build_ext": BuildExtension}`` in ``setup()``: setuptools' command for ``CppExtension``.

        Sources get the macro ``TORCH_EXTENSION_NAME``, and C++17 unless another standard is asked for. Option
        ``no_python_abi_suffix``: libraries are named without Python's version. NotImplementedError for sources that
        include PyTorch's headers.
        """

        @classmethod
        def with_options(cls, **options: Any) -> Any:
            """The command with other defaults."""

            class cls_with_options(cls):  # noqa: N801
                def __init__(self, *args: Any, **kwargs: Any) -> None:
                    super().__init__(*args, **(kwargs | options))

            return cls_with_options

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.no_python_abi_suffix = kwargs.pop("no_python_abi_suffix", False)
            self.use_ninja = kwargs.pop("use_ninja", False)
            super().__init__(*args, **kwargs)

        def build_extension(self, ext: Any) -> None:
            check_sources(ext.sources)
            flags = ext.extra_compile_args
            flags = list(flags.get("cxx", ()) if isinstance(flags, dict) else flags)
            if ext.language == "c++" and not any(flag.startswith("-std=") for flag in flags):
                flags.append("-std=c++17")
            ext.extra_compile_args = [*flags, f"-DTORCH_EXTENSION_NAME={ext.name.rpartition('.')[2]}"]
            super().build_extension(ext)

        def get_ext_filename(self, fullname: str) -> str:
            path = super().get_ext_filename(fullname)
            if not self.no_python_abi_suffix:
                return path
            parts = path.split(".")
            return ".".join([*parts[:-2], parts[-1]])

    BuildExtension.__module__, BuildExtension.__qualname__ = __name__, "BuildExtension"
    return BuildExtension


def __getattr__(name: str) -> Any:
    if name == "BuildExtension":
        return _build_extension()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
