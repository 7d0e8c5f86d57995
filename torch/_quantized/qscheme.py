"""The kinds of map between integers and real numbers, ``torch.qscheme``."""

from __future__ import annotations


class qscheme:  # noqa: N801 - PyTorch's name
    """How a quantised tensor maps integers to real numbers; the five kinds exist once each, as ``torch.per_...``."""

    __slots__ = ("_name",)
    __module__ = "torch"

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        # pickle looks the name up in torch
        return self._name

    def __copy__(self) -> qscheme:
        return self

    def __deepcopy__(self, memo: object) -> qscheme:
        return self


per_tensor_affine = qscheme("per_tensor_affine")
per_channel_affine = qscheme("per_channel_affine")
per_tensor_symmetric = qscheme("per_tensor_symmetric")
per_channel_symmetric = qscheme("per_channel_symmetric")
per_channel_affine_float_qparams = qscheme("per_channel_affine_float_qparams")
