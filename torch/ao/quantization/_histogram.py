"""The observer that looks for the range of least squared error in a histogram."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .observer import _EPS, UniformQuantizationObserverBase

_STEP = 1e-5  # how much of all values a narrower range may lose at a time
_FINER = 16  # parts that each bin is cut into when a histogram is moved to another range


class HistogramObserver(UniformQuantizationObserverBase):
    """Keeps a histogram of all values seen, and quantises the part of its range that costs the least squared error.

    The values of a bin are taken to be spread evenly. From both ends the range is narrowed step by step, at the end
    that lies farther from the quantile that is to be kept, as long as the error falls.

    Args:
        bins: the number of bins.
        dtype: the quantised dtype.
        qscheme: the kind of map, ``torch.per_tensor_affine`` or ``torch.per_tensor_symmetric``.
        reduce_range: use one bit less.
        quant_min: the least integer; the dtype's by default.
        quant_max: the greatest integer.
        factory_kwargs: ``device`` and ``dtype`` of the buffers.
        eps: the least scale.
        is_dynamic: must be False.

    Raises:
        NotImplementedError: for maps per channel, and dynamic quantisation.
    """

    __module__ = "torch.ao.quantization.observer"
    histogram: Tensor
    min_val: Tensor
    max_val: Tensor

    def __init__(
        self, bins: int = 2048, dtype: torch.dtype = torch.quint8, qscheme=torch.per_tensor_affine, reduce_range=False,
        quant_min=None, quant_max=None, factory_kwargs=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        if qscheme not in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            raise NotImplementedError(
                "HistogramObserver's qscheme only support torch.per_tensor_symmetric                     and "
                "torch.per_tensor_affine."
            )
        if is_dynamic:
            raise NotImplementedError("HistogramObserver doesn't support dynamic quantization")
        super().__init__(
            dtype=dtype, qscheme=qscheme, reduce_range=reduce_range, quant_min=quant_min, quant_max=quant_max,
            factory_kwargs=factory_kwargs, eps=eps, is_dynamic=is_dynamic, **kwargs,
        )  # fmt: skip
        options = nn.factory_kwargs(factory_kwargs)
        self.bins = bins
        self.register_buffer("histogram", torch.zeros(bins, **options))
        self.register_buffer("min_val", torch.tensor(float("inf"), **options))
        self.register_buffer("max_val", torch.tensor(float("-inf"), **options))
        self.dst_nbins = 2 ** torch.iinfo(self._underlying()).bits
        self.upsample_rate = _FINER

    def _underlying(self) -> torch.dtype:
        from .utils import to_underlying_dtype

        return to_underlying_dtype(self.dtype)

    def forward(self, x_orig: Tensor) -> Tensor:
        """Add the values of ``x_orig`` to the histogram, and return it."""
        if x_orig.numel() == 0:
            return x_orig
        x = x_orig.detach().to(self.min_val.dtype)
        x = x[x.isfinite()] if not bool(x.isfinite().all()) else x
        if x.numel() == 0:
            return x_orig
        low, high = torch.aminmax(x)
        if self.min_val == float("inf") and self.max_val == float("-inf"):
            self.reset_histogram(x, low, high)
            return x_orig
        low, high = torch.min(low, self.min_val), torch.max(high, self.max_val)
        added = torch.histc(x, self.bins, min=float(low), max=float(high))
        if low == self.min_val and high == self.max_val:
            self.histogram += added
        else:
            self.histogram.copy_(added + self._moved(low, high))
            self.min_val.copy_(low)
            self.max_val.copy_(high)
        return x_orig

    def reset_histogram(self, x: Tensor, min_val: Tensor, max_val: Tensor) -> None:
        """Begin anew with the values of ``x``."""
        self.min_val.resize_(min_val.shape).copy_(min_val)
        self.max_val.resize_(max_val.shape).copy_(max_val)
        counted = torch.histc(x, self.bins, min=float(min_val), max=float(max_val))
        self.histogram.detach_().resize_(counted.shape).copy_(counted)

    def _moved(self, low: Tensor, high: Tensor) -> Tensor:
        """The histogram over a wider range: each bin in parts, and each part to the bin that its middle is in."""
        if self.min_val == self.max_val:
            # all values seen are equal
            at = torch.bucketize(self.min_val, torch.linspace(float(low), float(high), self.bins + 1), right=True) - 1
            moved = torch.zeros_like(self.histogram)
            moved[int(at.clamp(0, self.bins - 1))] = self.histogram.sum()
            return moved
        parts = self.bins * _FINER
        width = (self.max_val - self.min_val) / parts
        middles = torch.linspace(float(self.min_val), float(self.max_val), parts + 1)[:-1] + 0.5 * width
        edges = torch.linspace(float(low), float(high), self.bins + 1)
        at = (torch.bucketize(middles, edges, right=True) - 1).clamp(0, self.bins - 1)
        counts = self.histogram.repeat_interleave(_FINER) / _FINER
        return torch.bincount(at, weights=counts, minlength=self.bins).to(self.histogram.dtype)

    def calculate_qparams(self):
        """The scale and the zero point of the best range, each of shape (1,)."""
        if self.min_val == float("inf") and self.max_val == float("-inf"):
            import warnings

            warnings.warn(
                "must run observer before calling calculate_qparams.                                    Returning "
                "default scale and zero point ",
                stacklevel=2,
            )
            device = self.min_val.device.type
            return torch.tensor([1.0], device=device), torch.tensor([0], device=device)
        return self._calculate_qparams(*self._best_range())

    def _best_range(self) -> tuple[Tensor, Tensor]:
        width = (self.max_val - self.min_val) / self.bins
        total, below = float(self.histogram.sum()), self.histogram.cumsum(0).tolist()
        first, last = 0, self.bins - 1
        lower, upper = 0.0, 1.0
        least = float("inf")
        while lower < upper:
            next_lower, next_upper = lower + _STEP, upper - _STEP
            left, right = first, last
            while left < last and below[left] < next_lower * total:
                left += 1
            while right > first and below[right] > next_upper * total:
                right -= 1
            narrowed = (first, last)
            if left - first > last - right:
                narrowed, lower = (left, last), next_lower
            else:
                narrowed, upper = (first, right), next_upper
            if narrowed == (first, last):
                continue
            error = self._squared_error(*narrowed)
            if error > least:
                break
            least, (first, last) = error, narrowed
        return self.min_val + width * first, self.min_val + width * (last + 1)

    def _squared_error(self, first: int, last: int) -> float:
        """What quantising the values costs when the integers cover the bins from ``first`` to ``last``."""
        width = float(self.max_val - self.min_val) / self.bins
        step = width * (last - first + 1) / self.dst_nbins
        if step == 0.0:
            return 0.0
        begins = (torch.arange(self.bins) - first) * width
        ends = begins + width
        begin_level = torch.div(begins, step, rounding_mode="floor").clamp(0, self.dst_nbins - 1)
        end_level = torch.div(ends, step, rounding_mode="floor").clamp(0, self.dst_nbins - 1)
        density = self.histogram / width
        half = step / 2
        # a level stands for its middle; the integral of the squared distance from there, over the first level that a
        # bin touches, those that it covers, and the last one
        error = _integral(begins - (begin_level + 0.5) * step, torch.full_like(begins, half), density)
        error += (end_level - begin_level - 1) * _integral(torch.tensor(-half), torch.tensor(half), density)
        error += _integral(torch.tensor(-half), ends - (end_level * step + half), density)
        return float(error.sum())

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for name in ("min_val", "max_val", "histogram"):
            value = state_dict.get(prefix + name)
            if value is not None:
                getattr(self, name).resize_(value.shape)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}"


def _integral(begin: Tensor, end: Tensor, density: Tensor) -> Tensor:
    return density * (end**3 - begin**3) / 3


default_histogram_observer = HistogramObserver.with_args(quant_min=0, quant_max=127)
