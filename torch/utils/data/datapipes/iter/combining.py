"""Several streams as one, and one as several."""

from __future__ import annotations

import copy
import warnings
from collections import deque

from .._decorator import functional_datapipe
from ..datapipe import _FEEDBACK, IterDataPipe, describe
from ..utils.common import check_picklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


@functional_datapipe("concat")
class ConcaterIterDataPipe(IterDataPipe):
    """Streams one after another."""

    def __init__(self, *datapipes: Any) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self) -> int:
        return sum(map(len, self.datapipes))


@functional_datapipe("zip")
class ZipperIterDataPipe(IterDataPipe):
    """Tuples of the items of streams side by side, as many as the shortest has."""

    def __init__(self, *datapipes: Any) -> None:
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("All inputs are required to be `IterDataPipe` for `ZipIterDataPipe`.")
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        yield from zip(*(iter(pipe) for pipe in self.datapipes), strict=False)

    def __len__(self) -> int:
        return min(map(len, self.datapipes))


@functional_datapipe("mux")
class MultiplexerIterDataPipe(IterDataPipe):
    """One item of each stream in turn, in full rounds."""

    def __init__(self, *datapipes: Any) -> None:
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        for row in zip(*(iter(pipe) for pipe in self.datapipes), strict=False):
            yield from row

    def __len__(self) -> int:
        return min(map(len, self.datapipes)) * len(self.datapipes)


class _Splitter(IterDataPipe):
    """Reads a stream once for several children, and holds what some of them have not taken yet.

    A pass of the stream lasts until a child begins for the second time; then all children begin anew.
    """

    def __init__(self, datapipe: Any, num_instances: int, buffer_size: int) -> None:
        self.main_datapipe = datapipe
        self.num_instances = num_instances
        self.buffer_size = buffer_size
        self.passes = 0
        self._forget()

    def _forget(self) -> None:
        self._source: Iterator[Any] | None = None
        self._queues: list[deque[Any]] = [deque() for _ in range(self.num_instances)]
        self._ended = False

    def _exhausted(self) -> bool:
        return self._ended and not any(self._queues)

    def begin(self, joined: int) -> int:
        """A child that has last taken part in pass ``joined`` begins; returns the pass that it takes part in."""
        if self.passes == 0:
            self.passes = 1
        elif joined == self.passes:
            if not self._exhausted():
                warnings.warn(
                    "Some child DataPipes are not exhausted when __iter__ is called. We are resetting the buffer and "
                    "each child DataPipe will read from the start again.",
                    UserWarning,
                    stacklevel=4,
                )
            self.passes += 1
            self._forget()
        return self.passes

    def take(self, child: int, number: int) -> Iterator[Any]:
        """The items of one child in one pass."""
        while True:
            if number != self.passes:
                raise RuntimeError(
                    "This iterator has been invalidated, because a new iterator has been created from one of the "
                    f"ChildDataPipes of {describe(self)}.\n{_FEEDBACK}"
                )
            queue = self._queues[child]
            while not queue and not self._ended:
                if self._source is None:
                    self._source = iter(self.main_datapipe)
                try:
                    item = next(self._source)
                except StopIteration:
                    self._ended = True
                else:
                    self._distribute(item, child)
            if not queue:
                return
            yield queue.popleft()

    def _distribute(self, item: Any, child: int) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.main_datapipe)

    def __getstate__(self) -> Any:
        # A copy reads from the start.
        queues: list[deque[Any]] = [deque() for _ in self._queues]
        return self.__dict__ | {"_source": None, "_queues": queues, "_ended": False, "passes": 0}


class _ForkerIterDataPipe(_Splitter):
    def __init__(
        self, datapipe: Any, num_instances: int, buffer_size: int, copy: Callable[[Any], Any] | None
    ) -> None:
        super().__init__(datapipe, num_instances, buffer_size)
        self.copy_fn = copy

    def _distribute(self, item: Any, child: int) -> None:
        for queue in self._queues:
            queue.append(item if self.copy_fn is None else self.copy_fn(item))
        if 0 <= self.buffer_size < max(map(len, self._queues)) - 1:
            raise BufferError(
                f"ForkerIterDataPipe buffer overflow,buffer size {self.buffer_size} is insufficient."
            )


class _DemultiplexerIterDataPipe(_Splitter):
    def __init__(
        self, datapipe: Any, num_instances: int, classifier_fn: Callable[[Any], Any], drop_none: bool, buffer_size: int
    ) -> None:
        super().__init__(datapipe, num_instances, buffer_size)
        self.classifier_fn = classifier_fn
        self.drop_none = drop_none

    def _distribute(self, item: Any, child: int) -> None:
        kind = self.classifier_fn(item)
        if kind is None and self.drop_none:
            return
        if kind is None or not 0 <= kind < self.num_instances:
            raise ValueError(
                f"Output of the classification fn should be between 0 and {self.num_instances - 1}. {kind} is returned."
            )
        self._queues[kind].append(item)
        if kind != child and 0 <= self.buffer_size < sum(map(len, self._queues)):
            raise BufferError(
                f"DemultiplexerIterDataPipe buffer overflow, buffer size {self.buffer_size} is insufficient."
            )


class _ChildDataPipe(IterDataPipe):
    """One of the streams that a stream was split into."""

    _signs_errors = False

    def __init__(self, main_datapipe: _Splitter, instance_id: int) -> None:
        self.main_datapipe = main_datapipe
        self.instance_id = instance_id
        self._joined = 0

    def _begin_pass(self) -> int:
        self._joined = self.main_datapipe.begin(self._joined)
        return super()._begin_pass()

    def _check_pass(self, number: int) -> None:
        # The splitter says so in other words.
        pass

    def __iter__(self) -> Iterator[Any]:
        yield from self.main_datapipe.take(self.instance_id, self._joined)

    def __len__(self) -> int:
        if isinstance(self.main_datapipe, _DemultiplexerIterDataPipe):
            raise TypeError
        return len(self.main_datapipe)


def _check_split(name: str, num_instances: int, buffer_size: int) -> None:
    if num_instances < 1:
        raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")
    if buffer_size < 0:
        warnings.warn(
            f"Unlimited buffer size is set for `{name}`, please be aware of OOM at random places",
            UserWarning,
            stacklevel=4,
        )


@functional_datapipe("fork")
class ForkerIterDataPipe(IterDataPipe):
    """``num_instances`` streams with the items of one.

    Args:
        buffer_size: how far one may be ahead of another; negative for no limit
        copy: ``"shallow"`` or ``"deep"`` for items of their own
    """

    def __new__(cls, datapipe: Any, num_instances: int, buffer_size: int = 1000, copy: str | None = None) -> Any:
        _check_split("fork", num_instances, buffer_size)
        if num_instances == 1:
            return datapipe
        splitter = _ForkerIterDataPipe(datapipe, num_instances, buffer_size, _copier(copy))
        return [_ChildDataPipe(splitter, i) for i in range(num_instances)]


def _copier(method: str | None) -> Callable[[Any], Any] | None:
    if method is None:
        return None
    if method not in ("shallow", "deep"):
        raise ValueError(f"Unknown copy method `{method}` requested, choose one of None, `shallow` or `deep`.")
    return copy.copy if method == "shallow" else copy.deepcopy


@functional_datapipe("demux")
class DemultiplexerIterDataPipe(IterDataPipe):
    """Streams between which ``classifier_fn`` divides the items of one by their numbers.

    Args:
        drop_none: leave out items for which the function returns ``None``
        buffer_size: how many items are held for streams that have not taken them; negative for no limit
    """

    def __new__(
        cls,
        datapipe: Any,
        num_instances: int,
        classifier_fn: Callable[[Any], Any],
        drop_none: bool = False,
        buffer_size: int = 1000,
    ) -> Any:
        _check_split("demux", num_instances, buffer_size)
        check_picklable(classifier_fn)
        splitter = _DemultiplexerIterDataPipe(datapipe, num_instances, classifier_fn, drop_none, buffer_size)
        return [_ChildDataPipe(splitter, i) for i in range(num_instances)]
