"""What autocast does with functions that are written in Python; the native ones are in src/interp/autocast.cpp."""

from __future__ import annotations

import torch

from .._C import _autocast_set_enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# These compute in float32 under autocast.
_FLOAT = frozenset(
    """
    adaptive_max_pool3d adaptive_max_pool3d_with_indices binary_cross_entropy cdist cosine_embedding_loss ctc_loss
    fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d fractional_max_pool3d_with_indices
    grid_sample grid_sampler grid_sampler_2d grid_sampler_3d hinge_embedding_loss margin_ranking_loss max_unpool1d
    max_unpool2d max_unpool3d multi_margin_loss multilabel_margin_loss nanquantile poisson_nll_loss quantile
    soft_margin_loss stft trace triplet_margin_loss
    """.split()
)


def _float(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        narrow = value.is_floating_point() and value.dtype != torch.float64 and value.device.type == "cpu"
        return value.float() if narrow else value
    if type(value) in (list, tuple):
        return type(value)(_float(item) for item in value)
    return value


def call_under_autocast(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function written in Python; its parts are autocast one by one unless it is listed as a whole."""
    if function.__name__ not in _FLOAT:
        return function(*args, **kwargs)
    _autocast_set_enabled(False)
    try:
        return function(*_float(args), **{name: _float(value) for name, value in kwargs.items()})
    finally:
        _autocast_set_enabled(True)
