"""Fourier transforms by pocketfft, in SciPy or NumPy. The core calls this for the rows ``_fft_c2c`` and their kin."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

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
    library = _load()
    values = x.numpy()
    # Their names say on which direction the factor is.
    norm = ("backward", "ortho", "forward") if forward else ("forward", "ortho", "backward")
    options: dict[str, Any] = {"axes": tuple(range(-count, 0)), "norm": norm[scale]}
    if _takes_workers and x.numel() >= _MANY:
        options["workers"] = torch.get_num_threads()
    if kind == _COMPLEX_TO_COMPLEX:
        result = (library.fftn if forward else library.ifftn)(values, **options)
    elif kind == _REAL_TO_COMPLEX:
        result = library.rfftn(values, **options)
    else:
        result = library.irfftn(values, s=(*values.shape[values.ndim - count : -1], size), **options)
    narrow = x.dtype in (torch.float32, torch.complex64)
    wanted = (
        ("float32" if narrow else "float64") if kind == _COMPLEX_TO_REAL else "complex64" if narrow else "complex128"
    )
    # NumPy 1 computes in double precision.
    return torch.from_numpy(result.astype(wanted, order="C", copy=False))
