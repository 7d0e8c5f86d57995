"""``RRef``: a value that lives in one process and that others refer to."""

from __future__ import annotations

import itertools

from torch.futures import Future

from . import _agent
from ._agent import WorkerInfo, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RRef", "method_factory", "new_method"]

_counter = itertools.count()


class RRef:
    """``RRef(value)`` is owned by this process; ``remote`` gives one that another process owns.

    References count: the value goes when nobody refers to it any more.
    """

    def __init__(self, value: Any, type_hint: Any = None) -> None:
        agent = current()
        self._owner, self._id = agent.info, (agent.info.id, next(_counter))
        self._made = Future()
        self._made.set_result(None)
        held = Future()
        held.set_result(value)
        with agent.lock:
            agent.owned[self._id] = held
            agent.counts[self._id] = agent.counts.get(self._id, 0) + 1

    @classmethod
    def _of(cls, owner: WorkerInfo, number: tuple[int, int], made: Future | None = None) -> RRef:
        ref = cls.__new__(cls)
        ref._owner, ref._id = owner, number
        ref._made = made if made is not None else Future()
        if made is None:
            ref._made.set_result(None)
        return ref

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def __repr__(self) -> str:
        kind = "OwnerRRef" if self.is_owner() else "UserRRef"
        return f"{kind}(RRefId=GloballyUniqueId(created_on={self._id[0]}, local_id={self._id[1]}))"

    def owner(self) -> WorkerInfo:
        """The worker that has the value."""
        return self._owner

    def owner_name(self) -> str:
        """Its name."""
        return self._owner.name

    def is_owner(self) -> bool:
        """Whether this process has the value."""
        return self._owner.id == current().info.id

    def confirmed_by_owner(self) -> bool:
        """Whether the owner knows of it."""
        return self._made.done()

    def local_value(self) -> Any:
        """The value, in the process that owns it.

        Raises:
            RuntimeError: it is another one.
        """
        if not self.is_owner():
            raise RuntimeError(
                f"For {self!r}, can't call localValue() on user {current().info}. Call it on owner {self._owner}"
            )
        return current().owned[self._id].wait()

    def to_here(self, timeout: float = -1.0) -> Any:
        """A copy of the value, in this process."""
        if self.is_owner():
            return self.local_value()
        self._made.wait()
        return current().call(self._owner, "fetch", self._id, seconds=timeout).wait()

    def rpc_sync(self, timeout: float = -1.0) -> Any:
        """Something whose methods are called where the value is."""
        return _Proxy(self, "rpc_sync", timeout)

    def rpc_async(self, timeout: float = -1.0) -> Any:
        """The same, with futures."""
        return _Proxy(self, "rpc_async", timeout)

    def remote(self, timeout: float = -1.0) -> Any:
        """The same, with references to the results."""
        return _Proxy(self, "remote", timeout)

    def _get_type(self, timeout: float = -1.0, blocking: bool = True) -> Any:
        future = current().call(self._owner, "type", self._id, seconds=timeout)
        return future.wait() if blocking else future

    def __reduce__(self) -> Any:
        # whoever gets the pickle refers to it: the owner is told before a message of this process could take that back
        agent = current()
        if self.is_owner():
            with agent.lock:
                agent.counts[self._id] += 1
        else:
            self._made.wait()
            agent.call(self._owner, "count", self._id, 1).wait()
        return _received, (self._owner, self._id)

    def __del__(self) -> None:
        agent = _agent._agent
        if agent is None or agent.closed or not hasattr(self, "_id"):
            return
        try:
            if self._owner.id == agent.info.id:
                count(agent.info.id, self._id, -1)
            else:
                agent.call(self._owner, "count", self._id, -1)
        except Exception:
            return  # the interpreter or the owner is going; so does the value


def _received(owner: WorkerInfo, number: tuple[int, int]) -> RRef:
    return RRef._of(owner, number)


class _Proxy:
    def __init__(self, ref: RRef, way: str, timeout: float) -> None:
        self._ref, self._way, self._timeout = ref, way, timeout

    def __getattr__(self, name: str) -> Any:
        from . import api

        def call(*args: Any, **kwargs: Any) -> Any:
            send = getattr(api, self._way)
            return send(
                self._ref.owner(), _on_value, args=(self._ref, name, args, kwargs), timeout=self._timeout
            )

        return call


def _on_value(ref: RRef, name: str, args: Any, kwargs: Any) -> Any:
    return getattr(ref.local_value(), name)(*args, **kwargs)


def new_method(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The form of a method that ``method_factory`` makes: it calls the one of that name on the value."""
    return self.local_value()(*args, **kwargs)


def method_factory(method_name: str, docstring: str | None) -> Any:
    """A function that calls a method of ``RRef``."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(RRef, method_name)(self, *args, **kwargs)

    method.__name__, method.__doc__ = method_name, docstring
    return method


# What agents do for each other


def fetch(source: int, number: tuple[int, int]) -> Any:
    """The value with this number, when it is there."""
    return _held(number)


def type_of(source: int, number: tuple[int, int]) -> Any:
    """The type of the value with this number."""
    return _held(number).then(lambda done: type(done.value()))


def count(source: int, number: tuple[int, int], change: int) -> None:
    """Somebody more, or less, refers to a value."""
    agent = current()
    with agent.lock:
        left = agent.counts.get(number, 0) + change
        agent.counts[number] = left
        gone = agent.owned.pop(number, None) if left <= 0 else None
        if left <= 0:
            agent.counts.pop(number, None)
    del gone  # outside of the lock: the value may have references of its own


def _held(number: tuple[int, int]) -> Future:
    agent = current()
    with agent.lock:
        return agent.owned.setdefault(number, Future())
