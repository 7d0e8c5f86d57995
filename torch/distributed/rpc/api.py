"""Calling functions in other processes."""

from __future__ import annotations

import contextlib

from torch.futures import Future

from . import _agent, _references
from ._agent import Agent, WorkerInfo, current, set_current
from ._references import RRef
from .options import RpcBackendOptions, TensorPipeRpcBackendOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["get_worker_info", "init_rpc", "remote", "rpc_async", "rpc_sync", "shutdown"]


class AllGatherStates:
    """What a gathering of objects of all workers has got so far."""

    def __init__(self) -> None:
        self.gathered_objects: dict[str, Any] = {}
        self.proceed_signal = Future()


_gathering: dict[int, AllGatherStates] = {}
_gather_numbers = 0


def init_rpc(
    name: str,
    backend: Any = None,
    rank: int = -1,
    world_size: int | None = None,
    rpc_backend_options: RpcBackendOptions | None = None,
) -> None:
    """Make this process a worker of this name; returns when all ``world_size`` are there.

    They meet as ``rpc_backend_options.init_method`` says: ``"env://"`` unless another URL is given.

    Raises:
        RuntimeError: it is a worker already, or a name is there twice.
    """
    from ..rendezvous import rendezvous

    if _agent._agent is not None:
        raise RuntimeError("RPC is already initialized")
    options = TensorPipeRpcBackendOptions() if rpc_backend_options is None else rpc_backend_options
    size = -1 if world_size is None else world_size
    store, rank, size = next(rendezvous(options.init_method, rank, size))
    threads = getattr(options, "num_worker_threads", 16)
    agent = Agent(store, name, rank, size, threads, options.rpc_timeout)
    agent.handlers = {
        "run": _run,
        "remote": _run_remote,
        "fetch": _references.fetch,
        "type": _references.type_of,
        "count": _references.count,
        "gather": _gathered,
        "backward": _backward,
        "release": _release,
    }
    set_current(agent)
    agent.meet_again("ready", agent.seconds or None)


def _is_current_rpc_agent_set() -> bool:
    return _agent._agent is not None


def _require_initialized(func: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, refusing to run before ``init_rpc``."""
    import functools

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        current()
        return func(*args, **kwargs)

    return call


def get_worker_info(worker_name: str | None = None) -> WorkerInfo:
    """A worker's number and name; this process's without argument."""
    agent = current()
    return agent.info if worker_name is None else agent.find(worker_name)


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    inner = getattr(function, "_wrapped_async_rpc_function", None)
    result = function(*args, **kwargs)
    if inner is not None and not isinstance(result, Future):
        raise RuntimeError(
            "Functions decorated with @rpc.async_function must return a torch.futures.Future object, but got "
            f"{type(result)}"
        )
    return result


def _run(source: int, context: int | None, function: Any, args: Any, kwargs: Any) -> Any:
    from ..autograd import _messages

    with _messages.entered(context):
        args, kwargs = _messages.received((args, kwargs), source)
        result = _call(function, args, kwargs)
    if isinstance(result, Future):
        return result.then(lambda done: _messages.sent(done.value(), context))
    return _messages.sent(result, context)


def _run_remote(
    source: int, context: int | None, number: tuple[int, int], function: Any, args: Any, kwargs: Any
) -> None:
    from ..autograd import _messages

    agent = current()
    with agent.lock:
        held = agent.owned.setdefault(number, Future())
        agent.counts[number] = agent.counts.get(number, 0) + 1
    try:
        with _messages.entered(context):
            args, kwargs = _messages.received((args, kwargs), source)
            result = _call(function, args, kwargs)
    except Exception as error:
        held.set_exception(_agent.RemoteError(agent.info, error).exception())
        return
    if isinstance(result, Future):
        result.add_done_callback(lambda done: held.set_result(done.value()))
    else:
        held.set_result(result)


def rpc_async(
    to: Any, func: Callable[..., Any], args: Any = None, kwargs: Any = None, timeout: float = -1.0
) -> Future:
    """Call a function in the process of a worker (its name, number or ``WorkerInfo``); a future of the result.

    The function has to be importable there. Its exception is raised by the future's ``wait``.
    """
    from ..autograd import _messages

    agent = current()
    target = agent.find(to)
    context = _messages.current_context()
    given = _messages.sent((tuple(args or ()), dict(kwargs or {})), context)
    future = agent.call(target, "run", context, func, *given, seconds=timeout)
    if context is None:
        return future
    return future.then(lambda done: _messages.received_in(done.value(), target.id, context))


def rpc_sync(to: Any, func: Callable[..., Any], args: Any = None, kwargs: Any = None, timeout: float = -1.0) -> Any:
    """Call a function in the process of a worker, and wait for the result."""
    return rpc_async(to, func, args, kwargs, timeout).wait()


def remote(to: Any, func: Callable[..., Any], args: Any = None, kwargs: Any = None, timeout: float = -1.0) -> RRef:
    """Call a function in the process of a worker; a reference to the result, which stays there."""
    from ..autograd import _messages

    agent = current()
    target = agent.find(to)
    number = (agent.info.id, next(_references._counter))
    context = _messages.current_context()
    given = _messages.sent((tuple(args or ()), dict(kwargs or {})), context)
    made = agent.call(target, "remote", context, number, func, *given, seconds=timeout)
    return RRef._of(target, number, made)


def _gathered(source: int, number: int, name: str, value: Any, everything: bool) -> None:
    agent = current()
    with agent.lock:
        states = _gathering.setdefault(number, AllGatherStates())
        if everything:
            states.gathered_objects = value
            complete = True
        else:
            states.gathered_objects[name] = value
            complete = agent.info.id == 0 and len(states.gathered_objects) == agent.size
    if complete and not states.proceed_signal.done():
        states.proceed_signal.set_result(None)


def _all_gather(obj: Any, worker_names: set[str] | None = None, timeout: float = -1.0) -> dict[str, Any]:
    """The objects of all workers, by name; all of them have to call it."""
    global _gather_numbers
    agent = current()
    with agent.lock:
        _gather_numbers += 1
        number = _gather_numbers
        states = _gathering.setdefault(number, AllGatherStates())
    agent.call(agent.workers[0], "gather", number, agent.info.name, obj, False, seconds=timeout).wait()
    states.proceed_signal.wait()
    found = states.gathered_objects
    if agent.info.id == 0:
        calls = [
            agent.call(worker, "gather", number, "", found, True, seconds=timeout) for worker in agent.workers[1:]
        ]
        for call in calls:
            call.wait()
    _gathering.pop(number, None)
    return found


@contextlib.contextmanager
def _wait_all() -> Iterator[None]:
    """A block at whose end all calls that this process has made are over."""
    yield
    current().drain(None)


def shutdown(graceful: bool = True, timeout: float = 0) -> None:
    """Be a worker no longer. With ``graceful`` this waits until no worker has anything to do."""
    agent = current()
    try:
        if graceful:
            seconds = timeout or None
            for step in ("idle", "still idle"):  # what came in while others finished is done by the second time
                agent.drain(seconds)
                agent.meet_again(step, seconds)
    finally:
        agent.closed = True
        agent.stop()
        set_current(None)


def _backward(source: int, context: int, number: tuple[int, int], grad: Any) -> None:
    from ..autograd import _messages

    _messages.continue_backward(context, number, grad)


def _release(source: int, context: int) -> None:
    from ..autograd import _messages

    _messages.release(context)


