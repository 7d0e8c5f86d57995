"""What has to hold for a graph to be used again: the kinds of the arguments, and what the program saw besides."""

from __future__ import annotations

import inspect
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._capture import Captured

__all__ = ["Guards", "Snapshot"]

_SIMPLE = (int, float, bool, str, bytes, complex, type(None), torch.dtype, torch.device)


def _of_tensor(t: torch.Tensor) -> tuple[Any, ...]:
    strides = tuple(t.stride()) if t.layout is torch.strided else ()
    return type(t), t.dtype, tuple(t.shape), strides, t.requires_grad, t.device, t.layout


def _mark(value: Any) -> Any:
    """What of a Python value a program may have decided by."""
    if isinstance(value, _SIMPLE):
        return type(value), value
    if isinstance(value, (list, dict, set)):
        parts = value.values() if isinstance(value, dict) else value
        if len(value) <= 16 and all(isinstance(v, _SIMPLE) for v in parts):
            return type(value), repr(value)
        return type(value), len(value)
    if isinstance(value, tuple) and all(isinstance(v, _SIMPLE) for v in value):
        return tuple, value
    return type(value), id(value)


_NO_VALUE = object()


def _read(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(name, _NO_VALUE)
    if isinstance(holder, CellType):
        return holder.cell_contents
    return holder.__dict__.get(name, _NO_VALUE)


def _write(holder: Any, name: str, value: Any) -> None:
    if isinstance(holder, CellType):
        holder.cell_contents = value
        return
    table = holder if isinstance(holder, dict) else holder.__dict__
    if value is _NO_VALUE:
        table.pop(name, None)
    else:
        table[name] = value


class _Places:
    """The Python values that a program may read: attributes of its objects, variables outside it."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, str], tuple[Any, str]] = {}

    def add(self, holder: Any, name: str) -> None:
        self.found.setdefault((id(holder), name), (holder, name))

    def attributes(self, owner: Any) -> None:
        """An object's attributes; those of a module's modules too, tensors apart."""
        modules = owner.modules() if isinstance(owner, torch.nn.Module) else [owner]
        for module in modules:
            for name, value in vars(module).items():
                if not (name.startswith("_") and isinstance(module, torch.nn.Module)) and not callable(value):
                    self.add(module, name)

    def function(self, fn: Any) -> None:
        if isinstance(fn, torch.nn.Module):
            self.attributes(fn)
        if isinstance(fn, MethodType):
            if hasattr(fn.__self__, "__dict__") and not isinstance(fn.__self__, type):
                self.attributes(fn.__self__)
            fn = fn.__func__
        inner = inspect.unwrap(fn) if isinstance(fn, FunctionType) else fn
        if not isinstance(inner, FunctionType):
            return
        for cell in inner.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            self.add(cell, "")
            if isinstance(value, torch.nn.Module):
                self.attributes(value)

    def frame(self, frame: Any) -> None:
        """What a function that was called on the way reads."""
        code, variables = frame.f_code, frame.f_globals
        for name in code.co_names:
            if name in variables and not isinstance(variables[name], (ModuleType, FunctionType, type)):
                self.add(variables, name)
        first = code.co_varnames[0] if code.co_argcount else ""
        owner = frame.f_locals.get(first)
        if isinstance(owner, (torch.Tensor, type)) or not hasattr(owner, "__dict__"):
            return
        for name in code.co_names:
            if name in owner.__dict__ and not callable(owner.__dict__[name]):
                self.add(owner, name)


class Snapshot:
    """What the Python values that a program may read are now."""

    def __init__(self, fn: Callable[..., Any], frames: list[Any]) -> None:
        places = _Places()
        places.function(fn)
        for frame in frames:
            places.frame(frame)
        self.places = list(places.found.values())
        self.values = [_read(*place) for place in self.places]
        self.marks = [_mark(value) for value in self.values]
        self.copies = [v.copy() if isinstance(v, (list, dict, set)) else None for v in self.values]

    def holds(self) -> bool:
        for place, value, mark in zip(self.places, self.values, self.marks, strict=True):
            now = _read(*place)
            # Most are what they were; of containers the contents may have changed.
            if (now is not value or isinstance(now, (list, dict, set))) and _mark(now) != mark:
                return False
        return True

    def restore(self) -> None:
        """Take what changed back to what it was."""
        for place, value, mark, copy in zip(self.places, self.values, self.marks, self.copies, strict=True):
            if _mark(_read(*place)) != mark or _read(*place) is not value:
                _write(*place, value)
            if copy is not None and value != copy:
                value.clear()
                (value.extend if isinstance(value, list) else value.update)(copy)


class Guards:
    """Whether a call may use a graph."""

    def __init__(self, captured: Captured, leaves: list[Any], spec: Any, snapshot: Snapshot) -> None:
        self.spec, self.snapshot = spec, snapshot
        self.leaves = [_of_tensor(v) if isinstance(v, torch.Tensor) else _mark(v) for v in leaves]
        self.same = _aliases(leaves)
        self.inputs = captured.inputs
        self.kinds = [_of_tensor(s.tensor) for s in captured.inputs]
        self.gradients = torch.is_grad_enabled()
        self.reason = ""

    def check(self, leaves: list[Any], spec: Any) -> list[torch.Tensor] | None:
        """The tensors that the graph takes, if it may be used."""
        if spec != self.spec or torch.is_grad_enabled() != self.gradients:
            self.reason = "the arguments' structure or the grad mode changed"
            return None
        for value, mark in zip(leaves, self.leaves, strict=True):
            now = _of_tensor(value) if isinstance(value, torch.Tensor) else _mark(value)
            if now != mark:
                self.reason = f"expected {mark}, got {now}"
                return None
        if _aliases(leaves) != self.same or not self.snapshot.holds():
            self.reason = "a Python value that the function reads changed"
            return None
        found = []
        for source, kind in zip(self.inputs, self.kinds, strict=True):
            try:
                tensor = source.get(leaves)
            except (KeyError, AttributeError):
                return None
            if not isinstance(tensor, torch.Tensor) or _of_tensor(tensor) != kind:
                self.reason = f"{source.name} changed"
                return None
            found.append(tensor)
        return found


def _aliases(leaves: list[Any]) -> list[int]:
    """Which tensors among the arguments are one."""
    first: dict[int, int] = {}
    return [first.setdefault(id(v), i) for i, v in enumerate(leaves) if isinstance(v, torch.Tensor)]


def flatten(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
    """The leaves of a call's arguments, and their structure."""
    return pytree.tree_flatten((args, kwargs))
