"""What the old and the new weight normalisations share."""

from __future__ import annotations

import torch


def norm_except_dim(v, dim: int):
    """Return the norm over all dimensions but one; over all of them for -1."""
    if dim == -1:
        return torch.norm(v)
    axes = [d for d in range(v.dim()) if d != dim % v.dim()]
    if not axes:
        return v.abs()
    return torch.linalg.vector_norm(v, 2, axes, True)


def weight_normed(v, g, dim: int):
    """Return ``v`` scaled to the norm ``g``."""
    return v * (g / norm_except_dim(v, dim))
