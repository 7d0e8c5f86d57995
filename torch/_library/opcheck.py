"""``torch.library.opcheck``: does a custom operation keep what its registrations promise?"""

from __future__ import annotations

import torch
from torch import _ops
from torch.utils import _pytree as pytree

from .operation import tensors_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

DEFAULT_TESTS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


class OpCheckError(Exception):
    """A check of ``opcheck`` failed."""


def _copies(values: Any) -> Any:
    def copy(t: torch.Tensor) -> torch.Tensor:
        return t.detach().clone().requires_grad_(t.requires_grad)

    return pytree.tree_map_only(torch.Tensor, copy, values)


def _check_schema(op: Any, args: Any, kwargs: Any, atol: float, rtol: float) -> None:
    """Arguments change only where the schema says so."""
    args, kwargs = _copies((args, kwargs))
    arguments = op._schema.arguments
    named = {a.name: args[i] if i < len(args) else kwargs.get(a.name) for i, a in enumerate(arguments)}
    before = _copies(named)
    with torch.no_grad():
        op(*args, **kwargs)
    for a in arguments:
        written = a.alias_info is not None and a.alias_info.is_write
        for old, new in zip(tensors_in([before[a.name]]), tensors_in([named[a.name]]), strict=True):
            if not written and not torch.equal(old, new):
                raise RuntimeError(f"Argument {a.name} is not defined as mutable but was mutated")


def _check_autograd(op: Any, args: Any, kwargs: Any, atol: float, rtol: float) -> None:
    """Results of arguments that require gradients have a history of the operation's own."""
    if not any(t.requires_grad for t in tensors_in((*args, *kwargs.values()))):
        return
    args, kwargs = _copies((args, kwargs))
    result = op(*args, **kwargs)
    if not any(t.requires_grad for t in tensors_in(pytree.tree_leaves(result))):
        return
    operation = getattr(op._op, "__self__", None)
    if operation is not None and operation.backward is None and operation.composite is None:
        if operation.autograd is None and not operation.checked:
            raise AssertionError(
                f"{op}: its results require gradients, but no autograd formula was registered. Use "
                "torch.library.register_autograd, or torch.library.custom_op."
            )


def _describe(result: Any) -> list[Any]:
    return [
        (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, torch.Tensor) else type(leaf)
        for leaf in pytree.tree_leaves(result)
    ]


def _check_fake(op: Any, args: Any, kwargs: Any, atol: float, rtol: float) -> None:
    """The implementation without memory gives the shapes and dtypes of the real one."""
    real = op(*_copies(args), **_copies(kwargs))
    on_meta = pytree.tree_map_only(torch.Tensor, lambda t: t.detach().to("meta"), (args, kwargs))
    fake = op(*on_meta[0], **on_meta[1])
    if _describe(real) != _describe(fake):
        raise AssertionError(
            f"{op}: the fake implementation gives {_describe(fake)}, the real one {_describe(real)} (shapes and dtypes)"
        )


def _check_gradients(op: Any, args: Any, kwargs: Any, atol: float, rtol: float) -> None:
    """Gradients are the same again with other tensors of the same values, and the fake implementation exists."""
    _check_fake(op, args, kwargs, atol, rtol)
    if not any(t.requires_grad for t in tensors_in((*args, *kwargs.values()))):
        return
    found = []
    for _ in range(2):
        a, k = _copies((args, kwargs))
        leaves = [t for t in tensors_in((*a, *k.values())) if t.requires_grad]
        result = [t for t in tensors_in(pytree.tree_leaves(op(*a, **k))) if t.requires_grad]
        if not result:
            return
        total = torch.stack([t.abs().sum() for t in result]).sum()
        found.append(torch.autograd.grad(total, leaves, allow_unused=True))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=atol, rtol=rtol)


_TESTS: dict[str, Callable[..., None]] = {
    "test_schema": _check_schema,
    "test_autograd_registration": _check_autograd,
    "test_faketensor": _check_fake,
    "test_aot_dispatch_dynamic": _check_gradients,
    "test_aot_dispatch_static": _check_gradients,
}


def opcheck(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | Sequence[str] = DEFAULT_TESTS,
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
) -> dict[str, Any]:
    """Check that a custom operation keeps what its registrations promise, with these arguments.

    ``test_schema``: only the arguments that the schema marks change. ``test_autograd_registration``: there is a
    derivative where one is needed. ``test_faketensor``: the fake implementation agrees in shapes and dtypes.
    ``test_aot_dispatch_dynamic`` and ``_static``: gradients are reproducible. Returns "SUCCESS", or the exception, for
    each; OpCheckError for the first failure unless ``raise_exception`` is False. It does not compare the derivative
    with the function: use ``torch.autograd.gradcheck``.

    >>> @torch.library.custom_op("mylib::half", mutates_args=())
    ... def half(x: torch.Tensor) -> torch.Tensor:
    ...     return x / 2
    >>> @half.register_fake
    ... def _(x):
    ...     return torch.empty_like(x)
    >>> torch.library.opcheck(half, (torch.ones(3),))["test_faketensor"]
    'SUCCESS'
    """
    from .custom_ops import CustomOpDef

    if isinstance(op, CustomOpDef):
        op = op._opoverload
    if isinstance(op, _ops.OpOverloadPacket):
        op = getattr(op, op.overloads()[0])
    if not isinstance(op, _ops.OpOverload):
        raise ValueError(
            "opcheck(op, ...): op must be instance of torch._ops.OpOverload, e.g. "
            f"torch.ops.aten.sin.default, got {type(op)}"
        )
    names = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    unknown = set(names) - set(_TESTS)
    if not names or unknown:
        raise ValueError(
            f"opcheck(op, ..., test_utils={test_utils}), expected test_utils to be a subset of {tuple(_TESTS)}"
        )
    tolerance = {"atol": atol, "rtol": rtol}
    results: dict[str, Any] = {}
    for name in names:
        try:
            _TESTS[name](op, args, kwargs or {}, **tolerance)
            results[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error}") from error
            results[name] = error
    return results
