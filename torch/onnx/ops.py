"""Operations of ONNX for functions that translate PyTorch's: ``custom_translation_table`` of ``torch.onnx.export``."""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ._builder import Builder

__all__ = ["symbolic", "symbolic_multi_out"]

_builders: list[Any] = []


@contextlib.contextmanager
def recording(builder: Builder) -> Iterator[None]:
    """Inside, ``symbolic`` makes operations of this graph."""
    _builders.append(builder)
    try:
        yield
    finally:
        _builders.pop()


def symbolic(
    domain_op: str,
    /,
    inputs: Sequence[Any],
    attrs: Mapping[str, Any] | None = None,
    *,
    dtype: Any = None,
    shape: Sequence[Any] | None = None,
    version: int | None = None,
    metadata_props: dict[str, str] | None = None,
) -> Any:
    """An operation ``Name`` or ``domain::Name`` of the model that is being written.

    Raises:
        RuntimeError: no model is being written.
    """
    return _make(domain_op, inputs, attrs, 1, version, dtype, shape)


def symbolic_multi_out(
    domain_op: str,
    /,
    inputs: Sequence[Any],
    attrs: Mapping[str, Any] | None = None,
    *,
    dtypes: Sequence[Any],
    shapes: Sequence[Sequence[Any]],
    version: int | None = None,
    metadata_props: dict[str, str] | None = None,
) -> Sequence[Any]:
    """An operation with several results.

    Raises:
        RuntimeError: no model is being written.
    """
    found = _make(domain_op, inputs, attrs, max(len(dtypes), 2), version, None, None)
    for value, kind, sizes in zip(found, dtypes, shapes, strict=False):
        value.dtype, value.shape = kind, tuple(sizes)
    return found[: len(dtypes)]  # type: ignore[no-any-return]


def _make(name: str, inputs: Any, attrs: Any, outputs: int, version: Any, dtype: Any, shape: Any) -> Any:
    if not _builders:
        raise RuntimeError("torch.onnx.ops.symbolic works inside functions of custom_translation_table only")
    domain, _, kind = name.rpartition("::")
    builder = _builders[-1]
    made = builder.op(kind, *inputs, outputs=outputs, domain=domain, **dict(attrs or {}))
    if domain and version is not None:
        builder.top.domains[domain] = version
    if outputs == 1 and dtype is not None:
        made.dtype = dtype
    if outputs == 1 and shape is not None:
        made.shape = tuple(shape)
    return made
