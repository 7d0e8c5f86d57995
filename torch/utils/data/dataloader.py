"""``DataLoader``: batches of a dataset."""

from __future__ import annotations

from ._iterators import _BaseDataLoaderIter, _is_pipe, _MultiProcessingDataLoaderIter, _SingleProcessDataLoaderIter
from ._utils.collate import default_collate, default_convert
from ._utils.worker import WorkerInfo, _DatasetKind, get_worker_info
from .dataset import IterableDataset, _Base
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

# Other libraries find these here.
_ALSO = (WorkerInfo, _BaseDataLoaderIter)


class _InfiniteConstantSampler(Sampler):
    """Paces an iterable dataset, which chooses its own samples."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(_Base):
    """Iterates over a dataset in batches.

    Args:
        dataset: what to load from; an ``IterableDataset`` is read as a stream, anything else by index
        batch_size: samples per batch; ``None`` for samples as they are
        shuffle, sampler, batch_sampler: the order; at most one of them
        num_workers: how many processes load in advance; 0 loads in the calling one, when asked
        collate_fn: makes a batch of a list of samples; see ``default_collate``
        pin_memory: copy to page-locked memory, if there is an accelerator
        drop_last: leave out a smaller last batch
        timeout: seconds to wait for a batch of the workers; 0 for ever
        worker_init_fn: called in each worker with its number
        multiprocessing_context: a start method's name, or a context of ``multiprocessing``
        generator: where the order and the workers' base seed are drawn from
        prefetch_factor: batches that each worker makes in advance (2)
        persistent_workers: keep the workers, and their copies of the dataset, between epochs
        in_order: ``False`` gives batches out as they arrive
        worker_type: ``"process"``, or ``"thread"`` (not in PyTorch): threads share the dataset with the caller and
            pass batches on without a copy; they gain where loading waits or leaves Python. What they draw at random
            comes from ``get_worker_info().rng``

    Each iteration draws a base seed; worker ``i`` seeds ``random``, ``torch`` and, if it is loaded, NumPy with the
    seed plus ``i``. Workers write batches to memory without a name, which the loader maps: the size of ``/dev/shm``
    does not matter.

    Raises:
        ValueError: options that exclude each other
        RuntimeError: while iterating, if a worker dies or takes longer than ``timeout``. An exception in a worker is
            raised again as one of the same class, with the worker's traceback in its message

    Example:

    >>> data = torch.utils.data.TensorDataset(torch.arange(5))
    >>> [batch.tolist() for (batch,) in torch.utils.data.DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    _initialized = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        worker_type: str = "process",
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers, worker_type)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset = dataset
        self.num_workers = num_workers
        self.worker_type = worker_type
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.generator = generator
        if isinstance(dataset, IterableDataset):
            self._dataset_kind = _DatasetKind.Iterable
            if _is_pipe(dataset):
                from .graph_settings import apply_shuffle_settings

                # The shufflers are in the pipe, or one is added.
                self.dataset = dataset = apply_shuffle_settings(dataset, shuffle=shuffle)
                shuffle = False
            _check_iterable(shuffle, sampler, batch_sampler)
        else:
            shuffle = bool(shuffle)
            self._dataset_kind = _DatasetKind.Map
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
            drop_last = False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if self._dataset_kind == _DatasetKind.Iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._IterableDataset_len_called: int | None = None
        self._iterator: Any = None
        self.check_worker_number_rationality()
        self._initialized = True

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started; ``None`` for the default."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        self._multiprocessing_context = _checked_context(context, self.num_workers, self.worker_type)

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self.batch_sampler is not None else self.sampler

    def check_worker_number_rationality(self) -> None:
        """Warn if there are more worker processes than processors."""
        import os

        available = len(os.sched_getaffinity(0))
        if self.worker_type == "process" and self.num_workers > available:
            import warnings

            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number "
                f"of worker in current system is {available}, which is smaller than what this DataLoader is going to "
                "create. Please be aware that excessive worker creation might get DataLoader running slow or even "
                "freeze, lower the worker number to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )

    def _get_iterator(self) -> Any:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self) -> Iterator[Any]:
        if not self.persistent_workers or self.num_workers == 0:
            return self._get_iterator()  # type: ignore[no-any-return]
        if self._iterator is None or self._iterator._pool is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the loader starts workers of its own.
        return self.__dict__ | {"_iterator": None}

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        samples = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)


def _checked_context(context: Any, num_workers: int, worker_type: str) -> Any:
    if context is None:
        return None
    if num_workers == 0 or worker_type == "thread":
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            + (f"num_workers={num_workers}" if num_workers == 0 else "worker_type='thread'")
        )
    import torch.multiprocessing

    if isinstance(context, str):
        methods = torch.multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                f"multiprocessing_context={context!r}"
            )
        return torch.multiprocessing.get_context(context)
    from multiprocessing.context import BaseContext

    if not isinstance(context, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={context}"
        )
    return context


def _check_workers(num_workers: int, timeout: float, prefetch: int | None, persistent: bool, kind: str) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    if kind not in ("process", "thread"):
        raise ValueError(f"worker_type should be 'process' or 'thread', but got worker_type={kind!r}")


def _check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    prefix = "DataLoader with IterableDataset: expected unspecified"
    if shuffle not in {False, None}:
        raise ValueError(f"{prefix} shuffle option, but got shuffle={shuffle}")
    if sampler is not None:
        raise ValueError(f"{prefix} sampler option, but got sampler={sampler}")
    if batch_sampler is not None:
        raise ValueError(f"{prefix} batch_sampler option, but got batch_sampler={batch_sampler}")
