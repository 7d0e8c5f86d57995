"""Models from a ``hubconf.py``: those of a folder or of a repository on GitHub, and weights from an address."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from typing import Any
from urllib.parse import urlparse

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
ENV_GITHUB_TOKEN, ENV_TORCH_HOME, ENV_XDG_CACHE_HOME = "GITHUB_TOKEN", "TORCH_HOME", "XDG_CACHE_HOME"
DEFAULT_CACHE_DIR = "~/.cache"
VAR_DEPENDENCY, MODULE_HUBCONF = "dependencies", "hubconf.py"
READ_DATA_CHUNK = 128 * 1024
_hub_dir: str | None = None


def _get_torch_home() -> str:
    """``$TORCH_HOME``, else ``torch`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``. Other libraries ask it too."""
    cache = os.path.join(os.getenv(ENV_XDG_CACHE_HOME, DEFAULT_CACHE_DIR), "torch")
    return os.path.expanduser(os.getenv(ENV_TORCH_HOME, cache))


def get_dir() -> str:
    """The folder of downloads: what ``set_dir`` said, else ``$TORCH_HOME/hub``, else ``~/.cache/torch/hub``."""
    return _hub_dir if _hub_dir is not None else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of downloads."""
    global _hub_dir
    _hub_dir = os.path.expanduser(d)


def _folder_of(repo: str, *, reload: bool, trust: Any, verbose: bool, skip_validation: bool) -> str:
    """The folder of a repository's copy."""
    from torch._hub_github import Repository

    downloads = get_dir()
    os.makedirs(downloads, exist_ok=True)
    repository = Repository(repo, downloads)
    return repository.copy(reload=reload, trust=trust, verbose=verbose, validate=not skip_validation)


def _hubconf(repo: str) -> Any:
    """The module ``hubconf`` of a folder."""
    folder = os.path.abspath(os.path.expanduser(repo))
    path = os.path.join(folder, MODULE_HUBCONF)
    if not os.path.exists(path):
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
    sys.path.insert(0, folder)  # hubconf imports its neighbours
    try:
        spec = importlib.util.spec_from_file_location(MODULE_HUBCONF, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python module")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _check_dependencies(module: Any) -> None:
    needed = getattr(module, VAR_DEPENDENCY, None) or ()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")


def _entry(module: Any, model: Any) -> Any:
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    _check_dependencies(module)
    function = getattr(module, model, None)
    if function is None or not callable(function):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return function


def _folder_or_copy(github: str, force_reload: bool, skip_validation: bool, trust: Any, verbose: bool) -> str:
    if os.path.isdir(github):
        return github
    return _folder_of(
        github, reload=force_reload, trust=trust, verbose=verbose, skip_validation=skip_validation
    )


def list(  # noqa: A001 - PyTorch's name
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = "check",
    verbose: bool = True,
) -> Any:
    """The names of all entry points of a repository, ``owner/name[:branch]``, or of a folder. See ``load``."""
    module = _hubconf(_folder_or_copy(github, force_reload, skip_validation, trust_repo, verbose))
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(  # noqa: A001 - PyTorch's name
    github: str, model: str, force_reload: bool = False, skip_validation: bool = False, trust_repo: Any = "check"
) -> str | None:
    """The docstring of an entry point of a repository or folder. See ``load``."""
    return _entry(_hubconf(_folder_or_copy(github, force_reload, skip_validation, trust_repo, True)), model).__doc__


def load(
    repo_or_dir: str, model: str, *args: Any, source: str = "github", trust_repo: Any = "check",
    force_reload: bool = False, verbose: bool = True, skip_validation: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Call an entry point of a ``hubconf.py``. That runs the code of the repository: load only what you trust.

    Args:
        repo_or_dir: ``owner/name[:branch-or-tag]`` on GitHub, or a folder.
        model: the entry point's name.
        args: what it is called with.
        source: ``"github"`` or ``"local"``.
        trust_repo: ``"check"`` asks about repositories that are not in the list of trusted ones yet, False asks always,
            True adds the repository to the list.
        force_reload: download a repository that is there already.
        verbose: say where the copy is.
        skip_validation: do not look whether the branch or commit is the repository's own. That asks GitHub, with the
            token of ``$GITHUB_TOKEN`` if there is one.
        kwargs: what it is called with.

    Raises:
        ValueError: for another source, a repository of another form, or a commit that is not the repository's.
        FileNotFoundError: without a ``hubconf.py``.
        RuntimeError: if there is no such entry point, modules it depends on are missing, or there is neither a network
            nor a copy.
        Exception: when the user does not trust the repository.
    """
    source = source.lower()
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        repo_or_dir = _folder_of(
            repo_or_dir, reload=force_reload, trust=trust_repo, verbose=verbose, skip_validation=skip_validation
        )
    return _entry(_hubconf(repo_or_dir), model)(*args, **kwargs)


class _Bar:
    """Says on stderr how much of a download is there."""

    def __init__(self, total: int | None = None, disable: bool = False, **options: Any) -> None:
        self.total, self.disable, self.done = total, disable, 0

    def update(self, count: int) -> None:
        """So many bytes more."""
        self.done += count
        if not self.disable:
            sys.stderr.write(f"\r{100 * self.done / self.total:.1f}%" if self.total else f"\r{self.done:.1f} bytes")
            sys.stderr.flush()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc: Any) -> None:
        if not self.disable:
            sys.stderr.write("\n")


def __getattr__(name: str) -> Any:
    if name == "urlparse":
        from urllib.parse import urlparse

        return urlparse
    if name != "tqdm":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tqdm import tqdm
    except ImportError:
        return _Bar
    return tqdm


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Save what an address holds, if the SHA-256 of it begins with ``hash_prefix``.

    The file is there when all of it is. With ``progress`` a terminal shows how far it is. RuntimeError for another
    hash, urllib.error.URLError where there is no such address.
    """
    import shutil
    import urllib.request
    import uuid

    from .utils._progress import Progress

    target = os.path.expanduser(dst)
    part = f"{target}.{uuid.uuid4().hex}.partial"
    digest = hashlib.sha256()
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    with urllib.request.urlopen(request) as source:
        length = source.headers.get("Content-Length")
        total = int(length) if length else None
        try:
            with (
                open(part, "xb") as file,
                Progress(total, f"Downloading {os.path.basename(target)}", least=0, enabled=progress) as shown,
            ):
                while chunk := source.read(READ_DATA_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    shown.update(len(chunk))
            found = digest.hexdigest()
            if hash_prefix is not None and not found.startswith(hash_prefix):
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            shutil.move(part, target)
        finally:
            if os.path.exists(part):
                os.remove(part)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = False,
) -> Any:  # fmt: skip
    """Load weights from an address, through a copy in ``model_dir`` (``get_dir()/checkpoints`` by default).

    Args:
        url: the address. A ZIP archive of one file is that file.
        model_dir: the folder of copies.
        map_location: as in ``torch.load``.
        progress: whether to show a bar while the copy is made.
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
        sys.stdout.write(f'Downloading: "{url}" to {path}\n')
        digits = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, digits.group(1) if digits else None, progress=progress)
    return torch.load(_unpacked(path, folder), map_location=map_location, weights_only=weights_only)


def _unpacked(path: str, folder: str) -> str:
    """The file inside an archive of one; other files, checkpoints that are archives themselves too, as they are."""
    import zipfile

    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as packed:
        inside = packed.infolist()
        if len(inside) != 1 or inside[0].is_dir():
            return path
        from torch._hub_github import extract_zip

        extract_zip(packed, folder)
    return os.path.join(folder, inside[0].filename)
