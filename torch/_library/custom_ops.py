"""``torch.library.custom_op``: a Python function as an operation."""

from __future__ import annotations

import contextlib

import torch
from torch import _schema

from .infer_schema import infer_schema
from .operation import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any


class CustomOpDef:
    """A custom operation: call it, and register its derivative and its implementations for kinds of devices."""

    def __init__(self, operation: Operation, function: Callable[..., Any]) -> None:
        self._operation = operation
        self._namespace, self._name, self._qualname = operation.namespace, operation.name, operation.qualname
        self._opoverload = operation.overload
        self._init_fn = function
        self.__name__, self.__doc__ = operation.name, function.__doc__
        operation.label = repr(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._opoverload(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types: str | Sequence[str] | None, fn: Callable[..., Any] | None = None, /) -> Any:
        """Give the operation an implementation for kinds of devices, or for all (None). Works as a decorator."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            if device_types is None:
                self._operation.default = function
                return function
            for kind in [device_types] if isinstance(device_types, str) else device_types:
                self._operation.kernels[torch.device(kind).type] = function
            return function

        return register if fn is None else register(fn)

    def register_effect(self, effect: Any) -> None:
        """Say what the operation does besides giving results: ``EffectType.ORDERED``, or None for nothing."""
        from torch.fx.node import _side_effectful_functions

        self._operation.effect = effect
        (_side_effectful_functions.discard if effect is None else _side_effectful_functions.add)(self._opoverload)

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Give the operation an implementation for tensors without memory: shapes, dtypes and devices only."""
        self._operation.fake = fn
        return fn

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Give the operation a backward; ``setup_context(ctx, inputs, output)`` saves what that needs."""
        if self._operation.written:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema "
                f"{self._operation.schema}. Please create a functional operator and register an autograd "
                "formula for that."
            )
        self._operation.backward, self._operation.setup_context = backward, setup_context

    def register_vmap(self, func: Callable[..., Any] | None = None) -> Any:
        """Give the operation a rule for vmap: ``func(info, in_dims, *args)`` returns the result and its batch dims."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self._operation.vmap = function
            return function

        return register if func is None else register(func)

    def register_autocast(self, device_type: str, cast_inputs: torch.dtype) -> None:
        """Under autocast on a kind of device, convert floating tensors to ``cast_inputs`` first."""
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in ("cpu", "cuda"):
            raise ValueError(f"Unknown device type: {device_type}")
        self._operation.autocast[device_type] = cast_inputs

    def register_torch_dispatch(self, torch_dispatch_class: Any, fn: Callable[..., Any] | None = None, /) -> Any:
        """Give the operation a rule for one dispatch mode or subclass, instead of its ``__torch_dispatch__``."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self._operation.dispatch_rules[torch_dispatch_class] = function
            return function

        return register if fn is None else register(fn)

    @contextlib.contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """Inside the block the kernel of a kind of device is used, or not."""
        disabled = self._operation.disabled
        before = device_type in disabled
        disabled.discard(device_type) if enabled else disabled.add(device_type)
        try:
            yield
        finally:
            disabled.add(device_type) if before else disabled.discard(device_type)


definitions: dict[str, CustomOpDef] = {}


def parse_namespace(qualname: str) -> tuple[str, str]:
    """The two parts of "namespace::name"."""
    parts = qualname.split("::")
    if len(parts) != 2 or not all(parts):
        raise ValueError(
            f'Expected `qualname` to be of the form "namespace::name", but got {qualname}. The qualname passed to the '
            "torch.library APIs must consist of a namespace and a name, e.g. aten::sin"
        )
    return parts[0], parts[1]


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make an operation of a Python function, and put it under ``torch.ops``. Works as a decorator.

    The schema follows from the annotations unless ``schema`` gives it. ``mutates_args`` names the arguments that the
    function writes to; ``device_types`` are the kinds of devices that it is for (None: all). The results may not be
    arguments, nor share their memory. See ``register_autograd`` and its neighbours for what else an operation can have.

    >>> @torch.library.custom_op("mylib::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return 2 * x
    >>> twice.register_autograd(lambda ctx, grad: 2 * grad)
    >>> x = torch.tensor(1.5, requires_grad=True)
    >>> torch.ops.mylib.twice(x).backward()
    >>> x.grad
    tensor(2.)
    """

    def make(function: Callable[..., Any]) -> CustomOpDef:
        text = infer_schema(function, mutates_args=mutates_args) if schema is None else schema
        namespace, short = parse_namespace(name)
        parsed = _schema.FunctionSchema(f"{namespace}::{short}{text.strip()}")
        if any(a.kwarg_only and a.type.annotation_str.startswith("Tensor") for a in parsed.arguments):
            raise NotImplementedError(
                f"custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: {short}{text}"
            )
        if name in definitions:
            definitions[name]._operation.withdraw()
        operation = Operation(parsed, checked=True)
        operation.tags = () if tags is None else tuple(tags) if isinstance(tags, (list, tuple)) else (tags,)
        op = definitions[name] = CustomOpDef(operation, function)
        op.register_kernel(device_types, function)
        return op

    return make if fn is None else make(fn)
