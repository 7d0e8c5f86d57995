"""Names for the nodes of a graph: valid in Python, in the style of its variables, each once."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import NamedTuple

import torch
from torch.utils import _pytree as pytree

from . import _pytree as fx_pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SUFFIX = re.compile(r"(.*)_(\d+)$")
_ILLEGAL = re.compile(r"[^0-9a-zA-Z_]+")


class _CustomBuiltin(NamedTuple):
    """A name that all generated code knows, and the line that imports it elsewhere."""

    import_str: str
    obj: Any


_custom_builtins: dict[str, _CustomBuiltin] = {}


def _register_custom_builtin(name: str, import_str: str, obj: Any) -> None:
    _custom_builtins[name] = _CustomBuiltin(import_str, obj)


_register_custom_builtin("inf", "from math import inf", float("inf"))
_register_custom_builtin("nan", "from math import nan", float("nan"))
_register_custom_builtin("NoneType", "NoneType = type(None)", type(None))
_register_custom_builtin("torch", "import torch", torch)
_register_custom_builtin("device", "from torch import device", torch.device)
_register_custom_builtin("fx_pytree", "import torch.fx._pytree as fx_pytree", fx_pytree)
_register_custom_builtin("pytree", "import torch.utils._pytree as pytree", pytree)


def _is_magic(x: str) -> bool:
    return x.startswith("__") and x.endswith("__")


def _snake_case(s: str) -> str:
    """``fooBar`` as ``foo_bar``: a capital after a small letter starts a word."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", s).lower()


def _is_reserved(name: str, obj: object) -> bool:
    """Whether a name means something in all generated code, and not this object."""
    if name == "None":
        return False
    if name in _custom_builtins:
        return _custom_builtins[name].obj is not obj
    return keyword.iskeyword(name) or (hasattr(builtins, name) and getattr(builtins, name) is not obj)


class _Namespace:
    """Hands out names: the wanted one if it is free, else with the next number behind it."""

    def __init__(self) -> None:
        self._obj_to_name: dict[Any, str] = {}
        self._used_names: set[str] = set()
        self._base_count: dict[str, int] = {}

    def create_name(self, candidate: str, obj: object | None) -> str:
        """A free name like ``candidate``; the same one again for the same ``obj``."""
        if obj is not None and obj in self._obj_to_name:
            return self._obj_to_name[obj]
        candidate = _ILLEGAL.sub("_", candidate) or "_unnamed"
        if candidate[0].isdigit():
            candidate = f"_{candidate}"
        match = _SUFFIX.match(candidate)
        base, number = (candidate, None) if match is None else (match.group(1), int(match.group(2)))
        name = candidate
        if name in self._used_names or _is_reserved(name, getattr(obj, "obj", obj)):
            count = self._base_count.get(base, 0)
            while True:
                count += 1
                name = f"{base}_{count}"
                if name not in self._used_names and not _is_reserved(name, getattr(obj, "obj", obj)):
                    break
            self._base_count[base] = count
        elif number is not None:
            self._base_count[base] = number
        self._used_names.add(name)
        if obj is not None:
            self._obj_to_name[obj] = name
        return name

    def associate_name_with_obj(self, name: str, obj: object) -> None:
        """Say that an object goes by a name that was handed out."""
        if self._obj_to_name.setdefault(obj, name) != name:
            raise AssertionError("obj is already associated")

    def _rename_object(self, obj: object, name: str) -> None:
        if obj not in self._obj_to_name:
            raise AssertionError(f"{obj} has no name yet")
        self._obj_to_name[obj] = name
        self._used_names.add(name)
