"""Helpers for tests."""

from __future__ import annotations

from ._comparison import assert_close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._creation import make_tensor
    from ._file_check import FileCheck

__all__ = ["FileCheck", "assert_allclose", "assert_close", "make_tensor"]


def __getattr__(name: str) -> Any:
    if name == "make_tensor":
        from ._creation import make_tensor

        return make_tensor
    if name == "FileCheck":
        from ._file_check import FileCheck

        return FileCheck
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The old form of ``assert_close``: dtypes need not agree, and numbers and lists are taken as tensors.

    Raises:
        AssertionError: if the values differ.

    >>> torch.testing.assert_allclose(torch.ones(2), [1.0, 1.0])
    """
    import torch

    actual = torch.as_tensor(actual)
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        rtol, atol = {torch.float16: (1e-3, 1e-3), torch.float64: (1e-5, 1e-8)}.get(actual.dtype, (1e-4, 1e-5))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False,
        check_stride=False, msg=msg or None,
    )  # fmt: skip
