"""For which parts of a tensor there is a scale: names that torchao's observers use."""

from __future__ import annotations

import enum
from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_OBSERVER = "torch.ao.quantization.observer"


class MappingType(enum.Enum):
    """Where zero lies in the range of integers."""

    SYMMETRIC = enum.auto()
    SYMMETRIC_NO_CLIPPING_ERR = enum.auto()
    ASYMMETRIC = enum.auto()


class ZeroPointDomain(enum.Enum):
    """What a zero point is: an integer, a floating-point number, or nothing."""

    INT = enum.auto()
    FLOAT = enum.auto()
    NONE = enum.auto()


class TorchAODType(enum.Enum):
    """Integers of less than a byte, by name."""

    INT1 = enum.auto()
    INT2 = enum.auto()
    INT3 = enum.auto()
    INT4 = enum.auto()
    INT5 = enum.auto()
    INT6 = enum.auto()
    INT7 = enum.auto()


@dataclass(frozen=True)
class Granularity:
    """For which parts of a tensor there is a scale."""


@dataclass(frozen=True)
class PerBlock(Granularity):
    """One for each block of this shape."""

    block_size: tuple[int, ...]


@dataclass(frozen=True)
class PerTensor(Granularity):
    """One for the whole tensor."""


@dataclass(frozen=True)
class PerAxis(Granularity):
    """One for each index of a dimension."""

    axis: int


@dataclass(frozen=True)
class PerGroup(Granularity):
    """One for each group of so many elements of the last dimension."""

    group_size: int


class PerRow(Granularity):
    """One for each row, along the last dimension."""


class PerToken(Granularity):
    """One for each token: all dimensions but the last."""


def get_block_size(input_shape: tuple[int, ...], granularity: Granularity) -> tuple[int, ...]:
    """The shape of the blocks that have one scale each.

    Raises:
        AssertionError: for another object than a granularity.
        ValueError: for an unknown one.

    >>> from torch.ao.quantization.observer import PerAxis, get_block_size
    >>> get_block_size((2, 3, 4), PerAxis(1))
    (2, 1, 4)
    """
    if not isinstance(granularity, Granularity):
        raise AssertionError("Please provide an instance of Granularity, not subclass of it")
    if isinstance(granularity, PerTensor):
        return input_shape
    if isinstance(granularity, PerBlock):
        return granularity.block_size
    if isinstance(granularity, PerAxis):
        sizes = list(input_shape)
        sizes[granularity.axis] = 1
        return tuple(sizes)
    if isinstance(granularity, (PerRow, PerToken)):
        return (1,) * (len(input_shape) - 1) + (input_shape[-1],)
    if isinstance(granularity, PerGroup):
        if len(input_shape) != 2:
            raise AssertionError(
                f"Expecting input shape dim to be 2 for per group quantization, gotinput shape: {input_shape}"
            )
        return (1, granularity.group_size)
    raise ValueError(f"Unsupported Granularity: {granularity}")


class AffineQuantizedObserverBase(nn.Module, metaclass=ABCMeta):
    """What observers of torchao are: they know a mapping, a dtype and a granularity.

    Args:
        mapping_type: where zero lies.
        target_dtype: the dtype of the integers.
        granularity: for which parts of a tensor there is a scale.
        quant_min: the least integer.
        quant_max: the greatest integer.
        eps: the least scale.
        scale_dtype: the dtype of scales.
        zero_point_dtype: the dtype of zero points.
        preserve_zero: whether zero is exact.
        zero_point_domain: what a zero point is.

    Raises:
        AssertionError: without a granularity.
    """

    def __init__(
        self, mapping_type: MappingType, target_dtype: torch.dtype, granularity: Granularity,
        quant_min: int | None = None, quant_max: int | None = None, eps: float | None = None,
        scale_dtype: torch.dtype | None = None, zero_point_dtype: torch.dtype | None = None, preserve_zero: bool = True,
        zero_point_domain: ZeroPointDomain | None = ZeroPointDomain.INT, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if granularity is None:
            raise AssertionError("granularity is None")
        self.mapping_type, self.target_dtype, self.granularity = mapping_type, target_dtype, granularity
        self.quant_min, self.quant_max, self.eps = quant_min, quant_max, eps
        self.scale_dtype, self.zero_point_dtype = scale_dtype, zero_point_dtype
        self.preserve_zero, self.zero_point_domain = preserve_zero, zero_point_domain

    @classmethod
    def with_args(cls, **kwargs: Any) -> Any:
        """The class with some of its arguments."""
        from .observer import _with_args

        return _with_args(cls, **kwargs)

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor:
        """Note what is in ``input``, and return it."""

    @abstractmethod
    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """The scales and the zero points."""


for _kind in (
    MappingType, ZeroPointDomain, TorchAODType, Granularity, PerBlock, PerTensor, PerAxis, PerGroup, PerRow, PerToken,
    AffineQuantizedObserverBase, get_block_size,
):  # fmt: skip
    # programs find them there
    _kind.__module__ = _OBSERVER
