"""Context managers and decorators that switch gradient recording.

The contexts themselves are native types; what it means to decorate a function or a class with one is written here.
"""

from __future__ import annotations

import functools

from torch._C import _set_grad_layout_enforced, enable_grad, inference_mode, no_grad, set_grad_enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "enable_grad",
    "enforce_grad_layout_policy",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

_CO_GENERATOR = 0x20


def _wrap_generator(make: Callable[[], Any], func: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a fresh context for each stretch of the generator's own code, and leave it while the caller runs."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = func(*args, **kwargs)
        try:
            with make():
                item = next(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with make():
                        generator.close()
                    raise
                except BaseException as error:
                    with make():
                        item = generator.throw(error)
                else:
                    with make():
                        item = generator.send(sent)
        except StopIteration as stop:
            return stop.value

    return wrapper


def _decorate(make: Callable[[], Any], func: Any) -> Any:
    if isinstance(func, type):
        import warnings

        warnings.warn(
            "Decorating classes is deprecated and will be disabled in future versions. You should only decorate "
            "functions or methods. To preserve the current behavior of class decoration, you can directly decorate "
            "the `__init__` method and nothing else.",
            FutureWarning,
            stacklevel=3,
        )
        func.__init__ = _decorate(make, func.__init__)  # type: ignore[misc]
        return func
    code = getattr(func, "__code__", None)
    if code is not None and code.co_flags & _CO_GENERATOR:
        return _wrap_generator(make, func)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with make():
            return func(*args, **kwargs)

    return wrapper


class enforce_grad_layout_policy:  # noqa: N801
    """Whether ``grad`` must have the strides of its tensor; at once, and until the end of a ``with`` block.

    Where it need not, a gradient of another layout that nobody else holds is kept as it is instead of copied.

    >>> p = torch.ones(2, 3).t().requires_grad_()
    >>> with torch.autograd.enforce_grad_layout_policy(False):
    ...     (p * 2).sum().backward()
    >>> p.stride(), p.grad.stride()
    ((1, 3), (2, 1))
    """

    def __init__(self, enable: bool = True) -> None:
        self.enable = enable
        self.before = _set_grad_layout_enforced(enable)

    def __call__(self, func: Any) -> Any:
        _set_grad_layout_enforced(self.before)
        return _decorate(self.clone, func)

    def __enter__(self) -> None:
        _set_grad_layout_enforced(self.enable)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set_grad_layout_enforced(self.before)

    def clone(self) -> enforce_grad_layout_policy:
        """Another one of the same choice."""
        return type(self)(self.enable)


_multithreading = True


class set_multithreading_enabled:  # noqa: N801
    """Accepted for compatibility: backward runs in the calling thread, its kernels use the thread pool."""

    __slots__ = ("prev", "mode")

    def __init__(self, mode: bool) -> None:
        global _multithreading
        self.prev = _multithreading
        self.mode = mode
        _multithreading = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _multithreading
        _multithreading = self.prev

    def clone(self) -> set_multithreading_enabled:
        return type(self)(self.mode)


def is_multithreading_enabled() -> bool:
    return _multithreading


def is_view_replay_enabled() -> bool:
    """False: the history of a view whose base was written to is made anew from the two geometries, not by calling the
    functions again that made the view."""
    return False
