"""What a worker does, in a process or in a thread."""

from __future__ import annotations

import random
import sys
import threading
from dataclasses import dataclass

import torch

from .fetch import _IterableDatasetFetcher, _MapDatasetFetcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@dataclass(frozen=True, slots=True)
class _RNG:
    """Generators of a worker's own."""

    random_generator: Any
    torch_generator: Any
    numpy_generator: Any = None


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker knows about itself.

    Attributes:
        id: from 0 to ``num_workers - 1``
        num_workers: how many there are
        seed: the loader's base seed plus ``id``
        dataset: this process's copy of the dataset; in a thread the dataset itself
        rng: in a thread, generators seeded for this worker: ``random_generator`` (``random.Random``),
            ``torch_generator`` and, if NumPy is loaded, ``numpy_generator``. The global generators belong to all
            threads; draw from these for results that can be repeated. In a process, whose global generators are
            seeded, ``None``.
        worker_method: ``"multiprocessing"`` or ``"thread"``
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: _RNG | None = None
    worker_method: str | None = "multiprocessing"


_in_thread = threading.local()
_worker_info: WorkerInfo | None = None  # of a worker process, for all its threads


def get_worker_info() -> WorkerInfo | None:
    """Information about the worker that calls, or ``None`` outside of workers."""
    return getattr(_in_thread, "info", _worker_info)


class _DatasetKind:
    """Kinds of datasets."""

    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(kind: int, dataset: Any, auto_collation: bool, collate_fn: Any, drop_last: bool) -> Any:
        fetcher = _MapDatasetFetcher if kind == _DatasetKind.Map else _IterableDatasetFetcher
        return fetcher(dataset, auto_collation, collate_fn, drop_last)


@dataclass(frozen=True, slots=True)
class _IterableDatasetStopIteration:
    """A worker's stream has ended."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers of a loader have in common."""

    kind: int
    dataset: Any
    auto_collation: bool
    collate_fn: Any
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], Any] | None
    num_workers: int
    is_pipe: bool = False

    def fetcher(self, dataset: Any, shared_seed: int | None) -> Any:
        """What makes the batches of an epoch. Pipes that shuffle do so alike in all workers, by the shared seed."""
        if shared_seed is not None:
            from torch.utils.data.graph_settings import apply_random_seed

            apply_random_seed(dataset, torch.Generator().manual_seed(shared_seed))
        return _DatasetKind.create_fetcher(self.kind, dataset, self.auto_collation, self.collate_fn, self.drop_last)

    def share_of(self, worker_id: int, threaded: bool) -> Any:
        """The dataset; a worker's own share of it if it is a pipe."""
        if not self.is_pipe:
            return self.dataset
        from torch.utils.data.graph_settings import apply_sharding

        dataset = self.dataset
        if threaded:
            # Pipes have state: two threads cannot read one.
            import copy

            dataset = copy.deepcopy(dataset)
        return apply_sharding(dataset, self.num_workers, worker_id)


def _entropy(base_seed: int, worker_id: int) -> list[int]:
    return [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32]


def _numpy_seed(base_seed: int, worker_id: int) -> Any:
    # The words that NumPy's own SeedSequence makes of the two numbers are those that PyTorch seeds it with.
    import numpy

    return numpy.random.SeedSequence(_entropy(base_seed, worker_id)).generate_state(4)


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """Four words that seed NumPy in a worker."""
    return [int(word) for word in _numpy_seed(base_seed, worker_id)]


class _SeedOnImport:
    """Waits on ``sys.meta_path`` for ``numpy.random`` and seeds it. Loading NumPy takes longer than a worker does."""

    def __init__(self, base_seed: int, worker_id: int) -> None:
        self.seeds = base_seed, worker_id

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "numpy.random":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            execute = loader.exec_module

            def execute_and_seed(module: Any) -> None:
                execute(module)
                module.seed(module.SeedSequence(_entropy(*self.seeds)).generate_state(4))

            loader.exec_module = execute_and_seed
        return spec


def seed_process(base_seed: int, worker_id: int) -> None:
    """Seed the global generators of a worker process; NumPy's when it is there."""
    seed = base_seed + worker_id
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy.random" in sys.modules:
        import numpy

        numpy.random.seed(_numpy_seed(base_seed, worker_id))
    else:
        sys.meta_path.insert(0, _SeedOnImport(base_seed, worker_id))  # type: ignore[arg-type]


def thread_generators(base_seed: int, worker_id: int) -> _RNG:
    """Generators for a worker thread."""
    seed = base_seed + worker_id
    numpy_generator = None
    if "numpy" in sys.modules:
        import numpy

        numpy_generator = numpy.random.default_rng(_numpy_seed(base_seed, worker_id))
    return _RNG(random.Random(seed), torch.Generator().manual_seed(seed), numpy_generator)


def run(
    job: Job, worker_id: int, receive: Callable[[], Any], send: Callable[[int, int, Any], None], method: str
) -> None:
    """Answer requests until ``receive`` gives ``None``.

    A request is ``(epoch, number, index, shared_seed)``; the answer ``send(epoch, number, data)`` has a batch, an
    ``ExceptionWrapper``, or says that the stream has ended. A new epoch begins with a new fetcher.
    """
    where = f"in DataLoader worker {'process' if method == 'multiprocessing' else 'thread'} {worker_id}"
    threaded = method == "thread"
    dataset = job.share_of(worker_id, threaded)
    rng = thread_generators(job.base_seed, worker_id) if threaded else None
    info = WorkerInfo(worker_id, job.num_workers, job.base_seed + worker_id, dataset, rng, method)
    if threaded:
        _in_thread.info = info
    else:
        global _worker_info
        _worker_info = info
    failure = None
    try:
        if job.init_fn is not None:
            job.init_fn(worker_id)
    except Exception:
        failure = torch._utils.ExceptionWrapper(where=where)
    fetcher, epoch, ended = None, -1, False
    while (request := receive()) is not None:
        if request[0] != epoch:
            fetcher, epoch, ended = None, request[0], False
        if ended:
            # Requests that were on their way when the stream ended.
            continue
        data = failure
        if data is None:
            try:
                if fetcher is None:
                    fetcher = job.fetcher(dataset, request[3])
                data = fetcher.fetch(request[2])
            except Exception as error:
                if isinstance(error, StopIteration) and job.kind == _DatasetKind.Iterable and fetcher is not None:
                    data, ended = _IterableDatasetStopIteration(worker_id), True
                else:
                    data = torch._utils.ExceptionWrapper(where=where)
        send(epoch, request[1], data)
        # A batch kept until the next one is made would be memory that nobody uses.
        del data, request
