"""Further tools for distributed tensors."""

from __future__ import annotations

from contextlib import contextmanager

import torch

from .. import _dispatch
from .._api import DTensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["implicit_replication", "local_map"]


@contextmanager
def implicit_replication() -> Iterator[None]:
    """A block in which plain tensors, beside distributed ones, stand for replicated ones."""
    before = _dispatch.implicit_replication_allowed()
    _dispatch._settings.implicit = True
    try:
        yield
    finally:
        _dispatch._settings.implicit = before


def local_map(
    func: Callable[..., Any],
    out_placements: Any = None,
    in_placements: Any = None,
    in_grad_placements: Any = None,
    device_mesh: Any = None,
    *,
    redistribute_inputs: bool = False,
) -> Callable[..., Any]:
    """A function of pieces, made one of distributed tensors: results lie as ``out_placements`` say.

    ``in_placements`` are checked, or brought about with ``redistribute_inputs``.

    Raises:
        ValueError: an argument lies otherwise.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        mesh = device_mesh
        local = []
        for index, arg in enumerate(args):
            if isinstance(arg, DTensor):
                mesh = mesh or arg.device_mesh
                wanted = in_placements[index] if in_placements is not None else None
                if wanted is not None and tuple(wanted) != arg.placements:
                    if not redistribute_inputs:
                        raise ValueError(
                            f"arg {arg} in local_map has a mismatched placements: {arg.placements}, expected {wanted}"
                        )
                    arg = arg.redistribute(placements=wanted)
                arg = arg.to_local(grad_placements=in_grad_placements[index] if in_grad_placements else None)
            local.append(arg)
        out = func(*local, **kwargs)
        if mesh is None:
            return out
        single = not isinstance(out, (list, tuple))
        values = [out] if single else list(out)
        places = [out_placements] if single and not _several(out_placements) else list(out_placements)
        if len(places) != len(values):
            raise ValueError(f"local_map has {len(values)} results and placements for {len(places)}")
        wrapped = [
            value
            if place is None or not isinstance(value, torch.Tensor)
            else DTensor.from_local(value, mesh, place)
            for value, place in zip(values, places, strict=True)
        ]
        return wrapped[0] if single else type(out)(wrapped)

    return call


def _several(placements: Any) -> bool:
    return isinstance(placements, tuple) and bool(placements) and (
        placements[0] is None or isinstance(placements[0], (list, tuple))
    )
