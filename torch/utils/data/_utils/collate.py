"""How samples become a batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BAD_TYPE = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def default_convert(data: Any) -> Any:
    """Turn NumPy arrays inside containers into tensors and leave everything else as it is."""
    kind = type(data)
    if isinstance(data, torch.Tensor):
        return data
    if kind.__module__ == "numpy" and kind.__name__ not in ("str_", "string_", "bytes_"):
        if kind.__name__ == "ndarray" and data.dtype.kind in "SUO":
            return data
        return torch.as_tensor(data)
    if isinstance(data, Mapping):
        try:
            if isinstance(data, MutableMapping):
                clone: Any = copy.copy(data)
                clone.update({key: default_convert(data[key]) for key in data})
                return clone
            return kind({key: default_convert(data[key]) for key in data})  # type: ignore[call-arg]
        except TypeError:
            # The type has no such constructor.
            return {key: default_convert(data[key]) for key in data}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(default_convert(item) for item in data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuild_sequence(data, [default_convert(item) for item in data])
    return data


def _rebuild_sequence(like: Any, items: list[Any]) -> Any:
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for i, item in enumerate(items):
                clone[i] = item
            return clone
        return type(like)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def collate_tensor_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return torch.stack(batch, 0)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    if batch[0].dtype.kind in "SUO":
        raise TypeError(_BAD_TYPE.format(batch[0].dtype))
    return collate([torch.as_tensor(item) for item in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return torch.as_tensor(batch)


def collate_float_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return torch.tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Any] = {
    torch.Tensor: collate_tensor_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def _numpy_collate(kind: type) -> Callable[..., Any] | None:
    # NumPy is recognised by name: nothing here may import it.
    names = [base.__name__ for base in kind.__mro__ if base.__module__ == "numpy"]
    if "ndarray" in names:
        return collate_numpy_array_fn
    if "bool" in names or "bool_" in names or "number" in names or "object_" in names:
        return collate_numpy_scalar_fn
    return None


def collate(batch: Any, *, collate_fn_map: dict[Any, Any] | None = None) -> Any:
    """Combine samples; ``collate_fn_map`` says how for types of elements, containers are handled here."""
    first = batch[0]
    kind = type(first)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        if kind.__module__ == "numpy" and collate_fn_map is default_collate_fn_map:
            function = _numpy_collate(kind)
            if function is not None:
                return function(batch, collate_fn_map=collate_fn_map)
        for key, function in collate_fn_map.items():
            if isinstance(first, key):
                return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        columns = {key: collate([item[key] for item in batch], collate_fn_map=collate_fn_map) for key in first}
        try:
            if isinstance(first, MutableMapping):
                clone: Any = copy.copy(first)
                clone.update(columns)
                return clone
            return kind(columns)  # type: ignore[call-arg]
        except TypeError:
            return columns
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(collate(items, collate_fn_map=collate_fn_map) for items in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        size = len(first)
        if not all(len(item) == size for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        rows = [collate(items, collate_fn_map=collate_fn_map) for items in zip(*batch, strict=True)]
        return rows if isinstance(first, tuple) else _rebuild_sequence(first, rows)
    raise TypeError(_BAD_TYPE.format(kind))


def default_collate(batch: Any) -> Any:
    """Stack tensors and arrays, make tensors of numbers, and do so inside tuples, lists and dictionaries."""
    return collate(batch, collate_fn_map=default_collate_fn_map)
