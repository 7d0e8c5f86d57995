"""Fourier transforms by pocketfft, in SciPy or NumPy. The core calls this for the rows ``_fft_c2c`` and their kin."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

_FORWARD, _BACKWARD = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")
_COMPLEX_TO_COMPLEX, _REAL_TO_COMPLEX, _COMPLEX_TO_REAL = range(3)
# From so many elements on, several threads are worth their start. Each line is computed by one of them.
_MANY = 1 << 16

_library: Any = None
_takes_workers = False


def _load() -> Any:
    """SciPy's transforms (with threads), or NumPy's."""
    global _library, _takes_workers
    if _library is None:
        try:
            from scipy import fft

            _takes_workers = True
        except ImportError:
            try:
                from numpy import fft
            except ImportError as error:
                raise ImportError("torch.fft needs SciPy or NumPy: pip install scipy") from error
        _library = fft
    return _library


def transform(x: Tensor, kind: int, scale: int, forward: int, count: int, size: int) -> Tensor:
    """Transform the last ``count`` dimensions; ``scale`` is 0 for no factor, 1 for 1 / sqrt(n), 2 for 1 / n."""
    library = _library or _load()
    values = x.numpy()
    # Their names say on which direction the factor is.
    norm = (_FORWARD if forward else _BACKWARD)[scale]
    options = {"workers": torch.get_num_threads()} if _takes_workers and x.numel() >= _MANY else {}
    if count == 1:
        if kind == _COMPLEX_TO_COMPLEX:
            result = (library.fft if forward else library.ifft)(values, norm=norm, **options)
        elif kind == _REAL_TO_COMPLEX:
            result = library.rfft(values, norm=norm, **options)
        else:
            result = library.irfft(values, size, norm=norm, **options)
    else:
        axes = tuple(range(-count, 0))
        if kind == _COMPLEX_TO_COMPLEX:
            result = (library.fftn if forward else library.ifftn)(values, axes=axes, norm=norm, **options)
        elif kind == _REAL_TO_COMPLEX:
            result = library.rfftn(values, axes=axes, norm=norm, **options)
        else:
            sizes = (*values.shape[values.ndim - count : -1], size)
            result = library.irfftn(values, s=sizes, axes=axes, norm=norm, **options)
    # NumPy 1 computes in double precision.
    bits = 32 if x.dtype in (torch.float32, torch.complex64) else 64
    wanted = f"float{bits}" if kind == _COMPLEX_TO_REAL else f"complex{2 * bits}"
    return torch.from_numpy(result.astype(wanted, order="C", copy=False))
