"""Python's ``multiprocessing``, with tensors that travel between processes as shared memory.

Everything of the standard package is here. What is put into a queue, sent through a pipe or given to a process as an
argument is pickled; a CPU tensor in it is moved to shared memory and the receiver sees the same bytes: writes of one
process are seen by the other. Importing this package is what teaches the pickler of ``multiprocessing`` to do so.

Example:

>>> import torch
>>> import torch.multiprocessing as mp
>>> ours, theirs = mp.Pipe()
>>> t = torch.zeros(3)
>>> ours.send(t)
>>> received = theirs.recv()
>>> received.fill_(7)
tensor([7., 7., 7.])
>>> t
tensor([7., 7., 7.])
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403

from . import reductions
from .reductions import init_reductions
from .spawn import (
    ENV_VAR_PARALLEL_START,
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = ["get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", *multiprocessing.__all__]

# Here to be found, but no part of `import *`.
_ALSO = (
    ENV_VAR_PARALLEL_START, ProcessContext, ProcessExitedException, ProcessRaisedException, SpawnContext, reductions,
    spawn, start_processes,
)  # fmt: skip

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how shared memory is named to other processes from now on.

    ``"file_descriptor"`` (the default) leaves nothing behind, whatever happens to the processes, and keeps a descriptor
    open for each shared storage. ``"file_system"`` uses named files, of which descriptors are no part.

    Raises:
        AssertionError: if there is no such strategy.
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise AssertionError(f"invalid sharing strategy '{new_strategy}', expected one of {_STRATEGIES}")
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """Return the name of the sharing strategy in use."""
    return _strategy


def get_all_sharing_strategies() -> set[str]:
    """Return the names of all sharing strategies."""
    return set(_STRATEGIES)


init_reductions()
