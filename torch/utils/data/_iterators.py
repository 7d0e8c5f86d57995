"""One pass of a loader over its data: in the calling process, or with workers."""

from __future__ import annotations

import itertools
import sys

import torch

from ._utils import MP_STATUS_CHECK_INTERVAL
from ._utils.pin_memory import pin_memory
from ._utils.worker import Job, _DatasetKind, _IterableDatasetStopIteration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MORE_THAN_REPORTED = (
    "Length of IterableDataset {} was reported to be {}(when accessing len(dataloader)), but {} samples have been "
    "fetched. "
)
_REPLICAS = (
    "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset replica at "
    "each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
)


def _is_pipe(dataset: Any) -> bool:
    # Nothing is one before the module of pipes has been loaded.
    pipes = sys.modules.get("torch.utils.data.datapipes.datapipe")
    return pipes is not None and isinstance(dataset, pipes.IterDataPipe)


class _BaseDataLoaderIter:
    """What all iterators have in common."""

    def __init__(self, loader: Any) -> None:
        self._dataset = loader.dataset
        self._generator = loader.generator
        self._shared_seed = self._draw_shared_seed()
        self._dataset_kind = loader._dataset_kind
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._persistent_workers = loader.persistent_workers
        self._pin_memory = loader.pin_memory and torch.accelerator.is_available()
        if loader.pin_memory_device:
            import warnings

            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,ignore "
                f"pin_memory_device='{loader.pin_memory_device}'.",
                stacklevel=4,
            )
        if loader.pin_memory and not self._pin_memory:
            import warnings

            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.",
                stacklevel=4,
            )
        self._sampler_iter = iter(self._index_sampler)
        # Workers are seeded with it. It is drawn without workers too, so that their number changes no stream.
        self._base_seed = int(torch.empty((), dtype=torch.int64).random_(generator=loader.generator).item())
        self._num_yielded = 0

    def _draw_shared_seed(self) -> int | None:
        """What the shufflers of a pipe are seeded with, alike in all workers; no draw for other datasets."""
        if not _is_pipe(self._dataset):
            return None
        return int(torch.empty((), dtype=torch.int64).random_(generator=self._generator).item())

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._shared_seed = self._draw_shared_seed()

    def __iter__(self) -> Any:
        return self

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        reported = self._IterableDataset_len_called
        if self._dataset_kind == _DatasetKind.Iterable and reported is not None and self._num_yielded > reported:
            import warnings

            text = _MORE_THAN_REPORTED.format(self._dataset, reported, self._num_yielded)
            warnings.warn(text + (_REPLICAS if self._num_workers else ""), stacklevel=2)
        return pin_memory(data) if self._pin_memory else data

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Loads when asked, in the calling thread."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if self._shared_seed is not None:
            from .graph_settings import apply_random_seed

            apply_random_seed(self._dataset, torch.Generator().manual_seed(self._shared_seed))
        self._dataset_fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )

    def _next_data(self) -> Any:
        return self._dataset_fetcher.fetch(next(self._sampler_iter))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Hands indices to workers in turn, ``prefetch_factor`` to each in advance, and gives out what they make of them.

    Batches are numbered in the order of the sampler. ``in_order=False`` gives them out as they arrive.
    """

    _pool: Any = None

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if not loader.prefetch_factor > 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._prefetch_factor = loader.prefetch_factor
        self._in_order = loader.in_order
        self._epoch = 0
        job = Job(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last,
            self._base_seed, loader.worker_init_fn, self._num_workers, self._shared_seed is not None,
        )  # fmt: skip
        from ._utils import pools

        if loader.worker_type == "thread":
            self._pool = pools.ThreadPool(job)
        else:
            import torch.multiprocessing

            self._pool = pools.ProcessPool(job, loader.multiprocessing_context or torch.multiprocessing)
        self._epoch_seed = self._shared_seed
        # Drawn and left unused by PyTorch too, which resets a new iterator once.
        self._draw_shared_seed()
        self._begin()

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        super()._reset(loader, first_iter)
        self._epoch_seed = self._shared_seed
        self._begin()

    @property
    def _workers(self) -> list[Any]:
        return [] if self._pool is None else list(self._pool.workers)

    def _begin(self) -> None:
        # Answers carry the number of the epoch: what an unfinished one left behind is recognised.
        self._epoch += 1
        self._send_idx = self._rcvd_idx = self._tasks_outstanding = 0
        self._holders: dict[int, int] = {}
        self._ready: dict[int, Any] = {}
        self._active = [True] * self._num_workers
        self._load = [0] * self._num_workers
        self._turn = itertools.cycle(range(self._num_workers))
        for _ in range(self._prefetch_factor * self._num_workers):
            self._try_put_index()

    def _try_put_index(self) -> None:
        most = self._prefetch_factor * self._num_workers
        if self._tasks_outstanding >= most:
            return
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        for _ in range(self._num_workers):
            worker_id = next(self._turn)
            if self._active[worker_id] and (self._in_order or self._load[worker_id] < most // sum(self._active)):
                break
        else:
            return
        self._holders[self._send_idx] = worker_id
        self._load[worker_id] += 1
        self._tasks_outstanding += 1
        self._pool.post(worker_id, (self._epoch, self._send_idx, index, self._epoch_seed))
        self._send_idx += 1

    def _take(self) -> tuple[int, Any]:
        """Wait for the next answer of this epoch."""
        try:
            while True:
                epoch, number, data = self._pool.take(self._timeout)
                if epoch == self._epoch:
                    return number, data
        except TimeoutError:
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
        except BaseException:
            # Nobody waits for what the other workers are at.
            self._shutdown_workers(patience=1.0)
            raise

    def _next_data(self) -> Any:
        while self._pool is not None:
            if self._in_order:
                while self._rcvd_idx < self._send_idx and self._rcvd_idx not in self._holders:
                    # The worker's stream had ended.
                    self._rcvd_idx += 1
            if not self._holders:
                break
            if self._in_order and self._rcvd_idx in self._ready:
                return self._give_out(self._rcvd_idx, self._ready.pop(self._rcvd_idx))
            number, data = self._take()
            self._tasks_outstanding -= 1
            if isinstance(data, _IterableDatasetStopIteration):
                self._worker_ended(data.worker_id)
            elif not self._in_order or number == self._rcvd_idx:
                return self._give_out(number, data)
            else:
                self._ready[number] = data
        if not self._persistent_workers:
            self._shutdown_workers()
        raise StopIteration

    def _worker_ended(self, worker_id: int) -> None:
        self._active[worker_id] = False
        lost = [n for n, holder in self._holders.items() if holder == worker_id and n not in self._ready]
        for number in lost:
            del self._holders[number]
        self._try_put_index()

    def _give_out(self, number: int, data: Any) -> Any:
        self._load[self._holders.pop(number)] -= 1
        self._rcvd_idx += 1
        self._try_put_index()
        if isinstance(data, torch._utils.ExceptionWrapper):
            data.reraise()
        return data

    def _shutdown_workers(self, patience: float = MP_STATUS_CHECK_INTERVAL) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            self._ready = {}
            pool.shut_down(patience)

    def __del__(self) -> None:
        self._shutdown_workers()
