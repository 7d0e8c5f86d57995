"""Columns, functions that pickle refuses, file names and streams."""

from __future__ import annotations

import fnmatch
import os
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = [
    "StreamWrapper",
    "get_file_binaries_from_pathnames",
    "get_file_pathnames_from_root",
    "match_masks",
    "validate_pathname_binary_tuple",
]


def check_picklable(function: Any) -> None:
    """Warn about functions that cannot be sent to a worker process."""
    if not callable(function):
        raise TypeError(f"A callable function is expected, but {type(function)} is provided.")
    name = getattr(function, "__qualname__", "")
    kind = "Lambda" if "<lambda>" in name else "Local" if "<locals>" in name else None
    if kind is not None:
        warnings.warn(
            f"{kind} function is not supported by pickle, please use regular python function or functools.partial "
            "instead.",
            stacklevel=4,
        )


def columns(item: Any, where: Any) -> list[Any]:
    """The arguments that a function takes from an item: all of it, one column, or several."""
    if where is None:
        return [item]
    return [item[key] for key in where] if isinstance(where, (list, tuple)) else [item[where]]


def match_masks(name: str, masks: str | list[str]) -> bool:
    """Whether a file name matches one of the patterns; no pattern matches all."""
    if not masks:
        return True
    return any(fnmatch.fnmatch(name, mask) for mask in ([masks] if isinstance(masks, str) else masks))


def get_file_pathnames_from_root(
    root: str, masks: str | list[str], recursive: bool = False, abspath: bool = False, non_deterministic: bool = False
) -> Iterator[str]:
    """The files in a folder, in order unless told otherwise."""

    def complain(error: OSError) -> None:
        warnings.warn(f"{error.filename} : {error.strerror}", stacklevel=4)
        raise error

    if os.path.isfile(root):
        path = os.path.abspath(root) if abspath else root
        if match_masks(os.path.basename(path), masks):
            yield path
        return
    for folder, folders, names in os.walk(root, onerror=complain):
        if not non_deterministic:
            folders.sort()
            names.sort()
        for name in names:
            if match_masks(name, masks):
                path = os.path.join(folder, name)
                yield os.path.abspath(path) if abspath else path
        if not recursive:
            return


def get_file_binaries_from_pathnames(
    pathnames: Iterable[str], mode: str, encoding: str | None = None
) -> Iterator[tuple[str, Any]]:
    """Open files, binary unless the mode says text."""
    if mode in ("b", "t"):
        mode = "r" + mode
    for pathname in [pathnames] if isinstance(pathnames, str) else pathnames:
        if not isinstance(pathname, str):
            raise TypeError(f"Expected string type for pathname, but got {type(pathname)}")
        yield pathname, StreamWrapper(open(pathname, mode, encoding=encoding))  # noqa: SIM115


def validate_pathname_binary_tuple(data: Any) -> None:
    """Raise TypeError unless the item is a pair of a file name and a stream."""
    if not isinstance(data, tuple):
        raise TypeError(f"pathname binary data should be tuple type, but it is type {type(data)}")
    if len(data) != 2:
        raise TypeError(f"pathname binary stream tuple length should be 2, but got {len(data)}")
    if not isinstance(data[0], str):
        raise TypeError(f"pathname within the tuple should have string type pathname, but it is type {type(data[0])}")
    if not hasattr(data[1], "read"):
        raise TypeError(f"binary stream within the tuple should have a read method, but it is type {type(data[1])}")


class StreamWrapper:
    """An open file that closes itself when nobody uses it any more."""

    def __init__(self, file_obj: Any, parent_stream: Any = None, name: str | None = None) -> None:
        self.file_obj = file_obj
        self.parent_stream = parent_stream
        self.name = name
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["file_obj"], name)

    def close(self, *args: Any, **kwargs: Any) -> None:
        self.closed = True
        self.file_obj.close(*args, **kwargs)

    def __enter__(self) -> StreamWrapper:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        yield from self.file_obj

    def __next__(self) -> Any:
        return next(self.file_obj)

    def __repr__(self) -> str:
        return f"StreamWrapper<{self.name if self.name is not None else repr(self.file_obj)}>"

    def __del__(self) -> None:
        if not self.__dict__.get("closed", True):
            self.close()


def each(function: Callable[..., Any], item: Any, where: Any) -> Any:
    """Call a function with the columns of an item."""
    return function(*columns(item, where))
