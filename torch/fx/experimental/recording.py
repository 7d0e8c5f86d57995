"""What happened to the symbols of a traced program, in order, and the same again in a new environment."""

from __future__ import annotations

import copy
import functools
import inspect
from dataclasses import dataclass
from typing import Any

import torch

from .symbolic_shapes import ShapeEnv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FakeTensorMeta",
    "NotEqualError",
    "ShapeEnvEvent",
    "record_shapeenv_event",
    "replay_shape_env_events",
    "shape_env_check_state_equal",
]


@dataclass
class ShapeEnvEvent:
    """A call of a method of a ``ShapeEnv``."""

    f: Callable[..., Any]
    args: list[object] | None = None
    kwargs: dict[str, Any] | None = None
    tracked_fakes: list[Any] | None = None
    name: str | None = None

    def run(self, shape_env: ShapeEnv | None = None) -> Any:
        """Do it again, for another environment."""
        if self.is_create():
            return ShapeEnv(**(self.kwargs or {}))
        if shape_env is None:
            raise AssertionError("an event other than the first needs an environment")
        args = list(self.args or [])
        args[0] = shape_env
        return self.f(*args, **(self.kwargs or {}))

    def is_create(self) -> bool:
        """Whether the environment was made."""
        return self.name == "create" or self.f is ShapeEnv

    def is_create_fx_call_function(self) -> bool:
        """Never: the graph of conditions is not kept apart."""
        return self.name == "_create_fx_call_function"

    def is_evaluate_expr(self) -> bool:
        """Whether a condition was looked at."""
        return self.name in ("guard", "evaluate_expr")

    def is_defer_runtime_assert(self) -> bool:
        """Whether a condition was left for later."""
        return self.name == "defer_runtime_assert"


@dataclass
class FakeTensorMeta:
    """The sizes of a fake tensor."""

    tensor_size: tuple[Any, ...]
    tensor_stride: tuple[Any, ...]
    tensor_storage_offset: Any
    is_nested: bool = False

    def size(self) -> tuple[Any, ...]:
        return self.tensor_size

    def stride(self) -> tuple[Any, ...]:
        return self.tensor_stride

    def storage_offset(self) -> Any:
        return self.tensor_storage_offset

    def dim(self) -> int:
        return len(self.tensor_size)

    @staticmethod
    def from_fake(fake: torch.Tensor) -> FakeTensorMeta:
        return FakeTensorMeta(tuple(fake.size()), tuple(fake.stride()), fake.storage_offset(), fake.is_nested)


class NotEqualError(Exception):
    """Two environments know different things."""

    def __init__(self, msg: str, mismatched: list[tuple[str, str, str]]) -> None:
        details = "\n".join(
            f"==> {name}: values don't match.\n  >  Left: {a}\n  > Right: {b}" for name, a, b in mismatched
        )
        super().__init__(f"ShapeEnv not equal: {msg}\n\n{details}")


def record_shapeenv_event(
    *, save_tracked_fakes: bool = False, name: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for methods of a ``ShapeEnv`` subclass: calls are noted in its list ``events``."""

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(fn) or "self" not in inspect.signature(fn).parameters:
            raise AssertionError(f"{fn} is no method")

        @functools.wraps(fn)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            events = self.__dict__.setdefault("events", [])
            events.append(ShapeEnvEvent(fn, [self, *args], kwargs, name=name or fn.__name__))
            return fn(self, *args, **kwargs)

        return wrapper

    return decorate


def replay_shape_env_events(events: list[ShapeEnvEvent]) -> ShapeEnv:
    """A new environment in which the events happened again. The first one makes it.

    Raises:
        AssertionError: the first event does not.
        RuntimeError: an event failed.
    """
    if not events or not events[0].is_create():
        raise AssertionError("the first event has to make the environment")
    env = events[0].run()
    for event in events[1:]:
        try:
            event.run(env)
        except Exception as e:
            raise RuntimeError(f"failed when running event: {event}") from e
    return env  # type: ignore[no-any-return]


def shape_env_check_state_equal(
    env1: ShapeEnv,
    env2: ShapeEnv,
    non_state_variable_names: tuple[str, ...],
    map_value: Callable[[str, object], object],
) -> None:
    """Raise NotEqualError unless two environments know the same.

    Args:
        non_state_variable_names: attributes that do not count.
        map_value: turns the value of an attribute, by its name, into what is compared.
    """
    first, second = (
        {k: copy.copy(v) for k, v in vars(e).items() if k not in non_state_variable_names} for e in (env1, env2)
    )
    if first.keys() != second.keys():
        raise NotEqualError("field set mismatch:", [("fields", str(sorted(first)), str(sorted(second)))])
    mismatched = [
        (k, str(map_value(k, v)), str(map_value(k, second[k])))
        for k, v in first.items()
        if str(map_value(k, v)) != str(map_value(k, second[k]))
    ]
    if mismatched:
        raise NotEqualError("field values don't match:", mismatched)
