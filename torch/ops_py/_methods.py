"""Attaches the composites to Tensor as methods that load when they are first used."""

from __future__ import annotations

from ._index import FUNCTIONS, IN_PLACE, METHOD_ONLY, METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Later:
    """Stands for a method until it is first looked up; then the function itself takes its place."""

    __slots__ = ("name", "place", "owner")

    def __init__(self, name: str, place: str, owner: Any) -> None:
        self.name, self.place, self.owner = name, place, owner

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        from importlib import import_module
        from types import FunctionType

        from torch._lazy import loading
        from torch._overridable import overridable

        module, _, attribute = self.place.partition(":")
        with loading():
            source = import_module(f"torch.{module}")
            checked = import_module("torch.ops_py._arguments").checked
        function = getattr(source, attribute or self.name, None)
        if function is None:
            function = _in_place(self.name, getattr(source, self.name.removesuffix("_")))
        function = checked(function, self.name, method=True)
        if type(function) is FunctionType:
            function = overridable(function)
        setattr(self.owner, self.name, function)
        return function if instance is None else function.__get__(instance, owner)


def _in_place(name: str, function: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.copy_(function(self, *args, **kwargs))

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"In-place form of ``Tensor.{name.removesuffix('_')}``."
    return method


def install(tensor_type: Any) -> None:
    """Give the tensor type the composites that it has no native method for."""
    native = tensor_type.__dict__
    places = {name: FUNCTIONS[name] for name in METHODS} | METHOD_ONLY | {f"{n}_": FUNCTIONS[n] for n in IN_PLACE}
    for name, place in places.items():
        if name not in native:
            setattr(tensor_type, name, _Later(name, place, tensor_type))
    if "grad_dtype" not in native:
        tensor_type.grad_dtype = property(lambda self: self.dtype, doc="The dtype that gradients of this tensor have.")
