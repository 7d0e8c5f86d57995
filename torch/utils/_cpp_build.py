"""Compiling and linking the sources of an extension, by ninja where it is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]((?:torch|ATen|c10|caffe2)/[^">]+)[">]', re.MULTILINE)
_CPP_ENDINGS = (".cpp", ".cc", ".cxx", ".c++", ".C")


def check_headers(name: str, text: str) -> None:
    """NotImplementedError for a source that uses PyTorch's headers."""
    found = _INCLUDE.search(text)
    if found:
        raise NotImplementedError(
            f"{name} includes <{found[1]}>: PyTorch's C++ API is not part of this version of Tabula yet. Use the "
            "Python C API, with NumPy's arrays or DLPack for tensors (torch.from_numpy, torch.from_dlpack)"
        )


def check_sources(sources: Iterable[str]) -> None:
    """The same for files, and FileNotFoundError for one that is not there."""
    for source in sources:
        with open(source, encoding="utf-8", errors="replace") as file:
            check_headers(source, file.read())


class FileBaton:
    """One process at a time builds: the file is there as long as one does."""

    def __init__(
        self, lock_file_path: str, wait_seconds: float = 0.1, warn_after_seconds: float | None = None
    ) -> None:
        self.lock_file_path, self.wait_seconds = lock_file_path, wait_seconds
        self.warn_after_seconds = warn_after_seconds
        self.fd: int | None = None

    def try_acquire(self) -> bool:
        """Make the file; False if it is there."""
        try:
            self.fd = os.open(self.lock_file_path, os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        return True

    def wait(self) -> None:
        """Wait until the file is gone."""
        begun, warned = time.monotonic(), False
        while os.path.exists(self.lock_file_path):
            time.sleep(self.wait_seconds)
            waited = time.monotonic() - begun
            if self.warn_after_seconds is not None and not warned and waited > self.warn_after_seconds:
                import warnings

                warned = True
                warnings.warn(f'Waited on lock file "{self.lock_file_path}" for {waited:.0f} seconds.', stacklevel=2)

    def release(self) -> None:
        """Take the file away."""
        if self.fd is not None:
            os.close(self.fd)
        os.remove(self.lock_file_path)


class Build:
    """One library or program: its sources, flags and folder."""

    def __init__(
        self, name: str, sources: list[str], folder: str, *, compiler: str, cflags: list[str], ldflags: list[str],
        include_paths: list[str], is_program: bool, is_module: bool,
    ) -> None:  # fmt: skip
        self.sources, self.folder, self.compiler = [os.path.abspath(s) for s in sources], folder, compiler
        self.target = os.path.join(folder, name if is_program else name + ".so")
        flags = [] if is_program else [f"-DTORCH_EXTENSION_NAME={name}", "-fPIC"]
        paths = [*include_paths, sysconfig.get_paths()["include"]] if not is_program or is_module else include_paths
        self.cflags = [*flags, *(f"-I{os.path.abspath(path)}" for path in paths), *cflags]
        self.ldflags = ([] if is_program else ["-shared"]) + list(ldflags)

    def _flags(self, source: str) -> list[str]:
        standard = source.endswith(_CPP_ENDINGS) and not any(f.startswith("-std=") for f in self.cflags)
        language = ["-x", "c"] if source.endswith(".c") else []
        kept = [f for f in self.cflags if not (language and f.startswith("-std=c++"))]
        return language + kept + (["-std=c++17"] if standard else [])

    def _objects(self) -> list[str]:
        # two sources of one name in two folders
        names = [os.path.splitext(os.path.basename(source))[0] for source in self.sources]
        return [
            os.path.join(self.folder, name + (f"_{i}" if names.count(name) > 1 else "") + ".o")
            for i, name in enumerate(names)
        ]

    def run(self, verbose: bool) -> None:
        """Make the target; RuntimeError with the compiler's messages where that fails."""
        if shutil.which("ninja"):
            self._by_ninja(verbose)
        else:
            self._one_by_one(verbose)

    # ---- ninja

    def _by_ninja(self, verbose: bool) -> None:
        def escaped(path: str) -> str:
            return path.replace("$", "$$").replace(":", "$:").replace(" ", "$ ")

        objects = self._objects()
        lines = [
            "ninja_required_version = 1.3",
            f"cxx = {self.compiler}",
            "rule compile",
            "  command = $cxx -MMD -MF $out.d $flags -c $in -o $out",
            "  depfile = $out.d",
            "  deps = gcc",
            "rule link",
            "  command = $cxx $in $flags -o $out",
        ]
        for source, made in zip(self.sources, objects, strict=True):
            lines.append(f"build {escaped(made)}: compile {escaped(source)}")
            lines.append(f"  flags = {shlex.join(self._flags(source)).replace('$', '$$')}")
        lines.append(f"build {escaped(self.target)}: link {' '.join(map(escaped, objects))}")
        lines.append(f"  flags = {shlex.join(self.ldflags).replace('$', '$$')}")
        lines.append(f"default {escaped(self.target)}")
        with open(os.path.join(self.folder, "build.ninja"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        jobs = os.environ.get("MAX_JOBS")
        self._call(["ninja", "-v", *(["-j", jobs] if jobs else [])], verbose)

    # ---- without it

    def _one_by_one(self, verbose: bool) -> None:
        objects = self._objects()
        changed = not os.path.exists(self.target)
        for source, made in zip(self.sources, objects, strict=True):
            command = [self.compiler, "-MMD", "-MF", made + ".d", *self._flags(source), "-c", source, "-o", made]
            if self._is_current(made, command):
                continue
            changed = True
            self._call(command, verbose)
            with open(made + ".command", "w", encoding="utf-8") as file:
                file.write(shlex.join(command))
        if changed:
            self._call([self.compiler, *objects, *self.ldflags, "-o", self.target], verbose)

    def _is_current(self, made: str, command: list[str]) -> bool:
        """Whether an object was made by this command, after the last change of all that it is made of."""
        try:
            with open(made + ".command", encoding="utf-8") as file:
                if file.read() != shlex.join(command):
                    return False
            with open(made + ".d", encoding="utf-8") as file:
                inputs = shlex.split(file.read().replace("\\\n", " "))[1:]
            return all(os.path.getmtime(path) <= os.path.getmtime(made) for path in inputs)
        except OSError:
            return False

    def _call(self, command: list[str], verbose: bool) -> None:
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if verbose:
            print(done.stdout, end="")
        if done.returncode:
            name = os.path.splitext(os.path.basename(self.target))[0]
            raise RuntimeError(f"Error building extension '{name}': {done.stdout}")


class ExtensionVersioner:
    """Counts how often the sources or flags of a name have changed: a process cannot load one library twice."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, str]] = {}

    def get_version(self, name: str) -> int | None:
        """The number of changes; None for a name that was not built."""
        return self.entries[name][0] if name in self.entries else None

    def bump_version_if_changed(
        self, name: str, source_files: Iterable[str], build_arguments: Any, build_directory: str, *rest: Any
    ) -> int:
        """Look at the sources and flags again; the number of changes."""
        digest = hashlib.sha256(repr((build_arguments, build_directory, rest)).encode())
        for path in source_files:
            with open(path, "rb") as file:
                digest.update(file.read())
        found = digest.hexdigest()
        version, before = self.entries.get(name, (-1, ""))
        if found != before:
            self.entries[name] = (version + 1, found)
        return self.entries[name][0]
