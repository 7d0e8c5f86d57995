"""Context managers and decorators that switch gradient recording."""

from __future__ import annotations

import functools

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "enable_grad",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

_is_enabled = torch.is_grad_enabled
_set_enabled = torch._C._set_grad_enabled

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


class no_grad:  # noqa: N801
    """Inside the block, or the decorated function, operations record nothing for backward.

    Works as ``with torch.no_grad():``, ``@torch.no_grad()`` and ``@torch.no_grad``.
    """

    __slots__ = ("prev",)

    def __new__(cls, orig_func: Any = None) -> Any:
        if orig_func is None:
            return object.__new__(cls)
        return _decorate(cls, orig_func)

    def __enter__(self) -> None:
        self.prev = _is_enabled()
        _set_enabled(False)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set_enabled(self.prev)

    def __call__(self, func: Any) -> Any:
        return _decorate(type(self), func)

    def clone(self) -> no_grad:
        return type(self)()


class enable_grad:  # noqa: N801
    """Inside the block, or the decorated function, operations are recorded even if recording was switched off."""

    __slots__ = ("prev",)

    def __new__(cls, orig_func: Any = None) -> Any:
        if orig_func is None:
            return object.__new__(cls)
        return _decorate(cls, orig_func)

    def __enter__(self) -> None:
        self.prev = _is_enabled()
        _set_enabled(True)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set_enabled(self.prev)

    def __call__(self, func: Any) -> Any:
        return _decorate(type(self), func)

    def clone(self) -> enable_grad:
        return type(self)()


class set_grad_enabled:  # noqa: N801
    """Switch recording on or off at once; as a context manager, until the end of the block."""

    __slots__ = ("prev", "mode")

    def __init__(self, mode: bool) -> None:
        self.prev = _is_enabled()
        self.mode = mode
        _set_enabled(mode)

    def __enter__(self) -> None:
        _set_enabled(self.mode)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set_enabled(self.prev)

    def __call__(self, func: Any) -> Any:
        # Making the object switched the mode, but a decorator must only do so when the function runs.
        _set_enabled(self.prev)
        return _decorate(self.clone, func)

    def clone(self) -> set_grad_enabled:
        return type(self)(self.mode)

    def __str__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    __repr__ = __str__


class inference_mode:  # noqa: N801
    """Like ``no_grad``, and tensors made inside skip version counting: they can never enter a graph."""

    __slots__ = ("mode", "_guard")

    def __new__(cls, mode: Any = True) -> Any:
        if isinstance(mode, bool):
            return object.__new__(cls)
        return _decorate(cls, mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self._guard = torch._C._InferenceMode(self.mode)
        self._guard.__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self._guard.__exit__(exc_type, exc_value, traceback)

    def __call__(self, func: Any) -> Any:
        return _decorate(self.clone, func)

    def clone(self) -> inference_mode:
        return type(self)(self.mode)


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
