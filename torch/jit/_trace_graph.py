"""What a trace is made of: values, the operations that made them, and the module calls that they happened in."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Constant", "Node", "Scope", "Trace", "TracedInt", "Value", "used_values"]


class Value:
    """The result of an operation, or an input.

    ``type`` is TorchScript's (``Tensor``, ``int``, ``List[Tensor]``); ``example`` is what it was while the program was
    traced, ``name`` the variable that the program kept it in.
    """

    __slots__ = ("example", "name", "node", "scope", "type")

    def __init__(self, type: str, example: Any = None) -> None:
        self.type, self.example = type, example
        self.name = ""
        self.node: Node | None = None
        self.scope: Scope | None = None


class Constant:
    """A tensor, or the number that stands for one, which the program took from elsewhere."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Node:
    """An operation that ran.

    ``kind`` is ``aten::add`` or ``prim::ListUnpack``; ``arguments`` are (name, value, by keyword) in the order of the
    schema, where a value is a number, a ``Value``, a ``Constant`` or a list or tuple of such.
    """

    __slots__ = ("arguments", "kind", "outputs", "scope", "schema", "source", "writes")

    def __init__(self, kind: str, arguments: list[tuple[str, Any, bool]], scope: Scope, source: str = "") -> None:
        self.kind, self.arguments, self.scope, self.source = kind, arguments, scope, source
        self.outputs: list[Value] = []
        self.schema: Any = None
        self.writes = False

    def output(self, type: str, example: Any = None) -> Value:
        """One more result."""
        value = Value(type, example)
        value.node, value.scope = self, self.scope
        self.outputs.append(value)
        return value

    def inputs(self) -> Iterator[Value]:
        for _, value, _ in self.arguments:
            yield from used_values(value)


class Scope:
    """A call of a module: what happened in it, calls of other modules among that, in order."""

    __slots__ = ("items", "module", "parent", "path")

    def __init__(self, module: Any, path: str, parent: Scope | None) -> None:
        self.module, self.path, self.parent = module, path, parent
        self.items: list[Node | Scope] = []

    def chain(self) -> list[Scope]:
        """This call and those around it, the outermost first."""
        found: list[Scope] = []
        scope: Scope | None = self
        while scope is not None:
            found.append(scope)
            scope = scope.parent
        return found[::-1]

    def nodes(self) -> Iterator[Node]:
        """All operations, those of calls within it too."""
        for item in self.items:
            if isinstance(item, Scope):
                yield from item.nodes()
            else:
                yield item


class Trace:
    """A run of a function or a method: its parameters as (name, type, value), its result, and what happened."""

    def __init__(self, root: Scope) -> None:
        self.root = root
        self.parameters: list[tuple[str, Value]] = []
        self.result: Any = None


class TracedInt(int):
    """A number that an operation got from a traced tensor."""

    value: Any

    @classmethod
    def of(cls, tensor: torch.Tensor, value: Value) -> TracedInt:
        """The number that a tensor holds, which knows the tensor's traced value."""
        with torch._C.DisableTorchFunction():
            made = cls(int(tensor))
        made.value = value
        return made


def used_values(value: Any) -> Iterator[Value]:
    """The traced values in a nested argument."""
    if isinstance(value, Value):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from used_values(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from used_values(part)
