"""Models from a ``hubconf.py``: those of a folder, and weights from an address."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from typing import Any
from urllib.parse import urlparse  # noqa: F401  packages take it from here

import torch

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # resnet18-bf5a0b89.pth
_folder: str | None = None


def get_dir() -> str:
    """The folder of downloads: what ``set_dir`` said, else ``$TORCH_HOME/hub``, else ``~/.cache/torch/hub``."""
    return os.path.join(_get_torch_home(), "hub") if _folder is None else _folder


def _get_torch_home() -> str:
    """The folder of everything that is downloaded: ``$TORCH_HOME``, else ``~/.cache/torch``."""
    cache = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.expanduser(os.getenv("TORCH_HOME", cache))


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of downloads."""
    global _folder
    _folder = os.path.expanduser(d)


def _entries(repo: str, source: str) -> Any:
    """The module ``hubconf`` of a folder."""
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        raise NotImplementedError(
            f"torch.hub does not download repositories: clone {repo} and give its folder with source='local'"
        )
    folder = os.path.abspath(os.path.expanduser(repo))
    path = os.path.join(folder, "hubconf.py")
    if not os.path.exists(path):
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
    sys.path.insert(0, folder)  # hubconf imports its neighbours
    try:
        spec = importlib.util.spec_from_file_location("hubconf", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python module")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def _entry(module: Any, model: Any) -> Any:
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    function = getattr(module, model, None)
    if function is None or not callable(function):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return function


def list(  # noqa: A001 - PyTorch's name
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = "check",
    verbose: bool = True,
) -> Any:
    """The names of all entry points of a folder that has a ``hubconf.py``.

    Raises NotImplementedError for repositories that are not on this machine: clone them, and give the folder.
    """
    module = _entries(github, "local" if os.path.isdir(github) else "github")
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(  # noqa: A001 - PyTorch's name
    github: str, model: str, force_reload: bool = False, skip_validation: bool = False, trust_repo: Any = "check"
) -> str | None:
    """The docstring of an entry point of a folder that has a ``hubconf.py``. Raises as ``load``."""
    return _entry(_entries(github, "local" if os.path.isdir(github) else "github"), model).__doc__


def load(
    repo_or_dir: str, model: str, *args: Any, source: str = "github", trust_repo: Any = "check",
    force_reload: bool = False, verbose: bool = True, skip_validation: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Call an entry point of a folder's ``hubconf.py``.

    Args:
        repo_or_dir: the folder.
        model: the entry point's name.
        args: what it is called with.
        source: ``"local"``.
        trust_repo: has no effect on folders.
        force_reload: has no effect on folders.
        verbose: has no effect on folders.
        skip_validation: has no effect on folders.
        kwargs: what it is called with.

    Raises:
        ValueError: for another source than ``"github"`` and ``"local"``.
        NotImplementedError: for ``"github"``: clone the repository, and give its folder.
        FileNotFoundError: without a ``hubconf.py``.
        RuntimeError: if there is no such entry point, or modules it depends on are missing.
    """
    return _entry(_entries(repo_or_dir, source), model)(*args, **kwargs)


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Save what an address holds, if the SHA-256 of it begins with ``hash_prefix``.

    Raises RuntimeError if it does not; the file is then not there. With ``progress`` a terminal shows how far it is.
    """
    import shutil
    import tempfile
    import urllib.request

    from .utils._progress import Progress

    target = os.path.expanduser(dst)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(target) or ".", delete=False) as part:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
            with urllib.request.urlopen(request) as source:
                size = source.headers.get("Content-Length")
                total = int(size) if size else None
                with Progress(total, f"Downloading {os.path.basename(target)}", least=0, enabled=progress) as bar:
                    while chunk := source.read(1 << 20):
                        part.write(chunk)
                        digest.update(chunk)
                        bar.update(len(chunk))
            part.close()
            found = digest.hexdigest()[: len(hash_prefix)] if hash_prefix else hash_prefix
            if found != hash_prefix:
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            shutil.move(part.name, target)
        finally:
            if os.path.exists(part.name):
                os.remove(part.name)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = False,
) -> Any:  # fmt: skip
    """Load weights from an address, through a copy in ``model_dir`` (``get_dir()/checkpoints`` by default).

    Args:
        url: the address.
        model_dir: the folder of copies.
        map_location: as in ``torch.load``.
        progress: whether a terminal shows how far the download is.
        check_hash: whether the SHA-256 must begin with the digits in the name, as in ``resnet18-bf5a0b89.pth``.
        file_name: of the copy; that of the address by default.
        weights_only: as in ``torch.load``.

    Raises RuntimeError for a wrong hash, and what ``torch.load`` raises.
    """
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        digits = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, digits.group(1) if digits else None, progress)
    return torch.load(path, map_location=map_location, weights_only=weights_only)


class _SilentBar:
    """Stands in for ``tqdm.tqdm`` where that is not installed, for packages that take it from here."""

    def __init__(self, iterable: Any = None, total: int | None = None, **options: Any) -> None:
        self._iterable = iterable
        self.total = total
        self.n = 0

    def __iter__(self) -> Any:
        for item in self._iterable:
            yield item
            self.update()

    def update(self, n: int = 1) -> None:
        self.n += n

    def close(self) -> None:
        pass

    def __enter__(self) -> _SilentBar:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def __getattr__(name: str) -> Any:
    if name == "tqdm":
        try:
            from tqdm import tqdm
        except ImportError:
            return _SilentBar
        return tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
