"""``torch.ops``: operations by namespace, name and overload, as ``torch.ops.aten.add.Tensor``."""

from __future__ import annotations

import types

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OpOverload:
    """One overload of an operation; calling it runs the operation."""

    def __init__(self, packet: OpOverloadPacket, overload: str, op: Any) -> None:
        self._packet, self._overloadname, self._op = packet, overload, op
        self.__name__ = f"{packet._name}.{overload}"
        self.__module__ = f"torch._ops.{packet._namespace}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._op(*args, **kwargs)

    def name(self) -> str:
        suffix = "" if self._overloadname == "default" else f".{self._overloadname}"
        return f"{self._packet}{suffix}".replace(".", "::", 1)

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        return self._packet

    @property
    def namespace(self) -> str:
        return self._packet._namespace

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self._packet}', overload='{self._overloadname}')>"

    def __str__(self) -> str:
        return f"{self._packet}.{self._overloadname}"


class OpOverloadPacket:
    """All overloads of an operation; calling it picks the one that fits."""

    def __init__(self, namespace: str, name: str, op: Any) -> None:
        self._namespace, self._name, self._op = namespace, name, op
        self.__name__ = name
        self.__module__ = f"torch.ops.{namespace}"

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("__"):
            raise AttributeError(overload)
        result = OpOverload(self, overload, self._op)
        setattr(self, overload, result)
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._op(*args, **kwargs)

    def overloads(self) -> list[str]:
        texts = getattr(self._op, "_schemas", ())
        names = [text.partition("(")[0].partition(".")[2] or "default" for text in texts]
        return names or ["default"]

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __str__(self) -> str:
        return f"{self._namespace}.{self._name}"


def _find(name: str) -> Any:
    """The Python callable of an aten operation: functions, internal rows, then methods."""
    for place in (torch._C._VariableFunctions, torch._C._nn, torch._C._ops):
        if hasattr(place, name):
            return getattr(place, name)
    for prefix, module in (("linalg_", "linalg"), ("fft_", "fft"), ("special_", "special")):
        if name.startswith(prefix):
            found = getattr(getattr(torch, module), name.removeprefix(prefix), None)
            if found is not None:
                return found
    found = getattr(torch, name, None)
    if callable(found):
        return found
    return getattr(torch.Tensor, name, None)


class _OpNamespace(types.ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(f"torch.ops.{name}")
        self._namespace = name

    def __getattr__(self, name: str) -> Any:
        op = None if name.startswith("__") else _find(name) if self._namespace == "aten" else None
        if op is None:
            raise AttributeError(f"'_OpNamespace' '{self._namespace}' object has no attribute '{name}'")
        packet = OpOverloadPacket(self._namespace, name, op)
        setattr(self, name, packet)
        return packet


class _Ops(types.ModuleType):
    """Namespaces of operations; ``aten`` holds PyTorch's own, others come from ``torch.library``."""

    def __init__(self) -> None:
        super().__init__("torch.ops")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        namespace = _OpNamespace(name)
        setattr(self, name, namespace)
        return namespace

    def load_library(self, path: str) -> None:
        raise torch._missing.not_available("torch.ops.load_library", "extensions for PyTorch's ABI cannot be loaded")


ops = _Ops()
