"""A function of every item."""

from __future__ import annotations

from torch.utils.data._utils.collate import default_collate

from .._decorator import functional_datapipe
from ..datapipe import IterDataPipe
from ..utils.common import check_picklable, each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe):
    """``fn`` of each item.

    With ``input_col`` (an index, a key, or several of them) ``fn`` takes those columns and its result takes their
    place, or that of ``output_col``; -1 appends it.
    """

    def __init__(self, datapipe: Any, fn: Callable[..., Any], input_col: Any = None, output_col: Any = None) -> None:
        check_picklable(fn)
        self.datapipe = datapipe
        self.fn = fn
        self.input_col = input_col
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.output_col = output_col

    def _apply(self, item: Any) -> Any:
        result = each(self.fn, item, self.input_col)
        if self.input_col is None:
            return result
        as_tuple = isinstance(item, tuple)
        out = list(item) if as_tuple else item.copy()
        if self.output_col is None:
            if isinstance(self.input_col, (list, tuple)):
                out[self.input_col[0]] = result
                for index in sorted(self.input_col[1:], reverse=True):
                    del out[index]
            else:
                out[self.input_col] = result
        elif self.output_col == -1:
            out.append(result)
        else:
            out[self.output_col] = result
        return tuple(out) if as_tuple else out

    def __iter__(self) -> Iterator[Any]:
        for item in self.datapipe:
            yield self._apply(item)

    def __len__(self) -> int:
        return len(self.datapipe)


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """A batch of each list of samples. ``conversion``, if it is a function, is another name for ``collate_fn``."""

    def __init__(
        self, datapipe: Any, conversion: Any = default_collate, collate_fn: Callable[..., Any] | None = None
    ) -> None:
        if collate_fn is None and not callable(conversion):
            raise NotImplementedError(
                "collate: conversions by column are for data frames, which are not part of Tabula; pass a function"
            )
        super().__init__(datapipe, fn=conversion if collate_fn is None else collate_fn)
