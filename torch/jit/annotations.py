"""Annotations that only programs have: lists of a fixed length that one number stands for."""

from __future__ import annotations

import typing
from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: F401, UP035  names that programs import from here

from ._type_text import from_object as _from_object

__all__ = ["BroadcastingList1", "BroadcastingList2", "BroadcastingList3", "ann_to_type", "try_ann_to_type"]


class _BroadcastingList:
    """``BroadcastingList2[int]`` is ``List[int]``; a call may give one number, which stands for two."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __getitem__(self, kind: Any) -> Any:
        return typing.List[kind]  # noqa: UP006  what programs compare it with

    def __repr__(self) -> str:
        return f"BroadcastingList{self.size}"


BroadcastingList1, BroadcastingList2, BroadcastingList3 = (_BroadcastingList(n) for n in (1, 2, 3))
BroadcastingList4, BroadcastingList5, BroadcastingList6 = (_BroadcastingList(n) for n in (4, 5, 6))


def ann_to_type(ann: Any, loc: Any = None, rcb: Any = None) -> Any:
    """The TorchScript type of a Python annotation.

    Raises:
        ValueError: there is none.
    """
    from ._python import class_type

    if ann is None:
        from ._types import TENSOR

        return TENSOR
    return _from_object(ann, class_type)


def try_ann_to_type(ann: Any, loc: Any = None, rcb: Any = None) -> Any:
    """The TorchScript type of a Python annotation; None if there is none."""
    try:
        return ann_to_type(ann, loc, rcb)
    except ValueError:
        return None
