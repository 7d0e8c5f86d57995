"""Custom operations written in Python: ``custom_op`` gives a function a name under ``torch.ops`` and derivatives."""

from __future__ import annotations

import torch

from ._missing import missing_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "Library",
    "custom_op",
    "define",
    "fallthrough_kernel",
    "get_ctx",
    "get_kernel",
    "impl",
    "impl_abstract",
    "infer_schema",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]

_DISPATCH = "operations are not dispatched by key; use torch.library.custom_op"
_TRITON = "there is no Triton backend"
get_ctx = missing_function("torch.library.get_ctx", _DISPATCH)
get_kernel = missing_function("torch.library.get_kernel", _DISPATCH)
register_torch_dispatch = missing_function("torch.library.register_torch_dispatch", _DISPATCH)
triton_op = missing_function("torch.library.triton_op", _TRITON)
wrap_triton = missing_function("torch.library.wrap_triton", _TRITON)


class CustomOp:
    """A custom operation: call it, or give it a derivative and implementations for kinds of devices."""

    def __init__(self, qualname: str, fn: Callable[..., Any]) -> None:
        self._qualname = qualname
        self._namespace, _, self._name = qualname.partition("::")
        self._default = fn
        self._kernels: dict[str, Callable[..., Any]] = {}
        self._fake: Callable[..., Any] | None = None
        self._function: Any = None
        self.__name__ = self._name
        self.__doc__ = fn.__doc__

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        device = next((a.device.type for a in args if isinstance(a, torch.Tensor)), "cpu")
        if device == "meta" and self._fake is not None:
            return self._fake(*args, **kwargs)
        return self._kernels.get(device, self._default)(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None or not torch.is_grad_enabled():
            return self._run(*args, **kwargs)
        if kwargs:
            import inspect

            bound = inspect.signature(self._default).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        return self._function.apply(*args)

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Give the operation a backward; ``setup_context(ctx, inputs, output)`` saves what that needs."""
        run = self._run

        class Custom(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *args: Any) -> Any:
                output = run(*args)
                if setup_context is not None:
                    setup_context(ctx, args, output)
                return output

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                return backward(ctx, *grads)

        Custom.__name__ = f"GeneratedBackwardFor_{self._namespace}_{self._name}"
        self._function = Custom

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Give the operation an implementation for meta tensors: shapes and dtypes only."""
        self._fake = fn
        return fn

    def register_kernel(self, device_types: Any, fn: Callable[..., Any] | None = None, /) -> Any:
        """Give the operation an implementation for kinds of devices."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            kinds = [device_types] if isinstance(device_types, str) else list(device_types or ["cpu"])
            for kind in kinds:
                self._kernels[kind] = function
            return function

        return register if fn is None else register(fn)

    def register_vmap(self, func: Callable[..., Any] | None = None) -> Any:
        """Accepted for compatibility: vmap runs examples one after the other."""
        return (lambda function: function) if func is None else func

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"


_operations: dict[str, CustomOp] = {}


def _find(op: Any) -> CustomOp:
    if isinstance(op, CustomOp):
        return op
    name = op if isinstance(op, str) else op.name()
    if name not in _operations:
        raise RuntimeError(f"There is no custom operation {name}: define it by torch.library.custom_op")
    return _operations[name]


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: Any,
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make an operation of a Python function, and put it under ``torch.ops``. Works as a decorator.

    >>> @torch.library.custom_op("mylib::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return 2 * x
    >>> torch.ops.mylib.twice(torch.tensor(1.))
    tensor(2.)
    """

    def make(function: Callable[..., Any]) -> CustomOp:
        namespace, mark, short = name.partition("::")
        if not mark or not namespace or not short:
            raise ValueError(f"Expected the name of a custom operation to be like 'namespace::name', got {name}")
        op = CustomOp(name, function)
        _operations[name] = op
        setattr(getattr(torch.ops, namespace), short, torch._ops.OpOverloadPacket(namespace, short, op))
        return op

    return make if fn is None else make(fn)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, lib: Any = None
) -> None:
    """Give a custom operation a backward."""
    _find(op).register_autograd(backward, setup_context=setup_context)


def register_fake(
    op: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None, _stacklevel: int = 1,
    allow_override: bool = True,
) -> Any:  # fmt: skip
    """Give a custom operation an implementation for meta tensors."""
    return _find(op).register_fake if func is None else _find(op).register_fake(func)


def impl_abstract(
    qualname: str, func: Callable[..., Any] | None = None, *, lib: Any = None, _stacklevel: int = 1
) -> Any:
    """The old name of ``register_fake``."""
    return register_fake(qualname, func)


def register_kernel(op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Give a custom operation an implementation for kinds of devices."""
    return _find(op).register_kernel(device_types, func)


def register_vmap(op: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Accepted for compatibility: vmap runs examples one after the other."""
    return _find(op).register_vmap(func)


def register_autocast(op: Any, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Accepted for compatibility: autocast is never on."""
    _find(op)


def define(qualname: str, schema: str, *, lib: Any = None, tags: Any = ()) -> None:
    """Announce an operation; ``impl`` gives it an implementation."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{qualname} has no implementation: give it one by torch.library.impl")

    custom_op(qualname, missing, mutates_args=())


def impl(qualname: str, types: Any, func: Callable[..., Any] | None = None, *, lib: Any = None) -> Any:
    """Give an announced operation an implementation for kinds of devices, or "default" for all."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        op = _find(qualname)
        for kind in [types] if isinstance(types, str) else types:
            if kind in ("default", "CompositeExplicitAutograd", "CompositeImplicitAutograd"):
                op._default = function
            else:
                op.register_kernel(kind.lower(), function)
        return function

    return register if func is None else register(func)


def fallthrough_kernel() -> Any:
    """A marker that PyTorch's dispatcher knows; nothing is dispatched by key here."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


_SCHEMA_TYPES = {
    "Tensor": "Tensor", "torch.Tensor": "Tensor", "int": "SymInt", "float": "float", "bool": "bool", "str": "str",
    "torch.dtype": "ScalarType", "torch.device": "Device",
}  # fmt: skip


def _schema_type(annotation: Any) -> str:
    import types
    import typing

    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType) and type(None) in parts:
        return _schema_type(next(p for p in parts if p is not type(None))) + "?"
    if origin in (list, tuple) or getattr(origin, "__name__", "") == "Sequence":
        return _schema_type(parts[0]) + "[]"
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    if name not in _SCHEMA_TYPES and f"torch.{name}" not in _SCHEMA_TYPES:
        raise ValueError(f"infer_schema(func): unsupported type {annotation}")
    return _SCHEMA_TYPES.get(name) or _SCHEMA_TYPES[f"torch.{name}"]


def infer_schema(
    prototype_function: Callable[..., Any], /, *, mutates_args: Any, op_name: str | None = None, tags: Any = ()
) -> str:
    """The schema string of a function, from its annotations."""
    import inspect
    import typing

    hints = typing.get_type_hints(prototype_function)
    parts, starred = [], False
    for name, parameter in inspect.signature(prototype_function).parameters.items():
        if name not in hints:
            raise ValueError(f"infer_schema(func): Parameter {name} must have a type annotation.")
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        kind = _schema_type(hints[name])
        if kind == "Tensor" and name in mutates_args:
            kind = f"Tensor(a{len(parts)}!)"
        default = "" if parameter.default is parameter.empty else f"={parameter.default}"
        parts.append(f"{kind} {name}{default}")
    returned = hints.get("return")
    result = "()" if returned is None or returned is type(None) else _schema_type(returned)
    return f"{op_name or ''}({', '.join(parts)}) -> {result}"


class Library:
    """Operations of one namespace, by ``define`` and ``impl``."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "IMPL", "FRAGMENT"):
            raise ValueError("Unsupported kind: " + kind)
        if kind != "FRAGMENT" and ns in ("prim", "prims"):
            raise ValueError(f"{ns} is a reserved namespace. Please try creating a library with another name.")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Announce an operation by its schema; returns its name."""
        name = schema.partition("(")[0].strip()
        define(f"{self.ns}::{name}", schema)
        return name

    def impl(self, op_name: Any, fn: Callable[..., Any], dispatch_key: str = "", **options: Any) -> None:
        """Give an operation an implementation."""
        name = op_name if isinstance(op_name, str) else op_name.name()
        qualname = name if "::" in name else f"{self.ns}::{name}"
        key = dispatch_key or self.dispatch_key or "default"
        impl(qualname, key, fn)
