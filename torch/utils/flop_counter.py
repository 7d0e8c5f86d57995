"""Counting floating point operations of matrix products and convolutions, by module."""

from __future__ import annotations

from collections import defaultdict
from math import prod

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.module_tracker import ModuleTracker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FlopCounterMode", "register_flop_formula"]

aten = torch.ops.aten

# Packet to a function of the call's arguments, with shapes in place of tensors.
flop_registry: dict[Any, Callable[..., int]] = {}


def _shapes(values: Any) -> Any:
    return pytree.tree_map_only(torch.Tensor, lambda t: t.shape, values)


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Count an operation by the decorated function. It gets the call's arguments and the result as ``out_val``, or
    with shapes for tensors and ``out_shape`` unless ``get_raw``.

    >>> from torch.utils.flop_counter import FlopCounterMode, register_flop_formula
    >>> @register_flop_formula(torch.ops.aten.cumsum)
    ... def cumsum_flop(shape, dim, *args, out_shape=None, **kwargs):
    ...     return shape.numel()
    >>> with FlopCounterMode(display=False) as counter:
    ...     y = torch.cumsum(torch.ones(5), 0)
    >>> counter.get_total_flops()
    5
    """

    def register(formula: Callable[..., int]) -> Callable[..., int]:
        def on_call(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
            if get_raw:
                return formula(*args, **kwargs, out_val=out_val)
            args, kwargs, out = _shapes((args, kwargs, out_val))
            return formula(*args, **kwargs, out_shape=out)

        for target in targets if isinstance(targets, (list, tuple)) else [targets]:
            if not isinstance(target, torch._ops.OpOverloadPacket):
                raise ValueError(
                    f"register_flop_formula(targets): expected each target to be OpOverloadPacket (i.e. "
                    f"torch.ops.mylib.foo), got {target} which is of type {type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = on_call
        return formula

    return register


@register_flop_formula(aten.mm)
def mm_flop(a_shape: Any, b_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """A product and a sum for each term."""
    (m, k), (k2, n) = a_shape, b_shape
    if k != k2:
        raise AssertionError(f"matrix multiplication: inner dimensions must match (k == k2), got {k} and {k2}")
    return int(m * n * 2 * k)


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return int(a_shape[0]) * mm_flop(a_shape[1:], b_shape[1:])


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool = False) -> int:
    """Operations of a convolution: each weight meets each place of the result (of the input, if transposed) once."""
    places = (x_shape if transposed else out_shape)[2:]
    return int(prod(places) * prod(w_shape) * x_shape[0] * 2)


@register_flop_formula(aten.convolution)
def conv_flop(
    x_shape: Any, w_shape: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *args: Any,
    out_shape: Any = None, **kwargs: Any,
) -> int:  # fmt: skip
    return conv_flop_count(x_shape, w_shape, out_shape, transposed)


@register_flop_formula(torch.ops.tabula.conv_weight_grad)
def conv_weight_grad_flop(grad_shape: Any, x_shape: Any, w_sizes: Any, *args: Any, **kwargs: Any) -> int:
    """The gradient of a convolution's weight takes as many operations as the convolution."""
    return conv_flop_count(x_shape, w_sizes, grad_shape)


@register_flop_formula(aten.scaled_dot_product_attention)
def sdpa_flop(query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, **kwargs: Any) -> int:
    """The two batched products of attention."""
    *batch, length, width = query_shape
    count = prod(batch)
    return int(count * 2 * length * key_shape[-2] * (width + value_shape[-1]))


_SUFFIXES = ["", "K", "M", "B", "T"]


def _with_suffix(number: int, suffix: str) -> str:
    value = number / 1000 ** _SUFFIXES.index(suffix)
    return f"{value:.3f}{suffix}"


def _suffix_for(number: int) -> str:
    digits = max(len(str(number)) - 1, 0) // 3
    return _SUFFIXES[min(digits, len(_SUFFIXES) - 1)]


class FlopCounterMode(TorchDispatchMode):
    """Counts the floating point operations of matrix products and convolutions inside the block, by module.

    ``depth`` is how far into nested modules the table goes that is printed at the end unless ``display`` is False;
    ``custom_mapping`` counts further operations, as ``register_flop_formula`` does for all counters.

    >>> from torch.utils.flop_counter import FlopCounterMode
    >>> model = torch.nn.Linear(4, 8)
    >>> with FlopCounterMode(display=False) as counter:
    ...     y = model(torch.ones(3, 4))
    >>> counter.get_total_flops()
    192
    """

    def __init__(
        self, mods: Any = None, depth: int = 2, display: bool = True, custom_mapping: dict[Any, Any] | None = None
    ) -> None:
        super().__init__()
        if mods is not None:
            import warnings

            warnings.warn("mods argument is not needed anymore, you can stop passing it", stacklevel=2)
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self.depth, self.display = depth, display
        custom = {
            packet: formula if getattr(formula, "_get_raw", False) else _on_shapes(formula)
            for packet, formula in (custom_mapping or {}).items()
        }
        self.flop_registry = {**flop_registry, **custom}
        self.mod_tracker = ModuleTracker()

    def get_total_flops(self) -> int:
        """All operations counted."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """Counts by module, then by operation."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The counts as a table."""
        depth = self.depth if depth is None else depth
        depth = 999999 if depth is None else depth
        total = self.get_total_flops()
        suffix = _suffix_for(total)
        names = [name for name in sorted(self.flop_counts) if name != "Global" and name.count(".") + 1 <= depth]
        below = bool(names) and all(sum(self.flop_counts[n].values()) == total for n in names if "." not in n)
        rows = (
            []
            if below and len([n for n in names if "." not in n]) == 1
            else [("Global", 0, self.flop_counts["Global"])]
        )
        rows += [(name, name.count(".") + (1 if rows else 0), self.flop_counts[name]) for name in names]
        if not rows:
            rows = [("Global", 0, self.flop_counts["Global"])]
        lines = []
        for name, level, counts in rows:
            lines.append(_table_row(name, level, sum(counts.values()), suffix, total))
            for packet, count in counts.items():
                lines.append(_table_row(f"- {packet}", level + 1, count, suffix, total))
        return _layout([("Module", "FLOP", "% Total"), *lines])

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self.mod_tracker.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        self.mod_tracker.__exit__()
        if self.display:
            print(self.get_table(self.depth))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        out = func(*args, **kwargs)
        if packet in self.flop_registry:
            count = self.flop_registry[packet](*args, **kwargs, out_val=out)
            for name in set(self.mod_tracker.parents):
                self.flop_counts[name][packet] += count
        return out


def _on_shapes(formula: Any) -> Any:
    def on_call(*args: Any, out_val: Any = None, **kwargs: Any) -> Any:
        args, kwargs, out = _shapes((args, kwargs, out_val))
        return formula(*args, **kwargs, out_shape=out)

    return on_call


def _table_row(name: str, level: int, count: int, suffix: str, total: int) -> tuple[str, str, str]:
    share = f"{count / total:.2%}" if total else "0%"
    return " " * level + name, _with_suffix(count, suffix), share


def _layout(rows: list[tuple[str, str, str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(3)]

    def line(row: tuple[str, str, str]) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])
