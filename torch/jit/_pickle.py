"""Functions that the pickles of archives name: lists of one element type, and values that carry their type."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def build_intlist(data: list[int]) -> list[int]:
    return data


def build_tensorlist(data: list[Any]) -> list[Any]:
    return data


def build_doublelist(data: list[float]) -> list[float]:
    return data


def build_boollist(data: list[bool]) -> list[bool]:
    return data


def build_complexlist(data: list[complex]) -> list[complex]:
    return data


def build_tensor_from_id(data: Any) -> Any:
    """A tensor that another message holds; archives have none of them."""
    if isinstance(data, int):
        return data
    raise RuntimeError("the pickle refers to a tensor outside of it")


def restore_type_tag(value: Any, type_str: str) -> Any:
    """A container with its type, which the attribute that it is for says too."""
    return value
