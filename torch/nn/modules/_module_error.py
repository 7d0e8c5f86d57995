"""Where in a network an exception came from: a note on it, below PyTorch's message."""

from __future__ import annotations

import inspect
import weakref

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .module import Module

_MAX_LINES = 12  # of a module's repr; longer ones are cut to their first line
_MAX_ITEMS = 12  # arguments, tensors of one argument, parameters
_MAX_TEXT = 60  # of the repr of an argument that is no tensor


class _Place(str):
    """The note. Beside its text it knows the module up to which the path is known, for the modules further out."""

    path: str
    below: str
    module: weakref.ref[Module]

    @classmethod
    def at(cls, module: Module, path: str, below: str) -> _Place:
        where = f"{path} of {module._get_name()}" if path else "the module called"
        place = cls(f"In {where}: {below}")
        place.path, place.below, place.module = path, below, weakref.ref(module)
        return place

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


def locate(error: Exception, module: Module, args: tuple, kwargs: dict[str, Any]) -> None:
    """Note on an exception that leaves a call of ``module`` where it arose.

    The innermost module that it leaves is described; the modules further out add to the path.
    """
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        return
    notes = getattr(error, "__notes__", ())
    for index, note in enumerate(notes):
        if isinstance(note, _Place):
            inner = note.module()
            if inner is not module:
                notes[index] = _Place.at(module, _joined(_name(module, inner), note.path), note.below)
            return
    error.add_note(_Place.at(module, "", _description(module, args, kwargs)))


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name)


def _name(outer: Module, inner: Module | None) -> str:
    """The path from one module to another; the class's name in brackets if it isn't registered there."""
    if inner is None:
        return "<a module>"
    for name, child in outer._modules.items():
        if child is inner:
            return name
    for name, child in outer.named_modules():
        if child is inner:
            return name
    return f"<{inner._get_name()}>"


def _description(module: Module, args: tuple, kwargs: dict[str, Any]) -> str:
    lines = [_shown(module)]
    lines += [f"  {name}: {_argument(value)}" for name, value in _named(module, args, kwargs)]
    own = [*module._parameters.items(), *module._buffers.items()]
    lines += [f"  {name}: {_argument(tensor)}" for name, tensor in own[:_MAX_ITEMS] if tensor is not None]
    return "\n".join(lines)


def _shown(module: Module) -> str:
    text = repr(module)
    if text.count("\n") < _MAX_LINES:
        return text
    return f"{module._get_name()}({module.extra_repr()}), with {sum(1 for _ in module.modules()) - 1} modules inside"


def _named(module: Module, args: tuple, kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arguments with the names that ``forward`` gives them."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for index, value in enumerate(args[:_MAX_ITEMS]):
        yield plain[index] if index < len(plain) else f"argument {index}", value
    yield from list(kwargs.items())[:_MAX_ITEMS]


def _argument(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, (tuple, list)):
        parts = [_argument(part) for part in value[:_MAX_ITEMS]] + ["..."] * (len(value) > _MAX_ITEMS)
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        return opening + ", ".join(parts) + closing
    if isinstance(value, dict):
        items = [f"{key!r}: {_argument(part)}" for key, part in list(value.items())[:_MAX_ITEMS]]
        return "{" + ", ".join(items + ["..."] * (len(value) > _MAX_ITEMS)) + "}"
    text = repr(value)
    return text if len(text) <= _MAX_TEXT and "\n" not in text else f"a value of type {type(value).__name__}"


def _tensor(tensor: torch.Tensor) -> str:
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        return "uninitialized"
    dtype = str(tensor.dtype).removeprefix("torch.")
    place = "" if tensor.device.type == "cpu" else f" on {tensor.device}"
    return f"{dtype} {list(tensor.shape)}{place}"
