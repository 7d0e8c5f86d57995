"""The named tuples that operations with several results return."""

from __future__ import annotations

from . import _C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Results of the composites; native operations bring their own types.
_FIELDS = {
    "aminmax": "min max",
    "histogram": "hist bin_edges",
    "histogramdd": "hist bin_edges",
    "nanmedian": "values indices",
}


def _repr(self: Any) -> str:
    body = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
    return f"{type(self).__module__}.{type(self).__name__}(\n{body})"


def _reduce(self: Any) -> Any:
    return type(self), (tuple(self),)


def _field(index: int) -> Any:
    return property(lambda self: tuple.__getitem__(self, index))


def _make(name: str, fields: tuple[str, ...]) -> Any:
    """A class like Python's structseq: made from one sequence, fields by name or by index."""
    body: dict[str, Any] = {field: _field(i) for i, field in enumerate(fields)}
    body |= {
        "__slots__": (), "__module__": "torch.return_types", "__repr__": _repr, "__reduce__": _reduce,
        "_fields": fields, "n_fields": len(fields), "n_sequence_fields": len(fields), "n_unnamed_fields": 0,
    }  # fmt: skip
    return type(name, (tuple,), body)


_native = getattr(_C, "_return_types", None) or {}
globals().update({name: kind for name, kind in _native.items() if kind is not None})
globals().update({name: _make(name, tuple(fields.split())) for name, fields in _FIELDS.items() if name not in _native})
__all__ = sorted({*_FIELDS, *_native})
