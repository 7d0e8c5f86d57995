"""``torch.ops``: operations by namespace, name and overload, as ``torch.ops.aten.add.Tensor``.

``aten`` holds PyTorch's own operations, with the overloads that the recorded schemas name (``_schema.py``); other
namespaces come from ``torch.library``. An overload calls the native rows of its name, which choose by the arguments.
"""

from __future__ import annotations

import types
from importlib import import_module

import torch

from . import _schema
from ._overridable import relevant_arguments
from .overrides import handle_torch_function, has_torch_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["HigherOrderOperator", "OpOverload", "OpOverloadPacket", "OperatorBase", "ops"]


class OperatorBase:
    """What all operations under ``torch.ops`` are."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class HigherOrderOperator(OperatorBase):
    """An operation that takes functions; those of ``torch.ops.higher_order`` are in ``torch._higher_order_ops``."""

    def __init__(self, name: str, *, cacheable: bool = False) -> None:
        self._name = self.__name__ = name
        self.__module__ = "torch.ops.higher_order"
        self._cacheable = cacheable

    def name(self) -> str:
        return self._name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"higher order operator '{self._name}' has no implementation")

    def __str__(self) -> str:
        return self._name


class OpOverload(OperatorBase):
    """One overload of an operation; calling it runs the operation."""

    def __init__(
        self, packet: OpOverloadPacket, overload: str, schema: _schema.FunctionSchema, op: Any, letters: str = ""
    ) -> None:
        self._overloadpacket, self._overloadname, self._op = packet, overload, op
        self._opname, self._schema, self._letters = packet._opname, schema, letters
        self._name = f"{packet._qualified_op_name}" + ("" if overload == "default" else f".{overload}")
        self.__name__ = f"{packet._opname}.{overload}"
        self.__qualname__ = self._name
        self.__module__ = packet.__module__
        self._renames_self = bool(schema.arguments) and schema.arguments[0].name == "self"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if has_torch_function(relevant_arguments(args, kwargs)):
            return handle_torch_function(self, relevant_arguments(args, kwargs), *args, **kwargs)
        try:
            if self._renames_self and "self" in kwargs:
                return self._op(kwargs.pop("self"), *args, **kwargs)
            return self._op(*args, **kwargs)
        except TypeError:
            self._check_arguments(args, kwargs)
            missing = self._defaults(args, kwargs)
            if not missing:
                raise
        return self._op(*args, **kwargs, **missing)

    def _defaults(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The schema's values for the arguments that a call leaves out: kernels may know no defaults."""
        rest = [a for a in self._schema.arguments[len(args) :] if not a.is_out and a.name not in kwargs]
        return {a.name: a.default_value for a in rest if a.default_value is not None}

    def _check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise the dispatcher's error for a call that has too many, unknown or missing arguments."""
        schema = self._schema
        most, name = len(schema.arguments), f"{schema.name}()"
        if len(args) + len(kwargs) > most:
            raise RuntimeError(
                f"{name} expected at most {most} argument(s) but received {len(args) + len(kwargs)} argument(s). "
                f"Declaration: {schema}"
            )
        for i, argument in enumerate(schema.arguments):
            given = i < len(args) or argument.name in kwargs
            if not given and not argument.has_default_value():
                raise RuntimeError(f"{name} is missing value for argument '{argument.name}'. Declaration: {schema}")
        names = {a.name for a in schema.arguments}
        for key in kwargs:
            if key not in names:
                raise RuntimeError(f"Unknown keyword argument '{key}' for operator '{schema.name}'. Schema: {schema}")

    def name(self) -> str:
        return self._name

    @property
    def op(self) -> Any:
        return self._op

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        return self._overloadpacket

    @property
    def namespace(self) -> str:
        return self._overloadpacket._namespace

    @property
    def tags(self) -> list[Any]:
        """Members of ``torch.Tag``."""
        from ._tags import Tag

        found = [Tag[_schema.TAGS[letter]] for letter in self._letters if letter in _schema.TAGS]
        return [*found, Tag.pt2_compliant_tag] if self.namespace == "aten" else found

    @property
    def is_view(self) -> bool:
        arguments = self._schema.arguments
        return any(a.alias_info is not None and not a.alias_info.is_write for a in arguments)

    def decompose(self, *args: Any, **kwargs: Any) -> Any:
        """Run the operation in terms of others, or return NotImplemented where it has no such form."""
        if "i" not in self._letters:
            return NotImplemented
        return self._op(*args, **kwargs)

    def has_kernel_for_dispatch_key(self, key: Any) -> bool:
        implicit = "i" in self._letters
        return implicit if str(key).endswith("CompositeImplicitAutograd") else not implicit

    def py_impl(self, key: Any) -> Any:
        raise NotImplementedError("operations are not dispatched by key: use torch.library.register_torch_dispatch")

    def __hash__(self) -> int:
        return hash(self._name)

    def __deepcopy__(self, memo: Any) -> OpOverload:
        return self

    def __reduce__(self) -> Any:
        return _restore, (self.namespace, self._opname, self._overloadname)

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self._overloadpacket}', overload='{self._overloadname}')>"

    def __str__(self) -> str:
        return f"{self._overloadpacket}.{self._overloadname}"


class OpOverloadPacket(OperatorBase):
    """All overloads of an operation; calling it picks the one that fits."""

    def __init__(self, namespace: str, name: str, op: Any) -> None:
        self._namespace, self._opname, self._op = namespace, name, op
        self._qualified_op_name = f"{namespace}::{name}"
        self.__name__ = name
        self.__module__ = f"torch._ops.{namespace}"
        self._dir: list[str] = []

    def _schemas(self) -> dict[str, tuple[str, str]]:
        return _schema.overloads(self._opname) if self._namespace == "aten" else {}

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("__") or overload in ("_namespace", "_opname"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{overload}'")
        known = self._schemas()
        if overload in known:
            text, letters = known[overload]
            schema = _schema.FunctionSchema(f"{self._namespace}::{text}")
            result = OpOverload(self, overload, schema, self._op, letters)
        elif not known and overload == "default":
            result = OpOverload(self, overload, _python_schema(self._qualified_op_name, self._op), self._op)
        else:
            raise AttributeError(f"The underlying op of '{self}' has no overload name '{overload}'")
        self._add(overload, result)
        return result

    def _add(self, overload: str, op: OpOverload) -> None:
        setattr(self, overload, op)
        self._dir.append(overload)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if has_torch_function(relevant_arguments(args, kwargs)):
            return handle_torch_function(self, relevant_arguments(args, kwargs), *args, **kwargs)
        if "self" in kwargs:
            return self._op(kwargs.pop("self"), *args, **kwargs)
        return self._op(*args, **kwargs)

    @property
    def op(self) -> Any:
        return self._op

    def overloads(self) -> list[str]:
        return list(self._schemas()) or list(dict.fromkeys(self._dir)) or ["default"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.overloads())

    def __deepcopy__(self, memo: Any) -> OpOverloadPacket:
        return self

    def __reduce__(self) -> Any:
        return packet, (self._namespace, self._opname)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __str__(self) -> str:
        return f"{self._namespace}.{self._opname}"


def _restore(namespace: str, name: str, overload: str) -> OpOverload:
    found: OpOverload = getattr(packet(namespace, name), overload)
    return found


def _python_schema(name: str, function: Any) -> _schema.FunctionSchema:
    """A schema for an operation that PyTorch does not have: any arguments."""
    texts = getattr(function, "_schemas", ())
    if texts:
        text = texts[0].replace("Tensor input", "Tensor self", 1)
        return _schema.FunctionSchema(name + text[text.index("(") :])
    return _schema.FunctionSchema(f"{name}(Any args) -> Any")


# ---- finding operations


def _find(name: str) -> Callable[..., Any] | None:
    """The Python callable of an aten operation: adapters, rows, the in-place forms of rows, then Python's functions."""
    from .ops_py import aten

    found: Any = getattr(aten, name, None) if name in aten.__all__ else None
    if found is None:
        found = torch._C._rows(name, False)
    if found is None and name.endswith("_"):
        found = torch._C._rows(name[:-1], True)
    if found is not None:
        return found  # type: ignore[no-any-return]
    for prefix, module in (("linalg_", "linalg"), ("fft_", "fft"), ("special_", "special")):
        if name.startswith(prefix):
            found = getattr(getattr(torch, module), name.removeprefix(prefix), None)
            if found is not None:
                return found  # type: ignore[no-any-return]
    for place in (torch, torch.nn.functional, torch.Tensor):
        found = getattr(place, name, None)
        if callable(found) and not isinstance(found, type):
            return found  # type: ignore[no-any-return]
    return None


class _OpNamespace(types.ModuleType):
    """The operations of one namespace."""

    __file__ = "torch.ops"

    def __init__(self, name: str) -> None:
        super().__init__(f"torch.ops.{name}")
        self.name = name
        self._dir: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._dir)

    def __getattr__(self, name: str) -> Any:
        if name in ("__origin__", "__self__"):
            raise AttributeError(f"Invalid attribute '{name}' for '_OpNamespace' '{self.name}'")
        op = None
        if not name.startswith("__") or _schema.overloads(name):
            op = _FINDERS[self.name](name) if self.name in _FINDERS else None
        if self.name == "higher_order" and not name.startswith("__"):
            op = _higher_order(name)
            if op is not None:
                return op
        if op is None:
            raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{name}'")
        return self._add(name, OpOverloadPacket(self.name, name, op))

    def _add(self, name: str, found: OpOverloadPacket) -> OpOverloadPacket:
        setattr(self, name, found)
        self._dir.append(name)
        return found


def _prims(name: str) -> Any:
    attributes = {"device": "device", "dtype": "dtype", "layout": "layout", "is_cuda": "is_cuda"}
    return None if name not in attributes else lambda t: getattr(t, attributes[name])


def _quantized(name: str) -> Any:
    from ._quantized.operations import find

    return find(name)


def _higher_order(name: str) -> Any:
    import torch._higher_order_ops as operations

    return getattr(operations, f"{name}_op", None)


_FINDERS = {
    "aten": _find,
    "prim": _prims,
    "quantized": _quantized,
    "tabula": lambda name: torch._C._rows(name, False),
}


def packet(namespace: str, name: str) -> OpOverloadPacket:
    """The packet of an operation; AttributeError if there is none."""
    found: OpOverloadPacket = getattr(getattr(ops, namespace), name)
    return found


def overload_of_row(schema: _schema.FunctionSchema, *, in_place: bool) -> OpOverload:
    """The overload of a row that PyTorch has no operation for; it is found under ``torch.ops.tabula``."""
    base = schema.name
    name = f"{base}_" if in_place and not base.endswith("_") else base
    space = ops.tabula
    found = space.__dict__.get(name)
    if found is None:
        op = torch._C._rows(base, in_place and name != base)
        found = space._add(name, OpOverloadPacket("tabula", name, op))
    overload = schema.overload_name or "default"
    if overload not in found.__dict__:
        text = str(schema).replace("Tensor input", "Tensor self", 1)
        own = _schema.FunctionSchema(f"tabula::{name}{text[text.index('(') :]}")
        found._add(overload, OpOverload(found, overload, own, found._op))
    result: OpOverload = getattr(found, overload)
    return result


_REVERSED = {"div": "truediv", "floor_divide": "floordiv", "remainder": "mod", "pow": "pow", "sub": "sub"}


def reversed_overload(base: str) -> OpOverload:
    """The overload under ``torch.ops.tabula`` that takes a tensor and the number in front of the operator."""
    name, space = f"r{base}", ops.tabula
    if name not in space.__dict__:
        import operator

        if base not in _REVERSED:
            raise NotImplementedError(f"{base}() of a number and a tensor has no overload for __torch_dispatch__")
        function = getattr(operator, _REVERSED[base])
        found = space._add(name, OpOverloadPacket("tabula", name, lambda self, other: function(other, self)))
        schema = _schema.FunctionSchema(f"tabula::{name}(Tensor self, Scalar other) -> Tensor")
        found._add("default", OpOverload(found, "default", schema, found._op))
    result: OpOverload = packet("tabula", name).default
    return result


# Operations that packages bring as a library, and which are Python here: namespace to module.
_PROVIDED = {"torchvision": "torch._vision_operators"}


class _Ops(types.ModuleType):
    """Namespaces of operations."""

    __file__ = "_ops.py"

    def __init__(self) -> None:
        super().__init__("torch.ops")
        self.loaded_libraries: set[str] = set()
        self._dir: list[str] = []

    def __getattr__(self, name: str) -> _OpNamespace:
        if name.startswith("__"):
            raise AttributeError(name)
        namespace = _OpNamespace(name)
        setattr(self, name, namespace)
        self._dir.append(name)
        if name in _PROVIDED:
            import_module(_PROVIDED[name])
        return namespace

    def __iter__(self) -> Iterator[str]:
        return iter(self._dir)

    def load_library(self, path: str) -> None:
        """Load a library of operations, which Tabula cannot: it has no C++ interface.

        Raises:
            OSError: always, as it is for a library of another PyTorch. Packages that can do without go on.
        """
        raise OSError(f"{path}: libraries for PyTorch's C++ interface cannot be loaded into Tabula, which has none")


ops = _Ops()
