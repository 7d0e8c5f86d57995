"""Counting floating point operations of matrix products and convolutions, by module."""

from __future__ import annotations

from collections import defaultdict
from functools import wraps
from math import prod

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.module_tracker import ModuleTracker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FlopCounterMode", "register_flop_formula"]

aten = torch.ops.aten

# Packet to a function of the call's arguments, with shapes in place of tensors.
flop_registry: dict[Any, Callable[..., int]] = {}


def get_shape(i: Any) -> Any:
    """The shape of a tensor; anything else as it is."""
    return i.shape if isinstance(i, torch.Tensor) else i


def shape_wrapper(f: Callable[..., int]) -> Callable[..., int]:
    """A formula that takes shapes, with ``out_shape``, as one that takes tensors, with ``out_val``."""

    @wraps(f)
    def on_tensors(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        args, kwargs, out_shape = tree_map(get_shape, (args, kwargs, out_val))
        return f(*args, out_shape=out_shape, **kwargs)

    return on_tensors


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Count an operation, or each of a list, by the decorated function.

    It gets the call's arguments and the result as ``out_val``, or with shapes for tensors and ``out_shape`` unless
    ``get_raw``. ValueError for what is no operation, RuntimeError for one that is counted already.

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
        on_call = formula if get_raw else shape_wrapper(formula)
        for target in targets if isinstance(targets, (list, tuple)) else [targets]:
            if not isinstance(target, torch._ops.OpOverloadPacket):
                raise ValueError(
                    "register_flop_formula(targets): expected each target to be OpOverloadPacket (i.e. "
                    f"torch.ops.mylib.foo), JitFunction, or HigherOrderOperator, got {target} which is of type "
                    f"{type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = on_call
        return on_call

    return register


@register_flop_formula(aten.mm)
def mm_flop(a_shape: Any, b_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """A product of matrices: a multiplication and an addition for each term."""
    (m, k), (k2, n) = a_shape, b_shape
    if k != k2:
        raise AssertionError(f"matmul: inner dimensions must match (k == k2), got {k} and {k2}")
    return m * n * 2 * k


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """The product alone is counted."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """A product for each entry of the batch."""
    b, m, k = a_shape
    b2, k2, n = b_shape
    if b != b2:
        raise AssertionError(f"bmm: batch dimensions must match (b == b2), got {b} and {b2}")
    if k != k2:
        raise AssertionError(f"bmm: inner dimensions must match (k == k2), got {k} and {k2}")
    return b * n * m * 2 * k


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """The products alone are counted."""
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool = False) -> int:
    """Operations of a convolution: each weight meets each place of the result (of the input, if transposed) once."""
    places = (x_shape if transposed else out_shape)[2:]
    return prod(places) * prod(w_shape) * x_shape[0] * 2


@register_flop_formula([aten.convolution, aten._convolution])
def conv_flop(
    x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any, transposed: bool, *args: Any,
    out_shape: Any = None, **kwargs: Any,
) -> int:  # fmt: skip
    """See :func:`conv_flop_count`."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed=transposed)


def _swapped(shape: Any) -> list[int]:
    return [shape[1], shape[0], *shape[2:]]


@register_flop_formula(aten.convolution_backward)
def conv_backward_flop(
    grad_out_shape: Any, x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, _output_padding: Any, _groups: Any, output_mask: Any, out_shape: Any, **kwargs: Any,
) -> int:  # fmt: skip
    """The gradients of a convolution's input and weight, each of which is a convolution again.

    As in PyTorch, the weight's gradient is counted as if there were one group.
    """
    count = 0
    if output_mask[0]:
        count += conv_flop_count(grad_out_shape, w_shape, out_shape[0], not transposed)
    if output_mask[1]:
        if transposed:
            count += conv_flop_count(_swapped(grad_out_shape), _swapped(x_shape), _swapped(out_shape[1]))
        else:
            count += conv_flop_count(_swapped(x_shape), _swapped(grad_out_shape), _swapped(out_shape[1]))
    return count


@register_flop_formula(torch.ops.tabula.conv_weight_grad)
def _conv_weight_grad_flop(grad_shape: Any, x_shape: Any, w_sizes: Any, *args: Any, **kwargs: Any) -> int:
    """The second half of :func:`conv_backward_flop`, which is an operation of its own here."""
    return conv_flop_count(_swapped(x_shape), _swapped(grad_shape), _swapped(w_sizes))


def sdpa_flop_count(query_shape: Any, key_shape: Any, value_shape: Any) -> int:
    """The two batched products of attention."""
    b, h, s_q, d_q = query_shape
    _b2, _h2, s_k, _d2 = key_shape
    _b3, _h3, _s3, d_v = value_shape
    if not (b == _b2 == _b3 and h == _h2 == _h3 and d_q == _d2 and s_k == _s3):
        raise AssertionError(
            "sdpa_flop_count: query/key/value shapes are incompatible: "
            f"q={query_shape}, k={key_shape}, v={value_shape}"
        )
    return bmm_flop((b * h, s_q, d_q), (b * h, d_q, s_k)) + bmm_flop((b * h, s_q, s_k), (b * h, s_k, d_v))


@register_flop_formula(aten.scaled_dot_product_attention)
def sdpa_flop(
    query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """See :func:`sdpa_flop_count`; any number of leading dimensions, those of the query being all that there are."""
    heads = prod(query_shape[:-2])
    shapes = ((1, heads, *shape[-2:]) for shape in (query_shape, key_shape, value_shape))
    return sdpa_flop_count(*shapes)


def sdpa_backward_flop_count(grad_out_shape: Any, query_shape: Any, key_shape: Any, value_shape: Any) -> int:
    """The weights of attention once more, and the gradients by them, the values, the queries and the keys."""
    b, h, s_q, d_q = query_shape
    _b2, _h2, s_k, _d2 = key_shape
    _b3, _h3, _s3, d_v = value_shape
    _b4, _h4, _s4, _d4 = grad_out_shape
    if not (
        b == _b2 == _b3 == _b4 and h == _h2 == _h3 == _h4 and d_q == _d2 and d_v == _d4 and s_k == _s3 and s_q == _s4
    ):
        raise AssertionError(
            "sdpa_backward_flop_count: grad_out/value/key/query shapes are incompatible"
        )
    n = b * h
    return (
        bmm_flop((n, s_q, d_q), (n, d_q, s_k))
        + bmm_flop((n, s_q, d_v), (n, d_v, s_k))
        + bmm_flop((n, s_k, s_q), (n, s_q, d_v))
        + bmm_flop((n, s_q, s_k), (n, s_k, d_q))
        + bmm_flop((n, d_q, s_q), (n, s_q, s_k))
    )


def sdpa_backward_flop(
    grad_out_shape: Any, query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, out_shape: Any = None,
    **kwargs: Any,
) -> int:  # fmt: skip
    """See :func:`sdpa_backward_flop_count`."""
    return sdpa_backward_flop_count(grad_out_shape, query_shape, key_shape, value_shape)


def normalize_tuple(x: Any) -> Any:
    """A tuple as it is, anything else as a tuple of one."""
    return x if isinstance(x, tuple) else (x,)


suffixes = ["", "K", "M", "B", "T"]


def get_suffix_str(number: int) -> str:
    """The suffix with which a number has from two to four digits before the point."""
    return suffixes[max(0, min(len(suffixes) - 1, (len(str(number)) - 2) // 3))]


def convert_num_with_suffix(number: int, suffix: str) -> str:
    """The number in units of a suffix."""
    return f"{number / 1000 ** suffixes.index(suffix):.3f}{suffix}"


def convert_to_percent_str(num: int, denom: int) -> str:
    """A part of a whole in per cent."""
    return f"{num / denom:.2%}" if denom else "0%"


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
            packet: formula if getattr(formula, "_get_raw", False) else shape_wrapper(formula)
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
        """The counts as a table, of modules to this depth; all are shown in one unit, that of the total.

        What was counted outside of modules is in the rows of ``Global``, which are left out where one module has all.
        """
        depth = self.depth if depth is None else depth
        depth = 999999 if depth is None else depth
        total = self.get_total_flops()
        suffix = get_suffix_str(total)
        names = [name for name in sorted(self.flop_counts) if name != "Global" and name.count(".") + 1 <= depth]
        if not any(sum(self.flop_counts[name].values()) >= total for name in names):
            names.insert(0, "Global")
        rows = [("Module", "FLOP", "% Total")]
        for name in names:
            counts = self.flop_counts[name]
            for title, count in [(name, sum(counts.values())), *((f"- {packet}", n) for packet, n in counts.items())]:
                shown = convert_num_with_suffix(count, suffix) if suffix else f"{count:g}"
                rows.append((title, shown, convert_to_percent_str(count, total)))
        return _layout(rows)

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
        out = func(*args, **kwargs)
        packet = func._overloadpacket
        if packet in self.flop_registry:
            count = self.flop_registry[packet](*args, **kwargs, out_val=out)
            shown = _shown_packet(packet)
            for name in set(self.mod_tracker.parents):
                self.flop_counts[name][shown] += count
        return out


def _shown_packet(packet: Any) -> Any:
    """What PyTorch calls the operation: the gradients of a convolution are one there, a convolution and
    ``conv_weight_grad`` here. Gradients are taken without recording, which tells them from a forward call that is
    computed again."""
    if packet is torch.ops.tabula.conv_weight_grad:
        return aten.convolution_backward
    if packet is aten.convolution and torch._C._current_graph_task_id() != -1 and not torch.is_grad_enabled():
        return aten.convolution_backward
    return packet


def _layout(rows: list[tuple[str, str, str]]) -> str:
    # headings have two spaces more than they need
    widths = [max(len(rows[0][i]) + 2, *(len(row[i]) for row in rows)) for i in range(3)]

    def line(row: tuple[str, str, str]) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])
